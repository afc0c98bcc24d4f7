//! How a runtime ends: dropped while busy in every order, shut down by a slot, idle, and woken again.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringfence::descriptor::{BatchDescriptor, EncodeSlot, SlotDescriptor};
use ringfence::protocol::FaultCode;
use ringfence::runtime::{Completion, Job, Mode, Outcome, Runtime, RuntimeError, SubmitError};
use support::{MODES, PATIENCE, assert_silent, builder};

/// Far beyond the goal, which a benchmark measures: only a hang may fail here.
const STOP: Duration = Duration::from_secs(10);

fn add() -> SlotDescriptor {
    SlotDescriptor::atomic_add(1, 161)
}

fn shutdown() -> [u32; 16] {
    SlotDescriptor::shutdown().encode().expect("a slot")
}

fn done_or_cancelled(completion: Completion) -> bool {
    match completion.fault() {
        None => true,
        Some((code, _)) => {
            assert_eq!(code, FaultCode::Cancelled);
            false
        }
    }
}

/// Ends the runtime by dropping it, and says how long that took.
fn stop(runtime: Runtime, what: &str) {
    let mode = runtime.mode();
    let start = Instant::now();
    drop(runtime);
    eprintln!("stop {what} ({mode}): {:?}", start.elapsed());
    assert!(start.elapsed() < STOP);
}

fn all_end(jobs: &[Job]) {
    for job in jobs {
        let ended = job.wait_timeout(PATIENCE).expect("no failure").expect("ended by the drop");
        done_or_cancelled(ended);
    }
}

#[test]
fn dropped_while_busy_each_job_ends_done_or_cancelled() {
    for mode in MODES {
        for round in 0..20 {
            let runtime = builder(mode).slots(512).build().expect("a runtime");
            let jobs: Vec<Job> = (0..200).map(|_| runtime.submit(&add()).expect("taken")).collect();
            let batch = runtime.submit_batch(&BatchDescriptor::new(vec![add(); 100], 1)).expect("taken");
            let timeline = runtime.batch_timeline();
            if round % 2 == 0 {
                let other = runtime.clone();
                drop(other);
            }
            stop(runtime, "busy");
            all_end(&jobs);
            all_end(batch.jobs());
            let fence = batch.fence().wait().expect("no failure");
            done_or_cancelled(fence);
            assert!(
                timeline.wait(batch.value(), PATIENCE).expect("no loss"),
                "the value of a batch that ended"
            );
        }
    }
    assert_silent();
}

