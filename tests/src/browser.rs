//! A browser that shows a page without a screen: what is in it when it has been laid out.

use crate::process::answer_of;
use crate::{Error, program};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Chromium, by the names that it has on different systems.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser with a profile of the case's own.
pub struct Browser {
    program: PathBuf,
    dir: PathBuf,
}

impl Browser {
    /// One of this machine; what it remembers is kept in `dir`.
    pub fn find(dir: &Path) -> Result<Browser, Error> {
        let left_out = || Error::LeftOut("no browser: apt-get install chromium".to_owned());
        let program = NAMES.iter().find_map(|name| program(name).ok()).ok_or_else(left_out)?;
        Ok(Browser { program, dir: dir.join("browser") })
    }

    /// The page in this file as the browser has it when its scripts have run, in a window of this width.
    pub fn document(&self, page: &Path, width: u32) -> Result<String, Error> {
        let mut command = Command::new(&self.program);
        // Without a sandbox, since tests may run as root; the pages are our own.
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.arg(format!("--user-data-dir={}", self.dir.display())).arg(format!("--window-size={width},900"));
        command.arg("--dump-dom").arg(format!("file://{}", page.display()));
        answer_of(&mut command)
    }
}
