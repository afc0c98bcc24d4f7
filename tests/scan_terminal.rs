//! What `ringfence scan` shows on a terminal: a bar while a search takes long, and nothing of it
//! afterwards.

mod scan_common;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use scan_common::scan_command;

const MISSING: &str = "no/such/file";
const MESSAGE: &str = "ringfence: no/such/file: No such file or directory\n";

/// High enough that nothing scrolls away.
const HIGH: NonZero<u16> = NonZero::new(5000).unwrap();
const WIDE: NonZero<u16> = NonZero::new(100).unwrap();

/// A terminal: what is written to it, and its end for programs.
fn terminal() -> (Receiver<Vec<u8>>, File) {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
    let flags = OFlags::NOCTTY.bits() as i32;
    let end = File::options().read(true).write(true).custom_flags(flags).open(name).unwrap();
    tcsetwinsize(&end, Winsize { ws_row: HIGH.get(), ws_col: WIDE.get(), ws_xpixel: 0, ws_ypixel: 0 })
        .unwrap();
    let (writes, written) = channel();
    std::thread::spawn(move || {
        let (mut screen, mut bytes) = (File::from(screen), [0; 4096]);
        // It fails when the last program has closed its end.
        while let Ok(got @ 1..) = screen.read(&mut bytes) {
            if writes.send(bytes[..got].to_vec()).is_err() {
                return;
            }
        }
    });
    (written, end)
}

/// Searches a pipe whose writer adds a line every 20 ms until `enough` says so of the screen, then the
/// file [`MISSING`]. Messages go to the terminal, and lines too with `lines_as_well`. What was on the screen
/// in the end, how often a line was written, and what the program said elsewhere.
fn search(
    options: &[&str],
    lines_as_well: bool,
    mut enough: impl FnMut(&vt100::Screen) -> bool,
) -> (vt100::Parser, usize, Output) {
    let (written, end) = terminal();
    let mut screen = vt100::Parser::new(HIGH, WIDE, 0);
    let mut command = scan_command(&std::env::temp_dir(), options);
    command.args(["--engine", "threads", "-e", "foo", "-", MISSING]).env("RINGFENCE_SCAN_ENGINE", "twin");
    command.env("TERM", "xterm").env("LC_ALL", "C").env_remove("NO_COLOR").stdin(Stdio::piped());
    command.stdout(if lines_as_well { end.try_clone().unwrap().into() } else { Stdio::piped() });
    let mut child = command.stderr(end).spawn().unwrap();
    drop(command);
    let mut pipe = child.stdin.take().unwrap();
    let mut lines = 0;
    while !enough(screen.screen()) {
        writeln!(pipe, "foo {lines}").unwrap();
        lines += 1;
        match written.recv_timeout(Duration::from_millis(20)) {
            Ok(bytes) => screen.process(&bytes),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("it ended: {}", screen.screen().contents()),
        }
    }
    drop(pipe);
    written.iter().for_each(|bytes| screen.process(&bytes));
    (screen, lines, child.wait_with_output().unwrap())
}

#[test]
fn a_long_search_shows_a_bar_and_takes_it_away() {
    for (options, lines_as_well) in [(&[][..], false), (&[], true), (&["--stats"], false)] {
        let since = Instant::now();
        let bar = |screen: &vt100::Screen| {
            assert!(since.elapsed() < Duration::from_secs(60), "no bar: {}", screen.contents());
            screen.contents().contains(" GB/s, (standard input)")
        };
        let (screen, lines, output) = search(options, lines_as_well, bar);
        let screen = screen.screen();
        let lines: String = (0..lines).map(|n| format!("(standard input):foo {n}\n")).collect();
        let shown = screen.contents() + "\n";
        if lines_as_well {
            assert_eq!(shown, lines + MESSAGE, "lines and the message, no bar between them");
        } else {
            assert_eq!(String::from_utf8_lossy(&output.stdout), lines);
            let behind = shown.strip_prefix(MESSAGE).expect("the message, nothing of the bar before it");
            // Statistics name no file.
            assert_eq!((behind.is_empty(), behind.contains("(standard input)")), (options.is_empty(), false));
        }
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(screen.cursor_position().1, 0, "the shell's prompt comes at a line's start");
        assert!(!screen.hide_cursor());
    }
}

/// It would have been seen in that time, which is twice what a search takes until it counts as long.
#[test]
fn a_quiet_search_shows_no_bar() {
    let until = Instant::now() + Duration::from_millis(1600);
    let (screen, _, output) = search(&["-v", "-q", "-s"], false, |screen| {
        assert_eq!(screen.contents(), "");
        Instant::now() > until
    });
    assert_eq!((screen.screen().contents(), output.status.code()), (String::new(), Some(2)));
}
