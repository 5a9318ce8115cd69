//! Who a device is, beside its certificate.

use super::*;

const NAME: &str = "./SyncML/DMAcc/Test/AppAuth/CLCRED/AAuthName";
const SECRET: &str = "./SyncML/DMAcc/Test/AppAuth/CLCRED/AAuthSecret";
/// Base64 of `nonce-1` and `nonce-2`.
const NONCES: [&str; 2] = ["bm9uY2UtMQ==", "bm9uY2UtMg=="];

impl Rig {
    /// Credentials of the message that was sent as number `n`.
    fn credentials(&self, n: usize) -> Option<String> {
        self.told(n).header.credentials.map(|credentials| format!("{} {}", credentials.kind, credentials.data))
    }
}

fn md5(name: &str, secret: &str, nonce: &str) -> Option<String> {
    Some(format!("syncml:auth-md5 {}", syncml::md5(name, secret, nonce.as_bytes())))
}

#[test]
fn a_challenge_is_answered_with_the_same_package_and_a_digest() {
    let mut rig = Rig::enrolled();
    rig.pushed([Reply::Challenge(407, syncml::MD5, NONCES[0]), says([get("1", "UPN")]), says([])]);
    assert_eq!(rig.credentials(0), None);
    assert_eq!(rig.credentials(1), md5("name", "secret", "nonce-1"));
    // 200 keeps credentials in every message.
    assert_eq!(rig.credentials(2), md5("name", "secret", "nonce-1"));
    let again = rig.told(1);
    assert_eq!((&*again.header.session, &*again.header.message), (&*rig.told(0).header.session, "2"));
    assert!(matches!(&again.commands[0].body, Body::Status(status) if status.command == "0" && status.message == "1"));
    let bodies = |told: &Message<'_>| told.commands.iter().map(|c| c.body.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(bodies(&again)[1..], bodies(&rig.told(0)));
    assert_eq!(rig.complaints(), Vec::<&str>::new());
}

#[test]
fn another_nonce_counts_from_the_next_message_on() {
    let mut rig = Rig::enrolled();
    let accepts_with = |code: u16| {
        Reply::Made(Box::new(move |told: &Message<'_>| {
            let challenge = Challenge { kind: syncml::MD5.into(), next_nonce: Some(NONCES[1].into()) };
            let status = Status {
                message: told.header.message.to_string().into(),
                command: "0".into(),
                name: "SyncHdr".into(),
                challenge: Some(challenge),
                code,
                ..Status::default()
            };
            let status = Command { id: "h".into(), body: Body::Status(status) };
            Message {
                header: Header { message: "2".into(), ..Header::default() },
                commands: vec![status, get("1", "UPN")],
                last: true,
            }
        }))
    };
    rig.pushed([Reply::Challenge(401, syncml::MD5, NONCES[0]), accepts_with(200), says([])]);
    assert_eq!(rig.credentials(2), md5("name", "secret", "nonce-2"));
    // 212 wants no more of them.
    rig.pushed([Reply::Challenge(401, syncml::MD5, NONCES[0]), accepts_with(212), says([])]);
    assert_eq!(rig.credentials(1), md5("name", "secret", "nonce-1"));
    assert_eq!(rig.credentials(2), None);
}

#[test]
fn basic_credentials_are_given_where_they_are_asked_for() {
    let mut rig = Rig::enrolled();
    rig.pushed([Reply::Challenge(407, syncml::BASIC, "")]);
    assert_eq!(rig.credentials(1), Some(format!("syncml:auth-basic {}", syncml::basic("name", "secret"))));
}

#[test]
fn a_server_that_is_never_content_ends_the_session() {
    let mut rig = Rig::enrolled();
    rig.pushed([Reply::Challenge(407, syncml::MD5, NONCES[0]), Reply::Challenge(401, syncml::MD5, NONCES[1])]);
    assert_eq!((rig.asked.len(), rig.complaints()), (2, vec!["credentials"]));
    let mut rig = Rig::enrolled();
    rig.pushed([Reply::Challenge(407, "syncml:auth-MAC", "")]);
    assert_eq!((rig.asked.len(), rig.complaints()), (1, vec!["challenge"]));
}

#[test]
fn another_secret_is_on_disk_before_the_device_says_so() {
    let mut rig = Rig::enrolled();
    rig.script = VecDeque::from([
        says([command("1", Verb::Replace, NAME, "new name"), command("2", Verb::Replace, SECRET, "new secret")]),
        Reply::Challenge(407, syncml::MD5, NONCES[0]),
        says([]),
    ]);
    let now = rig.world.clocks.now;
    let mut action = rig.on(Event::Wake(Wake { reasons: Reasons::PUSH, due: now, notes: &[] }));
    let mut saved_before = None;
    loop {
        let is_second =
            matches!(&action.what, What::Request(request) if request.operation == Operation::WindowsMessage);
        if is_second && saved_before.is_none() {
            let on_disk = Lane::open(rig.saved.record, Arc::clone(&rig.saved.shared), rig.saved.own.as_deref());
            saved_before = Some(on_disk.own.credentials.secret.to_string());
        }
        match rig.react(action) {
            Ok(next) => action = next,
            Err(_) => break,
        }
    }
    assert_eq!(saved_before.as_deref(), Some("new secret"));
    let n = rig.asked.len() - 3;
    assert_eq!(rig.codes(n + 1), [("1".to_owned(), 200), ("2".to_owned(), 200)]);
    // The message that was challenged is said again, now with what is new.
    assert_eq!(rig.codes(n + 2), [("1".to_owned(), 200), ("2".to_owned(), 200)]);
    assert_eq!(rig.credentials(n + 2), md5("new name", "new secret", "nonce-1"));
}

#[test]
fn messages_are_signed_where_the_server_wants_it() {
    let mut rig = Rig::new(windows());
    rig.document.settings.push(setting("", "RequireMessageSigning", "true"));
    rig.order(Order::Enroll);
    let signed: Vec<bool> = rig.asked.iter().map(|asked| asked.signed).collect();
    assert_eq!(signed, [false, false, false, true]);
}
