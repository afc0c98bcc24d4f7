//! COPY_RANGE: a4 bytes from byte a1 of resource a0 on, to byte a3 of resource a2 on. Twin of
//! `glsl/op/copy_range.glsl`.

use super::range::{bytes_of, exceeds};
use super::{Machine, Outcome, bad_operand};
use crate::protocol::SlotArgs;

/// Result: a4. Faults: no such resource (a0), or none that slots write (a2); an offset that is no multiple
/// of 4, or behind the end (a1, a3); a length that is no multiple of 4, more than one slot takes, or runs
/// past either end (a4); ranges that overlap (a3, looked at last). Copying nothing is fine anywhere.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [from, from_at, to, to_at, bytes, ..] = *args;
    let source = m.resource(from).to_vec();
    if source.is_empty() {
        return Err(bad_operand(0));
    }
    if !from_at.is_multiple_of(4) || from_at > bytes_of(&source) {
        return Err(bad_operand(1));
    }
    let destination = m.output(to);
    if destination.is_empty() {
        return Err(bad_operand(2));
    }
    if !to_at.is_multiple_of(4) || to_at > bytes_of(destination) {
        return Err(bad_operand(3));
    }
    if !bytes.is_multiple_of(4) || exceeds(&source, from_at, bytes) || exceeds(destination, to_at, bytes) {
        return Err(bad_operand(4));
    }
    if from == to && from_at.abs_diff(to_at) < bytes {
        return Err(bad_operand(3));
    }
    let words = &source[(from_at / 4) as usize..][..(bytes / 4) as usize];
    destination[(to_at / 4) as usize..][..words.len()].copy_from_slice(words);
    Ok(bytes.into())
}
