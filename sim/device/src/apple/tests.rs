//! A device against a server that answers by a script. Keys, certificates and SCEP are real; time jumps.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::tests_support::{World, ios, mac};
use crate::{
    Body, Character, Event, Failure, Identity, KeyIx, Made, Note, Order, Peer, ProfileSource, Reached, Reasons,
    Request, Response, Wake, What, Why, Work,
};
use bytes::Bytes;
use droves_facts::{CommandStatus, Limits, Mono, Operation, Outcome, Wall, What as Fact};
use droves_wire::apple::scep::{self, server};
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use droves_wire::plist;
use http::HeaderMap;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::create("Test CA", Wall::VIRTUAL_START).unwrap())
}

fn key(ix: KeyIx) -> &'static Key {
    static KEYS: [OnceLock<Key>; 2] = [const { OnceLock::new() }; 2];
    KEYS[ix.0 as usize % 2].get_or_init(|| Key::generate_rsa(2_048).unwrap())
}

/// An enrollment profile in short.
fn enrollment() -> Arc<[u8]> {
    let payload = |kind: &str, uuid: &str, rest: &str| {
        format!(
            "<dict><key>PayloadIdentifier</key><string>t.{uuid}</string><key>PayloadType</key><string>{kind}</string><key>PayloadUUID</key><string>{uuid}</string><key>PayloadVersion</key><integer>1</integer>{rest}</dict>"
        )
    };
    let scep = payload(
        "com.apple.security.scep",
        "A",
        "<key>PayloadContent</key><dict><key>URL</key><string>http://ca.test/scep</string><key>Challenge</key><string>secret</string></dict>",
    );
    let mdm = payload(
        "com.apple.mdm",
        "B",
        "<key>AccessRights</key><integer>8191</integer><key>CheckInURL</key><string>https://mdm.test/checkin</string><key>ServerURL</key><string>https://mdm.test/mdm</string><key>IdentityCertificateUUID</key><string>A</string><key>Topic</key><string>com.apple.mgmt.External.x</string><key>SignMessage</key><true/><key>CheckOutWhenRemoved</key><true/><key>ServerCapabilities</key><array><string>com.apple.mdm.per-user-connections</string></array>",
    );
    let all = payload("Configuration", "C", &format!("<key>PayloadContent</key><array>{scep}{mdm}</array>"));
    format!("<plist version=\"1.0\">{all}</plist>").into_bytes().into()
}

/// What the server does with the next request.
#[derive(Clone, Debug)]
enum Reply {
    Says(u16, Bytes),
    Fails(&'static str, Reached),
}

fn ok() -> Reply {
    Reply::Says(200, Bytes::new())
}

fn command(uuid: &str, request: &str, rest: &str) -> Reply {
    let text = format!(
        "<plist version=\"1.0\"><dict><key>Command</key><dict>{rest}<key>RequestType</key><string>{request}</string></dict><key>CommandUUID</key><string>{uuid}</string></dict></plist>"
    );
    Reply::Says(200, text.into())
}

/// A device, its world, and the server.
struct Rig {
    machine: Apple,
    world: World,
    script: VecDeque<Reply>,
    /// Requests to the server: operation and body.
    asked: Vec<(Operation, Bytes)>,
    facts: Vec<Fact>,
    ended: Vec<(Operation, Outcome)>,
    orders: Vec<(u8, Note)>,
}

impl Rig {
    fn new(character: Character) -> Self {
        let profile = ProfileSource::Bytes(enrollment());
        Rig {
            machine: Apple::default(),
            world: World::new(Character { profile, allow_http: true, ..character }),
            script: VecDeque::new(),
            asked: Vec::new(),
            facts: Vec::new(),
            ended: Vec::new(),
            orders: Vec::new(),
        }
    }

    fn enrolled(character: Character) -> Self {
        let mut rig = Rig::new(character);
        let action = rig.order(Order::Enroll);
        assert!(matches!(action.what, What::Sleep { .. }), "{:?}", rig.facts);
        assert_eq!(rig.ended, [(Operation::Enroll, Outcome::Succeeded)]);
        rig.asked.clear();
        rig.facts.clear();
        rig.ended.clear();
        rig
    }

