//! A listener for the webhook of nanomdm and NanoHUB. It keeps who said what, not the payloads, up to a bound.
//!
//! The servers send each event once, by a goroutine of its own: the order between events is not theirs, and one that
//! gets no answer is lost. So it answers at once, with four threads.

use crate::Error;
use crate::server::{Results, Witness};
use socket2::{Domain, Socket, Type};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Enough for the largest run in `suites/`; later ones are counted and dropped.
const EVENTS_MAX: usize = 1_000_000;
const HEAD_BYTES_MAX: usize = 16 << 10;
const BODY_BYTES_MAX: usize = 16 << 20;
const WAIT_MAX: Duration = Duration::from_secs(60);
const THREADS: usize = 4;
/// Connections that wait: a pushed fleet answers at once, and an event that finds no room is reset and never comes again.
/// The standard library's listener has room for 128.
const BACKLOG: i32 = 4_096;

/// One event of the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `mdm.Connect`, `mdm.TokenUpdate` and so on.
    pub topic: String,
    /// The enrollment, as nanomdm names it: `UDID`, or `UDID:UserID` for a user channel.
    pub id: String,
    /// The status of a connect; empty for check-ins.
    pub status: String,
    /// The command that a connect answers, if it does.
    pub command: Option<String>,
}

/// The listener. It ends with the value.
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<Event>>,
    lost: AtomicU64,
    ends: AtomicBool,
}

impl Recorder {
    /// Listen on a free port of 127.0.0.1.
    pub fn start() -> Result<Recorder, Error> {
        let listener = listen().map_err(Error::at("127.0.0.1:0"))?;
        let address = listener.local_addr().map_err(Error::at("127.0.0.1:0"))?;
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        for _ in 0..THREADS {
            let (listener, shared) = (listener.try_clone().map_err(Error::at("127.0.0.1:0"))?, Arc::clone(&shared));
            threads.push(std::thread::spawn(move || shared.listen(&listener)));
        }
        Ok(Recorder { address, shared, threads })
    }

    /// For `-webhook-url`.
    pub fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// All events so far, as they came.
    pub fn events(&self) -> Vec<Event> {
        self.shared.events().clone()
    }

