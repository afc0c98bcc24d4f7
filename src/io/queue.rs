//! The IO queue as one array of entries (PROTOCOL section 7).
//!
//! EMPTY, PUBLISHED, CLAIMED, then OK or ERROR, then EMPTY again. One array with several writers is
//! for hosts and tests; a live device has arrays with a single writer each.
#![forbid(unsafe_code)]

use crate::protocol::io::{IO_SLOT_COUNT, IO_SLOT_WORDS, io_op, io_status, io_word};
use crate::protocol::words::{WORD_BYTES, read_word, set_word};
use crate::protocol::{ProtocolError, slot};

const BUFFER: &str = "IO queue";
const SLOT_BYTES: usize = IO_SLOT_WORDS as usize * WORD_BYTES;

/// What an entry asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IoRequest {
    /// One of [`io_op`].
    pub op: u32,
    /// Source: an index into the host's table of capabilities.
    pub src_handle: u32,
    /// Destination: likewise.
    pub dst_handle: u32,
    /// Byte offset into the source.
    pub offset: u64,
    /// Bytes asked for.
    pub byte_count: u32,
    /// The caller's own word, given back with the completion.
    pub tag: u32,
}

/// How an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IoCompletion {
    /// Bytes that arrived, or the errno.
    pub result: Result<u32, u32>,
    /// The request's tag.
    pub tag: u32,
}

impl IoCompletion {
    /// The status word that says so.
    #[must_use]
    pub const fn status(&self) -> u32 {
        match self.result {
            Ok(_) => io_status::OK,
            Err(_) => io_status::ERROR,
        }
    }
}

/// A queue of 1 to 64 entries in this process's memory. One thread at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IoQueue {
    bytes: Vec<u8>,
    slot_count: u32,
}

impl IoQueue {
    /// A queue of EMPTY entries.
    ///
    /// # Errors
    /// [`ProtocolError::ByteLengthOverflow`] unless `slot_count` is 1 to 64.
    pub fn new(slot_count: u32) -> Result<Self, ProtocolError> {
        check_count(slot_count.into())?;
        let bytes = vec![0; slot_count as usize * SLOT_BYTES];
        Ok(Self { bytes, slot_count })
    }

