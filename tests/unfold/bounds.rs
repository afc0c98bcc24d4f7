//! What bounds slots that publish slots, and that none waits for ever: few slots, deep nests, and all at once.

use std::time::{Duration, Instant};

use ringfence::descriptor::{
    BatchDescriptor, BuiltinOpcode, EncodeSlot as _, SlotDescriptor, UnfoldDescriptor,
};
use ringfence::protocol::opcode::*;
use ringfence::protocol::{DONE_COUNT, FAULT_COUNT, FaultCode, OBSERVABLE_BASE, SlotWords};
use ringfence::runtime::{Mode, Outcome, Runtime, RuntimeError, SubmitError};

use crate::support::{MODES, PATIENCE, assert_silent, builder};

/// Behind what fences write to.
const SUM: u32 = OBSERVABLE_BASE + 1;

fn runtime(mode: Mode, workers: u32, child_slots: u32) -> Runtime {
    let opcodes = [UNFOLD];
    builder(mode).workers(workers).opcodes(&opcodes).child_slots(child_slots).build().expect("a runtime")
}

fn adds(count: u32) -> UnfoldDescriptor {
    UnfoldDescriptor::new(BuiltinOpcode::AtomicAdd, count).args([1, SUM, 0, 0, 0])
}

fn sum(runtime: &Runtime) -> u32 {
    runtime.control().expect("a readback")[SUM as usize]
}

/// As many parents at once as there are slots, each with far more children than a pool has: whoever publishes must wait
/// for others to end, and all do.
#[test]
fn parents_that_wait_for_room_do_not_lock_each_other_up() {
    for mode in MODES {
        for workers in [1, 3] {
            let runtime = runtime(mode, workers, 32);
            let mut sum_before = 0;
            for fan_out in [0, 2, 16] {
                let mut ring = runtime.ring(192).expect("a ring");
                let words = adds(200).fan_out(fan_out).encode().expect("a slot");
                for i in 0..192 {
                    ring.push(&words, i).expect("room");
                }
                ring.flush().expect("open");
                let what = format!("{mode}, {workers} workers, fan-out {fan_out}");
                while ring.in_flight() > 0 {
                    let seen =
                        ring.wait(PATIENCE, |_, end| assert_eq!(end, Outcome::Done(200))).expect("well");
                    assert!(seen > 0, "{what}: {} left", ring.in_flight());
                }
                sum_before += 192 * 200;
                assert_eq!(sum(&runtime), sum_before, "{what}");
            }
        }
    }
    assert_silent();
}

/// At each level at once: children have their parent's.
#[test]
fn children_have_their_parents_level() {
    for mode in MODES {
        let runtime = runtime(mode, 2, 64);
        let jobs: Vec<_> = (0..5)
            .map(|level| runtime.submit(&adds(10 * (level + 1)).with_priority(level)).expect("published"))
            .collect();
        for (level, job) in (0..).zip(&jobs) {
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
            assert_eq!(ended.outcome, Outcome::Done(10 * (level + 1)), "{mode}");
        }
        let control = runtime.control().expect("a readback");
        let claims = &control[ringfence::protocol::PRIORITY_FAIRNESS_BASE as usize..][..5];
        assert_eq!(claims, [11, 21, 31, 41, 51], "{mode}");
    }
    assert_silent();
}

#[test]
fn a_fence_covers_what_its_batch_unfolds_into() {
    for mode in MODES {
        let runtime = runtime(mode, 2, 32);
        for round in 1..20 {
            let mut slots: Vec<SlotWords> = Vec::new();
            for i in 0..5 {
                slots.push(
                    ringfence::descriptor::EncodeSlot::encode(&adds(50).fan_out(i * 2)).expect("a slot"),
                );
            }
            let slots = slots
                .iter()
                .map(|words| SlotDescriptor::single(BuiltinOpcode::Unfold, &words[4..]).expect("a slot"));
            let batch = BatchDescriptor::new(slots.collect(), round);
            let batch = runtime.submit_batch(&batch).expect("published");
            let fence = batch.wait_timeout(PATIENCE).expect("well").expect("in time").fence;
            assert_eq!(fence.outcome, Outcome::Done(round.into()), "{mode}");
            assert_eq!(sum(&runtime), round * 250, "{mode}");
        }
    }
    assert_silent();
}

/// A cancelled parent takes its children with it, and all slots come back.
#[test]
fn a_cancelled_slot_takes_along_what_came_of_it() {
    for mode in MODES {
        let runtime = runtime(mode, 2, 32);
        let mut cancelled = 0;
        let mut before = 0;
        for round in 0..30_u64 {
            let job =
                runtime.submit(&adds(50_000).fan_out(if round % 2 == 0 { 0 } else { 8 })).expect("published");
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_micros(round * 40) {}
            job.cancel();
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
            let now = sum(&runtime);
            match ended.outcome {
                Outcome::Done(50_000) => assert_eq!(now - before, 50_000, "{mode}"),
                _ => {
                    assert_eq!(ended.fault(), Some((FaultCode::Cancelled, 0)), "{mode}");
                    assert!(now - before <= 50_000, "{mode}");
                    cancelled += 1;
                }
            }
            before = now;
        }
        assert!(cancelled > 0, "{mode}: none of 30 was cancelled");
        // Each slot of the pools can be had again.
        let job = runtime.submit(&adds(5000).fan_out(32)).expect("published");
        assert_eq!(job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome, Outcome::Done(5000));
        assert_eq!(sum(&runtime) - before, 5000, "{mode}");
    }
    assert_silent();
}

