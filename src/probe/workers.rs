//! How many workers run side by side (`glsl/probe/workers.comp`).

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::bench::Bench;
use super::lanes::mapped;
use crate::vulkan::Result;

/// Turns that a workgroup waits for the others, below the loop limit of any driver known. On a CPU
/// driver that is some milliseconds, within which another thread may or may not get to run.
const CPU_TURNS: u32 = 60_000;
/// The same on a device of its own, where what fits starts at once.
const GPU_TURNS: u32 = 8_000;
/// The probe stops looking here.
const MOST: u32 = 4096;
/// A worker that is not seen is looked for at least this often, and this long where there should be
/// one: a thread of a CPU driver may have to wait for another one's time slice before it starts.
const ATTEMPTS: u32 = 2;
const LOOK: Duration = Duration::from_millis(150);

pub(super) fn measure(bench: &mut Bench) -> Result<u32> {
    let expected = expected(bench);
    let turns = if expected == 0 { GPU_TURNS } else { CPU_TURNS };
    let state = bench.shared(4, "probe: workers")?;
    let kernel = bench.kernel("probe_workers", &[&state])?;
    let mut most = 0;
    let mut groups = 1;
    while groups <= MOST {
        let begin = Instant::now();
        let mut attempts = 0;
        while most < groups && (attempts < ATTEMPTS || most < expected && begin.elapsed() < LOOK) {
            attempts += 1;
            for word in mapped(&state)? {
                word.store(0, Relaxed);
            }
            bench.run(&kernel, &[turns, groups], groups)?;
            most = most.max(mapped(&state)?.get(1).map_or(0, |word| word.load(Relaxed)));
        }
        if most < groups {
            break;
        }
        groups *= 2;
    }
    Ok(most.max(1))
}

/// Threads that a CPU driver runs workers on, as far as is known; 0 for a device of its own.
fn expected(bench: &Bench) -> u32 {
    if !bench.gpu.info().is_cpu() {
        return 0;
    }
    let asked = std::env::var("LP_NUM_THREADS").ok().and_then(|threads| threads.parse().ok());
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    match asked {
        Some(asked) if bench.gpu.workarounds().pool_threads => cores.min(asked),
        _ => cores,
    }
}
