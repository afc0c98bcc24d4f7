//! What a dispatch left behind: its four buffers, checked before they are taken.
#![forbid(unsafe_code)]

use crate::io::queue::check_shape;
use crate::protocol::ring::{check_slots, try_count_ring_slots};
use crate::protocol::words::{check_aligned, read_word};
use crate::protocol::{
    CONTROL_MIN_WORDS, METRICS_WORDS, ProtocolError, slot, try_read_debug_log, try_read_done_count,
    try_read_epoch, try_read_fault_count, try_read_metrics,
};

/// The four buffers of a dispatch, as bytes, each of a shape that its readers accept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readback {
    control: Vec<u8>,
    ring: Vec<u8>,
    debug_log: Vec<u8>,
    io_queue: Vec<u8>,
}

/// The counters of a readback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadbackCounters {
    /// Slots that reached DONE since the start, modulo 2^32.
    pub done_count: u32,
    /// Slots that ended in FAULT since the start, modulo 2^32.
    pub fault_count: u32,
    /// Batch fences completed, modulo 2^32.
    pub epoch: u32,
    /// Executions per opcode.
    pub metrics: [u32; METRICS_WORDS as usize],
    /// Slots of the ring that are DONE now.
    pub done_slots: u32,
    /// Slots of the ring that are in FAULT now.
    pub fault_slots: u32,
    /// Slots of the ring that are EMPTY now.
    pub empty_slots: u32,
}

impl Readback {
    /// Takes control, ring, debug log and IO queue, in this order.
    ///
    /// # Errors
    /// [`ProtocolError`] unless there are four buffers, the ring has `slot_count` slots, and each
    /// has a shape of its own kind.
    pub fn from_outputs(outputs: Vec<Vec<u8>>, slot_count: u32) -> Result<Self, ProtocolError> {
        let mut outputs = outputs;
        let mut readback = Self::default();
        Self::drain_outputs_into(&mut outputs, slot_count, &mut readback)?;
        Ok(readback)
    }

    /// Swaps the buffers of `outputs` with those of `out`, so that both sides keep their
    /// allocations for the next dispatch.
    ///
    /// # Errors
    /// As [`from_outputs`](Self::from_outputs); nothing has moved then.
    pub fn drain_outputs_into(
        outputs: &mut [Vec<u8>],
        slot_count: u32,
        out: &mut Self,
    ) -> Result<(), ProtocolError> {
        let found = outputs.len();
        let [control, ring, debug_log, io_queue] = outputs else {
            return Err(ProtocolError::UnexpectedShape {
                buffer: "readback",
                found,
                expected: 4,
                fix: "pass control, ring, debug log and IO queue, in this order",
            });
        };
        validate(control, ring, debug_log, io_queue, slot_count)?;
        std::mem::swap(&mut out.control, control);
        std::mem::swap(&mut out.ring, ring);
        std::mem::swap(&mut out.debug_log, debug_log);
        std::mem::swap(&mut out.io_queue, io_queue);
        Ok(())
    }

    /// The control buffer.
    #[must_use]
    pub fn control(&self) -> &[u8] {
        &self.control
    }

    /// The ring.
    #[must_use]
    pub fn ring(&self) -> &[u8] {
        &self.ring
    }

    /// The debug log.
    #[must_use]
    pub fn debug_log(&self) -> &[u8] {
        &self.debug_log
    }

    /// The IO queue.
    #[must_use]
    pub fn io_queue(&self) -> &[u8] {
        &self.io_queue
    }

    /// Slots in the ring.
    ///
    /// # Errors
    /// None for a readback that was taken; fallible since the bytes are outside data.
    pub fn slot_count(&self) -> Result<u32, ProtocolError> {
        check_slots(&self.ring).map(|slots| slots.len() as u32)
    }

    /// The counters of the control buffer, and the states of the ring beside them.
    ///
    /// # Errors
    /// [`ProtocolError`] for a default readback that holds no buffers yet, or a slot status that
    /// does not exist.
    pub fn counters(&self) -> Result<ReadbackCounters, ProtocolError> {
        Ok(ReadbackCounters {
            done_count: try_read_done_count(&self.control)?,
            fault_count: try_read_fault_count(&self.control)?,
            epoch: try_read_epoch(&self.control)?,
            metrics: try_read_metrics(&self.control)?,
            done_slots: try_count_ring_slots(&self.ring, slot::DONE)?,
            fault_slots: try_count_ring_slots(&self.ring, slot::FAULT)?,
            empty_slots: try_count_ring_slots(&self.ring, slot::EMPTY)?,
        })
    }
}

/// Checks every shape, before a byte moves.
fn validate(
    control: &[u8],
    ring: &[u8],
    debug_log: &[u8],
    io_queue: &[u8],
    slot_count: u32,
) -> Result<(), ProtocolError> {
    check_aligned("control", control)?;
    read_word("control", control, CONTROL_MIN_WORDS as usize - 1)?;
    let slots = check_slots(ring)?.len();
    if slots != slot_count as usize {
        return Err(ProtocolError::UnexpectedShape {
            buffer: "ring",
            found: slots,
            expected: slot_count as usize,
            fix: "pass the slot count that the ring was encoded with",
        });
    }
    try_read_debug_log(debug_log)?;
    check_shape(io_queue)?;
    Ok(())
}
