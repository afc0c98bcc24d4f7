//! Files through the running kernel: a window of chunks that slides over them.
//!
//! Storage reads into memory that the device has imported; as a chunk lands, a slot is published that
//! says where its bytes are, and when that slot has ended the chunk is read into again. The published
//! slot is the arrival: whoever claims it knows that the bytes are there, by the same order in which the
//! slot's own words are.

mod records;
mod sources;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::{RuntimeError, errno};
use super::job::Outcome;
use super::mapped::MappedArena;
use super::mode::Mode;
use super::ring::Ring;
use super::shared::Shared;
use super::submission::SlotWords;
use super::wait::passed;
use crate::io::arena::{Arena, Buf, MAX_ARENA_BYTES, Pool};
use crate::io::transfer::{Description, TransferEngine, TransferOptions, open_transfer};
use crate::io::window::{Read, ReadDone, Window};
use crate::protocol::abi::slot::STATUS_WORD;
use crate::protocol::{fault, slot};

pub use self::records::{Arrival, Ended, StreamOptions};
use self::sources::{End, Next, Pushed, Sources};

/// What chunks are multiples of, in bytes: direct transfers ask for it.
const PAGE: usize = 4096;
/// How long records are handed over before storage and slots are looked at again: a caller that is quick
/// with them costs no system call for each, one that is slow holds nothing up.
const TURN: Duration = Duration::from_micros(20);

/// Ranges of files on their way through the kernel. It is driven by the thread that calls it; between two
/// calls nothing is begun.
///
/// ```no_run
/// use std::time::Duration;
///
/// use ringfence::protocol::opcode::SUM_WORDS;
/// use ringfence::runtime::{Outcome, Runtime, StreamOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = Runtime::builder().opcodes(&[SUM_WORDS]).build()?;
/// let mut stream = runtime.stream(&StreamOptions::default())?;
/// stream.push(std::fs::File::open("data")?.into(), .., 0);
/// let mut sum = 0u32;
/// while let Some(ended) = stream.next(Duration::MAX, |bytes| bytes.slot(SUM_WORDS, bytes.padded))? {
///     match ended.outcome {
///         Outcome::Done(part) => sum = sum.wrapping_add(part as u32),
///         Outcome::Fault { .. } => return Err(format!("at {}: {:?}", ended.offset, ended.outcome).into()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// From the first [`next`](Self::next) on it stays on its thread, unless
/// [`TransferOptions::one_thread`] is off. Dropping it waits for reads that storage is busy with; slots on
/// their way end unseen.
pub struct Stream {
    // First: its drop waits for reads in flight. Then the ring, then the memory, which stays until no
    // dispatch can touch it.
    window: Window,
    ring: Ring,
    memory: MappedArena,
    shared: Arc<Shared>,
    sources: Sources,
    chunk_bytes: usize,
    /// Reads begun at a time, before slots get their turn: reads from the page cache are carried out
    /// while they are submitted.
    group: usize,
    /// Chunks that nobody uses, the one used last at the end: it may still be in a cache.
    free: Vec<Buf>,
    /// By the number of the chunk.
    chunks: Vec<InUse>,
    /// Chunks to be published.
    landed: VecDeque<usize>,
    ended: VecDeque<Ended>,
    /// When all sides were looked at last.
    turned: Option<Instant>,
    /// Why nothing is read or published any more.
    failed: Option<RuntimeError>,
}

/// What a chunk is used for.
#[derive(Default)]
struct InUse {
    source: usize,
    tag: u64,
    offset: u64,
    asked: usize,
    got: usize,
    /// Here from the arrival to the end of the slot.
    buf: Option<Buf>,
}

