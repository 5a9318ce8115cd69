//! The practice server without its sockets: one mind for three protocols, and for Google.

use super::agents::{self, Agents};
use super::apple::Apple;
use super::device::Enrollment;
use super::emm::{self, Emm};
use super::exchange::{Incoming, Outgoing, Wake};
use super::faults::Faults;
use super::house::House;
use super::scep::Scep;
use super::windows::{self, Windows};
use bytes::Bytes;
use droves_facts::{Family, Limits, Mono, Wall};
use droves_scenario::plan::ServerFault;
use droves_wire::ca::Authority;
use std::sync::Arc;

/// What the server believes of an enrollment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Belief<'a> {
    /// Whether it is enrolled.
    pub enrolled: bool,
    /// SHA-256 of the identity; none for a user channel, which has the device's.
    pub certificate: Option<[u8; 32]>,
    /// The push token; of Windows none, but a channel.
    pub token: &'a [u8],
    /// What pushes carry.
    pub magic: &'a str,
    /// Windows' channel.
    pub channel: Option<&'a str>,
    /// Commands that wait.
    pub pending: usize,
}

/// What devices are told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Where Apple's find the server, without a slash at the end.
    pub url: String,
    /// Where Windows' do: `https://`.
    pub windows_url: String,
    /// The topic by which Apple's are pushed.
    pub topic: String,
}

/// The server.
#[derive(Debug)]
pub struct Brain {
    pub(super) house: House,
    pub(super) windows: Windows,
    pub(super) agents: Agents,
    pub(super) emm: Option<Emm>,
    apple: Apple,
    scep: Scep,
}

impl Brain {
    /// A server that nobody is enrolled at. `token` is the administrator's bearer token.
    pub fn new(
        authority: Arc<Authority>,
        told: Told,
        token: String,
        limits: Limits,
        faults: Faults,
        windows: windows::Settings,
    ) -> Self {
        let Told { url, windows_url, topic } = told;
        let scep = Scep::new(&token);
        Brain {
            house: House::new(authority, token, limits, faults),
            windows: Windows::new(windows_url, windows),
            agents: Agents::new(&url, agents::Settings::default()),
            emm: None,
            apple: Apple { url, topic },
            scep,
        }
    }

    /// The same server, which is so to agents on Android.
    #[must_use]
    pub fn with_agents(self, settings: agents::Settings) -> Self {
        Brain { agents: Agents::new(&self.apple.url, settings), ..self }
    }

    /// From now on it manages Android devices too, by the Google at this URL. Its calls are to be taken out and answered.
    pub fn manage_android(&mut self, google: String, account: emm::Account, settings: emm::Settings) {
        let secret = hex::encode(&self.house.fresh()[..16]);
        self.emm = Some(Emm::new(google, account, settings, self.apple.url.clone(), secret));
    }

    /// What is to be sent to Google now, each to be answered by [`Brain::called`].
    pub fn calls(&mut self, now: Mono, wall: Wall) -> Vec<emm::Call> {
        self.emm.as_mut().map(|emm| emm.calls(now, wall)).unwrap_or_default()
    }

    /// When there is something to be sent that is not now, if nobody answers or asks before.
    pub fn next_call(&self, now: Mono) -> Option<Mono> {
        self.emm.as_ref().and_then(|emm| emm.next(now))
    }

    /// What Google answered to the call of this number; none if no answer came.
    pub fn called(&mut self, now: Mono, wall: Wall, number: u64, reply: Option<emm::Reply>) {
        if let Some(emm) = &mut self.emm {
            emm.called(&mut self.house, now, wall, number, reply);
        }
    }

