//! Cuts the blocks of one file, in order, into chunks that end at line ends.

use std::ops::Range;
use std::sync::Arc;

use crate::io::arena::Buf;
use crate::scan::chunk::{Chunk, GREP_BUFFER_BYTES, HEAD_BYTES, Segment, Source};

/// Replaces NUL bytes by line feeds; the place of the first one.
pub(super) fn zap(text: &mut [u8]) -> Option<usize> {
    let first = memchr::memchr(0, text)?;
    let mut at = first;
    while let Some(next) = memchr::memchr(0, &text[at..]) {
        text[at + next] = b'\n';
        at += next + 1;
    }
    Some(first)
}

/// The state between one block of a file and the next.
pub(super) struct Cutter {
    source: Arc<Source>,
    /// The incomplete last line of the block before, at most `HEAD_BYTES`.
    tail: Vec<u8>,
    /// The block before ended inside a line too long for that; its text has gone on.
    open: bool,
    ended: bool,
    text: bool,
    binary_from: Option<u64>,
    /// Where the file's text began: standard input may be half read already.
    origin: u64,
}

impl Cutter {
    pub(super) fn new(source: Arc<Source>, origin: u64, text: bool) -> Self {
        let binary_from = (!text && source.is_sparse()).then_some(0);
        Self { source, tail: Vec::new(), open: false, ended: false, text, binary_from, origin }
    }

    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Whether the last chunk has been cut.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Takes the block that holds the `got` bytes of the file from `offset`, in `range` of `buf`,
    /// which begins at `HEAD_BYTES` (a file's first block may begin at 0) and leaves a byte free
    /// behind itself. With `end`, or when the range is not full, nothing follows.
    ///
    /// `None`: all of it waits in the tail.
    pub(super) fn cut(
        &mut self,
        offset: u64,
        mut buf: Buf,
        range: Range<usize>,
        got: usize,
        end: bool,
    ) -> Option<Chunk> {
        self.source.add_read(got);
        self.ended = end || got < range.len() || self.source.stopped();
        let block = range.start..range.start + got;
        self.look_for_nul(offset, &mut buf[block.clone()]);

        // The text: what waits, then the block. Where nothing waits it begins at the block.
        let begin = block.start - self.tail.len();
        buf[begin..block.start].copy_from_slice(&self.tail);
        let file_offset = offset - self.tail.len() as u64;
        self.tail.clear();
        let whole = begin..block.end;
        let continues = self.open;

        let mut cut = whole.end;
        let mut open = false;
        if !self.ended {
            let ending = memchr::memrchr(b'\n', &buf[whole.clone()]).map(|at| whole.start + at + 1);
            let rest = whole.end - ending.unwrap_or(whole.start);
            // Inside a long line there is no start to hold back.
            if rest <= HEAD_BYTES && (ending.is_some() || !continues) {
                cut = whole.end - rest;
                self.tail.extend_from_slice(&buf[cut..whole.end]);
            } else {
                open = true;
            }
            if cut == whole.start && !open {
                return None;
            }
        }
        self.open = open;

        // Padding: line feeds in front to a multiple of 4, one behind if the last line lacks it.
        let front = (buf.offset() + whole.start) % 4;
        let front = if continues { 0 } else { front };
        buf[whole.start - front..whole.start].fill(b'\n');
        let mut end = cut;
        let bare = if whole.start == cut { continues } else { buf[cut - 1] != b'\n' };
        if self.ended && bare {
            buf[cut] = b'\n';
            end += 1;
        }
        let segment = Segment {
            source: self.source.clone(),
            range: front..front + (cut - whole.start),
            offset: file_offset - self.origin,
            continues,
            open,
            last: self.ended,
            binary_from: self.binary_from,
        };
        Some(Chunk::new(buf, whole.start - front..end, vec![segment]))
    }

    /// grep looks at each buffer of 96 KiB before it searches it, and from the first that holds a
    /// NUL on the file is binary.
    fn look_for_nul(&mut self, offset: u64, block: &mut [u8]) {
        if self.text {
            return;
        }
        if let Some(first) = zap(block) {
            self.source.note_nul(offset - self.origin + first as u64);
            let buffer = first - first % GREP_BUFFER_BYTES;
            self.binary_from.get_or_insert(offset - self.origin + buffer as u64);
        }
    }
}