#[test]
fn shutdown_waits_for_what_slots_have_published() {
    for mode in MODES {
        let runtime = runtime(mode, 2, 32);
        let jobs: Vec<_> =
            (0..8).map(|_| runtime.submit(&adds(3000).fan_out(4)).expect("published")).collect();
        let last = runtime.submit(&SlotDescriptor::shutdown()).expect("published");
        assert_eq!(last.wait_timeout(PATIENCE).expect("well").expect("in time").outcome, Outcome::Done(0));
        for job in &jobs {
            assert_eq!(job.try_wait().expect("ended before").outcome, Outcome::Done(3000), "{mode}");
        }
        let control = runtime.control().expect("a readback");
        assert_eq!(control[SUM as usize], 24_000, "{mode}");
        assert_eq!(control[FAULT_COUNT as usize], 0, "{mode}");
        assert!(control[DONE_COUNT as usize] > 24_008, "{mode}");
    }
    assert_silent();
}

/// While others publish, take readbacks, change the mode, and a worker's budget is short.
#[test]
fn nothing_is_lost_under_load() {
    for mode in MODES {
        let opcodes = [UNFOLD];
        let runtime = builder(mode)
            .workers(2)
            .opcodes(&opcodes)
            .child_slots(96)
            .loop_budget(1)
            .build()
            .expect("a runtime");
        let published: u32 = std::thread::scope(|scope| {
            let publish = |seed: u32| {
                let runtime = runtime.clone();
                move || {
                    let mut sum = 0;
                    for i in 0..60 {
                        let count = (seed * 31 + i * 17) % 150;
                        let job = runtime
                            .submit(&adds(count).fan_out([0, 3, 5][(i % 3) as usize]))
                            .expect("published");
                        let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
                        assert_eq!(ended.outcome, Outcome::Done(count.into()), "{mode}");
                        sum += count;
                    }
                    sum
                }
            };
            let threads: Vec<_> = (0..3).map(|seed| scope.spawn(publish(seed))).collect();
            for _ in 0..20 {
                runtime.control().expect("a readback");
                std::thread::sleep(Duration::from_millis(2));
            }
            threads.into_iter().map(|thread| thread.join().expect("well")).sum()
        });
        assert_eq!(sum(&runtime), published, "{mode}");
        let readback = runtime.readback().expect("a readback");
        assert_eq!(readback.slot_count(), Ok(256), "{mode}: the host's");
    }
    assert_silent();
}

#[test]
fn what_cannot_be_is_refused() {
    let most = UnfoldDescriptor::new(BuiltinOpcode::Nop, UNFOLD_MAX + 1);
    let one = UnfoldDescriptor::new(BuiltinOpcode::Nop, 5).fan_out(1);
    let level = UnfoldDescriptor::new(BuiltinOpcode::Nop, 5).with_priority(5);
    let runtime = runtime(Mode::Epoch, 1, 32);
    for (unfold, says) in [
        (most, "1048577 slots are more than one UNFOLD publishes, 1048576; submit several"),
        (one, "a fan-out of 1 is none; use 0, or 2 and more"),
        (level, "priority 5 does not exist; the levels are 0 (CRITICAL) to 4 (IDLE)"),
    ] {
        let refused = runtime.submit(&unfold).err().expect("refused");
        assert!(matches!(refused, SubmitError::Descriptor(_)), "{refused:?}");
        assert_eq!(refused.to_string(), says);
    }
    for (slots, children) in [(256, 31), (256, 65_537), (1_048_500, 32)] {
        let refused = builder(Mode::Epoch).opcodes(&[UNFOLD]).slots(slots).child_slots(children).build();
        assert!(matches!(refused.err(), Some(RuntimeError::BadOption { .. })), "{slots} and {children}");
    }
    // A runtime that was not built for it has no such opcode.
    let without = builder(Mode::Epoch).opcodes(&[SCAN, CRC32C]).build().expect("a runtime");
    let ended = without.submit(&adds(3)).expect("published").wait().expect("well");
    assert_eq!(ended.fault(), Some((FaultCode::UnknownOpcode, 0)));
    // And where the kernel has storage's opcodes beside those asked for, nobody answers them.
    let all = builder(Mode::Epoch).opcodes(&[SCAN, UNFOLD]).build().expect("a runtime");
    let ended = all.submit(&SlotDescriptor::io_fence()).expect("published").wait().expect("well");
    assert_eq!(ended.fault(), Some((FaultCode::UnknownOpcode, 0)));
    assert_silent();
}
