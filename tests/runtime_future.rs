//! Jobs as futures, with an executor of a few lines: any will do.

mod support;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use ringfence::descriptor::SlotDescriptor;
use ringfence::runtime::{Job, Runtime};
use support::{MODES, PATIENCE, assert_silent, builder};

fn add() -> SlotDescriptor {
    SlotDescriptor::atomic_add(1, 161)
}

/// Unparks the thread that polls.
struct Unpark(Thread);

impl Unpark {
    fn here() -> Arc<Self> {
        Arc::new(Self(std::thread::current()))
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls all jobs whenever one of them says so; returns their results. It sleeps until then, so that a
/// wake-up that does not come is a test that fails.
fn all_of(jobs: Vec<Job>) -> Vec<u64> {
    let unpark = Unpark::here();
    let waker: Waker = unpark.into();
    let mut results = vec![None; jobs.len()];
    let mut jobs: Vec<Option<Job>> = jobs.into_iter().map(Some).collect();
    loop {
        for (job, result) in jobs.iter_mut().zip(&mut results) {
            let Some(pending) = job else { continue };
            if let Poll::Ready(ended) = Pin::new(pending).poll(&mut Context::from_waker(&waker)) {
                *result = Some(ended.expect("well").result().expect("done"));
                *job = None;
            }
        }
        if jobs.iter().all(Option::is_none) {
            return results.into_iter().flatten().collect();
        }
        let since = Instant::now();
        std::thread::park_timeout(PATIENCE);
        assert!(since.elapsed() < PATIENCE, "nobody woke the executor");
    }
}

#[test]
fn one_future_after_the_other() {
    for mode in MODES {
        let runtime = builder(mode).build().expect("a runtime");
        for i in 0..200u64 {
            assert_eq!(all_of(vec![runtime.submit(&add()).expect("taken")]), [i], "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn many_futures_pending_at_once() {
    for mode in MODES {
        let runtime = builder(mode).slots(256).build().expect("a runtime");
        for round in 0..20u64 {
            let jobs = (0..200).map(|_| runtime.submit(&add()).expect("taken")).collect();
            let mut results = all_of(jobs);
            results.sort_unstable();
            assert_eq!(results, (round * 200..(round + 1) * 200).collect::<Vec<_>>(), "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn futures_in_many_threads_beside_blocking_waits() {
    for mode in MODES {
        let runtime = builder(mode).slots(256).build().expect("a runtime");
        std::thread::scope(|scope| {
            for t in 0..4 {
                let runtime = &runtime;
                scope.spawn(move || {
                    for _ in 0..50 {
                        let jobs: Vec<Job> =
                            (0..10).map(|_| runtime.submit(&add()).expect("taken")).collect();
                        if t % 2 == 0 {
                            assert_eq!(all_of(jobs).len(), 10);
                        } else {
                            for job in jobs {
                                assert!(job.wait_timeout(PATIENCE).expect("well").is_some());
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(runtime.control().expect("a readback")[161], 2000, "{mode}");
    }
    assert_silent();
}

#[test]
fn a_dropped_future_ends_unseen() {
    for mode in MODES {
        let runtime = builder(mode).level_slots([0, 0, 16, 0, 0]).build().expect("a runtime");
        let waker: Waker = Unpark::here().into();
        for _ in 0..200 {
            let mut job = runtime.submit(&add()).expect("taken");
            let _ = Pin::new(&mut job).poll(&mut Context::from_waker(&waker));
        }
        let last = all_of(vec![runtime.submit(&add()).expect("taken")]);
        assert_eq!(last.len(), 1);
        runtime.submit(&SlotDescriptor::shutdown()).expect("taken").wait().expect("drained");
        assert_eq!(runtime.control().expect("a readback")[161], 201, "{mode}");
    }
    assert_silent();
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker's own");
    }
}

#[test]
fn a_waker_that_panics_harms_nobody_else() {
    for mode in MODES {
        let runtime = builder(mode).build().expect("a runtime");
        let waker: Waker = Arc::new(Panics).into();
        for _ in 0..20 {
            let mut job = runtime.submit(&add()).expect("taken");
            let _ = Pin::new(&mut job).poll(&mut Context::from_waker(&waker));
            assert_eq!(all_of(vec![runtime.submit(&add()).expect("taken")]).len(), 1, "{mode}");
        }
    }
    assert_silent();
}

/// Holds the last handle of its runtime, and lets go of it on whatever thread wakes it.
struct Last(std::sync::Mutex<Option<Runtime>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().expect("whole").take());
    }
}

#[test]
fn the_last_handle_may_go_in_a_waker() {
    for mode in MODES {
        for _ in 0..10 {
            let runtime = builder(mode).build().expect("a runtime");
            let mut job = runtime.submit(&add()).expect("taken");
            let last = Arc::new(Last(Some(runtime).into()));
            let waker: Waker = last.clone().into();
            let pending = Pin::new(&mut job).poll(&mut Context::from_waker(&waker)).is_pending();
            if pending {
                assert!(job.wait_timeout(PATIENCE).expect("well").is_some(), "{mode}");
            }
        }
    }
    // Nobody joins a launcher whose runtime went in a waker, and nothing tells that it has ended. A process that ends
    // while one still has the driver may die there.
    std::thread::sleep(Duration::from_millis(200));
    assert_silent();
}
