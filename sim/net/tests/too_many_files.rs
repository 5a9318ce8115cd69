//! What happens when the limit of open files is reached. Alone in its process, since the limit is the process's.
#![expect(clippy::unwrap_used, reason = "tests")]

use droves_facts::{Blame, Limits};
use droves_net::clock::RunClock;
use droves_net::connect::{Dialler, Sources};
use droves_net::files::OpenFiles;
use droves_net::listen::{Listener, Settings, Stopping};
use std::fs::File;
use std::future::pending;
use std::time::Duration;

/// The client says whose limit it was; the listener waits, counts, and goes on once there are files again.
#[test]
fn a_lack_of_files_is_named_and_survived() {
    let hard = OpenFiles::read().unwrap().hard;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let listener = Listener::loopback(0, None, Settings { plain_http2: false, ..Settings::default() }).unwrap();
    let (address, counters) = (listener.address(), listener.counters());
    let serving = listener.each(pending(), |_stream, _peer, mut stopping: Stopping| async move {
        stopping.wait().await;
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let test = async {
            let dialler = Dialler::new(&Limits::default(), Sources::system());
            let clock = RunClock::start();
            let mut ballast = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                ballast.push(file);
            }
            let error = dialler.dial(address, None, &clock).await.unwrap_err();
            assert_eq!((error.kind(), error.blame()), ("too_many_files", Blame::Generator));
            ballast.pop();
            // One file left: for our end of the connection, so that none is left for the server's.
            let (_ours, _) = dialler.dial(address, None, &clock).await.unwrap();
            while counters.counts().accept_failed == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(counters.counts().accepted, 0);
            drop(ballast);
            while counters.counts().accepted == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = serving => unreachable!("the listener ended"),
            done = tokio::time::timeout(Duration::from_secs(60), test) => done.unwrap(),
        }
    });
}
