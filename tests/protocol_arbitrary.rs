//! Arbitrary input: an answer or an error, never a panic, and never a change where there is an error.

use proptest::prelude::*;
use ringfence::descriptor::{BatchDescriptor, EncodeSlot, PackedOpDescriptor, SlotDescriptor, SlotOpcode};
use ringfence::io::{IoQueue, IoRequest};
use ringfence::protocol::{self, SlotWords};
use ringfence::readback::Readback;
use ringfence::ring::{HostRing, RingConsumer, RingProducer};
use ringfence::twin::Machine;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..1500),
        prop::collection::vec(0u8..9, 0..1500),
        (0usize..400).prop_flat_map(|words| prop::collection::vec(0u8..4, words * 4)),
        (0usize..20).prop_flat_map(|slots| prop::collection::vec(0u8..2, slots * 64)),
    ]
}

proptest! {
    #[test]
    fn readers(bytes in bytes(), index in any::<u32>()) {
        let aligned = bytes.len() % 4 == 0;
        let has = |word: usize| aligned && bytes.len() >= (word + 1) * 4;
        prop_assert_eq!(protocol::try_read_done_count(&bytes).is_ok(), has(1));
        prop_assert_eq!(protocol::try_read_epoch(&bytes).is_ok(), has(128));
        prop_assert_eq!(protocol::try_read_fault_count(&bytes).is_ok(), has(145));
        prop_assert_eq!(protocol::try_read_metrics(&bytes).is_ok(), has(127));
        prop_assert_eq!(protocol::try_read_observable(&bytes, index % 300).is_ok(), has(160 + index as usize % 300));
        let _ = protocol::try_read_observable(&bytes, index);
        let _ = protocol::try_read_debug_log(&bytes);
        let _ = protocol::try_count_done_ring_slots(&bytes);
        let _ = protocol::decode_load_miss(&bytes);
        let _ = protocol::try_slot_word_index(index, index.rotate_left(7));
        let _ = protocol::priority_offsets(index);
    }

    #[test]
    fn encoders(a in any::<u32>(), b in any::<u32>(), flag in any::<bool>()) {
        // Large sizes are refused before anything is allocated; keep those that are granted small.
        prop_assume!(!(4096..=1_048_576).contains(&a) && !(4096..=1_048_576).contains(&b));
        let _ = protocol::try_encode_control(flag, a, b);
        let _ = protocol::try_encode_control(flag, a % 32, b);
        let _ = protocol::try_encode_empty_ring(a);
        let _ = protocol::try_encode_empty_debug_log(a);
        let _ = HostRing::new(b);
        let _ = IoQueue::new(a);
    }

    #[test]
    fn readback_takes_all_or_nothing(outputs in prop::collection::vec(bytes(), 0..6), slots in 0u32..20) {
        let mut outputs = outputs;
        let before = outputs.clone();
        let mut out = Readback::default();
        if Readback::drain_outputs_into(&mut outputs, slots, &mut out).is_err() {
            prop_assert_eq!(&outputs, &before);
            prop_assert_eq!(out, Readback::default());
        }
    }

    #[test]
    fn a_ring_over_arbitrary_bytes(bytes in bytes(), slot in any::<u32>(), encoded in bytes()) {
        let Ok(mut ring) = HostRing::from_bytes(bytes.clone()) else { return Ok(()) };
        let slot = slot % 24;
        let mut out = [0; 64];
        prop_assert_eq!(ring.read_slot(slot, &mut out).is_ok(), slot < ring.slot_count());
        let _ = ring.try_done_count();
        if ring.publish(slot, &encoded).is_err() {
            prop_assert_eq!(ring.as_bytes(), &bytes);
        } else {
            prop_assert_eq!(&ring.as_bytes()[slot as usize * 64..][..64], &encoded);
        }
        let _ = ring.recycle(slot);
    }

    #[test]
    fn a_run_is_published_whole_or_not_at_all(
        taken in prop::collection::vec(any::<bool>(), 8),
        start in 0u32..10,
        slots in prop::collection::vec(any::<bool>(), 0..5),
    ) {
        let mut ring = HostRing::new(8).unwrap();
        for (slot, taken) in (0..).zip(&taken) {
            ring.set_status(slot, if *taken { protocol::slot::DONE } else { protocol::slot::EMPTY }).unwrap();
        }
        let before = ring.clone();
        let run: Vec<SlotWords> = slots.iter().map(|good| {
            let mut words = SlotDescriptor::nop().encode().unwrap();
            words[0] = u32::from(*good);
            words
        }).collect();
        let free = |slot: u32| taken.get(slot as usize) == Some(&false);
        let end = start + run.len() as u32;
        let fits = end <= 8 && (start..end).all(free) && slots.iter().all(|good| *good);
        prop_assert_eq!(ring.publish_run(start, &run).is_ok(), fits);
        prop_assert!(fits || ring == before);
    }

    #[test]
    fn descriptors(
        opcode in prop_oneof![any::<u32>(), 0u32..300],
        priority in 0u32..8,
        args in prop::collection::vec(any::<u32>(), 0..16),
        ops in prop::collection::vec((0u32..300, prop::collection::vec(any::<u32>(), 0..5)), 0..26),
    ) {
        let single = SlotDescriptor::single(SlotOpcode::Custom(opcode), &args);
        prop_assert_eq!(single.is_ok(), args.len() <= 12);
        if let Ok(slot) = single {
            let slot = slot.with_priority(priority).with_tenant(opcode);
            let good = priority < 5 && protocol::validate_user_opcode(opcode).is_ok();
            prop_assert_eq!(slot.encode().is_ok(), good);
            prop_assert_eq!(BatchDescriptor::new(vec![slot], 1).encode().is_ok(), good);
        }
        let ops: Vec<_> =
            ops.iter().map(|(opcode, args)| PackedOpDescriptor::new(SlotOpcode::Custom(*opcode), args)).collect();
        let _ = SlotDescriptor::packed(ops).encode();
    }

    #[test]
    fn the_twin_survives_any_slots(
        slots in prop::collection::vec(prop::array::uniform16(prop_oneof![any::<u32>(), 0u32..200]), 0..20),
        fence in prop::array::uniform16(0u32..30),
    ) {
        let mut machine = Machine::new(16, vec![vec![1; 600]], 4).unwrap();
        let outcome = machine.run_batch(&slots, &fence);
        prop_assert_eq!(outcome.slots.len(), slots.len());
    }

    #[test]
    fn an_io_queue(
        count in 0u32..70,
        steps in prop::collection::vec((0u8..5, 0u32..70, any::<u32>(), any::<u64>()), 0..60),
    ) {
        let Ok(mut queue) = IoQueue::new(count) else {
            prop_assert!(count == 0 || count > 64);
            return Ok(());
        };
        for (step, slot, word, offset) in steps {
            let request = IoRequest {
                op: word % 5, src_handle: word, dst_handle: !word, offset, byte_count: word / 3, tag: word ^ 9,
            };
            let before = queue.clone();
            let changed = match step {
                0 => queue.publish_slot(slot, &request).is_ok(),
                1 => queue.claim(slot).is_ok(),
                2 => queue.complete(slot, if word % 2 == 0 { Ok(word) } else { Err(word) }).is_ok(),
                3 => queue.recycle(slot).is_ok(),
                _ => {
                    prop_assert_eq!(queue.is_recycled(slot).is_ok(), slot < count);
                    false
                }
            };
            prop_assert!(changed || queue == before);
        }
    }
}
