//! What the reader has asked for and not yet handed on.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, SeekFrom};

use crate::io::arena::Buf;
use crate::scan::chunk::{GREP_BUFFER_BYTES, Source};

/// A read that was asked for, or a message that waits its turn.
pub(super) struct Entry {
    pub(super) source: Arc<Source>,
    pub(super) kind: Kind,
    pub(super) answer: Option<Answer>,
}

pub(super) enum Kind {
    /// A whole small file, read into its part of a shared block.
    Small(Arc<File>),
    /// One block of a larger file; `planned_last`: its size said that it ends here.
    Block { file: Arc<File>, offset: u64, planned_last: bool },
    /// Everything from that offset on, read when its turn comes.
    Rest(Arc<File>, u64),
    /// A pipe or a terminal, read when its turn comes.
    Stream(Arc<File>),
    /// It could not be opened.
    Failed(io::Error),
    /// A message.
    Trouble(String),
}

/// What a read brought.
pub(super) struct Answer {
    pub(super) buf: Buf,
    pub(super) range: Range<usize>,
    pub(super) got: usize,
    pub(super) error: Option<io::Error>,
}

impl Entry {
    /// Whether the entry can leave the plan when it is first.
    pub(super) fn is_ready(&self) -> bool {
        self.answer.is_some() || !matches!(self.kind, Kind::Small(_) | Kind::Block { .. })
    }
}

/// Opens a file for reading, as grep does: it never becomes the controlling terminal.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

/// Position and size of a regular file; `None` for what has no size: pipes, terminals, devices.
pub(super) fn start_and_size(file: &File) -> io::Result<Option<(u64, u64)>> {
    let meta = file.metadata()?;
    if meta.is_dir() {
        // Its first read fails, in the system's words, as in grep.
        return Ok(Some((0, 0)));
    }
    if !meta.is_file() {
        return Ok(None);
    }
    Ok(Some((rustix::fs::seek(file, SeekFrom::Current(0))?, meta.len())))
}

/// Whether the file has holes behind the first buffer that grep reads, which make it binary there
/// before any NUL byte is seen.
pub(super) fn has_holes(file: &File, size: u64) -> bool {
    let first = GREP_BUFFER_BYTES as u64;
    if size <= first {
        return false;
    }
    let hole = rustix::fs::seek(file, SeekFrom::Hole(first));
    // Our own reads name their offset, but the file may be another program's standard input too.
    let back = rustix::fs::seek(file, SeekFrom::Start(0));
    back.is_ok() && hole.is_ok_and(|hole| hole < size)
}
