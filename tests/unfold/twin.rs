//! What an UNFOLD does and counts, held against the twin: in both modes, with one worker and with several.

use std::sync::atomic::Ordering;

use ringfence::descriptor::{BatchDescriptor, BuiltinOpcode, EncodeSlot as _, UnfoldDescriptor};
use ringfence::protocol::opcode::*;
use ringfence::protocol::{
    CONTROL_MIN_WORDS, DONE_COUNT, FAULT_COUNT, METRICS_BASE, METRICS_WORDS, PRIORITY_FAIRNESS_BASE,
    SlotWords, TENANT_FAIRNESS_BASE,
};
use ringfence::runtime::{Outcome, Resource};
use ringfence::twin::Machine;

use crate::support::{MODES, PATIENCE, Random, assert_silent, builder};

const OBSERVABLES: u32 = 4096;
const FIRST: u32 = CONTROL_MIN_WORDS + 1;
const SOURCE_WORDS: u32 = 40_000;

/// Words as they come, good or bad.
fn raw(args: [u32; 12]) -> SlotWords {
    let mut words = [0; 16];
    words[..4].copy_from_slice(&[1, UNFOLD, 0, 2]);
    words[4..].copy_from_slice(&args);
    words
}

fn cases() -> Vec<(&'static str, SlotWords)> {
    let unfold = |d: UnfoldDescriptor| d.encode().expect("a slot");
    let adds = |count| UnfoldDescriptor::new(BuiltinOpcode::AtomicAdd, count).args([1, FIRST, 0, 0, 0]);
    let stores = |count| UnfoldDescriptor::new(BuiltinOpcode::StoreU32, count).args([7, FIRST, 0, 0, 0]);
    let copies = UnfoldDescriptor::new(BuiltinOpcode::CopyRange, 5);
    vec![
        ("nothing", unfold(adds(0))),
        ("one", unfold(adds(1))),
        ("as many as a turn", unfold(adds(16))),
        ("one more", unfold(adds(17))),
        ("more than the pool has", unfold(adds(1000))),
        ("arguments that grow", unfold(stores(300).steps([3, 1, 0, 0]))),
        ("from a number on", unfold(stores(20).first(50).steps([3, 1, 0, 0]))),
        (
            "arguments that wrap",
            unfold(stores(9).first(u32::MAX - 3).args([9, FIRST + 9, 0, 0, 0]).steps([u32::MAX, 1, 0, 0])),
        ),
        ("in two parts, and parts of these", unfold(adds(100).fan_out(2))),
        ("in as many parts as slots", unfold(adds(8).fan_out(8))),
        ("in 255 parts", unfold(adds(2000).fan_out(255))),
        ("parts that the last depth is too small for", unfold(stores(1000).fan_out(3).steps([1, 1, 0, 0]))),
        (
            "some of them faults",
            unfold(stores(40).args([1, CONTROL_MIN_WORDS + OBSERVABLES - 20, 0, 0, 0]).steps([0, 1, 0, 0])),
        ),
        (
            "faults in parts of parts",
            unfold(
                stores(64)
                    .fan_out(4)
                    .args([1, CONTROL_MIN_WORDS + OBSERVABLES - 20, 0, 0, 0])
                    .steps([0, 1, 0, 0]),
            ),
        ),
        (
            "opcodes that there are not",
            unfold(UnfoldDescriptor::new(ringfence::descriptor::SlotOpcode::Custom(77), 10)),
        ),
        ("shutdowns, which are the host's", unfold(UnfoldDescriptor::new(BuiltinOpcode::Shutdown, 3))),
        ("loads, which are the host's", unfold(UnfoldDescriptor::new(BuiltinOpcode::LoadMiss, 3))),
        (
            "fences by themselves",
            unfold(UnfoldDescriptor::new(BuiltinOpcode::BatchFence, 3).args([0, 5, 0, 0, 0])),
        ),
        ("packed slots", unfold(UnfoldDescriptor::new(BuiltinOpcode::PackedSlot, 3).args([1, 0, 0, 0, 0]))),
        ("unfolds of their own", raw([UNFOLD, 6, 0, ATOMIC_ADD, 5, 0, 1, FIRST + 3, 0, 0, 0, 0])),
        ("wide slots", unfold(copies.args([0, 0, 1, 0, 4096]).steps([0, 4096, 0, 4096]))),
        (
            "wide slots, some beyond the end",
            // One only: which fault of several comes first is for the workers to say.
            unfold(copies.args([0, 140_000, 1, 0, 4096]).steps([0, 4096, 0, 4096])),
        ),
        (
            "sums of wide slots",
            unfold(
                UnfoldDescriptor::new(BuiltinOpcode::SumWords, 40)
                    .args([0, 0, 4000, 0, 0])
                    .steps([0, 4000, 0, 0]),
            ),
        ),
        (
            "the deepest publish none",
            raw([UNFOLD, 16 | 2 << UNFOLD_FAN_SHIFT, 0, NOP, 1, 0, 0, 0, 0, 0, 0, 0]),
        ),
        ("too many", raw([ATOMIC_ADD, UNFOLD_MAX + 1, 0, 1, FIRST, 0, 0, 0, 0, 0, 0, 0])),
        ("a fan-out of one", raw([ATOMIC_ADD, 5 | 1 << UNFOLD_FAN_SHIFT, 0, 1, FIRST, 0, 0, 0, 0, 0, 0, 0])),
    ]
}

fn held(output: &Resource) -> Vec<u32> {
    output.words().expect("mapped").iter().map(|word| word.load(Ordering::Acquire)).collect()
}

fn outcome(ended: ringfence::twin::Outcome) -> Outcome {
    match ended {
        Ok(result) => Outcome::Done(result),
        Err(fault) => Outcome::Fault { code: fault.code.code(), detail: fault.detail },
    }
}

