//! The live dashboard: what the eye should meet, in this order: which phase and how long still; is the generator
//! honest; where the devices are; what the server's latency does; how far the pushes have come; what went wrong.
//!
//! [`draw`] is a function of what is to be seen and of the size, so that tests need no terminal.

mod draw;
mod snapshots;

pub use draw::{Sort, View, draw};
pub use snapshots::Snapshots;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use droves_engine::Look;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{self, Stderr};
use std::sync::Once;
use std::time::Duration;

/// What somebody at the keyboard wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Nothing.
    Nothing,
    /// The run is to end.
    Stop,
}

/// The dashboard on a terminal, which it gives back when it is dropped or when the program panics.
#[derive(Debug)]
pub struct Dashboard {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    view: View,
}

impl Dashboard {
    /// Takes the terminal over.
    pub fn start(scenario: &str, colours: bool) -> io::Result<Self> {
        restore_on_panic();
        enable_raw_mode()?;
        let mut stderr = io::stderr();
        execute!(stderr, EnterAlternateScreen, cursor::Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(stderr))?;
        Ok(Dashboard { terminal, view: View::new(scenario, colours) })
    }

    /// Shows a look, and hears what was typed since the last one.
    pub fn show(&mut self, look: Look) -> io::Result<Wish> {
        let wish = self.keys()?;
        self.view.take(look);
        let view = &self.view;
        self.terminal.draw(|frame| draw(frame, view))?;
        Ok(wish)
    }

    fn keys(&mut self) -> io::Result<Wish> {
        while event::poll(Duration::ZERO)? {
            let Event::Key(key) = event::read()? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match key.code {
                KeyCode::Char('q') => return Ok(Wish::Stop),
                // In raw mode the terminal sends no signal.
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(Wish::Stop),
                KeyCode::Char('p') => self.view.pause(),
                KeyCode::Char('s') => self.view.sort_next(),
                KeyCode::Char('?' | 'h') => self.view.help = !self.view.help,
                KeyCode::Esc => self.view.help = false,
                _ => {}
            }
        }
        Ok(Wish::Nothing)
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    // A terminal that is gone needs nothing back.
    drop(disable_raw_mode());
    drop(execute!(io::stderr(), LeaveAlternateScreen, cursor::Show));
}

/// A panic's message belongs on the screen that the user had before.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            before(info);
        }));
    });
}
