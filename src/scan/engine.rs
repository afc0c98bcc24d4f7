//! Whoever walks a chunk: the kernel, or its twin.

use std::sync::Arc;

use super::chunk::Chunk;
use crate::twin::scan::{Carry, Walk};

/// One walk over a chunk, or over a part of it.
#[derive(Clone, Debug)]
pub struct ScanJob {
    /// The caller's own number, given back with the answer.
    pub id: u64,
    /// The text; the engine holds it until it has answered.
    pub chunk: Arc<Chunk>,
    /// State at the first byte, a row of the table.
    pub state: u32,
    /// Where and how to walk.
    pub walk: Walk,
    /// How many matches are to be stored at least, should there be that many. An engine may have
    /// room for more.
    pub capacity: u32,
}

/// What a walk found.
#[derive(Clone, Debug, Default)]
pub struct ScanDone {
    /// From the job.
    pub id: u64,
    /// How many matches there are. When it is more than `matches` holds, the walk has to be
    /// repeated with room for all.
    pub total: u32,
    /// Positions relative to the chunk's text, in any order.
    pub matches: Vec<u32>,
    /// Undecided lines, all of them, in any order.
    pub carries: Vec<Carry>,
}

/// An engine failed as such; no further answers come from it.
#[derive(Debug, thiserror::Error)]
#[error("the scan engine failed: {0}")]
pub struct EngineError(pub String);

/// Carries out walks, in any order, with one table that it was made with.
pub trait ChunkEngine: Send {
    /// Starts a walk. Does not wait while fewer than [`ChunkEngine::depth`] are in flight.
    fn submit(&mut self, job: ScanJob) -> Result<(), EngineError>;

    /// Waits for the next answer; `None` when nothing is in flight.
    fn next(&mut self) -> Result<Option<ScanDone>, EngineError>;

    /// Walks without an answer yet.
    fn in_flight(&self) -> usize;

    /// How many walks may be in flight.
    fn depth(&self) -> usize;
}
