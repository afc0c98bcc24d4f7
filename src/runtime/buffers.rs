//! The kernel's buffers, each in memory near the side that polls it (DESIGN fact 8).

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::error::RuntimeError;
use super::layout::Layout;
use crate::vulkan::{Buffer, Gpu, Role, fence};

pub(crate) struct Buffers {
    /// Read and written by the device; the host has it only while no dispatch is in flight.
    pub control: Buffer,
    slots: Buffer,
    submission: Buffer,
    completion: Buffer,
    state: Buffer,
    log: Buffer,
    resources: Buffer,
    write_combined: bool,
}

impl Buffers {
    pub fn new(gpu: &Arc<Gpu>, layout: &Layout) -> Result<Self, RuntimeError> {
        let buffer = |role, words: u32, label| Buffer::new(gpu, role, u64::from(words) * 4, label);
        let slots = buffer(Role::HostToDevice, layout.slot_words(), "slots")?;
        let submission = buffer(Role::HostToDevice, layout.submission_words(), "submission queue")?;
        Ok(Self {
            control: buffer(Role::Control, layout.control_words, "control")?,
            completion: buffer(Role::DeviceToHost, layout.completion_words(), "completion queue")?,
            state: buffer(Role::DeviceLocal, layout.state_words(), "device state")?,
            log: buffer(Role::DeviceToHost, layout.log_words() * layout.tenants, "debug log")?,
            resources: buffer(Role::HostToDevice, layout.resource_words(), "resources")?,
            write_combined: slots.is_write_combined() || submission.is_write_combined(),
            slots,
            submission,
        })
    }

    /// In the order of the kernel's bindings.
    pub fn bindings(&self) -> [&Buffer; 7] {
        [
            &self.control,
            &self.slots,
            &self.submission,
            &self.completion,
            &self.state,
            &self.log,
            &self.resources,
        ]
    }

    /// The slab, for a copy of all of it.
    pub fn slots(&self) -> &Buffer {
        &self.slots
    }

    /// The slab's words. Written only: it may be write-combined memory.
    #[inline]
    pub fn slot_words(&self) -> &[AtomicU32] {
        mapped(&self.slots)
    }

    /// Commands, submission queue, batch counts. Written only.
    #[inline]
    pub fn submission_words(&self) -> &[AtomicU32] {
        mapped(&self.submission)
    }

    /// Heartbeats and completion queue. Read only.
    #[inline]
    pub fn completion_words(&self) -> &[AtomicU32] {
        mapped(&self.completion)
    }

    /// The debug logs, one for each tenant. Read only.
    pub fn log_words(&self) -> &[AtomicU32] {
        mapped(&self.log)
    }

    /// The resource table. Written only.
    pub fn resource_words(&self) -> &[AtomicU32] {
        mapped(&self.resources)
    }

    /// Orders what was stored before it ahead of what is stored after it, in the device's eyes.
    #[inline]
    pub fn publish_fence(&self) {
        fence::publish(self.write_combined);
    }

    /// A slot will be written soon: see [`fence::will_write`].
    #[inline]
    pub fn will_write_slot(&self, at: usize) {
        if let Some(word) = self.slot_words().get(at) {
            fence::will_write(word);
        }
    }

    /// The same of an entry.
    #[inline]
    pub fn will_write_entry(&self, at: usize) {
        if let Some(word) = self.submission_words().get(at) {
            fence::will_write(word);
        }
    }

    /// Pushes stored entries out of the processor's write-combining buffers.
    #[inline]
    pub fn flush_entries(&self) {
        if self.write_combined {
            fence::publish(true);
        }
    }
}

/// Roles other than `DeviceLocal` are mapped by their definition.
#[inline]
fn mapped(buffer: &Buffer) -> &[AtomicU32] {
    buffer.words().unwrap_or(&[])
}
