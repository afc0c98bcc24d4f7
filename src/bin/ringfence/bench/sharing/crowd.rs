//! How many slots a second there are with how many tenants.

use std::time::{Duration, Instant};

use ringfence::protocol::PRIORITY_NORMAL;
use serde::Serialize;

use crate::bench::Options;
use crate::bench::blocks::{self, BLOCK, WARM_UP, watched};
use crate::bench::samples::Samples;
use crate::bench::verified::Verified;
use crate::common::{Global, Trouble};

/// Numbers of tenants.
const CASES: [u32; 3] = [1, 8, 64];
/// Slots that they have in flight together.
const IN_FLIGHT: u32 = 64;
/// Groups that a tenant's slots in flight are published in.
const GROUPS: usize = 8;
/// Turns between two looks at the clock.
const LOOKS: u32 = 32;
/// How long the last dispatch may take to leave before the floor is measured.
const LEAVE: Duration = Duration::from_secs(5);

/// One number of tenants.
#[derive(Serialize)]
pub struct Crowd {
    pub n: u32,
    /// Completed and verified.
    pub slots_per_s: f64,
    pub slots: u64,
    pub seconds: f64,
}

/// Slots and time of each case.
type Blocks = [(u64, Duration); CASES.len()];

/// The cases, and the floor's median.
pub fn run(global: &Global, options: &Options) -> Result<(Vec<Crowd>, u32), Trouble> {
    let most = CASES.into_iter().max().unwrap_or_default();
    // Each case has tenants of its own, all of them there all the time.
    let tenants: u32 = CASES.iter().sum();
    let runtime = global
        .builder()
        .level_slots([0, 0, options.slots_in_ring.max(2 * CASES.len() as u32 * IN_FLIGHT), 0, 0])
        .tenants(1 + tenants)
        .tenant_slots(IN_FLIGHT.max(most))
        .tenant_words(2 * CASES.len() as u32 * IN_FLIGHT)
        .build()?;
    let _observer = options.observing.attach(&runtime, "bench sharing")?;
    let mut held = Vec::new();
    let mut crowds = Vec::new();
    for n in CASES {
        let lanes = IN_FLIGHT / n;
        let mut rings = Vec::new();
        for which in 0..n {
            let tenant = runtime.tenant(&format!("{which} of {n}")).window(2 * lanes).open()?;
            rings.push(Verified::of(&tenant, lanes, PRIORITY_NORMAL)?);
            held.push(tenant);
        }
        crowds.push(rings);
    }
    let count = blocks::count(options.seconds.unwrap_or(1.0));
    let rounds = blocks::rounds(count, |delayed| {
        let mut measured = [(0, Duration::ZERO); CASES.len()];
        for (measured, rings) in measured.iter_mut().zip(&mut crowds) {
            flood(rings, WARM_UP)?;
            *measured = watched(delayed, || flood(rings, BLOCK))?;
        }
        runtime.wait_idle(LEAVE);
        Ok::<Blocks, Trouble>(measured)
    })?;
    let control = runtime.control()?;
    crowds.iter().flatten().try_for_each(|ring| ring.compare(&control))?;
    let rounds = blocks::choose(rounds);
    let case = |(index, n): (usize, u32)| {
        let slots = rounds.iter().map(|round| round.measured[index].0).sum();
        let seconds: f64 = rounds.iter().map(|round| round.measured[index].1.as_secs_f64()).sum();
        Crowd { n, slots_per_s: slots as f64 / seconds.max(1e-9), slots, seconds }
    };
    let floor = Samples::pooled(rounds.iter().map(|round| &round.floor)).p50();
    Ok((CASES.into_iter().enumerate().map(case).collect(), floor))
}

/// Keeps all rings full for `time`, then empty again: how many slots ended, and how long that took.
fn flood(rings: &mut [Verified], time: Duration) -> Result<(u64, Duration), Trouble> {
    // The first slot after a rest: see `Verified::sleep`.
    rings[0].push()?;
    rings[0].flush()?;
    rings[0].drain()?;
    let group = (rings[0].free() / GROUPS).max(1);
    let mut slots = 0;
    let began = Instant::now();
    while began.elapsed() < time {
        // A look at the clock costs as much as a slot.
        for _ in 0..LOOKS {
            for ring in &mut *rings {
                if ring.free() >= group {
                    while ring.push()?.is_some() {}
                    ring.flush()?;
                }
                slots += ring.reap(|_| {})? as u64;
            }
        }
    }
    for ring in rings {
        slots += ring.drain()? as u64;
    }
    Ok((slots, began.elapsed()))
}
