//! Every opcode without a handler: a fault, never a slot left hanging.

use super::{Machine, Outcome};
use crate::protocol::{Fault, FaultCode, SlotArgs};

/// UNKNOWN_OPCODE with detail 0.
pub fn execute(_: &mut Machine, _: &SlotArgs) -> Outcome {
    Err(Fault::new(FaultCode::UnknownOpcode, 0))
}
