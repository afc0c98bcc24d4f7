//! Snapshots of a runtime: counters that are exact, of one moment, and add up.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use ringfence::descriptor::{BatchDescriptor, SlotDescriptor};
use ringfence::observe::{Snapshot, VERSION};
use support::{MODES, builder};

/// The totals, and the claims at all levels.
fn totals(snapshot: &Snapshot) -> [u64; 6] {
    let claims = snapshot.levels.iter().map(|level| level.claims).sum();
    [snapshot.published, snapshot.ended, snapshot.done, snapshot.faults, snapshot.outstanding, claims]
}

fn check(snapshot: &Snapshot) {
    assert_eq!(snapshot.clone().with_totals(), *snapshot, "the totals are the sums over the tenants");
    assert_eq!(snapshot.published, snapshot.ended + snapshot.outstanding);
    assert_eq!(snapshot.levels.iter().map(|level| level.slots).sum::<u32>(), snapshot.slots);
    assert_eq!((snapshot.version, snapshot.pid), (VERSION, std::process::id()));
}

#[test]
fn counters_are_those_of_what_was_done() {
    for mode in MODES {
        let runtime = builder(mode).slots(64).observables(32).build().unwrap();
        let fresh = runtime.snapshot();
        check(&fresh);
        assert_eq!(totals(&fresh), [0; 6]);
        assert_eq!((fresh.mode.clone(), fresh.slots), (mode.to_string(), 64));
        assert_eq!((fresh.workers, fresh.tenants.len()), (runtime.workers(), 1));

        let job = runtime.submit(&SlotDescriptor::store_u32(7, 161)).unwrap();
        assert!(job.wait().unwrap().result().is_some());
        assert_eq!(totals(&runtime.snapshot()), [1, 1, 1, 0, 0, 1]);
        // Its index lies behind the control buffer.
        let job = runtime.submit(&SlotDescriptor::store_u32(7, 1 << 30)).unwrap();
        assert!(job.wait().unwrap().fault().is_some());
        assert_eq!(totals(&runtime.snapshot()), [2, 2, 1, 1, 0, 2]);
        // A batch counts its fence.
        let batch = BatchDescriptor::new((0..9).map(|n| SlotDescriptor::store_u32(n, 162 + n)).collect(), 0);
        runtime.submit_batch(&batch).unwrap().wait().unwrap();
        let last = runtime.snapshot();
        check(&last);
        assert_eq!(totals(&last), [12, 12, 11, 1, 0, 12]);
        assert!(last.dispatches > 0 && last.uptime_ns > fresh.uptime_ns);
        assert_eq!(last.levels.clone().map(|level| level.in_use), [0; 5]);
        // Nothing was published since.
        runtime.set_level_slots([4, 8, 48, 4, 0]).unwrap();
        let again = runtime.snapshot();
        assert_eq!(again.levels.clone().map(|level| level.slots), [4, 8, 48, 4, 0]);
        assert_eq!(totals(&again), totals(&last));
        assert!(again.uptime_ns > last.uptime_ns);
    }
}

#[test]
fn counters_add_up_while_others_publish() {
    for mode in MODES {
        let runtime = builder(mode).slots(64).observables(32).build().unwrap();
        let stop = AtomicBool::new(false);
        let published: u64 = std::thread::scope(|scope| {
            let submit = || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..8 {
                        drop(runtime.submit(&SlotDescriptor::atomic_add(1, 161)).unwrap());
                    }
                    count += 8;
                }
                count
            };
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(submit)).collect();
            let mut before = Snapshot::default();
            for _ in 0..20 {
                let now = runtime.snapshot();
                check(&now);
                let back = totals(&now).iter().zip(totals(&before)).position(|(now, then)| *now < then);
                assert!(matches!(back, None | Some(4)), "a counter went back: {before:?} {now:?}");
                before = now;
            }
            stop.store(true, Ordering::Relaxed);
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        while runtime.stats().ended < published {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(totals(&runtime.snapshot()), [published, published, published, 0, 0, published]);
    }
}

#[test]
fn a_lost_device_leaves_the_last_counters_and_the_reason() {
    for mode in MODES {
        let gpu = support::own_gpu();
        let runtime = builder(mode).gpu(gpu.clone()).build().unwrap();
        runtime.submit(&SlotDescriptor::store_u32(7, 161)).unwrap().wait().unwrap();
        let before = runtime.snapshot();
        gpu.inject_loss();
        while runtime.submit(&SlotDescriptor::store_u32(7, 161)).is_ok() {}
        let after = runtime.snapshot();
        check(&after);
        assert_eq!(totals(&after), totals(&before));
        assert!(after.error.is_some_and(|error| error.contains("lost")), "{mode}");
        assert_eq!(after.uptime_ns, before.uptime_ns, "of an earlier moment");
    }
}