    /// A queue that was read back, in whatever state its entries are.
    ///
    /// # Errors
    /// [`ProtocolError::MisalignedByteLength`] unless the bytes are whole entries,
    /// [`ProtocolError::ByteLengthOverflow`] unless there are 1 to 64 of them.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ProtocolError> {
        let slot_count = check_shape(&bytes)?;
        Ok(Self { bytes, slot_count })
    }

    /// Entries in the queue.
    #[must_use]
    pub const fn slot_count(&self) -> u32 {
        self.slot_count
    }

    /// The bytes as a device would see them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Publishes a request, its status word last.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidWord`] for an unknown op, [`ProtocolError::SlotInUse`] unless the
    /// entry is EMPTY, [`ProtocolError::MissingWord`] past the queue. The queue is unchanged then.
    pub fn publish_slot(&mut self, slot_idx: u32, request: &IoRequest) -> Result<(), ProtocolError> {
        check_op(request.op)?;
        self.expect(slot_idx, slot::EMPTY, "wait for its completion and recycle the entry")?;
        let words = [
            (io_word::OP_TYPE, request.op),
            (io_word::SRC_HANDLE, request.src_handle),
            (io_word::DST_HANDLE, request.dst_handle),
            (io_word::OFFSET_LO, request.offset as u32),
            (io_word::OFFSET_HI, (request.offset >> 32) as u32),
            (io_word::BYTE_COUNT, request.byte_count),
            (io_word::TAG, request.tag),
            (io_word::STATUS, slot::PUBLISHED),
        ];
        words.into_iter().try_for_each(|(word, value)| self.set(slot_idx, word, value))
    }

    /// Publishes a READ: `byte_count` bytes from `offset` of the source into the destination.
    ///
    /// # Errors
    /// As [`publish_slot`](Self::publish_slot).
    pub fn submit_dma_read(
        &mut self,
        slot_idx: u32,
        src_handle: u32,
        dst_handle: u32,
        offset: u64,
        byte_count: u32,
        tag: u32,
    ) -> Result<(), ProtocolError> {
        let request = IoRequest { op: io_op::READ, src_handle, dst_handle, offset, byte_count, tag };
        self.publish_slot(slot_idx, &request)
    }

    /// Publishes a WRITE: `byte_count` bytes from `offset` of the source to the destination.
    ///
    /// # Errors
    /// As [`publish_slot`](Self::publish_slot).
    pub fn submit_dma_write(
        &mut self,
        slot_idx: u32,
        src_handle: u32,
        dst_handle: u32,
        offset: u64,
        byte_count: u32,
        tag: u32,
    ) -> Result<(), ProtocolError> {
        let request = IoRequest { op: io_op::WRITE, src_handle, dst_handle, offset, byte_count, tag };
        self.publish_slot(slot_idx, &request)
    }

    /// Claims a published entry and reads what it asks for.
    ///
    /// # Errors
    /// [`ProtocolError::SlotInUse`] unless it is PUBLISHED, [`ProtocolError::InvalidWord`] for an op
    /// that does not exist (the entry stays PUBLISHED), [`ProtocolError::MissingWord`] past the queue.
    pub fn claim(&mut self, slot_idx: u32) -> Result<IoRequest, ProtocolError> {
        self.expect(slot_idx, slot::PUBLISHED, "only a published entry can be claimed")?;
        let word = |word| self.get(slot_idx, word);
        let request = IoRequest {
            op: word(io_word::OP_TYPE)?,
            src_handle: word(io_word::SRC_HANDLE)?,
            dst_handle: word(io_word::DST_HANDLE)?,
            offset: u64::from(word(io_word::OFFSET_LO)?) | u64::from(word(io_word::OFFSET_HI)?) << 32,
            byte_count: word(io_word::BYTE_COUNT)?,
            tag: word(io_word::TAG)?,
        };
        check_op(request.op)?;
        self.set(slot_idx, io_word::STATUS, slot::CLAIMED)?;
        Ok(request)
    }

    /// Ends a claimed entry with the bytes that arrived, or an errno.
    ///
    /// # Errors
    /// [`ProtocolError::SlotInUse`] unless it is CLAIMED, [`ProtocolError::MissingWord`] past the
    /// queue.
    pub fn complete(&mut self, slot_idx: u32, result: Result<u32, u32>) -> Result<(), ProtocolError> {
        self.expect(slot_idx, slot::CLAIMED, "only a claimed entry can be completed")?;
        let (count, status) = match result {
            Ok(bytes) => (bytes, io_status::OK),
            Err(errno) => (errno, io_status::ERROR),
        };
        self.set(slot_idx, io_word::BYTE_COUNT, count)?;
        self.set(slot_idx, io_word::STATUS, status)
    }

    /// How an entry ended; `None` while it is under way or EMPTY.
    ///
    /// # Errors
    /// [`ProtocolError::MissingWord`] past the queue, [`ProtocolError::InvalidWord`] for a status
    /// that no entry can have.
    pub fn completion(&self, slot_idx: u32) -> Result<Option<IoCompletion>, ProtocolError> {
        let count = self.get(slot_idx, io_word::BYTE_COUNT)?;
        let tag = self.get(slot_idx, io_word::TAG)?;
        match self.get(slot_idx, io_word::STATUS)? {
            io_status::OK => Ok(Some(IoCompletion { result: Ok(count), tag })),
            io_status::ERROR => Ok(Some(IoCompletion { result: Err(count), tag })),
            slot::EMPTY..=slot::FAULT => Ok(None),
            value => Err(ProtocolError::InvalidWord {
                buffer: BUFFER,
                word_idx: (slot_idx * IO_SLOT_WORDS + io_word::STATUS) as usize,
                value,
                fix: "a status is a slot state, OK (0x10) or ERROR (0x11)",
            }),
        }
    }

    /// Frees an entry whose completion was read.
    ///
    /// # Errors
    /// [`ProtocolError::SlotInUse`] unless it is OK or ERROR, [`ProtocolError::MissingWord`] past the
    /// queue.
    pub fn recycle(&mut self, slot_idx: u32) -> Result<(), ProtocolError> {
        if self.completion(slot_idx)?.is_none() {
            let status = self.get(slot_idx, io_word::STATUS)?;
            let fix = "only an entry that is OK or ERROR can be recycled";
            return Err(ProtocolError::SlotInUse { buffer: BUFFER, slot: slot_idx, status, fix });
        }
        self.set(slot_idx, io_word::STATUS, slot::EMPTY)
    }

    /// Whether the entry is EMPTY, so that it can be published into.
    ///
    /// # Errors
    /// [`ProtocolError::MissingWord`] past the queue.
    pub fn is_recycled(&self, slot_idx: u32) -> Result<bool, ProtocolError> {
        Ok(self.get(slot_idx, io_word::STATUS)? == slot::EMPTY)
    }

    fn expect(&self, slot_idx: u32, wanted: u32, fix: &'static str) -> Result<(), ProtocolError> {
        match self.get(slot_idx, io_word::STATUS)? {
            status if status == wanted => Ok(()),
            status => Err(ProtocolError::SlotInUse { buffer: BUFFER, slot: slot_idx, status, fix }),
        }
    }

    fn get(&self, slot_idx: u32, word: u32) -> Result<u32, ProtocolError> {
        read_word(BUFFER, &self.bytes, self.word_index(slot_idx, word)?)
    }

    fn set(&mut self, slot_idx: u32, word: u32, value: u32) -> Result<(), ProtocolError> {
        let word_idx = self.word_index(slot_idx, word)?;
        let stored = set_word(&mut self.bytes, word_idx, value);
        debug_assert!(stored, "word_index checked the bound");
        Ok(())
    }

    fn word_index(&self, slot_idx: u32, word: u32) -> Result<usize, ProtocolError> {
        let word_idx = slot_idx as usize * IO_SLOT_WORDS as usize + word as usize;
        if slot_idx < self.slot_count {
            return Ok(word_idx);
        }
        Err(ProtocolError::MissingWord {
            buffer: BUFFER,
            word_idx,
            byte_len: self.bytes.len(),
            fix: "use an entry index below slot_count()",
        })
    }
}

