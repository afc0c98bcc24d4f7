//! Where everything lies in the kernel's buffers, in words.

use crate::protocol::abi::{control::*, debug_log::*, io::*, live::*, slot::*};

/// The sizes that a runtime was built with, and what follows from them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Slots in the slab.
    pub slots: u32,
    /// log2 of the entries of both queues: the slots, rounded up to a power of two.
    pub shift: u32,
    /// Words of the control buffer.
    pub control_words: u32,
    /// log2 of the records of the debug log.
    pub log_shift: u32,
}

impl Layout {
    /// Bounds were checked by the builder: `slots` in 16..=2^20, `observables` and `records` encodable.
    pub fn new(slots: u32, observables: u32, records: u32) -> Self {
        Self {
            slots,
            shift: slots.next_power_of_two().trailing_zeros(),
            control_words: CONTROL_MIN_WORDS + observables,
            log_shift: records.next_power_of_two().trailing_zeros(),
        }
    }

    pub fn slot_words(&self) -> u32 {
        self.slots * SLOT_WORDS
    }

    /// First word of a slot.
    #[inline]
    pub fn slot(&self, slot: u32) -> usize {
        (slot * SLOT_WORDS) as usize
    }

    pub fn submission_words(&self) -> u32 {
        COMMAND_WORDS
            + PRIORITY_LEVELS * (SUBMISSION_WORDS << self.shift)
            + (1 + IO_ANSWER_WORDS) * self.slots
    }

    /// First word of the submission entry at a position of a level's queue.
    #[inline]
    pub fn submission(&self, level: usize, position: u32) -> usize {
        let queue = COMMAND_WORDS + (SUBMISSION_WORDS << self.shift) * level as u32;
        (queue + SUBMISSION_WORDS * (position & ((1 << self.shift) - 1))) as usize
    }

    /// Where the host announces how many slots the batch of a fence has.
    #[inline]
    pub fn batch_count(&self, fence_slot: u32) -> usize {
        (COMMAND_WORDS + PRIORITY_LEVELS * (SUBMISSION_WORDS << self.shift) + fence_slot) as usize
    }

    /// First word of the host's answer to a slot's IO request.
    #[inline]
    pub fn io_answer(&self, slot: u32) -> usize {
        self.batch_count(self.slots) + (IO_ANSWER_WORDS * slot) as usize
    }

    pub fn completion_words(&self) -> u32 {
        HEARTBEAT_WORDS * MAX_WORKERS
            + ((COMPLETION_WORDS + COMPLETION_LONG_WORDS) << self.shift)
            + IO_SLOT_WORDS * IO_SLOT_COUNT
    }

    /// First word of the completion entry at a queue position.
    #[inline]
    pub fn completion(&self, position: u32) -> usize {
        (HEARTBEAT_WORDS * MAX_WORKERS + COMPLETION_WORDS * (position & ((1 << self.shift) - 1))) as usize
    }

    /// First of its long words.
    #[inline]
    pub fn completion_long(&self, position: u32) -> usize {
        let entries = HEARTBEAT_WORDS * MAX_WORKERS + (COMPLETION_WORDS << self.shift);
        (entries + COMPLETION_LONG_WORDS * (position & ((1 << self.shift) - 1))) as usize
    }

    /// First word of the IO request at a position of its ring.
    #[inline]
    pub fn io_request(&self, position: u32) -> usize {
        let requests = self.completion_words() - IO_SLOT_WORDS * IO_SLOT_COUNT;
        (requests + IO_SLOT_WORDS * (position % IO_SLOT_COUNT)) as usize
    }

    pub fn state_words(&self) -> u32 {
        STATE_BATCHES + self.slots + READY_QUEUES * (READY_WORDS << self.shift) + SAVED_WORDS * self.slots
    }

    pub fn log_records(&self) -> u32 {
        1 << self.log_shift
    }

    pub fn log_words(&self) -> u32 {
        RECORDS_BASE + (RECORD_WORDS + 1) * self.log_records()
    }
}
