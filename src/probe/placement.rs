//! Where data is read best that storage brought: where it arrived, or near the device, copied there by the
//! kernel first (`glsl/probe/placement.comp`).
//!
//! A copy reads as much across the bus as a slot that works in place, so it should pay only for data that is
//! read more than once.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::bench::Bench;
use super::lanes::mapped;
use crate::io::arena::Arena;
use crate::protocol::abi::range::{RANGE_MAX_BYTES, RANGE_TURN_BYTES};
use crate::vulkan::{BarrierKind, Buffer, Commands, Gpu, Result, Role};

/// Bytes of each pass. Chunks of storage that were just copied are in a device's cache too.
const BYTES: u32 = 16 << 20;
/// What one slot of a range opcode takes, and here one workgroup at a time.
const STRIPE: u32 = RANGE_MAX_BYTES;
const STRIPES: u32 = BYTES / STRIPE;
/// Workgroups at a time, as a runtime has on a device of its own.
const MOST_WORKERS: u32 = 8;
/// Passes of each kind, of which the fastest counts, unless the time is over.
const ROUNDS: u32 = 4;
const LIMIT: Duration = Duration::from_millis(250);

/// Where slots read data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// Where storage has put it.
    InPlace,
    /// In memory near the device, to which the kernel copies it first.
    Copied,
}

/// What reading costs in either place, in bytes per second, the submission included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementReport {
    /// Bytes of each pass.
    pub bytes: u64,
    /// Summed where storage has put them.
    pub in_place: u64,
    /// Copied near the device, and summed there once.
    pub copied: u64,
    /// Summed there once more.
    pub again: u64,
    /// From how many passes on a copy pays; None if it never does.
    pub pays_from: Option<u64>,
    /// What is faster for one pass.
    pub choice: Placement,
}

/// Nanoseconds of one pass.
#[derive(Clone, Copy)]
struct Times {
    in_place: u64,
    copy: u64,
    again: u64,
}

impl PlacementReport {
    fn new(times: Times) -> Self {
        let Times { in_place, copy, again } = times;
        let rate = |ns: u64| u64::from(BYTES) * 1_000_000_000 / ns.max(1);
        // The least n for which copy + n * again < n * in_place.
        let pays_from = in_place.checked_sub(again).filter(|gain| *gain > 0).map(|gain| copy / gain + 1);
        Self {
            bytes: BYTES.into(),
            in_place: rate(in_place),
            copied: rate(copy + again),
            again: rate(again),
            pays_from,
            choice: if pays_from == Some(1) { Placement::Copied } else { Placement::InPlace },
        }
    }
}

/// Memory as storage has it: imported, or host-visible where the device cannot.
fn source(gpu: &Arc<Gpu>) -> Result<Buffer> {
    let copied = || Buffer::new(gpu, Role::DeviceToHost, BYTES.into(), "probe: storage");
    let Ok(arena) = Arena::new(BYTES as usize) else { return copied() };
    let start = NonNull::new(arena.as_ptr()).unwrap_or(NonNull::dangling());
    // SAFETY: one mapping that lives as long as its last Arc, of which the buffer keeps one. Its bytes are
    // reached through the buffer's atomics alone.
    match unsafe { Buffer::import_host(gpu, start, arena.len(), arena.clone()) } {
        Ok(buffer) => Ok(buffer),
        Err(_) => copied(),
    }
}

/// None where storage's memory is near the device anyway, unless `always`.
pub(super) fn measure(bench: &mut Bench, workers: u32, always: bool) -> Result<Option<PlacementReport>> {
    if !always && bench.gpu.info().import_device_local == Some(true) {
        return Ok(None);
    }
    let from = source(&bench.gpu)?;
    if !always && from.is_device_local() {
        return Ok(None);
    }
    let begin = Instant::now();
    mapped(&from)?.iter().zip(1u32..).for_each(|(word, i)| word.store(i, Relaxed));
    let to = Buffer::new(&bench.gpu, Role::DeviceLocal, BYTES.into(), "probe: local")?;
    let sums = bench.shared(STRIPES.into(), "probe: sums")?;
    let kernel = bench.kernel("probe_placement", &[&sums])?;
    let workers = workers.clamp(1, MOST_WORKERS);
    let pass = |from: &Buffer, to: &Buffer, copies: bool| {
        Commands::record(&bench.gpu, |rec| {
            rec.keep(from);
            rec.keep(to);
            rec.bind(&kernel.pipeline, &kernel.set);
            for stripe in (0..STRIPES).step_by(workers as usize) {
                let (from, to) = (from.address(), to.address());
                let push = [
                    from as u32,
                    (from >> 32) as u32,
                    to as u32,
                    (to >> 32) as u32,
                    stripe,
                    STRIPE / RANGE_TURN_BYTES,
                    u32::from(copies),
                ];
                rec.push(bytemuck::cast_slice(&push));
                rec.dispatch(workers.min(STRIPES - stripe));
                rec.barrier(BarrierKind::ComputeToCompute);
            }
            rec.barrier(BarrierKind::ComputeToHost);
        })
    };
    let in_place = pass(&from, &to, false)?;
    let copy = pass(&from, &to, true)?;
    let again = pass(&to, &from, false)?;
    let mut best = Times { in_place: u64::MAX, copy: u64::MAX, again: u64::MAX };
    let mut right = true;
    for round in 0..=ROUNDS {
        let mut time = |commands: &Commands, best: &mut u64| -> Result<()> {
            let begin = Instant::now();
            bench.submit(commands)?;
            // The first compiles the kernel, and touches the memory.
            if round > 0 {
                *best = (*best).min(begin.elapsed().as_nanos() as u64);
            }
            Ok(())
        };
        time(&in_place, &mut best.in_place)?;
        right &= is_right(&sums)?;
        time(&copy, &mut best.copy)?;
        time(&again, &mut best.again)?;
        right &= is_right(&sums)?;
        if round > 0 && begin.elapsed() > LIMIT {
            break;
        }
    }
    if !right {
        tracing::error!("sums of memory in place, or of its copy, are wrong on {}", bench.gpu.info());
        return Ok(None);
    }
    Ok(Some(PlacementReport::new(best)))
}

/// Whether the sums are those of the words 1, 2, 3, ..., modulo 2^32; they are then set to 0.
fn is_right(sums: &Buffer) -> Result<bool> {
    let total = mapped(sums)?.iter().fold(0u32, |total, sum| total.wrapping_add(sum.swap(0, Relaxed)));
    let words = u64::from(BYTES / 4);
    Ok(total == (words * (words + 1) / 2) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_pays_once_it_has_saved_what_it_cost() {
        use Placement::{Copied, InPlace};
        // Nanoseconds in place, of the copy, and of another pass; from how many passes a copy pays.
        let cases = [
            (100, 100, 10, Some(2), InPlace),
            (100, 90, 10, Some(2), InPlace),
            (100, 89, 10, Some(1), Copied),
            (100, 0, 99, Some(1), Copied),
            (100, 1000, 99, Some(1001), InPlace),
            (100, 100, 100, None, InPlace),
            (100, 1, 101, None, InPlace),
        ];
        for (in_place, copy, again, pays_from, choice) in cases {
            let report = PlacementReport::new(Times { in_place, copy, again });
            assert_eq!((report.pays_from, report.choice), (pays_from, choice), "{in_place} {copy} {again}");
            if let Some(n) = pays_from {
                assert!(copy + n * again < n * in_place && copy + (n - 1) * again >= (n - 1) * in_place);
            }
        }
    }
}