/// The number of entries, if the bytes are whole ones and a queue can have so many.
pub(crate) fn check_shape(bytes: &[u8]) -> Result<u32, ProtocolError> {
    if bytes.len().is_multiple_of(SLOT_BYTES) {
        return check_count((bytes.len() / SLOT_BYTES) as u64);
    }
    Err(ProtocolError::MisalignedByteLength {
        buffer: BUFFER,
        byte_len: bytes.len(),
        unit: SLOT_BYTES,
        fix: "pass whole entries of 32 bytes",
    })
}

/// Refuses a number of entries that a queue cannot have.
fn check_count(slot_count: u64) -> Result<u32, ProtocolError> {
    match u32::try_from(slot_count) {
        Ok(count @ 1..=IO_SLOT_COUNT) => Ok(count),
        _ => Err(ProtocolError::ByteLengthOverflow {
            buffer: BUFFER,
            requested: slot_count,
            limit: IO_SLOT_COUNT.into(),
            fix: "an IO queue has 1 to 64 entries",
        }),
    }
}

/// Refuses an op that the protocol does not have.
fn check_op(op: u32) -> Result<(), ProtocolError> {
    if (io_op::READ..=io_op::FENCE).contains(&op) {
        return Ok(());
    }
    Err(ProtocolError::InvalidWord {
        buffer: BUFFER,
        word_idx: io_word::OP_TYPE as usize,
        value: op,
        fix: "the op is READ (1), WRITE (2) or FENCE (3)",
    })
}