    fn order(&mut self, order: Order) -> Action {
        let now = self.world.clocks.now;
        let notes = [Note { order, cause: now }];
        self.wake(Wake { reasons: Reasons::ORDER, due: now, notes: &notes })
    }

    fn push(&mut self) -> Action {
        let due = self.world.clocks.now;
        self.wake(Wake { reasons: Reasons::PUSH, due, notes: &[] })
    }

    fn time(&mut self, action: &Action) -> Action {
        self.pass(action.until);
        let due = self.world.clocks.now;
        self.wake(Wake { reasons: Reasons::TIME, due, notes: &[] })
    }

    fn pass(&mut self, until: Mono) {
        assert!(!until.is_never(), "nothing to wait for");
        let passed = until.since(self.world.clocks.now);
        self.world.clocks.now = until;
        self.world.clocks.wall = self.world.clocks.wall + passed;
    }

    fn wake(&mut self, wake: Wake<'_>) -> Action {
        let mut action = self.on(Event::Wake(wake));
        for _ in 0..200 {
            let next = match action.what {
                What::Sleep { .. } | What::End(_) => return action,
                What::Wait => {
                    self.pass(action.until);
                    let due = self.world.clocks.now;
                    self.on(Event::Wake(Wake { reasons: Reasons::TIME, due, notes: &[] }))
                }
                What::Save => {
                    // Whoever saves could have been killed here.
                    let machine = std::mem::take(&mut self.machine).fold();
                    let record = Apple::record_from_bytes(&Apple::record_to_bytes(&machine.record)).unwrap();
                    let shared = Apple::shared_from_bytes(&Apple::shared_to_bytes(&machine.shared)).unwrap();
                    self.machine = Apple::open(Slept { record, shared: Arc::new(shared), own: machine.own });
                    self.on(Event::Saved)
                }
                What::Make(work) => self.make(*work),
                What::Request(request) => self.ask(&request),
            };
            action = next;
        }
        panic!("no end of it: {:?}", self.asked.iter().map(|(op, _)| op).collect::<Vec<_>>());
    }

    fn on(&mut self, event: Event<'_>) -> Action {
        let action = self.machine.on(event, &mut self.world.ctx());
        let out = std::mem::take(&mut self.world.out);
        self.facts.extend(out.facts);
        self.ended.extend(out.ended);
        self.orders.extend(out.orders);
        if let Some(identity) = out.identity {
            self.world.identity = identity;
        }
        action
    }

    fn make(&mut self, work: Work) -> Action {
        let limits = Limits::default();
        let made = match work {
            Work::Key { .. } => Made::Key(KeyIx(self.world.identity.as_ref().map_or(0, |old| old.key.0 + 1))),
            Work::ScepRequest { request, key: ix, signer } => {
                let signer = signer.as_deref().map(|old: &Identity| (key(old.key), &*old.certificate));
                let built = scep::build(&request, key(ix), signer, self.world.clocks.wall);
                let (body, pending) = built.unwrap();
                Made::ScepRequest { body: body.into(), pending: Box::new(pending) }
            }
            Work::ScepOpen { reply, pending, key: ix, signer } => {
                let signer = signer.as_deref().map(|old: &Identity| key(old.key));
                match scep::open(&reply, &pending, key(ix), signer, &limits) {
                    Ok(reply) => Made::ScepReply(reply),
                    Err(error) => {
                        let text = error.to_string().into();
                        let failure = Failure { blame: Blame::Server, kind: "scep", reached: Reached::Nothing, text };
                        return self.on(Event::Failed(failure));
                    }
                }
            }
        };
        self.on(Event::Made(made))
    }

