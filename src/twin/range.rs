//! Ranges of the memory behind a handle. Twin of `glsl/range.glsl`.

use crate::protocol::opcode::RANGE_MAX_BYTES;

/// Bytes of a resource that an offset of 32 bits reaches, in whole words.
pub fn bytes_of(words: &[u32]) -> u32 {
    4 * words.len().min(0x3FFF_FFFF) as u32
}

/// `bytes` from `offset` on, which is not behind the end, are too many for one slot or for the resource.
pub fn exceeds(words: &[u32], offset: u32, bytes: u32) -> bool {
    bytes > RANGE_MAX_BYTES || bytes > bytes_of(words) - offset
}
