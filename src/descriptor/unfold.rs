//! Many slots as one: UNFOLD.

use super::{BuiltinOpcode, DescriptorError, EncodeSlot, SlotDescriptor, SlotOpcode};
use crate::protocol::opcode::{UNFOLD_FAN_SHIFT, UNFOLD_MAX};
use crate::protocol::{PRIORITY_NORMAL, SlotWords};

/// `count` slots of one opcode that the device publishes itself, as one submission that ends when all of them have.
/// Slot i has the arguments `args[k] + i * steps[k]`, modulo 2^32; the fifth does not grow.
///
/// Each of them is claimed, refused, counted and paid for like one that the host has published, at the same level and
/// for the same tenant. The result is `count`, or the fault of the first that ended in one. Opcodes that ask for IO and
/// SHUTDOWN end as `UNKNOWN_OPCODE` in there.
///
/// ```no_run
/// # use ringfence::descriptor::{BuiltinOpcode, UnfoldDescriptor};
/// # use ringfence::protocol::opcode::{COPY_RANGE, UNFOLD};
/// # use ringfence::runtime::Runtime;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (from, to) = (0, 1);
/// let runtime = Runtime::builder().opcodes(&[UNFOLD, COPY_RANGE]).build()?;
/// // 64 MiB in pieces of half a MiB.
/// let piece = 512 << 10;
/// let copy = UnfoldDescriptor::new(BuiltinOpcode::CopyRange, 128)
///     .args([from, 0, to, 0, piece])
///     .steps([0, piece, 0, piece]);
/// runtime.submit(&copy)?.wait()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfoldDescriptor {
    opcode: SlotOpcode,
    count: u32,
    fan_out: u8,
    first: u32,
    args: [u32; 5],
    steps: [u32; 4],
    priority: u32,
}

impl UnfoldDescriptor {
    /// At NORMAL priority, up to 1,048,576 slots; all arguments are 0.
    #[must_use]
    pub fn new(opcode: impl Into<SlotOpcode>, count: u32) -> Self {
        let opcode = opcode.into();
        Self { opcode, count, fan_out: 0, first: 0, args: [0; 5], steps: [0; 4], priority: PRIORITY_NORMAL }
    }

    /// The arguments of slot 0.
    #[must_use]
    pub fn args(mut self, args: [u32; 5]) -> Self {
        self.args = args;
        self
    }

    /// What the first four arguments grow by from one slot to the next.
    #[must_use]
    pub fn steps(mut self, steps: [u32; 4]) -> Self {
        self.steps = steps;
        self
    }

    /// Begins with slot `first`, instead of 0.
    #[must_use]
    pub fn first(mut self, first: u32) -> Self {
        self.first = first;
        self
    }

    /// Where there are more than so many, 2 or more, they are published by as many parts side by side, and parts of
    /// these: several workers unfold faster than one. 0, the default: by one.
    #[must_use]
    pub fn fan_out(mut self, parts: u8) -> Self {
        self.fan_out = parts;
        self
    }

    /// At another level, 0 (CRITICAL) to 4 (IDLE).
    #[must_use]
    pub fn with_priority(mut self, level: u32) -> Self {
        self.priority = level;
        self
    }
}

impl EncodeSlot for UnfoldDescriptor {
    /// # Errors
    /// [`DescriptorError::TooManySlots`] for a count above 1,048,576, [`DescriptorError::FanOut`] for one part; those
    /// of a single slot of the opcode, but that packed slots and fences may be among them.
    fn encode(&self) -> Result<SlotWords, DescriptorError> {
        if self.count > UNFOLD_MAX {
            return Err(DescriptorError::TooManySlots { count: self.count, most: UNFOLD_MAX });
        }
        if self.fan_out == 1 {
            return Err(DescriptorError::FanOut);
        }
        let opcode = match self.opcode {
            SlotOpcode::Builtin(opcode) => opcode.value(),
            SlotOpcode::Custom(_) => self.opcode.single()?,
        };
        let count = self.count | u32::from(self.fan_out) << UNFOLD_FAN_SHIFT;
        let mut args = [0; 12];
        args[..3].copy_from_slice(&[opcode, count, self.first]);
        args[3..8].copy_from_slice(&self.args);
        args[8..].copy_from_slice(&self.steps);
        SlotDescriptor::single(BuiltinOpcode::Unfold, &args)?.with_priority(self.priority).encode()
    }
}
