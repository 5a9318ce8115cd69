//! What APNs does to a connection and hyper can't say: a new `SETTINGS_MAX_CONCURRENT_STREAMS` in mid-flight, a GOAWAY
//! with debug data, a close that leaves streams unanswered. A stream that sits between TLS and hyper, follows the
//! frames of both directions (RFC 9113, section 4.1) and slips its own ones in between.

use super::Reason;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The wheel: what the connection's answers want done to it.
#[derive(Debug, Default)]
pub(crate) struct Steering {
    streams: Cell<Option<u32>>,
    farewell: Cell<Option<Reason>>,
    cut: Cell<bool>,
    /// The highest stream that the provider opened.
    stream: Cell<u32>,
    /// For each SETTINGS frame that the provider has not acknowledged yet, in order: whether it is ours.
    unacknowledged: RefCell<VecDeque<bool>>,
}

impl Steering {
    /// Allows so many streams at once from now on; said before the next answer.
    pub(crate) fn allow(&self, streams: u32) {
        self.streams.set(Some(streams));
    }

    /// Every GOAWAY from now on carries this reason.
    pub(crate) fn farewell(&self, reason: Reason) {
        self.farewell.set(Some(reason));
    }

    /// Closes the connection behind the next answer.
    pub(crate) fn cut(&self, reason: Reason) {
        self.farewell(reason);
        self.cut.set(true);
    }
}

/// The stream.
#[derive(Debug)]
pub(crate) struct Frames<T> {
    inner: T,
    steering: Rc<Steering>,
    outward: Outward,
    inward: Inward,
    scratch: Box<[u8]>,
}

