//! How slots end, and what must be so once all have.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ringfence::descriptor::{EncodeSlot as _, SlotDescriptor};
use ringfence::protocol::{DONE_COUNT, FAULT_COUNT, PRIORITY_WORD, STATUS_WORD};
use ringfence::runtime::{Job, Outcome, Runtime, SlotWords, Tenant};

use crate::support::PATIENCE;

/// How a slot ends, which it must.
#[track_caller]
pub fn end(job: &Job) -> Outcome {
    job.wait_timeout(PATIENCE).expect("well").expect("it ends").outcome
}

/// A slot at a level.
pub fn at(level: u32, slot: &SlotDescriptor) -> SlotWords {
    let mut words = slot.encode().expect("a slot");
    words[PRIORITY_WORD as usize] = level;
    words
}

/// How many slots of a readback have a status.
pub fn count_of(runtime: &Runtime, status: u32) -> usize {
    let readback = runtime.readback().expect("a readback");
    let statuses = readback.ring().chunks_exact(64).map(|slot| slot[4 * STATUS_WORD as usize]);
    statuses.filter(|word| u32::from(*word) == status).count()
}

/// Waits until `is` says so, which costs the kernel nothing. With a driver's cache empty, two tests that compile the
/// largest module at once take more than a minute before their first slot.
#[track_caller]
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < 4 * PATIENCE, "never: {what}");
        std::thread::yield_now();
    }
}

/// Waits until a readback shows so many slots of a status.
#[track_caller]
pub fn until_shown(runtime: &Runtime, status: u32, count: usize) {
    until(&format!("{count} slots of status {status}"), || {
        // Between two looks the kernel is to get somewhere.
        std::thread::sleep(Duration::from_millis(1));
        count_of(runtime, status) == count
    });
}

/// Waits until the device has written a word.
#[track_caller]
pub fn until_written(word: &AtomicU32) {
    until("a slot writes", || word.load(Ordering::Acquire) != 0);
}

/// Whoever published slots, each has ended once: nothing is on its way, by the counters of the host and those of the
/// device, and all slots of the slab are free.
#[track_caller]
pub fn all_is_well(runtime: &Runtime, tenants: &[&Tenant], what: &str) {
    until(what, || {
        let stats = runtime.stats();
        stats.ended >= stats.published
    });
    let control = runtime.control().expect("a readback");
    let stats = runtime.stats();
    assert_eq!(stats.ended, stats.published, "{what}: {stats:?}");
    let ended = u64::from(control[DONE_COUNT as usize]) + u64::from(control[FAULT_COUNT as usize]);
    assert_eq!(ended, stats.published, "{what}: the device's own count");
    for tenant in tenants {
        let stats = tenant.stats();
        assert_eq!(stats.published, stats.done + stats.faults, "{what}: {}", tenant.name());
        assert_eq!(stats.outstanding, 0, "{what}: {}", tenant.name());
    }
    every_slot_is_free(runtime, what);
}

fn every_slot_is_free(runtime: &Runtime, what: &str) {
    let sizes = runtime.snapshot().levels.map(|level| level.slots);
    let mut ring = runtime.ring(sizes.iter().sum::<u32>() as usize).expect("a ring of the whole slab");
    for (level, size) in (0..).zip(sizes) {
        for slot in 0..size {
            let pushed = ring.push(&at(level, &SlotDescriptor::nop()), 0);
            pushed.unwrap_or_else(|e| panic!("{what}: {slot} of level {level}: {e}"));
        }
    }
    ring.flush().expect("open");
    while ring.in_flight() > 0 {
        let ended = ring.wait(PATIENCE, |_, end| assert_eq!(end, Outcome::Done(0), "{what}"));
        assert!(ended.expect("well") > 0, "{what}: {} NOPs left", ring.in_flight());
    }
}
