//! Descriptors: the words they encode to, and that what encodes is executed as it says.

use proptest::prelude::*;
use ringfence::descriptor::{
    BatchDescriptor, BuiltinOpcode, DescriptorError, EncodeSlot, PackedError, PackedOpDescriptor,
    SlotDescriptor, SlotOpcode, WindowClass, WindowDescriptor, WindowItem,
};
use ringfence::io::{IoCompletion, IoQueue, IoRequest};
use ringfence::protocol::{self, ProtocolError, SlotWords, io_op, opcode, slot, validate_publish_opcode};
use ringfence::readback::Readback;
use ringfence::ring::{HostRing, RingConsumer, RingProducer, SLOT_BYTES};
use ringfence::twin::Machine;

fn words(ring: &HostRing, index: u32) -> SlotWords {
    let mut bytes = [0; SLOT_BYTES];
    ring.read_slot(index, &mut bytes).unwrap();
    std::array::from_fn(|i| u32::from_le_bytes(bytes.as_chunks().0[i]))
}

#[test]
fn singles_encode_to_their_words() {
    let cases = [
        (SlotDescriptor::nop(), 0, [0; 4]),
        (SlotDescriptor::store_u32(7, 160), 1, [7, 160, 0, 0]),
        (SlotDescriptor::atomic_add(5, 161), 2, [5, 161, 0, 0]),
        (SlotDescriptor::load_u32(160, 1), 3, [160, 1, 0, 0]),
        (SlotDescriptor::compare_swap(160, 1, 2, 3), 4, [160, 1, 2, 3]),
        (SlotDescriptor::memcpy(160, 170, 4), 5, [160, 170, 4, 0]),
        (SlotDescriptor::dfa_step(1, 2, 3, 4), 6, [1, 2, 3, 4]),
        (SlotDescriptor::printf(3, [10, 20, 30]), 0xFFFE, [3, 10, 20, 30]),
        (SlotDescriptor::shutdown(), u32::MAX, [0; 4]),
    ];
    for (descriptor, opcode, args) in cases {
        let words = descriptor.encode().unwrap();
        assert_eq!(words[..4], [slot::PUBLISHED, opcode, 0, 2]);
        assert_eq!(words[4..8], args);
        assert_eq!(words[8..], [0; 8]);
    }
    let slot = SlotDescriptor::single(SlotOpcode::Custom(4660), &[1; 12]).unwrap();
    let words = slot.with_priority(0).with_tenant(9).encode().unwrap();
    assert_eq!(words, [1, 4660, 9, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn raw_words_are_published_as_they_are() {
    let words = std::array::from_fn(|i| i as u32 + 100);
    let encoded = words.encode().unwrap();
    assert_eq!((encoded[0], &encoded[1..]), (slot::PUBLISHED, &words[1..]));
}

#[test]
fn builtin_opcodes_have_names_and_values() {
    for &builtin in BuiltinOpcode::ALL {
        assert_eq!(BuiltinOpcode::from_value(builtin.value()), Some(builtin));
        assert_eq!(BuiltinOpcode::from_name(builtin.name()), Some(builtin));
        assert_eq!(validate_publish_opcode(builtin.value()), Ok(()));
    }
    assert_eq!(BuiltinOpcode::from_name("STORE_U32"), Some(BuiltinOpcode::StoreU32));
    assert_eq!(BuiltinOpcode::from_name("store_u32"), None);
    assert_eq!(BuiltinOpcode::from_value(8), None);
}

#[test]
fn descriptors_refuse_what_the_protocol_cannot_express() {
    let custom = |value| SlotDescriptor::single(SlotOpcode::Custom(value), &[]).unwrap().encode();
    assert!(matches!(custom(3), Err(DescriptorError::Opcode(_))));
    assert!(matches!(custom(0xFFF5), Err(DescriptorError::Opcode(_))));
    assert!(matches!(SlotDescriptor::nop().with_priority(5).encode(), Err(DescriptorError::Priority(5))));
    for builtin in [BuiltinOpcode::PackedSlot, BuiltinOpcode::BatchFence] {
        let slot = SlotDescriptor::single(builtin, &[]).unwrap();
        assert!(matches!(slot.encode(), Err(DescriptorError::NotSingle { .. })));
    }
    assert!(matches!(
        SlotDescriptor::single(BuiltinOpcode::Nop, &[0; 13]),
        Err(DescriptorError::TooManyArguments { given: 13, limit: 12 })
    ));
}

#[test]
fn a_packed_slot_byte_by_byte() {
    let packed = SlotDescriptor::packed(vec![
        PackedOpDescriptor::new(BuiltinOpcode::AtomicAdd, &[1, 161]),
        PackedOpDescriptor::new(BuiltinOpcode::Nop, &[]),
        PackedOpDescriptor::new(SlotOpcode::Custom(200), &[0xAABB_CCDD]),
    ]);
    let words = packed.encode().unwrap();
    assert_eq!(words[1], 0x8000_0001);
    // n = 3, T = 3; (2, 0), (0, 2), (200, 2): two words of header.
    assert_eq!(words[4..6], [0x0002_0303, 0x02C8_0200]);
    assert_eq!(words[6..], [1, 161, 0xAABB_CCDD, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_packed_slot_that_does_not_fit() {
    let nops = |count, args: &[u32]| {
        SlotDescriptor::packed(vec![PackedOpDescriptor::new(BuiltinOpcode::Nop, args); count]).encode()
    };
    assert!(nops(23, &[]).is_ok());
    assert!(matches!(nops(24, &[]), Err(DescriptorError::Packed(PackedError::TooManyOps(24)))));
    assert!(nops(1, &[0; 11]).is_ok());
    assert!(matches!(
        nops(1, &[0; 12]),
        Err(DescriptorError::Packed(PackedError::TooManyArguments { ops: 1, given: 12, limit: 11 }))
    ));
    let with =
        |opcode: SlotOpcode| SlotDescriptor::packed(vec![PackedOpDescriptor::new(opcode, &[])]).encode();
    assert!(with(SlotOpcode::Custom(255)).is_ok());
    for opcode in [
        SlotOpcode::Custom(7),
        SlotOpcode::Custom(3),
        SlotOpcode::Custom(256),
        BuiltinOpcode::BatchFence.into(),
        BuiltinOpcode::Printf.into(),
        BuiltinOpcode::PackedSlot.into(),
    ] {
        assert!(
            matches!(with(opcode), Err(DescriptorError::Packed(PackedError::Opcode { index: 0, .. }))),
            "{opcode:?}"
        );
    }
}

#[test]
fn a_batch_is_its_slots_and_a_fence_that_counts_them() {
    let batch = BatchDescriptor::new(vec![SlotDescriptor::nop(), SlotDescriptor::store_u32(1, 161)], 0xCAFE);
    let encoded = batch.encode().unwrap();
    assert_eq!(encoded.slots.len(), 2);
    assert_eq!(encoded.fence[..6], [1, opcode::BATCH_FENCE, 0, 2, 2, 0xCAFE]);

    let mut ring = HostRing::new(4).unwrap();
    assert!(batch.publish_into(&mut ring, 2).is_err(), "the fence does not fit");
    assert_eq!(ring, HostRing::new(4).unwrap());
    batch.publish_into(&mut ring, 1).unwrap();
    assert_eq!(words(&ring, 3), encoded.fence);
    assert_eq!(ring.status(0), Ok(slot::EMPTY));
}

#[test]
fn a_window_puts_required_items_first() {
    let item = |ticket, class, payload: &[u32]| WindowItem { ticket, class, payload: payload.to_vec() };
    let items = vec![
        item(1, WindowClass::Lookahead, &[]),
        item(2, WindowClass::Required, &[5; 10]),
        item(3, WindowClass::Lookahead, &[9]),
        item(4, WindowClass::Required, &[]),
    ];
    let window = WindowDescriptor { tenant: 3, ..WindowDescriptor::new(2, SlotOpcode::Custom(99), items) };
    let mut ring = HostRing::new(6).unwrap();
    window.publish_into(&mut ring).unwrap();
    let heads: Vec<_> = (2..6).map(|i| words(&ring, i)).map(|w| (w[1], w[2], w[4], w[5])).collect();
    assert_eq!(heads, [(99, 3, 2, 0), (99, 3, 4, 0), (99, 3, 1, 1), (99, 3, 3, 1)]);
    assert_eq!(words(&ring, 2)[6..], [5; 10]);

    let before = ring.clone();
    assert!(window.publish_into(&mut ring).is_err(), "the places are taken");
    let long =
        WindowDescriptor::new(0, SlotOpcode::Custom(99), vec![item(1, WindowClass::Required, &[0; 11])]);
    assert!(matches!(
        long.publish_into(&mut ring),
        Err(DescriptorError::TooManyArguments { given: 11, limit: 10 })
    ));
    assert_eq!(ring, before);
}

#[test]
fn a_ring_slot_is_used_again_only_when_it_was_recycled() {
    let mut ring = HostRing::new(2).unwrap();
    let nop = SlotDescriptor::nop();
    nop.publish_into(&mut ring, 1).unwrap();
    assert!(nop.publish_into(&mut ring, 1).is_err());
    assert!(ring.recycle(1).is_err());
    ring.set_status(1, slot::DONE).unwrap();
    assert_eq!(ring.try_done_count(), Ok(1));
    assert!(matches!(
        nop.publish_into(&mut ring, 1),
        Err(DescriptorError::Ring(ProtocolError::SlotInUse { slot: 1, status: slot::DONE, .. }))
    ));
    ring.recycle(1).unwrap();
    nop.publish_into(&mut ring, 1).unwrap();
    assert!(nop.publish_into(&mut ring, 2).is_err(), "past the ring");
    assert_eq!(ring.name(), "in-process");
    assert!(ring.publish(0, &[0; 63]).is_err());
    assert!(ring.publish(0, &[0; 64]).is_err(), "not published");
}

#[test]
fn a_ring_over_the_callers_bytes() {
    let mut bytes = protocol::try_encode_empty_ring(3).unwrap();
    let mut ring = HostRing::from_bytes(bytes.as_mut_slice()).unwrap();
    SlotDescriptor::store_u32(7, 160).publish_into(&mut ring, 2).unwrap();
    assert_eq!(bytes[128..132], [1, 0, 0, 0]);
}

#[test]
fn an_io_entry_goes_round() {
    let mut queue = IoQueue::new(64).unwrap();
    queue.submit_dma_read(63, 1, 2, 0x1_0000_0002, 4096, 77).unwrap();
    assert!(queue.submit_dma_write(63, 1, 2, 0, 1, 1).is_err());
    assert_eq!(queue.as_bytes()[63 * 32..].len(), 32);
    assert_eq!(queue.completion(63), Ok(None));
    let request = queue.claim(63).unwrap();
    let expected = IoRequest {
        op: io_op::READ,
        src_handle: 1,
        dst_handle: 2,
        offset: 0x1_0000_0002,
        byte_count: 4096,
        tag: 77,
    };
    assert_eq!(request, expected);
    assert!(queue.claim(63).is_err() && queue.recycle(63).is_err());
    queue.complete(63, Err(5)).unwrap();
    let completion = queue.completion(63).unwrap().unwrap();
    assert_eq!((completion, completion.status()), (IoCompletion { result: Err(5), tag: 77 }, 0x11));
    queue.recycle(63).unwrap();
    assert_eq!(queue.is_recycled(63), Ok(true));
    assert!(queue.is_recycled(64).is_err() && queue.completion(u32::MAX).is_err());
}

#[test]
fn an_io_queue_that_was_read_back_is_not_trusted() {
    let mut queue = IoQueue::new(2).unwrap();
    queue.submit_dma_write(1, 1, 2, 0, 8, 9).unwrap();
    let with = |byte: usize, value| {
        let mut bytes = queue.as_bytes().to_vec();
        bytes[byte] = value;
        IoQueue::from_bytes(bytes).unwrap()
    };
    assert_eq!(with(0, 0).claim(1).unwrap().op, io_op::WRITE);
    let mut forged = with(32, 4);
    assert!(matches!(forged.claim(1), Err(ProtocolError::InvalidWord { value: 4, .. })));
    assert!(matches!(forged.claim(1), Err(ProtocolError::InvalidWord { .. })), "it stays PUBLISHED");
    let status = with(32 + 6 * 4, 9);
    assert!(matches!(status.completion(1), Err(ProtocolError::InvalidWord { word_idx: 14, value: 9, .. })));
    for length in [0, 31, 33, 65 * 32] {
        assert!(IoQueue::from_bytes(vec![0; length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_readback_keeps_both_sides_allocations() {
    let outputs = || {
        vec![
            protocol::try_encode_control(false, 1, 4).unwrap(),
            protocol::try_encode_empty_ring(4).unwrap(),
            protocol::try_encode_empty_debug_log(8).unwrap(),
            IoQueue::new(64).unwrap().as_bytes().to_vec(),
        ]
    };
    let mut readback = Readback::from_outputs(outputs(), 4).unwrap();
    let mut next = outputs();
    next[0][4] = 9;
    next[1][0] = slot::DONE as u8;
    next[1][64] = slot::FAULT as u8;
    let (old, new) = (readback.ring().as_ptr(), next[1].as_ptr());
    Readback::drain_outputs_into(&mut next, 4, &mut readback).unwrap();
    assert_eq!((readback.ring().as_ptr(), next[1].as_ptr()), (new, old));
    let counters = readback.counters().unwrap();
    assert_eq!(
        (counters.done_count, counters.done_slots, counters.fault_slots, counters.empty_slots),
        (9, 1, 1, 2)
    );
    assert_eq!(readback.slot_count(), Ok(4));
    assert!(Readback::from_outputs(outputs(), 5).is_err());
    assert!(Readback::from_outputs(outputs()[..3].to_vec(), 4).is_err());
    assert!(Readback::default().counters().is_err());
}

/// Ops whose operands are within 32 observables, so that packed and single execution can be compared.
fn inner_op() -> impl Strategy<Value = (BuiltinOpcode, Vec<u32>)> {
    let word = || 161u32..192;
    prop_oneof![
        Just((BuiltinOpcode::Nop, vec![])),
        (any::<u32>(), word()).prop_map(|(value, at)| (BuiltinOpcode::StoreU32, vec![value, at])),
        (any::<u32>(), word()).prop_map(|(value, at)| (BuiltinOpcode::AtomicAdd, vec![value, at])),
        (word(), 0u32..32).prop_map(|(at, to)| (BuiltinOpcode::LoadU32, vec![at, to])),
        (word(), 0u32..2, any::<u32>(), 0u32..32)
            .prop_map(|(at, old, new, to)| (BuiltinOpcode::CompareSwap, vec![at, old, new, to])),
        (161u32..170, 161u32..170, 0u32..22)
            .prop_map(|(from, to, n)| (BuiltinOpcode::Memcpy, vec![from, to, n])),
    ]
}

proptest! {
    /// What the packed encoder accepts does what its ops do as slots of their own, in order.
    #[test]
    fn a_packed_slot_is_its_ops_in_order(ops in prop::collection::vec(inner_op(), 0..7)) {
        let packed = SlotDescriptor::packed(
            ops.iter().map(|(opcode, args)| PackedOpDescriptor::new(*opcode, args)).collect(),
        );
        let Ok(words) = packed.encode() else { return Ok(()) };
        let fresh = || Machine::new(32, Vec::new(), 8).unwrap();
        let fence = |count| BatchDescriptor::new(vec![SlotDescriptor::nop(); count], 0).encode().unwrap().fence;
        let (mut together, mut apart) = (fresh(), fresh());
        let outcome = together.run_batch(&[words], &fence(1));
        prop_assert_eq!(outcome.slots, [Ok(ops.len() as u64)]);
        for (opcode, args) in &ops {
            let single = SlotDescriptor::single(*opcode, args).unwrap().encode().unwrap();
            apart.run_batch(&[single], &fence(1));
        }
        prop_assert_eq!(&together.control()[161..], &apart.control()[161..]);
        // The metrics of the ops are the same too; those of the fences are not.
        prop_assert_eq!(&together.control()[96..103], &apart.control()[96..103]);
    }
}
