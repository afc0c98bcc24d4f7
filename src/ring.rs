//! Who publishes into a ring and who reads it: two traits, and the ring that lives in this process.
//!
//! Not for a live ring on a device: there the hand-over is a queue entry, and the runtime holds it.
//! Here the status word is the hand-over, as in a dispatch that is uploaded, run and read back.
#![forbid(unsafe_code)]

use crate::protocol::words::{WORD_BYTES, read_word, set_word};
use crate::protocol::{
    ProtocolError, SLOT_WORDS, STATUS_WORD, SlotWords, slot, try_encode_empty_ring, try_slot_word_base,
    try_slot_word_index,
};

/// Bytes of a slot.
pub const SLOT_BYTES: usize = SLOT_WORDS as usize * WORD_BYTES;

const BUFFER: &str = "ring";

/// Puts encoded slots into a ring.
pub trait RingProducer {
    /// Publishes one slot of exactly [`SLOT_BYTES`] bytes, its status word last.
    ///
    /// # Errors
    /// [`ProtocolError`] for another length, a status other than PUBLISHED, an index past the ring,
    /// or a slot that is not EMPTY. The ring is then unchanged.
    fn publish(&mut self, slot_idx: u32, encoded: &[u8]) -> Result<(), ProtocolError>;

    /// Publishes `slots` into consecutive places from `start_slot`, all of them or none.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), for the first place or slot that does not fit.
    fn publish_run(&mut self, start_slot: u32, slots: &[SlotWords]) -> Result<(), ProtocolError>;

    /// Slots in the ring.
    fn slot_count(&self) -> u32;

    /// What kind of ring it is, for messages.
    fn name(&self) -> &'static str;
}

/// Reads slots from a ring.
pub trait RingConsumer {
    /// Copies a slot into `out`, which must be exactly [`SLOT_BYTES`] long.
    ///
    /// # Errors
    /// [`ProtocolError`] for another length or an index past the ring.
    fn read_slot(&self, slot_idx: u32, out: &mut [u8]) -> Result<(), ProtocolError>;

    /// Slots in the ring.
    fn slot_count(&self) -> u32;

    /// How many slots are DONE.
    ///
    /// # Errors
    /// Whatever [`read_slot`](Self::read_slot) says.
    fn try_done_count(&self) -> Result<u32, ProtocolError> {
        let mut bytes = [0; SLOT_BYTES];
        let mut done = 0;
        for slot_idx in 0..self.slot_count() {
            self.read_slot(slot_idx, &mut bytes)?;
            done += u32::from(read_word(BUFFER, &bytes, STATUS_WORD as usize)? == slot::DONE);
        }
        Ok(done)
    }
}

/// A ring in this process's memory, over storage of its own or of the caller.
///
/// One thread at a time: publishing takes `&mut self`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRing<B = Vec<u8>> {
    /// Whole slots, at most `MAX_RING_SLOTS` of them.
    bytes: B,
    slot_count: u32,
}

impl HostRing {
    /// A ring of EMPTY slots.
    ///
    /// # Errors
    /// As [`try_encode_empty_ring`].
    pub fn new(slot_count: u32) -> Result<Self, ProtocolError> {
        Ok(Self { bytes: try_encode_empty_ring(slot_count)?, slot_count })
    }
}

impl<B: AsRef<[u8]>> HostRing<B> {
    /// A ring over bytes that hold one already: a readback, or a `&mut [u8]` of the caller.
    ///
    /// # Errors
    /// [`ProtocolError`] unless the bytes are whole slots, and no more than a ring can have.
    pub fn from_bytes(bytes: B) -> Result<Self, ProtocolError> {
        let slots = crate::protocol::ring::check_slots(bytes.as_ref())?.len();
        Ok(Self { slot_count: slots as u32, bytes })
    }

    /// Slots in the ring.
    #[must_use]
    pub const fn slot_count(&self) -> u32 {
        self.slot_count
    }

    /// The bytes as a device would see them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The status word of a slot.
    ///
    /// # Errors
    /// [`ProtocolError::MissingWord`] past the ring.
    pub fn status(&self, slot_idx: u32) -> Result<u32, ProtocolError> {
        read_word(BUFFER, self.as_bytes(), try_slot_word_index(slot_idx, STATUS_WORD)?)
    }

