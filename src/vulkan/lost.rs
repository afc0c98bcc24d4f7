//! A device that is lost, really or for a test.

use std::sync::atomic::{AtomicBool, Ordering};

use super::error::{Result, VulkanError};

/// Remembers that the device is lost. Once set it stays set: Vulkan has no way back but a new
/// device.
#[derive(Debug, Default)]
pub(super) struct Lost(AtomicBool);

impl Lost {
    /// Fails when the device is lost.
    pub(super) fn check(&self) -> Result<()> {
        match self.get() {
            true => Err(VulkanError::DeviceLost),
            false => Ok(()),
        }
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl super::Gpu {
    /// Makes the device look lost from now on: every submission, wait and query fails with
    /// [`VulkanError::DeviceLost`], also waits that are under way. What was already submitted runs
    /// to its end unseen, and is waited for before its memory goes away.
    ///
    /// For tests of what a lost device does to the layers above.
    #[doc(hidden)]
    pub fn inject_loss(&self) {
        self.lost.set();
    }

    /// Whether the device is known to be lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.lost.get()
    }
}