impl Stream {
    pub(super) fn new(
        shared: &Arc<Shared>,
        options: &StreamOptions,
        wrap: impl FnOnce(Box<dyn TransferEngine>) -> Box<dyn TransferEngine>,
    ) -> Result<Self, RuntimeError> {
        let StreamOptions { chunk_bytes, chunks, depth, transfer } = *options;
        let bytes = chunk_bytes.saturating_mul(chunks);
        let good = chunk_bytes > 0 && chunk_bytes.is_multiple_of(PAGE);
        let checks = [
            ("chunk_bytes", chunk_bytes, good, "a multiple of 4096"),
            ("chunks", chunks, bytes > 0 && bytes <= MAX_ARENA_BYTES, "1 up to 128 MiB / chunk_bytes"),
            ("depth", depth, depth > 0, "1 or more"),
        ];
        for (option, value, good, takes) in checks {
            if !good {
                return Err(RuntimeError::BadOption { option, value: value as u64, takes });
            }
        }
        let host = |what| move |e: io::Error| RuntimeError::Host { what, error: e.to_string() };
        let alignment = shared.gpu.info().import_alignment.unwrap_or(1) as usize;
        let mapped = bytes.next_multiple_of(alignment.max(1));
        let arena = Arena::new(mapped).map_err(host("no memory for a stream could be mapped"))?;
        let memory = MappedArena::or_copied(shared, &arena)?;
        let depth = depth.min(chunks);
        let transfer = TransferOptions { entries: depth as u32, ..transfer };
        let engine = open_transfer(&transfer, std::slice::from_ref(&arena))
            .map_err(host("the engine of a stream could not be opened"))?;
        let pool = Pool::new(&arena, 0..bytes, chunk_bytes);
        Ok(Self {
            window: Window::new(wrap(engine), depth),
            ring: Ring::new(shared.clone(), 0, chunks.min(shared.layout.host_slots as usize))?,
            memory,
            shared: shared.clone(),
            sources: Sources::default(),
            chunk_bytes,
            group: (depth / 4).max(1),
            free: std::iter::from_fn(|| pool.try_take()).collect(),
            chunks: (0..chunks).map(|_| InUse::default()).collect(),
            landed: VecDeque::new(),
            ended: VecDeque::new(),
            turned: None,
            failed: None,
        })
    }

