//! Slots of one kind through a ring that is kept full, every one of them verified.

use std::time::{Duration, Instant};

use ringfence::protocol::{PRIORITY_NORMAL, SlotWords, slot};
use ringfence::runtime::{Outcome, Ring, Runtime};

use super::super::PATIENCE;
use crate::common::Trouble;

/// Groups that the slots in flight are published in.
const GROUPS: usize = 8;
/// Groups between two looks at the clock, which costs as much as a slot.
const LOOKS: u32 = 32;
/// Polls before a wait goes over to sleeping: a driver's thread may need this thread's core.
const SPINS: u32 = 50_000;

/// Words of a slot; it has as many arguments as are given.
#[inline]
pub fn slot_words<const N: usize>(opcode: u32, arguments: [u32; N]) -> SlotWords {
    let mut words = [0; 16];
    words[..4].copy_from_slice(&[slot::PUBLISHED, opcode, 0, PRIORITY_NORMAL]);
    words[4..4 + N].copy_from_slice(&arguments);
    words
}

/// Slots that come again and again: `words` tells those of the n-th, in which run.
pub struct Flow<W> {
    ring: Ring,
    words: W,
    /// The result of each.
    wanted: Vec<u64>,
    next: usize,
    run: u32,
}

impl<W: Fn(usize, u32) -> SlotWords> Flow<W> {
    /// With `depth` in flight.
    pub fn new(runtime: &Runtime, depth: u32, wanted: Vec<u64>, words: W) -> Result<Self, Trouble> {
        Ok(Self { ring: runtime.ring(depth as usize)?, words, wanted, next: 0, run: 0 })
    }

    /// Keeps the ring full for `time`, each slot at least once, then empty again: how many ended, and how long that
    /// took.
    pub fn run(&mut self, time: Duration) -> Result<(u64, Duration), Trouble> {
        self.run = self.run.wrapping_add(1);
        // The first slot after a rest: the thread that runs the kernel may have to start on this thread's core.
        self.push()?;
        self.ring.flush()?;
        self.sleep()?;
        let group = (self.ring.room() / GROUPS).max(1);
        let began = Instant::now();
        let (mut slots, mut pushed) = (0, 0);
        while began.elapsed() < time || pushed < self.wanted.len() {
            for _ in 0..LOOKS {
                if self.ring.room() >= group {
                    while self.ring.room() > 0 {
                        self.push()?;
                        pushed += 1;
                    }
                    self.ring.flush()?;
                }
                slots += self.wait()?;
            }
        }
        while self.ring.in_flight() > 0 {
            slots += self.sleep()?;
        }
        Ok((slots, began.elapsed()))
    }

    /// The run that the slots were last made for.
    pub fn last_run(&self) -> u32 {
        self.run
    }

    #[inline]
    fn push(&mut self) -> Result<(), Trouble> {
        self.ring.push(&(self.words)(self.next, self.run), self.next as u64)?;
        self.next = if self.next + 1 == self.wanted.len() { 0 } else { self.next + 1 };
        Ok(())
    }

    #[inline]
    fn wait(&mut self) -> Result<u64, Trouble> {
        for _ in 0..SPINS {
            let Self { ring, wanted, .. } = self;
            let mut wrong = None;
            let ended = ring.reap(|n, outcome| check(wanted, n, outcome, &mut wrong))?;
            if ended > 0 {
                return verified(ended, wrong);
            }
        }
        self.sleep()
    }

    fn sleep(&mut self) -> Result<u64, Trouble> {
        let Self { ring, wanted, .. } = self;
        let mut wrong = None;
        match ring.wait(PATIENCE, |n, outcome| check(wanted, n, outcome, &mut wrong))? {
            0 => Err(Trouble::Wrong(format!("no slot has ended for {PATIENCE:?}"))),
            ended => verified(ended, wrong),
        }
    }
}

#[inline]
fn check(wanted: &[u64], n: u64, outcome: Outcome, wrong: &mut Option<(u64, Outcome)>) {
    if outcome != Outcome::Done(wanted[n as usize]) {
        *wrong = Some((n, outcome));
    }
}

#[inline]
fn verified(ended: usize, wrong: Option<(u64, Outcome)>) -> Result<u64, Trouble> {
    match wrong {
        None => Ok(ended as u64),
        Some((n, outcome)) => {
            Err(Trouble::Wrong(format!("slot {n} ended otherwise than it must: {outcome:?}")))
        }
    }
}
