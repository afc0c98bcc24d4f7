//! Opcodes, and who may use which (PROTOCOL section 3).

use super::abi::opcode as abi;
use thiserror::Error;

pub use super::abi::opcode::{UNFOLD_FAN_SHIFT, UNFOLD_MAX};
pub use super::abi::range::RANGE_MAX_BYTES;
pub use abi::{DFA_ROW_WORDS, MEMCPY_MAX_WORDS, PACKED_MAX_OPS, SYSTEM_MASK};

/// Does nothing.
pub const NOP: u32 = abi::OP_NOP;
/// `control[a1] = a0`.
pub const STORE_U32: u32 = abi::OP_STORE_U32;
/// `control[a1] += a0`; the result is the value before.
pub const ATOMIC_ADD: u32 = abi::OP_ATOMIC_ADD;
/// `observable[a1] = control[a0]`; the result is the value.
pub const LOAD_U32: u32 = abi::OP_LOAD_U32;
/// If `control[a0] == a1` then `control[a0] = a2`; the result is the value before.
pub const COMPARE_SWAP: u32 = abi::OP_COMPARE_SWAP;
/// Copies a2 words from `control[a0..]` to `control[a1..]`.
pub const MEMCPY: u32 = abi::OP_MEMCPY;
/// One step of a byte automaton: state a0, byte a1, table a2.
pub const DFA_STEP: u32 = abi::OP_DFA_STEP;
/// Completes when the a0 slots of its batch have ended.
pub const BATCH_FENCE: u32 = abi::OP_BATCH_FENCE;
/// Asks for the bytes of a resource.
pub const LOAD_MISS: u32 = abi::OP_LOAD_MISS;
/// Appends a debug record: format a0, arguments a1 to a3.
pub const PRINTF: u32 = abi::OP_PRINTF;
/// Several inner ops in one slot.
pub const PACKED_SLOT: u32 = abi::OP_PACKED_SLOT;
/// Scans a chunk of text with an automaton; a wide opcode.
pub const SCAN: u32 = abi::OP_SCAN;
/// CRC32C of a2 bytes of resource a0 from byte a1 on, continuing the CRC a3; a wide opcode.
pub const CRC32C: u32 = abi::OP_CRC32C;
/// Sum of the words in a2 bytes of resource a0 from byte a1 on; a wide opcode.
pub const SUM_WORDS: u32 = abi::OP_SUM_WORDS;
/// Copies a4 bytes from byte a1 of resource a0 to byte a3 of resource a2; a wide opcode.
pub const COPY_RANGE: u32 = abi::OP_COPY_RANGE;
/// Writes a range of memory to a file: a0 = file, a2/a3 = byte offset, a4 = bytes, a5/a6 = memory and byte offset.
pub const STORE_RANGE: u32 = abi::OP_STORE_RANGE;
/// Completes when all IO asked before it was answered.
pub const IO_FENCE: u32 = abi::OP_IO_FENCE;
/// LOAD_MISS, then the sum of the words that arrived; its arguments, without a1, and a6 a multiple of 4. Then a7 times
/// the same, each at one of a8 blocks of a4 bytes, drawn with the seed a9.
pub const LOAD_SUM: u32 = abi::OP_LOAD_SUM;
/// Publishes slots from the device, and ends when they have: a0 = their opcode, a1 = how many and the fan-out above
/// bit 24, a2 = the number of the first, a3..a7 = the arguments of number 0, a8..a11 = what the first four grow by.
pub const UNFOLD: u32 = abi::OP_UNFOLD;
/// Drains, then stops the workers; tenant 0 only.
pub const SHUTDOWN: u32 = abi::OP_SHUTDOWN;

/// First opcode of the range that 16-bit system opcodes are kept in.
const RESERVED_FIRST: u32 = 0xFFF0;
/// Last opcode of that range.
const RESERVED_LAST: u32 = 0xFFFF;

/// Why an opcode cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpcodeError {
    /// 0 to 7 are lane built-ins.
    #[error("opcode {0:#x} is a built-in; user opcodes start at 8")]
    Builtin(u32),
    /// 0xFFF0 to 0xFFFF are the system's.
    #[error(
        "opcode {0:#x} lies in the reserved range 0xfff0..=0xffff; use 8..=0xffef or 0x10000..=0x7fffffff"
    )]
    ReservedRange(u32),
    /// The high bit belongs to the system.
    #[error("opcode {0:#x} has the system bit 0x80000000; use 8..=0xffef or 0x10000..=0x7fffffff")]
    SystemBit(u32),
}

/// Accepts an opcode that a user's handler may take: 8..=0xFFEF and 0x1_0000..=0x7FFF_FFFF.
///
/// # Errors
/// The rule that `opcode` breaks.
pub fn validate_user_opcode(opcode: u32) -> Result<(), OpcodeError> {
    match opcode {
        _ if opcode & SYSTEM_MASK != 0 => Err(OpcodeError::SystemBit(opcode)),
        NOP..=BATCH_FENCE => Err(OpcodeError::Builtin(opcode)),
        RESERVED_FIRST..=RESERVED_LAST => Err(OpcodeError::ReservedRange(opcode)),
        _ => Ok(()),
    }
}

/// Accepts an opcode that a host may publish: a user's, or one that the system defines.
///
/// A user opcode without a handler passes: its slot ends in FAULT `UNKNOWN_OPCODE`.
///
/// # Errors
/// The rule that `opcode` breaks: reserved, and not defined.
pub fn validate_publish_opcode(opcode: u32) -> Result<(), OpcodeError> {
    match opcode {
        NOP..=BATCH_FENCE | LOAD_MISS | PRINTF | PACKED_SLOT | SHUTDOWN => Ok(()),
        SCAN | CRC32C | SUM_WORDS | COPY_RANGE | STORE_RANGE | IO_FENCE | LOAD_SUM | UNFOLD => Ok(()),
        _ => validate_user_opcode(opcode),
    }
}
