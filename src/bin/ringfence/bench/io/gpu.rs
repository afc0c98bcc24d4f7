//! Reads that the running kernel asks for, each summed by it, or its head.
//!
//! A slot asks, sums what came, and asks again, [`READS`] times in all, at blocks that it draws itself; its result is
//! the sum of all. A sample is the time from its publication until its result was seen and checked, divided by its
//! reads.

use std::time::{Duration, Instant};

use ringfence::descriptor::{EncodeSlot as _, SlotDescriptor};
use ringfence::protocol::LoadMiss;
use ringfence::runtime::{FileOptions, Memory, Outcome, RegisteredFile, Ring, Runtime, SubmitError};
use ringfence::twin::load_sum::offsets;

use super::sample::{HEAD_BYTES, Part, Sample};
use super::{Block, PATIENCE};
use crate::bench::random::Random;
use crate::bench::samples::Samples;
use crate::common::Trouble;

/// Reads of a slot.
const READS: u32 = 16;

/// A ring of slots that ask.
pub struct Asked<'a> {
    sample: &'a Sample,
    ring: Ring,
    file: RegisteredFile,
    memory: Memory,
    bytes: usize,
    lanes: Vec<Lane>,
    free: Vec<u32>,
    random: Random,
    wrong: Option<String>,
}

/// One slot at a time, with a place of its own in memory.
struct Lane {
    wanted: u32,
    began: Instant,
}

impl<'a> Asked<'a> {
    /// `depth` reads of `bytes` bytes at a time.
    pub fn new(runtime: &Runtime, sample: &'a Sample, bytes: usize, depth: u32) -> Result<Self, Trouble> {
        let began = Instant::now();
        Ok(Self {
            sample,
            ring: runtime.ring(depth as usize)?,
            file: runtime.register_file(sample.open()?, &FileOptions::default())?,
            memory: runtime.memory(depth as usize * bytes)?,
            bytes,
            lanes: (0..depth).map(|_| Lane { wanted: 0, began }).collect(),
            free: (0..depth).collect(),
            random: Random::new(),
            wrong: None,
        })
    }

    /// Keeps all lanes busy for `time`, then lets them end; has that part of each read summed.
    pub fn run(&mut self, time: Duration, part: Part) -> Result<Block, Trouble> {
        let began = Instant::now();
        let mut reads = 0;
        let mut samples = Samples::with_capacity(1 << 18);
        let mut now = began;
        while self.free.len() < self.lanes.len() || now - began < time {
            if now - began < time {
                self.push(now, part)?;
            }
            let ended = self.wait(&mut samples)?;
            if ended == 0 {
                return Err(Trouble::Wrong(format!("a read has not ended for {PATIENCE:?}")));
            }
            reads += ended;
            now = Instant::now();
        }
        match self.wrong.take() {
            Some(wrong) => Err(Trouble::Wrong(wrong)),
            None => Ok(Block { reads, time: began.elapsed(), samples }),
        }
    }

    #[inline]
    fn push(&mut self, now: Instant, part: Part) -> Result<(), Trouble> {
        let Self { sample, bytes, .. } = *self;
        let blocks = sample.bytes() as usize / bytes;
        let head = if part == Part::Head { HEAD_BYTES as u32 } else { 0 };
        while let Some(lane) = self.free.pop() {
            let offset = (self.random.below(blocks) * bytes) as u64;
            let seed = self.random.next() as u32;
            let further = offsets(seed, blocks as u32, bytes as u32).take(READS as usize - 1);
            let sums = further.map(|offset| sample.sum(offset, bytes, part));
            let wanted = sums.fold(sample.sum(offset, bytes, part), u32::wrapping_add);
            self.lanes[lane as usize] = Lane { wanted, began: now };
            let read = LoadMiss {
                resource_id: self.file.handle(),
                prefetch: false,
                byte_offset: offset,
                byte_count: bytes as u32,
                dst_handle: self.memory.handle(),
                dst_offset: lane * bytes as u32,
            };
            let slot = SlotDescriptor::load_sums(&read, READS - 1, blocks as u32, seed, head);
            self.ring.push(&slot.encode().map_err(SubmitError::from)?, u64::from(lane))?;
        }
        Ok(self.ring.flush()?)
    }

    #[inline]
    fn wait(&mut self, samples: &mut Samples) -> Result<u64, Trouble> {
        let Self { ring, lanes, free, wrong, .. } = self;
        let mut seen = None;
        let ended = ring.wait(PATIENCE, |lane, outcome| {
            let now = *seen.get_or_insert_with(Instant::now);
            let Lane { wanted, began } = lanes[lane as usize];
            samples.push((now - began) / READS);
            if outcome != Outcome::Done(wanted.into()) {
                wrong.get_or_insert_with(|| {
                    format!("the sum of {READS} reads is {wanted}, and not {outcome:?}")
                });
            }
            free.push(lane as u32);
        })?;
        Ok(ended as u64 * u64::from(READS))
    }
}
