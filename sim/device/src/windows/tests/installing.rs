//! Certificates that a server has the device get by SCEP.

use super::own::Own;
use super::*;
use droves_wire::apple::scep::server::{self, Verdict, Wanted};
use droves_wire::digest;

/// A CA, and how it is.
#[derive(Default)]
pub(super) struct Ca {
    /// How many requests more it leaves pending.
    pending: u32,
    refuses: bool,
    /// What it was asked for: subject and challenge.
    asked: Vec<(String, String)>,
    spki: Vec<u8>,
    issued: Vec<u8>,
}

impl Ca {
    pub(super) fn says(&mut self, operation: Operation, body: &[u8], now: Wall) -> Bytes {
        match operation {
            Operation::WindowsScepCaps => return Bytes::from_static(server::CAPABILITIES.as_bytes()),
            Operation::WindowsScepCa => return Bytes::copy_from_slice(authority().certificate()),
            Operation::WindowsScepIssue => {}
            other => panic!("nobody asked for {other}"),
        }
        let received = server::open(body, authority(), &Default::default()).unwrap();
        if let Wanted::Issue(csr) = &received.what {
            self.asked.push((csr.subject.clone(), csr.challenge.clone().unwrap_or_default()));
            self.spki.clone_from(&csr.spki);
        }
        self.issued = authority().issue_identity("x", &self.spki, self.asked.len() as u64, now).unwrap();
        let verdict = match self.pending.checked_sub(1) {
            Some(left) => {
                self.pending = left;
                Verdict::Pending
            }
            None if self.refuses => Verdict::Failed(&scep::FailInfo::BadRequest),
            None => Verdict::Issued(&self.issued),
        };
        server::reply(&received, verdict, authority(), [3; 16]).unwrap().into()
    }
}

const SCEP: &str = "./Device/Vendor/MSFT/ClientCertificateInstall/SCEP";
const EXCHANGE: [&str; 3] = ["windows.scep.caps", "windows.scep.ca", "windows.scep.issue"];

/// What a server says to have a certificate got: these nodes over the usual ones, and `Enroll`.
pub(super) fn wants(id: &str, over: &[(&str, &str, &str)]) -> Vec<Command<'static>> {
    let usual = [
        ("ServerURL", "chr", "http://ca.example.test/scep"),
        ("Challenge", "chr", "secret"),
        ("SubjectName", "chr", "CN=PC7,O=\"Example, Inc\""),
        ("KeyUsage", "int", "160"),
        ("HashAlgorithm", "chr", "SHA-1+SHA-2"),
        ("RetryCount", "int", "2"),
        ("RetryDelay", "int", "3"),
    ];
    let usual = usual.iter().filter(|(name, ..)| !over.iter().any(|(other, ..)| other == name));
    let add = |(name, format, data): &(&str, &str, &str)| {
        let mut command = command(&format!("{id}-{name}"), Verb::Add, &format!("{SCEP}/{id}/Install/{name}"), data);
        if let Body::Nodes { items, .. } = &mut command.body {
            items[0].meta.format = Some((*format).to_owned().into());
        }
        command
    };
    let enroll = command(&format!("{id}-enroll"), Verb::Exec, &format!("{SCEP}/{id}/Install/Enroll"), "");
    usual.chain(over).map(add).chain([enroll]).collect()
}

