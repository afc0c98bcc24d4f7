//! `bench cut`: what it costs a kernel to have opcodes that nobody submits.

use std::fmt;

use ringfence::kernel::LANE_OPCODES;
use ringfence::protocol::{MIN_LIVE_RING_SLOTS, opcode};
use ringfence::runtime::Mode;
use ringfence::vulkan::{Gpu, OpenOptions};
use serde::Serialize;

use super::Options;
use super::blocks::{self, BLOCK, WARM_UP, watched};
use super::latency::closed_loop;
use super::samples::Samples;
use super::throughput::{LEAVE, flood};
use super::verified::{Verified, observables};
use crate::common::{self, Global, Trouble};

/// What is submitted.
const SUBMITTED: &[u32] = &[opcode::STORE_U32, opcode::LOAD_U32];
/// Beside what a lane executes by itself.
const WIDE: &[u32] = &[opcode::SCAN, opcode::CRC32C, opcode::SUM_WORDS, opcode::COPY_RANGE, opcode::UNFOLD];

/// The figures.
#[derive(Serialize)]
pub struct Cut {
    driver: String,
    device: String,
    mode: Mode,
    workers: u32,
    in_flight: u32,
    /// With what is submitted alone; with all that a lane executes; with all but what needs storage.
    kernels: Vec<Kernel>,
    floor_p50_ns: u32,
    rounds: usize,
    rounds_used: usize,
}

/// What one of them does.
#[derive(Serialize)]
struct Kernel {
    opcodes: usize,
    bytes: usize,
    loops: u32,
    p50_ns: u32,
    slots_per_s: f64,
}

/// One block of one kernel.
struct Measured {
    times: Samples,
    slots: u64,
    seconds: f64,
}

pub fn run(global: &Global, options: &Options) -> Result<Cut, Trouble> {
    let gpu = Gpu::open(&OpenOptions { device: global.device.clone(), ..OpenOptions::default() })?;
    let depth = options.in_flight;
    let slots = options.slots_in_ring.max(depth).max(MIN_LIVE_RING_SLOTS);
    let mut runtimes = Vec::new();
    for opcodes in [SUBMITTED.to_vec(), LANE_OPCODES.to_vec(), [LANE_OPCODES, WIDE].concat()] {
        let builder = global.builder().gpu(gpu.clone()).level_slots([0, 0, slots, 0, 0]);
        runtimes.push(builder.observables(observables(depth)).only_opcodes(&opcodes).build()?);
    }
    let mut rings =
        runtimes.iter().map(|runtime| Verified::new(runtime, depth)).collect::<Result<Vec<_>, _>>()?;
    let count = blocks::count(options.seconds.unwrap_or(1.0));
    let rounds = blocks::rounds(count, |delayed| {
        let mut measured = Vec::new();
        for (runtime, ring) in runtimes.iter().zip(&mut rings) {
            closed_loop(ring, WARM_UP)?;
            let times = watched(delayed, || closed_loop(ring, BLOCK))?;
            flood(ring, WARM_UP)?;
            let (slots, time) = watched(delayed, || flood(ring, BLOCK))?;
            runtime.wait_idle(LEAVE);
            measured.push(Measured { times, slots, seconds: time.as_secs_f64() });
        }
        Ok(measured)
    })?;
    for (runtime, ring) in runtimes.iter().zip(&rings) {
        ring.compare(&runtime.control()?)?;
    }
    let rounds = blocks::choose(rounds);
    let kernels = runtimes.iter().enumerate().map(|(index, runtime)| {
        let blocks = || rounds.iter().map(|round| &round.measured[index]);
        let seconds: f64 = blocks().map(|block| block.seconds).sum();
        let kernel = runtime.kernel();
        Kernel {
            opcodes: kernel.opcodes().len(),
            bytes: 4 * kernel.words.len(),
            loops: kernel.loops,
            p50_ns: Samples::pooled(blocks().map(|block| &block.times)).p50(),
            slots_per_s: blocks().map(|block| block.slots).sum::<u64>() as f64 / seconds.max(1e-9),
        }
    });
    let first = &runtimes[0];
    Ok(Cut {
        driver: common::driver(first),
        device: common::device(first),
        mode: first.mode(),
        workers: first.workers(),
        in_flight: depth,
        kernels: kernels.collect(),
        floor_p50_ns: Samples::pooled(rounds.iter().map(|round| &round.floor)).p50(),
        rounds: count,
        rounds_used: rounds.len(),
    })
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, driver, mode, in_flight, .. } = self;
        writeln!(f, "{device} ({driver}), {mode} mode, one and {in_flight} in flight")?;
        for Kernel { opcodes, bytes, loops, p50_ns, slots_per_s } in &self.kernels {
            writeln!(
                f,
                "{opcodes:>2} opcodes, {bytes:>6} bytes, {loops:>2} loops: p50 {:.3} us, {:.3} million slots/s",
                f64::from(*p50_ns) / 1000.0,
                slots_per_s / 1e6
            )?;
        }
        writeln!(
            f,
            "two-thread floor p50 {} ns, {} of {} rounds",
            self.floor_p50_ns, self.rounds_used, self.rounds
        )
    }
}
