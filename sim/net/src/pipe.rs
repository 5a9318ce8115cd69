//! Processes of one program: how one is started by another, and how the two speak.
//!
//! A frame is a length of 4 bytes (little-endian), then a message in postcard. Both ends are of one program, so there is
//! no older reader to think of: whoever starts a process sends [`VERSION`] first, and what answers with another is a
//! program that was replaced meanwhile. A frame longer than [`FRAME_BYTES_MAX`] is not read, since a broken length would
//! fill the memory.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

/// Of the messages that go through the pipes of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The folds of a shard with a hundred phases have some MB.
pub const FRAME_BYTES_MAX: usize = 256 << 20;

/// Why a message did not get through.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The pipe is broken: mostly, the process at its other end is gone.
    #[error("pipe: {0}")]
    Io(io::Error),
    /// A message is not what it should be.
    #[error("pipe: message: {0}")]
    Message(postcard::Error),
    /// A frame is too long.
    #[error("pipe: a message of {0} bytes")]
    TooLong(usize),
}

impl PipeError {
    /// Whether the process at the other end is gone.
    pub fn is_gone(&self) -> bool {
        matches!(self, PipeError::Io(why) if why.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<io::Error> for PipeError {
    fn from(why: io::Error) -> Self {
        PipeError::Io(why)
    }
}

impl From<postcard::Error> for PipeError {
    fn from(why: postcard::Error) -> Self {
        PipeError::Message(why)
    }
}

/// Writes a message; whoever reads has it when this returns, or will.
pub fn write<T: Serialize>(to: &mut impl Write, message: &T) -> Result<(), PipeError> {
    let body = postcard::to_allocvec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or(PipeError::TooLong(body.len()))?;
    // One call, so that a reader is woken once.
    to.write_all(&[&length.to_le_bytes(), body.as_slice()].concat())?;
    Ok(to.flush()?)
}

/// Reads a message; `None` where the other end has closed its pipe between two of them.
pub fn read<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>, PipeError> {
    let mut length = [0; 4];
    let first = loop {
        match from.read(&mut length) {
            Ok(read) => break read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    };
    let Some(rest) = length.get_mut(first..).filter(|_| first > 0) else { return Ok(None) };
    from.read_exact(rest)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(PipeError::TooLong(length));
    }
    // Grows with what comes: a length alone takes no memory.
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body)?;
    if body.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(postcard::from_bytes(&body)?))
}

/// A process of this program's own. Killed when it is dropped.
#[derive(Debug)]
pub struct Process(Child);

/// The parent's ends of a process's pipes. Closing the first tells it to end.
#[derive(Debug)]
pub struct Ends {
    /// Its standard input.
    pub to: ChildStdin,
    /// Its standard output.
    pub from: ChildStdout,
}

impl Process {
    /// Starts this program once more. What it says on standard error goes where ours goes. Signals of the terminal are
    /// the parent's: it tells its processes to end in good order.
    pub fn start(arguments: &[impl AsRef<OsStr>]) -> io::Result<(Self, Ends)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn()?;
        let ends = child.stdin.take().zip(child.stdout.take());
        let (to, from) = ends.ok_or_else(|| io::Error::other("a process without pipes"))?;
        Ok((Process(child), Ends { to, from }))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it is over.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that is over already can't be killed: there is nothing to do about either error.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_broken_is_said() {
        let mut bytes = Vec::new();
        write(&mut bytes, &("one", 1_u8)).unwrap();
        write(&mut bytes, &("two", 2_u8)).unwrap();
        let mut from = bytes.as_slice();
        assert_eq!(read::<(String, u8)>(&mut from).unwrap(), Some(("one".into(), 1)));
        assert_eq!(read::<(String, u8)>(&mut from).unwrap(), Some(("two".into(), 2)));
        assert_eq!(read::<(String, u8)>(&mut from).unwrap(), None);
        for cut in 1..bytes.len() / 2 {
            let error = read::<(String, u8)>(&mut &bytes[..cut]).unwrap_err();
            assert!(matches!(error, PipeError::Io(_)), "{cut}: {error}");
        }
        assert!(matches!(read::<u8>(&mut [0xFF; 8].as_slice()), Err(PipeError::TooLong(0xFFFF_FFFF))));
        assert!(matches!(read::<u16>(&mut [1, 0, 0, 0, 0xFF].as_slice()), Err(PipeError::Message(_))));
    }
}
