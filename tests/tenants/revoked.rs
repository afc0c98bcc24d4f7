//! A tenant revoked at every state of a slot's life: each of its slots ends once, as UNAUTHORIZED or, if it was being
//! executed, as DONE, and what has ended stays as it is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ringfence::descriptor::{BatchDescriptor, SlotDescriptor};
use ringfence::protocol::abi::io::IO_SLOT_COUNT;
use ringfence::protocol::opcode::COPY_RANGE;
use ringfence::protocol::{PRIORITY_FAIRNESS_BASE, slot};
use ringfence::runtime::{Job, Mode, Outcome, Resource, Runtime, RuntimeBuilder, RuntimeError, Tenant};

use crate::ends::{all_is_well, at, count_of, end, until, until_shown, until_written};
use crate::holding::{BYTES, Hold, Loading};
use crate::model::{UNAUTHORIZED, bad_operand};
use crate::support::{MODES, assert_silent, builder};

const LEVELS: u32 = 5;
/// Words of the longest copy.
const LONG: u32 = 1 << 17;
/// How often a state is sought that one does not meet every time.
const ROUNDS: usize = 100;

fn several(mode: Mode) -> RuntimeBuilder {
    builder(mode)
        .tenants(3)
        .tenant_slots(256)
        .tenant_words(32)
        .level_slots([16, 16, 320, 16, 16])
        .opcodes(&[COPY_RANGE])
}

/// The tenant is gone, and the others know nothing of it.
fn others_go_on(runtime: &Runtime, revoked: &Tenant, what: &str) {
    let refused = revoked.submit(&SlotDescriptor::nop()).err().expect("revoked");
    assert!(refused.to_string().contains("revoked"), "{what}: {refused}");
    assert_eq!(end(&runtime.submit(&SlotDescriptor::nop()).expect("published")), Outcome::Done(0), "{what}");
    all_is_well(runtime, &[revoked], what);
}

#[test]
fn queued() {
    for mode in MODES {
        let runtime = several(mode).build().expect("a runtime");
        let tenant = runtime.tenant("t").window(8).open().expect("a tenant");
        let word = tenant.window().start + 1;
        tenant.pause();
        let add = SlotDescriptor::atomic_add(1, word);
        let jobs: Vec<Job> =
            (0..4 * LEVELS).map(|i| tenant.submit(&at(i % LEVELS, &add)).expect("published")).collect();
        let batch = tenant.submit_batch(&BatchDescriptor::new(vec![add; 10], 7)).expect("published");
        assert_eq!(count_of(&runtime, slot::PUBLISHED), jobs.len() + 11, "{mode}");
        tenant.revoke();
        let mut all = jobs.iter().chain(batch.jobs()).chain([batch.fence()]);
        assert!(all.all(|job| end(job) == UNAUTHORIZED), "{mode}");
        let control = runtime.control().expect("a readback");
        assert_eq!(control[word as usize - 1..][..2], [0, 0], "{mode}: nothing of it was executed");
        others_go_on(&runtime, &tenant, &format!("{mode}"));
    }
    assert_silent();
}

/// What a ring has pushed is on its way once it is flushed.
#[test]
fn pushed_and_not_flushed() {
    for mode in MODES {
        let runtime = several(mode).build().expect("a runtime");
        let tenant = runtime.tenant("t").window(8).open().expect("a tenant");
        let add = at(2, &SlotDescriptor::atomic_add(1, tenant.window().start));
        let mut ring = tenant.ring(16).expect("a ring");
        (0..8).for_each(|i| ring.push(&add, i).expect("room"));
        tenant.revoke();
        assert!(matches!(ring.push(&add, 8), Err(RuntimeError::Revoked)), "{mode}");
        ring.flush().expect("open");
        let mut ended = Vec::new();
        until("all end", || {
            ring.reap(|i, outcome| ended.push((i, outcome))).expect("well");
            ring.in_flight() == 0
        });
        ended.sort_unstable_by_key(|(i, _)| *i);
        assert_eq!(ended, (0..8).map(|i| (i, UNAUTHORIZED)).collect::<Vec<_>>(), "{mode}");
        drop(ring);
        others_go_on(&runtime, &tenant, &format!("{mode}"));
    }
    assert_silent();
}

