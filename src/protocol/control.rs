//! The control buffer: word names, the encoder of a fresh one, and its readers (PROTOCOL section 2).

pub use super::abi::control::{
    CONTROL_MIN_WORDS, DEFAULT_TENANT_COUNT, DEFAULT_TENANT_TABLE, DONE_COUNT, EPOCH, FAIRNESS_BASE,
    FAULT_COUNT, LIMIT_BASE, MAX_ENCODED_OBSERVABLE_SLOTS, METRICS_BASE, METRICS_WORDS, OBSERVABLE_BASE,
    PRIORITY_FAIRNESS_BASE, PRIORITY_OFFSETS_BASE, PRIORITY_OFFSETS_WORDS, PRIORITY_STARVATION_COUNTER,
    QUOTA_BASE, SHUTDOWN, TENANT_BASE, TENANT_COUNT, TENANT_FAIRNESS_BASE, TENANT_FAIRNESS_WORDS,
    TENANT_QUOTA_BASE,
};

use super::words::{WORD_BYTES, read_word, set_word, zeroed_into};
use super::{MIN_LIVE_RING_SLOTS, PRIORITY_LEVELS, PRIORITY_NORMAL, ProtocolError};

const BUFFER: &str = "control";

/// Bytes of a control buffer with `observable_slots` result words; `None` when a word index or this
/// host's memory does not reach that far.
#[must_use]
pub fn control_byte_len(observable_slots: u32) -> Option<usize> {
    let words = CONTROL_MIN_WORDS.checked_add(observable_slots)?;
    usize::try_from(words).ok()?.checked_mul(WORD_BYTES)
}

/// A control buffer before the first dispatch: counters zero, `tenant_count` tenants admitted in the
/// default table, `observable_slots` zero result words behind the fixed part.
///
/// The slab's partition (`PRIORITY_OFFSETS_BASE`) stays zero, since it follows from the number of
/// slots: see [`priority_offsets`]. `LIMIT_BASE` stays 0, which is "no table of limits".
///
/// # Errors
/// [`ProtocolError::ByteLengthOverflow`] for more tenants than the default table holds
/// ([`DEFAULT_TENANT_COUNT`]), for more than [`MAX_ENCODED_OBSERVABLE_SLOTS`], or when the host has
/// no memory for them.
pub fn try_encode_control(
    shutdown: bool,
    tenant_count: u32,
    observable_slots: u32,
) -> Result<Vec<u8>, ProtocolError> {
    let mut bytes = Vec::new();
    try_encode_control_into(shutdown, tenant_count, observable_slots, &mut bytes)?;
    Ok(bytes)
}

/// As [`try_encode_control`], into storage of the caller, whose allocation is reused.
///
/// # Errors
/// As [`try_encode_control`]; `dst` is unchanged when a number is refused.
pub fn try_encode_control_into(
    shutdown: bool,
    tenant_count: u32,
    observable_slots: u32,
    dst: &mut Vec<u8>,
) -> Result<(), ProtocolError> {
    if tenant_count > DEFAULT_TENANT_COUNT {
        return Err(ProtocolError::ByteLengthOverflow {
            buffer: "tenant table",
            requested: tenant_count.into(),
            limit: DEFAULT_TENANT_COUNT.into(),
            fix: "admit fewer tenants; the table in the fixed part holds 29",
        });
    }
    let too_many = ProtocolError::ByteLengthOverflow {
        buffer: BUFFER,
        requested: observable_slots.into(),
        limit: MAX_ENCODED_OBSERVABLE_SLOTS.into(),
        fix: "ask for fewer observables",
    };
    if observable_slots > MAX_ENCODED_OBSERVABLE_SLOTS {
        return Err(too_many);
    }
    zeroed_into(BUFFER, control_byte_len(observable_slots).ok_or(too_many)?, dst)?;

    let header = [
        (SHUTDOWN, u32::from(shutdown)),
        (TENANT_BASE, DEFAULT_TENANT_TABLE),
        (TENANT_COUNT, tenant_count),
        (QUOTA_BASE, TENANT_QUOTA_BASE),
        (FAIRNESS_BASE, TENANT_FAIRNESS_BASE),
    ];
    let admitted = (DEFAULT_TENANT_TABLE..DEFAULT_TENANT_TABLE + tenant_count).map(|word| (word, 1));
    for (word, value) in header.into_iter().chain(admitted) {
        let stored = set_word(dst, word as usize, value);
        debug_assert!(stored, "the fixed part was just allocated");
    }
    Ok(())
}

/// The slab's default partition by priority level, with its end as the last entry: a sixteenth of
/// the slots (at least one) is reserved for each level but NORMAL, which has the rest. `None` below
/// [`MIN_LIVE_RING_SLOTS`].
#[must_use]
pub fn priority_offsets(slot_count: u32) -> Option<[u32; PRIORITY_OFFSETS_WORDS as usize]> {
    if slot_count < MIN_LIVE_RING_SLOTS {
        return None;
    }
    let reserved = slot_count / 16;
    let mut offsets = [slot_count; PRIORITY_OFFSETS_WORDS as usize];
    let mut next = 0;
    for (level, offset) in (0..PRIORITY_LEVELS).zip(&mut offsets) {
        *offset = next;
        next += if level == PRIORITY_NORMAL { slot_count - 4 * reserved } else { reserved };
    }
    Some(offsets)
}

/// Slots that reached DONE, modulo 2^32.
///
/// # Errors
/// [`ProtocolError`] when the buffer is not whole words or ends before the counter.
pub fn try_read_done_count(control_bytes: &[u8]) -> Result<u32, ProtocolError> {
    read_word(BUFFER, control_bytes, DONE_COUNT as usize)
}

/// Slots that ended in FAULT, modulo 2^32.
///
/// # Errors
/// As [`try_read_done_count`].
pub fn try_read_fault_count(control_bytes: &[u8]) -> Result<u32, ProtocolError> {
    read_word(BUFFER, control_bytes, FAULT_COUNT as usize)
}

/// Batch fences completed, modulo 2^32.
///
/// # Errors
/// As [`try_read_done_count`].
pub fn try_read_epoch(control_bytes: &[u8]) -> Result<u32, ProtocolError> {
    read_word(BUFFER, control_bytes, EPOCH as usize)
}

/// Result word `index`, counted from [`OBSERVABLE_BASE`].
///
/// # Errors
/// As [`try_read_done_count`], and [`ProtocolError::ByteLengthOverflow`] for an index that no
/// control buffer has.
pub fn try_read_observable(control_bytes: &[u8], index: u32) -> Result<u32, ProtocolError> {
    let word = OBSERVABLE_BASE.checked_add(index).ok_or(ProtocolError::ByteLengthOverflow {
        buffer: BUFFER,
        requested: index.into(),
        limit: (u32::MAX - OBSERVABLE_BASE).into(),
        fix: "use an index below the number of observables",
    })?;
    read_word(BUFFER, control_bytes, word as usize)
}

/// Executions per opcode, modulo 2^32: 0 to 30 at their own index, all others together at 31.
///
/// # Errors
/// As [`try_read_done_count`].
pub fn try_read_metrics(control_bytes: &[u8]) -> Result<[u32; METRICS_WORDS as usize], ProtocolError> {
    let mut metrics = [0; METRICS_WORDS as usize];
    for (word, metric) in (METRICS_BASE..).zip(&mut metrics) {
        *metric = read_word(BUFFER, control_bytes, word as usize)?;
    }
    Ok(metrics)
}
