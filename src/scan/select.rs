//! From match positions to selected lines, file by file.

use std::ops::Range;
use std::sync::Arc;

use super::chunk::{Chunk, Segment, Source};

/// Which lines are wanted, and how much about them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection {
    /// `-v`: the lines that do not match.
    pub invert: bool,
    /// `-m`: stop a file after that many.
    pub max: Option<u64>,
    /// Whether the lines themselves are wanted, not just their count.
    pub lines: bool,
    /// Whether line numbers are wanted.
    pub numbers: bool,
}

/// A selected line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its bytes; the line feed is among them, unless the file ends without one.
    pub bytes: &'a [u8],
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Its number from 1; 0 where no numbers are wanted.
    pub number: u64,
}

/// What is known about a file when it ends.
#[derive(Clone, Debug)]
pub struct FileEnd {
    /// Which file.
    pub source: Arc<Source>,
    /// How many lines were selected.
    pub selected: u64,
    /// A line was selected in the binary part of the file, and kept back.
    pub binary: bool,
}

/// What takes the lines.
pub trait Lines {
    /// A selected line; called only where lines are wanted.
    fn line(&mut self, source: &Source, line: Line<'_>);
    /// A file has ended; called once for each file that could be read.
    fn end(&mut self, end: FileEnd);
    /// Confirms that a line without its line feed matches; asked only where the table accepts too
    /// much.
    fn confirm(&mut self, _line: &[u8]) -> bool {
        true
    }
}

/// Goes through scanned chunks in order.
pub struct Selector<L> {
    selection: Selection,
    /// Ask [`Lines::confirm`] about each line that the table reports.
    pub confirm: bool,
    lines: L,
    file: Option<File>,
}

/// The file that is being gone through.
struct File {
    source: Arc<Source>,
    selected: u64,
    binary: bool,
    finished: bool,
    /// Lines before `counted_to`.
    number: u64,
    /// The beginning of a line that goes on in the next chunk, if lines are wanted.
    partial: Vec<u8>,
    partial_offset: u64,
    partial_hit: bool,
}

impl<L: Lines> Selector<L> {
    /// Starts with no file.
    pub fn new(selection: Selection, lines: L) -> Self {
        Self { selection, confirm: false, lines, file: None }
    }

    /// Where the lines go.
    pub fn lines(&mut self) -> &mut L {
        &mut self.lines
    }

    /// Goes through a chunk. `matches` are ascending positions in its text.
    pub fn chunk(&mut self, chunk: &Chunk, matches: &[u32]) {
        let mut rest = matches;
        for segment in &chunk.segments {
            let from = rest.partition_point(|at| (*at as usize) < segment.range.start);
            let to = rest.partition_point(|at| *at as usize <= segment.range.end);
            let mine = &rest[from..to];
            // A match at the end is the padding's, which the next segment does not begin with.
            rest = &rest[to..];
            self.segment(chunk.text(), segment, mine);
        }
    }

    /// A file broke off with an error; what is known of it is told as at its end.
    pub fn broken(&mut self, source: &Arc<Source>) {
        if self.file.as_ref().is_some_and(|file| Arc::ptr_eq(&file.source, source)) {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(File { source, selected, binary, .. }) = self.file.take() {
            self.lines.end(FileEnd { source, selected, binary });
        }
    }

    fn segment(&mut self, text: &[u8], segment: &Segment, matches: &[u32]) {
        let mut file = match self.file.take() {
            Some(file) if Arc::ptr_eq(&file.source, &segment.source) => file,
            _ => File {
                source: segment.source.clone(),
                selected: 0,
                binary: false,
                finished: self.selection.max == Some(0),
                number: 0,
                partial: Vec::new(),
                partial_offset: 0,
                partial_hit: false,
            },
        };
        if !file.finished {
            let mut walk = Walk {
                selection: self.selection,
                confirm: self.confirm,
                lines: &mut self.lines,
                file: &mut file,
                text,
                segment,
            };
            walk.run(matches);
        }
        if file.finished {
            file.source.stop();
        }
        self.file = Some(file);
        if segment.last {
            self.end();
        }
    }
}

/// One segment of a file.
struct Walk<'a, L> {
    selection: Selection,
    confirm: bool,
    lines: &'a mut L,
    file: &'a mut File,
    text: &'a [u8],
    segment: &'a Segment,
}

impl<L: Lines> Walk<'_, L> {
    fn run(&mut self, mut matches: &[u32]) {
        let Range { mut start, end } = self.segment.range.clone();
        if self.segment.continues {
            let line = start..self.line_end(start);
            // An unterminated last line is decided on the line feed that was added behind it.
            let ended = line.end > line.start && self.text[line.end - 1] == b'\n';
            let bound = if ended { line.end - 1 } else { line.end };
            let hits = matches.partition_point(|at| *at as usize <= bound);
            self.file.partial_hit |= hits > 0;
            matches = &matches[hits..];
            if self.wants_bytes() {
                self.file.partial.extend_from_slice(&self.text[line.clone()]);
            }
            if self.segment.open && !ended {
                return;
            }
            start = line.end;
            self.finish_partial(start);
        }
        let whole = if self.segment.open {
            memchr::memrchr(b'\n', &self.text[start..end]).map_or(start, |at| start + at + 1)
        } else {
            end
        };
        let terminated = whole == start || self.text[whole - 1] == b'\n';
        let inside =
            matches.partition_point(|at| (*at as usize) < whole || !terminated && *at as usize == whole);
        self.whole_lines(start..whole, &matches[..inside]);
        if self.segment.open && !self.file.finished {
            let hit = matches[inside..].iter().any(|at| (*at as usize) < end);
            self.file.partial_hit = hit;
            self.file.partial_offset = self.offset(whole);
            self.file.partial.clear();
            if self.wants_bytes() {
                self.file.partial.extend_from_slice(&self.text[whole..end]);
            }
        }
    }

