//! The devices of a run without a socket and without a clock: the same shard and the same machines, with the practice
//! server's brain behind a model of service times. An hour takes a second.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_device::apple::Apple;
use droves_device::tape::{Player, Problem, Record};
use droves_device::{
    Body, Character, Clocks, Enrolls, Failure, Habits, KeyIx, Made, Method, ProfileSource, Request, Retry, Sign, Work,
};
use droves_emulators::practice::windows::Settings;
use droves_emulators::practice::{Brain, Faults, Incoming, Outgoing, Proof, Told, Wake};
use droves_engine::forecast::{SCEP_REPLY_BYTES, SCEP_REQUEST_BYTES};
use droves_facts::{
    DeviceState, Dice, Dur, Fact, LaneIx, Limits, Mono, Operation, Outcome, PhaseIx, Platform, Wall, What,
};
use droves_scenario::Given;
use droves_shard::forecast::{Forecast, Model, Notification, SIGNATURE_BYTES, World};
use droves_shard::{Answer, Cells, Config, Shard};
use droves_wire::apple::checkin::Message;
use droves_wire::apple::push::Tokens;
use droves_wire::apple::{request, scep, signature};
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use droves_wire::plist;
use http::{HeaderMap, HeaderValue, Uri, header};
use std::sync::{Arc, OnceLock};

const DEVICES: u32 = 24;
const ADMIN: &str = "secret";

/// The practice server, which takes a while, and pushes that arrive at once.
struct Practice {
    brain: Brain,
    tokens: Arc<Tokens>,
    wakes: Vec<Wake>,
    answers: u64,
    /// Devices that said Authenticate.
    enrollments: Vec<String>,
    /// Longest of the real signatures, SCEP requests and SCEP replies.
    longest: [usize; 3],
}

fn authority() -> Arc<Authority> {
    static AUTHORITY: OnceLock<Arc<Authority>> = OnceLock::new();
    Arc::clone(AUTHORITY.get_or_init(|| Arc::new(Authority::create("Test", Wall::VIRTUAL_START).unwrap())))
}

fn key(KeyIx(ix): KeyIx) -> &'static Key {
    static KEYS: [OnceLock<Key>; 2] = [const { OnceLock::new() }; 2];
    KEYS[ix as usize].get_or_init(|| Key::generate_rsa(2_048).unwrap())
}

impl Practice {
    fn new(tokens: Arc<Tokens>) -> Self {
        let url = "http://127.0.0.1:1".to_owned();
        let told = Told { windows_url: url.clone(), url, topic: "com.apple.mgmt.External.test".to_owned() };
        let faults = Faults::new(&[], Dice::new(1));
        let brain = Brain::new(authority(), told, ADMIN.to_owned(), Limits::default(), faults, Settings::default());
        Practice { brain, tokens, wakes: Vec::new(), answers: 0, enrollments: Vec::new(), longest: [0; 3] }
    }

    fn ask(&mut self, clocks: Clocks, method: &str, uri: &str, signature: Option<&[u8]>, body: &[u8]) -> Outgoing {
        let uri: Uri = uri.parse().unwrap();
        let authorization = format!("Bearer {ADMIN}");
        let incoming = Incoming {
            method,
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            authorization: Some(authorization.as_bytes()),
            content_type: None,
            range: None,
            proof: signature.map_or(Proof::Nothing, Proof::Signature),
            body,
        };
        self.brain.answer(clocks.now, clocks.wall, &incoming, &mut self.wakes)
    }

    /// The pushes that the administrator has asked for.
    fn pushes(&mut self) -> Vec<Notification> {
        let named = |wake: Wake| {
            let Wake::Apple { token, magic } = wake else { panic!("a channel of Windows") };
            let (lane, _) = self.tokens.find(&hex::decode(token).unwrap()).unwrap();
            Notification { lane, magic: Some(magic), late: Dur::ZERO, is_refused: false, urgent: false }
        };
        std::mem::take(&mut self.wakes).into_iter().map(named).collect()
    }

    /// What the administrator does for all devices.
    fn administer(&mut self, clocks: Clocks, method: &str, path: &str, body: &[u8]) {
        let uri = format!("{path}?ids={}", self.enrollments.join(","));
        let outgoing = self.ask(clocks, method, &uri, None, body);
        assert_eq!(outgoing.status, 200, "{path}: {:?}", outgoing.body);
    }
}

