//! The twins against the tables of cases: outcomes, counters, and every word that is left behind.

mod cases;

use cases::{Batch, Case, tag};
use ringfence::protocol::{
    DONE_COUNT, DebugLog, EPOCH, FAULT_COUNT, METRICS_BASE, METRICS_WORDS, OBSERVABLE_BASE, OPCODE_WORD,
    PRIORITY_FAIRNESS_BASE, PRIORITY_LEVELS, SHUTDOWN, SlotWords, TENANT_FAIRNESS_BASE, opcode,
    try_read_debug_log,
};
use ringfence::twin::Machine;
use std::collections::BTreeMap;

fn machine(case: &Case) -> Machine {
    Machine::new(case.observables, case.tables.clone(), case.log_capacity)
        .expect("a case has valid sizes")
        .with_outputs(&case.output_sizes())
}

fn run(machine: &mut Machine, batch: &Batch) -> ringfence::twin::BatchOutcome {
    let slots: Vec<SlotWords> = batch.slots.iter().map(|(words, _)| *words).collect();
    machine.run_batch(&slots, &batch.fence)
}

fn debug_log(machine: &Machine) -> DebugLog {
    let bytes: Vec<u8> = machine.debug_log().iter().flat_map(|word| word.to_le_bytes()).collect();
    try_read_debug_log(&bytes).expect("the machine keeps a log")
}

fn sum(machine: &Machine, base: u32, words: u32) -> u32 {
    machine.control()[base as usize..(base + words) as usize].iter().sum()
}

#[test]
fn every_case_ends_as_its_table_says() {
    for case in cases::all() {
        let name = &case.name;
        let mut machine = machine(&case);
        let mut epoch = 0u64;
        for (index, batch) in case.batches.iter().enumerate() {
            let outcome = run(&mut machine, batch);
            let expected: Vec<_> = batch.slots.iter().map(|(_, outcome)| *outcome).collect();
            assert_eq!(outcome.slots, expected, "{name}, batch {index}");
            epoch += u64::from(batch.fence_fault.is_none());
            assert_eq!(outcome.fence, batch.fence_fault.map_or(Ok(epoch), Err), "{name}, fence {index}");
        }

        let mut after: BTreeMap<u32, u32> =
            case.after.iter().copied().filter(|(_, value)| *value != 0).collect();
        let tagged = case.batches.iter().rposition(|batch| batch.fence_fault.is_none());
        if let Some(index) = tagged.filter(|_| case.observables > 0) {
            after.insert(OBSERVABLE_BASE, tag(index));
        }
        let left: BTreeMap<u32, u32> =
            (0..).zip(machine.control().iter().copied()).skip(146).filter(|(_, value)| *value != 0).collect();
        assert_eq!(left, after, "{name}: words left behind");
        assert_eq!(machine.outputs(), case.outputs, "{name}: outputs");

        let log = debug_log(&machine);
        let records: Vec<_> = log
            .records
            .iter()
            .map(|record| [record.fmt_id, record.args[0], record.args[1], record.args[2]])
            .collect();
        assert_eq!((records, log.lost), (case.log.clone(), case.lost), "{name}: debug log");
    }
}

#[test]
fn the_counters_follow_from_the_outcomes() {
    for case in cases::all() {
        let name = &case.name;
        let mut machine = machine(&case);
        let mut metrics = vec![0; METRICS_WORDS as usize];
        let (mut done, mut faults, mut epoch, mut stop) = (0, 0, 0, 0);
        let mut claims = vec![0; PRIORITY_LEVELS as usize];
        for batch in &case.batches {
            run(&mut machine, batch);
            let fence_outcome = batch.fence_fault.map_or(Ok(0), Err);
            epoch += u32::from(fence_outcome.is_ok());
            for (words, outcome) in batch.slots.iter().chain([&(batch.fence, fence_outcome)]) {
                let op = words[OPCODE_WORD as usize];
                done += u32::from(outcome.is_ok());
                faults += u32::from(outcome.is_err());
                stop |= u32::from(op == opcode::SHUTDOWN && outcome.is_ok());
                if let Some(claims) = claims.get_mut(words[3] as usize) {
                    *claims += 1;
                }
                if outcome.is_ok() && op != opcode::PACKED_SLOT {
                    metrics[op.min(METRICS_WORDS - 1) as usize] += 1;
                }
            }
        }
        for &(index, count) in &case.inner_metrics {
            metrics[index as usize] += count;
        }
        let control = machine.control();
        let word = |index: u32| control[index as usize];
        assert_eq!(word(DONE_COUNT), done, "{name}: DONE_COUNT");
        assert_eq!(word(FAULT_COUNT), faults, "{name}: FAULT_COUNT");
        assert_eq!(word(EPOCH), epoch, "{name}: EPOCH");
        assert_eq!(word(SHUTDOWN), stop, "{name}: SHUTDOWN");
        assert_eq!(word(TENANT_FAIRNESS_BASE), done + faults, "{name}: TENANT_FAIRNESS of tenant 0");
        assert_eq!(
            sum(&machine, TENANT_FAIRNESS_BASE, 32),
            done + faults,
            "{name}: TENANT_FAIRNESS of others"
        );
        let table = |base: u32, words: u32| &control[base as usize..(base + words) as usize];
        assert_eq!(table(METRICS_BASE, METRICS_WORDS), metrics, "{name}: METRICS");
        assert_eq!(table(PRIORITY_FAIRNESS_BASE, PRIORITY_LEVELS), claims, "{name}: PRIORITY_FAIRNESS");
    }
}

#[test]
fn case_names_are_unique_within_reach() {
    // A failure names its case; two of one name would leave the reader guessing.
    let mut seen = BTreeMap::new();
    for case in cases::all() {
        *seen.entry(case.name).or_insert(0) += 1;
    }
    let doubled: Vec<_> = seen.into_iter().filter(|(_, count)| *count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

#[test]
fn after_a_shutdown_nothing_runs() {
    let mut machine = Machine::new(4, Vec::new(), 64).unwrap();
    let fence = cases::op(opcode::BATCH_FENCE, &[1, 9]);
    machine.run_batch(&[cases::op(opcode::SHUTDOWN, &[])], &fence);
    let before = machine.clone();
    let outcome = machine.run_batch(&[cases::op(opcode::STORE_U32, &[1, 161])], &fence);
    assert!(outcome.slots[0].is_err() && outcome.fence.is_err());
    assert_eq!(machine, before);
}

#[test]
fn a_slot_that_faults_changes_nothing_but_the_counters() {
    for seed in 0..50 {
        let case = cases::random::case_of(seed, 200);
        let mut machine = machine(&case);
        let mut faults = 0;
        for batch in &case.batches {
            let before = machine.clone();
            let outcome = run(&mut machine, batch);
            assert!(outcome.fence.is_ok());
            let packed = batch.slots[0].0[OPCODE_WORD as usize] == opcode::PACKED_SLOT;
            if outcome.slots[0].is_err() && !packed {
                faults += 1;
                assert_eq!(machine.control()[146..160], before.control()[146..160]);
                assert_eq!(machine.control()[161..], before.control()[161..]);
                assert_eq!(machine.debug_log(), before.debug_log());
            }
        }
        assert!(faults > 20, "the draw of seed {seed} is too tame");
    }
}