#[test]
fn ended() {
    for mode in MODES {
        let runtime = several(mode).build().expect("a runtime");
        let tenant = runtime.tenant("t").window(8).open().expect("a tenant");
        let word = tenant.window().start;
        let cases = [
            (SlotDescriptor::atomic_add(1, word), Outcome::Done(0)),
            (SlotDescriptor::atomic_add(1, word), Outcome::Done(1)),
            (SlotDescriptor::store_u32(1, 0), bad_operand(1)),
        ];
        let jobs = cases.map(|(slot, outcome)| {
            let job = tenant.submit(&slot).expect("published");
            assert_eq!(end(&job), outcome, "{mode}");
            (job, outcome)
        });
        tenant.revoke();
        others_go_on(&runtime, &tenant, &format!("{mode}"));
        for (job, outcome) in jobs {
            assert_eq!(end(&job), outcome, "{mode}: and so it stays");
        }
        assert_eq!(runtime.control().expect("a readback")[word as usize], 2, "{mode}");
    }
    assert_silent();
}

/// A long copy, for one tenant after another.
struct Copying {
    runtime: Runtime,
    text: Resource,
    output: Resource,
}

impl Copying {
    fn new(mode: Mode) -> Self {
        let runtime = several(mode).workers(1).build().expect("a runtime");
        let text = runtime.table(&vec![1; LONG as usize]).expect("a table");
        let output = runtime.output(LONG).expect("an output");
        Self { runtime, text, output }
    }

    fn words(&self) -> &[AtomicU32] {
        self.output.words().expect("mapped")
    }

    fn tenant(&self) -> Tenant {
        let tenant = self.runtime.tenant("t").window(8).open().expect("a tenant");
        self.text.set_tenants(tenant.set());
        self.output.set_tenants(tenant.set());
        tenant
    }

    fn copy(&self, tenant: &Tenant) -> Job {
        let (from, to) = ((self.text.handle(), 0), (self.output.handle(), 0));
        tenant.submit(&SlotDescriptor::copy_range(from, to, 4 * LONG)).expect("published")
    }

    /// The copy, begun.
    fn begun(&self, tenant: &Tenant) -> Job {
        self.words().iter().for_each(|word| word.store(0, Ordering::Release));
        let job = self.copy(tenant);
        until_written(&self.words()[0]);
        job
    }

    /// How the copy ended, and that it wrote nothing afterwards.
    fn ended(&self, job: &Job, what: &str) -> Outcome {
        let outcome = end(job);
        let copied = || self.words().iter().filter(|word| word.load(Ordering::Acquire) != 0).count();
        let then = copied();
        match outcome {
            Outcome::Done(bytes) => assert_eq!((bytes, then), (u64::from(4 * LONG), LONG as usize), "{what}"),
            other => assert_eq!(other, UNAUTHORIZED, "{what}"),
        }
        end(&self.runtime.submit(&SlotDescriptor::nop()).expect("published"));
        assert_eq!(copied(), then, "{what}: it went on after its end");
        outcome
    }
}

#[test]
fn executed_as_a_wide_slot() {
    for mode in MODES {
        let copying = Copying::new(mode);
        for round in 0..10 {
            let what = format!("{mode}, round {round}");
            let tenant = copying.tenant();
            let copy = copying.begun(&tenant);
            let behind: Vec<Job> =
                (0..8).map(|_| tenant.submit(&SlotDescriptor::nop()).expect("published")).collect();
            tenant.revoke();
            copying.ended(&copy, &what);
            for job in behind {
                let outcome = end(&job);
                assert!([UNAUTHORIZED, Outcome::Done(0)].contains(&outcome), "{what}: {outcome:?}");
            }
            others_go_on(&copying.runtime, &tenant, &what);
        }
    }
    assert_silent();
}

/// Whoever takes a readback has the workers leave, and what they are at gives way.
#[test]
fn given_way() {
    for mode in MODES {
        let copying = Copying::new(mode);
        let mut gave_way = 0;
        for round in 0..ROUNDS {
            let what = format!("{mode}, round {round}");
            let tenant = copying.tenant();
            copying.words()[0].store(0, Ordering::Release);
            let copies = [(); 100].map(|()| copying.copy(&tenant));
            until_written(&copying.words()[0]);
            gave_way += count_of(&copying.runtime, slot::YIELD);
            tenant.revoke();
            for copy in &copies {
                let outcome = end(copy);
                let known = [UNAUTHORIZED, Outcome::Done(u64::from(4 * LONG))];
                assert!(known.contains(&outcome), "{what}: {outcome:?}");
            }
            others_go_on(&copying.runtime, &tenant, &what);
            if gave_way == 3 {
                break;
            }
        }
        assert!(gave_way > 0, "{mode}: none gave way");
    }
    assert_silent();
}

