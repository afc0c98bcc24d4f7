//! A tenant that wants all there is: bulk scans, as many as it may have on their way.

use std::time::Duration;

use ringfence::protocol::{PRIORITY_LOW, PRIORITY_WORD, SlotWords};
use ringfence::runtime::{Outcome, Resource, Ring, Runtime, Tenant};
use ringfence::scan::chunk::BLOCK_BYTES;
use serde::Serialize;

use crate::bench::scan::corpus::Corpus;
use crate::bench::scan::engines::{Chunks, HostThread, OnDevice};
use crate::common::Trouble;

/// Chunks, each in one slot at a time.
pub const DEPTH: usize = 64;
/// Patterns looked for.
const PATTERNS: usize = 96;
/// How long nothing may come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// What it got done while the other tenant asked.
#[derive(Clone, Copy, Serialize)]
pub struct Flooding {
    pub chunk_bytes: usize,
    pub in_flight: usize,
    pub gbps: f64,
}

/// The tenant's ring and its chunks.
pub struct Flood {
    ring: Ring,
    slots: Vec<SlotWords>,
    /// Lines to be found in each chunk.
    wanted: Vec<u64>,
    /// Chunks that no slot is in flight for.
    free: Vec<usize>,
    bytes: Vec<usize>,
    /// The kernel reads and writes them by their handles.
    _memory: [Resource; 3],
}

impl Flood {
    pub fn new(runtime: &Runtime, tenant: &Tenant) -> Result<Self, Trouble> {
        let mut corpus = Corpus::new(PATTERNS);
        let chunks = Chunks((0..DEPTH).map(|_| corpus.text(BLOCK_BYTES)).collect());
        let host = HostThread::new(corpus.patterns(), &chunks)?;
        let wanted = chunks.0.iter().map(|text| host.lines(text)).collect();
        let (mut slots, memory) = OnDevice::new(runtime, corpus.patterns(), &chunks)?.slots(runtime)?;
        slots.iter_mut().for_each(|words| words[PRIORITY_WORD as usize] = PRIORITY_LOW);
        memory.iter().for_each(|memory| memory.set_tenants(tenant.set()));
        let bytes = chunks.0.iter().map(Vec::len).collect();
        let ring = tenant.ring(DEPTH)?;
        Ok(Self { ring, slots, wanted, free: (0..DEPTH).collect(), bytes, _memory: memory })
    }

    /// Takes what has ended, checks it, and publishes the same chunks again: how many bytes were walked.
    pub fn keep_full(&mut self) -> Result<usize, Trouble> {
        let bytes = self.take(None)?;
        while let Some(chunk) = self.free.pop() {
            self.ring.push(&self.slots[chunk], chunk as u64)?;
        }
        self.ring.flush()?;
        Ok(bytes)
    }

    /// Waits until nothing is in flight.
    pub fn drain(&mut self) -> Result<(), Trouble> {
        while self.ring.in_flight() > 0 {
            self.take(Some(PATIENCE))?;
        }
        Ok(())
    }

    fn take(&mut self, patience: Option<Duration>) -> Result<usize, Trouble> {
        let Self { ring, wanted, free, bytes, .. } = self;
        let (mut walked, mut wrong) = (0, None);
        let ended = |chunk: u64, outcome| {
            let chunk = chunk as usize;
            walked += bytes[chunk];
            free.push(chunk);
            if outcome != Outcome::Done(wanted[chunk]) {
                wrong = Some(format!("chunk {chunk} has {} lines, and got {outcome:?}", wanted[chunk]));
            }
        };
        let count = match patience {
            None => ring.reap(ended)?,
            Some(patience) => ring.wait(patience, ended)?,
        };
        match wrong {
            Some(wrong) => Err(Trouble::Wrong(wrong)),
            None if count == 0 && patience.is_some() => {
                Err(Trouble::Wrong(format!("no chunk ended for {PATIENCE:?}")))
            }
            None => Ok(walked),
        }
    }
}