impl World for Practice {
    fn answer(&mut self, clocks: Clocks, _lane: LaneIx, request: &Request) -> (Dur, Result<Answer, Failure>) {
        let body = match &request.body {
            Body::Empty => &[][..],
            Body::Bytes(bytes) => bytes,
        };
        if request.operation == Operation::AppleAuthenticate {
            let value = plist::read(body, &Limits::default()).unwrap();
            let Ok(Message::Authenticate(message)) = Message::of(&value) else { panic!("no Authenticate") };
            self.enrollments.push(format!("{:?}", message.id).split('"').nth(1).unwrap().to_owned());
        }
        let signature = request.sign.as_ref().zip(request.identity.as_ref()).map(|(sign, identity)| {
            let Sign::Message { time, .. } = sign else { panic!("the practice server's profile has no ACME in it") };
            signature::sign(body, key(identity.key), &identity.certificate, *time).unwrap().into_bytes()
        });
        let length = signature.as_ref().map_or(0, Vec::len);
        self.longest[0] = self.longest[0].max(length);
        let method = match request.method {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Put => "PUT",
            Method::Post => "POST",
        };
        let outgoing = self.ask(clocks, method, &request.url, signature.as_deref(), body);
        self.answers += 1;
        if request.operation == Operation::AppleScepIssue {
            self.longest[1] = self.longest[1].max(body.len());
            self.longest[2] = self.longest[2].max(outgoing.body.len());
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(outgoing.content_type));
        let takes = Dur::ms(2 + self.answers % 7) + outgoing.after;
        (takes, Ok(Answer { status: outgoing.status, headers, body: outgoing.body, digested: 0 }))
    }

    fn make(&mut self, clocks: Clocks, lane: LaneIx, work: Work) -> (Dur, Result<Made, Failure>) {
        let made = match work {
            Work::Key { .. } => Made::Key(KeyIx(lane.0 % 2)),
            Work::Unpack { .. }
            | Work::Attest { .. }
            | Work::AcmeRequest { .. }
            | Work::AcmeOpen { .. }
            | Work::WindowsRequest { .. } => {
                panic!("the practice server's profile has SCEP in it")
            }
            Work::ScepRequest { request, key: ix, .. } => {
                let (body, pending) = scep::build(&request, key(ix), None, clocks.wall).unwrap();
                Made::ScepRequest { body: body.into(), pending: Box::new(pending) }
            }
            Work::ScepOpen { reply, pending, key: ix, .. } => {
                Made::ScepReply(scep::open(&reply, &pending, key(ix), None, &Limits::default()).unwrap())
            }
        };
        (Dur::ms(1), Ok(made))
    }
}

fn character() -> Character {
    Character {
        platform: Platform::Ios,
        model: "iPhone16,1".into(),
        os_version: "18.1".into(),
        enrolls: Enrolls::Profile(ProfileSource::Url("http://127.0.0.1:1/enroll".into())),
        allow_http: true,
        retry: Retry::AsPlatform,
        wake: (Dur::ms(500), 0.5),
        pace: 1.0,
        locked: (0.0, Dur::secs(1)),
        habits: Habits::default(),
        cloned: 0.0,
        users: 0,
        reenrolls_after_wipe: None,
    }
}

fn forecast(seed: u64) -> Forecast<Apple, Practice> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("day.yaml");
    let text = format!(
        "droves: 1\ntarget: {{ server: practice }}\nfleet:\n  populations:\n    phones: {{ platform: ios, count: {DEVICES} }}\n\
         phases:\n  - enroll: {{ who: all, arrivals: {{ rate: 2/s }} }}\n    until: {{ enrolled: 100%, within: 1h }}\n  \
         - check_in: {{ who: all, arrivals: {{ each: {{ every: 10m, jitter: 1m }} }} }}\n    for: 1h\n"
    );
    std::fs::write(&path, text).unwrap();
    let loaded = droves_scenario::load(&path, &Given { seed: Some(seed), ..Given::default() }, |_| None);
    let plan = loaded.map_or_else(|problems| panic!("{problems}"), |loaded| loaded.plan);
    let roster = Arc::new(plan.roster());
    let tokens = Arc::new(Tokens::new([7; 32]));
    let config = Config {
        cells: Arc::new(Cells::new(&roster, 1)),
        plan: Arc::new(plan),
        roster,
        shard: 0,
        characters: Arc::new([character()]),
        limits: Arc::new(Limits::default()),
        tokens: Arc::clone(&tokens),
        sessions_max: 1_000,
        keeps: false,
    };
    let dice = config.plan.dice();
    Forecast::new(Shard::new(config, |_| 0), Practice::new(tokens), Model::default(), dice)
}

