//! The ground that a case stands on: a folder of its own, and the way out for a case that can't run here.

use crate::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder for data and logs. It is removed at the end, but kept (and named) when the case fails.
pub struct Ground {
    dir: Option<tempfile::TempDir>,
}

impl Ground {
    /// A new folder in the system's temporary folder, which other users may pass through: PostgreSQL runs as one.
    pub fn new(case: &str) -> Result<Ground, Error> {
        let dir = tempfile::Builder::new().prefix(&format!("droves-{case}-")).tempdir().map_err(Error::at(case))?;
        open_to_others(dir.path())?;
        Ok(Ground { dir: Some(dir) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.as_ref().map_or(Path::new(""), |dir| dir.path())
    }

    /// A folder below it, made.
    pub fn dir(&self, name: &str) -> Result<PathBuf, Error> {
        let dir = self.path().join(name);
        std::fs::create_dir_all(&dir).map_err(Error::at(&dir))?;
        open_to_others(&dir)?;
        Ok(dir)
    }
}

impl Drop for Ground {
    #[expect(clippy::print_stderr, reason = "whoever reads a failed test wants the logs")]
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.dir.take()
        {
            eprintln!("data and logs are kept in {}", dir.keep().display());
        }
    }
}

fn open_to_others(dir: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711)).map_err(Error::at(dir))
}

/// Run one case on its own ground. [`Error::LeftOut`] ends it quietly and is noted for `cargo xtask test` (in the file
/// that `DROVES_LEFT_OUT` names); under `CI` it is a failure as any other error is.
///
/// # Panics
/// If the case fails.
#[expect(clippy::print_stderr, reason = "a case that did not run must not look as if it had")]
pub fn case(name: &str, run: impl FnOnce(&Ground) -> Result<(), Error>) {
    let ground = Ground::new(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    match run(&ground) {
        Ok(()) => {}
        Err(Error::LeftOut(why)) if std::env::var_os("CI").is_none_or(|value| value.is_empty()) => {
            eprintln!("{name}: left out, {why}");
            note_left_out(name, &why);
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

fn note_left_out(name: &str, why: &str) {
    let Some(path) = std::env::var_os("DROVES_LEFT_OUT") else { return };
    let noted = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{name}\t{why}\n").as_bytes()));
    assert!(noted.is_ok(), "{}: {noted:?}", path.display());
}
