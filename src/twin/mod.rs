//! CPU twins of the kernel's opcodes: the oracles that the device is held against.
//!
//! Each opcode has a file here and an include of the same name in `glsl/op/`, written alike so that
//! the two can be read side by side. [`Machine`] is the kernel around them: one worker that takes the
//! slots of a batch in order, and keeps the counters of the control buffer.
//!
//! Not for work: it runs on one thread and is meant to be plain, not fast.

pub mod atomic_add;
pub mod batch_fence;
pub mod compare_swap;
pub mod copy_range;
pub mod crc32c;
pub mod dfa_step;
pub mod load_sum;
pub mod load_u32;
mod machine;
pub mod memcpy;
pub mod nop;
pub mod packed_slot;
pub mod printf;
mod range;
pub mod scan;
pub mod shutdown;
pub mod store_u32;
pub mod sum_words;
pub mod unfold;
pub mod unknown;

pub use machine::{BatchOutcome, Machine};

use crate::protocol::{Fault, FaultCode};

/// How a slot ended: DONE with its result, or FAULT.
pub type Outcome = Result<u64, Fault>;

/// The fault of argument `argument`.
const fn bad_operand(argument: u16) -> Fault {
    Fault::new(FaultCode::BadOperand, argument)
}
