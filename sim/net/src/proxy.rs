//! The front door: an HTTP proxy that knows only CONNECT (RFC 9110 section 9.3.6), so that a server under test whose
//! push addresses are compiled in reaches the one whom we play there (`HTTPS_PROXY=http://127.0.0.1:p`).
//!
//! Only configured pairs of host and port pass, each to its local address; everything else is refused and counted, so
//! that no test ever reaches the real service.

use crate::listen::{Listener, Stopping};
use crate::stream::Stream;
use droves_facts::Dur;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

/// What a door counts, readable from any thread.
#[derive(Debug, Default)]
pub struct DoorCounters {
    passed: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl DoorCounters {
    /// Tunnels opened, requests refused (not listed, or no CONNECT at all), targets that did not answer.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.passed.load(Relaxed), self.refused.load(Relaxed), self.failed.load(Relaxed))
    }
}

/// Where a door leads.
#[derive(Clone, Debug, Default)]
pub struct Door {
    targets: BTreeMap<String, SocketAddr>,
    counters: Arc<DoorCounters>,
}

impl Door {
    /// Lets `host:port` pass, to this address.
    #[must_use]
    pub fn leading(mut self, host: &str, port: u16, to: SocketAddr) -> Self {
        self.targets.insert(format!("{}:{port}", host.to_ascii_lowercase()), to);
        self
    }

    /// What it counts.
    pub fn counters(&self) -> Arc<DoorCounters> {
        self.counters.clone()
    }

    /// Serves until `stop`; the listener's settings bound how many come in.
    pub async fn serve(self, listener: Listener, stop: impl Future<Output = ()>) {
        let door = Rc::new(self);
        let handler = move |stream: Stream, _peer, mut stopping: Stopping| {
            let door = door.clone();
            async move {
                tokio::select! {
                    passed = door.pass(stream) => {
                        if let Err(error) = passed {
                            tracing::debug!(%error, "tunnel ended");
                        }
                    }
                    () = stopping.wait() => {}
                }
            }
        };
        listener.each(stop, handler).await;
    }

    async fn pass(&self, mut stream: Stream) -> io::Result<()> {
        let head = match tokio::time::timeout(HEAD_WAIT_MAX.std(), read_head(&mut stream)).await {
            Ok(Ok(Some(head))) => head,
            Ok(Ok(None)) => return self.refuse(stream, "431 Request Header Fields Too Large").await,
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) => return self.refuse(stream, "408 Request Timeout").await,
        };
        let target = match target_of(&head) {
            Ok(target) => target,
            Err(status) => return self.refuse(stream, status).await,
        };
        let Some(&address) = self.targets.get(&target) else {
            tracing::warn!(target, "the front door refused a host that is not listed");
            return self.refuse(stream, "403 Forbidden").await;
        };
        let Ok(Ok(mut far)) = tokio::time::timeout(CONNECT_WAIT_MAX.std(), TcpStream::connect(address)).await else {
            self.counters.failed.fetch_add(1, Relaxed);
            return say(&mut stream, "502 Bad Gateway").await;
        };
        far.set_nodelay(true)?;
        self.counters.passed.fetch_add(1, Relaxed);
        stream.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
        // A tunnel lives as long as its ends want: a push connection rests for hours.
        copy_bidirectional(&mut stream, &mut far).await?;
        Ok(())
    }

    async fn refuse(&self, mut stream: Stream, status: &str) -> io::Result<()> {
        self.counters.refused.fetch_add(1, Relaxed);
        say(&mut stream, status).await
    }
}

async fn say(stream: &mut Stream, status: &str) -> io::Result<()> {
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads up to the empty line, byte by byte, since what follows is the tunnel's; `None` if it is too long.
async fn read_head(stream: &mut Stream) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Ok(None);
        }
        head.push(stream.read_u8().await?);
    }
    Ok(Some(head))
}

/// The `host:port` of a CONNECT request, in lower case; else the status that refuses it.
fn target_of(head: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(head).map_err(|_not_text| "400 Bad Request")?;
    let line = text.split("\r\n").next().unwrap_or_default();
    let mut words = line.split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    match (method, target, version, words.next()) {
        (Some("CONNECT"), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) if target.contains(':') => {
            Ok(target.to_ascii_lowercase())
        }
        (Some("CONNECT"), ..) => Err("400 Bad Request"),
        (Some(_), Some(_), Some(version), None) if version.starts_with("HTTP/") => Err("405 Method Not Allowed"),
        _ => Err("400 Bad Request"),
    }
}

/// A CONNECT has a line and a few headers.
const HEAD_BYTES_MAX: usize = 8 << 10;
const HEAD_WAIT_MAX: Dur = Dur::secs(10);
/// Local addresses only.
const CONNECT_WAIT_MAX: Dur = Dur::secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_connect_names_a_target() {
        let check = |head: &str, expected: Result<&str, &str>| {
            let head = format!("{head}\r\nHost: x\r\n\r\n");
            assert_eq!(target_of(head.as_bytes()).as_deref(), expected.as_ref().copied(), "{head}");
        };
        check("CONNECT api.push.apple.com:443 HTTP/1.1", Ok("api.push.apple.com:443"));
        check("CONNECT API.push.apple.com:443 HTTP/1.0", Ok("api.push.apple.com:443"));
        check("CONNECT api.push.apple.com HTTP/1.1", Err("400 Bad Request"));
        check("CONNECT a:1 b:2 HTTP/1.1", Err("400 Bad Request"));
        check("GET http://127.0.0.1/ HTTP/1.1", Err("405 Method Not Allowed"));
        check("", Err("400 Bad Request"));
        assert_eq!(target_of(b"\xff\xfe\r\n\r\n"), Err("400 Bad Request"));
    }
}
