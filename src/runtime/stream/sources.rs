//! What a stream reads next, and when a range has ended.
//!
//! A file's size says how far to read ahead; beyond it one read at a time looks whether the file has
//! grown. A range ends where a read came back short, the lowest place of several.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;

/// Reads begin at multiples of this, but for the first of a range: direct transfers ask for it.
const ALIGN: u64 = 4096;

/// A range of a file that was asked for.
pub(super) struct Pushed {
    pub tag: u64,
    pub file: Arc<File>,
    pub start: u64,
    pub end: u64,
}

/// A read to begin.
pub(super) struct Next {
    pub source: usize,
    pub tag: u64,
    pub file: Arc<File>,
    pub offset: u64,
    pub bytes: usize,
    /// The first of its range.
    pub first: bool,
}

/// The end of a range, all of its chunks having ended.
pub(super) struct End {
    pub tag: u64,
    pub file: Arc<File>,
    /// See [`Sources::keep`].
    pub kept: bool,
    /// Where reading ended.
    pub offset: u64,
    /// Why, where it is not the end of the file or of the range.
    pub errno: Option<u16>,
}

struct Source {
    pushed: Pushed,
    /// Where the next read begins.
    next: u64,
    /// How far reads may be begun whatever becomes of those before.
    ahead: u64,
    /// Reads in flight.
    reading: usize,
    /// The same, and chunks whose slots have not ended.
    out: usize,
    /// The lowest place where a read came back short, and its error.
    stop: Option<(u64, Option<u16>)>,
    /// It is in `Sources::ready`.
    listed: bool,
    kept: bool,
}

impl Source {
    fn new(pushed: Pushed) -> Self {
        let ahead = match pushed.file.metadata() {
            Ok(meta) if meta.is_file() => meta.len().min(pushed.end),
            // No size to go by; a range that has an end may be meant.
            _ if pushed.end < i64::MAX as u64 => pushed.end,
            _ => 0,
        };
        Self { next: pushed.start, pushed, ahead, reading: 0, out: 0, stop: None, listed: true, kept: false }
    }

    /// Whether a read may be begun now.
    fn is_ready(&self) -> bool {
        self.stop.is_none() && self.next < self.pushed.end && (self.next < self.ahead || self.reading == 0)
    }

    fn has_ended(&self) -> bool {
        self.out == 0 && (self.stop.is_some() || self.next >= self.pushed.end)
    }
}

/// All ranges of a stream.
#[derive(Default)]
pub(super) struct Sources {
    queued: VecDeque<Pushed>,
    active: Vec<Option<Source>>,
    free: Vec<usize>,
    /// Those of which something may be read, the next one first; some of them no longer.
    ready: VecDeque<usize>,
    ended: VecDeque<End>,
}

impl Sources {
    pub fn push(&mut self, pushed: Pushed) {
        self.queued.push_back(pushed);
    }

    /// Ranges that have not ended.
    pub fn len(&self) -> usize {
        self.queued.len() + self.active.len() - self.free.len()
    }

    /// The next read to begin, at most `chunk` bytes, counted as begun.
    pub fn next(&mut self, chunk: usize) -> Option<Next> {
        loop {
            let Some(&number) = self.ready.front() else {
                let pushed = self.queued.pop_front()?;
                self.activate(pushed);
                continue;
            };
            let Some(source) = self.active[number].as_mut() else {
                self.ready.pop_front();
                continue;
            };
            if !source.is_ready() {
                source.listed = false;
                self.ready.pop_front();
                self.close(number);
                continue;
            }
            let offset = source.next;
            let bytes = (chunk as u64 - offset % ALIGN).min(source.pushed.end - offset);
            source.next += bytes;
            let first = source.out == 0 && offset == source.pushed.start;
            source.reading += 1;
            source.out += 1;
            let (tag, file) = (source.pushed.tag, source.pushed.file.clone());
            return Some(Next { source: number, tag, file, offset, bytes: bytes as usize, first });
        }
    }

    fn activate(&mut self, pushed: Pushed) {
        let source = Some(Source::new(pushed));
        let number = match self.free.pop() {
            Some(number) => {
                self.active[number] = source;
                number
            }
            None => {
                self.active.push(source);
                self.active.len() - 1
            }
        };
        self.ready.push_back(number);
    }

    /// Notes that the file is kept registered; the range's end tells it again.
    pub fn keep(&mut self, number: usize) {
        if let Some(source) = self.active[number].as_mut() {
            source.kept = true;
        }
    }

    /// A read has ended: `got` of `asked` bytes from `offset` on. Its chunk stays out if it brought any.
    pub fn landed(&mut self, number: usize, offset: u64, asked: usize, got: usize, errno: Option<u16>) {
        let Some(source) = self.active[number].as_mut() else { return };
        source.reading -= 1;
        source.out -= usize::from(got == 0);
        let at = offset + got as u64;
        if (errno.is_some() || got < asked) && source.stop.is_none_or(|(stop, _)| at < stop) {
            source.stop = Some((at, errno));
        }
        if source.is_ready() && !source.listed {
            source.listed = true;
            // What was begun first is finished first.
            self.ready.push_front(number);
        }
        self.close(number);
    }

    /// The slot of a chunk has ended.
    pub fn chunk_ended(&mut self, number: usize) {
        if let Some(source) = self.active[number].as_mut() {
            source.out -= 1;
            self.close(number);
        }
    }

    /// Lets a range go that has ended.
    fn close(&mut self, number: usize) {
        let place = &mut self.active[number];
        let Some(Source { pushed, next, stop, listed, kept, .. }) =
            place.take_if(|source| source.has_ended())
        else {
            return;
        };
        if listed {
            self.ready.retain(|other| *other != number);
        }
        self.free.push(number);
        let (offset, errno) = stop.unwrap_or((next, None));
        self.ended.push_back(End { tag: pushed.tag, file: pushed.file, kept, offset, errno });
    }

    /// The next range that has ended.
    pub fn take_end(&mut self) -> Option<End> {
        self.ended.pop_front()
    }
}
