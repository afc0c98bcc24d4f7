//! The live view on a terminal, and that it leaves none behind as it should not be.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::rig::{PATIENCE, Place};

const ROWS: NonZero<u16> = NonZero::new(24).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(80).unwrap();

/// A terminal with `ringfence top` on it.
struct Shown {
    keys: File,
    /// The program's end.
    end: File,
    written: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    child: Child,
}

impl Shown {
    fn start(place: &Place, arguments: &[&str], no_colour: bool) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("its other end");
        let name = ptsname(&master, Vec::new()).expect("a name").into_string().expect("text");
        let flags = OFlags::NOCTTY.bits() as i32;
        let end =
            File::options().read(true).write(true).custom_flags(flags).open(name).expect("its other end");
        tcsetwinsize(&end, Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 })
            .expect("a size");
        let keys = File::from(master);
        let mut screen = keys.try_clone().expect("a copy");
        let (sender, written) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(got @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..got].to_vec()).is_err() {
                    return;
                }
            }
        });
        let copy = || end.try_clone().expect("a copy");
        let mut command = place.ringfence(&["top", "--interval", "0.25"]);
        command.args(arguments).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        if no_colour {
            command.env("NO_COLOR", "1");
        }
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("it starts");
        Self { keys, end, written, parser: vt100::Parser::new(ROWS, COLUMNS, 0), child }
    }

    /// Waits until the screen has this.
    fn shows(&mut self, phrase: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.parser.screen().contents().contains(phrase) {
            let left = until.saturating_duration_since(Instant::now());
            match self.written.recv_timeout(left.min(Duration::from_millis(100))) {
                Ok(bytes) => self.parser.process(&bytes),
                Err(_) => assert!(!left.is_zero(), "no {phrase:?} on\n{}", self.parser.screen().contents()),
            }
        }
    }

    /// Waits until the program has ended, and checks the terminal that it leaves: how it ended, and what is on the
    /// screen.
    fn ends(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it ends");
        // What it wrote last may still be on its way.
        while let Ok(bytes) = self.written.recv_timeout(Duration::from_millis(200)) {
            self.parser.process(&bytes);
        }
        let screen = self.parser.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", screen.contents());
        let modes = tcgetattr(&self.end).expect("a terminal").local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG), "{modes:?}");
        (status, screen.contents())
    }

    fn is_coloured(&self) -> bool {
        let screen = self.parser.screen();
        (0..ROWS.get()).any(|row| {
            (0..COLUMNS.get()).any(|column| {
                screen.cell(row, column).is_some_and(|cell| {
                    cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
                })
            })
        })
    }
}

#[test]
fn keys_and_signals_end_the_view_and_restore_the_terminal() {
    let place = Place::new("keys");
    let _program = place.program(1);
    for (keys, signal) in [
        (&b"q"[..], None),
        (b"\x1b", None),
        (b"\x03", None),
        (b"", Some(Signal::TERM)),
        (b"", Some(Signal::INT)),
        (b"", Some(Signal::HUP)),
    ] {
        let mut shown = Shown::start(&place, &[], false);
        shown.shows("published 12 (0/s)");
        assert!(shown.parser.screen().alternate_screen());
        for phrase in ["a test (process ", "critical", "system", "q quits"] {
            shown.shows(phrase);
        }
        let _ = shown.keys.write_all(keys);
        if let Some(signal) = signal {
            let pid = Pid::from_child(&shown.child);
            kill_process(pid, signal).expect("it runs");
        }
        let (status, left) = shown.ends();
        match signal {
            None => assert!(status.success(), "{keys:?}: {status}"),
            Some(signal) => assert_eq!(status.signal(), Some(signal.as_raw()), "{status}"),
        }
        assert!(!left.contains("published"), "{left}");
    }
}

#[test]
fn the_view_ends_with_the_process_that_was_asked_for() {
    let place = Place::new("gone");
    let mut program = place.program(1);
    let mut shown = Shown::start(&place, &[&program.pid()], false);
    shown.shows("published 12");
    program.end();
    let (status, left) = shown.ends();
    assert!(status.success() && left.contains("has ended"), "{status}: {left}");
}

#[test]
fn the_view_goes_on_with_the_next_process() {
    let place = Place::new("next");
    let mut first = place.program(1);
    let mut shown = Shown::start(&place, &[], false);
    shown.shows(&format!("(process {})", first.pid()));
    first.end();
    shown.shows("no process of this user's");
    let second = place.program(1);
    shown.shows(&format!("(process {})", second.pid()));
    shown.shows("published 12 (0/s)");
    shown.keys.write_all(b"q").expect("it reads");
    assert!(shown.ends().0.success());
}

#[test]
fn there_are_colours_unless_none_are_wanted() {
    let place = Place::new("colours");
    let _program = place.program(1);
    for no_colour in [false, true] {
        let mut shown = Shown::start(&place, &[], no_colour);
        shown.shows("published 12");
        assert_eq!(shown.is_coloured(), !no_colour);
        shown.keys.write_all(b"q").expect("it reads");
        shown.ends();
    }
}
