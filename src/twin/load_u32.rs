//! LOAD_U32: `observable[a1] = control[a0]`. Twin of `glsl/op/load_u32.glsl`.

use super::{Machine, Outcome, bad_operand};
use crate::protocol::{OBSERVABLE_BASE, SlotArgs};

/// Result: the value. Faults: a0 past the buffer, a1 not an observable.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [index, observable, ..] = *args;
    if index >= m.control_words() {
        return Err(bad_operand(0));
    }
    if observable >= m.observables() {
        return Err(bad_operand(1));
    }
    let value = m.control[index as usize];
    m.control[(OBSERVABLE_BASE + observable) as usize] = value;
    Ok(value.into())
}
