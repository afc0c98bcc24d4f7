//! The running kernel as an engine: a slot for each walk, text in imported memory.
//!
//! The arena that storage reads into is imported into the device where the driver can, so that no
//! byte is copied; elsewhere each chunk is copied into mapped device memory, and the engine says so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::chunk::{Chunk, STRIDE_BYTES};
use super::engine::{ChunkEngine, EngineError, ScanDone, ScanJob};
use super::pattern::Patterns;
use crate::io::arena::Arena;
use crate::protocol::abi::opcode::OP_SCAN;
use crate::protocol::abi::scan::{SCAN_CARRY_WORDS, SCAN_PARALLEL, SCAN_SERIAL};
use crate::protocol::{PRIORITY_NORMAL, SlotWords, slot};
use crate::runtime::{MappedArena, Outcome, Resource, Ring, Runtime, RuntimeError};
use crate::twin::scan::{Carry, Walk};

/// Walks on their way: enough to keep every worker busy while the feeder sleeps.
const DEPTH: usize = 64;
/// Matches that a walk's own buffer holds; one that finds more is repeated with a larger one.
const CAPACITY: u32 = 16_384;
/// How long the feeder sleeps for each walk on its way, a fraction of what a walk takes: with as many
/// workers as cores, a feeder that wakes every 50 us takes a quarter of their speed (DESIGN fact 19).
pub const NAP: Duration = Duration::from_micros(15);
/// How long nothing may come back; the runtime's own patience ends it sooner.
const PATIENCE: Duration = Duration::from_secs(120);

/// Walks chunks with OP_SCAN slots.
pub struct KernelEngine {
    ring: Ring,
    table: Resource,
    text: Text,
    found: Resource,
    /// Walks by the number of their match buffer.
    walks: Vec<Option<Flight>>,
    free: Vec<usize>,
    ready: VecDeque<ScanDone>,
    /// The runtime goes last, after all that is registered with it.
    runtime: Runtime,
}

/// Where the kernel reads text.
enum Text {
    /// The arena itself.
    Imported(MappedArena),
    /// A copy for each walk, at its number.
    Copied(Resource),
}

struct Flight {
    id: u64,
    /// Held until the kernel has read it.
    chunk: Arc<Chunk>,
    capacity: u32,
    /// A match buffer of its own, where the usual one is too small.
    large: Option<Resource>,
}

impl KernelEngine {
    /// An engine on `runtime`, which was built for OP_SCAN.
    ///
    /// # Errors
    /// What the runtime refuses; a failed import leads to copies instead.
    pub fn new(runtime: &Runtime, patterns: &Patterns, arena: &Arc<Arena>) -> Result<Self, RuntimeError> {
        let text = match runtime.map_arena(arena) {
            Ok(imported) => Text::Imported(imported),
            Err(e) => {
                tracing::info!("text is copied, since the arena cannot be imported: {e}");
                Text::Copied(runtime.scratch((DEPTH * STRIDE_BYTES / 4) as u32)?)
            }
        };
        Ok(Self {
            ring: runtime.ring(DEPTH)?,
            table: runtime.scan_table(patterns.table().words())?,
            text,
            found: runtime.output(DEPTH as u32 * (SCAN_CARRY_WORDS + CAPACITY))?,
            walks: (0..DEPTH).map(|_| None).collect(),
            free: (0..DEPTH).rev().collect(),
            ready: VecDeque::new(),
            runtime: runtime.clone(),
        })
    }

    /// Whether the kernel reads the arena itself.
    pub fn is_imported(&self) -> bool {
        matches!(self.text, Text::Imported(_))
    }

    /// The slot of a walk whose match buffer is number `index`.
    fn slot(&self, index: usize, job: &ScanJob, large: Option<&Resource>) -> SlotWords {
        let text = job.chunk.text();
        let (handle, offset) = match &self.text {
            Text::Imported(arena) => (arena.handle(), job.chunk.arena_offset()),
            Text::Copied(scratch) => (scratch.handle(), copy(scratch, index, text)),
        };
        let (found, found_at) = match large {
            Some(own) => (own.handle(), 0),
            None => (self.found.handle(), index as u32 * (SCAN_CARRY_WORDS + CAPACITY)),
        };
        slot_words(
            (handle, offset as u32, text.len() as u32),
            (self.table.handle(), job.state),
            (found, found_at, job.capacity.max(CAPACITY)),
            job.walk,
        )
    }
}

