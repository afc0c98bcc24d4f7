//! Which submission used a thing last, so that nothing is destroyed while the device uses it.
//!
//! Each submission raises a timeline of the device's own by one. A thing remembers the number of the
//! last submission that used it, and waits for that number before it is destroyed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ash::vk;

use super::error::{Result, VulkanError};
use super::gpu::Gpu;

/// Longer than any bounded dispatch, even one that compiles first. A submission that waits for a
/// semaphore that nobody signals would else hang a drop for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// The device's own timeline.
pub(super) struct Tracker {
    semaphore: vk::Semaphore,
    last: AtomicU64,
}

impl Tracker {
    pub(super) fn empty() -> Self {
        Self { semaphore: vk::Semaphore::null(), last: AtomicU64::new(0) }
    }

    pub(super) fn new(device: &ash::Device) -> Result<Self> {
        let semaphore =
            super::timeline::create(device, 0).map_err(|r| VulkanError::call("vkCreateSemaphore", r))?;
        Ok(Self { semaphore, last: AtomicU64::new(0) })
    }

    pub(super) fn raw(&self) -> vk::Semaphore {
        self.semaphore
    }

    /// The number for the next submission. Under the queue's lock.
    pub(super) fn next(&self) -> u64 {
        self.last.load(Ordering::Relaxed) + 1
    }

    /// That submission was made. Under the queue's lock.
    pub(super) fn submitted(&self, ticket: u64) {
        self.last.store(ticket, Ordering::Relaxed);
    }

    /// Called once, by the device's drop.
    pub(super) fn destroy(&self, device: &ash::Device) {
        // SAFETY: the queue is idle; destroying the null handle does nothing.
        unsafe { device.destroy_semaphore(self.semaphore, None) };
    }
}

/// The number of the last submission that used a thing; 0 for none.
#[derive(Debug, Default)]
pub(super) struct InUse(AtomicU64);

impl InUse {
    pub(super) fn mark(&self, ticket: u64) {
        self.0.fetch_max(ticket, Ordering::Relaxed);
    }

    /// Waits until the device has done with the thing; false when it never did, and the thing must
    /// be leaked. A lost device has done with everything.
    #[must_use]
    pub(super) fn wait(&self, gpu: &Gpu) -> bool {
        let ticket = self.0.load(Ordering::Relaxed);
        if ticket == 0 {
            return true;
        }
        let semaphores = [gpu.tracker.raw()];
        let values = [ticket];
        let info = vk::SemaphoreWaitInfo::default().semaphores(&semaphores).values(&values);
        let patience = u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX);
        // Asked of the driver also after an injected loss: there the work still runs.
        // SAFETY: the tracker's semaphore lives as long as the device.
        match unsafe { gpu.device.wait_semaphores(&info, patience) } {
            Err(vk::Result::TIMEOUT) => {
                tracing::error!(ticket, "a submission does not end; what it uses is leaked");
                false
            }
            _ => true,
        }
    }
}
