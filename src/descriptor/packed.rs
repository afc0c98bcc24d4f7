//! The packed slot's encoder (PROTOCOL section 5).

use super::SlotOpcode;
use crate::protocol::opcode::{self, PACKED_MAX_OPS};
use crate::protocol::{ARGS_PER_SLOT, SlotArgs, validate_user_opcode};
use thiserror::Error;

/// Why inner ops cannot be one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PackedError {
    /// Their header alone does not fit.
    #[error("{0} inner ops given, but a packed slot holds at most 23; split them over several slots")]
    TooManyOps(usize),
    /// Header and arguments together do not fit.
    #[error(
        "{ops} inner ops leave room for {limit} argument words, and {given} were given; split them over several slots"
    )]
    TooManyArguments {
        /// How many ops there are.
        ops: usize,
        /// Argument words of all ops together.
        given: usize,
        /// The room behind the header.
        limit: usize,
    },
    /// Not an opcode that a byte can name, or not one that a lane executes.
    #[error(
        "inner op {index} has opcode {opcode:#x}; only the built-ins 0 to 6 and lane handlers 8 to 255 can be packed"
    )]
    Opcode {
        /// Which inner op.
        index: usize,
        /// Its opcode.
        opcode: u32,
    },
}

/// One op within a packed slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedOpDescriptor {
    /// A built-in 0 to 6, or a lane handler of a user, 8 to 255.
    pub opcode: SlotOpcode,
    /// Its arguments; what it reads beyond them is zero.
    pub args: Vec<u32>,
}

impl PackedOpDescriptor {
    /// An inner op.
    #[must_use]
    pub fn new(opcode: impl Into<SlotOpcode>, args: &[u32]) -> Self {
        Self { opcode: opcode.into(), args: args.to_vec() }
    }

    /// The opcode as a byte of the header.
    fn opcode_byte(&self) -> Option<u8> {
        let value = self.opcode.value();
        let lane = match self.opcode {
            SlotOpcode::Builtin(_) => value < opcode::BATCH_FENCE,
            SlotOpcode::Custom(_) => validate_user_opcode(value).is_ok(),
        };
        u8::try_from(value).ok().filter(|_| lane)
    }
}

/// The argument words of a packed slot: header bytes n, T, then opcode and start of each op, then the
/// arguments from the next whole word on.
pub(super) fn encode(ops: &[PackedOpDescriptor]) -> Result<SlotArgs, PackedError> {
    let total: usize = ops.iter().map(|op| op.args.len()).sum();
    if ops.len() > PACKED_MAX_OPS as usize {
        return Err(PackedError::TooManyOps(ops.len()));
    }
    let header_words = (2 + 2 * ops.len()).div_ceil(4);
    let limit = (ARGS_PER_SLOT as usize).saturating_sub(header_words);
    if total > limit {
        return Err(PackedError::TooManyArguments { ops: ops.len(), given: total, limit });
    }

    // Both counts fit a byte: at most 23 ops, at most 12 words.
    let mut bytes = [0u8; 4 * ARGS_PER_SLOT as usize];
    let (pairs, _) = bytes.as_chunks_mut::<2>();
    let (counts, entries) = pairs.split_at_mut(1);
    counts.fill([ops.len() as u8, total as u8]);
    let mut start = 0;
    for ((index, op), entry) in ops.iter().enumerate().zip(entries) {
        let opcode = op.opcode_byte().ok_or(PackedError::Opcode { index, opcode: op.opcode.value() })?;
        *entry = [opcode, start];
        start += op.args.len() as u8;
    }
    let (words, _) = bytes.as_chunks::<4>();
    let mut args: SlotArgs = std::array::from_fn(|i| u32::from_le_bytes(words[i]));
    let area = args.iter_mut().skip(header_words);
    for (word, value) in area.zip(ops.iter().flat_map(|op| &op.args)) {
        *word = *value;
    }
    Ok(args)
}
