//! Pieces of text on their way from storage through the kernel to the printer.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::io::arena::Buf;

/// Bytes that one read brings: two of the buffers of 96 KiB that GNU grep reads, so that "binary"
/// begins at the same byte as there (see [`Segment::binary_from`]).
pub const BLOCK_BYTES: usize = 2 * GREP_BUFFER_BYTES;
/// The size of GNU grep's reads.
pub const GREP_BUFFER_BYTES: usize = 96 << 10;
/// Room before a block for the incomplete line that ended the block before it. A longer one is
/// carried on by the automaton's state instead.
pub const HEAD_BYTES: usize = 60 << 10;
/// Room behind a block for the line feed that a last line may lack.
pub const SPARE_BYTES: usize = 4 << 10;
/// A whole buffer: 256 KiB.
pub const STRIDE_BYTES: usize = HEAD_BYTES + BLOCK_BYTES + SPARE_BYTES;

/// A file (or standard input) that is being searched. Shared by reader and printer.
#[derive(Debug)]
pub struct Source {
    /// The name as it is printed.
    pub name: Vec<u8>,
    /// Set by the printer when it wants no more of this file.
    enough: AtomicBool,
    /// The file has holes, which read as NUL bytes.
    sparse: AtomicBool,
    /// Bytes read so far, for statistics.
    read: AtomicU64,
    /// Offset of the first NUL byte that was seen, or `u64::MAX`.
    nul: AtomicU64,
}

impl Source {
    /// A file of that name.
    pub fn new(name: impl Into<Vec<u8>>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            enough: AtomicBool::new(false),
            sparse: AtomicBool::new(false),
            read: AtomicU64::new(0),
            nul: AtomicU64::new(u64::MAX),
        })
    }

    /// Asks the reader to stop reading this file. What is under way still arrives.
    pub fn stop(&self) {
        // A hint: nothing is published with it.
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Whether [`Source::stop`] was called.
    pub fn stopped(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }

    /// Counts bytes that arrived.
    pub(super) fn add_read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes that the file has holes.
    pub(super) fn note_sparse(&self) {
        self.sparse.store(true, Ordering::Relaxed);
    }

    /// Whether the file has holes behind the first buffer: it is binary from its start then.
    pub(super) fn is_sparse(&self) -> bool {
        self.sparse.load(Ordering::Relaxed)
    }

    /// Notes a NUL byte; the first one counts.
    pub(super) fn note_nul(&self, offset: u64) {
        self.nul.fetch_min(offset, Ordering::Relaxed);
    }

    /// Where the file's first NUL byte is, of what was read and looked through.
    pub fn first_nul(&self) -> Option<u64> {
        Some(self.nul.load(Ordering::Relaxed)).filter(|at| *at != u64::MAX)
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// The part of a chunk that comes from one file.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Which file.
    pub source: Arc<Source>,
    /// Where in the chunk's text. Bytes of the text in no segment are line feeds that were added
    /// as padding; one that follows a segment directly also ends its last line if need be.
    pub range: Range<usize>,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// The first line began in an earlier chunk.
    pub continues: bool,
    /// The last line goes on in a later chunk.
    pub open: bool,
    /// Nothing of the file follows.
    pub last: bool,
    /// The file is binary: lines that end at or after this offset of the file are not shown. NUL
    /// bytes have been replaced by line feeds, as grep does to keep lines short.
    pub binary_from: Option<u64>,
}

/// A stretch of text in an arena, ready for the kernel.
#[derive(Debug)]
pub struct Chunk {
    buf: Buf,
    text: Range<usize>,
    /// The parts, in order, disjoint. At least one. Only the first may continue, only the last be
    /// open, and either is then the only one.
    pub segments: Vec<Segment>,
}

impl Chunk {
    /// A chunk of `text` within `buf`, whose place in the arena must be a multiple of 4 bytes.
    pub fn new(buf: Buf, text: Range<usize>, segments: Vec<Segment>) -> Self {
        debug_assert!(text.is_empty() || (buf.offset() + text.start).is_multiple_of(4));
        Self { buf, text, segments }
    }

    /// The bytes that the kernel walks.
    pub fn text(&self) -> &[u8] {
        &self.buf[self.text.clone()]
    }

    /// Where the text begins, in bytes from the start of its arena; a multiple of 4.
    pub fn arena_offset(&self) -> usize {
        self.buf.offset() + self.text.start
    }

    /// Whether the first line began in the chunk before.
    pub fn continues(&self) -> bool {
        self.segments.first().is_some_and(|segment| segment.continues)
    }

    /// Whether the last line goes on in the chunk behind.
    pub fn open(&self) -> bool {
        self.segments.last().is_some_and(|segment| segment.open)
    }
}

/// What the reader hands on, in the order of the files.
#[derive(Debug)]
pub enum Item {
    /// Text.
    Chunk(Chunk),
    /// A file that could not be opened or read on; earlier chunks of it stand.
    Failed(Arc<Source>, std::io::Error),
    /// Trouble that belongs to no file, such as a directory that cannot be listed.
    Trouble(String),
}
