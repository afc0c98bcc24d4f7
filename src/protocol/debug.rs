//! The debug log: a ring of records that is read while the kernel writes it (PROTOCOL section 4).
//!
//! A record is four words; the stamp behind the records is a check over the record's number and its
//! words. A writer reserves by adding to the cursor, writes the record, then the stamp, and waits for
//! nobody. A reader takes a record only when its stamp matches, so one that is half written, or
//! half overwritten, is never taken for whole.

use super::ProtocolError;
pub use super::abi::debug_log::{CURSOR_WORD, RECORD_CAPACITY, RECORD_WORDS, RECORDS_BASE, STAMP_WORDS};
use super::abi::debug_log::{STAMP_MIX, STAMP_NUMBER, STAMP_SEED};
use super::words::{WORD_BYTES, check_aligned, word_at, zeroed_into};

/// Most records that the encoder builds.
pub const MAX_ENCODED_DEBUG_RECORDS: u32 = 1_048_576;

const BUFFER: &str = "debug log";

/// Record numbers on the device count to here and start again: the cursor counts words, in 32 bits.
const NUMBER_MASK: u32 = u32::MAX / RECORD_WORDS;

/// One PRINTF as the kernel wrote it. The host holds the table of format strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DebugRecord {
    /// Which format string.
    pub fmt_id: u32,
    /// Its arguments, in order.
    pub args: [u32; 3],
}

/// What a debug log held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DebugLog {
    /// The records, oldest first.
    pub records: Vec<DebugRecord>,
    /// How many were overwritten, or never finished, before they could be read.
    pub lost: u64,
}

/// Bytes of a debug log of `record_capacity` records; `None` when a word index or this host's memory
/// does not reach that far.
#[must_use]
pub fn debug_log_byte_len(record_capacity: u32) -> Option<usize> {
    let words = record_capacity.checked_mul(RECORD_WORDS + STAMP_WORDS)?.checked_add(RECORDS_BASE)?;
    usize::try_from(words).ok()?.checked_mul(WORD_BYTES)
}

/// An empty debug log.
///
/// # Errors
/// [`ProtocolError::InvalidWord`] unless `record_capacity` is a power of two (the cursor wraps at
/// 2^32, and the index must go on without a jump there);
/// [`ProtocolError::ByteLengthOverflow`] beyond [`MAX_ENCODED_DEBUG_RECORDS`], or when the host has
/// no memory for it.
pub fn try_encode_empty_debug_log(record_capacity: u32) -> Result<Vec<u8>, ProtocolError> {
    let mut bytes = Vec::new();
    try_encode_empty_debug_log_into(record_capacity, &mut bytes)?;
    Ok(bytes)
}

/// As [`try_encode_empty_debug_log`], into storage of the caller, whose allocation is reused.
///
/// # Errors
/// As [`try_encode_empty_debug_log`]; `dst` is unchanged when the capacity is refused.
pub fn try_encode_empty_debug_log_into(record_capacity: u32, dst: &mut Vec<u8>) -> Result<(), ProtocolError> {
    check_capacity(record_capacity)?;
    let too_many = ProtocolError::ByteLengthOverflow {
        buffer: BUFFER,
        requested: record_capacity.into(),
        limit: MAX_ENCODED_DEBUG_RECORDS.into(),
        fix: "keep fewer records; a reader that polls needs no more",
    };
    if record_capacity > MAX_ENCODED_DEBUG_RECORDS {
        return Err(too_many);
    }
    zeroed_into(BUFFER, debug_log_byte_len(record_capacity).ok_or(too_many)?, dst)
}

/// The stamp of record number `n` with these words. Never 0, so that fresh memory holds no record.
///
/// `glsl/op/printf.glsl` has the same function; the kernel's PRINTF tests hold the two together.
#[must_use]
pub const fn debug_stamp(n: u32, words: [u32; RECORD_WORDS as usize]) -> u32 {
    stamp(n, &words)
}

/// The same of any number of words.
pub(crate) const fn stamp(n: u32, words: &[u32]) -> u32 {
    let mut h = n.wrapping_mul(STAMP_NUMBER).wrapping_add(STAMP_SEED);
    let mut i = 0;
    while i < words.len() {
        h = (h ^ words[i]).wrapping_mul(STAMP_MIX);
        h ^= h >> 15;
        i += 1;
    }
    h | 1
}

