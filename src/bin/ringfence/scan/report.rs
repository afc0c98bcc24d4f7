//! Messages and the exit code.

use std::io::{self, Write as _};

/// What the exit code depends on.
#[derive(Debug)]
pub struct Report {
    /// A line was selected.
    pub found: bool,
    /// Something could not be searched.
    pub trouble: bool,
    /// The first failure of the output.
    pub output: io::Result<()>,
    /// `-s`.
    pub no_messages: bool,
}

impl Report {
    pub fn new(no_messages: bool) -> Self {
        Self { found: false, trouble: false, output: Ok(()), no_messages }
    }

    /// A message about a file, to standard error.
    pub fn say(&self, name: &[u8], message: &str) {
        let text = [b"ringfence: ", name, b": ", message.as_bytes(), b"\n"].concat();
        // There is nowhere to tell that standard error is closed.
        let _ = io::stderr().write_all(&text);
    }

    /// A file that could not be searched.
    pub fn failed(&mut self, name: &[u8], error: &io::Error) {
        self.trouble = true;
        if !self.no_messages {
            self.say(name, &describe(error));
        }
    }

    /// Trouble with no file to it.
    pub fn trouble(&mut self, message: &str) {
        self.trouble = true;
        if !self.no_messages {
            let _ = writeln!(io::stderr(), "ringfence: {message}");
        }
    }
}

/// The system's words, without Rust's number behind them.
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
