//! More than one process: the sink, whose processes share a port, and runs that they are the other end of.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Authority, Droves, Error, Ground, Sink, case};
use std::process::Command;

/// A minted fleet and what a run with it is told.
struct Camp {
    droves: Droves,
    authority: Authority,
    fleet: String,
}

impl Camp {
    /// Mints a fleet of phones that take half an hour over a question, enrolled at this address.
    fn pitch(ground: &Ground, authority: Authority, url: &str, phones: u32) -> Result<Camp, Error> {
        let droves = Droves::new(ground.path())?;
        let fleet = ground.path().join("fleet").to_str().unwrap().to_owned();
        let camp = Camp { droves, authority, fleet };
        let mint = ["--fleet", &camp.fleet, "--ca", camp.ca(), "--ca-key", camp.authority.key().to_str().unwrap()];
        let scenario = camp.scenario(url, phones, 1, 1);
        camp.droves.complete(
            &["fleet", "mint"],
            "open",
            &scenario,
            &[],
            &[&mint[..], &["--key-kind", "p256"]].concat(),
        )?;
        Ok(camp)
    }

    fn ca(&self) -> &str {
        self.authority.certificate().to_str().unwrap()
    }

    fn scenario(&self, url: &str, phones: u32, per_second: u32, seconds: u32) -> String {
        format!(
            "droves: 1\ntarget: {{ server: sink, url: \"{url}\", tls: {{ ca: {} }} }}\nfleet:\n  populations:\n    \
             phones: {{ platform: ios, count: {phones}, behaviour: [ {{ slow: {{ factor: 10000 }} }} ] }}\n\
             bounds: {{ lag_max: 60s, connections_max: {} }}\nphases:\n  - name: open\n    \
             check_in: {{ who: all, arrivals: {{ rate: {per_second}/s }} }}\n    for: {seconds}s\n",
            self.ca(),
            phones + phones / 5,
        )
    }
}

#[test]
fn sessions_stay_open_at_a_sink_and_both_ends_count_them() {
    case("sink", |ground| {
        const PHONES: u32 = 400;
        let authority = Authority::new(ground.path())?;
        let sink = Sink::start(ground.path(), &authority, &["--processes", "2", "--commands", "1"])?;
        let camp = Camp::pitch(ground, authority, sink.url(), PHONES)?;
        let scenario = camp.scenario(sink.url(), PHONES, 100, 10);
        let run = camp.droves.run("open", &scenario, &[], &["--fleet", &camp.fleet, "--fleet-stays"])?;
        assert_eq!(run.code, 0, "{:#}", run.summary);
        run.adds_up();
        assert_eq!(run.number("sessions.open_max"), u64::from(PHONES), "{:#}", run.summary);
        let (counts, code) = sink.finish()?;
        assert_eq!(code, 0);
        assert_eq!(counts["all"]["open_max"], PHONES, "{counts:#}");
        assert_eq!(counts["all"]["commands"], PHONES, "{counts:#}");
        assert_eq!(counts["all"]["requests"], run.number("requests.succeeded"), "{counts:#}");
        let each = counts["processes"].as_array().unwrap();
        assert_eq!(each.len(), 2);
        assert!(each.iter().all(|process| process["greeted"].as_u64() > Some(100)), "{counts:#}");
        Ok(())
    });
}

#[test]
fn a_sink_that_loses_a_process_says_so() {
    case("sink_lost", |ground| {
        let authority = Authority::new(ground.path())?;
        let mut sink = Sink::start(ground.path(), &authority, &["--processes", "2"])?;
        let victim = sink.processes()[1].to_string();
        assert!(Command::new("kill").args(["-9", &victim]).status().unwrap().success());
        let (counts, code) = sink.counted()?;
        assert_eq!((code, counts["processes"].as_array().unwrap().len()), (114, 2), "{counts:#}");
        Ok(())
    });
}
