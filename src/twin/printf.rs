//! PRINTF: a record of format id a0 and arguments a1 to a3 in the debug log. Twin of
//! `glsl/op/printf.glsl`.

use super::{Machine, Outcome};
use crate::protocol::{CURSOR_WORD, RECORD_WORDS, RECORDS_BASE, SlotArgs, debug_stamp};

/// Result: records written so far, this one included, modulo 2^30.
pub fn execute(m: &mut Machine, args: &SlotArgs) -> Outcome {
    let [fmt_id, x, y, z, ..] = *args;
    let words = [fmt_id, x, y, z];
    let cursor = &mut m.debug_log[CURSOR_WORD as usize];
    let number = *cursor / RECORD_WORDS;
    *cursor = cursor.wrapping_add(RECORD_WORDS);
    let index = number % m.log_capacity;
    let at = (RECORDS_BASE + RECORD_WORDS * index) as usize;
    m.debug_log[at..at + words.len()].copy_from_slice(&words);
    m.debug_log[(RECORDS_BASE + RECORD_WORDS * m.log_capacity + index) as usize] = debug_stamp(number, words);
    Ok((number + 1).into())
}
