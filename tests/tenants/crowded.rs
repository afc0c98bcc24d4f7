//! Tenants that take all they can get: every slot of a level, more slots than they collect, more than their credits,
//! and windows larger than there are words.

use ringfence::descriptor::{BatchDescriptor, SlotDescriptor};
use ringfence::protocol::PRIORITY_LEVELS;
use ringfence::protocol::opcode::{COPY_RANGE, SUM_WORDS};
use ringfence::runtime::{Job, Outcome, Runtime, RuntimeError, SubmitError, Tenant};

use crate::ends::{all_is_well, at, end};
use crate::model::{OUT_OF_CREDITS, UNAUTHORIZED, bad_operand};
use crate::support::{MODES, PATIENCE, assert_silent, builder};

/// A way for a tenant's paused slots to end, and how they do.
type Way = (&'static str, fn(Tenant) -> Option<Tenant>, Outcome);

const WAYS: [Way; 3] = [
    ("resumed", |tenant| (tenant.resume(), Some(tenant)).1, Outcome::Done(0)),
    ("revoked", |tenant| (tenant.revoke(), Some(tenant)).1, UNAUTHORIZED),
    ("dropped", |_| None, UNAUTHORIZED),
];

#[test]
fn a_level_that_one_tenant_fills_is_the_others_again_once_its_slots_end() {
    const SLOTS: u32 = 16;
    for mode in MODES {
        let runtime = builder(mode).tenants(3).level_slots([SLOTS; 5]).build().expect("a runtime");
        let other = runtime.tenant("other").open().expect("a tenant");
        for level in 0..PRIORITY_LEVELS {
            for (way, ends, outcome) in WAYS {
                let what = format!("{mode}, level {level}, {way}");
                let nop = at(level, &SlotDescriptor::nop());
                let hog = runtime.tenant("hog").slots(SLOTS).open().expect("a tenant");
                hog.pause();
                let held: Vec<Job> = (0..SLOTS).map(|_| hog.submit(&nop).expect("published")).collect();
                let refused = |refused: Result<Job, SubmitError>| {
                    let refused = refused.err().expect("nothing is free");
                    assert!(
                        matches!(refused, SubmitError::Runtime(RuntimeError::Full { level: l, slots: SLOTS }) if l == level),
                        "{what}: {refused}"
                    );
                };
                refused(other.try_submit(&nop));
                refused(runtime.try_submit(&nop));
                let mut ring = other.ring(4).expect("a ring");
                assert!(matches!(ring.push(&nop, 0), Err(RuntimeError::Full { .. })), "{what}");
                for open in (0..PRIORITY_LEVELS).filter(|open| *open != level) {
                    let nop = at(open, &SlotDescriptor::nop());
                    assert_eq!(end(&other.try_submit(&nop).expect("room")), Outcome::Done(0), "{what}");
                    assert_eq!(end(&runtime.try_submit(&nop).expect("room")), Outcome::Done(0), "{what}");
                }
                assert!(held.iter().all(|job| job.try_wait().is_none()), "{what}");
                let hog = ends(hog);
                // This one waits until some have ended.
                assert_eq!(end(&other.submit(&nop).expect("room")), Outcome::Done(0), "{what}");
                assert!(held.iter().all(|job| end(job) == outcome), "{what}");
                ring.push(&nop, 0).expect("room");
                ring.flush().expect("open");
                assert_eq!(ring.wait(PATIENCE, |_, _| ()).expect("well"), 1, "{what}");
                drop((ring, hog));
                all_is_well(&runtime, &[&other], &what);
            }
        }
    }
    assert_silent();
}

/// A tenant's slots that have ended and that it has not looked at keep nobody else's place.
#[test]
fn a_tenant_that_publishes_faster_than_it_collects_holds_up_itself_alone() {
    const CAP: u32 = 16;
    for mode in MODES {
        let runtime = builder(mode).tenants(3).slots(64).tenant_words(16).build().expect("a runtime");
        let other = runtime.tenant("other").window(4).open().expect("a tenant");
        let hasty = runtime.tenant("hasty").window(4).slots(CAP).open().expect("a tenant");
        let add = at(2, &SlotDescriptor::atomic_add(1, hasty.window().start));
        let others = || {
            for _ in 0..2 * CAP {
                assert_eq!(
                    end(&other.submit(&SlotDescriptor::nop()).expect("room")),
                    Outcome::Done(0),
                    "{mode}"
                );
            }
        };
        // Jobs that nobody looks at.
        let mut jobs = Vec::new();
        let mut full = 0;
        for _ in 0..20 * CAP {
            match hasty.try_submit(&add) {
                Ok(job) => jobs.push(job),
                Err(SubmitError::Runtime(RuntimeError::TenantFull { slots: CAP })) => full += 1,
                Err(e) => panic!("{mode}: {e}"),
            }
        }
        others();
        assert!(jobs.len() >= CAP as usize, "{mode}: {} and {full} refused", jobs.len());
        let mut published = jobs.len() as u32;
        jobs.iter().for_each(|job| assert!(matches!(end(job), Outcome::Done(_)), "{mode}"));
        drop(jobs);
        // A ring that nobody reaps is full at its depth, and then goes with all that it has.
        for depth in [1, 8, CAP as usize] {
            let mut ring = hasty.ring(depth).expect("a ring");
            (0..depth).for_each(|i| ring.push(&add, i as u64).expect("room"));
            ring.flush().expect("open");
            others();
            let refused = ring.push(&add, 0).expect_err("it is full, whatever has ended");
            let known = matches!(refused, RuntimeError::RingFull { .. } | RuntimeError::TenantFull { .. });
            assert!(known, "{mode}: {refused}");
            published += depth as u32;
        }
        let last = hasty.submit(&add).expect("room");
        assert_eq!(end(&last), Outcome::Done(published.into()), "{mode}: behind them all");
        all_is_well(&runtime, &[&hasty, &other], &format!("{mode}"));
    }
    assert_silent();
}

/// Of `tenant`, in the snapshot.
fn throttled(runtime: &Runtime, tenant: &Tenant) -> u64 {
    let snapshot = runtime.snapshot();
    snapshot.tenants.iter().find(|of| of.id == tenant.id()).expect("it is there").throttled
}

#[test]
fn batches_larger_than_their_tenants_credits_end_and_count_how_often_they_were_put_back() {
    for mode in MODES {
        for (credits, slots) in [(1, 40), (3, 40), (7, 50), (39, 39), (1000, 40), (0, 40)] {
            let what = format!("{mode}: {slots} slots for {credits} credits");
            let runtime = builder(mode).tenants(2).tenant_words(8).build().expect("a runtime");
            let tenant = runtime.tenant("t").window(8).credits(credits).open().expect("a tenant");
            let word = tenant.window().start + 1;
            let batch = BatchDescriptor::new(vec![SlotDescriptor::atomic_add(1, word); slots], 7);
            let ended = tenant.submit_batch(&batch).expect("published");
            let ended = ended.wait_timeout(PATIENCE).expect("well").expect("it ends");
            let count = ended.slots.iter().filter(|slot| slot.result().is_some()).count();
            let throttled = throttled(&runtime, &tenant);
            let control = runtime.control().expect("a readback");
            assert_eq!(control[word as usize] as usize, count, "{what}");
            // With the fence one more.
            let dispatches = runtime.stats().dispatches;
            if credits == 0 {
                assert!(
                    ended.slots.iter().chain([&ended.fence]).all(|slot| slot.outcome == OUT_OF_CREDITS),
                    "{what}"
                );
                assert_eq!((count, throttled), (0, 0), "{what}: a fault, and no waiting");
            } else {
                assert_eq!((count, control[word as usize - 1]), (slots, 7), "{what}");
                let refills = (slots as u64 + 1).div_ceil(credits.into()) - 1;
                assert!(
                    throttled + dispatches >= refills,
                    "{what}: {throttled} times in {dispatches} dispatches"
                );
                assert!(throttled == 0 || refills > 0, "{what}: {throttled} times");
            }
            all_is_well(&runtime, &[&tenant], &what);
        }
    }
    assert_silent();
}

#[test]
fn windows_larger_than_there_are_words_are_refused_and_take_nothing() {
    const WORDS: u32 = 64;
    let runtime = builder(MODES[1]).tenants(3).tenant_words(WORDS).build().expect("a runtime");
    let beside = runtime.tenant("beside").window(16).open().expect("a tenant");
    for words in [WORDS - 15, WORDS, WORDS + 1, 1 << 20, 1 << 31, u32::MAX - 160, u32::MAX - 1, u32::MAX] {
        let refused = runtime.tenant("t").window(words).open().err().expect("no such window");
        assert!(matches!(refused, RuntimeError::NoWindow { words: w } if w == words), "{refused}");
    }
    let rest = runtime.tenant("rest").window(WORDS - 16).open().expect("what is left, and a place");
    assert!(rest.window().start >= beside.window().end || rest.window().end <= beside.window().start);
    for (option, builder) in [
        ("tenants", builder(MODES[1]).tenants(u32::MAX)),
        ("tenants", builder(MODES[1]).tenants(1025).tenant_slots(u32::MAX)),
        ("tenant_slots", builder(MODES[1]).tenants(2).tenant_slots(u32::MAX)),
        ("tenant_words", builder(MODES[1]).tenants(2).tenant_words(u32::MAX)),
        (
            "observables and tenants' words",
            builder(MODES[1]).tenants(2).observables(1 << 20).tenant_words(1 << 20),
        ),
        ("slots of all tenants", builder(MODES[1]).tenants(1024).tenant_slots(65_536)),
    ] {
        match builder.build().err().expect("out of range") {
            RuntimeError::BadOption { option: refused, .. } => assert_eq!(refused, option),
            other => panic!("{option}: {other}"),
        }
    }
    assert_silent();
}

/// Ranges whose ends lie behind the last word that there can be.
#[test]
fn operands_that_overflow_are_refused_and_change_nothing() {
    const TABLE: u32 = 1024;
    for mode in MODES {
        let builder = builder(mode).opcodes(&[COPY_RANGE, SUM_WORDS]);
        let runtime = builder.tenants(2).tenant_words(16).build().expect("a runtime");
        let tenant = runtime.tenant("t").window(16).open().expect("a tenant");
        let text = runtime.table(&[5; TABLE as usize]).expect("a table");
        let output = runtime.output(TABLE).expect("an output");
        text.set_tenants(tenant.set());
        output.set_tenants(tenant.set());
        let before = runtime.control().expect("a readback");
        let w = tenant.window();
        let (from, to) = (text.handle(), output.handle());
        let copy = |from_at, to_at, bytes| SlotDescriptor::copy_range((from, from_at), (to, to_at), bytes);
        let memcpy = SlotDescriptor::memcpy;
        let cases = [
            (memcpy(w.start, u32::MAX, 2), 1),
            (memcpy(u32::MAX, w.start, 2), 0),
            (memcpy(u32::MAX - 3, w.start, 4096), 0),
            (memcpy(w.start, w.start, u32::MAX), 0),
            (memcpy(w.start + 1, w.start, u32::MAX - w.start), 0),
            (SlotDescriptor::sum_words(from, u32::MAX - 3, 8), 1),
            (SlotDescriptor::sum_words(from, 4, u32::MAX - 3), 2),
            (SlotDescriptor::sum_words(from, 4 * TABLE - 4, 8), 2),
            (copy(u32::MAX - 3, 0, 8), 1),
            (copy(0, u32::MAX - 3, 8), 3),
            (copy(4, 0, u32::MAX - 3), 4),
            (copy(0, 4 * TABLE - 4, 8), 4),
        ];
        for (slot, argument) in cases {
            let job = tenant.submit(&slot).expect("published");
            let outcome = end(&job);
            assert_eq!(outcome, bad_operand(argument), "{mode}: {slot:?}");
        }
        let after = runtime.control().expect("a readback");
        let words = ringfence::protocol::OBSERVABLE_BASE as usize..w.end as usize;
        assert_eq!(after[words.clone()], before[words], "{mode}");
        let written = output.words().expect("mapped").iter();
        assert!(
            written.map(|word| word.load(std::sync::atomic::Ordering::Acquire)).all(|word| word == 0),
            "{mode}"
        );
        all_is_well(&runtime, &[&tenant], &format!("{mode}"));
    }
    assert_silent();
}