impl Rig {
    /// Source and data of each alert about SCEP in the message that was sent as number `n`.
    fn told_of(&self, n: usize) -> Vec<(String, String)> {
        let told = self.told(n);
        let alerts = told.commands.iter().filter_map(|command| match &command.body {
            Body::Alert { code: 1226, items } => items.first(),
            _ => None,
        });
        let ours = alerts.filter(|item| item.meta.kind.as_deref() == Some("com.microsoft:mdm.SCEP"));
        let text = |item: &syncml::Item<'_>| match &item.data {
            Some(Data::Text(text)) => (item.source.as_deref().unwrap_or_default().to_owned(), text.to_string()),
            other => panic!("{other:?}"),
        };
        ours.map(text).collect()
    }

    /// The data of every alert about SCEP that the server has got.
    fn outcomes(&self) -> Vec<String> {
        let managed = |asked: &Asked| matches!(asked.operation, Operation::WindowsFirst | Operation::WindowsMessage);
        let messages = (0..self.asked.len()).filter(|&n| managed(&self.asked[n]));
        messages.flat_map(|n| self.told_of(n)).map(|(_, data)| data).collect()
    }

    /// The time that it sleeps for has come.
    fn on_time(&mut self, rest: &Action) -> Action {
        self.pass(rest.until);
        let due = self.world.clocks.now;
        self.on(Event::Wake(Wake { reasons: Reasons::TIME, due, notes: &[] }))
    }

    /// What a node below `SCEP/<id>` shows to the server.
    fn shows(&mut self, id: &str, name: &str) -> String {
        self.pushed([says([get("1", &format!("{SCEP}/{id}/{name}"))])]);
        let told = self.told(1);
        let found = told.commands.iter().find_map(|command| match &command.body {
            Body::Results { items, .. } => items.first(),
            _ => None,
        });
        match found.and_then(|item| item.data.as_ref()) {
            Some(Data::Text(text)) => text.to_string(),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// An install that comes to nothing: of which kind that is, and what the server is told.
    fn comes_to_nothing(&mut self, over: &[(&str, &str, &str)], kind: &'static str, code: i32) {
        let forget = command("forget", Verb::Delete, &format!("{SCEP}/Wi-Fi"), "");
        self.pushed([says([forget].into_iter().chain(wants("Wi-Fi", over)))]);
        assert_eq!((self.complaints(), self.outcomes()), (vec![kind], vec![code.to_string()]));
        assert_eq!(self.operations().last(), Some(&"windows.first_message"));
        let asked = self.operations();
        assert_eq!((self.shows("Wi-Fi", "Status"), self.shows("Wi-Fi", "ErrorCode")), ("16".into(), code.to_string()));
        assert_eq!(asked.iter().filter(|asked| **asked == "windows.first_message").count(), 2);
    }
}

#[test]
fn a_certificate_is_got_after_the_session_and_told_of_in_the_next() {
    let mut rig = Rig::enrolled();
    let identity = rig.world.identity.clone();
    let is_ours = authority().certificate();
    let thumbprint = hardware::hex(&digest::sha1(is_ours)).to_ascii_lowercase();
    rig.pushed([says(wants("Wi-Fi", &[("CAThumbprint", "chr", &thumbprint)]))]);
    let session = ["windows.first_message", "windows.message"];
    assert_eq!(rig.operations(), [&session[..], &EXCHANGE, &session[..1]].concat());
    let url = |n: usize| rig.asked[n].url.to_string();
    assert_eq!(url(2), "http://ca.example.test/scep?operation=GetCACaps&message=default");
    assert_eq!(url(4), "http://ca.example.test/scep?operation=PKIOperation");
    assert_eq!(rig.ca.asked, [("O=Example\\, Inc,CN=PC7".to_owned(), "secret".to_owned())]);
    let source = format!("{SCEP}/Wi-Fi");
    assert_eq!((rig.told_of(0), rig.told_of(5)), (vec![], vec![(source, "0".to_owned())]));
    assert_eq!((rig.complaints(), &rig.world.identity), (Vec::new(), &identity));
    let issued = hardware::hex(&digest::sha1(&rig.ca.issued));
    assert_eq!((rig.shows("Wi-Fi", "CertThumbprint"), rig.shows("Wi-Fi", "Status")), (issued, "1".to_owned()));
    // It is told once.
    assert_eq!(rig.told_of(0), []);
}

#[test]
fn sessions_go_on_while_a_ca_has_it_pending() {
    let mut rig = Rig::enrolled();
    rig.ca.pending = 2;
    let action = rig.pushed([says(wants("Wi-Fi", &[]))]);
    assert_eq!((rig.wait(&action), rig.operations().last()), (Dur::secs(180), Some(&"windows.scep.issue")));
    assert_eq!(rig.shows("Wi-Fi", "Status"), "2");
    assert_eq!((rig.operations().len(), rig.outcomes()), (2, vec![]));
    // Two polls, three minutes apart.
    let action = rig.time(&action);
    assert_eq!(rig.wait(&action), Dur::secs(180));
    rig.time(&action);
    assert_eq!(rig.operations()[2..], ["windows.scep.issue", "windows.scep.issue", "windows.first_message"]);
    assert_eq!((rig.outcomes(), rig.ca.asked.len(), rig.complaints()), (vec!["0".to_owned()], 1, Vec::new()));
}

#[test]
fn a_ca_that_never_decides_is_given_up() {
    let mut rig = Rig::enrolled();
    rig.ca.pending = 9;
    let mut action = rig.pushed([says(wants("Wi-Fi", &[]))]);
    for _ in 0..2 {
        action = rig.time(&action);
    }
    assert_eq!((rig.complaints(), rig.ca.pending), (vec!["scep_pending"], 6));
    assert_eq!(rig.outcomes(), [0x8007_05B4_u32.cast_signed().to_string()]);
}

#[test]
fn what_comes_to_nothing_is_told() {
    let mut rig = Rig::enrolled();
    rig.ca.refuses = true;
    rig.comes_to_nothing(&[], "scep_failure", -2_146_877_423);
    rig.comes_to_nothing(&[("CAThumbprint", "chr", &"AB".repeat(20))], "scep_ca", -2_146_889_721);
    rig.comes_to_nothing(&[("CAThumbprint", "chr", "no digits")], "scep_ca", -2_146_889_721);
    assert_eq!(rig.ca.asked.len(), 1);
    rig.comes_to_nothing(&[("SubjectName", "chr", "PC7")], "scep_subject", -2_147_024_809);
    rig.comes_to_nothing(&[("HashAlgorithm", "chr", "SHA-3")], "scep_hash", -2_147_024_809);
    rig.enrollment.push_back((Operation::WindowsScepCaps, Reply::Fails("reset")));
    rig.comes_to_nothing(&[], "reset", -2_147_012_867);
    rig.enrollment.push_back((Operation::WindowsScepCa, Reply::Says(503, Bytes::new())));
    rig.comes_to_nothing(&[], "status_503", -2_147_467_259);
    rig.enrollment.push_back((Operation::WindowsScepIssue, Reply::Says(200, Bytes::from_static(b"no reply"))));
    rig.comes_to_nothing(&[], "scep_reply", -2_147_467_259);
}

#[test]
fn the_next_server_is_asked_where_one_fails() {
    let mut rig = Rig::enrolled();
    rig.enrollment.push_back((Operation::WindowsScepCa, Reply::Says(404, Bytes::new())));
    let servers = "https://a.example.test/scep; https://b.example.test/scep";
    rig.pushed([says(wants("Wi-Fi", &[("ServerURL", "chr", servers)]))]);
    assert_eq!((rig.complaints(), rig.outcomes()), (vec!["status_404"], vec!["0".to_owned()]));
    let hosts: Vec<_> = rig.asked.iter().filter_map(|asked| asked.url.split('/').nth(2)).collect();
    assert_eq!(hosts[2..7], ["a", "a", "b", "b", "b"].map(|host| format!("{host}.example.test")));
}

#[test]
fn several_are_got_one_after_the_other() {
    let mut rig = Rig::enrolled();
    // The first is wanted twice, which makes it the last.
    let all = [wants("VPN", &[]), wants("Wi-Fi", &[("SubjectName", "chr", "CN=b")]), wants("VPN", &[])];
    rig.pushed([says(all.into_iter().flatten())]);
    assert_eq!(rig.operations()[2..], [&EXCHANGE[..], &EXCHANGE, &["windows.first_message"]].concat());
    assert_eq!(
        rig.ca.asked.iter().map(|(subject, _)| &**subject).collect::<Vec<_>>(),
        ["CN=b", "O=Example\\, Inc,CN=PC7"]
    );
    let told = ["Wi-Fi", "VPN"].map(|id| (format!("{SCEP}/{id}"), "0".to_owned()));
    assert_eq!((rig.told_of(8), rig.complaints()), (told.to_vec(), Vec::new()));
}

/// Once the session is over in which it was asked for, the server hears how it went, whatever is lost.
#[test]
fn no_install_is_lost_wherever_the_process_ends() {
    for steps in 0.. {
        let mut rig = Rig::enrolled();
        rig.ca.pending = 1;
        rig.forget();
        rig.script.push_back(says(wants("Wi-Fi", &[])));
        let due = rig.world.clocks.now;
        let mut action = rig.on(Event::Wake(Wake { reasons: Reasons::PUSH, due, notes: &[] }));
        while Own::decode(rig.saved.own.as_deref()).scep.is_empty() {
            action = rig.react(action).unwrap();
        }
        let mut is_over = false;
        for _ in 0..steps {
            match rig.react(action) {
                Ok(next) => action = next,
                Err(rest) if rig.outcomes().is_empty() => action = rig.on_time(&rest),
                Err(_) => {
                    is_over = true;
                    break;
                }
            }
        }
        rig.machine = Windows::open(rig.saved.clone());
        rig.world.identity.clone_from(&rig.saved_identity);
        let mut action = rig.wake(Reasons::TIME, &[]);
        if rig.outcomes().is_empty() {
            action = rig.time(&action);
        }
        assert!(rig.outcomes().iter().all(|code| code == "0") && !rig.outcomes().is_empty(), "after {steps}");
        assert_eq!((rig.shows("Wi-Fi", "Status"), rig.complaints()), ("1".to_owned(), Vec::new()), "{action:?}");
        if is_over {
            assert!(steps > 10, "{steps}");
            return;
        }
    }
}
