//! Files that only their owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file of mode 0600, whole or not at all: it appears under its name when it is on the disk.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    written(path, bytes, |new| fs::rename(new, path))
}

/// The same, but not over a file that is there: `AlreadyExists`.
pub(crate) fn write_first(path: &Path, bytes: &[u8]) -> io::Result<()> {
    written(path, bytes, |new| fs::hard_link(new, path))
}

fn written(path: &Path, bytes: &[u8], appear: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let result = create(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        appear(&new)
    });
    // It is gone where it was renamed; and the first error is the one to tell.
    drop(fs::remove_file(&new));
    result
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