    fn ask(&mut self, request: &Request) -> Action {
        if matches!(request.peer, Peer::PushService { .. }) {
            return self.answer(200, Bytes::new());
        }
        let body = match &request.body {
            Body::Empty => Bytes::new(),
            Body::Bytes(bytes) => bytes.clone(),
        };
        self.asked.push((request.operation, body.clone()));
        if request.url.starts_with("http://ca.test/") && !self.script.iter().any(|r| matches!(r, Reply::Says(418, _))) {
            return self.ca(request, &body);
        }
        match self.script.pop_front().unwrap_or_else(ok) {
            Reply::Says(status, body) => self.answer(status, body),
            Reply::Fails(kind, reached) => {
                let failure = Failure { blame: Blame::Network, kind, reached, text: kind.into() };
                self.on(Event::Failed(failure))
            }
        }
    }

    fn ca(&mut self, request: &Request, body: &[u8]) -> Action {
        let reply: Bytes = match request.operation {
            Operation::AppleScepCaps => server::CAPABILITIES.into(),
            Operation::AppleScepCa => Bytes::copy_from_slice(authority().certificate()),
            _ => {
                let received = server::open(body, authority(), &Limits::default()).unwrap();
                let server::Wanted::Issue(csr) = &received.what else { panic!("a poll") };
                assert_eq!(csr.challenge.as_deref(), Some("secret"));
                let ordinal = self.asked.len() as u64;
                let issued = authority().issue_identity("x", &csr.spki, ordinal, self.world.clocks.wall).unwrap();
                server::reply(&received, server::Verdict::Issued(&issued), authority(), [3; 16]).unwrap().into()
            }
        };
        self.answer(200, reply)
    }

    fn answer(&mut self, status: u16, body: Bytes) -> Action {
        let headers = HeaderMap::new();
        self.on(Event::Response(Response { status, headers: &headers, body }))
    }

    fn operations(&self) -> Vec<&'static str> {
        self.asked.iter().map(|(operation, _)| operation.name()).collect()
    }

    /// The message that was sent as number `n`.
    fn message(&self, n: usize) -> plist::Value {
        plist::read(&self.asked[n].1, &Limits::default()).unwrap()
    }

    fn status(&self, n: usize) -> String {
        self.message(n).get("Status").and_then(|status| status.as_str()).unwrap_or_default().to_owned()
    }
}

const IN: [&str; 6] =
    ["apple.scep.caps", "apple.scep.ca", "apple.scep.issue", "apple.authenticate", "apple.token_update", "apple.idle"];

#[test]
fn a_device_enrolls_and_comes_back_soon() {
    let mut rig = Rig::new(ios());
    let action = rig.order(Order::Enroll);
    assert_eq!(rig.operations(), IN[..5]);
    assert!(rig.world.identity.is_some());
    assert_eq!(rig.message(3).get("DeviceName"), None, "iOS does not tell its name");
    let again = rig.time(&action);
    assert_eq!(rig.operations(), IN);
    assert!(matches!(again.what, What::Sleep { .. }) && again.hear.has(Reasons::PUSH | Reasons::ORDER));
}

#[test]
fn commands_are_answered_one_by_one_and_an_unknown_one_with_an_error() {
    let mut rig = Rig::enrolled(ios());
    let queries = "<key>Queries</key><array><string>UDID</string><string>OSVersion</string></array>";
    rig.script = [command("1", "DeviceInformation", queries), command("2", "MakeCoffee", ""), ok()].into();
    rig.push();
    assert_eq!(rig.operations(), ["apple.idle", "apple.command", "apple.command"]);
    assert_eq!([rig.status(0), rig.status(1), rig.status(2)], ["Idle", "Acknowledged", "Error"]);
    let answers = rig.message(1);
    let version = answers.get("QueryResponses").and_then(|dict| dict.get("OSVersion"));
    assert_eq!(version.and_then(|version| version.as_str()), Some("18.1"));
    let accepted = rig.facts.iter().filter(|fact| matches!(fact, Fact::Accepted { .. })).count();
    assert_eq!(accepted, 2);
}

