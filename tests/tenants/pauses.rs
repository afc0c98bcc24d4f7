//! Pauses: nothing of a paused tenant begins, and what is claimed ends; by many threads at once, under load, nothing
//! is lost.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use ringfence::descriptor::SlotDescriptor;
use ringfence::protocol::opcode::COPY_RANGE;
use ringfence::protocol::slot;
use ringfence::runtime::{Job, Mode, Outcome, Runtime, RuntimeError, SubmitError, Tenant};

use crate::ends::{all_is_well, count_of, end, until, until_shown, until_written};
use crate::holding::{BYTES, Hold, Loading};
use crate::support::{MODES, PATIENCE, Random, assert_silent, builder};

const TENANTS: u32 = 6;
const CAP: u32 = 32;

fn runtime(mode: Mode) -> Runtime {
    builder(mode)
        .workers(2)
        .tenants(TENANTS)
        .tenant_slots(CAP)
        .tenant_words(64)
        .level_slots([16, 16, 512, 16, 16])
        .build()
        .expect("a runtime")
}

/// Publishes additions to the first word of its window until `over`, resumed or not, and never waits for long.
/// Returns what has not ended, and how many were published.
fn publish(tenant: &Tenant, over: &AtomicBool) -> (Vec<Job>, u32) {
    let add = SlotDescriptor::atomic_add(1, tenant.window().start);
    let mut jobs = Vec::new();
    let mut published = 0;
    while !over.load(Ordering::Acquire) {
        match tenant.try_submit(&add) {
            Ok(job) => {
                published += 1;
                jobs.push(job);
            }
            Err(SubmitError::Runtime(RuntimeError::TenantFull { .. })) => {
                let _ = jobs[0].wait_timeout(Duration::from_micros(300)).expect("well");
                jobs.retain(|job: &Job| match job.try_wait() {
                    Some(ended) => {
                        assert!(ended.result().is_some(), "{ended:?}");
                        false
                    }
                    None => true,
                });
            }
            Err(e) => panic!("{e}"),
        }
    }
    (jobs, published)
}

/// Pauses a tenant of its own, and holds that what it has written stays until it resumes it. `beat` is what others
/// have done meanwhile.
fn hold(runtime: &Runtime, tenant: &Tenant, beat: &AtomicU32, rounds: u32) {
    let word = tenant.window().start as usize;
    let written = || runtime.control().expect("a readback")[word];
    for round in 0..rounds {
        tenant.pause();
        // What was claimed has ended by then.
        let then = written();
        let before = beat.load(Ordering::Acquire);
        until("others go on", || beat.load(Ordering::Acquire) > before + 20);
        assert_eq!(written(), then, "round {round}: a slot of a paused tenant was executed");
        tenant.resume();
        until("it goes on", || tenant.stats().outstanding < CAP || written() > then);
    }
}

#[test]
fn by_many_threads_at_once_nothing_is_lost() {
    for mode in MODES {
        let runtime = runtime(mode);
        let tenants: Vec<Tenant> =
            (1..TENANTS).map(|_| runtime.tenant("t").window(4).open().expect("a tenant")).collect();
        let (held, shared) = tenants.split_at(2);
        let over = AtomicBool::new(false);
        let beat = AtomicU32::new(0);
        let published: Vec<u32> = std::thread::scope(|scope| {
            let publishers: Vec<_> =
                tenants.iter().map(|tenant| scope.spawn(|| publish(tenant, &over))).collect();
            // The system's own, whom nobody pauses, and whoever waits for no kernel to run.
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    assert_eq!(
                        end(&runtime.submit(&SlotDescriptor::nop()).expect("published")),
                        Outcome::Done(0)
                    );
                    beat.fetch_add(1, Ordering::AcqRel);
                }
            });
            scope.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    runtime.wait_idle(Duration::from_millis(1));
                    runtime.readback().expect("a readback").counters().expect("whole buffers");
                }
            });
            // Two that pause and resume the same tenants.
            for seed in [5, 6] {
                let over = &over;
                scope.spawn(move || {
                    let mut random = Random(seed);
                    while !over.load(Ordering::Acquire) {
                        let tenant = &shared[random.below(shared.len() as u32) as usize];
                        if random.below(2) == 0 {
                            tenant.pause()
                        } else {
                            tenant.resume()
                        }
                        std::thread::sleep(Duration::from_micros(u64::from(random.below(300))));
                    }
                });
            }
            let holders: Vec<_> =
                held.iter().map(|tenant| scope.spawn(|| hold(&runtime, tenant, &beat, 15))).collect();
            let failed = holders.into_iter().filter_map(|holder| holder.join().err()).next();
            over.store(true, Ordering::Release);
            tenants.iter().for_each(Tenant::resume);
            let left: Vec<_> =
                publishers.into_iter().map(|publisher| publisher.join().expect("well")).collect();
            if let Some(failed) = failed {
                std::panic::resume_unwind(failed);
            }
            left.into_iter()
                .map(|(jobs, published)| {
                    // Whoever paused it last may have done so after the resuming above.
                    tenants.iter().for_each(Tenant::resume);
                    jobs.iter().for_each(|job| assert!(matches!(end(job), Outcome::Done(_)), "{mode}"));
                    published
                })
                .collect()
        });
        let control = runtime.control().expect("a readback");
        for (tenant, published) in tenants.iter().zip(published) {
            assert_eq!(control[tenant.window().start as usize], published, "{mode}: each was executed once");
            assert!(published > CAP, "{mode}: {published}");
        }
        let refs: Vec<&Tenant> = tenants.iter().collect();
        all_is_well(&runtime, &refs, &format!("{mode}"));
    }
    assert_silent();
}