impl<T> Frames<T> {
    pub(crate) fn new(inner: T, steering: Rc<Steering>) -> Self {
        Frames {
            inner,
            steering,
            outward: Outward::default(),
            inward: Inward { preface: PREFACE_BYTES, ..Inward::default() },
            scratch: vec![0; CHUNK_BYTES].into(),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Frames<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.inward.passed.is_empty() {
            let mut read = ReadBuf::new(&mut this.scratch);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.inward.feed(read.filled(), &this.steering);
        }
        let (front, _) = this.inward.passed.as_slices();
        let n = front.len().min(buf.remaining());
        buf.put_slice(front.get(..n).unwrap_or_default());
        this.inward.passed.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Frames<T> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outward.passed.is_empty() {
            let (front, _) = self.outward.passed.as_slices();
            let n = ready!(Pin::new(&mut self.inner).poll_write(cx, front))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outward.passed.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Frames<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        let taken = buf.get(..CHUNK_BYTES).unwrap_or(buf);
        this.outward.feed(taken, &this.steering);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        ready!(Pin::new(&mut this.inner).poll_flush(cx))?;
        if this.outward.ended {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

/// From hyper to the provider.
#[derive(Debug, Default)]
struct Outward {
    passed: VecDeque<u8>,
    head: Head,
    /// What follows the frame that is passing: the debug data of a GOAWAY.
    tail: Vec<u8>,
    /// hyper's own SETTINGS have passed; nothing may come before them.
    opened: bool,
    /// Between a HEADERS frame and its last CONTINUATION nothing may come.
    in_headers: bool,
    /// The connection was cut: nothing passes any more.
    ended: bool,
}

impl Outward {
    fn feed(&mut self, mut bytes: &[u8], steering: &Steering) {
        while !bytes.is_empty() && !self.ended {
            if self.head.between_frames() && self.opened && !self.in_headers {
                self.slip_in(steering);
            }
            let (part, rest) = self.head.take(bytes);
            bytes = rest;
            match part {
                Part::Head(None) => {}
                Part::Head(Some(frame)) => self.begin(frame, steering),
                Part::Payload(payload) => self.passed.extend(payload),
            }
            if self.head.between_frames() {
                self.end(steering);
            }
        }
    }

    fn begin(&mut self, mut frame: Frame, steering: &Steering) {
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => {
                self.opened = true;
                steering.unacknowledged.borrow_mut().push_back(false);
            }
            GOAWAY if frame.length == GOAWAY_BYTES => {
                if let Some(reason) = steering.farewell.get() {
                    self.tail = debug_data(reason);
                    frame.length += self.tail.len();
                }
            }
            HEADERS | CONTINUATION => self.in_headers = frame.flags & END_HEADERS == 0,
            _ => {}
        }
        self.passed.extend(frame.bytes());
    }

    /// Behind a frame.
    fn end(&mut self, steering: &Steering) {
        self.passed.extend(self.tail.drain(..));
        let last = self.head.last;
        let answered = matches!(last.kind, HEADERS | DATA) && last.flags & END_STREAM != 0 && !self.in_headers;
        if steering.cut.get() && answered {
            let debug = steering.farewell.get().map(debug_data).unwrap_or_default();
            let goaway = Frame { length: GOAWAY_BYTES + debug.len(), kind: GOAWAY, flags: 0, stream: 0 };
            self.passed.extend(goaway.bytes());
            self.passed.extend(steering.stream.get().to_be_bytes());
            self.passed.extend(0_u32.to_be_bytes());
            self.passed.extend(debug);
            self.ended = true;
        }
    }

    fn slip_in(&mut self, steering: &Steering) {
        if let Some(streams) = steering.streams.take() {
            self.passed.extend(Frame { length: 6, kind: SETTINGS, flags: 0, stream: 0 }.bytes());
            self.passed.extend(MAX_CONCURRENT_STREAMS.to_be_bytes());
            self.passed.extend(streams.to_be_bytes());
            steering.unacknowledged.borrow_mut().push_back(true);
        }
    }
}

/// From the provider to hyper.
#[derive(Debug, Default)]
struct Inward {
    passed: VecDeque<u8>,
    head: Head,
    /// What is still to come of the connection preface, which is no frame.
    preface: usize,
}

impl Inward {
    fn feed(&mut self, bytes: &[u8], steering: &Steering) {
        let (preface, mut bytes) = bytes.split_at(self.preface.min(bytes.len()));
        self.preface -= preface.len();
        self.passed.extend(preface);
        while !bytes.is_empty() {
            let (part, rest) = self.head.take(bytes);
            bytes = rest;
            match part {
                Part::Head(None) => {}
                Part::Head(Some(frame)) => {
                    let acknowledges = frame.kind == SETTINGS && frame.flags & ACK != 0;
                    // hyper must not see the acknowledgement of what it did not send.
                    if acknowledges && steering.unacknowledged.borrow_mut().pop_front() == Some(true) {
                        continue;
                    }
                    if frame.kind == HEADERS {
                        steering.stream.set(steering.stream.get().max(frame.stream));
                    }
                    self.passed.extend(frame.bytes());
                }
                Part::Payload(payload) => self.passed.extend(payload),
            }
        }
    }
}

/// Finds the frames in a stream of bytes that comes in any pieces.
#[derive(Debug, Default)]
struct Head {
    bytes: [u8; HEAD_BYTES],
    have: usize,
    left: usize,
    last: Frame,
}

enum Part<'a> {
    /// Bytes of a frame's head, and the frame once they are complete.
    Head(Option<Frame>),
    Payload(&'a [u8]),
}

impl Head {
    fn between_frames(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    fn take<'a>(&mut self, bytes: &'a [u8]) -> (Part<'a>, &'a [u8]) {
        if self.left > 0 {
            let (payload, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= payload.len();
            return (Part::Payload(payload), rest);
        }
        let (taken, rest) = bytes.split_at((HEAD_BYTES - self.have).min(bytes.len()));
        for byte in taken {
            if let Some(place) = self.bytes.get_mut(self.have) {
                *place = *byte;
            }
            self.have += 1;
        }
        if self.have < HEAD_BYTES {
            return (Part::Head(None), rest);
        }
        self.have = 0;
        self.last = Frame::read(self.bytes);
        self.left = self.last.length;
        (Part::Head(Some(self.last)), rest)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    fn read([a, b, c, kind, flags, s, t, u, v]: [u8; HEAD_BYTES]) -> Self {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        Frame { length, kind, flags, stream: u32::from_be_bytes([s & 0x7f, t, u, v]) }
    }

    fn bytes(self) -> [u8; HEAD_BYTES] {
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [s, t, u, v] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, s, t, u, v]
    }
}

fn debug_data(reason: Reason) -> Vec<u8> {
    format!(r#"{{"reason":"{reason}"}}"#).into_bytes()
}

const HEAD_BYTES: usize = 9;
const PREFACE_BYTES: usize = 24;
/// Bytes moved at once; also the largest frame that hyper sends.
const CHUNK_BYTES: usize = 16 << 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const GOAWAY_BYTES: usize = 8;
const MAX_CONCURRENT_STREAMS: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        [&Frame { length: payload.len(), kind, flags, stream }.bytes(), payload].concat()
    }

    fn settings() -> Vec<u8> {
        frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 3, 232])
    }

    fn out(steering: &Steering, pieces: &[Vec<u8>], step: usize) -> Vec<u8> {
        let mut outward = Outward::default();
        for piece in pieces.concat().chunks(step) {
            outward.feed(piece, steering);
        }
        outward.passed.into()
    }

    fn inward(steering: &Steering, bytes: &[u8], step: usize) -> Vec<u8> {
        let mut inward = Inward { preface: PREFACE_BYTES, ..Inward::default() };
        bytes.chunks(step).for_each(|piece| inward.feed(piece, steering));
        inward.passed.into()
    }

    proptest! {
        /// Whatever the pieces, the bytes are the same, and our SETTINGS stand between two frames and behind hyper's.
        #[test]
        fn streams_are_announced_between_frames(step in 1_usize..64) {
            let steering = Steering::default();
            steering.allow(1);
            let answer = [frame(HEADERS, 0, 1, b"one"), frame(CONTINUATION, END_HEADERS | END_STREAM, 1, b"two")];
            let ours = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]);
            let passed = out(&steering, &[settings(), answer[0].clone(), answer[1].clone()], step);
            prop_assert_eq!(passed, [settings(), ours, answer.concat()].concat());

            let acks = [frame(SETTINGS, ACK, 0, b""), frame(SETTINGS, ACK, 0, b"")].concat();
            let ping = frame(6, 0, 0, b"12345678");
            let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
            let read = inward(&steering, &[preface, &acks, &ping].concat(), step);
            prop_assert_eq!(read, [preface, &frame(SETTINGS, ACK, 0, b""), &ping].concat());
        }

        #[test]
        fn a_goaway_carries_the_reason(step in 1_usize..64) {
            let steering = Steering::default();
            let plain = frame(GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0]);
            prop_assert_eq!(out(&steering, &[settings(), plain.clone()], step), [settings(), plain.clone()].concat());
            steering.farewell(Reason::Shutdown);
            let with = frame(GOAWAY, 0, 0, b"\0\0\0\x05\0\0\0\0{\"reason\":\"Shutdown\"}");
            prop_assert_eq!(out(&steering, &[settings(), plain], step), [settings(), with].concat());
        }

        #[test]
        fn a_cut_lets_one_answer_through_and_nothing_after_it(step in 1_usize..64) {
            let steering = Steering::default();
            steering.cut(Reason::BadDeviceToken);
            steering.stream.set(9);
            let head = frame(HEADERS, END_HEADERS, 1, b"head");
            let body = frame(DATA, END_STREAM, 1, b"body");
            let late = frame(HEADERS, END_HEADERS | END_STREAM, 3, b"late");
            let goaway = frame(GOAWAY, 0, 0, b"\0\0\0\x09\0\0\0\0{\"reason\":\"BadDeviceToken\"}");
            let passed = out(&steering, &[settings(), head.clone(), body.clone(), late], step);
            prop_assert_eq!(passed, [settings(), head, body, goaway].concat());
        }
    }
}