#[test]
fn jobs_dropped_first_end_unseen() {
    for mode in MODES {
        let runtime = builder(mode).slots(256).build().expect("a runtime");
        for _ in 0..1000 {
            runtime.submit(&add()).expect("taken").detach();
        }
        drop(runtime.submit_batch(&BatchDescriptor::new(vec![add(); 50], 1)).expect("taken"));
        let last = runtime.submit_batch(&BatchDescriptor::new(Vec::new(), 2)).expect("taken");
        assert!(runtime.batch_timeline().wait(last.value(), PATIENCE).expect("no loss"));
        let _ = last.wait_timeout(PATIENCE).expect("no failure").expect("ended");
        while runtime.stats().ended < runtime.stats().published {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(runtime.control().expect("a readback")[161], 1050, "{mode}");
        stop(runtime, "after its jobs");
    }
    assert_silent();
}

#[test]
fn a_ring_outlives_its_runtime() {
    for mode in MODES {
        let runtime = builder(mode).slots(256).build().expect("a runtime");
        let mut ring = runtime.ring(128).expect("a ring");
        let words = add().encode().expect("a slot");
        for i in 0..100 {
            ring.push(&words, i).expect("room");
            if i == 59 {
                ring.flush().expect("open");
            }
        }
        stop(runtime, "before its ring");
        assert!(matches!(ring.flush(), Err(RuntimeError::ShutDown)));
        let mut seen = vec![0; 100];
        while ring.in_flight() > 0 {
            ring.wait(PATIENCE, |i, outcome| {
                seen[i as usize] += 1;
                match outcome {
                    Outcome::Done(_) => assert!(i < 60),
                    other => assert_eq!(other, Outcome::CANCELLED),
                }
            })
            .expect("no failure");
        }
        assert_eq!(seen, vec![1; 100], "{mode}");
        assert!(ring.push(&words, 0).is_err() || ring.flush().is_err());
    }
    assert_silent();
}

#[test]
fn a_dropped_rings_slots_come_back_and_never_end_in_another_ring() {
    for mode in MODES {
        let runtime = builder(mode).level_slots([0, 0, 64, 0, 0]).build().expect("a runtime");
        let words = add().encode().expect("a slot");
        for round in 0..500u64 {
            let mut first = runtime.ring(24).expect("a ring");
            for _ in 0..24 {
                first.push(&words, u64::MAX).expect("room");
            }
            drop(first);
            let mut second = runtime.ring(24).expect("a ring");
            let mut pushed = 0;
            for i in 0..24 {
                // The first ring's slots may be all there is for a moment.
                pushed += u64::from(second.push(&words, round * 100 + i).is_ok());
            }
            second.flush().expect("open");
            let mut sum = 0;
            while second.in_flight() > 0 {
                second
                    .wait(PATIENCE, |data, outcome| {
                        assert_eq!(data / 100, round, "another ring's");
                        assert!(matches!(outcome, Outcome::Done(_)));
                        sum += 1;
                    })
                    .expect("no failure");
            }
            assert_eq!(sum, pushed);
        }
        let batch = BatchDescriptor::new(vec![add(); 63], 1);
        // Needs every slot of the slab: none was lost.
        let ended = runtime.submit_batch(&batch).expect("all slots came back").wait_timeout(PATIENCE);
        assert!(ended.expect("no failure").is_some(), "{mode}");
    }
    assert_silent();
}

#[test]
fn resources_go_before_and_after_the_runtime() {
    for mode in MODES {
        let runtime = builder(mode).build().expect("a runtime");
        let early = runtime.table(&[0; 512]).expect("a table");
        let late = runtime.output(64).expect("an output");
        let jobs: Vec<Job> = (0..100).map(|_| runtime.submit(&add()).expect("taken")).collect();
        drop(early);
        stop(runtime, "with a resource");
        all_end(&jobs);
        drop(late);
        drop(jobs);
    }
    assert_silent();
}

#[test]
fn handles_of_dropped_resources_come_back() {
    for mode in MODES {
        let runtime = builder(mode).build().expect("a runtime");
        let kept = runtime.table(&[1]).expect("a table");
        for _ in 0..5000 {
            drop(runtime.table(&[0; 4]).expect("a handle"));
        }
        drop(kept);
    }
    assert_silent();
}

#[test]
fn shutdown_drains_what_was_published_before() {
    for mode in MODES {
        for by_ring in [false, true] {
            let runtime = builder(mode).slots(512).build().expect("a runtime");
            let jobs: Vec<Job> = (0..300).map(|_| runtime.submit(&add()).expect("taken")).collect();
            if by_ring {
                let mut ring = runtime.ring(4).expect("a ring");
                ring.push(&shutdown(), 1).expect("room");
                let mut ended = 0;
                while ring.in_flight() > 0 {
                    ring.wait(PATIENCE, |_, outcome| ended += u32::from(outcome == Outcome::Done(0)))
                        .expect("no failure");
                }
                assert_eq!(ended, 1, "{mode}");
            } else {
                let end = runtime.submit(&shutdown()).expect("taken");
                let ended = end.wait_timeout(PATIENCE).expect("no failure").expect("drained");
                assert_eq!(ended.result(), Some(0), "{mode}");
            }
            for job in &jobs {
                assert!(done_or_cancelled(job.wait().expect("no failure")), "{mode}: all were before it");
            }
            let refused = runtime.submit(&add());
            assert!(matches!(refused, Err(SubmitError::Runtime(RuntimeError::ShutDown))), "{mode}");
            let refused = runtime.submit_batch(&BatchDescriptor::new(vec![add()], 1));
            assert!(matches!(refused, Err(SubmitError::Runtime(RuntimeError::ShutDown))), "{mode}");
            let control = runtime.control().expect("a readback");
            assert_eq!((control[0], control[161]), (1, 300), "{mode}");
            stop(runtime, "after shutdown");
        }
    }
    assert_silent();
}

#[test]
fn shutdown_among_other_submitters_strands_nobody() {
    for mode in MODES {
        let runtime = builder(mode).slots(256).build().expect("a runtime");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut done = 0;
                    loop {
                        match runtime.submit(&add()) {
                            Ok(job) => {
                                let ended = job.wait_timeout(PATIENCE).expect("no failure").expect("ends");
                                assert!(done_or_cancelled(ended));
                                done += 1;
                            }
                            Err(SubmitError::Runtime(RuntimeError::ShutDown)) => break,
                            Err(e) => panic!("{e}"),
                        }
                    }
                    done
                });
            }
            std::thread::sleep(Duration::from_millis(30));
            let mut ring = runtime.ring(4).expect("a ring");
            ring.push(&shutdown(), 1).expect("room");
            while ring.in_flight() > 0 {
                ring.wait(PATIENCE, |_, outcome| assert_eq!(outcome, Outcome::Done(0))).expect("no failure");
            }
        });
        assert_eq!(runtime.control().expect("a readback")[0], 1, "{mode}");
    }
    assert_silent();
}

