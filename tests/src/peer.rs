//! Where the programs are that this crate starts.

use crate::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that was built beside this test (`droves`), one that `cargo xtask peers` installs (`DROVES_PEERS`, else
/// `peers` in the target folder), or one on the path of this machine, as `openssl` is.
pub fn program(name: &str) -> Result<PathBuf, Error> {
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    // Debian keeps servers where only root looks for programs.
    let servers = PathBuf::from("/usr/sbin");
    let folders = built_dir().into_iter().chain(peers_bin()).chain(on_path.unwrap_or_default()).chain([servers]);
    let left_out = || Error::LeftOut(format!("no {name}: install it (`cargo xtask peers` does for Go servers)"));
    folders.map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(left_out)
}

/// Python with what a package of ours in `tests/peers` requires, as `cargo xtask peers` installs it.
pub fn python(package: &str) -> Result<PathBuf, Error> {
    let python = peers_dir().map(|dir| dir.join("python").join(package).join("bin/python"));
    let left_out = || Error::LeftOut(format!("no Python for {package}: `cargo xtask peers` makes it"));
    python.filter(|python| python.is_file()).ok_or_else(left_out)
}

/// The own tests of a program in this folder, in this environment of Python: whether all is well, and what they say.
pub(crate) fn unit_tests(package: &str, folder: &Path) -> Result<(bool, String), Error> {
    let mut command = Command::new(python(package)?);
    command.args(["-m", "unittest"]).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().map_err(Error::at("python -m unittest"))?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn peers_bin() -> Option<PathBuf> {
    Some(peers_dir()?.join("bin"))
}

fn peers_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("DROVES_PEERS") {
        return Some(PathBuf::from(dir));
    }
    built_dir().and_then(|built| Some(built.parent()?.join("peers")))
}

/// `<target>/<profile>`: this test program is in its `deps`.
fn built_dir() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.parent()?.to_path_buf())
}

/// The folder of a program of PostgreSQL: Debian keeps them out of the path.
pub(crate) fn postgres_bin() -> Result<PathBuf, Error> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .collect();
    versions.sort();
    if let Some((_, bin)) = versions.pop() {
        return Ok(bin);
    }
    let initdb =
        program("initdb").map_err(|_| Error::LeftOut("no PostgreSQL: apt-get install postgresql".to_owned()))?;
    Ok(initdb.parent().map(Path::to_path_buf).unwrap_or_default())
}