#[test]
fn what_is_no_command_is_said_so_once_and_then_the_device_hangs_up() {
    let mut rig = Rig::enrolled(ios());
    let nonsense = || Reply::Says(200, Bytes::from_static(b"<html>"));
    rig.script = [nonsense(), nonsense()].into();
    let action = rig.push();
    assert_eq!(rig.status(1), "CommandFormatError");
    assert_eq!(rig.asked.len(), 2);
    assert!(matches!(action.what, What::Sleep { .. }) && !action.until.is_never());
}

#[test]
fn a_result_is_owed_byte_for_byte_until_a_2xx() {
    let mut rig = Rig::enrolled(ios());
    let failures =
        [Reply::Says(500, Bytes::new()), Reply::Fails("timeout", Reached::Sent), Reply::Says(503, Bytes::new())];
    rig.script = [command("1", "SecurityInfo", "")].into();
    rig.script.push_back(failures[0].clone());
    let mut action = rig.push();
    let first = rig.asked[1].1.clone();
    for failure in &failures[1..] {
        let slept = std::mem::take(&mut rig.machine).fold();
        rig.machine = Apple::open(slept);
        rig.script = [failure.clone()].into();
        action = rig.time(&action);
        assert_eq!(rig.asked.last().unwrap(), &(Operation::AppleCommand, first.clone()));
    }
    rig.script = [ok()].into();
    rig.time(&action);
    assert_eq!(rig.asked.last().unwrap().1, first);
    let statuses: Vec<_> = rig.facts.iter().filter(|fact| matches!(fact, Fact::Accepted { .. })).collect();
    assert_eq!(statuses.len(), 1);
}

/// Apple's documentation, as far as it says, and what devices were seen to do.
#[test]
fn each_status_means_what_it_means_to_a_device() {
    let unrecognized = Bytes::from_static(b"{\"code\":\"com.apple.unrecognized.device\"}");
    let check = |reply: Reply, leaves: bool| {
        let mut rig = Rig::enrolled(ios());
        rig.script = [reply.clone()].into();
        let action = rig.push();
        assert_eq!(matches!(action.what, What::End(Why::Removed)), leaves, "{reply:?}");
        assert_eq!(rig.operations().contains(&"apple.check_out"), leaves, "{reply:?}");
        if !leaves {
            let wait = action.until.since(rig.world.clocks.now);
            assert!(wait > Dur::secs(3) && wait < Dur::secs(8), "{reply:?}: {wait}");
            rig.time(&action);
            assert_eq!(rig.operations(), ["apple.idle", "apple.idle"]);
        }
    };
    check(Reply::Says(401, Bytes::new()), true);
    check(Reply::Says(403, unrecognized.clone()), true);
    check(Reply::Says(403, Bytes::new()), false);
    for status in [400, 404, 410, 429, 500, 502, 503, 504] {
        check(Reply::Says(status, Bytes::new()), false);
    }
    check(Reply::Fails("timeout", Reached::Sent), false);
    check(Reply::Fails("connect_refused", Reached::Nothing), false);
    // iOS 16 does not know the code yet.
    let mut rig = Rig::enrolled(Character { os_version: "16.5".into(), ..ios() });
    rig.script = [Reply::Says(403, unrecognized)].into();
    assert!(matches!(rig.push().what, What::Sleep { .. }));
}

#[test]
fn a_locked_device_puts_off_and_comes_back_when_it_is_unlocked() {
    let mut rig = Rig::enrolled(Character { locked: (1.0, Dur::secs(30)), ..ios() });
    rig.script = [command("1", "RemoveProfile", "<key>Identifier</key><string>x</string>"), ok()].into();
    let action = rig.push();
    assert_eq!(rig.status(1), "NotNow");
    let wait = action.until.since(rig.world.clocks.now);
    assert!(wait >= Dur::secs(1) && wait <= Dur::secs(31), "{wait}");
    let answered = Fact::Accepted { command: droves_facts::CommandKey::of(b"1"), status: CommandStatus::NotNow };
    assert!(rig.facts.iter().any(|fact| format!("{fact:?}") == format!("{answered:?}")));
    // What iOS never puts off it does.
    rig.asked.clear();
    rig.script = [command("2", "DeviceInformation", "<key>Queries</key><array/>"), ok()].into();
    rig.push();
    assert_eq!(rig.status(1), "Acknowledged");
}

