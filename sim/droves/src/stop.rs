//! Ctrl-C: once ends the run in good order, twice at once.

use crate::say;
use std::thread;
use tokio::sync::watch;

/// What shells give a program that Ctrl-C ended.
const ENDED_BY_SIGNAL: i32 = 130;

/// Turns true at the first Ctrl-C (or SIGTERM).
pub(crate) fn on_signal() -> std::io::Result<(watch::Sender<bool>, watch::Receiver<bool>)> {
    let (stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hand = stop.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            signal().await;
            say("stopping in good order; Ctrl-C again stops at once");
            hand.send_replace(true);
            signal().await;
            at_once();
        });
    })?;
    Ok((stop, stopped))
}

#[expect(clippy::disallowed_methods, reason = "somebody asked twice: nothing is to be waited for")]
fn at_once() -> ! {
    std::process::exit(ENDED_BY_SIGNAL)
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = tokio::signal::ctrl_c() => if result.is_err() { std::future::pending::<()>().await },
        () = terminated => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
