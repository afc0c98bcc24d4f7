//! The runtime on the installed driver, in both modes.

use std::time::Duration;

use ringfence::descriptor::{BatchDescriptor, SlotDescriptor, SlotOpcode};
use ringfence::runtime::{Mode, Runtime};

fn both(test: impl Fn(Mode)) {
    for mode in [Mode::Live, Mode::Epoch] {
        test(mode);
    }
}

fn runtime(mode: Mode) -> Runtime {
    Runtime::builder().mode(mode).observables(64).build().expect("a runtime on the installed driver")
}

#[test]
fn one_slot_is_done() {
    both(|mode| {
        let runtime = runtime(mode);
        for i in 0..100u32 {
            let job = runtime.submit(&SlotDescriptor::store_u32(i, 160)).expect("accepted");
            let done = job.wait_timeout(Duration::from_secs(20)).expect("alive").expect("in time");
            assert_eq!(done.result(), Some(0), "{mode}");
            let job = runtime.submit(&SlotDescriptor::atomic_add(1, 160)).expect("accepted");
            assert_eq!(job.wait().expect("alive").result(), Some(u64::from(i)), "{mode}");
        }
        let control = runtime.control().expect("readback");
        assert_eq!(control[1], 200);
        assert_eq!(control[160], 100);
        eprintln!("{mode} {:?} {:?}", runtime.stats(), runtime.heartbeats());
    });
}

#[test]
fn a_batch_ends_with_its_fence() {
    both(|mode| {
        let runtime = runtime(mode);
        for round in 0..20u32 {
            let slots = (0..100).map(|_| SlotDescriptor::atomic_add(1, 161)).collect();
            let batch = runtime.submit_batch(&BatchDescriptor::new(slots, 7)).expect("accepted");
            let ended = batch.wait_timeout(Duration::from_secs(20)).expect("alive").expect("in time");
            assert_eq!(ended.fence.result(), Some(u64::from(round) + 1), "{mode}");
            assert!(ended.slots.iter().all(|s| s.result().is_some()));
        }
        let control = runtime.control().expect("readback");
        assert_eq!(control[161], 2000);
        assert_eq!(control[128], 20);
        assert_eq!(control[160], 7);
    });
}

#[test]
fn a_readback_tells_what_became_of_each_slot() {
    both(|mode| {
        let runtime = Runtime::builder().mode(mode).observables(8).slots(17).build().expect("a runtime");
        let unknown = SlotDescriptor::single(SlotOpcode::Custom(4660), &[]).expect("a user's opcode");
        for slot in [SlotDescriptor::nop(), unknown, SlotDescriptor::store_u32(9, 161)] {
            // One after the other, so that each takes a place of its own only if places are not reused.
            runtime.submit(&slot).expect("accepted").wait().expect("alive");
        }
        let batch = BatchDescriptor::new(vec![SlotDescriptor::nop(); 9], 3);
        runtime.submit_batch(&batch).expect("accepted").wait().expect("alive");
        let readback = runtime.readback().expect("a readback");
        let counters = readback.counters().expect("whole buffers");
        assert_eq!((counters.done_count, counters.fault_count, counters.epoch), (12, 1, 1), "{mode}");
        assert_eq!(counters.metrics[..8], [10, 1, 0, 0, 0, 0, 0, 1], "{mode}");
        assert_eq!(readback.slot_count().expect("whole"), 17);
        let places = counters.done_slots + counters.fault_slots + counters.empty_slots;
        assert_eq!(places, 17, "{mode}: every slot has ended or was never used: {counters:?}");
        assert!(counters.done_slots >= 10, "{mode}: {counters:?}");
    });
}
