//! Where everything lies in the kernel's buffers, in words.

use crate::protocol::abi::{control::*, debug_log::*, io::*, live::*, slot::*};

/// Tables of the control buffer with a word for each tenant.
pub(crate) const TENANT_TABLES: u32 = 5;

/// The sizes that a runtime was built with, and what follows from them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Slots in all: the host's, which are the slab, and behind them those that the device publishes.
    pub slots: u32,
    /// The host's.
    pub host_slots: u32,
    /// Slots of each depth for those that the device publishes, a multiple of 32.
    pub children: u32,
    /// log2 of the entries of both queues: the slots, rounded up to a power of two.
    pub shift: u32,
    /// Words of the control buffer.
    pub control_words: u32,
    /// log2 of the records of each debug log.
    pub log_shift: u32,
    /// Tenants, the system's own included.
    pub tenants: u32,
    /// log2 of the entries of a tenant's queue at a level; the system's own have `shift`.
    pub tenant_shift: u32,
    /// Lanes of a worker.
    subgroup: u32,
    /// Words of the control buffer before those for tenants' windows.
    own_words: u32,
    /// And for windows.
    window_words: u32,
}

/// What a runtime has for tenants beside the system's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Tenants, the system's own included: 1 for no others.
    pub tenants: u32,
    /// Slots that a tenant may have on their way, at most.
    pub slots: u32,
    /// Words for their windows.
    pub words: u32,
}

impl Layout {
    /// Bounds were checked by the builder: `host_slots` in 16..=2^20, with those of `children` no more,
    /// `observables` and `records` encodable.
    pub fn new(
        host_slots: u32,
        children: u32,
        observables: u32,
        records: u32,
        subgroup: u32,
        room: &Room,
    ) -> Self {
        let slots = host_slots + CHILD_DEPTHS * children;
        let own_words = CONTROL_MIN_WORDS + observables;
        let others = room.tenants > 1;
        let window_words = if others { room.words } else { 0 };
        let tables = if others { TENANT_TABLES * room.tenants } else { 0 };
        Self {
            slots,
            host_slots,
            children,
            shift: slots.next_power_of_two().trailing_zeros(),
            control_words: own_words + window_words + tables,
            log_shift: records.next_power_of_two().trailing_zeros(),
            tenants: room.tenants,
            tenant_shift: room.slots.next_power_of_two().trailing_zeros(),
            subgroup,
            own_words,
            window_words,
        }
    }

    /// Words of the control buffer for windows.
    pub fn windows(&self) -> std::ops::Range<u32> {
        self.own_words..self.own_words + self.window_words
    }

    /// Where a tenant's words of the tables are in the control buffer: mask, limit, credits, ended, throttled.
    pub fn tables(&self, tenant: u32) -> [u32; TENANT_TABLES as usize] {
        let first = self.windows().end + tenant;
        std::array::from_fn(|table| first + self.tenants * table as u32)
    }

    /// log2 of the entries of a level's list of tenants.
    pub fn list_shift(&self) -> u32 {
        self.tenants.next_power_of_two().trailing_zeros().max(4)
    }

    /// log2 of the entries of a tenant's queues.
    #[inline]
    pub fn queue_shift(&self, tenant: u32) -> u32 {
        if tenant == 0 { self.shift } else { self.tenant_shift }
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
        let others = (self.tenants - 1) * PRIORITY_LEVELS * (SUBMISSION_WORDS << self.tenant_shift);
        let told = (ANNOUNCE_WORDS << self.shift) + TENANT_RECORD_WORDS * self.tenants;
        self.announcement(0) as u32 + if self.tenants > 1 { told + others } else { 0 }
    }

    /// Where the host says that a slot is to be cancelled.
    #[inline]
    pub fn cancel(&self, slot: u32) -> usize {
        self.io_answer(self.slots) + slot as usize
    }

    /// First word of the announcement at a position.
    #[inline]
    pub fn announcement(&self, position: u32) -> usize {
        self.cancel(self.slots) + (ANNOUNCE_WORDS * (position & ((1 << self.shift) - 1))) as usize
    }

    /// First word of a tenant's record.
    pub fn tenant_record(&self, tenant: u32) -> usize {
        self.announcement(0) + ((ANNOUNCE_WORDS << self.shift) + TENANT_RECORD_WORDS * tenant) as usize
    }

    /// First word of the submission entry at a position of a tenant's queue at a level.
    #[inline]
    pub fn submission(&self, tenant: u32, level: usize, position: u32) -> usize {
        let shift = self.queue_shift(tenant);
        let (first, queue) = match tenant {
            0 => (COMMAND_WORDS as usize, level as u32),
            _ => (self.tenant_record(self.tenants), PRIORITY_LEVELS * (tenant - 1) + level as u32),
        };
        first + (SUBMISSION_WORDS * ((queue << shift) + (position & ((1 << shift) - 1)))) as usize
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
        // What each slot saves, and the areas of those that give way.
        let saved = SAVED_WORDS * self.slots + SAVE_AREAS * SAVE_WORDS * (1 + self.subgroup);
        let own = STATE_BATCHES + self.slots + READY_QUEUES * (READY_WORDS << self.shift) + saved;
        // Whose each slot is, what is known of each tenant, and the lists.
        let lists = PRIORITY_LEVELS << self.list_shift();
        let tenants =
            if self.tenants > 1 { self.slots + TENANT_STATE_WORDS * self.tenants + lists } else { 0 };
        // Which slots of each depth are taken, and what is kept of each slot's family.
        let families = CHILD_DEPTHS * self.children / 32 + FAMILY_WORDS * self.slots;
        own + tenants + if self.children > 0 { families } else { 0 }
    }

    /// Words of the resource table.
    pub fn resource_words(&self) -> u32 {
        MAX_RESOURCES * (RESOURCE_WORDS + if self.tenants > 1 { 4 * TENANT_SET_VECTORS } else { 0 })
    }

    pub fn log_records(&self) -> u32 {
        1 << self.log_shift
    }

    /// Words of a tenant's debug log; they follow each other.
    pub fn log_words(&self) -> u32 {
        RECORDS_BASE + (RECORD_WORDS + 1) * self.log_records()
    }
}