/// Context switches, voluntary and not, of this process's threads of that name: an idle one makes none.
/// Threads that a driver starts from the launcher inherit its name.
#[cfg(target_os = "linux")]
fn switches_of(name: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/task").expect("procfs").flatten() {
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            let count = |l: &str| l.split_whitespace().last().and_then(|n| n.parse::<u64>().ok());
            let status = read("status");
            let sum = status.lines().filter(|l| l.contains("ctxt_switches")).filter_map(count).sum();
            found.push((entry.file_name().to_string_lossy().into_owned(), sum));
        }
    }
    found.sort();
    found
}

/// Runs alone in a process of its own: the other tests have launchers too.
#[test]
#[cfg(target_os = "linux")]
fn idle_costs_nothing() {
    const CHILD: &str = "RINGFENCE_IDLE_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let me = std::env::current_exe().expect("a test binary");
        let child = std::process::Command::new(me)
            .args(["--exact", "idle_costs_nothing", "--nocapture"])
            .env(CHILD, "1")
            .status()
            .expect("it starts");
        assert!(child.success());
        return;
    }
    for mode in MODES {
        let runtime = builder(mode).build().expect("a runtime");
        for round in 0..3u32 {
            let job = runtime.submit(&add()).expect("woken by a publication");
            let ended = job.wait_timeout(PATIENCE).expect("no failure").expect("in time");
            assert_eq!(ended.result(), Some(u64::from(round)));
            assert!(runtime.wait_idle(PATIENCE), "no dispatch stays in flight");
            std::thread::sleep(Duration::from_millis(20));
            let before = (switches_of("ringfence"), runtime.stats(), runtime.heartbeats());
            assert!(!before.0.is_empty(), "the launcher is there");
            std::thread::sleep(Duration::from_millis(300));
            let after = (switches_of("ringfence"), runtime.stats(), runtime.heartbeats());
            assert_eq!(before, after, "{mode}: nothing moves while idle");
            assert!(!runtime.is_busy());
        }
    }
    assert_silent();
}

#[test]
fn idle_time_is_not_held_against_the_kernel() {
    let patience = Duration::from_secs(4);
    std::thread::scope(|scope| {
        for mode in MODES {
            scope.spawn(move || {
                let runtime = builder(mode).patience(patience).build().expect("a runtime");
                let ends = |n: u64| {
                    let job = runtime.submit(&add()).expect("taken");
                    assert_eq!(job.wait().expect("no failure").result(), Some(n), "{mode}");
                };
                ends(0);
                std::thread::sleep(patience + Duration::from_millis(500));
                for n in 1..20 {
                    ends(n);
                }
            });
        }
    });
    assert_silent();
}

#[test]
fn a_time_out_without_end_is_no_overflow() {
    let runtime = builder(Mode::Live).build().expect("a runtime");
    let job = runtime.submit(&add()).expect("taken");
    assert!(job.wait_timeout(Duration::MAX).expect("no failure").is_some());
    let batch = runtime.submit_batch(&BatchDescriptor::new(vec![add()], 1)).expect("taken");
    assert!(batch.wait_timeout(Duration::MAX).expect("no failure").is_some());
    let mut ring = runtime.ring(1).expect("a ring");
    ring.push(&add().encode().expect("a slot"), 1).expect("room");
    ring.flush().expect("open");
    assert_eq!(ring.wait(Duration::MAX, |_, _| ()).expect("no failure"), 1);
    assert!(runtime.wait_idle(Duration::MAX));
}

/// The host tells the workers to leave at any moment, between the loads of two lanes too: what a subgroup
/// has claimed it serves.
#[test]
fn quiet_moments_among_much_work_lose_nothing() {
    for mode in MODES {
        let runtime = builder(mode).slots(1024).build().expect("a runtime");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let quiets = scope.spawn(|| {
                let mut quiets = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    runtime.control().expect("well");
                    quiets += 1;
                    std::thread::sleep(Duration::from_micros(quiets % 97));
                }
                quiets
            });
            let mut ring = runtime.ring(256).expect("a ring");
            let add = SlotDescriptor::atomic_add(1, 160).encode().expect("a slot");
            let begin = Instant::now();
            let mut ended = 0u32;
            while begin.elapsed() < Duration::from_secs(2) {
                while ring.room() > 0 {
                    ring.push(&add, 0).expect("room");
                }
                ring.flush().expect("open");
                let count = ring.wait(PATIENCE, |_, outcome| assert!(matches!(outcome, Outcome::Done(_))));
                let count = count.expect("well");
                assert!(count > 0, "{mode}: {} slots are lost", ring.in_flight());
                ended += count as u32;
            }
            while ring.in_flight() > 0 {
                let count = ring.wait(PATIENCE, |_, _| ()).expect("well");
                assert!(count > 0, "{mode}: {} slots are lost", ring.in_flight());
                ended += count as u32;
            }
            stop.store(true, Ordering::Relaxed);
            eprintln!("{mode}: {ended} slots, {} quiet moments", quiets.join().expect("well"));
            assert_eq!(runtime.control().expect("well")[160], ended, "{mode}");
        });
    }
    assert_silent();
}
