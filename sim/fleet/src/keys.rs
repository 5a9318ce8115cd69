//! Private keys on disk: made once a machine, one PKCS#8 file each, mode 0600, named by kind and number.

use crate::private;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The largest file that is read as a key: RSA-8192 has under 5 KB.
const KEY_BYTES_MAX: u64 = 16 << 10;

/// Why a key can't be read or kept.
#[derive(Debug, thiserror::Error)]
#[error("key pool: {path}: {why}", path = .path.display())]
pub struct KeyPoolError {
    /// Which file or folder.
    pub path: PathBuf,
    /// Why.
    pub why: io::Error,
}

/// A folder of keys. Several processes may fill it at the same time: the first one to make a number wins, and the others
/// take what it made.
#[derive(Clone, Debug)]
pub struct KeyPool {
    folder: PathBuf,
}

impl KeyPool {
    /// The pool in a folder, which is made if need be.
    pub fn open(folder: &Path) -> Result<Self, KeyPoolError> {
        fs::create_dir_all(folder).map_err(|why| KeyPoolError { path: folder.to_owned(), why })?;
        Ok(KeyPool { folder: folder.to_owned() })
    }

    /// Keys of this kind (`rsa2048`, `p256`) with numbers below `below`, as far as they are there: number and PKCS#8.
    pub fn load(&self, kind: &str, below: u32) -> Result<Vec<(u32, Vec<u8>)>, KeyPoolError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |why| KeyPoolError { path, why }
        };
        let prefix = format!("{kind}-");
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed(&self.folder))? {
            let path = entry.map_err(failed(&self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let number = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".pk8"));
            let Some(number) = number.and_then(|number| number.parse::<u32>().ok()).filter(|&n| n < below) else {
                continue;
            };
            let bytes = read(&path).map_err(failed(&path))?;
            keys.push((number, bytes));
        }
        keys.sort_unstable_by_key(|(number, _)| *number);
        Ok(keys)
    }

    /// One key, if it is there.
    pub fn get(&self, kind: &str, number: u32) -> Result<Option<Vec<u8>>, KeyPoolError> {
        let path = self.path(kind, number);
        match read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(KeyPoolError { path, why }),
        }
    }

    /// Keeps a key. Whether it is kept: another process may have put one there first.
    pub fn add(&self, kind: &str, number: u32, pkcs8: &[u8]) -> Result<bool, KeyPoolError> {
        let path = self.path(kind, number);
        match private::write_first(&path, pkcs8) {
            Ok(()) => Ok(true),
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(why) => Err(KeyPoolError { path, why }),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A secret of its own name: what is there, or what `make` makes. Of two processes that make it at the same time the
    /// first wins.
    pub fn once<E: From<KeyPoolError>>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        let path = self.folder.join(name);
        let failed = |why| KeyPoolError { path: path.clone(), why };
        if !path.exists() {
            match private::write_first(&path, &make()?) {
                Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(failed(why).into()),
                _ => {}
            }
        }
        Ok(read(&path).map_err(failed)?)
    }

    fn path(&self, kind: &str, number: u32) -> PathBuf {
        self.folder.join(format!("{kind}-{number}.pk8"))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > KEY_BYTES_MAX {
        return Err(io::Error::other("larger than any key: delete it"));
    }
    fs::read(path)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn keys_are_kept_and_are_their_owners() {
        let dir = tempfile::tempdir().unwrap();
        let pool = KeyPool::open(&dir.path().join("keys")).unwrap();
        assert!(pool.add("rsa2048", 3, b"three").unwrap());
        assert!(pool.add("rsa2048", 30, b"thirty").unwrap());
        assert!(pool.add("rsa4096", 1, b"large").unwrap());
        assert!(!pool.add("rsa2048", 3, b"another's").unwrap(), "the first one is kept");
        fs::write(dir.path().join("keys/readme.txt"), "not a key").unwrap();
        assert_eq!(pool.load("rsa2048", 10).unwrap(), [(3, b"three".to_vec())]);
        assert_eq!(pool.load("rsa2048", 31).unwrap().len(), 2);
        assert_eq!(pool.get("rsa4096", 1).unwrap(), Some(b"large".to_vec()));
        assert_eq!(pool.get("rsa4096", 2).unwrap(), None);
        let once = |secret: &'static [u8]| pool.once("secret.pem", || Ok::<_, KeyPoolError>(secret.to_vec()));
        assert_eq!((once(b"first").unwrap(), once(b"second").unwrap()), (b"first".to_vec(), b"first".to_vec()));
        private::write_first(&pool.folder().join("secret.pem"), b"late").unwrap_err();
        assert_eq!(once(b"third").unwrap(), b"first");
        assert_eq!(fs::read_dir(pool.folder()).unwrap().count(), 5, "nothing is left over");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("keys/rsa2048-3.pk8")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