#[test]
fn paused_tenants_keep_no_kernel_running() {
    for mode in MODES {
        let runtime = runtime(mode);
        let tenants: Vec<Tenant> =
            (1..TENANTS).map(|_| runtime.tenant("t").window(4).open().expect("a tenant")).collect();
        for round in 0..20 {
            let jobs: Vec<Job> = std::thread::scope(|scope| {
                let publishers: Vec<_> = tenants
                    .iter()
                    .map(|tenant| {
                        scope.spawn(|| {
                            let add = SlotDescriptor::atomic_add(1, tenant.window().start);
                            let some = |n| (0..n).map(|_| tenant.submit(&add).expect("published"));
                            let before: Vec<Job> = some(8).collect();
                            tenant.pause();
                            before.into_iter().chain(some(8)).collect::<Vec<_>>()
                        })
                    })
                    .collect();
                publishers.into_iter().flat_map(|publisher| publisher.join().expect("well")).collect()
            });
            assert!(runtime.wait_idle(PATIENCE), "{mode}, round {round}");
            let then = runtime.control().expect("a readback");
            assert!(runtime.wait_idle(PATIENCE), "{mode}, round {round}");
            assert!(!runtime.is_busy(), "{mode}, round {round}: with nothing to do for anybody");
            let now = runtime.control().expect("a readback");
            for tenant in &tenants {
                let word = tenant.window().start as usize;
                assert_eq!(then[word], now[word], "{mode}, round {round}");
                tenant.resume();
            }
            assert!(jobs.iter().all(|job| matches!(end(job), Outcome::Done(_))), "{mode}, round {round}");
        }
        let refs: Vec<&Tenant> = tenants.iter().collect();
        all_is_well(&runtime, &refs, &format!("{mode}"));
    }
    assert_silent();
}

/// A long slot ends, or gives way when the kernel goes to sleep and goes on when it runs again.
#[test]
fn what_is_executed_ends_or_gives_way() {
    const WORDS: u32 = 1 << 17;
    for mode in MODES {
        let runtime = builder(mode).workers(1).tenants(2).opcodes(&[COPY_RANGE]).build().expect("a runtime");
        let tenant = runtime.tenant("t").open().expect("a tenant");
        let text = runtime.table(&vec![1; WORDS as usize]).expect("a table");
        let output = runtime.output(WORDS).expect("an output");
        text.set_tenants(tenant.set());
        output.set_tenants(tenant.set());
        let words = output.words().expect("mapped");
        let copied = || words.iter().filter(|word| word.load(Ordering::Acquire) != 0).count();
        let mut gave_way = 0;
        for round in 0..20 {
            let what = format!("{mode}, round {round}");
            words.iter().for_each(|word| word.store(0, Ordering::Release));
            let copy = SlotDescriptor::copy_range((text.handle(), 0), (output.handle(), 0), 4 * WORDS);
            let job = tenant.submit(&copy).expect("published");
            until_written(&words[0]);
            tenant.pause();
            assert!(runtime.wait_idle(PATIENCE), "{what}");
            // Nobody has work that the kernel would run for.
            if job.try_wait().is_none() {
                let then = copied();
                assert_eq!(count_of(&runtime, slot::YIELD), 1, "{what}");
                assert_eq!(copied(), then, "{what}");
                gave_way += 1;
                if round % 2 == 0 {
                    let job = runtime.submit(&SlotDescriptor::nop()).expect("published");
                    assert_eq!(end(&job), Outcome::Done(0), "{what}");
                }
            }
            tenant.resume();
            assert_eq!(end(&job), Outcome::Done(u64::from(4 * WORDS)), "{what}");
            assert_eq!(copied(), WORDS as usize, "{what}");
        }
        eprintln!("{mode}: {gave_way} gave way");
        all_is_well(&runtime, &[&tenant], &format!("{mode}"));
    }
    assert_silent();
}

/// What waits for storage is claimed anew, and so not before its tenant is resumed.
#[test]
fn what_waits_for_storage_ends_when_its_tenant_is_resumed() {
    for mode in MODES {
        let loading = Loading::new::<2>(builder(mode).tenants(3));
        let Loading { runtime, .. } = &loading;
        let hold = Hold::new(2);
        let [paused, other] = ["paused", "other"].map(|name| runtime.tenant(name).open().expect("a tenant"));
        let load = |tenant: &Tenant, n| tenant.submit(&loading.load(n)).expect("published");
        let jobs: Vec<Job> = (0..8).map(|n| load(&paused, n)).collect();
        let others: Vec<Job> = (8..16).map(|n| load(&other, n)).collect();
        until_shown(runtime, slot::WAIT_IO, 16);
        paused.pause();
        drop(hold);
        assert!(others.iter().all(|job| end(job) == Outcome::Done(BYTES.into())), "{mode}");
        assert!(runtime.wait_idle(PATIENCE), "{mode}");
        assert!(jobs.iter().all(|job| job.try_wait().is_none()), "{mode}");
        paused.resume();
        assert!(jobs.iter().all(|job| end(job) == Outcome::Done(BYTES.into())), "{mode}");
        all_is_well(runtime, &[&paused, &other], &format!("{mode}"));
    }
    assert_silent();
}
