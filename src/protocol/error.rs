//! What can be wrong with a protocol buffer.

use thiserror::Error;

/// A buffer that does not have the shape of the protocol, or a request that it cannot express.
///
/// Every variant names the buffer and the offending value, and `fix` says what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A size or an index is beyond what the protocol, or this host's memory, can hold.
    #[error("{buffer}: {requested} is more than the limit of {limit}; {fix}")]
    ByteLengthOverflow {
        /// The buffer that was to be sized or indexed.
        buffer: &'static str,
        /// What was asked for, in the unit that `fix` names.
        requested: u64,
        /// The most that is possible.
        limit: u64,
        /// What to do about it.
        fix: &'static str,
    },
    /// A length in bytes that is not the whole number of words or slots that was expected.
    #[error("{buffer}: {byte_len} bytes are not a whole number of {unit}-byte units; {fix}")]
    MisalignedByteLength {
        /// The buffer at fault.
        buffer: &'static str,
        /// Its length in bytes.
        byte_len: usize,
        /// Bytes of the unit that the length must be made of.
        unit: usize,
        /// What to do about it.
        fix: &'static str,
    },
    /// The buffer ends before a word that must be there.
    #[error("{buffer}: word {word_idx} lies past its {byte_len} bytes; {fix}")]
    MissingWord {
        /// The buffer at fault.
        buffer: &'static str,
        /// The word that is not there.
        word_idx: usize,
        /// The length of the buffer in bytes.
        byte_len: usize,
        /// What to do about it.
        fix: &'static str,
    },
    /// A word holds a value that it cannot have here.
    #[error("{buffer}: word {word_idx} is {value:#x}; {fix}")]
    InvalidWord {
        /// The buffer at fault.
        buffer: &'static str,
        /// The word.
        word_idx: usize,
        /// What it holds.
        value: u32,
        /// What to do about it.
        fix: &'static str,
    },
    /// A slot is in a state that does not allow what was asked.
    #[error("{buffer}: slot {slot} has status {status}; {fix}")]
    SlotInUse {
        /// The ring or queue.
        buffer: &'static str,
        /// Index of the slot.
        slot: u32,
        /// Its status word.
        status: u32,
        /// What to do about it.
        fix: &'static str,
    },
    /// A set of buffers does not have the shape that belongs to it.
    #[error("{buffer}: {found} where {expected} was expected; {fix}")]
    UnexpectedShape {
        /// The buffer, or the set of them.
        buffer: &'static str,
        /// What was there: a count, or a length in bytes.
        found: usize,
        /// What belongs there.
        expected: usize,
        /// What to do about it.
        fix: &'static str,
    },
}