#[test]
fn a_profile_is_there_until_it_is_removed_and_not_after() {
    use base64::Engine;
    let mut rig = Rig::enrolled(ios());
    let profile = "<plist version=\"1.0\"><dict><key>PayloadContent</key><array/><key>PayloadIdentifier</key><string>wifi</string><key>PayloadType</key><string>Configuration</string><key>PayloadUUID</key><string>W</string><key>PayloadVersion</key><integer>1</integer></dict></plist>";
    let data = base64::engine::general_purpose::STANDARD.encode(profile);
    let install = command("1", "InstallProfile", &format!("<key>Payload</key><data>{data}</data>"));
    let remove = |uuid: &str| command(uuid, "RemoveProfile", "<key>Identifier</key><string>wifi</string>");
    rig.script =
        [install, command("2", "ProfileList", ""), remove("3"), command("4", "ProfileList", ""), remove("5"), ok()]
            .into();
    rig.push();
    let listed = |rig: &Rig, n: usize| {
        rig.message(n).get("ProfileList").and_then(|list| list.as_array().map(<[_]>::len)).unwrap()
    };
    assert_eq!(rig.status(1), "Acknowledged");
    assert_eq!(listed(&rig, 2) - listed(&rig, 4), 1);
    assert_eq!([rig.status(3), rig.status(5)], ["Acknowledged", "Error"]);
}

#[test]
fn a_wiped_device_is_gone_and_may_come_back_as_another_enrollment() {
    let mut rig = Rig::enrolled(Character { reenrolls_after_wipe: Some(Dur::secs(5)), ..ios() });
    let (certificate, magic) = {
        let record = rig.machine.record();
        (rig.world.identity.clone().unwrap().certificate.clone(), messages::magic(record.generation, &rig.world.ctx()))
    };
    rig.script = [command("1", "EraseDevice", ""), ok()].into();
    let action = rig.push();
    assert_eq!(rig.status(1), "Acknowledged");
    assert!(rig.facts.iter().any(|fact| matches!(fact, Fact::Unreachable)));
    assert!(rig.world.identity.is_none());
    assert!(!Apple::knows_magic(&rig.machine.record(), &magic, &rig.world.ctx()));
    rig.asked.clear();
    rig.time(&action);
    assert_eq!(rig.operations(), IN[..5]);
    assert_ne!(rig.world.identity.clone().unwrap().certificate, certificate);
    assert!(!Apple::knows_magic(&rig.machine.record(), &magic, &rig.world.ctx()));
    let mut rig = Rig::enrolled(ios());
    rig.script = [command("1", "EraseDevice", ""), ok()].into();
    assert!(matches!(rig.push().what, What::End(Why::Wiped)));
}

#[test]
fn a_renewal_keeps_the_enrollment_and_a_failed_one_changes_nothing() {
    let mut rig = Rig::enrolled(ios());
    let before = rig.world.identity.clone().unwrap();
    rig.order(Order::Renew);
    assert_eq!(rig.operations(), IN[..5]);
    assert_eq!(rig.ended, [(Operation::Renew, Outcome::Succeeded)]);
    assert_ne!(rig.world.identity.clone().unwrap(), before);
    let kept = rig.world.identity.clone().unwrap();
    rig.asked.clear();
    // The server refuses the new identity: the old one is in force.
    rig.script = [Reply::Says(400, Bytes::new())].into();
    rig.order(Order::Renew);
    assert_eq!(rig.world.identity.clone().unwrap(), kept);
    assert_eq!(rig.ended.len(), 2);
}

#[test]
fn leaving_says_check_out_and_the_users_channels_end() {
    let mut rig = Rig::enrolled(Character { users: 2, ..mac() });
    assert_eq!(
        rig.orders.iter().map(|(channel, note)| (*channel, note.order)).collect::<Vec<_>>(),
        [(1, Order::Enroll), (2, Order::Enroll)]
    );
    rig.orders.clear();
    let action = rig.order(Order::Unenroll);
    assert_eq!(rig.operations(), ["apple.check_out"]);
    assert!(matches!(action.what, What::End(Why::Removed)));
    assert!(rig.orders.iter().all(|(_, note)| note.order == Order::MainEnded) && rig.orders.len() == 2);
}

