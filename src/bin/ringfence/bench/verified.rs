//! A ring whose every slot is verified.
//!
//! Each slot in flight has a lane, and each lane two control words of its own. By turns the lane stores a value
//! into the first (STORE_U32), one that it has not stored for 4,096 times and, of up to 4,096 lanes, no other has, and
//! loads it from there into the second (LOAD_U32). The result of the load must be the value: a slot that was lost,
//! done twice or out of turn, or answered for another gives itself away at once or with the next. In the end the
//! words themselves are compared.

use ringfence::protocol::{
    MAX_ENCODED_OBSERVABLE_SLOTS, OBSERVABLE_BASE, PRIORITY_NORMAL, SlotWords, opcode, slot,
};
use ringfence::runtime::{Outcome, Ring, Runtime, Tenant};

use super::PATIENCE;
use crate::common::Trouble;

/// Polls before a wait goes over to sleeping: a driver's thread may need this thread's core.
const SPINS: u32 = 50_000;

/// Values have 24 bits, which a short completion carries: the lane, below the count of its stores.
const VALUES: u32 = (1 << 24) - 1;
const LANE_VALUES: u32 = 1 << 12;

/// A ring and its lanes.
pub struct Verified {
    ring: Ring,
    lanes: Vec<Lane>,
    free: Vec<u32>,
    priority: u32,
    /// A slot that ended as it should not have.
    wrong: Option<String>,
}

/// Lanes that fit into a control buffer.
pub const MOST_LANES: u32 = (MAX_ENCODED_OBSERVABLE_SLOTS - 1) / 2;

/// Observables that lanes need: the first one is left to the tags of fences.
pub fn observables(lanes: u32) -> u32 {
    2 * lanes + 1
}

#[derive(Clone, Copy)]
struct Lane {
    /// First of its two observables.
    first: u32,
    /// What is stored next, or loaded next.
    value: u32,
    loads: bool,
    /// What its two words hold after the slots that have ended.
    left: [u32; 2],
}

impl Lane {
    fn new(index: u32, first: u32) -> Self {
        Self { first: first + 2 * index, value: index % LANE_VALUES, loads: false, left: [0; 2] }
    }

    #[inline]
    fn words(&self, priority: u32) -> SlotWords {
        let at = OBSERVABLE_BASE + self.first;
        let [opcode, a0, a1] = if self.loads {
            [opcode::LOAD_U32, at, self.first + 1]
        } else {
            [opcode::STORE_U32, self.value, at]
        };
        [slot::PUBLISHED, opcode, 0, priority, a0, a1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    }

    /// The result that its slot must have.
    #[inline]
    fn expected(&self) -> u64 {
        if self.loads { self.value.into() } else { 0 }
    }

    /// Its slot has ended.
    #[inline]
    fn advance(&mut self) {
        if self.loads {
            self.left[1] = self.value;
            self.value = self.value.wrapping_add(LANE_VALUES) & VALUES;
        } else {
            self.left[0] = self.value;
        }
        self.loads = !self.loads;
    }
}

impl Verified {
    /// `lanes` slots in flight at most, on a runtime with [`observables`] of as many.
    pub fn new(runtime: &Runtime, lanes: u32) -> Result<Self, Trouble> {
        Ok(Self::over(runtime.ring(lanes as usize)?, 1, lanes, PRIORITY_NORMAL))
    }

    /// The same of a tenant, whose window has two words for each lane.
    pub fn of(tenant: &Tenant, lanes: u32, priority: u32) -> Result<Self, Trouble> {
        let first = tenant.window().start - OBSERVABLE_BASE;
        Ok(Self::over(tenant.ring(lanes as usize)?, first, lanes, priority))
    }

    /// `first`: the first observable of the first lane.
    fn over(ring: Ring, first: u32, lanes: u32, priority: u32) -> Self {
        Self {
            ring,
            lanes: (0..lanes).map(|lane| Lane::new(lane, first)).collect(),
            free: (0..lanes).rev().collect(),
            priority,
            wrong: None,
        }
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
        self.ring.push(&self.lanes[lane as usize].words(self.priority), u64::from(lane))?;
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
        let Self { ring, lanes, free, wrong, .. } = self;
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
        let Self { ring, lanes, free, wrong, .. } = self;
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

    /// Takes what is left once the runtime was dropped: each slot has ended, verified or cancelled. Returns how
    /// many were cancelled.
    pub fn after_stop(&mut self) -> Result<usize, Trouble> {
        let Self { ring, lanes, free, wrong, .. } = self;
        let mut cancelled = 0;
        ring.reap(|lane, outcome| match outcome {
            Outcome::CANCELLED => {
                cancelled += 1;
                free.push(lane as u32);
            }
            _ => check(lanes, free, wrong, lane, outcome),
        })?;
        match self.in_flight() {
            0 => self.checked(cancelled),
            left => Err(Trouble::Wrong(format!("{left} slots have not ended although the runtime is gone"))),
        }
    }

    #[inline]
    fn checked(&mut self, count: usize) -> Result<usize, Trouble> {
        match self.wrong.take() {
            None => Ok(count),
            Some(what) => Err(Trouble::Wrong(what)),
        }
    }

    /// Compares the lanes' words in the control buffer; nothing is in flight, and nothing else writes there.
    pub fn compare(&self, control: &[u32]) -> Result<(), Trouble> {
        for (index, lane) in self.lanes.iter().enumerate() {
            let at = (OBSERVABLE_BASE + lane.first) as usize;
            let words = control.get(at..at + 2).unwrap_or(&[]);
            if words != lane.left {
                return Err(Trouble::Wrong(format!(
                    "lane {index} left {words:?} instead of {:?}",
                    lane.left
                )));
            }
        }
        Ok(())
    }
}

#[inline]
fn check(lanes: &mut [Lane], free: &mut Vec<u32>, wrong: &mut Option<String>, lane: u64, outcome: Outcome) {
    let state = &mut lanes[lane as usize];
    if outcome != Outcome::Done(state.expected()) {
        *wrong = Some(format!("lane {lane} expected the result {}, and got {outcome:?}", state.expected()));
    }
    state.advance();
    free.push(lane as u32);
}
