//! Many threads at once, full slabs, and readbacks and changes of mode in the middle of it.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ringfence::descriptor::{BatchDescriptor, EncodeSlot, SlotDescriptor};
use ringfence::runtime::{Mode, Outcome, Runtime, RuntimeError, SubmitError};
use support::{MODES, PATIENCE, assert_silent, builder};

const SUM: u32 = 161;

fn add(n: u32) -> SlotDescriptor {
    SlotDescriptor::atomic_add(n, SUM)
}

/// Three kinds of submitters with two threads each; each returns what it added.
fn submitters(runtime: &Runtime, rounds: u32) -> u32 {
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for t in 0..2u32 {
            threads.push(scope.spawn(move || {
                for _ in 0..rounds * 10 {
                    let jobs: Vec<_> = (0..4).map(|i| runtime.submit(&add(i + t)).expect("taken")).collect();
                    for job in jobs {
                        let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
                        assert!(ended.result().is_some());
                    }
                }
                rounds * 10 * (6 + 4 * t)
            }));
            threads.push(scope.spawn(move || {
                let slots =
                    || (0..20).map(|i| SlotDescriptor::store_u32(i, 170 + t)).chain([add(3)]).collect();
                for _ in 0..rounds {
                    let batch = runtime.submit_batch(&BatchDescriptor::new(slots(), 9)).expect("taken");
                    let ended = batch.wait_timeout(PATIENCE).expect("well").expect("in time");
                    assert!(ended.fence.result().is_some() && ended.slots.len() == 21);
                    assert!(ended.slots.iter().all(|s| s.result().is_some()));
                }
                rounds * 3
            }));
            threads.push(scope.spawn(move || {
                let mut ring = runtime.ring(24).expect("a ring");
                let words = add(1).encode().expect("a slot");
                let (mut pushed, mut seen, mut tickets) = (0, 0, 0);
                let count = rounds * 40;
                while seen < count {
                    while pushed < count {
                        match ring.push(&words, pushed.into()) {
                            Ok(()) => pushed += 1,
                            Err(RuntimeError::Full { .. } | RuntimeError::RingFull { .. }) => break,
                            Err(e) => panic!("{e}"),
                        }
                    }
                    ring.flush().expect("open");
                    ring.wait(Duration::from_millis(10), |ticket, outcome| {
                        assert!(matches!(outcome, Outcome::Done(_)));
                        tickets += ticket;
                        seen += 1;
                    })
                    .expect("well");
                }
                assert_eq!(tickets, u64::from(count) * u64::from(count - 1) / 2);
                count
            }));
        }
        threads.into_iter().map(|t| t.join().expect("no panic")).sum()
    })
}

#[test]
fn jobs_batches_and_rings_from_many_threads() {
    for mode in MODES {
        let runtime = builder(mode).slots(128).build().expect("a runtime");
        let sum = submitters(&runtime, 100);
        let control = runtime.control().expect("a readback");
        assert_eq!(control[SUM as usize], sum, "{mode}");
        assert_eq!(control[128], 200, "{mode}: epochs");
        let stats = runtime.stats();
        assert_eq!((stats.published, stats.ended), (stats.ended, u64::from(control[1])), "{mode}");
    }
    assert_silent();
}

#[test]
fn readbacks_and_changes_of_mode_lose_nothing() {
    for mode in MODES {
        let runtime = builder(mode).slots(128).build().expect("a runtime");
        let done = AtomicBool::new(false);
        let readbacks = AtomicU32::new(0);
        let sum = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::Relaxed) {
                    let control = runtime.control().expect("a readback");
                    assert!(control[1] >= last, "the count of ended slots never falls");
                    last = control[1];
                    readbacks.fetch_add(1, Ordering::Relaxed);
                }
            });
            scope.spawn(|| {
                for to in [Mode::Epoch, Mode::Live].iter().cycle() {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    runtime.switch_mode(*to).expect("well");
                    std::thread::sleep(Duration::from_millis(2));
                }
            });
            let sum = submitters(&runtime, 30);
            done.store(true, Ordering::Relaxed);
            sum
        });
        eprintln!("{mode}: {readbacks:?} readbacks, {:?}", runtime.stats());
        assert_eq!(runtime.control().expect("a readback")[SUM as usize], sum, "{mode}");
    }
    assert_silent();
}