    /// The faults on order.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.house.faults
    }

    /// What has happened, as JSON.
    pub fn truth(&self) -> serde_json::Value {
        let enrollments = &self.house.enrollments;
        let enrolled =
            |users: bool| enrollments.iter().filter(|(id, e)| e.enrolled && id.contains(':') == users).count();
        let pending = enrollments.values().map(Enrollment::pending).sum();
        let mut truth = self.house.truth.json(enrolled(false), enrolled(true), pending);
        truth["agents"]["mqtt"] = self.agents.broker.tally().json();
        if let Some(emm) = &self.emm {
            truth["android"] = emm.truth();
        }
        truth
    }

    /// What is believed of the enrollment with this id; none of one that was never heard of.
    pub fn believes(&self, id: &str) -> Option<Belief<'_>> {
        let of = self.house.enrollments.get(self.known(id))?;
        let (token, magic, channel) = (of.token.as_slice(), of.magic.as_str(), of.channel.as_deref());
        let (enrolled, certificate, pending) = (of.enrolled, of.certificate, of.pending());
        Some(Belief { enrolled, certificate, token, magic, channel, pending })
    }

    /// The enrollment that is meant by an id, which may be one that a device has beside its own.
    pub(super) fn known<'a>(&'a self, id: &'a str) -> &'a str {
        let id = self.windows.device_of(id);
        self.emm.as_ref().map_or(id, |emm| emm.device_of(id))
    }

    /// Whose commands an enrollment takes: none an agent on Android, which has messages and a configuration instead.
    pub(super) fn family(&self, known: &str) -> Option<Family> {
        match &self.emm {
            _ if self.agents.knows(known) => None,
            Some(emm) if emm.knows(known) => Some(Family::Android),
            _ if self.windows.knows(known) => Some(Family::Windows),
            _ => Some(Family::Apple),
        }
    }

    /// What has become of a push.
    pub fn pushed(&mut self, what: &str) {
        self.house.truth.push(what);
    }

    /// Answers a request; pushes that it leads to are put into `wakes`.
    pub fn answer(&mut self, now: Mono, wall: Wall, request: &Incoming<'_>, wakes: &mut Vec<Wake>) -> Outgoing {
        let place = self.place_of(request.path);
        let fault = self.fault(now, place, request);
        let mut outgoing = match fault {
            Some(ServerFault::Answer(status)) => Outgoing::text(status, "on order"),
            Some(ServerFault::HangUp) => Outgoing { hangs_up: true, ..Outgoing::text(503, "on order") },
            Some(ServerFault::Html) => Outgoing::new(200, "text/html; charset=utf-8", PAGE),
            _ => self.route(now, wall, place, request, fault, wakes),
        };
        match fault {
            Some(ServerFault::Slow(delay)) => outgoing.after = self.house.faults.delay(delay),
            Some(ServerFault::Chunked) => outgoing.is_chunked = true,
            Some(ServerFault::IllFormed) => outgoing.body = ill_formed(&outgoing.body),
            _ => {}
        }
        if !outgoing.hangs_up && outgoing.held.is_none() {
            let path = place.name().to_owned();
            *self.house.truth.requests.entry((path, outgoing.status)).or_default() += 1;
        }
        outgoing
    }

    /// The fault that strikes a device's request before anybody looks at it.
    fn fault(&mut self, now: Mono, place: Place, request: &Incoming<'_>) -> Option<ServerFault> {
        if !self.house.faults.has(|fault| place.may(fault)) {
            return None;
        }
        let id = match place {
            Place::Windows(place) => windows::enrollment_of(place, request.body, &self.house.limits),
            Place::Agents(_) => self.agents.enrollment_of(request),
            Place::Android(_) => self.emm.as_ref().and_then(|emm| emm.enrollment_of(request.body)),
            _ => Apple::enrollment_of(request.body, &self.house.limits),
        };
        self.house.strike(now, id.as_deref(), None, |fault| place.may(fault))
    }

    fn place_of(&self, path: &str) -> Place {
        match Place::of(path) {
            Place::Other => self.agents.place_of(path).map_or(Place::Other, Place::Agents),
            place => place,
        }
    }

    fn route(
        &mut self,
        now: Mono,
        wall: Wall,
        place: Place,
        request: &Incoming<'_>,
        fault: Option<ServerFault>,
        wakes: &mut Vec<Wake>,
    ) -> Outgoing {
        let Brain { house, windows, agents, emm, apple, scep } = self;
        match (request.method, place) {
            ("GET", Place::Profile) => apple.profile(&scep.challenge),
            ("GET" | "POST", Place::Scep) => scep.answer(house, wall, request),
            ("PUT", Place::Checkin) => apple.checkin(house, request),
            ("PUT", Place::Mdm) => apple.mdm(house, now, request),
            (_, Place::Windows(place)) => windows.answer(house, now, wall, place, request, fault),
            (_, Place::Agents(_)) => agents.answer(house, now, request, fault),
            (_, Place::Android(place)) => match emm {
                Some(emm) => emm.answer(house, now, wall, place, request),
                None => Outgoing::text(404, "no Android devices are managed here"),
            },
            ("GET", Place::Authority) => {
                Outgoing::new(200, "application/x-pem-file", house.authority.certificate_pem())
            }
            ("GET", Place::Truth) => Outgoing::json(200, &self.truth()),
            (_, Place::Admin) => {
                let answer = self.admin(now, request, wakes);
                wakes.append(&mut self.agents.wakes);
                answer
            }
            _ => Outgoing::text(404, "no such place"),
        }
    }
}