#[test]
fn a_user_channel_has_its_own_token_and_speaks_for_its_user() {
    let mut main = Rig::enrolled(Character { users: 1, ..mac() });
    let mut user = Rig::new(Character { users: 1, ..mac() });
    user.world.channel = 1;
    user.world.lane = droves_facts::LaneIx(10);
    user.world.identity = main.world.identity.clone();
    user.machine = Apple::open(Slept { shared: main.machine.sister(), ..Slept::default() });
    let action = user.order(Order::Enroll);
    let action = user.time(&action);
    assert_eq!(user.operations(), ["apple.token_update"]);
    let message = user.message(0);
    assert!(message.get("UserID").is_some() && message.get("UserShortName").is_some());
    main.push();
    assert_eq!(message.get("UDID"), main.message(0).get("UDID"));
    user.time(&action);
    assert_eq!(user.operations(), ["apple.token_update", "apple.idle"]);
}

#[test]
fn what_a_ca_or_a_profile_says_wrong_fails_the_enrollment_in_words() {
    let mut rig = Rig::new(ios());
    rig.script = [Reply::Says(418, Bytes::new())].into();
    let action = rig.order(Order::Enroll);
    assert!(matches!(action.what, What::End(Why::GaveUp)));
    assert!(matches!(rig.ended[..], [(Operation::Enroll, Outcome::Failed { .. })]));
    assert!(rig.facts.iter().any(|fact| matches!(fact, Fact::Complaint { .. })));
    let mut rig = Rig::new(ios());
    rig.world.character.profile = ProfileSource::Bytes(Arc::from(&b"<plist><dict/></plist>"[..]));
    assert!(matches!(rig.order(Order::Enroll).what, What::End(Why::GaveUp)));
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let status = prop::sample::select(vec![200_u16, 200, 200, 301, 400, 401, 403, 404, 410, 500, 503]);
    let body = prop_oneof![
        Just(Bytes::new()),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        prop::sample::select(vec![
            "DeviceInformation",
            "ProfileList",
            "SecurityInfo",
            "EraseDevice",
            "RestartDevice",
            "Settings",
            "X"
        ])
        .prop_map(|request| match command("u", request, "") {
            Reply::Says(_, body) => body,
            Reply::Fails(..) => Bytes::new(),
        }),
    ];
    prop_oneof![
        4 => (status, body).prop_map(|(status, body)| Reply::Says(status, body)),
        1 => Just(Reply::Fails("reset", Reached::Sent)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Whatever a server says, the device sleeps or ends, never wakes itself in the past, and folds without a loss.
    #[test]
    fn no_server_can_break_a_device(replies in prop::collection::vec(any_reply(), 0..60), orders in prop::collection::vec(0_u8..5, 1..12)) {
        let mut rig = Rig::new(ios());
        rig.script = replies.into();
        let mut action = rig.order(Order::Enroll);
        for order in orders {
            prop_assert!(action.until > rig.world.clocks.now, "{action:?}");
            let slept = std::mem::take(&mut rig.machine).fold();
            let again = Apple::open(slept.clone()).fold();
            prop_assert_eq!((slept.record, &slept.shared, &slept.own), (again.record, &again.shared, &again.own));
            rig.machine = Apple::open(slept);
            let ended = matches!(action.what, What::End(_));
            action = match order {
                _ if ended => rig.order(Order::Enroll),
                0 => rig.order(Order::CheckIn),
                1 => rig.order(Order::Renew),
                2 => rig.order(Order::Unenroll),
                3 if !action.until.is_never() => rig.time(&action),
                _ if action.hear.has(Reasons::PUSH) => rig.push(),
                _ => rig.order(Order::CheckIn),
            };
        }
    }
}
