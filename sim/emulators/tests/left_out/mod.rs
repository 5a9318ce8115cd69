//! A case that needs a program which is not on this machine is left out by name, and noted for `cargo xtask test`; under `CI`
//! it is a failure.

use std::io::Write;

/// Why a case stops: left out, or failed.
#[derive(Debug)]
pub(crate) enum Stop {
    LeftOut(String),
    Failed(&'static str),
}

impl From<&'static str> for Stop {
    fn from(why: &'static str) -> Self {
        Stop::Failed(why)
    }
}

/// What came of a case.
#[expect(clippy::print_stderr, reason = "a case that did not run must not look as if it had")]
pub(crate) fn judge(name: &str, came: Result<(), Stop>) {
    match came {
        Ok(()) => {}
        Err(Stop::LeftOut(why)) if std::env::var_os("CI").is_none_or(|value| value.is_empty()) => {
            eprintln!("{name}: left out, {why}");
            if let Some(path) = std::env::var_os("DROVES_LEFT_OUT") {
                let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(format!("{name}\t{why}\n").as_bytes()).unwrap();
            }
        }
        Err(Stop::LeftOut(why)) => panic!("{name}: {why}"),
        Err(Stop::Failed(why)) => panic!("{name}: {why}"),
    }
}
