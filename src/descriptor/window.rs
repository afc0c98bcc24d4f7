//! Windows: items that are wanted now, and items that will be wanted next (PROTOCOL section 6).

use super::{DescriptorError, SlotOpcode, slot_words};
use crate::protocol::{ARGS_PER_SLOT, PRIORITY_NORMAL, SlotWords};
use crate::ring::RingProducer;

/// How urgently an item is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum WindowClass {
    /// Somebody waits for it.
    Required = 0,
    /// Fetched ahead.
    Lookahead = 1,
}

/// One item of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowItem {
    /// a0: the caller's name for it.
    pub ticket: u32,
    /// a1.
    pub class: WindowClass,
    /// a2 on: at most ten words.
    pub payload: Vec<u32>,
}

/// Items of one tenant and opcode, each a slot, in consecutive places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowDescriptor {
    /// Where the first item goes.
    pub start_slot: u32,
    /// Tenant word of all of them.
    pub tenant: u32,
    /// Opcode of all of them.
    pub opcode: SlotOpcode,
    /// Priority level of all of them.
    pub priority: u32,
    /// The items, in any order; published required first, otherwise in this order.
    pub items: Vec<WindowItem>,
}

impl WindowDescriptor {
    /// A window of tenant 0 at NORMAL priority.
    #[must_use]
    pub fn new(start_slot: u32, opcode: impl Into<SlotOpcode>, items: Vec<WindowItem>) -> Self {
        Self { start_slot, tenant: 0, opcode: opcode.into(), priority: PRIORITY_NORMAL, items }
    }

    /// The slots in the order of their places.
    ///
    /// # Errors
    /// [`DescriptorError`] for an opcode or priority that cannot be published, or more than ten
    /// payload words.
    pub fn encode(&self) -> Result<Vec<SlotWords>, DescriptorError> {
        let of_class = |class| self.items.iter().filter(move |item| item.class == class);
        of_class(WindowClass::Required)
            .chain(of_class(WindowClass::Lookahead))
            .map(|item| self.encode_item(item))
            .collect()
    }

    /// Publishes all items from `start_slot` on, or none.
    ///
    /// # Errors
    /// As [`encode`](Self::encode), or what the ring says; the ring is unchanged then.
    pub fn publish_into(&self, ring: &mut (impl RingProducer + ?Sized)) -> Result<(), DescriptorError> {
        Ok(ring.publish_run(self.start_slot, &self.encode()?)?)
    }

    fn encode_item(&self, item: &WindowItem) -> Result<SlotWords, DescriptorError> {
        let mut args = [0; ARGS_PER_SLOT as usize];
        let (head, room) = args.split_at_mut(2);
        head.copy_from_slice(&[item.ticket, item.class as u32]);
        let limit = room.len();
        let Some(payload) = room.get_mut(..item.payload.len()) else {
            return Err(DescriptorError::TooManyArguments { given: item.payload.len(), limit });
        };
        payload.copy_from_slice(&item.payload);
        slot_words(self.opcode.single()?, self.tenant, self.priority, args)
    }
}
