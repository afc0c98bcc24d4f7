//! DFA_STEP: `next = table[a0 * 256 + a1]`, the table by its handle a2. Twin of
//! `glsl/op/dfa_step.glsl`.

use super::{Machine, Outcome, bad_operand};
use crate::protocol::opcode::DFA_ROW_WORDS;
use crate::protocol::{OBSERVABLE_BASE, SlotArgs};

/// Result: the next state, also left in `observable[a3 - 1]` when a3 is not 0.
///
/// Faults: no such table, or one without a whole row (a2, looked at first, since it says how many
/// states there are), no such state (a0), not a byte (a1), a3 - 1 not an observable. The next state is
/// whatever the table holds; it is checked when it comes back as a0.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [state, byte, handle, observable, ..] = *args;
    let table_words = m.resource(handle).len() as u32;
    if table_words < DFA_ROW_WORDS {
        return Err(bad_operand(2));
    }
    if state >= table_words / DFA_ROW_WORDS {
        return Err(bad_operand(0));
    }
    if byte > 255 {
        return Err(bad_operand(1));
    }
    if observable > m.observables() {
        return Err(bad_operand(3));
    }
    let next = m.resource(handle)[(state * DFA_ROW_WORDS + byte) as usize];
    if observable != 0 {
        m.control[(OBSERVABLE_BASE + observable - 1) as usize] = next;
    }
    Ok(next.into())
}