    /// Queues a range of a file; `..` is all of it, `from..` reaches to its end. It is read when its turn
    /// comes: [`next`](Self::next) begins as many reads as depth and chunks allow. A file that ends before
    /// the range does ends it, without an error. `tag` comes back with each of its chunks.
    ///
    /// A file is read ahead as far as its size says, beyond that one chunk at a time; devices, which have
    /// none, as far as the range reaches.
    pub fn push(&mut self, file: Arc<File>, range: impl RangeBounds<u64>, tag: u64) {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            // The system counts no further.
            Bound::Unbounded => i64::MAX as u64,
        };
        self.sources.push(Pushed { tag, file, start, end });
    }

    /// Ranges that have not ended: those being read, and those that wait.
    pub fn pending(&self) -> usize {
        self.sources.len()
    }

    /// The engine, and what it has to do without.
    pub fn describe(&self) -> &Description {
        self.window.describe()
    }

    /// The next chunk whose slot has ended, or the end of a range, in no order but that a range ends
    /// behind its chunks. Meanwhile reads are begun and slots published; `slot` makes the slot that
    /// consumes a chunk, see [`Arrival::slot`]. Its status word is set here. It may be asked for again, where
    /// others have all slots at the moment.
    ///
    /// `None`: all that was pushed has ended, or `timeout` has passed ([`pending`](Self::pending) tells).
    /// With a timeout of zero it never waits, but for a dispatch in epoch mode.
    ///
    /// # Errors
    /// The failures of the device, [`RuntimeError::ShutDown`], or an engine that failed as such. From then
    /// on nothing is read or published, and the error comes again once the slots on their way have ended
    /// and were handed over.
    pub fn next(
        &mut self,
        timeout: Duration,
        mut slot: impl FnMut(&Arrival<'_>) -> SlotWords,
    ) -> Result<Option<Ended>, RuntimeError> {
        let now = Instant::now();
        if self.turned.is_some_and(|turned| now.saturating_duration_since(turned) < TURN)
            && let Some(ended) = self.ended.pop_front()
        {
            return Ok(Some(ended));
        }
        let deadline = now.checked_add(timeout);
        let mut backoff = self.shared.backoff();
        loop {
            let moved = self.turn(&mut slot);
            self.turned = Some(Instant::now());
            if let Some(ended) = self.ended.pop_front() {
                return Ok(Some(ended));
            }
            let moved = moved?;
            if let Some(error) = &self.failed
                && self.ring.in_flight() == 0
            {
                return Err(error.clone());
            }
            if self.sources.len() == 0 || passed(deadline) {
                return Ok(None);
            }
            if moved {
                backoff.restart();
            } else if self.ring.in_flight() == 0 && self.landed.is_empty() {
                let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
                let waited = self.window.wait(left.unwrap_or(Duration::MAX));
                self.failed = waited.err().map(engine_failed);
            } else {
                backoff.pause();
            }
        }
    }

    /// One look at all sides; whether anything was there.
    fn turn(&mut self, slot: &mut impl FnMut(&Arrival<'_>) -> SlotWords) -> Result<bool, RuntimeError> {
        let live = self.shared.mode.load() == Mode::Live;
        let mut moved = live && self.recycle()?;
        if self.failed.is_none() {
            let result = self.read().and_then(|read| Ok(self.publish(slot)? || read));
            match result {
                Ok(any) => moved |= any,
                Err(e) => self.failed = Some(e),
            }
        }
        // A dispatch of epoch mode is for all that can be published before it.
        if !live && !moved && self.ended.is_empty() {
            moved = self.recycle()?;
        }
        Ok(moved)
    }

    /// Takes back the chunks whose slots have ended.
    fn recycle(&mut self) -> Result<bool, RuntimeError> {
        if self.ring.in_flight() == 0 {
            return Ok(false);
        }
        let Self { ring, chunks, free, sources, ended, .. } = self;
        let count = ring.reap(|chunk, outcome| {
            let Some(used) = chunks.get_mut(chunk as usize) else { return };
            free.extend(used.buf.take());
            let InUse { tag, offset, got, .. } = *used;
            ended.push_back(Ended { tag, offset, bytes: got as u32, outcome, last: false });
            sources.chunk_ended(used.source);
        })?;
        self.tell_ends();
        Ok(count > 0)
    }

    /// Begins reads, and takes what has been read.
    fn read(&mut self) -> Result<bool, RuntimeError> {
        let mut moved = self.begin_reads()?;
        if self.window.in_flight() > 0 {
            self.window.poll().map_err(engine_failed)?;
        }
        while let Some(done) = self.window.take() {
            self.land(done);
            moved = true;
        }
        Ok(moved)
    }

    fn begin_reads(&mut self) -> Result<bool, RuntimeError> {
        let mut begun = false;
        for _ in 0..self.group.min(self.window.room()) {
            let Some(buf) = self.free.pop() else { break };
            let Some(Next { source, tag, file, offset, bytes, first }) = self.sources.next(self.chunk_bytes)
            else {
                self.free.push(buf);
                break;
            };
            begun = true;
            // Where this fails, so does the read.
            if first && self.window.keep(&file).is_ok() {
                self.sources.keep(source);
            }
            let chunk = buf.offset() / self.chunk_bytes;
            self.chunks[chunk] = InUse { source, tag, offset, asked: bytes, got: 0, buf: None };
            let (user, range) = (chunk as u64, 0..bytes);
            let read = Read { user, file, offset: Some(offset), buf, range };
            self.window.submit(read).map_err(engine_failed)?;
        }
        self.tell_ends();
        Ok(begun)
    }

    fn land(&mut self, done: ReadDone) {
        let ReadDone { user, mut buf, got, error, .. } = done;
        let chunk = user as usize;
        let used = &mut self.chunks[chunk];
        used.got = got;
        let error = error.as_ref().map(errno);
        if got == 0 {
            self.free.push(buf);
        } else {
            let padded = got.next_multiple_of(4);
            buf[got..padded].fill(0);
            self.memory.arrive(buf.offset()..buf.offset() + padded);
            used.buf = Some(buf);
            self.landed.push_back(chunk);
        }
        self.sources.landed(used.source, used.offset, used.asked, got, error);
        self.tell_ends();
    }

    /// Publishes the slots of all that has landed, as far as there are slots.
    fn publish(&mut self, slot: &mut impl FnMut(&Arrival<'_>) -> SlotWords) -> Result<bool, RuntimeError> {
        let mut pushed = false;
        while let Some(chunk) = self.landed.front().copied()
            && self.ring.room() > 0
        {
            let used = &self.chunks[chunk];
            let Some(buf) = &used.buf else { break };
            let mut words = slot(&Arrival {
                tag: used.tag,
                offset: used.offset,
                handle: self.memory.handle(),
                at: buf.offset() as u32,
                bytes: used.got as u32,
                padded: used.got.next_multiple_of(4) as u32,
                data: &buf[..used.got],
            });
            words[STATUS_WORD as usize] = slot::PUBLISHED;
            match self.ring.push(&words, chunk as u64) {
                Ok(()) => {}
                // Others have the slots: later.
                Err(RuntimeError::Full { .. } | RuntimeError::RingFull { .. }) => break,
                Err(e) => {
                    let _ = self.ring.flush();
                    return Err(e);
                }
            }
            self.landed.pop_front();
            pushed = true;
        }
        self.ring.flush()?;
        Ok(pushed)
    }

    fn tell_ends(&mut self) {
        while let Some(End { tag, file, kept, offset, errno }) = self.sources.take_end() {
            if kept {
                self.window.release(&file);
            }
            let outcome = match errno {
                None => Outcome::Done(0),
                Some(errno) => Outcome::Fault { code: fault::IO_ERROR, detail: errno },
            };
            self.ended.push_back(Ended { tag, offset, bytes: 0, outcome, last: true });
        }
    }
}

fn engine_failed(e: io::Error) -> RuntimeError {
    RuntimeError::Host { what: "the engine of a stream failed", error: e.to_string() }
}
