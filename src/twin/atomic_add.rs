//! ATOMIC_ADD: `control[a1] += a0`, modulo 2^32. Twin of `glsl/op/atomic_add.glsl`.

use super::{Machine, Outcome, bad_operand};
use crate::protocol::SlotArgs;

/// Result: the value before. Faults: a1 past the buffer.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [addend, index, ..] = *args;
    if index >= m.control_words() {
        return Err(bad_operand(1));
    }
    let before = m.control[index as usize];
    m.control[index as usize] = before.wrapping_add(addend);
    Ok(before.into())
}
