//! The emulated WNS and FCM, driven by the practice server's own sender: what that makes of each answer.

use crate::fcm_client::{PROJECT, account, register, token};
use crate::stage::case;
use crate::wns_client::PFN;
use droves_emulators::wns::{App, Handle, Rules};
use droves_emulators::{Account, Messages, Package, Raw, Sender, Service, fcm};
use droves_facts::{Dur, Limits};
use droves_net::clock::RunClock;
use std::net::SocketAddr;
use std::path::Path;

/// A sender with this secret, and what became of each push.
fn notified(wns: &Handle, secret: &str, channels: &[&str]) -> Vec<String> {
    let package = Package { sid: "ms-app://S-1-15-2-1".to_owned(), secret: secret.to_owned() };
    pushed((wns.addr(), wns.ca_pem_path()), Raw(package), channels)
}

/// What became of each push, one after the other on one connection.
fn pushed<S: Service>((at, ca): (SocketAddr, &Path), service: S, to: &[&str]) -> Vec<String> {
    let ca = std::fs::read(ca).unwrap();
    let sender = Sender::new(at, &ca, service, RunClock::start(), Limits::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut conn = None;
    let mut said = Vec::new();
    let pushes = async {
        for address in to {
            said.push(sender.push(&mut conn, address).await);
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
        assert_eq!(notified(&wns, "right", &channels), ["200", "410", "200", "bad_channel", "404"]);
        let heard = stage.heard(2, |heard| heard.woken.len());
        assert_eq!(heard.woken.iter().map(|push| push.lane.0).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(notified(&wns, "wrong", &[&first, &first]), ["token_400", "token_400"]);
        let wns = stage.wns(Rules { access_max: Dur::ZERO, apps, ..Rules::default() });
        let channel = stage.open(&wns, 0, 1);
        assert_eq!(notified(&wns, "right", &[&channel]), ["401"], "a token that is never good is asked for twice");
        Ok(())
    });
}

#[test]
fn the_practice_server_wakes_agents_by_their_tokens() {
    case("fcm-own", |stage| {
        let fcm = stage.fcm(fcm::Rules::default());
        let (first, second) = (register(&fcm, 0, 1, PROJECT), register(&fcm, 1, 2, PROJECT));
        let by = |project: &str| {
            let key = account(project).key_file(&fcm.url()).unwrap().to_string();
            Messages { url: fcm.url(), account: Account::read(key.as_bytes()).unwrap() }
        };
        let tokens = [first.as_str(), &second, &token(1, 1), "no token"];
        let at = (fcm.addr(), fcm.ca_pem_path());
        assert_eq!(pushed(at, by(PROJECT), &tokens), ["200", "200", "404", "400"]);
        let heard = stage.heard(2, |heard| heard.woken.len());
        assert!(heard.woken.iter().all(|push| push.urgent && push.keep_until.is_some()), "{:?}", heard.woken);
        assert_eq!(pushed(at, by("p3"), &[&first]), ["token_400"], "nobody knows that account");
        Ok(())
    });
}
