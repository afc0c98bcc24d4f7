//! Constants, sizes and codecs of the wire protocol, against the numbers of its description.

use ringfence::protocol::{
    self, FaultCode, LoadMiss, OpcodeError, ProtocolError, fault, io_op, io_status, opcode, slot,
};

fn word(bytes: &[u8], index: u32) -> u32 {
    u32::from_le_bytes(bytes.as_chunks().0[index as usize])
}

#[test]
fn constants_have_the_values_of_the_description() {
    assert_eq!([slot::EMPTY, slot::PUBLISHED, slot::CLAIMED, slot::DONE], [0, 1, 2, 3]);
    assert_eq!([slot::WAIT_IO, slot::YIELD, slot::REQUEUE, slot::FAULT], [4, 5, 6, 7]);
    assert_eq!(
        [protocol::STATUS_WORD, protocol::OPCODE_WORD, protocol::TENANT_WORD, protocol::PRIORITY_WORD],
        [0, 1, 2, 3]
    );
    assert_eq!([protocol::ARG0_WORD, protocol::ARGS_PER_SLOT, protocol::SLOT_WORDS], [4, 12, 16]);
    assert_eq!(
        [
            protocol::PRIORITY_CRITICAL,
            protocol::PRIORITY_HIGH,
            protocol::PRIORITY_NORMAL,
            protocol::PRIORITY_LOW,
            protocol::PRIORITY_IDLE
        ],
        [0, 1, 2, 3, 4]
    );
    assert_eq!(protocol::MAX_RING_SLOTS, u32::MAX / 16);
    assert_eq!([protocol::SHUTDOWN, protocol::DONE_COUNT, protocol::TENANT_BASE], [0, 1, 2]);
    assert_eq!(
        [protocol::TENANT_QUOTA_BASE, protocol::TENANT_FAIRNESS_BASE, protocol::METRICS_BASE],
        [32, 64, 96]
    );
    assert_eq!(
        [protocol::EPOCH, protocol::PRIORITY_OFFSETS_BASE, protocol::PRIORITY_STARVATION_COUNTER],
        [128, 129, 135]
    );
    assert_eq!(
        [protocol::PRIORITY_FAIRNESS_BASE, protocol::TENANT_COUNT, protocol::LIMIT_BASE],
        [136, 141, 142]
    );
    assert_eq!([protocol::QUOTA_BASE, protocol::FAIRNESS_BASE, protocol::FAULT_COUNT], [143, 144, 145]);
    assert_eq!([protocol::OBSERVABLE_BASE, protocol::CONTROL_MIN_WORDS], [160, 160]);
    assert_eq!(
        [opcode::LOAD_MISS, opcode::PRINTF, opcode::PACKED_SLOT, opcode::SHUTDOWN],
        [0xFFFD, 0xFFFE, 0x8000_0001, u32::MAX]
    );
    assert_eq!(
        [protocol::CURSOR_WORD, protocol::RECORDS_BASE, protocol::RECORD_WORDS, protocol::RECORD_CAPACITY],
        [0, 1, 4, 64]
    );
    assert_eq!(
        [io_op::READ, io_op::WRITE, io_op::FENCE, io_status::OK, io_status::ERROR],
        [1, 2, 3, 0x10, 0x11]
    );
}

#[test]
fn byte_lengths() {
    assert_eq!(protocol::control_byte_len(0), Some(640));
    assert_eq!(protocol::control_byte_len(4), Some(656));
    assert_eq!(protocol::control_byte_len(u32::MAX), None);
    assert_eq!(protocol::ring_byte_len(4), Some(256));
    assert_eq!(protocol::ring_byte_len(protocol::MAX_RING_SLOTS + 1), None);
    assert_eq!(protocol::debug_log_byte_len(64), Some((1 + 5 * 64) * 4));
    assert_eq!(protocol::debug_log_byte_len(u32::MAX), None);
    assert_eq!(protocol::try_slot_byte_len(), Ok(64));
    assert_eq!(protocol::try_slot_word_base(3), Ok(48));
    assert_eq!(protocol::try_slot_word_index(3, 15), Ok(63));
    assert!(protocol::try_slot_word_index(3, 16).is_err());
    assert!(protocol::try_slot_word_base(u32::MAX / 16 + 1).is_err());
}

