//! The kernel against the tables of cases and against the twin, in both modes.

mod cases;
mod support;

use std::sync::atomic::Ordering;

use cases::{Batch, Case};
use ringfence::descriptor::EncodedBatch;
use ringfence::protocol::{
    Fault, FaultCode, PRIORITY_OFFSETS_BASE, PRIORITY_OFFSETS_WORDS, SlotWords, try_read_debug_log,
};
use ringfence::runtime::{Completion, Mode, Runtime, RuntimeError};
use ringfence::twin::{Machine, Outcome};
use support::{MODES, PATIENCE, assert_silent, builder};

fn outcome(completion: Completion) -> Outcome {
    match completion.fault() {
        Some((code, detail)) => Err(Fault::new(code, detail)),
        None => Ok(completion.result().expect("not a fault")),
    }
}

/// What became of a batch on the device; a runtime that is shut down refuses it, which the twin calls
/// CANCELLED.
fn run(runtime: &Runtime, batch: &Batch) -> (Vec<Outcome>, Outcome) {
    let slots: Vec<SlotWords> = batch.slots.iter().map(|(words, _)| *words).collect();
    let count = slots.len();
    match runtime.submit_encoded(&EncodedBatch { slots, fence: batch.fence }) {
        Ok(batch) => {
            let ended = batch.wait_timeout(PATIENCE).expect("the device is well").expect("it ends in time");
            (ended.slots.into_iter().map(outcome).collect(), outcome(ended.fence))
        }
        Err(RuntimeError::ShutDown) => {
            let cancelled = Err(Fault::new(FaultCode::Cancelled, 0));
            (vec![cancelled; count], cancelled)
        }
        Err(e) => panic!("{e}"),
    }
}

fn log_of(words: &[u32]) -> (Vec<[u32; 4]>, u64) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let log = try_read_debug_log(&bytes).expect("a whole log");
    let record = |r: &ringfence::protocol::DebugRecord| [r.fmt_id, r.args[0], r.args[1], r.args[2]];
    let mut records: Vec<_> = log.records.iter().map(record).collect();
    // Slots of one batch may write in any order.
    records.sort_unstable();
    (records, log.lost)
}

fn check(case: &Case, mode: Mode) {
    let name = format!("{} ({mode})", case.name);
    let runtime = builder(mode)
        .slots(1024)
        .observables(case.observables)
        .debug_records(case.log_capacity)
        .opcodes(&case.opcodes())
        .build()
        .expect("a case has valid sizes");
    let tables: Vec<_> = case.tables.iter().map(|t| runtime.table(t).expect("a table")).collect();
    let outputs: Vec<_> =
        case.output_sizes().into_iter().map(|words| runtime.output(words).expect("an output")).collect();
    let handles = tables.iter().chain(&outputs).map(|resource| resource.handle());
    assert!(handles.eq(0..(tables.len() + outputs.len()) as u32), "{name}: handles");
    let mut twin = Machine::new(case.observables, case.tables.clone(), case.log_capacity)
        .expect("a twin")
        .with_outputs(&case.output_sizes());

    for (index, batch) in case.batches.iter().enumerate() {
        let slots: Vec<SlotWords> = batch.slots.iter().map(|(words, _)| *words).collect();
        let wanted = twin.run_batch(&slots, &batch.fence);
        let (slots, fence) = run(&runtime, batch);
        assert_eq!(slots, wanted.slots, "{name}, batch {index}");
        assert_eq!(fence, wanted.fence, "{name}, fence {index}");
    }

    for (index, output) in outputs.iter().enumerate() {
        let words: Vec<u32> =
            output.words().expect("mapped").iter().map(|word| word.load(Ordering::Acquire)).collect();
        assert_eq!(words, twin.outputs()[index], "{name}: output {index}");
    }
    let mut control = runtime.control().expect("a readback");
    // The partition is the runtime's own; everything else is the twin's, word for word.
    let partition = PRIORITY_OFFSETS_BASE as usize..(PRIORITY_OFFSETS_BASE + PRIORITY_OFFSETS_WORDS) as usize;
    control[partition.clone()].copy_from_slice(&twin.control()[partition]);
    assert_eq!(control, twin.control(), "{name}: control buffer");
    assert_eq!(log_of(&runtime.debug_log()), log_of(twin.debug_log()), "{name}: debug log");
}

#[test]
fn every_case_ends_on_the_device_as_on_the_twin() {
    for case in cases::all() {
        for mode in MODES {
            check(&case, mode);
        }
    }
    assert_silent();
}
