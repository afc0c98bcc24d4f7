//! What a stream is asked for, and what it tells.

use crate::io::transfer::TransferOptions;
use crate::protocol::PRIORITY_NORMAL;
use crate::protocol::abi::slot::{ARG0_WORD, OPCODE_WORD, PRIORITY_WORD};
use crate::runtime::job::Outcome;
use crate::runtime::submission::SlotWords;

/// The shape of a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamOptions {
    /// Bytes of a chunk, a multiple of 4096. The range opcodes take up to `RANGE_MAX_BYTES` (512 KiB).
    /// Default: 256 KiB.
    pub chunk_bytes: usize,
    /// Chunks in all, those that are read into and those that slots read; 128 MiB together at most. With
    /// fewer than twice the depth, storage or slots wait for the other. Default: 32.
    pub chunks: usize,
    /// Reads in flight at most. Default: 16.
    pub depth: usize,
    /// The engine, and what it is to use; `entries` is the depth, whatever it says.
    pub transfer: TransferOptions,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { chunk_bytes: 256 << 10, chunks: 32, depth: 16, transfer: TransferOptions::default() }
    }
}

/// Bytes that have arrived, for whoever makes the slot that consumes them.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// From [`Stream::push`](super::Stream::push).
    pub tag: u64,
    /// Where they are in the file, in bytes.
    pub offset: u64,
    /// The resource that they are in, which slots may read.
    pub handle: u32,
    /// Where they begin in it, in bytes; a multiple of 4096.
    pub at: u32,
    /// How many there are; never 0.
    pub bytes: u32,
    /// The same up to the next multiple of 4. The bytes in between are zeros.
    pub padded: u32,
    /// The bytes themselves, for a look from the host's side.
    pub data: &'a [u8],
}

impl Arrival<'_> {
    /// A slot of a range opcode: a0 = handle, a1 = byte offset, a2 = `bytes`. SUM_WORDS takes whole words
    /// ([`padded`](Self::padded)), CRC32C any number ([`bytes`](Self::bytes)).
    pub fn slot(&self, opcode: u32, bytes: u32) -> SlotWords {
        let mut words = SlotWords::default();
        words[OPCODE_WORD as usize] = opcode;
        words[PRIORITY_WORD as usize] = PRIORITY_NORMAL;
        words[ARG0_WORD as usize..][..3].copy_from_slice(&[self.handle, self.at, bytes]);
        words
    }
}

/// A chunk whose slot has ended, or a range of which nothing more comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// From [`Stream::push`](super::Stream::push).
    pub tag: u64,
    /// Where in the file the chunk began; of a range, where reading ended.
    pub offset: u64,
    /// Bytes of the chunk; of a range 0.
    pub bytes: u32,
    /// How the slot ended. Of a range DONE with 0, or FAULT `IO_ERROR` with the errno where a read
    /// failed; what had been read ahead behind that place has been delivered as well.
    pub outcome: Outcome,
    /// The range has ended, behind all of its chunks. Each range has one such record.
    pub last: bool,
}
