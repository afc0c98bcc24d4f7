//! SUM_WORDS: the sum, modulo 2^32, of the words in a2 bytes from byte a1 of resource a0 on. Twin of
//! `glsl/op/sum_words.glsl`.

use super::range::{bytes_of, exceeds};
use super::{Machine, Outcome, bad_operand};
use crate::protocol::SlotArgs;

/// Result: the sum. Faults: no such resource (a0); an offset that is no multiple of 4, or behind the end
/// (a1); a length that is no multiple of 4, more than one slot takes, or runs past the end (a2). Nothing
/// sums up to 0, even at the very end.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [handle, offset, bytes, ..] = *args;
    let source = m.resource(handle);
    if source.is_empty() {
        return Err(bad_operand(0));
    }
    if !offset.is_multiple_of(4) || offset > bytes_of(source) {
        return Err(bad_operand(1));
    }
    if !bytes.is_multiple_of(4) || exceeds(source, offset, bytes) {
        return Err(bad_operand(2));
    }
    let words = &source[(offset / 4) as usize..][..(bytes / 4) as usize];
    Ok(words.iter().fold(0u32, |sum, word| sum.wrapping_add(*word)).into())
}
