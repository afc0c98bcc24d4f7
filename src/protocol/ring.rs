//! The ring as bytes: sizes, indices, an empty ring, and what a finished one says.

use super::words::{WORD_BYTES, read_word, zeroed_into};
use super::{MAX_ENCODED_RING_SLOTS, MAX_RING_SLOTS, ProtocolError, SLOT_WORDS, STATUS_WORD, slot};

const BUFFER: &str = "ring";
const SLOT_BYTES: usize = SLOT_WORDS as usize * WORD_BYTES;

/// Bytes of a ring of `slot_count` slots; `None` beyond [`MAX_RING_SLOTS`] or this host's memory.
#[must_use]
pub fn ring_byte_len(slot_count: u32) -> Option<usize> {
    if slot_count > MAX_RING_SLOTS {
        return None;
    }
    usize::try_from(slot_count).ok()?.checked_mul(SLOT_BYTES)
}

/// A ring of EMPTY slots.
///
/// # Errors
/// [`ProtocolError::ByteLengthOverflow`] beyond [`MAX_ENCODED_RING_SLOTS`] slots, or when the host
/// has no memory for them.
pub fn try_encode_empty_ring(slot_count: u32) -> Result<Vec<u8>, ProtocolError> {
    let mut bytes = Vec::new();
    try_encode_empty_ring_into(slot_count, &mut bytes)?;
    Ok(bytes)
}

/// As [`try_encode_empty_ring`], into storage of the caller, whose allocation is reused.
///
/// # Errors
/// As [`try_encode_empty_ring`]; `dst` is unchanged when `slot_count` is refused.
pub fn try_encode_empty_ring_into(slot_count: u32, dst: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let too_many = ProtocolError::ByteLengthOverflow {
        buffer: BUFFER,
        requested: slot_count.into(),
        limit: MAX_ENCODED_RING_SLOTS.into(),
        fix: "encode fewer slots, or split the work over several rings",
    };
    if slot_count > MAX_ENCODED_RING_SLOTS {
        return Err(too_many);
    }
    zeroed_into(BUFFER, ring_byte_len(slot_count).ok_or(too_many)?, dst)
}

/// How many slots of a ring are DONE.
///
/// # Errors
/// [`ProtocolError::MisalignedByteLength`] when the bytes are not whole slots,
/// [`ProtocolError::InvalidWord`] for a status that no slot can have.
pub fn try_count_done_ring_slots(ring_bytes: &[u8]) -> Result<u32, ProtocolError> {
    try_count_ring_slots(ring_bytes, slot::DONE)
}

/// How many slots of a ring have `status`, every status being checked on the way.
pub(crate) fn try_count_ring_slots(ring_bytes: &[u8], status: u32) -> Result<u32, ProtocolError> {
    let slots = check_slots(ring_bytes)?;
    let mut count = 0;
    for (index, bytes) in slots.iter().enumerate() {
        let found = read_word(BUFFER, bytes, STATUS_WORD as usize)?;
        if found > slot::FAULT {
            return Err(ProtocolError::InvalidWord {
                buffer: BUFFER,
                word_idx: index * SLOT_WORDS as usize + STATUS_WORD as usize,
                value: found,
                fix: "a status is 0 to 7; read back the ring of this protocol, not another buffer",
            });
        }
        count += u32::from(found == status);
    }
    Ok(count)
}

/// The slots of a ring, if it is made of whole ones.
pub(crate) fn check_slots(ring_bytes: &[u8]) -> Result<&[[u8; SLOT_BYTES]], ProtocolError> {
    match ring_bytes.as_chunks() {
        (slots, []) if slots.len() <= MAX_RING_SLOTS as usize => Ok(slots),
        (slots, []) => Err(ProtocolError::ByteLengthOverflow {
            buffer: BUFFER,
            requested: slots.len() as u64,
            limit: MAX_RING_SLOTS.into(),
            fix: "a ring has at most MAX_RING_SLOTS slots; split it",
        }),
        _ => Err(ProtocolError::MisalignedByteLength {
            buffer: BUFFER,
            byte_len: ring_bytes.len(),
            unit: SLOT_BYTES,
            fix: "pass whole slots of 64 bytes",
        }),
    }
}

/// Bytes of one slot.
///
/// # Errors
/// None on any host that this crate builds for; fallible beside its neighbours.
pub fn try_slot_byte_len() -> Result<usize, ProtocolError> {
    try_word_index(SLOT_WORDS).map(|words| words * WORD_BYTES)
}

/// A word index of the protocol as an index of this host.
///
/// # Errors
/// [`ProtocolError::ByteLengthOverflow`] where the host's `usize` cannot hold it.
pub fn try_word_index(word: u32) -> Result<usize, ProtocolError> {
    usize::try_from(word).map_err(|_| ProtocolError::ByteLengthOverflow {
        buffer: "word index",
        requested: word.into(),
        limit: usize::MAX as u64,
        fix: "address a smaller buffer on this host",
    })
}

/// Index of the first word of slot `slot_idx` in the ring.
///
/// # Errors
/// [`ProtocolError::ByteLengthOverflow`] when a word index does not reach that slot.
pub fn try_slot_word_base(slot_idx: u32) -> Result<usize, ProtocolError> {
    let base = slot_idx.checked_mul(SLOT_WORDS).ok_or(ProtocolError::ByteLengthOverflow {
        buffer: BUFFER,
        requested: slot_idx.into(),
        limit: MAX_RING_SLOTS.into(),
        fix: "use a slot index that a ring of MAX_RING_SLOTS has",
    })?;
    try_word_index(base)
}

/// Index in the ring of word `word` of slot `slot_idx`.
///
/// # Errors
/// [`ProtocolError::ByteLengthOverflow`] when the slot is out of reach or `word` is not below
/// [`SLOT_WORDS`].
pub fn try_slot_word_index(slot_idx: u32, word: u32) -> Result<usize, ProtocolError> {
    let overflow = ProtocolError::ByteLengthOverflow {
        buffer: "slot",
        requested: word.into(),
        limit: (SLOT_WORDS - 1).into(),
        fix: "a slot has words 0 to 15",
    };
    if word >= SLOT_WORDS {
        return Err(overflow);
    }
    try_slot_word_base(slot_idx)?.checked_add(try_word_index(word)?).ok_or(overflow)
}
