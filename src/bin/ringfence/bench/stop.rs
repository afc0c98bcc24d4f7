//! How long a busy runtime takes to stop, and what an idle one costs: the last figures of `bench startup`.

use std::time::{Duration, Instant};

use ringfence::runtime::Runtime;
use rustix::time::{ClockId, clock_gettime};

use super::throughput::keep_full;
use super::verified::{Verified, observables};
use crate::common::{Global, Trouble};

/// Runtimes that are dropped.
const DROPS: u32 = 20;
/// Slots in flight at a drop: enough that the device is in the midst of them, on the fastest driver.
const LANES: u32 = 4096;
/// Work before a drop, so that it finds dispatches queued ahead. It grows from drop to drop by a step that
/// divides no dispatch, so that the drops find theirs at different ages.
const BUSY: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_micros(370);
/// How long an idle runtime is watched.
const IDLE: Duration = Duration::from_secs(1);
/// How long the last dispatch may take to leave.
const LEAVE: Duration = Duration::from_secs(5);

/// From the begin of a runtime's drop until every slot has ended and the device is torn down.
pub struct Stop {
    pub median: Duration,
    pub worst: Duration,
}

/// Drops runtimes with slots in flight. Each of these ends verified or cancelled, or the bench fails.
pub fn stop(global: &Global) -> Result<Stop, Trouble> {
    let mut times = Vec::with_capacity(DROPS as usize);
    for index in 0..DROPS {
        let (runtime, mut ring) = started(global)?;
        keep_full(&mut ring, BUSY + STEP * index)?;
        // The host was slower than the device just now.
        if ring.in_flight() < LANES as usize / 2 {
            while ring.push()?.is_some() {}
            ring.flush()?;
        }
        let in_flight = ring.in_flight();
        let began = Instant::now();
        drop(runtime);
        let cancelled = ring.after_stop()?;
        // The last handle: the device goes with it.
        drop(ring);
        let time = began.elapsed();
        tracing::debug!(?time, in_flight, cancelled, "stopped");
        times.push(time);
    }
    times.sort_unstable();
    Ok(Stop { median: times[times.len() / 2], worst: times[times.len() - 1] })
}

/// Milliseconds of processor time that the whole process takes in a second while its runtime is idle, the
/// driver's threads among them.
pub fn idle_cpu_ms_per_s(global: &Global) -> Result<f64, Trouble> {
    let (runtime, mut ring) = started(global)?;
    keep_full(&mut ring, BUSY)?;
    ring.drain()?;
    if !runtime.wait_idle(LEAVE) {
        return Err(Trouble::Wrong(format!("a dispatch is still in flight {LEAVE:?} after the last slot")));
    }
    let (began, before) = (Instant::now(), process_time());
    std::thread::sleep(IDLE);
    let (time, after) = (began.elapsed(), process_time());
    Ok(after.saturating_sub(before).as_secs_f64() * 1e3 / time.as_secs_f64())
}

/// A runtime whose first slot has ended, so that its kernel is compiled and runs.
fn started(global: &Global) -> Result<(Runtime, Verified), Trouble> {
    let runtime =
        global.builder().level_slots([0, 0, LANES, 0, 0]).observables(observables(LANES)).build()?;
    let mut ring = Verified::new(&runtime, LANES)?;
    ring.push()?;
    ring.flush()?;
    ring.drain()?;
    Ok((runtime, ring))
}

/// Of all threads of this process, since it started.
fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
