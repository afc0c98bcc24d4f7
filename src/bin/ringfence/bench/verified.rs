//! A ring whose every slot is verified.
//!
//! Each slot in flight has a lane, and each lane a control word that ATOMIC_ADD raises by one. The result must
//! be the number of times that this lane has been through before: a slot that was lost, done twice, or
//! answered for another gives itself away at once, and the words themselves are compared in the end.

use std::time::Duration;

use ringfence::protocol::{OBSERVABLE_BASE, PRIORITY_NORMAL, SlotWords, opcode, slot};
use ringfence::runtime::{Outcome, Ring, Runtime};

use crate::common::Trouble;

/// Polls before a wait goes over to sleeping: a driver's thread may need this thread's core.
const SPINS: u32 = 50_000;
/// After that long without an answer there will be none.
const PATIENCE: Duration = Duration::from_secs(30);

/// A ring and its lanes.
pub struct Verified {
    ring: Ring,
    lanes: Vec<Lane>,
    free: Vec<u32>,
    /// A slot that ended as it should not have.
    wrong: Option<String>,
}

struct Lane {
    words: SlotWords,
    /// The result that the next slot must have.
    expected: u32,
}

/// Observables that lanes need: the first one is left to the tags of fences.
pub fn observables(lanes: u32) -> u32 {
    lanes + 1
}

impl Verified {
    /// `lanes` slots in flight at most, on a runtime with [`observables`] of as many.
    pub fn new(runtime: &Runtime, lanes: u32) -> Result<Self, Trouble> {
        let lane = |index: u32| {
            let mut words: SlotWords = [0; 16];
            let head =
                [slot::PUBLISHED, opcode::ATOMIC_ADD, 0, PRIORITY_NORMAL, 1, OBSERVABLE_BASE + 1 + index];
            words[..head.len()].copy_from_slice(&head);
            Lane { words, expected: 0 }
        };
        Ok(Self {
            ring: runtime.ring(lanes as usize)?,
            lanes: (0..lanes).map(lane).collect(),
            free: (0..lanes).rev().collect(),
            wrong: None,
        })
    }

    /// Lanes without a slot in flight.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// Slots in flight.
    pub fn in_flight(&self) -> usize {
        self.lanes.len() - self.free.len()
    }

    /// Writes a slot on a free lane and tells which; none is free: `None`.
    #[inline]
    pub fn push(&mut self) -> Result<Option<u32>, Trouble> {
        let Some(lane) = self.free.pop() else { return Ok(None) };
        self.ring.push(&self.lanes[lane as usize].words, u64::from(lane))?;
        Ok(Some(lane))
    }

    /// Publishes what was pushed.
    #[inline]
    pub fn flush(&mut self) -> Result<(), Trouble> {
        Ok(self.ring.flush()?)
    }

    /// Takes what has ended, checks it, and tells the lanes; returns how many slots it was.
    #[inline]
    pub fn reap(&mut self, mut ended: impl FnMut(u32)) -> Result<usize, Trouble> {
        let Self { ring, lanes, free, wrong } = self;
        let count = ring.reap(|lane, outcome| {
            check(lanes, free, wrong, lane, outcome);
            ended(lane as u32);
        })?;
        self.checked(count)
    }

    /// The same, and waits for one at least: polls, then sleeps.
    #[inline]
    pub fn wait(&mut self, mut ended: impl FnMut(u32)) -> Result<usize, Trouble> {
        for _ in 0..SPINS {
            let count = self.reap(&mut ended)?;
            if count > 0 {
                return Ok(count);
            }
        }
        self.sleep(ended)
    }

    /// Waits with sleeps, as behoves the first slot after a rest: the thread that runs the kernel may have to
    /// start on this thread's core (DESIGN fact 26).
    pub fn sleep(&mut self, mut ended: impl FnMut(u32)) -> Result<usize, Trouble> {
        let Self { ring, lanes, free, wrong } = self;
        let count = ring.wait(PATIENCE, |lane, outcome| {
            check(lanes, free, wrong, lane, outcome);
            ended(lane as u32);
        })?;
        if count == 0 && self.in_flight() > 0 {
            return Err(Trouble::Wrong(format!("a slot has not ended for {PATIENCE:?}")));
        }
        self.checked(count)
    }

    /// Waits for all that is in flight.
    pub fn drain(&mut self) -> Result<usize, Trouble> {
        let mut count = 0;
        while self.in_flight() > 0 {
            count += self.sleep(|_| {})?;
        }
        Ok(count)
    }

    #[inline]
    fn checked(&mut self, count: usize) -> Result<usize, Trouble> {
        match self.wrong.take() {
            None => Ok(count),
            Some(what) => Err(Trouble::Wrong(what)),
        }
    }

    /// Compares the lanes' words in the control buffer; nothing is in flight. The lanes start at word 1 of
    /// the observables, and no other ring writes there.
    pub fn compare(&self, control: &[u32]) -> Result<(), Trouble> {
        let words = control.iter().skip(OBSERVABLE_BASE as usize + 1);
        for (index, (lane, word)) in self.lanes.iter().zip(words).enumerate() {
            if lane.expected != *word {
                return Err(Trouble::Wrong(format!(
                    "lane {index} counted {word} slots where {} were done",
                    lane.expected
                )));
            }
        }
        Ok(())
    }
}

#[inline]
fn check(lanes: &mut [Lane], free: &mut Vec<u32>, wrong: &mut Option<String>, lane: u64, outcome: Outcome) {
    let state = &mut lanes[lane as usize];
    if outcome != Outcome::Done(u64::from(state.expected)) {
        *wrong = Some(format!("lane {lane} expected the result {}, and got {outcome:?}", state.expected));
    }
    state.expected = state.expected.wrapping_add(1);
    free.push(lane as u32);
}
