//! What the practice server wants pushed, on its way to the push service.

use super::brain::{Brain, Wake};
use crate::provider::Provider;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::Receiver;

/// Sends what comes, `lines` at a time, until there is no more.
pub(super) async fn run(provider: Rc<Provider>, wakes: Receiver<Wake>, brain: Arc<Mutex<Brain>>, lines: usize) {
    let wakes = Rc::new(RefCell::new(wakes));
    let line = |_| {
        let (provider, wakes, brain) = (Rc::clone(&provider), Rc::clone(&wakes), Arc::clone(&brain));
        tokio::task::spawn_local(async move {
            let mut conn = None;
            loop {
                let next = std::future::poll_fn(|cx| wakes.borrow_mut().poll_recv(cx)).await;
                let Some(wake) = next else { return };
                let what = provider.push(&mut conn, &wake.token, &wake.magic).await;
                brain.lock().unwrap_or_else(PoisonError::into_inner).pushed(&what);
            }
        })
    };
    let lines: Vec<_> = (0..lines).map(line).collect();
    for line in lines {
        if let Err(error) = line.await {
            tracing::error!(%error, "practice server's provider");
        }
    }
}