/// The server's places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Profile,
    Scep,
    Checkin,
    Mdm,
    Windows(windows::Place),
    Agents(agents::Place),
    Android(emm::Place),
    Authority,
    Truth,
    Admin,
    Other,
}

impl Place {
    fn of(path: &str) -> Place {
        match path {
            "/enroll" => Place::Profile,
            "/scep" => Place::Scep,
            "/checkin" => Place::Checkin,
            "/mdm" => Place::Mdm,
            "/ca.pem" => Place::Authority,
            "/_truth" => Place::Truth,
            _ if path.starts_with("/admin/v1/") => Place::Admin,
            _ => match (windows::Place::of(path), emm::Place::of(path)) {
                (Some(place), _) => Place::Windows(place),
                (_, Some(place)) => Place::Android(place),
                _ => Place::Other,
            },
        }
    }

    /// As it is counted: paths that nobody knows are one.
    fn name(self) -> &'static str {
        match self {
            Place::Profile => "/enroll",
            Place::Scep => "/scep",
            Place::Checkin => "/checkin",
            Place::Mdm => "/mdm",
            Place::Windows(place) => place.path(),
            Place::Agents(place) => place.path(),
            Place::Android(place) => place.path(),
            Place::Authority => "/ca.pem",
            Place::Truth => "/_truth",
            Place::Admin => "/admin",
            Place::Other => "other",
        }
    }

    /// Whether this fault may strike a request there.
    fn may(self, fault: &ServerFault) -> bool {
        let of_all = matches!(
            fault,
            ServerFault::Answer(_)
                | ServerFault::Slow(_)
                | ServerFault::HangUp
                | ServerFault::Html
                | ServerFault::Chunked
                | ServerFault::IllFormed
        );
        match self {
            Place::Checkin | Place::Mdm => of_all,
            Place::Windows(place) => of_all || place.may(fault),
            Place::Agents(place) => of_all || place.may(fault),
            Place::Android(emm::Place::Push) => of_all,
            _ => false,
        }
    }
}

/// What a proxy says that has lost its server.
const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>On order</h1></body></html>\n";

/// A declaration of XML in the middle, as unescaped data brings it (fleetdm/fleet#16316).
fn ill_formed(body: &[u8]) -> Bytes {
    let at = body.windows(2).rposition(|pair| pair == b"</").unwrap_or(body.len());
    let (before, after) = body.split_at(at);
    [before, b"<?xml version=\"1.0\"?>", after].concat().into()
}
