//! BATCH_FENCE: completes when the slots of its batch have ended. Twin of `glsl/op/batch_fence.glsl`.

use super::{Machine, Outcome, bad_operand};
use crate::protocol::{EPOCH, OBSERVABLE_BASE, SlotArgs};

/// Called when the `batch_count` slots of the batch have ended; 0 for a fence that stands by itself,
/// which is a batch of nothing.
///
/// Result: the new epoch; the tag a1 goes to `observable[0]`, where there is one. Faults: a0 other
/// than the batch's count; then neither changes.
pub fn execute(m: &mut Machine, args: &SlotArgs, batch_count: u32) -> Outcome {
    let [count, tag, ..] = *args;
    if count != batch_count {
        return Err(bad_operand(0));
    }
    if m.observables() > 0 {
        m.control[OBSERVABLE_BASE as usize] = tag;
    }
    let epoch = m.control[EPOCH as usize].wrapping_add(1);
    m.control[EPOCH as usize] = epoch;
    Ok(epoch.into())
}
