//! A brain, its administrator, and the facts of a run.

use droves_emulators::practice::windows::{Settings, discovery};
use droves_emulators::practice::{Brain, Faults, Incoming, Outgoing, Proof, Told, Wake};
use droves_facts::{CommandKey, Dice, Dur, Fact, LaneIx, Limits, Mono, PhaseIx, Wall, What};
use droves_scenario::plan::{Fault, FaultKind, ServerFault, Strikes};
use droves_wire::ca::Authority;
use std::sync::{Arc, OnceLock};

pub(crate) const URL: &str = "https://practice.test";
const ADMIN: &str = "administrator";

pub(crate) struct Stage {
    pub(crate) brain: Brain,
    pub(crate) facts: Vec<Fact>,
    now: Mono,
}

impl Stage {
    pub(crate) fn new(settings: Settings) -> Self {
        Stage::with_fault(settings, None)
    }

    /// A server that does this wrong, always.
    pub(crate) fn with_fault(settings: Settings, fault: Option<ServerFault>) -> Self {
        static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
        let authority =
            AUTHORITY.get_or_init(|| Arc::new(Authority::create_p384("Test", Wall::VIRTUAL_START).unwrap()));
        let fault = fault.map(|fault| Fault {
            what: FaultKind::Server(fault),
            strikes: Strikes::Share(1.0),
            who: None,
            during: Some(PhaseIx(1)),
            after: Dur::ZERO,
            length: None,
        });
        let faults = Faults::new(fault.as_slice(), Dice::new(1));
        let told = Told { url: URL.to_owned(), windows_url: URL.to_owned(), topic: "topic".to_owned() };
        let brain = Brain::new(Arc::clone(authority), told, ADMIN.to_owned(), Limits::default(), faults, settings);
        Stage { brain, facts: Vec::new(), now: Mono(1_000_000) }
    }

    /// The phase in which the server does wrong.
    pub(crate) fn faulty(&mut self, is_on: bool) {
        match is_on {
            true => self.brain.faults().phase_begins(PhaseIx(1), self.now),
            false => self.brain.faults().phase_ends(PhaseIx(1)),
        }
    }

    pub(crate) fn wait(&mut self, time: Dur) {
        self.now += time;
    }

    pub(crate) fn say(&mut self, lane: u32, what: What) {
        self.facts.push(Fact { at: self.now, phase: PhaseIx(1), lane: LaneIx(lane), what });
    }

    pub(crate) fn ask(&mut self, method: &str, url: &str, proof: Proof<'_>, kind: &str, body: &[u8]) -> Outgoing {
        self.asked(method, url, proof, kind, body).0
    }

    fn asked(&mut self, method: &str, url: &str, proof: Proof<'_>, kind: &str, body: &[u8]) -> (Outgoing, Vec<Wake>) {
        let target = url.strip_prefix(URL).unwrap_or(url);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let authorization = format!("Bearer {ADMIN}");
        let incoming = Incoming {
            method,
            path,
            query,
            authorization: Some(authorization.as_bytes()),
            content_type: Some(kind.as_bytes()),
            range: None,
            proof,
            body,
        };
        let mut wakes = Vec::new();
        let outgoing = self.brain.answer(self.now, Wall::VIRTUAL_START, &incoming, &mut wakes);
        self.wait(Dur::us(1_000));
        (outgoing, wakes)
    }

    /// The administrator's answer, JSON.
    pub(crate) fn queue(&mut self, ids: &[&str], kind: &str, body: &str) -> serde_json::Value {
        let url = format!("/admin/v1/commands?ids={}", ids.join(","));
        let outgoing = self.ask("PUT", &url, Proof::Nothing, kind, body.as_bytes());
        serde_json::from_slice(&outgoing.body).unwrap_or_else(|_| String::from_utf8_lossy(&outgoing.body).into())
    }

    /// Queues a `Get` of each name for a device that is a lane, to be delivered within half a minute.
    pub(crate) fn command(&mut self, lane: u32, id: &str, names: &[&str]) {
        let asked = self.now;
        let fragment: String = names.iter().map(|name| get(name)).collect();
        let said = self.queue(&[id], SYNCML, &fragment);
        assert_eq!(said["failed"], serde_json::json!({}), "{said}");
        for name in names {
            let command = CommandKey::of(name.as_bytes());
            let deadline = asked + Dur::secs(30);
            self.say(lane, What::CommandQueued { command, asked, queued: asked, deadline });
        }
    }

    /// Pushes that the server sends at the administrator's word.
    pub(crate) fn push(&mut self, id: &str) -> Vec<Wake> {
        let (outgoing, wakes) = self.asked("POST", &format!("/admin/v1/push?ids={id}"), Proof::Nothing, "", b"");
        assert_eq!(outgoing.status, 200, "{:?}", outgoing.body);
        wakes
    }

    pub(crate) fn discovery(&self) -> String {
        discovery(URL)
    }
}

pub(crate) const SYNCML: &str = "application/vnd.syncml.dm+xml";

pub(crate) fn get(name: &str) -> String {
    of("Get", name, "./DevInfo/DevId", None)
}

/// A command about a node.
pub(crate) fn of(verb: &str, name: &str, uri: &str, data: Option<&str>) -> String {
    let data = data.map_or_else(String::new, |data| format!("<Data>{data}</Data>"));
    format!("<{verb}><CmdID>{name}</CmdID><Item><Target><LocURI>{uri}</LocURI></Target>{data}</Item></{verb}>")
}
