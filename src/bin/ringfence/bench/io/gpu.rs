//! Reads that the running kernel asks for, each summed by it.

use std::time::{Duration, Instant};

use ringfence::protocol::{LoadMiss, PRIORITY_NORMAL, SlotWords, opcode, slot};
use ringfence::runtime::{FileOptions, Memory, Outcome, RegisteredFile, Ring, Runtime};

use super::sample::Sample;
use super::{Block, PATIENCE};
use crate::bench::random::Random;
use crate::bench::samples::Samples;
use crate::common::Trouble;

/// A ring of slots, each of which asks for a range of the file and sums it.
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

/// One read at a time, to a place of its own.
struct Lane {
    offset: u64,
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
            lanes: (0..depth).map(|_| Lane { offset: 0, began }).collect(),
            free: (0..depth).collect(),
            random: Random::new(),
            wrong: None,
        })
    }

    /// Keeps all lanes busy for `time`, then lets them end.
    pub fn run(&mut self, time: Duration) -> Result<Block, Trouble> {
        let began = Instant::now();
        let mut reads = 0;
        let mut samples = Samples::with_capacity(1 << 18);
        let mut now = began;
        let mut last = began;
        while self.free.len() < self.lanes.len() || now - began < time {
            if now - began < time {
                self.push(now)?;
            }
            let ended = self.reap(&mut samples)?;
            reads += ended;
            now = Instant::now();
            if ended > 0 {
                last = now;
            } else if now - last > PATIENCE {
                return Err(Trouble::Wrong(format!("a read has not ended for {PATIENCE:?}")));
            }
        }
        match self.wrong.take() {
            Some(wrong) => Err(Trouble::Wrong(wrong)),
            None => Ok(Block { reads, time: began.elapsed(), samples }),
        }
    }

    #[inline]
    fn push(&mut self, now: Instant) -> Result<(), Trouble> {
        while let Some(lane) = self.free.pop() {
            let offset = (self.random.below(self.sample.bytes() as usize / self.bytes) * self.bytes) as u64;
            self.lanes[lane as usize] = Lane { offset, began: now };
            let read = LoadMiss {
                resource_id: self.file.handle(),
                prefetch: false,
                byte_offset: offset,
                byte_count: self.bytes as u32,
                dst_handle: self.memory.handle(),
                dst_offset: lane * self.bytes as u32,
            };
            let mut words: SlotWords = [0; 16];
            words[..4].copy_from_slice(&[slot::PUBLISHED, opcode::LOAD_SUM, 0, PRIORITY_NORMAL]);
            words[4..].copy_from_slice(&read.args());
            self.ring.push(&words, u64::from(lane))?;
        }
        Ok(self.ring.flush()?)
    }

    #[inline]
    fn reap(&mut self, samples: &mut Samples) -> Result<u64, Trouble> {
        let Self { ring, lanes, free, sample, bytes, wrong, .. } = self;
        let mut seen = None;
        let ended = ring.reap(|lane, outcome| {
            let now = *seen.get_or_insert_with(Instant::now);
            let Lane { offset, began } = lanes[lane as usize];
            samples.push(now - began);
            let wanted = Outcome::Done(sample.sum(offset, *bytes).into());
            if outcome != wanted {
                wrong.get_or_insert_with(|| {
                    format!("{outcome:?} of {bytes} bytes at {offset}, not {wanted:?}")
                });
            }
            free.push(lane as u32);
        })?;
        Ok(ended as u64)
    }
}