/// Words that count or are named by slots; those between are the rules' own.
fn compared(control: &[u32]) -> Vec<&[u32]> {
    let words = |first: u32, count: u32| &control[first as usize..(first + count) as usize];
    vec![
        words(DONE_COUNT, 1),
        words(FAULT_COUNT, 1),
        words(TENANT_FAIRNESS_BASE, 1),
        words(METRICS_BASE, METRICS_WORDS),
        words(PRIORITY_FAIRNESS_BASE, 5),
        &control[CONTROL_MIN_WORDS as usize..],
    ]
}

#[test]
fn slots_are_published_as_the_twin_says() {
    let source: Vec<u32> = (0..SOURCE_WORDS).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    for mode in MODES {
        for workers in [1, 3] {
            let runtime = builder(mode)
                .workers(workers)
                .observables(OBSERVABLES)
                .opcodes(&[UNFOLD, CRC32C, SUM_WORDS, COPY_RANGE])
                .child_slots(64)
                .build()
                .expect("a runtime");
            let table = runtime.table(&source).expect("a table");
            let output = runtime.output(SOURCE_WORDS).expect("an output");
            assert_eq!((table.handle(), output.handle()), (0, 1));
            let mut machine = Machine::new(OBSERVABLES, vec![source.clone()], 64)
                .expect("a machine")
                .with_outputs(&[SOURCE_WORDS]);
            for (name, words) in cases() {
                let fence = BatchDescriptor::new(Vec::new(), 0).encode().expect("a batch").fence;
                let mut counted = fence;
                counted[4] = 1;
                let expected = machine.run_batch(&[words], &counted).slots[0];
                machine.control_mut()[FIRST as usize - 1] = 0;
                let job = runtime.submit(&words).expect("published");
                let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
                assert_eq!(ended.outcome, outcome(expected), "{mode}, {workers} workers: {name}");
                // The machine has a fence for each; the runtime none.
                let control = runtime.control().expect("a readback");
                let mut twin = machine.control().to_vec();
                let fences =
                    twin[ringfence::protocol::EPOCH as usize] - control[ringfence::protocol::EPOCH as usize];
                twin[DONE_COUNT as usize] -= fences;
                twin[TENANT_FAIRNESS_BASE as usize] -= fences;
                twin[(METRICS_BASE + BATCH_FENCE) as usize] -= fences;
                twin[(PRIORITY_FAIRNESS_BASE + 2) as usize] -= fences;
                let mut control = control;
                control[FIRST as usize - 1] = 0;
                assert_eq!(compared(&control), compared(&twin), "{mode}, {workers} workers: {name}");
            }
            assert_eq!(held(&output), machine.outputs()[0], "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn random_unfolds_are_as_the_twin_says() {
    for mode in MODES {
        let runtime = builder(mode)
            .workers(2)
            .observables(OBSERVABLES)
            .opcodes(&[UNFOLD])
            .child_slots(32)
            .build()
            .expect("a runtime");
        let mut random = Random(0x0F01_DED5);
        let mut machine = Machine::new(OBSERVABLES, Vec::new(), 64).expect("a machine");
        for round in 0..12 {
            let mut slots = Vec::new();
            for _ in 0..1 + random.below(20) {
                let op = [NOP, ATOMIC_ADD, UNFOLD, LOAD_MISS, 99][random.below(5) as usize];
                let count = random.below(if op == UNFOLD { 8 } else { 200 });
                let fan = [0, 0, 2, 3, 7][random.below(5) as usize];
                let add = [random.below(5), FIRST + random.below(500), 0, 0, 0];
                let args = match op {
                    // Of adds that do not grow: to one word each.
                    UNFOLD => [ATOMIC_ADD, random.below(50), 0, 1, FIRST + random.below(500)],
                    _ => add,
                };
                let mut steps = [0; 4];
                if op == ATOMIC_ADD {
                    steps = [random.below(3), random.below(8), 0, 0];
                }
                let mut all = [0; 12];
                all[..3].copy_from_slice(&[op, count | fan << UNFOLD_FAN_SHIFT, random.below(10)]);
                all[3..8].copy_from_slice(&args);
                all[8..].copy_from_slice(&steps);
                slots.push(raw(all));
            }
            let fence = {
                let mut fence = BatchDescriptor::new(Vec::new(), round).encode().expect("a batch").fence;
                fence[4] = slots.len() as u32;
                fence
            };
            let expected = machine.run_batch(&slots, &fence);
            let mut ring = runtime.ring(slots.len()).expect("a ring");
            for (i, words) in slots.iter().enumerate() {
                ring.push(words, i as u64).expect("room");
            }
            ring.flush().expect("open");
            let mut ended = vec![None; slots.len()];
            while ring.in_flight() > 0 {
                let seen = ring.wait(PATIENCE, |i, end| assert!(ended[i as usize].replace(end).is_none()));
                assert!(seen.expect("well") > 0, "{mode}");
            }
            for (i, (ended, expected)) in ended.iter().zip(&expected.slots).enumerate() {
                assert_eq!(
                    ended.expect("ended"),
                    outcome(*expected),
                    "{mode}, round {round}: {i}: {:?}",
                    slots[i]
                );
            }
            let (control, twin) = (runtime.control().expect("a readback"), machine.control());
            let words = FIRST as usize..;
            assert_eq!(control[words.clone()], twin[words], "{mode}, round {round}");
            assert_eq!(
                control[DONE_COUNT as usize] + round + 1,
                twin[DONE_COUNT as usize],
                "{mode}, round {round}"
            );
            assert_eq!(control[FAULT_COUNT as usize], twin[FAULT_COUNT as usize], "{mode}, round {round}");
        }
    }
    assert_silent();
}
