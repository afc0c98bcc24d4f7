//! NOP: nothing. Twin of `glsl/op/nop.glsl`.

use super::{Machine, Outcome};
use crate::protocol::SlotArgs;

/// Result: 0.
pub fn execute(_: &mut Machine, _: &SlotArgs) -> Outcome {
    Ok(0)
}
