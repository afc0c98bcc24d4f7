//! Batches: slots and the fence that completes when they have ended (PROTOCOL section 3).

use super::{DescriptorError, EncodeSlot, SlotDescriptor, slot_words};
use crate::protocol::{ARGS_PER_SLOT, PRIORITY_NORMAL, SlotWords, opcode};
use crate::ring::RingProducer;

/// Slots that are published together, and ended by one BATCH_FENCE.
///
/// The slots of a batch may run side by side, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchDescriptor {
    /// The slots, without the fence.
    pub slots: Vec<SlotDescriptor>,
    /// What the fence leaves in the first word of its tenant's window.
    pub tag: u32,
    /// Tenant word of the fence.
    pub tenant: u32,
    /// Priority level of the fence.
    pub priority: u32,
}

/// A batch as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedBatch {
    /// The slots, in order.
    pub slots: Vec<SlotWords>,
    /// The fence: a0 = how many slots, a1 = the tag.
    pub fence: SlotWords,
}

impl BatchDescriptor {
    /// A batch of tenant 0 whose fence has NORMAL priority.
    #[must_use]
    pub fn new(slots: Vec<SlotDescriptor>, tag: u32) -> Self {
        Self { slots, tag, tenant: 0, priority: PRIORITY_NORMAL }
    }

    /// The slots and their fence.
    ///
    /// # Errors
    /// [`DescriptorError`] for the first slot that does not encode, or a fence that does not.
    pub fn encode(&self) -> Result<EncodedBatch, DescriptorError> {
        Ok(EncodedBatch {
            slots: self.slots.iter().map(EncodeSlot::encode).collect::<Result<_, _>>()?,
            fence: fence_words(self.slots.len(), self.tag, self.tenant, self.priority)?,
        })
    }

    /// Publishes the slots and then the fence into consecutive places, all of them or none.
    ///
    /// # Errors
    /// [`DescriptorError`] when something does not encode, or the ring refuses a place; the ring is
    /// unchanged then.
    pub fn publish_into(
        &self,
        ring: &mut (impl RingProducer + ?Sized),
        start_slot: u32,
    ) -> Result<(), DescriptorError> {
        let EncodedBatch { mut slots, fence } = self.encode()?;
        slots.push(fence);
        Ok(ring.publish_run(start_slot, &slots)?)
    }
}

/// The BATCH_FENCE of `slots` slots.
fn fence_words(slots: usize, tag: u32, tenant: u32, priority: u32) -> Result<SlotWords, DescriptorError> {
    let mut args = [0; ARGS_PER_SLOT as usize];
    args[0] = u32::try_from(slots).map_err(|_| DescriptorError::BatchTooLarge(slots))?;
    args[1] = tag;
    slot_words(opcode::BATCH_FENCE, tenant, priority, args)
}
