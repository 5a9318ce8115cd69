//! SCEP against micromdm's programs: a device of ours enrolls and renews at `scepserver`, `scepclient` enrolls at a CA of
//! ours. `cargo xtask peers` installs both.
#![expect(clippy::unwrap_used, reason = "tests")]

use droves_facts::{Limits, Wall};
use droves_wire::apple::profile::AltNames;
use droves_wire::apple::scep::server::{self, Verdict, Wanted};
use droves_wire::apple::scep::{self, CaCertificates, Capabilities, FailInfo, Issue, Reply, Request};
use droves_wire::ca::Authority;
use droves_wire::keys::Key;
use droves_wire::x509;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const CHALLENGE: &str = "open sesame";

fn now() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Wall(since.as_micros() as i64)
}

/// A program of `DROVES_PEERS`, or on the path. CI must have it; elsewhere its absence is noted.
fn program(name: &str) -> Option<PathBuf> {
    let peers = std::env::var_os("DROVES_PEERS").map(|dir| PathBuf::from(dir).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = peers.into_iter().chain(std::env::split_paths(&path)).map(|dir| dir.join(name)).find(|p| p.is_file());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "CI without {name}");
    if let (None, Some(list)) = (&found, std::env::var_os("DROVES_LEFT_OUT")) {
        let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
        writeln!(list, "wire against {name}\tno {name}: `cargo xtask peers` installs it").unwrap();
    }
    found
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// One request over a connection of its own; status and body.
fn http(port: u16, head: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "{head} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or(std::io::ErrorKind::InvalidData)?;
    let status = std::str::from_utf8(&answer[9..12]).ok().and_then(|code| code.parse().ok());
    Ok((status.ok_or(std::io::ErrorKind::InvalidData)?, answer[end + 4..].to_vec()))
}

struct ScepServer {
    _running: Running,
    _dir: tempfile::TempDir,
    port: u16,
}

impl ScepServer {
    fn start() -> Option<Self> {
        let program = program("scepserver")?;
        let dir = tempfile::tempdir().unwrap();
        let depot = dir.path().join("depot");
        let made = Command::new(&program).args(["ca", "-init", "-keySize", "2048", "-depot"]).arg(&depot).output();
        assert!(made.unwrap().status.success());
        // One below those that the system gives away by itself.
        let mut ports = (20_000..32_000).cycle().skip(std::process::id() as usize % 12_000);
        let port = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
        let mut command = Command::new(&program);
        command.arg("-depot").arg(&depot).args(["-http-addr", &format!("127.0.0.1:{port}")]);
        command.args(["-challenge", CHALLENGE, "-allowrenew", "0"]).stdout(Stdio::null()).stderr(Stdio::null());
        let server = ScepServer { _running: Running(command.spawn().unwrap()), _dir: dir, port };
        let caps = || http(port, "GET /scep?operation=GetCACaps", b"").is_ok();
        let up = (0..1_200).any(|_| {
            caps() || {
                std::thread::sleep(Duration::from_millis(50));
                false
            }
        });
        assert!(up, "scepserver does not answer");
        Some(server)
    }

    fn ask(&self, head: &str, body: &[u8]) -> Vec<u8> {
        let (status, body) = http(self.port, head, body).unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        body
    }

    fn issue(&self, challenge: &str, streamed: bool) -> Request {
        let limits = Limits::default();
        let certificates = self.ask("GET /scep?operation=GetCACert&message=", b"");
        Request::Issue(Issue {
            caps: Capabilities::read(&self.ask("GET /scep?operation=GetCACaps&message=", b"")).unwrap(),
            ca: Arc::new(CaCertificates::read(&certificates, None, &limits).unwrap()),
            subject: vec![vec![("O".into(), "Droves".into())], vec![("CN".into(), "C02XYZ".into())]],
            challenge: Some(challenge.into()),
            key_usage: 5,
            alt_names: AltNames::default(),
            nonce: [7; 16],
            signer_name: "0C0FB7A2-7B5C-4B23-9C4B-7C2D6BD2B0E4".into(),
            streamed,
        })
    }
}

#[test]
fn a_device_enrolls_and_renews_at_scepserver() {
    let Some(server) = ScepServer::start() else { return };
    let limits = Limits::default();
    let key = Key::generate_rsa(2_048).unwrap();
    let mut old: Option<(Key, Vec<u8>)> = None;
    for (streamed, post) in [(true, true), (false, true), (true, false)] {
        let key =
            if old.is_none() { Key::from_pkcs8(&key.to_pkcs8().unwrap()) } else { Key::generate_rsa(2_048) }.unwrap();
        let signer = old.as_ref().map(|(key, certificate)| (key, certificate.as_slice()));
        let (message, pending) = scep::build(&server.issue(CHALLENGE, streamed), &key, signer, now()).unwrap();
        let reply = if post {
            server.ask("POST /scep?operation=PKIOperation", &message)
        } else {
            server.ask(&format!("GET /scep?{}", scep::get_query(&message).replace('+', "%2B")), b"")
        };
        let opened = scep::open(&reply, &pending, &key, signer.map(|(key, _)| key), &limits).unwrap();
        let Reply::Issued { certificate } = opened else { panic!("{opened:?}") };
        assert_eq!(x509::common_name(&certificate).unwrap().as_deref(), Some("C02XYZ"));
        let (from, to) = x509::validity(&certificate).unwrap();
        assert!(from < now() && now() < to);
        old = Some((key, certificate));
    }
    let (message, pending) = scep::build(&server.issue("wrong", true), &key, None, now()).unwrap();
    let reply = server.ask("POST /scep?operation=PKIOperation", &message);
    let refused = scep::open(&reply, &pending, &key, None, &limits).unwrap();
    assert_eq!(refused, Reply::Failed { reason: FailInfo::BadRequest });
}

/// One exchange of a CA of ours: the query, and the body of a POST.
fn answer(authority: &Authority, query: &str, body: &[u8]) -> Vec<u8> {
    if query.contains("GetCACaps") {
        return server::CAPABILITIES.into();
    }
    if query.contains("GetCACert") {
        return server::certificates(authority, None).unwrap().1;
    }
    let received = server::open(body, authority, &Limits::default()).unwrap();
    let Wanted::Issue(csr) = &received.what else { panic!("a poll") };
    assert_eq!((csr.common_name.as_str(), csr.challenge.as_deref()), ("theirs", Some(CHALLENGE)));
    assert_eq!(csr.alt_names.dns_names, ["mac.test"]);
    assert!(csr.subject.contains("O=scep-client"), "{}", csr.subject);
    let certificate = authority.issue_identity(&csr.common_name, &csr.spki, 1, now()).unwrap();
    server::reply(&received, Verdict::Issued(&certificate), authority, [9; 16]).unwrap()
}

fn serve_one(stream: TcpStream, authority: &Authority) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut reader = BufReader::new(stream.take(1 << 20));
    let (mut query, mut length) = (String::new(), 0);
    reader.read_line(&mut query).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let body = answer(authority, &query, &body);
    let kind = if query.contains("PKIOperation") { server::MESSAGE_TYPE } else { "application/x-x509-ca-cert" };
    let mut stream = reader.into_inner().into_inner();
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n")
        .unwrap();
    stream.write_all(&body).unwrap();
}

#[test]
fn scepclient_enrolls_at_our_authority() {
    let Some(program) = program("scepclient") else { return };
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::create("Practice CA", now()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/scep", listener.local_addr().unwrap());
    let serving = Arc::clone(&authority);
    std::thread::spawn(move || listener.incoming().take(10).for_each(|stream| serve_one(stream.unwrap(), &serving)));
    let mut client = Command::new(program);
    client.args(["-server-url", &url, "-challenge", CHALLENGE, "-cn", "theirs", "-dnsname", "mac.test"]);
    client.args(["-private-key", "device.key", "-certificate", "device.pem"]).current_dir(dir.path());
    let out = client.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let pem = std::fs::read_to_string(dir.path().join("device.pem")).unwrap();
    let der = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    use base64::Engine;
    let der = base64::engine::general_purpose::STANDARD.decode(der).unwrap();
    x509::verify(&der, authority.certificate()).unwrap();
    assert_eq!(x509::common_name(&der).unwrap().as_deref(), Some("theirs"));
}
