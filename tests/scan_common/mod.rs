//! `ringfence scan` beside GNU grep, the oracle.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a program said and how it ended.
#[derive(PartialEq, Eq)]
pub struct Said {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub code: Option<i32>,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let show = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
            format!("{} bytes {text:?}", bytes.len())
        };
        write!(f, "code {:?}\n  out {}\n  err {}", self.code, show(&self.out), show(&self.err))
    }
}

fn said(mut command: Command, dir: &Path, input: Option<&[u8]>) -> Said {
    command.current_dir(dir).env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().expect("the program starts");
    let feeder = input.map(|input| {
        let (mut pipe, input) = (child.stdin.take().unwrap(), input.to_vec());
        // A program that has seen enough closes the pipe.
        std::thread::spawn(move || drop(pipe.write_all(&input)))
    });
    let out = child.wait_with_output().unwrap();
    if let Some(feeder) = feeder {
        feeder.join().unwrap();
    }
    Said { out: out.stdout, err: out.stderr, code: out.status.code() }
}

/// `ringfence scan` in `dir`, not yet started.
pub fn scan_command<S: AsRef<OsStr>>(dir: &Path, args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    if std::env::var_os("RINGFENCE_SCAN_ENGINE").is_none() {
        command.env("RINGFENCE_SCAN_ENGINE", "twin");
    }
    command.arg("scan").args(args).current_dir(dir);
    command
}

/// `ringfence scan` in `dir`.
pub fn scan<S: AsRef<OsStr>>(dir: &Path, args: &[S], input: Option<&[u8]>) -> Said {
    said(scan_command(dir, args), dir, input)
}

/// GNU grep in `dir`; its messages carry our name.
pub fn grep<S: AsRef<OsStr>>(dir: &Path, args: &[S], input: Option<&[u8]>) -> Said {
    let mut command = Command::new("grep");
    command.args(args);
    let mut said = said(command, dir, input);
    said.err = String::from_utf8_lossy(&said.err)
        .lines()
        // A warning about its own future is not ours to repeat.
        .filter(|line| !line.contains("grep: warning:"))
        .map(|line| line.replacen("grep: ", "ringfence: ", 1) + "\n")
        .collect::<String>()
        .into_bytes();
    said
}

/// Both say the same, except for the words of messages about patterns.
pub fn check(dir: &Path, args: &[&str], input: Option<&[u8]>) {
    let (ours, theirs) = (scan(dir, args, input), grep(dir, args, input));
    assert!(ours == theirs, "{args:?} in {dir:?}\nringfence: {ours:?}\ngrep: {theirs:?}");
}

/// Lines in the order of their bytes; for directories, whose order is free.
pub fn sorted(mut said: Said) -> Said {
    let sort = |bytes: &mut Vec<u8>| {
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
        lines.sort_unstable();
        *bytes = lines.concat();
    };
    sort(&mut said.out);
    sort(&mut said.err);
    said
}

/// A folder that goes when the test ends.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringfence-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Numbers that look random and are the same each time (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
