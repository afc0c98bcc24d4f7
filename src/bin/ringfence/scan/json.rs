//! Results as JSON lines, in the shape of ripgrep's: begin, match, end for each file with a match,
//! and a summary.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use ringfence::scan::chunk::Source;
use ringfence::scan::pattern::Finder;
use ringfence::scan::select::{FileEnd, Line, Lines};
use serde::Serialize;

use super::printer::Printer;
use super::report::Report;

#[derive(Serialize)]
#[serde(tag = "type", content = "data", rename_all = "lowercase")]
enum Message<'a> {
    Begin {
        path: Data<'a>,
    },
    Match {
        path: Data<'a>,
        lines: Data<'a>,
        line_number: u64,
        absolute_offset: u64,
        submatches: Vec<Submatch<'a>>,
    },
    End {
        path: Data<'a>,
        binary_offset: Option<u64>,
        stats: Stats,
    },
    Summary {
        elapsed_total: Elapsed,
        stats: Stats,
    },
}

#[derive(Serialize)]
struct Submatch<'a> {
    #[serde(rename = "match")]
    found: Data<'a>,
    start: usize,
    end: usize,
}

/// Text where it is UTF-8, else bytes in base64.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Data<'a> {
    Text(&'a str),
    Bytes(String),
}

impl<'a> Data<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        std::str::from_utf8(bytes).map_or_else(|_| Self::Bytes(base64(bytes)), Self::Text)
    }
}

#[derive(Clone, Copy, Default, Serialize)]
struct Stats {
    elapsed: Elapsed,
    searches: u64,
    searches_with_match: u64,
    bytes_searched: u64,
    bytes_printed: u64,
    matched_lines: u64,
    matches: u64,
}

#[derive(Clone, Copy, Default)]
struct Elapsed(Duration);

impl Serialize for Elapsed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("Elapsed", 3)?;
        fields.serialize_field("secs", &self.0.as_secs())?;
        fields.serialize_field("nanos", &self.0.subsec_nanos())?;
        fields.serialize_field("human", &format!("{:.6}s", self.0.as_secs_f64()))?;
        fields.end()
    }
}

/// Prints to `out`.
pub struct Json<'a, W> {
    out: W,
    finder: &'a Finder,
    /// `-v`: selected lines have no matches to show.
    invert: bool,
    /// `-q`: only the summary.
    quiet: bool,
    report: Report,
    started: Instant,
    file: Option<(Instant, Stats)>,
    total: Stats,
}

impl<'a, W: Write> Json<'a, W> {
    pub fn new(out: W, finder: &'a Finder, invert: bool, quiet: bool, report: Report) -> Self {
        let (started, total) = (Instant::now(), Stats::default());
        Self { out, finder, invert, quiet, report, started, file: None, total }
    }

    /// Bytes that it took.
    fn write(&mut self, message: &Message<'_>) -> u64 {
        if self.report.output.is_err() {
            return 0;
        }
        let mut line = match serde_json::to_vec(message) {
            Ok(line) => line,
            Err(error) => {
                self.report.output = Err(error.into());
                return 0;
            }
        };
        line.push(b'\n');
        self.report.output = self.out.write_all(&line);
        line.len() as u64
    }
}

impl<W: Write> Lines for Json<'_, W> {
    fn line(&mut self, source: &Source, line: Line<'_>) {
        self.report.found = true;
        if self.quiet {
            return;
        }
        let path = || Data::new(&source.name);
        if self.file.is_none() {
            let bytes_printed = self.write(&Message::Begin { path: path() });
            self.file = Some((Instant::now(), Stats { bytes_printed, ..Stats::default() }));
        }
        let body = line.bytes.strip_suffix(b"\n").unwrap_or(line.bytes);
        let spans = if self.invert { Vec::new() } else { self.finder.spans(body).collect() };
        let submatches: Vec<_> = spans
            .into_iter()
            .map(|span| Submatch { start: span.start, end: span.end, found: Data::new(&body[span]) })
            .collect();
        let matches = submatches.len() as u64;
        let printed = self.write(&Message::Match {
            path: path(),
            lines: Data::new(line.bytes),
            line_number: line.number,
            absolute_offset: line.offset,
            submatches,
        });
        if let Some((_, stats)) = &mut self.file {
            stats.bytes_printed += printed;
            stats.matches += matches;
            stats.matched_lines += 1;
        }
    }

    fn end(&mut self, end: FileEnd) {
        self.report.found |= end.selected > 0;
        let searched = end.source.bytes_read();
        let (started, mut stats) = self.file.take().unwrap_or((Instant::now(), Stats::default()));
        stats.elapsed = Elapsed(started.elapsed());
        stats.searches = 1;
        stats.searches_with_match = u64::from(end.selected > 0);
        stats.bytes_searched = searched;
        if stats.matched_lines > 0 {
            let path = Data::new(&end.source.name);
            self.write(&Message::End { path, binary_offset: end.source.first_nul(), stats });
        }
        self.total.searches += 1;
        self.total.searches_with_match += stats.searches_with_match;
        self.total.bytes_searched += searched;
        self.total.bytes_printed += stats.bytes_printed;
        self.total.matched_lines += stats.matched_lines;
        self.total.matches += stats.matches;
        if end.binary {
            self.report.say(&end.source.name, "binary file matches");
        }
    }

    fn confirm(&mut self, line: &[u8]) -> bool {
        self.finder.is_match(line)
    }
}

impl<W: Write> Printer for Json<'_, W> {
    fn report(&mut self) -> &mut Report {
        &mut self.report
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self) {
        let elapsed = Elapsed(self.started.elapsed());
        let stats = Stats { elapsed, ..self.total };
        self.write(&Message::Summary { elapsed_total: elapsed, stats });
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let six = (bits >> (18 - 6 * digit)) as usize & 63;
            out.push(if digit <= group.len() { char::from(DIGITS[six]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_pads() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"\xff\xfe\xfd\xfc", "//79/A=="),
        ] {
            assert_eq!(super::base64(bytes), text);
        }
    }
}
