//! What the practice server wants pushed, on its way to the push services.

use super::brain::Brain;
use super::exchange::Wake;
use crate::provider::Provider;
use crate::sender::{Messages, Raw, Sender};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::Receiver;

/// Who pushes: Apple's devices, Windows', and agents on Android, as far as there is a push service for them.
#[derive(Debug)]
pub(super) struct Pushers {
    pub(super) apple: Option<Provider>,
    pub(super) windows: Option<Sender<Raw>>,
    pub(super) android: Option<Sender<Messages>>,
}

impl Pushers {
    /// Whether there is any.
    pub(super) fn are_there(&self) -> bool {
        self.apple.is_some() || self.windows.is_some() || self.android.is_some()
    }
}

/// Sends what comes, `lines` at a time, until there is no more.
pub(super) async fn run(pushers: Pushers, wakes: Receiver<Wake>, brain: Arc<Mutex<Brain>>, lines: usize) {
    let pushers = Rc::new(pushers);
    let wakes = Rc::new(RefCell::new(wakes));
    let line = |_| {
        let (pushers, wakes, brain) = (Rc::clone(&pushers), Rc::clone(&wakes), Arc::clone(&brain));
        tokio::task::spawn_local(async move {
            let (mut to_apns, mut to_wns, mut to_fcm) = (None, None, None);
            loop {
                let next = std::future::poll_fn(|cx| wakes.borrow_mut().poll_recv(cx)).await;
                let Some(wake) = next else { return };
                let what = match (&wake, &*pushers) {
                    (Wake::Apple { token, magic }, Pushers { apple: Some(provider), .. }) => {
                        provider.push(&mut to_apns, token, magic).await
                    }
                    (Wake::Windows { channel }, Pushers { windows: Some(sender), .. }) => {
                        sender.push(&mut to_wns, channel).await
                    }
                    (Wake::Android { token }, Pushers { android: Some(sender), .. }) => {
                        sender.push(&mut to_fcm, token).await
                    }
                    _ => "no_push_service".to_owned(),
                };
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