/// Reads everything that a log holds once nothing writes to it any more.
///
/// A log whose cursor has passed 2^32 words cannot tell how often; a [`DebugLogReader`] that polled
/// it meanwhile can.
///
/// # Errors
/// [`ProtocolError`] when the bytes are not a log of a power-of-two number of records.
pub fn try_read_debug_log(bytes: &[u8]) -> Result<DebugLog, ProtocolError> {
    check_aligned(BUFFER, bytes)?;
    let body = (bytes.len() / WORD_BYTES).checked_sub(RECORDS_BASE as usize);
    let per_record = (RECORD_WORDS + STAMP_WORDS) as usize;
    let capacity = body
        .filter(|body| body.is_multiple_of(per_record))
        .and_then(|body| u32::try_from(body / per_record).ok())
        .ok_or(ProtocolError::UnexpectedShape {
            buffer: BUFFER,
            found: bytes.len() / WORD_BYTES,
            expected: (RECORDS_BASE + RECORD_CAPACITY * (RECORD_WORDS + STAMP_WORDS)) as usize,
            fix: "a log is 1 + 5 * capacity words; pass the whole buffer",
        })?;
    let mut log = DebugLog::default();
    let mut reader = DebugLogReader::new(capacity)?;
    reader.drain(|word| word_at(bytes, word).unwrap_or(0), |record| log.records.push(record));
    log.lost = reader.lost();
    Ok(log)
}

/// Follows a debug log while the kernel writes it.
///
/// Holds the number of the next record, widened to 64 bits. It keeps that right across the cursor's
/// wrap as long as it polls once within 2^30 records.
#[derive(Debug, Clone)]
pub struct DebugLogReader {
    capacity: u32,
    next: u64,
    lost: u64,
}

impl DebugLogReader {
    /// A reader at the start of a log of `record_capacity` records.
    ///
    /// # Errors
    /// [`ProtocolError::InvalidWord`] unless the capacity is a power of two, and at most 2^29.
    pub fn new(record_capacity: u32) -> Result<Self, ProtocolError> {
        Self::resume(record_capacity, 0)
    }

    /// A reader that goes on at record number `next`, where another left off.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn resume(record_capacity: u32, next: u64) -> Result<Self, ProtocolError> {
        check_capacity(record_capacity)?;
        Ok(Self { capacity: record_capacity, next, lost: 0 })
    }

    /// Number of the next record. From a start at 0, that is how many were taken or lost so far.
    #[must_use]
    pub const fn next_record(&self) -> u64 {
        self.next
    }

    /// How many records were lost so far.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes the records that are complete, in order, and stops at the first that is still being
    /// written. `load` gives a word of the log by index, below `1 + 5 * capacity`; each call must
    /// read memory afresh.
    pub fn poll(&mut self, load: impl FnMut(usize) -> u32, sink: impl FnMut(DebugRecord)) {
        self.advance(load, sink, false);
    }

    /// Takes all that is there, when no dispatch writes any more: a record that was reserved but
    /// never finished counts as lost.
    pub fn drain(&mut self, load: impl FnMut(usize) -> u32, sink: impl FnMut(DebugRecord)) {
        self.advance(load, sink, true);
    }

    fn advance(
        &mut self,
        mut load: impl FnMut(usize) -> u32,
        mut sink: impl FnMut(DebugRecord),
        settled: bool,
    ) {
        let mut head = self.head(load(CURSOR_WORD as usize));
        self.skip_overwritten(head);
        while self.next < head {
            match self.take(&mut load) {
                Some(record) => {
                    sink(record);
                    self.next += 1;
                }
                None if settled => {
                    self.lost += 1;
                    self.next += 1;
                }
                None => {
                    // Not there yet, or overwritten since the cursor was read: the cursor tells.
                    head = self.head(load(CURSOR_WORD as usize));
                    if !self.skip_overwritten(head) {
                        return;
                    }
                }
            }
        }
    }

    /// The record number that the cursor stands at, widened by the distance from `next`.
    fn head(&self, cursor: u32) -> u64 {
        let ahead = (cursor / RECORD_WORDS).wrapping_sub(self.next as u32) & NUMBER_MASK;
        self.next.saturating_add(ahead.into())
    }

    /// Gives up the records whose place was reserved again. True when there were any.
    fn skip_overwritten(&mut self, head: u64) -> bool {
        let oldest = head.saturating_sub(self.capacity.into());
        let skipped = oldest.saturating_sub(self.next);
        self.lost += skipped;
        self.next += skipped;
        skipped > 0
    }

    /// The record numbered `next`, if its stamp says that it is whole.
    fn take(&self, load: &mut impl FnMut(usize) -> u32) -> Option<DebugRecord> {
        let number = self.next as u32 & NUMBER_MASK;
        let index = (number % self.capacity) as usize;
        let base = RECORDS_BASE as usize + index * RECORD_WORDS as usize;
        let stamps = RECORDS_BASE as usize + self.capacity as usize * RECORD_WORDS as usize;
        let words: [u32; RECORD_WORDS as usize] = std::array::from_fn(|i| load(base + i));
        let [fmt_id, args @ ..] = words;
        (load(stamps + index) == debug_stamp(number, words)).then_some(DebugRecord { fmt_id, args })
    }
}

/// The index of a record must not jump where its number wraps at 2^30.
fn check_capacity(record_capacity: u32) -> Result<(), ProtocolError> {
    if record_capacity.is_power_of_two() && record_capacity <= NUMBER_MASK / 2 + 1 {
        return Ok(());
    }
    Err(ProtocolError::InvalidWord {
        buffer: "debug log capacity",
        word_idx: 0,
        value: record_capacity,
        fix: "the capacity is a power of two, at most 2^29",
    })
}
