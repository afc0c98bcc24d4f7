//! `bench throughput`: many slots in flight from one thread.

use std::fmt;
use std::time::{Duration, Instant};

use ringfence::protocol::MIN_LIVE_RING_SLOTS;
use ringfence::runtime::Mode;
use serde::Serialize;

use super::Options;
use super::blocks::{self, BLOCK, WARM_UP, watched};
use super::samples::Samples;
use super::verified::{Verified, observables};
use crate::common::{self, Global, Trouble};

/// How long the last dispatch may take to leave before the floor is measured.
pub const LEAVE: Duration = Duration::from_secs(5);

/// Groups that the slots in flight are published in.
const GROUPS: usize = 8;
/// Groups between two looks at the clock.
const LOOKS: u32 = 32;

/// The figures.
#[derive(Serialize)]
pub struct Throughput {
    driver: String,
    device: String,
    mode: Mode,
    in_flight: u32,
    slots_in_ring: u32,
    /// Completed and verified in the blocks that count.
    slots: u64,
    seconds: f64,
    slots_per_s: f64,
    /// Dispatches that were armed in the whole run: a block may do with one that was there before.
    dispatches: u64,
    floor_p50_ns: u32,
    rounds: usize,
    rounds_used: usize,
}

struct Block {
    slots: u64,
    time: Duration,
}

pub fn run(global: &Global, options: &Options) -> Result<Throughput, Trouble> {
    let in_flight = options.in_flight;
    let slots = options.slots_in_ring.max(in_flight).max(MIN_LIVE_RING_SLOTS);
    let runtime =
        global.builder().level_slots([0, 0, slots, 0, 0]).observables(observables(in_flight)).build()?;
    let _observer = options.observing.attach(&runtime, "bench throughput")?;
    let mut ring = Verified::new(&runtime, in_flight)?;
    let count = blocks::count(options.seconds.unwrap_or(3.0));
    let rounds = blocks::rounds(count, |delayed| {
        // The first slots after a rest: see `Verified::sleep`.
        ring.push()?;
        ring.flush()?;
        ring.drain()?;
        flood(&mut ring, WARM_UP)?;
        let (slots, time) = watched(delayed, || flood(&mut ring, BLOCK))?;
        runtime.wait_idle(LEAVE);
        Ok(Block { slots, time })
    })?;
    ring.compare(&runtime.control()?)?;
    let rounds = blocks::choose(rounds);
    let slots_done = rounds.iter().map(|round| round.measured.slots).sum::<u64>();
    let seconds = rounds.iter().map(|round| round.measured.time.as_secs_f64()).sum::<f64>();
    Ok(Throughput {
        driver: common::driver(&runtime),
        device: common::device(&runtime),
        mode: runtime.mode(),
        in_flight,
        slots_in_ring: slots,
        slots: slots_done,
        seconds,
        slots_per_s: slots_done as f64 / seconds.max(1e-9),
        dispatches: runtime.stats().dispatches,
        floor_p50_ns: Samples::pooled(rounds.iter().map(|round| &round.floor)).p50(),
        rounds: count,
        rounds_used: rounds.len(),
    })
}

/// Keeps the ring full for `time`, then empty again: how many slots ended, and how long that took.
pub fn flood(ring: &mut Verified, time: Duration) -> Result<(u64, Duration), Trouble> {
    let began = Instant::now();
    let slots = keep_full(ring, time)? + ring.drain()? as u64;
    Ok((slots, began.elapsed()))
}

/// Keeps the ring full for `time`, and leaves it so: how many slots ended.
pub fn keep_full(ring: &mut Verified, time: Duration) -> Result<u64, Trouble> {
    // Publishing costs a lock and a fence each time, so that slots go in groups.
    let group = (ring.free() / GROUPS).max(1);
    let mut slots = 0;
    let began = Instant::now();
    while began.elapsed() < time {
        // A look at the clock costs as much as a slot.
        for _ in 0..LOOKS {
            if ring.free() >= group {
                while ring.push()?.is_some() {}
                ring.flush()?;
            }
            slots += ring.wait(|_| {})? as u64;
        }
    }
    Ok(slots)
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} ({}), {} mode, ring of {} slots",
            self.device, self.driver, self.mode, self.slots_in_ring
        )?;
        writeln!(
            f,
            "{:.3} million slots/s with {} in flight: {} completed and verified in {:.2} s",
            self.slots_per_s / 1e6,
            self.in_flight,
            self.slots,
            self.seconds
        )?;
        writeln!(
            f,
            "{} dispatches in all rounds, two-thread floor p50 {} ns",
            self.dispatches, self.floor_p50_ns
        )?;
        writeln!(f, "{} of {} rounds", self.rounds_used, self.rounds)
    }
}
