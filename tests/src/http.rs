//! Calls of a server's API: HTTP/1.0 on loopback, one call a connection, so that the end of the body is the end of the
//! connection. Small on purpose: the product's own client is what is under test elsewhere.

use crate::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const WAIT_MAX: Duration = Duration::from_secs(120);
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// One call.
pub struct Call<'a> {
    /// `GET`, `PUT`, `POST`.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Header lines, name and value.
    pub headers: &'a [(&'a str, &'a str)],
    /// What is sent.
    pub body: &'a [u8],
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text, for messages and JSON.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Call<'_> {
    /// Make the call to a port of 127.0.0.1.
    pub fn send(&self, port: u16) -> Result<Answer, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let exchange = || -> std::io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect_timeout(&address, WAIT_MAX)?;
            stream.set_read_timeout(Some(WAIT_MAX))?;
            stream.set_write_timeout(Some(WAIT_MAX))?;
            stream.write_all(&self.bytes(port))?;
            let mut answer = Vec::new();
            stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
            Ok(answer)
        };
        let at = format!("{} http://{address}{}", self.method, self.path);
        let bytes = exchange().map_err(Error::at(&at))?;
        parse(&bytes).ok_or_else(|| Error::Answer(format!("{at}: no HTTP answer in {} bytes", bytes.len())))
    }

    fn bytes(&self, port: u16) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n", self.method, self.path);
        for (name, value) in self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(self.body);
        bytes
    }
}

/// The status of a GET, or nothing while nobody answers: for readiness.
pub(crate) fn status_of(port: u16, path: &str) -> Option<u16> {
    let call = Call { method: "GET", path, headers: &[], body: &[] };
    call.send(port).ok().map(|answer| answer.status)
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = bytes.split_at(end);
    let status = std::str::from_utf8(head).ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: rest.get(4..)?.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Option<(u16, &[u8])>) {
        let answer = parse(bytes);
        assert_eq!(answer.as_ref().map(|answer| (answer.status, answer.body.as_slice())), expected);
    }

    #[test]
    fn an_answer_is_status_and_body() {
        check(b"HTTP/1.0 207 Multi-Status\r\nA: b\r\n\r\nbody\r\n\r\n", Some((207, b"body\r\n\r\n")));
        check(b"HTTP/1.1 200 OK\r\n\r\n", Some((200, b"")));
        check(b"HTTP/1.1 OK\r\n\r\n", None);
        check(b"half a he", None);
    }
}