#[test]
fn a_fresh_control_buffer() {
    let control = protocol::try_encode_control(true, 2, 3).unwrap();
    assert_eq!(control.len(), 163 * 4);
    let expected = [(0, 1), (2, 3), (3, 1), (4, 1), (141, 2), (143, 32), (144, 64)];
    for index in 0..163 {
        let value = expected.iter().find(|(word, _)| *word == index).map_or(0, |(_, value)| *value);
        assert_eq!(word(&control, index), value, "word {index}");
    }
}

#[test]
fn encoders_refuse_what_they_cannot_hold_and_leave_the_storage_alone() {
    let mut storage = vec![7; 3];
    assert!(protocol::try_encode_control_into(false, 30, 0, &mut storage).is_err());
    assert!(protocol::try_encode_control_into(false, 1, 1_048_577, &mut storage).is_err());
    assert!(protocol::try_encode_empty_ring_into(1_048_577, &mut storage).is_err());
    for capacity in [0, 3, 63, 65, 1 << 21, u32::MAX] {
        assert!(protocol::try_encode_empty_debug_log_into(capacity, &mut storage).is_err(), "{capacity}");
    }
    assert_eq!(storage, [7; 3]);
    assert!(protocol::try_encode_control(false, 29, 1_048_576).is_ok());
    assert_eq!(protocol::try_encode_empty_ring(1_048_576).unwrap().len(), 64 << 20);
}

#[test]
fn encoders_reuse_storage() {
    let mut storage = vec![0xAA; 100_000];
    let (pointer, capacity) = (storage.as_ptr(), storage.capacity());
    protocol::try_encode_control_into(false, 1, 4, &mut storage).unwrap();
    assert_eq!(storage, protocol::try_encode_control(false, 1, 4).unwrap());
    protocol::try_encode_empty_ring_into(9, &mut storage).unwrap();
    assert_eq!(storage, vec![0; 9 * 64]);
    protocol::try_encode_empty_debug_log_into(8, &mut storage).unwrap();
    assert_eq!(storage, vec![0; 41 * 4]);
    protocol::try_encode_load_miss_into(&LoadMiss::default(), &mut storage).unwrap();
    assert_eq!((storage.as_ptr(), storage.capacity(), storage.len()), (pointer, capacity, 64));
}

#[test]
fn readers_read_and_refuse() {
    let mut control = protocol::try_encode_control(false, 1, 2).unwrap();
    for (index, value) in [(1, 11u32), (128, 12), (145, 13), (96, 14), (127, 15), (161, 16)] {
        control[index * 4..][..4].copy_from_slice(&value.to_le_bytes());
    }
    assert_eq!(protocol::try_read_done_count(&control), Ok(11));
    assert_eq!(protocol::try_read_epoch(&control), Ok(12));
    assert_eq!(protocol::try_read_fault_count(&control), Ok(13));
    let metrics = protocol::try_read_metrics(&control).unwrap();
    assert_eq!((metrics[0], metrics[31], metrics.iter().sum::<u32>()), (14, 15, 29));
    assert_eq!(protocol::try_read_observable(&control, 1), Ok(16));
    assert!(matches!(
        protocol::try_read_observable(&control, 2),
        Err(ProtocolError::MissingWord { word_idx: 162, .. })
    ));
    assert!(protocol::try_read_observable(&control, u32::MAX).is_err());
    control.pop();
    let error = protocol::try_read_epoch(&control).unwrap_err();
    assert!(matches!(error, ProtocolError::MisalignedByteLength { buffer: "control", byte_len: 647, .. }));
    assert_eq!(
        error.to_string(),
        "control: 647 bytes are not a whole number of 4-byte units; pass whole little-endian u32 words"
    );
}

#[test]
fn counting_done_slots() {
    let mut ring = protocol::try_encode_empty_ring(5).unwrap();
    for (index, status) in [slot::DONE, slot::FAULT, slot::DONE, slot::PUBLISHED].into_iter().enumerate() {
        ring[index * 64] = status as u8;
    }
    assert_eq!(protocol::try_count_done_ring_slots(&ring), Ok(2));
    ring[4 * 64] = 8;
    assert!(matches!(
        protocol::try_count_done_ring_slots(&ring),
        Err(ProtocolError::InvalidWord { word_idx: 64, value: 8, .. })
    ));
    assert!(protocol::try_count_done_ring_slots(&ring[..63]).is_err());
    assert_eq!(protocol::try_count_done_ring_slots(&[]), Ok(0));
}

