//! MEMCPY: a2 words from `control[a0..]` to `control[a1..]`, overlap as memmove. Twin of
//! `glsl/op/memcpy.glsl`.

use super::{Machine, Outcome, bad_operand};
use crate::protocol::SlotArgs;
use crate::protocol::opcode::MEMCPY_MAX_WORDS;

/// Result: a2. Faults: a source or destination that does not hold a2 words (a0, a1), more words than
/// one copy moves (a2). Copying nothing is fine up to the very end of the buffer.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [source, destination, count, ..] = *args;
    let words = m.control_words();
    // Subtractions, so that no sum can wrap around the end.
    if source > words || count > words - source {
        return Err(bad_operand(0));
    }
    if destination > words || count > words - destination {
        return Err(bad_operand(1));
    }
    if count > MEMCPY_MAX_WORDS {
        return Err(bad_operand(2));
    }
    let backward = destination > source;
    for i in 0..count {
        let k = if backward { count - 1 - i } else { i };
        m.control[(destination + k) as usize] = m.control[(source + k) as usize];
    }
    Ok(count.into())
}
