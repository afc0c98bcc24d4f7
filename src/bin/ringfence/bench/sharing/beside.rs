//! How long a tenant waits whose slots are urgent: alone, and beside another's flood.

use std::time::{Duration, Instant};

use ringfence::protocol::PRIORITY_CRITICAL;
use ringfence::protocol::abi::opcode::OP_SCAN;
use ringfence::runtime::Mode;
use ringfence::scan::chunk::BLOCK_BYTES;
use serde::Serialize;

use super::flood::{self, Flood, Flooding};
use crate::bench::Options;
use crate::bench::blocks::{self, BLOCK, WARM_UP, watched};
use crate::bench::samples::Samples;
use crate::bench::verified::Verified;
use crate::common::{self, Global, Trouble};

/// From one question to the next, so that the flood goes on in between.
const PERIOD: Duration = Duration::from_micros(100);
/// Slots that the asker has in flight: one.
const LANES: u32 = 1;
/// How long the last dispatch may take to leave before the floor is measured.
const LEAVE: Duration = Duration::from_secs(5);

/// Times in nanoseconds.
#[derive(Serialize)]
pub struct Wait {
    pub p50_ns: u32,
    pub p99_ns: u32,
    pub p999_ns: u32,
    pub samples: usize,
}

/// What was measured, and on what.
pub struct Beside {
    pub driver: String,
    pub device: String,
    pub mode: Mode,
    pub alone: Wait,
    pub beside: Wait,
    pub flood: Flooding,
    pub rounds: usize,
    pub rounds_used: usize,
}

struct Blocks {
    alone: Samples,
    beside: Samples,
    walked: usize,
    time: Duration,
}

pub fn run(global: &Global, options: &Options) -> Result<Beside, Trouble> {
    let runtime = global
        .builder()
        .opcodes(&[OP_SCAN])
        .level_slots([16, 16, 16, flood::DEPTH as u32, 16])
        .tenants(3)
        .tenant_slots(flood::DEPTH as u32)
        .tenant_words(2 * LANES)
        .build()?;
    let _observer = options.observing.attach(&runtime, "bench sharing")?;
    let tenant = runtime.tenant("flood").open()?;
    let mut flood = Flood::new(&runtime, &tenant)?;
    let asker = runtime.tenant("asker").window(2 * LANES).open()?;
    let mut ring = Verified::of(&asker, LANES, PRIORITY_CRITICAL)?;
    let count = blocks::count(options.seconds.unwrap_or(1.0));
    let rounds = blocks::rounds(count, |delayed| {
        ask(&mut ring, WARM_UP, || Ok(()))?;
        let alone = watched(delayed, || ask(&mut ring, BLOCK, || Ok(())))?;
        flood.keep_full()?;
        ask(&mut ring, WARM_UP, || flood.keep_full().map(drop))?;
        let mut walked = 0;
        let began = Instant::now();
        let beside = watched(delayed, || {
            ask(&mut ring, BLOCK, || {
                walked += flood.keep_full()?;
                Ok(())
            })
        })?;
        let time = began.elapsed();
        flood.drain()?;
        runtime.wait_idle(LEAVE);
        Ok(Blocks { alone, beside, walked, time })
    })?;
    ring.compare(&runtime.control()?)?;
    let rounds = blocks::choose(rounds);
    let walked: usize = rounds.iter().map(|round| round.measured.walked).sum();
    let seconds: f64 = rounds.iter().map(|round| round.measured.time.as_secs_f64()).sum();
    Ok(Beside {
        driver: common::driver(&runtime),
        device: common::device(&runtime),
        mode: runtime.mode(),
        alone: wait(Samples::pooled(rounds.iter().map(|round| &round.measured.alone))),
        beside: wait(Samples::pooled(rounds.iter().map(|round| &round.measured.beside))),
        flood: Flooding {
            chunk_bytes: BLOCK_BYTES,
            in_flight: flood::DEPTH,
            gbps: walked as f64 / seconds.max(1e-9) / 1e9,
        },
        rounds: count,
        rounds_used: rounds.len(),
    })
}

fn wait(mut samples: Samples) -> Wait {
    Wait {
        p50_ns: samples.p50(),
        p99_ns: samples.percentile(0.99),
        p999_ns: samples.percentile(0.999),
        samples: samples.len(),
    }
}

/// Publishes a slot every [`PERIOD`] for `time`, one at least, and `meanwhile` does what else the host has to do.
fn ask(
    ring: &mut Verified,
    time: Duration,
    mut meanwhile: impl FnMut() -> Result<(), Trouble>,
) -> Result<Samples, Trouble> {
    let mut samples = Samples::with_capacity((time.as_nanos() / PERIOD.as_nanos()) as usize);
    // The first slot after a rest: see `Verified::sleep`. In epoch mode it waits for a dispatch with all of the
    // flood, which may take longer than `time`.
    ring.push()?;
    ring.flush()?;
    ring.drain()?;
    meanwhile()?;
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        ring.push()?;
        ring.flush()?;
        ring.wait(|_| {})?;
        samples.push(asked.elapsed());
        meanwhile()?;
        while asked.elapsed() < PERIOD {
            std::hint::spin_loop();
        }
        if began.elapsed() >= time {
            return Ok(samples);
        }
    }
}
