//! What can go wrong between a test and the servers that it starts.

use std::path::PathBuf;

/// A failed step of a test's stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine lacks what the case needs; the text says what, and how to get it.
    #[error("{0}")]
    LeftOut(String),
    /// A server ended, or did not answer in time; with the end of its log.
    #[error("{name} {what}; its log ends:\n{log}")]
    Server {
        /// The program.
        name: String,
        /// What it did or failed to do.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// A program that was called for its answer failed.
    #[error("{program} failed: {said}")]
    Program {
        /// The program with its first argument.
        program: String,
        /// What it wrote to its standard error.
        said: String,
    },
    /// A file or a socket.
    #[error("{at}: {source}")]
    Io {
        /// The path or the address.
        at: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A server answered what its documentation does not say.
    #[error("{0}")]
    Answer(String),
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
        let at = path.into().display().to_string();
        move |source| Error::Io { at, source }
    }
}
