//! The emulated WNS, driven by the practice server's own sender: what that makes of each answer.

use crate::stage::case;
use crate::wns_client::PFN;
use droves_emulators::wns::{App, Handle, Rules};
use droves_emulators::{Package, Sender};
use droves_facts::{Dur, Limits};
use droves_net::clock::RunClock;

/// A sender with this secret, and what became of each push, one after the other on one connection.
fn pushed(wns: &Handle, secret: &str, channels: &[&str]) -> Vec<String> {
    let ca = std::fs::read(wns.ca_pem_path()).unwrap();
    let package = Package { sid: "ms-app://S-1-15-2-1".to_owned(), secret: secret.to_owned() };
    let sender = Sender::new(wns.addr(), &ca, package, RunClock::start(), Limits::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut conn = None;
    let mut said = Vec::new();
    let pushes = async {
        for channel in channels {
            said.push(sender.push(&mut conn, channel).await);
        }
    };
    tokio::task::LocalSet::new().block_on(&runtime, pushes);
    said
}

#[test]
fn the_practice_server_notifies_the_devices_of_their_channels() {
    case("wns-own", |stage| {
        let apps = vec![App { id: "ms-app://S-1-15-2-1".into(), secret: "right".into(), pfn: PFN.into() }];
        let wns = stage.wns(Rules { apps: apps.clone(), ..Rules::default() });
        let (first, second) = (stage.open(&wns, 0, 1), stage.open(&wns, 1, 1));
        let renewed = stage.open(&wns, 1, 2);
        let channels = [first.as_str(), &second, &renewed, "no channel", "https://localhost/?token=AA"];
        assert_eq!(pushed(&wns, "right", &channels), ["200", "410", "200", "bad_channel", "404"]);
        let heard = stage.heard(2, |heard| heard.woken.len());
        assert_eq!(heard.woken.iter().map(|push| push.lane.0).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(pushed(&wns, "wrong", &[&first, &first]), ["token_400", "token_400"]);
        let wns = stage.wns(Rules { access_max: Dur::ZERO, apps, ..Rules::default() });
        let channel = stage.open(&wns, 0, 1);
        assert_eq!(pushed(&wns, "right", &[&channel]), ["401"], "a token that is never good is asked for twice");
        Ok(())
    });
}
