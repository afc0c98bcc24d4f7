//! Transfers between files and arenas, many at a time, in both directions.
//!
//! What the running kernel asks for, and what streams bring, goes through a [`TransferEngine`]:
//! io_uring, or a few threads with positioned reads and writes. Both take the same steps
//! (`flight.rs`), so a file behaves the same under either. A thread that reads into blocks of its own
//! does it through a [`Window`](super::window::Window).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::arena::{Arena, MAX_ARENA_BYTES};

mod cached;
#[doc(hidden)]
pub mod faulty;
mod files;
mod flight;
mod pool;
#[cfg(target_os = "linux")]
mod ring;
#[cfg(target_os = "linux")]
mod uring;

// io_uring registers at most 1 GiB as one buffer: an arena is one. A span counts in 32 bits.
const _: () = assert!(MAX_ARENA_BYTES <= 1 << 30);

/// A file registered with an engine. It means nothing to another engine, and after
/// [`TransferEngine::unregister`] it may come to mean another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(u32);

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the file into the arena.
    Read,
    /// From the arena into the file.
    Write,
}

/// A range of an arena, shared with the device: engines reach it through raw pointers alone.
///
/// From [`TransferEngine::submit`] to the answer nobody else writes to it, or, in a read, reads
/// it. A device that does so all the same gets or leaves mixed bytes in this range, and nothing
/// worse. A block of a [`Pool`](super::arena::Pool) gives references to the memory: this crate makes a
/// span of one only where the block is locked away until the answer, in a
/// [`Window`](super::window::Window).
#[derive(Clone, Debug)]
pub struct Span {
    arena: Arc<Arena>,
    /// Both in bytes, and the end within the arena.
    start: u32,
    len: u32,
}

impl Span {
    /// Bytes `range` of the arena; `None` where that is not within it.
    pub fn new(arena: Arc<Arena>, range: Range<usize>) -> Option<Self> {
        let within = range.start <= range.end && range.end <= arena.len();
        within.then_some(Self { arena, start: range.start as u32, len: range.len() as u32 })
    }

    /// Another range of the same arena; `None` where that is not within it.
    pub fn at(self, range: Range<usize>) -> Option<Self> {
        Self::new(self.arena, range)
    }

    /// The memory it is a part of.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// In bytes from the start of the arena, and within it.
    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is nothing to move.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it begins in memory.
    fn as_ptr(&self) -> *mut u8 {
        self.arena.as_ptr().wrapping_add(self.start as usize)
    }
}

/// One transfer. The engine continues short reads and writes itself.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// The caller's own word, given back with the answer.
    pub user: u64,
    /// Which way.
    pub direction: Direction,
    /// From or to which file.
    pub file: FileId,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// Where in memory, and how much.
    pub span: Span,
}

/// How a [`Transfer`] ended.
#[derive(Debug)]
pub struct Done {
    /// From the transfer.
    pub user: u64,
    /// The transfer's, or a part of it: given back, so that the next transfer needs no further hold of the arena.
    pub span: Span,
    /// Bytes moved, from the start of the span. Fewer than asked for without an error mean the end
    /// of the file, as it was then.
    pub bytes: usize,
    /// What stopped it after those bytes; `raw_os_error` tells the errno.
    pub error: Option<io::Error>,
}

/// Which engine it is, and what it has to do without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// `io_uring` or `threads`.
    pub name: &'static str,
    /// What had to be left out, and why, one sentence each; grows when files show it.
    pub notes: Vec<String>,
}

impl Description {
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            tracing::info!(engine = self.name, "{note}");
            self.notes.push(note);
        }
    }
}

/// Carries out transfers, in any order.
///
/// Each transfer that [`submit`](Self::submit) accepts ends in exactly one [`Done`]. One thread
/// uses an engine: it may be made, and files be registered, on another, but from the first `poll`
/// or `wait` on it stays where it is. An io_uring engine that is moved after that answers with
/// errors, and if it is dropped there with transfers in flight their memory is never freed.
///
/// Dropping an engine waits for what storage is busy with, since that memory is still being used;
/// what has not begun by then never does.
pub trait TransferEngine: Send {
    /// Makes a file known. Anything may be registered: what cannot be read or written at an offset
    /// (a directory, a pipe, a socket) fails in each transfer, with its errno.
    ///
    /// With [`TransferOptions::direct`] this opens the file a second time. The descriptor given is
    /// expected to be without `O_DIRECT`. One with `O_APPEND` cannot be written to (`EINVAL`), since
    /// the system would put the bytes elsewhere.
    fn register(&mut self, file: Arc<File>) -> io::Result<FileId>;

