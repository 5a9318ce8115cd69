//! The independent Windows peer in `tests/peers/windows`: that its server, its device and its checker are what they say,
//! before anybody else is judged by them.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Error, case, python};
use std::path::Path;
use std::process::Command;

#[test]
fn the_windows_peer_passes_its_own_tests() {
    case("windows_peer", |_| {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let mut command = Command::new(python("windows")?);
        command.args(["-m", "unittest", "discover", "-s", "windows/tests", "-t", "."]).current_dir(peers);
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let last = said.lines().last().unwrap_or_default();
        if last.contains("skipped") {
            let how = "apt-get install libxml2-utils libwbxml2-utils openssl";
            return Err(Error::LeftOut(format!("tests of the Windows peer were skipped, {last}: {how}")));
        }
        assert!(last.starts_with("OK"), "{said}");
        Ok(())
    });
}
