//! The LOAD_MISS slot: a request for the bytes of a resource (PROTOCOL section 3).

use super::ring::check_slots;
use super::words::{read_word, set_word, zeroed_into};
use super::{
    ARG0_WORD, OPCODE_WORD, PRIORITY_NORMAL, PRIORITY_WORD, ProtocolError, STATUS_WORD, SlotArgs, opcode,
    slot, try_slot_byte_len,
};

const BUFFER: &str = "load-miss slot";

/// What a LOAD_MISS asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LoadMiss {
    /// Which resource, by the id that the host registered.
    pub resource_id: u32,
    /// Nobody waits for it yet.
    pub prefetch: bool,
    /// Where to start in the resource, in bytes.
    pub byte_offset: u64,
    /// How many bytes; 0 is the whole resource, if that is below 4 GiB.
    pub byte_count: u32,
    /// Where the bytes go: a capability of the host.
    pub dst_handle: u32,
    /// Where in the destination, in bytes.
    pub dst_offset: u32,
}

impl LoadMiss {
    /// The argument words a0 to a6, the rest zero.
    #[must_use]
    pub const fn args(&self) -> SlotArgs {
        [
            self.resource_id,
            self.prefetch as u32,
            self.byte_offset as u32,
            (self.byte_offset >> 32) as u32,
            self.byte_count,
            self.dst_handle,
            self.dst_offset,
            0,
            0,
            0,
            0,
            0,
        ]
    }
}

/// A published LOAD_MISS slot of tenant 0 at NORMAL priority: 64 bytes.
///
/// # Errors
/// [`ProtocolError::ByteLengthOverflow`] when the host has no memory for it.
pub fn try_encode_load_miss(request: &LoadMiss) -> Result<Vec<u8>, ProtocolError> {
    let mut bytes = Vec::new();
    try_encode_load_miss_into(request, &mut bytes)?;
    Ok(bytes)
}

/// As [`try_encode_load_miss`], into storage of the caller, whose allocation is reused.
///
/// # Errors
/// As [`try_encode_load_miss`].
pub fn try_encode_load_miss_into(request: &LoadMiss, dst: &mut Vec<u8>) -> Result<(), ProtocolError> {
    zeroed_into(BUFFER, try_slot_byte_len()?, dst)?;
    let header =
        [(STATUS_WORD, slot::PUBLISHED), (OPCODE_WORD, opcode::LOAD_MISS), (PRIORITY_WORD, PRIORITY_NORMAL)];
    for (word, value) in header.into_iter().chain((ARG0_WORD..).zip(request.args())) {
        let stored = set_word(dst, word as usize, value);
        debug_assert!(stored, "the slot was just allocated");
    }
    Ok(())
}

/// Reads a LOAD_MISS slot, in whatever state it is.
///
/// # Errors
/// [`ProtocolError::UnexpectedShape`] or [`ProtocolError::MisalignedByteLength`] unless there are
/// exactly 64 bytes, [`ProtocolError::InvalidWord`] for another opcode, or a prefetch word that is
/// neither 0 nor 1.
pub fn decode_load_miss(bytes: &[u8]) -> Result<LoadMiss, ProtocolError> {
    let [slot] = check_slots(bytes)? else {
        return Err(ProtocolError::UnexpectedShape {
            buffer: BUFFER,
            found: bytes.len(),
            expected: try_slot_byte_len()?,
            fix: "pass the bytes of one slot",
        });
    };
    let expect = |word: u32, allowed: fn(u32) -> bool, fix| match read_word(BUFFER, slot, word as usize)? {
        value if allowed(value) => Ok(value),
        value => Err(ProtocolError::InvalidWord { buffer: BUFFER, word_idx: word as usize, value, fix }),
    };
    let arg = |index: u32| read_word(BUFFER, slot, (ARG0_WORD + index) as usize);
    expect(OPCODE_WORD, |value| value == opcode::LOAD_MISS, "only a LOAD_MISS slot (0xfffd) decodes as one")?;
    Ok(LoadMiss {
        resource_id: arg(0)?,
        prefetch: expect(ARG0_WORD + 1, |value| value <= 1, "the prefetch word is 0 or 1")? == 1,
        byte_offset: u64::from(arg(2)?) | u64::from(arg(3)?) << 32,
        byte_count: arg(4)?,
        dst_handle: arg(5)?,
        dst_offset: arg(6)?,
    })
}
