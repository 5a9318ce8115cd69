//! The calibration on disk, and the machine that it must be of.

use droves_measure::{Calibrated, Calibration, CalibrationError, Machine};
use droves_net::machine::{self, Here, Told};
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

/// Larger than any calibration.
const BYTES_MAX: u64 = 1 << 20;

/// Why a calibration can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Read, but broken.
    #[error("calibration {path}: {why}; remove the file, or make it anew: `droves calibrate`", path = .path.display())]
    Broken {
        /// Which.
        path: PathBuf,
        /// Why.
        why: CalibrationError,
    },
    /// Not read.
    #[error("calibration {path} can't be read: {why}; remove the file, or make it anew: `droves calibrate`", path = .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// Not written.
    #[error("calibration {path} can't be written: {why}; `--out FILE` keeps it elsewhere", path = .path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
}

/// Where it is kept unless somebody says otherwise: `$XDG_CACHE_HOME/droves/calibration.json`, else under `~/.cache`.
pub fn default_file(env: impl Fn(&str) -> Option<String>) -> PathBuf {
    crate::run::cache_folder(env).join("calibration.json")
}

/// The calibration in this file, if it is of this machine, program and build; or why there is none.
///
/// # Errors
/// The file is there, and can't be read, or is broken.
pub fn load(path: &Path, here: &Machine) -> Result<Calibrated, FileError> {
    let unreadable = |why| FileError::Unreadable { path: path.to_owned(), why };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == ErrorKind::NotFound => {
            return Ok(Calibrated::No("not calibrated: `droves calibrate`".to_owned()));
        }
        Err(why) => return Err(unreadable(why)),
    };
    let mut json = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut json).map_err(unreadable)?;
    match Calibration::read(&json, here) {
        Ok(Calibrated::No(why)) => Ok(Calibrated::No(format!("{} is not used: {why}", path.display()))),
        Ok(calibrated) => Ok(calibrated),
        Err(why) => Err(FileError::Broken { path: path.to_owned(), why }),
    }
}

/// Writes a calibration, whole or not at all.
///
/// # Errors
/// The folder or the file can't be written.
pub fn save(path: &Path, calibration: &Calibration) -> Result<(), FileError> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut json = serde_json::to_vec_pretty(calibration)?;
        json.push(b'\n');
        fs::File::create(&new)?.write_all(&json)?;
        fs::rename(&new, path)
    };
    write().map_err(|why| FileError::Unwritable { path: path.to_owned(), why })
}

/// This machine, this program and this build. What the system does not say is `unknown`.
pub fn here() -> Machine {
    described(&Here)
}

fn described(told: &impl Told) -> Machine {
    let or_unknown = |fact: Option<String>| fact.unwrap_or_else(|| "unknown".to_owned());
    let at_once = || thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    Machine {
        cpu: or_unknown(machine::processor(told)),
        cores: machine::cores(told).unwrap_or_else(at_once),
        system: std::env::consts::OS.to_owned(),
        kernel: or_unknown(machine::kernel(told)),
        architecture: std::env::consts::ARCH.to_owned(),
        droves: env!("CARGO_PKG_VERSION").to_owned(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use droves_measure::{CALIBRATION_VERSION, Cost, OFFERS};

    fn calibration() -> Calibration {
        let cost = Cost { us: 12.5, us_min: 12.0, us_max: 13.0, rounds: 5, other_end_us: 1.5 };
        Calibration {
            calibration_version: CALIBRATION_VERSION,
            measured: "2026-01-05T08:00:00Z".to_owned(),
            quick: true,
            machine: here(),
            offers: OFFERS.iter().map(|row| (row.name.to_owned(), cost)).collect(),
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/calibration.json");
        assert!(matches!(load(&path, &here()).unwrap(), Calibrated::No(why) if why.contains("not calibrated")));
        save(&path, &calibration()).unwrap();
        assert_eq!(load(&path, &here()).unwrap(), Calibrated::Yes(Box::new(calibration())));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing beside it");
    }

    #[test]
    fn a_file_of_another_machine_is_named_and_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calibration.json");
        save(&path, &calibration()).unwrap();
        let elsewhere = Machine { cpu: "Abacus 3".to_owned(), ..here() };
        let Calibrated::No(why) = load(&path, &elsewhere).unwrap() else { panic!("used") };
        assert!(why.contains("calibration.json is not used: it is of another processor"), "{why}");
    }

    #[test]
    fn what_is_broken_is_named_with_its_cure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calibration.json");
        for text in ["", "{\"calibration_version\": 1", "[]", "{\"calibration_version\": 1}"] {
            fs::write(&path, text).unwrap();
            let error = load(&path, &here()).unwrap_err().to_string();
            assert!(error.contains("calibration.json") && error.contains("`droves calibrate`"), "{text:?}: {error}");
        }
        let error = load(dir.path(), &here()).unwrap_err().to_string();
        assert!(error.contains("can't be read"), "{error}");
        let error = save(&path.join("under a file"), &calibration()).unwrap_err().to_string();
        assert!(error.contains("can't be written") && error.contains("--out"), "{error}");
    }
}
