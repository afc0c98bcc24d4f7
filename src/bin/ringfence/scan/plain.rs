//! Lines as grep prints them.

use std::io::{self, Write};

use ringfence::scan::chunk::Source;
use ringfence::scan::pattern::Finder;
use ringfence::scan::select::{FileEnd, Line, Lines};

use super::printer::{Printer, flush};
use super::report::Report;

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    #[default]
    Lines,
    Counts,
    /// Names of files with selected lines.
    With,
    /// Names of files without.
    Without,
    Nothing,
}

/// What to print of each line and file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    pub what: What,
    pub names: bool,
    pub numbers: bool,
    pub offsets: bool,
    pub only_matching: bool,
    pub invert: bool,
    pub color: bool,
}

// The colours of grep's default GREP_COLORS.
const MATCH: &str = "01;31";
const NAME: &str = "35";
const NUMBER: &str = "32";
const SEPARATOR: &str = "36";

/// Prints to `out`.
pub struct Plain<'a, W> {
    pub out: W,
    pub style: Style,
    /// Present where -o, --color or a confirmation needs it.
    pub finder: Option<&'a Finder>,
    pub report: Report,
}

impl<W: Write> Plain<'_, W> {
    fn painted(&mut self, color: &str, text: &[u8]) -> io::Result<()> {
        if self.style.color {
            // The sequence to clear to the end of the line keeps a background from running on.
            write!(self.out, "\x1b[{color}m\x1b[K")?;
            self.out.write_all(text)?;
            self.out.write_all(b"\x1b[m\x1b[K")
        } else {
            self.out.write_all(text)
        }
    }

    fn prefix(&mut self, source: &Source, number: u64, offset: u64) -> io::Result<()> {
        if self.style.names {
            self.painted(NAME, &source.name)?;
            self.painted(SEPARATOR, b":")?;
        }
        if self.style.numbers {
            self.painted(NUMBER, number.to_string().as_bytes())?;
            self.painted(SEPARATOR, b":")?;
        }
        if self.style.offsets {
            self.painted(NUMBER, offset.to_string().as_bytes())?;
            self.painted(SEPARATOR, b":")?;
        }
        Ok(())
    }

    fn print(&mut self, source: &Source, line: Line<'_>) -> io::Result<()> {
        let body = line.bytes.strip_suffix(b"\n").unwrap_or(line.bytes);
        let finder = self.finder;
        let spans = || finder.into_iter().flat_map(|finder| finder.spans(body));
        if self.style.only_matching {
            if !self.style.invert {
                for span in spans() {
                    self.prefix(source, line.number, line.offset + span.start as u64)?;
                    self.painted(MATCH, &body[span])?;
                    self.out.write_all(b"\n")?;
                }
            }
            return Ok(());
        }
        self.prefix(source, line.number, line.offset)?;
        if self.style.color && !self.style.invert {
            let mut at = 0;
            for span in spans() {
                self.out.write_all(&body[at..span.start])?;
                self.painted(MATCH, &body[span.clone()])?;
                at = span.end;
            }
            self.out.write_all(&body[at..])?;
        } else {
            self.out.write_all(body)?;
        }
        self.out.write_all(b"\n")
    }

    fn print_end(&mut self, end: &FileEnd) -> io::Result<()> {
        match self.style.what {
            What::Counts => {
                if self.style.names {
                    self.painted(NAME, &end.source.name)?;
                    self.painted(SEPARATOR, b":")?;
                }
                writeln!(self.out, "{}", end.selected)
            }
            What::With | What::Without if (end.selected > 0) == (self.style.what == What::With) => {
                self.painted(NAME, &end.source.name)?;
                self.out.write_all(b"\n")
            }
            _ => Ok(()),
        }
    }
}

impl<W: Write> Lines for Plain<'_, W> {
    fn line(&mut self, source: &Source, line: Line<'_>) {
        self.report.found = true;
        if self.report.output.is_ok() {
            self.report.output = self.print(source, line);
        }
    }

    fn end(&mut self, end: FileEnd) {
        self.report.found |= end.selected > 0;
        if self.report.output.is_ok() {
            self.report.output = self.print_end(&end);
        }
        if end.binary {
            // Its lines came before this message, on whichever stream it is read.
            flush(self);
            self.report.say(&end.source.name, "binary file matches");
        }
    }

    fn confirm(&mut self, line: &[u8]) -> bool {
        self.finder.is_none_or(|finder| finder.is_match(line))
    }
}

impl<W: Write> Printer for Plain<'_, W> {
    fn report(&mut self) -> &mut Report {
        &mut self.report
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
