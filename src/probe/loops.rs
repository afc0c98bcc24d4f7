//! The loop limit, and what a submission costs (`glsl/probe/loops.comp`).

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::bench::{Bench, percentile};
use super::lanes::mapped;
use crate::vulkan::{BarrierKind, Commands, Result};

/// Turns of the loop that looks for the limit.
const TURNS: u32 = 1 << 20;
/// Different steps that the loop takes; all are 1.
const STEPS: u64 = 64;
/// Submissions that are timed, in at most this time.
const SUBMISSIONS: usize = 100;
const SUBMISSION_TIME: Duration = Duration::from_millis(100);

pub(super) struct Loops {
    pub(super) limit: Option<u32>,
    pub(super) submit_p50_ns: u64,
}

pub(super) fn measure(bench: &mut Bench) -> Result<Loops> {
    let steps = bench.shared(STEPS, "probe: steps")?;
    let answer = bench.shared(4, "probe: answer")?;
    for step in mapped(&steps)? {
        step.store(1, Relaxed);
    }
    let kernel = bench.kernel("probe_loops", &[&steps, &answer])?;
    bench.run(&kernel, &[TURNS], 1)?;
    let made = mapped(&answer)?.first().map_or(0, |word| word.load(Relaxed));

    let one = Commands::record(&bench.gpu, |rec| {
        rec.bind(&kernel.pipeline, &kernel.set);
        rec.push(&1u32.to_ne_bytes());
        rec.dispatch(1);
        rec.barrier(BarrierKind::ComputeToHost);
    })?;
    let mut times = Vec::with_capacity(SUBMISSIONS);
    let begin = Instant::now();
    while times.len() < SUBMISSIONS && begin.elapsed() < SUBMISSION_TIME {
        let start = Instant::now();
        bench.submit(&one)?;
        times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    times.sort_unstable();
    Ok(Loops { limit: (made != TURNS).then_some(made), submit_p50_ns: percentile(&times, 50) })
}