    /// Forgets a file; takes effect when its last transfer has ended. Transfers that are submitted
    /// afterwards end with `EBADF`.
    fn unregister(&mut self, file: FileId);

    /// Queues a transfer, in a backlog where the ring is full. Never waits for storage; the kernel
    /// hears of it with the next `poll` or `wait`, or at once of a read that the page cache may
    /// answer. An error says that the engine itself failed, and that no answer will come.
    fn submit(&mut self, transfer: Transfer) -> io::Result<()>;

    /// Tells the kernel of what was submitted and appends the answers that are there. Does not wait.
    /// An error says that the engine itself failed, not a transfer.
    fn poll(&mut self, done: &mut Vec<Done>) -> io::Result<()>;

    /// As `poll`, but sleeps until there is an answer or `timeout` is over. Returns at once when
    /// nothing is in flight.
    fn wait(&mut self, timeout: Duration, done: &mut Vec<Done>) -> io::Result<()>;

    /// Transfers whose answer has not been taken yet.
    fn in_flight(&self) -> usize;

    /// Name and notes, for logs, `probe` and `bench`.
    fn describe(&self) -> &Description;
}

/// Which engine to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring where it works, else threads.
    #[default]
    Auto,
    /// io_uring or an error.
    IoUring,
    /// Positioned reads and writes on a pool of threads.
    Threads,
}

/// What is wanted of an engine. All but `engine` are wishes: what the system does not have is left
/// out, with a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferOptions {
    /// io_uring, threads, or the first that works.
    pub engine: EngineChoice,
    /// Past the page cache (`O_DIRECT`) where offset, address and length are aligned; the rest of a
    /// transfer goes through the page cache.
    pub direct: bool,
    /// One thread uses the engine, from its first `poll` or `wait` on. Without, several may, one at a time,
    /// and io_uring delivers completions less well.
    pub one_thread: bool,
    /// io_uring: a kernel thread takes submissions, without a system call; it occupies a core.
    pub sqpoll: bool,
    /// io_uring: direct transfers are polled for, without interrupts, on devices that have queues
    /// for that.
    pub iopoll: bool,
    /// Transfers that storage is given at a time, 1 to 4096; the rest wait in the backlog. Threads
    /// make it at most their number.
    pub entries: u32,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            engine: EngineChoice::Auto,
            direct: false,
            one_thread: true,
            sqpoll: false,
            iopoll: false,
            entries: 128,
        }
    }
}

/// Opens an engine for `arenas`. Transfers of other memory work too, but slower: io_uring then has
/// to find and pin the pages each time.
///
/// # Errors
///
/// Where `options.engine` names io_uring and the system does not give it, or where no thread can be
/// started.
pub fn open_transfer(
    options: &TransferOptions,
    arenas: &[Arc<Arena>],
) -> io::Result<Box<dyn TransferEngine>> {
    let mut options = *options;
    options.entries = options.entries.clamp(1, 4096);
    let threads = |note: Option<String>| -> io::Result<Box<dyn TransferEngine>> {
        Ok(Box::new(pool::Pool::new(&options, note)?))
    };
    if options.engine == EngineChoice::Threads {
        return threads(None);
    }
    match uring(&options, arenas) {
        Err(error) if options.engine == EngineChoice::Auto => {
            threads(Some(format!("no io_uring: {}", explain(&error))))
        }
        uring => uring,
    }
}

/// The error, with the limit that is behind most lacks of memory here: the kernel counts registered
/// memory, and rings, as locked.
fn explain(error: &io::Error) -> String {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    match limit {
        Some(limit) if error.kind() == io::ErrorKind::OutOfMemory => {
            format!("{error} (RLIMIT_MEMLOCK is {} KiB)", limit >> 10)
        }
        _ => error.to_string(),
    }
}

#[cfg(target_os = "linux")]
fn uring(options: &TransferOptions, arenas: &[Arc<Arena>]) -> io::Result<Box<dyn TransferEngine>> {
    Ok(Box::new(uring::Uring::new(options, arenas)?))
}

#[cfg(not(target_os = "linux"))]
fn uring(_: &TransferOptions, _: &[Arc<Arena>]) -> io::Result<Box<dyn TransferEngine>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has it"))
}