/// No time between one readback and the next: the kernel gets its turns all the same.
#[test]
fn readbacks_without_a_pause_starve_nobody() {
    for mode in MODES {
        let runtime = builder(mode).slots(128).build().expect("a runtime");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    runtime.control().expect("a readback");
                }
            });
            for i in 0..100u64 {
                let job = runtime.submit(&add(1)).expect("taken");
                let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
                assert_eq!(ended.result(), Some(i), "{mode}");
            }
            done.store(true, Ordering::Relaxed);
        });
    }
    assert_silent();
}

#[test]
fn a_full_slab_pushes_back_and_loses_nothing() {
    for mode in MODES {
        let runtime = builder(mode).level_slots([0, 0, 16, 0, 0]).build().expect("a runtime");
        let mut jobs = Vec::new();
        let mut full = 0;
        for _ in 0..2000 {
            match runtime.try_submit(&add(1)) {
                Ok(job) => jobs.push(job),
                Err(SubmitError::Runtime(RuntimeError::Full { level: 2, slots: 16 })) => {
                    full += 1;
                    jobs.push(runtime.submit(&add(1)).expect("waits for space"));
                }
                Err(e) => panic!("{e}"),
            }
        }
        for job in &jobs {
            assert!(job.wait_timeout(PATIENCE).expect("well").expect("in time").result().is_some());
        }
        eprintln!("{mode}: {full} of 2000 met a full slab");
        assert_eq!(runtime.control().expect("a readback")[SUM as usize], 2000, "{mode}");

        let fits = BatchDescriptor::new(vec![add(1); 15], 1);
        for _ in 0..50 {
            // Detached: the next waits for the room of the one before.
            drop(runtime.submit_batch(&fits).expect("waits for space"));
        }
        let last = runtime.submit_batch(&fits).expect("waits for space");
        assert!(last.wait_timeout(PATIENCE).expect("well").is_some());
        assert_eq!(runtime.control().expect("a readback")[SUM as usize], 2000 + 51 * 15, "{mode}");

        let too_large = runtime.submit_batch(&BatchDescriptor::new(vec![add(1); 16], 1));
        let refused = too_large.err().expect("refused");
        assert!(
            matches!(
                refused,
                SubmitError::Runtime(RuntimeError::BatchTooLarge { level: 2, count: 17, slots: 16 })
            ),
            "{refused}"
        );
    }
    assert_silent();
}

#[test]
fn slots_that_a_ring_keeps_are_no_wait_without_end() {
    for mode in MODES {
        let runtime = builder(mode).level_slots([0, 0, 16, 0, 0]).build().expect("a runtime");
        let mut ring = runtime.ring(16).expect("a ring");
        ring.push(&add(1).encode().expect("a slot"), 0).expect("room");
        let refused = runtime.try_submit(&add(1)).err().expect("all slots are the ring's");
        assert!(
            matches!(refused, SubmitError::Runtime(RuntimeError::Full { level: 2, slots: 16 })),
            "{refused}"
        );
        let refused = runtime.submit(&add(1)).err().expect("and nothing is on its way");
        assert!(
            matches!(refused, SubmitError::Runtime(RuntimeError::Full { level: 2, slots: 16 })),
            "{refused}"
        );
        drop(ring);
        let job = runtime.submit(&add(1)).expect("they came back");
        assert!(job.wait_timeout(PATIENCE).expect("well").is_some());
    }
    assert_silent();
}

/// A closure that panics takes its own thread down, not the runtime.
#[test]
fn a_panic_in_a_rings_closure_harms_nobody_else() {
    for mode in MODES {
        let runtime = builder(mode).level_slots([0, 0, 64, 0, 0]).build().expect("a runtime");
        let inner = runtime.clone();
        let panicked = std::thread::spawn(move || {
            let mut ring = inner.ring(8).expect("a ring");
            let words = add(1).encode().expect("a slot");
            (0..8).for_each(|i| ring.push(&words, i).expect("room"));
            ring.flush().expect("open");
            ring.wait(PATIENCE, |_, _| panic!("the caller's own")).expect("well");
        });
        assert!(panicked.join().is_err());
        // All 64 slots: the panicked thread's came back.
        let batch = runtime.submit_batch(&BatchDescriptor::new(vec![add(1); 63], 1)).expect("all are back");
        assert!(batch.wait_timeout(PATIENCE).expect("well").is_some());
        assert_eq!(runtime.stats().ended, runtime.stats().published, "{mode}");
        assert_eq!(runtime.control().expect("a readback")[SUM as usize], 71, "{mode}");
    }
    assert_silent();
}
