//! STORE_U32: `control[a1] = a0`. Twin of `glsl/op/store_u32.glsl`.

use super::{Machine, Outcome, bad_operand};
use crate::protocol::SlotArgs;

/// Result: 0. Faults: a1 past the buffer.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [value, index, ..] = *args;
    if index >= m.control_words() {
        return Err(bad_operand(1));
    }
    m.control[index as usize] = value;
    Ok(0)
}