/// Beside one that has long work at the same level nobody gets credits anew.
#[test]
fn out_of_credits() {
    for mode in MODES {
        let copying = Copying::new(mode);
        let Copying { runtime, .. } = &copying;
        let other = copying.tenant();
        let last = &copying.words()[LONG as usize - 1];
        let mut seen = 0;
        for round in 0..ROUNDS {
            let what = format!("{mode}, round {round}");
            let poor = runtime.tenant("poor").window(8).credits(1).open().expect("a tenant");
            let word = poor.window().start;
            let add = SlotDescriptor::atomic_add(1, word);
            [&poor, &other].into_iter().for_each(Tenant::pause);
            let jobs: Vec<Job> = (0..20).map(|_| poor.submit(&add).expect("published")).collect();
            let copies = [(); 100].map(|()| copying.copy(&other));
            [&poor, &other].into_iter().for_each(Tenant::resume);
            // Each copy is a round in which the poor one had its turn.
            for _ in 0..4 {
                last.store(0, Ordering::Release);
                let ended = || other.stats().outstanding == 0;
                until("a copy ends", || last.load(Ordering::Acquire) != 0 || ended());
            }
            poor.pause();
            let put_back = count_of(runtime, slot::REQUEUE);
            poor.revoke();
            let outcomes: Vec<Outcome> = jobs.iter().map(end).collect();
            let done = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done(_))).count();
            let refused = outcomes.iter().filter(|outcome| **outcome == UNAUTHORIZED).count();
            assert_eq!(done + refused, jobs.len(), "{what}: {outcomes:?}");
            assert_eq!(runtime.control().expect("a readback")[word as usize] as usize, done, "{what}");
            assert!(copies.iter().all(|copy| matches!(end(copy), Outcome::Done(_))), "{what}");
            seen += usize::from(put_back == 1 && refused > 0);
            others_go_on(runtime, &poor, &what);
            if seen == 1 {
                break;
            }
        }
        assert!(seen > 0, "{mode}: none was put back for want of credits and then refused");
    }
    assert_silent();
}

/// The memory is its transfers' until they have ended, and so the slots end behind them.
#[test]
fn waiting_for_storage() {
    for mode in MODES {
        let loading = Loading::new::<0>(several(mode));
        let Loading { runtime, .. } = &loading;
        let hold = Hold::new(0);
        let tenant = runtime.tenant("t").open().expect("a tenant");
        let jobs: Vec<Job> = (0..8).map(|n| tenant.submit(&loading.load(n)).expect("published")).collect();
        until_shown(runtime, slot::WAIT_IO, jobs.len());
        tenant.revoke();
        for _ in 0..20 {
            end(&runtime.submit(&SlotDescriptor::nop()).expect("published"));
        }
        assert!(jobs.iter().all(|job| job.try_wait().is_none()), "{mode}: their reads have not ended");
        drop(hold);
        for job in &jobs {
            let outcome = end(job);
            assert!([UNAUTHORIZED, Outcome::Done(BYTES.into())].contains(&outcome), "{mode}: {outcome:?}");
        }
        others_go_on(runtime, &tenant, &format!("{mode}"));
    }
    assert_silent();
}

#[test]
fn waiting_for_room_among_requests() {
    for mode in MODES {
        let loading = Loading::new::<1>(several(mode));
        let Loading { runtime, .. } = &loading;
        let hold = Hold::new(1);
        let claims = || runtime.control().expect("a readback")[PRIORITY_FAIRNESS_BASE as usize + 2] as usize;
        // Whoever comes first has all the room.
        let load = |n| loading.load(n);
        let first: Vec<Job> =
            (0..IO_SLOT_COUNT).map(|n| runtime.submit(&load(n)).expect("published")).collect();
        until_shown(runtime, slot::WAIT_IO, first.len());
        let tenant = runtime.tenant("t").open().expect("a tenant");
        let jobs: Vec<Job> = (100..108).map(|n| tenant.submit(&load(n)).expect("published")).collect();
        until("all are claimed", || {
            std::thread::sleep(Duration::from_millis(1));
            claims() == first.len() + jobs.len()
        });
        assert_eq!(count_of(runtime, slot::WAIT_IO), first.len(), "{mode}: there was no room");
        tenant.revoke();
        for _ in 0..20 {
            end(&runtime.submit(&SlotDescriptor::nop()).expect("published"));
        }
        drop(hold);
        assert!(first.iter().all(|job| end(job) == Outcome::Done(BYTES.into())), "{mode}");
        assert!(jobs.iter().all(|job| end(job) == UNAUTHORIZED), "{mode}: they have not asked");
        others_go_on(runtime, &tenant, &format!("{mode}"));
    }
    assert_silent();
}