    /// Refuses a slot that nothing may be published into.
    ///
    /// DONE and FAULT are refused as well: nothing here knows whether their completion was read.
    fn check_free(&self, slot_idx: u32) -> Result<(), ProtocolError> {
        match self.status(slot_idx)? {
            slot::EMPTY => Ok(()),
            status => Err(ProtocolError::SlotInUse {
                buffer: BUFFER,
                slot: slot_idx,
                status,
                fix: "wait for DONE or FAULT, read the slot, then recycle it",
            }),
        }
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> HostRing<B> {
    /// Frees a slot whose completion was read.
    ///
    /// # Errors
    /// [`ProtocolError::SlotInUse`] unless it is DONE or FAULT, [`ProtocolError::MissingWord`] past
    /// the ring.
    pub fn recycle(&mut self, slot_idx: u32) -> Result<(), ProtocolError> {
        match self.status(slot_idx)? {
            slot::DONE | slot::FAULT => self.set(slot_idx, STATUS_WORD, slot::EMPTY),
            status => Err(ProtocolError::SlotInUse {
                buffer: BUFFER,
                slot: slot_idx,
                status,
                fix: "only a slot that is DONE or FAULT can be recycled",
            }),
        }
    }

    /// Moves a slot to `status`, as a device would; for tests and for hosts that play the device.
    ///
    /// # Errors
    /// [`ProtocolError::MissingWord`] past the ring.
    pub fn set_status(&mut self, slot_idx: u32, status: u32) -> Result<(), ProtocolError> {
        self.set(slot_idx, STATUS_WORD, status)
    }

    fn set(&mut self, slot_idx: u32, word: u32, value: u32) -> Result<(), ProtocolError> {
        let word_idx = try_slot_word_index(slot_idx, word)?;
        let bytes = self.bytes.as_mut();
        if set_word(bytes, word_idx, value) {
            return Ok(());
        }
        Err(missing(word_idx, bytes.len()))
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> RingProducer for HostRing<B> {
    fn publish(&mut self, slot_idx: u32, encoded: &[u8]) -> Result<(), ProtocolError> {
        self.publish_run(slot_idx, &[decode(encoded)?])
    }

    fn publish_run(&mut self, start_slot: u32, slots: &[SlotWords]) -> Result<(), ProtocolError> {
        // Everything is checked before anything is written: whole or not at all.
        let count = u32::try_from(slots.len()).ok();
        let places = count.and_then(|count| Some(start_slot..start_slot.checked_add(count)?));
        let Some(places) = places.filter(|places| places.end <= self.slot_count) else {
            let wanted = u64::from(start_slot) + slots.len() as u64;
            return Err(ProtocolError::ByteLengthOverflow {
                buffer: BUFFER,
                requested: wanted,
                limit: self.slot_count.into(),
                fix: "publish fewer slots, or start earlier: the run ends past the ring",
            });
        };
        for (slot_idx, words) in places.clone().zip(slots) {
            check_published(words)?;
            self.check_free(slot_idx)?;
        }
        for (slot_idx, words) in places.clone().zip(slots) {
            for (word, &value) in (0..SLOT_WORDS).zip(words).skip(STATUS_WORD as usize + 1) {
                self.set(slot_idx, word, value)?;
            }
        }
        for slot_idx in places {
            self.set(slot_idx, STATUS_WORD, slot::PUBLISHED)?;
        }
        Ok(())
    }

    fn slot_count(&self) -> u32 {
        self.slot_count
    }

    fn name(&self) -> &'static str {
        "in-process"
    }
}

impl<B: AsRef<[u8]>> RingConsumer for HostRing<B> {
    fn read_slot(&self, slot_idx: u32, out: &mut [u8]) -> Result<(), ProtocolError> {
        let byte_len = out.len();
        let out: &mut [u8; SLOT_BYTES] = out.try_into().map_err(|_| wrong_length(byte_len))?;
        let (slots, _) = self.as_bytes().as_chunks();
        match slots.get(slot_idx as usize) {
            Some(slot) => *out = *slot,
            None => return Err(missing(try_slot_word_base(slot_idx)?, self.as_bytes().len())),
        }
        Ok(())
    }

    fn slot_count(&self) -> u32 {
        self.slot_count
    }
}

/// The words of an encoded slot.
fn decode(encoded: &[u8]) -> Result<SlotWords, ProtocolError> {
    let bytes: &[u8; SLOT_BYTES] = encoded.try_into().map_err(|_| wrong_length(encoded.len()))?;
    let (words, _) = bytes.as_chunks::<WORD_BYTES>();
    Ok(std::array::from_fn(|i| words.get(i).map_or(0, |word| u32::from_le_bytes(*word))))
}

/// Refuses an encoded slot that does not say PUBLISHED.
fn check_published(words: &SlotWords) -> Result<(), ProtocolError> {
    match words[STATUS_WORD as usize] {
        slot::PUBLISHED => Ok(()),
        value => Err(ProtocolError::InvalidWord {
            buffer: "slot",
            word_idx: STATUS_WORD as usize,
            value,
            fix: "an encoded slot has status PUBLISHED (1)",
        }),
    }
}

fn wrong_length(byte_len: usize) -> ProtocolError {
    ProtocolError::MisalignedByteLength {
        buffer: "slot",
        byte_len,
        unit: SLOT_BYTES,
        fix: "pass exactly the 64 bytes of one slot",
    }
}

fn missing(word_idx: usize, byte_len: usize) -> ProtocolError {
    ProtocolError::MissingWord {
        buffer: BUFFER,
        word_idx,
        byte_len,
        fix: "use a slot index below slot_count()",
    }
}
