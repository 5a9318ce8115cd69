//! The dashboard's frames as text, for whoever can't see it live.

use super::{View, draw};
use droves_engine::Look;
use droves_facts::{Dur, Mono};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The size of a frame.
const SIZE: (u16, u16) = (120, 36);

/// Writes a frame now and then.
#[derive(Debug)]
pub struct Snapshots {
    folder: PathBuf,
    every: Dur,
    next: Mono,
    number: u32,
    view: View,
    terminal: Terminal<TestBackend>,
}

impl Snapshots {
    /// Frames into a folder, which is made if need be.
    pub fn start(folder: &Path, every: Dur, scenario: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let terminal = Terminal::new(TestBackend::new(SIZE.0, SIZE.1)).map_err(io::Error::other)?;
        let view = View::new(scenario, false);
        Ok(Snapshots { folder: folder.to_owned(), every, next: Mono::ZERO, number: 0, view, terminal })
    }

    /// Writes a frame, if it is time.
    pub fn show(&mut self, look: &Look) -> io::Result<()> {
        self.view.take(look.clone());
        if look.progress.now < self.next {
            return Ok(());
        }
        self.next = look.progress.now + self.every;
        let view = &self.view;
        self.terminal.draw(|frame| draw(frame, view)).map_err(io::Error::other)?;
        let path = self.folder.join(format!("frame-{:05}.txt", self.number));
        self.number += 1;
        fs::write(path, text(self.terminal.backend()))
    }
}

/// A screen as lines.
pub(crate) fn text(backend: &TestBackend) -> String {
    let buffer = backend.buffer();
    let width = usize::from(buffer.area.width).max(1);
    let mut out = String::new();
    for row in buffer.content.chunks(width) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