    /// Lines in a range that begins at a line's start, with their matches.
    fn whole_lines(&mut self, range: Range<usize>, matches: &[u32]) {
        let by_count = !self.selection.lines && !self.confirm && self.selection.max.is_none();
        if by_count {
            let total = if self.selection.invert { self.count(range.clone()) } else { 0 };
            let hits = matches.len() as u64;
            self.file.selected += if self.selection.invert { total.saturating_sub(hits) } else { hits };
            return;
        }
        let mut at = range.start;
        for hit in matches {
            if self.file.finished {
                return;
            }
            let hit = (*hit as usize).min(range.end.saturating_sub(1));
            let line_start = memchr::memrchr(b'\n', &self.text[at..hit]).map_or(at, |nl| at + nl + 1);
            let line = line_start..self.line_end(hit).min(range.end);
            let matched = !self.confirm || {
                let bytes = &self.text[line.clone()];
                self.lines.confirm(bytes.strip_suffix(b"\n").unwrap_or(bytes))
            };
            match (self.selection.invert, matched) {
                (false, true) => {
                    self.skip(at..line_start);
                    self.select(line.clone());
                }
                (false, false) => self.skip(at..line.end),
                (true, true) => {
                    self.select_all(at..line_start);
                    self.skip(line.clone());
                }
                (true, false) => self.select_all(at..line.end),
            }
            at = line.end;
        }
        if self.selection.invert {
            self.select_all(at..range.end);
        } else if !self.file.finished {
            self.skip(at..range.end);
        }
    }

    fn select_all(&mut self, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end && !self.file.finished {
            let line = at..self.line_end(at).min(range.end);
            at = line.end;
            self.select(line);
        }
    }

    /// One past the line feed of the line that holds `at`, or the end of the segment.
    fn line_end(&self, at: usize) -> usize {
        let end = self.segment.range.end;
        memchr::memchr(b'\n', &self.text[at..end]).map_or(end, |nl| at + nl + 1)
    }

    fn count(&self, range: Range<usize>) -> u64 {
        let text = &self.text[range];
        let open = text.last().is_some_and(|last| *last != b'\n');
        memchr::memchr_iter(b'\n', text).count() as u64 + u64::from(open)
    }

    fn skip(&mut self, range: Range<usize>) {
        if self.selection.numbers {
            self.file.number += self.count(range);
        }
    }

    fn offset(&self, at: usize) -> u64 {
        self.segment.offset + (at - self.segment.range.start) as u64
    }

    fn wants_bytes(&self) -> bool {
        (self.selection.lines || self.confirm) && !self.file.finished
    }

    fn select(&mut self, range: Range<usize>) {
        let (text, offset) = (self.text, self.offset(range.start));
        let end = self.offset(range.end);
        self.select_bytes(&text[range], offset, end);
    }

    /// The line that began in an earlier chunk ends before `end`.
    fn finish_partial(&mut self, end: usize) {
        let bytes = std::mem::take(&mut self.file.partial);
        let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let mut hit = std::mem::take(&mut self.file.partial_hit);
        hit = hit && (!self.confirm || self.lines.confirm(body));
        if hit != self.selection.invert {
            let (offset, end) = (self.file.partial_offset, self.offset(end));
            self.select_bytes(&bytes, offset, end);
        } else {
            self.file.number += 1;
        }
    }

    fn select_bytes(&mut self, bytes: &[u8], offset: u64, end: u64) {
        self.file.number += 1;
        let number = if self.selection.numbers { self.file.number } else { 0 };
        if self.selection.lines {
            // The line's last byte decides on which side of the limit it is.
            if self.segment.binary_from.is_some_and(|from| end > from) {
                self.file.binary = true;
                self.file.selected += 1;
                self.file.finished = true;
                return;
            }
            self.lines.line(&self.file.source, Line { bytes, offset, number });
        }
        self.file.selected += 1;
        self.file.finished = self.selection.max.is_some_and(|max| self.file.selected >= max);
    }
}
