//! The limit of open files, which binds before memory does: read, raised where the system lets us, and explained.
//!
//! By `nix` (getrlimit, setrlimit; POSIX.1-2017): it is in the tree already, and keeps `unsafe` out of ours.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The process's limits of open files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFiles {
    /// What holds now.
    pub soft: u64,
    /// How far this process may raise it.
    pub hard: u64,
}

/// Why the limit can't be read or raised.
#[derive(Debug, thiserror::Error)]
#[error("the limit of open files can't be {doing}: {why}")]
pub struct FilesError {
    doing: &'static str,
    why: nix::Error,
}

impl OpenFiles {
    /// Reads the limits.
    pub fn read() -> Result<Self, FilesError> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|why| FilesError { doing: "read", why })?;
        Ok(OpenFiles { soft, hard })
    }

    /// Raises the soft limit to the hard one, and returns what holds then.
    pub fn raise() -> Result<Self, FilesError> {
        let now = OpenFiles::read()?;
        if now.soft < now.hard {
            setrlimit(Resource::RLIMIT_NOFILE, now.hard, now.hard)
                .map_err(|why| FilesError { doing: "raised", why })?;
        }
        OpenFiles::read()
    }

    /// How many connections fit beside what the process needs for itself.
    pub fn connections_max(self) -> u64 {
        self.soft.saturating_sub(OWN_FILES)
    }

    /// What lets so many connections be, if the limit does not.
    pub fn shortage(self, connections: u64) -> Option<String> {
        if connections <= self.connections_max() {
            return None;
        }
        let wanted = connections + OWN_FILES;
        Some(if self.soft < self.hard && wanted <= self.hard {
            format!("ulimit -n {wanted}")
        } else {
            let processes = connections.div_ceil(self.connections_max().max(1));
            format!(
                "--processes {processes}, or raise the hard limit to {wanted} (limits.conf, LimitNOFILE= or --ulimit nofile=)"
            )
        })
    }
}

/// Store, results, logs, listeners, event queues and DNS, with room to spare.
const OWN_FILES: u64 = 256;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_shortage_names_the_cure() {
        let check = |soft, hard, connections, parts: &[&str]| {
            let said = OpenFiles { soft, hard }.shortage(connections);
            match said {
                None => assert!(parts.is_empty(), "nothing said of {soft}/{hard}"),
                Some(said) => {
                    assert!(!parts.is_empty(), "{said}");
                    for part in parts {
                        assert!(said.contains(part), "{part:?} in {said:?}");
                    }
                }
            }
        };
        check(20_000, 20_000, 19_744, &[]);
        check(20_000, 20_000, 19_745, &["--processes 2", "hard limit to 20001"]);
        check(20_000, 20_000, 100_000, &["--processes 6"]);
        check(1_024, 1_048_576, 50_000, &["ulimit -n 50256"]);
        check(1_024, 4_096, 50_000, &["hard limit to 50256"]);
        check(100, 100, 1, &["hard limit to 257"]);
    }

    #[test]
    fn the_limit_is_read_and_raised() {
        let before = OpenFiles::read().unwrap();
        let after = OpenFiles::raise().unwrap();
        assert_eq!(after.hard, before.hard);
        assert_eq!(after.soft, after.hard);
    }
}