    /// Events that were not understood, or came after the bound.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Recorder {
    /// The enrollments that are there and not checked out.
    pub fn enrollments(&self) -> BTreeSet<String> {
        let mut enrolled = BTreeSet::new();
        for event in self.shared.events().iter() {
            match event.topic.as_str() {
                "mdm.TokenUpdate" => enrolled.insert(event.id.clone()),
                "mdm.CheckOut" => enrolled.remove(&event.id),
                _ => false,
            };
        }
        enrolled
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        for _ in &self.threads {
            // Wakes one that waits for a connection.
            drop(TcpStream::connect_timeout(&self.address, WAIT_MAX));
        }
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

impl Witness for Recorder {
    fn enrolled(&self) -> Result<u64, Error> {
        Ok(self.enrollments().len() as u64)
    }

    fn results(&self) -> Result<Results, Error> {
        let mut results = Results::new();
        for event in self.shared.events().iter().filter(|event| event.topic == "mdm.Connect") {
            if let Some(command) = &event.command {
                results.entry((event.id.clone(), command.clone())).or_default().push(event.status.clone());
            }
        }
        Ok(results)
    }

    fn duplicates(&self) -> Result<Option<u64>, Error> {
        let finals = |statuses: &Vec<String>| statuses.iter().filter(|status| *status != "NotNow").count() as u64;
        Ok(Some(self.results()?.values().map(|statuses| finals(statuses).saturating_sub(1)).sum()))
    }
}

impl Shared {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, listener: &TcpListener) {
        while !self.ends.load(Ordering::Relaxed) {
            let Ok((mut stream, _)) = listener.accept() else { continue };
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            match take_body(&mut stream).and_then(|body| event_of(&body)) {
                Some(event) if self.events().len() < EVENTS_MAX => self.events().push(event),
                _ => {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// A listener on a free port of 127.0.0.1 with room for a burst.
pub(crate) fn listen() -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Read one request, answer it, and hang up.
fn take_body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    stream.set_read_timeout(Some(WAIT_MAX)).ok()?;
    stream.set_write_timeout(Some(WAIT_MAX)).ok()?;
    let mut bytes = Vec::new();
    let mut piece = [0_u8; 8 << 10];
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0 && bytes.len() < HEAD_BYTES_MAX)?;
        bytes.extend_from_slice(piece.get(..count)?);
    };
    let body_bytes = content_length(bytes.get(..head_end)?).filter(|length| *length <= BODY_BYTES_MAX)?;
    let mut body = bytes.split_off(head_end);
    let missing = body_bytes.saturating_sub(body.len());
    stream.take(missing as u64).read_to_end(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()?;
    (body.len() == body_bytes).then_some(body)
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(value)
}

/// What the webhook's schema says (`service/webhook/event.go` of nanomdm).
fn event_of(body: &[u8]) -> Option<Event> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let event = json.get("acknowledge_event").or_else(|| json.get("checkin_event"))?;
    let ids = event.get("ids").and_then(|ids| ids.get("id"));
    let id = ids.or_else(|| event.get("udid")).or_else(|| event.get("enrollment_id"))?.as_str()?;
    Some(Event {
        topic: json.get("topic")?.as_str()?.to_owned(),
        id: id.to_owned(),
        status: event.get("status").and_then(|status| status.as_str()).unwrap_or_default().to_owned(),
        command: event.get("command_uuid").and_then(|command| command.as_str()).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn post(recorder: &Recorder, json: &str) {
        let call = crate::Call { method: "POST", path: "/webhook", headers: &[], body: json.as_bytes() };
        assert_eq!(call.send(recorder.address.port()).unwrap().status, 200);
    }

    fn connect(status: &str) -> String {
        format!(
            r#"{{"topic":"mdm.Connect","acknowledge_event":{{"udid":"A","ids":{{"id":"A","type":"Device"}},
                "status":"{status}","command_uuid":"C","raw_payload":""}}}}"#
        )
    }

    #[test]
    fn it_knows_who_enrolled_and_what_was_answered_twice() {
        let recorder = Recorder::start().unwrap();
        for id in ["A", "B"] {
            post(
                &recorder,
                &format!(r#"{{"topic":"mdm.TokenUpdate","checkin_event":{{"udid":"{id}","raw_payload":""}}}}"#),
            );
        }
        post(&recorder, r#"{"topic":"mdm.CheckOut","checkin_event":{"udid":"B","raw_payload":""}}"#);
        for status in ["NotNow", "NotNow", "Acknowledged", "Acknowledged"] {
            post(&recorder, &connect(status));
        }
        post(&recorder, "no JSON");
        assert!(crate::wait_until(WAIT_MAX, || recorder.events().len() == 7 && recorder.lost() == 1));
        assert_eq!(recorder.enrolled().unwrap(), 1);
        assert_eq!(recorder.duplicates().unwrap(), Some(1));
        let results = recorder.results().unwrap();
        assert_eq!(results[&("A".to_owned(), "C".to_owned())].len(), 4);
    }

    /// A fleet that is pushed answers at once, and so the server tells of it at once.
    #[test]
    fn it_loses_nothing_of_a_burst() {
        let recorder = Recorder::start().unwrap();
        let dial = || TcpStream::connect_timeout(&recorder.address, WAIT_MAX).unwrap();
        let mut burst: Vec<TcpStream> = (0..600).map(|_| dial()).collect();
        let json = connect("Acknowledged");
        let request = format!("POST /webhook HTTP/1.1\r\nContent-Length: {}\r\n\r\n{json}", json.len());
        for stream in &mut burst {
            stream.write_all(request.as_bytes()).unwrap();
        }
        assert!(crate::wait_until(WAIT_MAX, || recorder.events().len() == 600), "{}", recorder.events().len());
        assert_eq!(recorder.lost(), 0);
    }
}
