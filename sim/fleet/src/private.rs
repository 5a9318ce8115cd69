//! Files that only their owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file of mode 0600, whole or not at all: it appears under its name when it is on the disk.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = aside(path);
    let result = written(&new, bytes).and_then(|()| fs::rename(&new, path));
    if result.is_err() {
        // The first error is the one to tell.
        drop(fs::remove_file(&new));
    }
    result
}

/// The same, but what is there under that name stays.
pub(crate) fn write_first(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = aside(path);
    let result = written(&new, bytes).and_then(|()| fs::hard_link(&new, path));
    drop(fs::remove_file(&new));
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension(format!("new-{}", std::process::id()))
}

fn written(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}
