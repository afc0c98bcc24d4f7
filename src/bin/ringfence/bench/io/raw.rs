//! The same reads by io_uring alone: one thread, registered memory and file, the same sums on the host.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode, types};
use ringfence::io::arena::Arena;

use super::Block;
use super::sample::{Part, Sample};
use crate::bench::random::Random;
use crate::bench::samples::Samples;
use crate::common::Trouble;

/// A ring, and a place in memory for each read.
pub struct Raw<'a> {
    // Goes first: the memory and the file are registered with it.
    ring: IoUring,
    sample: &'a Sample,
    _file: File,
    memory: Arc<Arena>,
    bytes: usize,
    lanes: Vec<Lane>,
    free: Vec<u32>,
    places: Places,
}

/// Where reads go, in units of their size.
pub enum Places {
    Random(Random),
    /// One behind the other, from the start again at the end.
    Sequential(usize),
}

impl Places {
    #[inline]
    fn next(&mut self, blocks: usize) -> usize {
        match self {
            Self::Random(random) => random.below(blocks),
            Self::Sequential(next) => {
                *next = (*next + 1) % blocks;
                *next
            }
        }
    }
}

struct Lane {
    offset: u64,
    began: Instant,
}

impl<'a> Raw<'a> {
    /// `depth` reads of `bytes` bytes at a time, past the page cache if `direct`.
    pub fn new(
        sample: &'a Sample,
        direct: bool,
        bytes: usize,
        depth: u32,
        places: Places,
    ) -> Result<Self, Trouble> {
        let trouble = |error| Trouble::File { name: "io_uring".to_owned(), error };
        let flags = if direct { libc::O_DIRECT } else { 0 };
        let name = sample.path().display().to_string();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(sample.path());
        let file = file.map_err(|error| Trouble::File { name, error })?;
        let memory = Arena::new(depth as usize * bytes).map_err(trouble)?;
        let mut builder = IoUring::builder();
        let ring = match builder.setup_single_issuer().setup_defer_taskrun().build(depth) {
            Ok(ring) => ring,
            // Before 6.1.
            Err(_) => IoUring::new(depth).map_err(trouble)?,
        };
        let all = libc::iovec { iov_base: memory.as_ptr().cast(), iov_len: memory.len() };
        // SAFETY: the arena stays where it is until the ring has gone.
        unsafe { ring.submitter().register_buffers(&[all]) }.map_err(trouble)?;
        ring.submitter().register_files(&[file.as_raw_fd()]).map_err(trouble)?;
        let began = Instant::now();
        Ok(Self {
            ring,
            sample,
            _file: file,
            memory,
            bytes,
            lanes: (0..depth).map(|_| Lane { offset: 0, began }).collect(),
            free: (0..depth).collect(),
            places,
        })
    }

    /// Keeps all lanes busy for `time`, then lets them end; sums that part of each read.
    pub fn run(&mut self, time: Duration, part: Part) -> Result<Block, Trouble> {
        let trouble = |error| Trouble::File { name: "io_uring".to_owned(), error };
        let began = Instant::now();
        let mut reads = 0;
        let mut samples = Samples::with_capacity(1 << 18);
        let mut now = began;
        let mut taken = Vec::new();
        while self.free.len() < self.lanes.len() || now - began < time {
            if now - began < time {
                self.push(now);
            }
            self.ring.submit_and_wait(1).map_err(trouble)?;
            let seen = Instant::now();
            taken.extend(self.ring.completion().map(|entry| (entry.user_data() as u32, entry.result())));
            for (lane, result) in taken.drain(..) {
                let Lane { offset, began } = self.lanes[lane as usize];
                samples.push(seen - began);
                let wanted = self.sample.sum(offset, self.bytes, part);
                if result != self.bytes as i32 || self.sum(lane, part) != wanted {
                    return Err(Trouble::Wrong(format!("a raw read at {offset} ended with {result}")));
                }
                self.free.push(lane);
                reads += 1;
            }
            now = Instant::now();
        }
        Ok(Block { reads, time: began.elapsed(), samples })
    }

    fn push(&mut self, now: Instant) {
        let blocks = self.sample.bytes() as usize / self.bytes;
        while let Some(lane) = self.free.pop() {
            let offset = (self.places.next(blocks) * self.bytes) as u64;
            self.lanes[lane as usize] = Lane { offset, began: now };
            let at = self.memory.as_ptr().wrapping_add(lane as usize * self.bytes);
            let read = opcode::ReadFixed::new(types::Fixed(0), at, self.bytes as u32, 0);
            let entry = read.offset(offset).build().user_data(lane.into());
            // SAFETY: the memory is the lane's own, and nobody looks at it until the read has ended. The ring has
            // as many entries as there are lanes.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            debug_assert!(pushed.is_ok());
        }
    }

    #[inline]
    fn sum(&self, lane: u32, part: Part) -> u32 {
        // SAFETY: within the arena, aligned to 4 as pages are, and no read into it is in flight.
        let words = unsafe {
            let at = self.memory.as_ptr().add(lane as usize * self.bytes);
            std::slice::from_raw_parts(at.cast::<u32>(), part.of(self.bytes) / 4)
        };
        words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // After an error, reads may be under way into memory that is about to go.
        let busy = self.lanes.len() - self.free.len();
        while self.ring.completion().len() < busy && self.ring.submit_and_wait(busy).is_ok() {}
    }
}
