//! COMPARE_SWAP: if `control[a0] == a1` then `control[a0] = a2`. Twin of `glsl/op/compare_swap.glsl`.

use super::{Machine, Outcome, bad_operand};
use crate::protocol::{OBSERVABLE_BASE, SlotArgs};

/// Result: the value before, also left in `observable[a3 - 1]` when a3 is not 0; that store comes
/// second, so it stands when both name the same word. Faults: a0 past the buffer, a3 - 1 not an
/// observable.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [index, expected, new, observable, ..] = *args;
    if index >= m.control_words() {
        return Err(bad_operand(0));
    }
    if observable > m.observables() {
        return Err(bad_operand(3));
    }
    let before = m.control[index as usize];
    if before == expected {
        m.control[index as usize] = new;
    }
    if observable != 0 {
        m.control[(OBSERVABLE_BASE + observable - 1) as usize] = before;
    }
    Ok(before.into())
}