#[test]
fn the_slab_is_shared_out_by_level() {
    assert_eq!(protocol::priority_offsets(15), None);
    assert_eq!(protocol::priority_offsets(16), Some([0, 1, 2, 14, 15, 16]));
    assert_eq!(protocol::priority_offsets(256), Some([0, 16, 32, 224, 240, 256]));
    for slots in [17, 31, 1000, u32::MAX / 16, u32::MAX] {
        let offsets = protocol::priority_offsets(slots).unwrap();
        assert!(offsets.is_sorted() && offsets[5] == slots, "{slots}: {offsets:?}");
    }
}

#[test]
fn who_may_use_which_opcode() {
    for user in [8, 0xFFEF, 0x1_0000, 0x7FFF_FFFF] {
        assert_eq!(protocol::validate_user_opcode(user), Ok(()));
        assert_eq!(protocol::validate_publish_opcode(user), Ok(()));
    }
    let bad = [
        (0, OpcodeError::Builtin(0)),
        (7, OpcodeError::Builtin(7)),
        (0xFFF0, OpcodeError::ReservedRange(0xFFF0)),
        (0xFFFD, OpcodeError::ReservedRange(0xFFFD)),
        (0xFFFF, OpcodeError::ReservedRange(0xFFFF)),
        (0x8000_0000, OpcodeError::SystemBit(0x8000_0000)),
        (u32::MAX, OpcodeError::SystemBit(u32::MAX)),
    ];
    for (value, error) in bad {
        assert_eq!(protocol::validate_user_opcode(value), Err(error));
    }
    for system in [0, 7, 0xFFFD, 0xFFFE, 0x8000_0001, 0x8000_0010, u32::MAX] {
        assert_eq!(protocol::validate_publish_opcode(system), Ok(()), "{system:#x}");
    }
    for reserved in [0xFFF0, 0xFFFC, 0xFFFF, 0x8000_0000, 0x8000_0002, 0x8000_000F, 0xFFFF_FFFE] {
        assert!(protocol::validate_publish_opcode(reserved).is_err(), "{reserved:#x}");
    }
}

#[test]
fn fault_codes_are_bytes_and_back() {
    for code in 0..=u8::MAX {
        assert_eq!(FaultCode::from(code).code(), code);
    }
    assert_eq!(FaultCode::from(fault::UNKNOWN_OPCODE).to_string(), "UNKNOWN_OPCODE");
    assert_eq!(FaultCode::from(fault::DEVICE_LOST), FaultCode::DeviceLost);
    assert_eq!(FaultCode::from(200), FaultCode::User(200));
    assert_eq!(FaultCode::from(99).to_string(), "UNKNOWN_99");
    assert_eq!(protocol::Fault::new(FaultCode::BadOperand, 3).to_string(), "BAD_OPERAND (detail 3)");
}

#[test]
fn a_load_miss_is_encoded_and_decoded() {
    let request = LoadMiss {
        resource_id: 5,
        prefetch: true,
        byte_offset: 0x0123_4567_89AB_CDEF,
        byte_count: 4096,
        dst_handle: 6,
        dst_offset: 512,
    };
    let bytes = protocol::try_encode_load_miss(&request).unwrap();
    let words: Vec<u32> = (0..16).map(|index| word(&bytes, index)).collect();
    assert_eq!(words, [1, 0xFFFD, 0, 2, 5, 1, 0x89AB_CDEF, 0x0123_4567, 4096, 6, 512, 0, 0, 0, 0, 0]);
    assert_eq!(protocol::decode_load_miss(&bytes), Ok(request));
    let with = |byte: usize, value| {
        let mut bytes = bytes.clone();
        bytes[byte] = value;
        protocol::decode_load_miss(&bytes)
    };
    assert!(matches!(with(4, 0xFE), Err(ProtocolError::InvalidWord { word_idx: 1, value: 0xFFFE, .. })));
    assert!(matches!(with(20, 2), Err(ProtocolError::InvalidWord { word_idx: 5, value: 2, .. })));
    assert!(with(0, 7).is_ok(), "in whatever state the slot is");
    for length in [0, 4, 63, 65, 128] {
        let mut bytes = bytes.clone();
        bytes.resize(length, 0);
        assert!(protocol::decode_load_miss(&bytes).is_err(), "{length} bytes");
    }
}
