//! The dashboard in a real pseudo-terminal: what stands on the screen, what keys do, what is left behind.

#![expect(clippy::unwrap_used, reason = "tests")]

use droves_e2e::{Ground, case, program, wait_until};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

const SCENARIO: &str = "droves: 1\ntarget: { server: practice }\nfleet:\n  keys: { pool: 4 }\n  populations:\n    phones: { platform: ios, count: 40 }\nbounds: { lag_max: 60s }\nphases:\n  - name: come in\n    enroll: { who: all, arrivals: { rate: 20/s } }\n    until: { enrolled: 100%, within: 10m }\n  - name: stay\n    check_in: { who: all, arrivals: { each: { every: 2s } } }\n    for: 10m\n";

fn cells(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

/// The program in a terminal of this size.
struct Session {
    parser: Arc<Mutex<vt100::Parser>>,
    /// Reads until the program has ended.
    reader: JoinHandle<()>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
}

impl Session {
    fn start(ground: &Ground, (rows, cols): (u16, u16), env: &[(&str, &str)]) -> Result<Session, droves_e2e::Error> {
        let file = ground.path().join("terminal.yaml");
        std::fs::write(&file, SCENARIO).unwrap();
        let pair = native_pty_system().openpty(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(program("droves")?);
        command.arg("run");
        command.arg(&file);
        for (flag, name) in [("--out", "results"), ("--certs", "certs"), ("--keys", "keys")] {
            command.arg(flag);
            command.arg(ground.path().join(name));
        }
        command.env("TERM", "xterm-256color");
        command.env_remove("CI");
        command.env_remove("NO_COLOR");
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(cols), 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let screen = Arc::clone(&parser);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4_096];
            // The end of the program is an error of the reader on Linux.
            while let Ok(n) = output.read(&mut piece) {
                if n == 0 {
                    return;
                }
                screen.lock().unwrap().process(&piece[..n]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Ok(Session { parser, reader, child, keys, master: pair.master })
    }

    fn screen(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    fn shows(&self, words: &str) {
        let shown = wait_until(Duration::from_secs(60), || self.screen().contains(words));
        assert!(shown, "no `{words}` on\n{}", self.screen());
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn ends(mut self) -> (u32, String, bool) {
        let mut code = None;
        let ended = wait_until(Duration::from_secs(60), || {
            code = self.child.try_wait().ok().flatten().map(|status| status.exit_code());
            code.is_some()
        });
        if !ended {
            self.child.kill().unwrap();
        }
        let is_read = wait_until(Duration::from_secs(60), || self.reader.is_finished());
        assert!(is_read, "it has ended, and its terminal has not");
        let parser = self.parser.lock().unwrap();
        (code.unwrap_or(u32::MAX), parser.screen().contents(), parser.screen().alternate_screen())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // One that has ended can't be killed.
        drop(self.child.kill());
    }
}

#[test]
fn the_dashboard_lives_in_a_terminal_and_gives_it_back() {
    case("dashboard", |ground| {
        let mut session = Session::start(ground, (24, 80), &[])?;
        session.shows("come in");
        session.shows("apple.scep.issue");
        session.shows("generator");
        session.shows("stay");
        session.types("?");
        session.shows("end the run; results are written");
        session.types("?");
        session.types("p");
        session.shows("PICTURE HELD");
        session.types("p");
        {
            // What is drawn for the new size is read after the screen has it.
            let mut parser = session.parser.lock().unwrap();
            session.master.resize(PtySize { rows: 50, cols: 140, pixel_width: 0, pixel_height: 0 }).unwrap();
            parser.screen_mut().set_size(cells(50), cells(140));
        }
        session.shows("a minute ago");
        session.types("q");
        let (code, screen, alternate) = session.ends();
        assert_eq!(code, 105, "{screen}");
        assert!(!alternate, "the terminal was not given back");
        assert!(screen.contains("interrupted before the plan's end"), "{screen}");
        assert_eq!(std::fs::read_dir(ground.path().join("results")).unwrap().count(), 1);
        Ok(())
    });
}

#[test]
fn without_colours_there_are_none() {
    case("dashboard_without_colours", |ground| {
        let mut session = Session::start(ground, (24, 80), &[("NO_COLOR", "1")])?;
        session.shows("generator");
        {
            let parser = session.parser.lock().unwrap();
            let screen = parser.screen();
            for row in 0..24 {
                for col in 0..80 {
                    let cell = screen.cell(row, col).unwrap();
                    assert_eq!(cell.fgcolor(), vt100::Color::Default, "{row}:{col}");
                }
            }
        }
        session.types("\u{3}");
        let (code, screen, _) = session.ends();
        assert_eq!(code, 105, "{screen}");
        Ok(())
    });
}