/// An OP_SCAN slot: the text by handle, byte offset and length; the table by handle and start state;
/// the match buffer by handle, word offset and capacity.
pub fn slot_words(text: (u32, u32, u32), table: (u32, u32), found: (u32, u32, u32), walk: Walk) -> SlotWords {
    let (walk, first, end) = match walk {
        Walk::Parallel => (SCAN_PARALLEL, 0, 0),
        Walk::Serial { first, end } => (SCAN_SERIAL, first, end),
    };
    [
        slot::PUBLISHED,
        OP_SCAN,
        0,
        PRIORITY_NORMAL,
        text.0,
        text.1,
        text.2,
        table.0,
        table.1,
        found.0,
        found.1,
        found.2,
        walk,
        first,
        end,
        0,
    ]
}

/// Reads what a walk left in its match buffer.
fn answer(flight: &Flight, found: &Resource, at: u32, result: u64) -> ScanDone {
    let words = found.words().unwrap_or(&[]);
    let word = |i: u32| words[(at + i) as usize].load(Ordering::Relaxed);
    let (total, carries) = (result as u32, (result >> 32) as u32);
    // A walk has at most two streams a lane, which the carry area has room for.
    let carries = carries.min(SCAN_CARRY_WORDS / 2);
    ScanDone {
        id: flight.id,
        total,
        matches: (0..total.min(flight.capacity)).map(|i| word(SCAN_CARRY_WORDS + i)).collect(),
        carries: (0..carries).map(|i| Carry { position: word(2 * i), state: word(2 * i + 1) }).collect(),
    }
}

impl ChunkEngine for KernelEngine {
    fn submit(&mut self, job: ScanJob) -> Result<(), EngineError> {
        while self.free.is_empty() {
            self.collect()?;
        }
        let Some(index) = self.free.pop() else { return Err(EngineError("no match buffer is free".into())) };
        let large = if job.capacity > CAPACITY {
            Some(self.runtime.output(SCAN_CARRY_WORDS + job.capacity).map_err(failed)?)
        } else {
            None
        };
        let words = self.slot(index, &job, large.as_ref());
        let capacity = job.capacity.max(CAPACITY);
        self.walks[index] = Some(Flight { id: job.id, chunk: job.chunk, capacity, large });
        self.ring.push(&words, index as u64).map_err(failed)?;
        self.ring.flush().map_err(failed)
    }

    fn next(&mut self) -> Result<Option<ScanDone>, EngineError> {
        if self.ready.is_empty() && self.ring.in_flight() > 0 {
            self.collect()?;
        }
        Ok(self.ready.pop_front())
    }

    fn in_flight(&self) -> usize {
        self.ring.in_flight() + self.ready.len()
    }

    fn depth(&self) -> usize {
        DEPTH
    }
}

impl KernelEngine {
    /// Waits for at least one walk.
    fn collect(&mut self) -> Result<(), EngineError> {
        let Self { ring, found, walks, free, ready, .. } = self;
        let mut fault = None;
        let ended = ring
            .wait_sleeping(NAP, PATIENCE, |index, outcome| {
                let index = index as usize;
                let Some(flight) = walks[index].take() else { return };
                free.push(index);
                match outcome {
                    Outcome::Done(result) => {
                        let done = match &flight.large {
                            Some(own) => answer(&flight, own, 0, result),
                            None => {
                                answer(&flight, found, index as u32 * (SCAN_CARRY_WORDS + CAPACITY), result)
                            }
                        };
                        ready.push_back(done);
                    }
                    Outcome::Fault { code, detail } => {
                        fault = Some(format!(
                            "a scan slot ended in fault {} with detail {detail}, over {} bytes",
                            crate::protocol::FaultCode::from(code),
                            flight.chunk.text().len()
                        ));
                    }
                }
            })
            .map_err(failed)?;
        match fault {
            Some(fault) => Err(EngineError(fault)),
            None if ended == 0 => Err(EngineError(format!("nothing came back in {PATIENCE:?}"))),
            None => Ok(()),
        }
    }
}

fn failed(e: RuntimeError) -> EngineError {
    EngineError(e.to_string())
}

/// Copies a chunk to the place of its walk; returns where that is, in bytes.
fn copy(scratch: &Resource, index: usize, text: &[u8]) -> usize {
    let at = index * STRIDE_BYTES;
    let words = scratch.words().unwrap_or(&[]);
    for (to, bytes) in words[at / 4..].iter().zip(text.chunks(4)) {
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        to.store(u32::from_le_bytes(word), Ordering::Relaxed);
    }
    at
}