/// An hour: gives what was said, and what the server counted.
fn hour(seed: u64) -> (Vec<Fact>, Practice) {
    let run = live(forecast(seed));
    (run.facts, run.world)
}

/// Enrolls, checks in for an hour, and is pushed for a command.
fn live(mut run: Forecast<Apple, Practice>) -> Forecast<Apple, Practice> {
    run.begin(PhaseIx(0));
    assert!(run.run_until(Mono::ZERO + Dur::secs(60), 100_000));
    run.end(PhaseIx(0));
    run.begin(PhaseIx(1));
    assert!(run.run_until(Mono::ZERO + Dur::secs(3_660), 1_000_000));
    run.end(PhaseIx(1));
    let mut plist = Vec::new();
    request::write(&mut plist, "ONE", &request::Request::SecurityInfo);
    let clocks = run.clocks();
    run.world.administer(clocks, "PUT", "/admin/v1/commands", &plist);
    run.world.administer(clocks, "POST", "/admin/v1/push", &[]);
    for notification in run.world.pushes() {
        run.push(notification);
    }
    assert!(run.run_until(Mono::ZERO + Dur::secs(3_800), 1_000_000));
    run
}

#[test]
fn the_same_devices_live_an_hour_in_virtual_time() {
    let (facts, practice) = hour(7);
    let truth = practice.brain.truth();
    let count = |is: &dyn Fn(&What) -> bool| facts.iter().filter(|fact| is(&fact.what)).count() as u32;
    assert_eq!(count(&|what| matches!(what, What::Device { to: DeviceState::Enrolled, .. })), DEVICES);
    assert_eq!(truth["enrolled"]["devices"], DEVICES);
    assert_eq!(truth["issued"], DEVICES);
    assert_eq!(count(&|what| matches!(what, What::RequestEnded { outcome: Outcome::Failed { .. }, .. })), 0);
    // One by itself after enrolling, six by the clock with jitter at the ends, one by push.
    let sessions = count(&|what| matches!(what, What::RequestEnded { operation: Operation::AppleIdle, .. }));
    assert!((DEVICES * 7..=DEVICES * 9).contains(&sessions), "{sessions}");
    assert_eq!(truth["commands"]["SecurityInfo"]["delivered"], DEVICES);
    assert_eq!(count(&|what| matches!(what, What::Accepted { .. })), DEVICES);
    // What the virtual shell reckons with, where nobody signs and nobody issues.
    let reckoned = [SIGNATURE_BYTES as usize, SCEP_REQUEST_BYTES, SCEP_REPLY_BYTES];
    for (real, reckoned) in practice.longest.into_iter().zip(reckoned) {
        assert!((real as f64 / reckoned as f64 - 1.0).abs() < 0.1, "{:?} {reckoned}", practice.longest);
    }
}

#[test]
fn a_seed_is_one_hour_and_another_seed_another() {
    let said = |seed| hour(seed).0.iter().map(|fact| format!("{fact:?}")).collect::<Vec<_>>();
    let (once, twice, other) = (said(7), said(7), said(8));
    assert!(once == twice);
    assert!(once != other);
}

/// Every answer that an Apple device gives follows from what it hears. A device of another kind answers otherwise.
#[test]
fn the_machines_of_an_hour_answer_once_more_as_they_are_taped() {
    let mut run = forecast(7);
    run.shard.start_tape();
    let mut run = live(run);
    let mut records = Vec::new();
    run.shard.drain_tape(&mut records);
    let player =
        |character| Player::<Apple>::new(Dice::new(7), Tokens::new([7; 32]), vec![character], Limits::default());
    let mut same = player(character());
    records.iter().cloned().for_each(|record| same.play(record).unwrap());
    let steps = records.iter().filter(|record| matches!(record, Record::Step(_))).count() as u64;
    assert_eq!((same.steps(), same.lanes()), (steps, DEVICES as usize));
    assert!(steps > 500, "{steps}");
    let mut other = player(Character { os_version: "18.2".into(), ..character() });
    let problem = records.iter().cloned().find_map(|record| other.play(record).err());
    let Some(Problem::Differs(found)) = problem else { panic!("{problem:?}") };
    let said = found.to_string();
    // Authenticate is the first message that names the version.
    assert!(
        said.contains("apple.authenticate") && said.contains("differs: the action\n") && said.contains("18.2"),
        "{said}"
    );
}
