//! The open device.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ash::{ext, vk};
use gpu_allocator::vulkan::Allocator;

use super::cache::PipelineCache;
use super::info::DeviceInfo;
use super::instance::Instance;
use super::lost::Lost;
use super::queue::Queue;
use super::tracking::Tracker;
use super::workarounds::Workarounds;

/// An open device with its queue and its memory.
///
/// Used as `Arc<Gpu>`: whatever is made from it keeps it alive, so that it goes last. All methods
/// may be called from any thread.
pub struct Gpu {
    // Dropped by hand in `Drop`, before the device.
    pub(super) allocator: Mutex<Option<Allocator>>,
    pub(super) tracker: Tracker,
    pub(super) pipeline_cache: PipelineCache,
    pub(super) queue: Queue,
    pub(super) lost: Lost,
    pub(super) info: DeviceInfo,
    pub(super) workarounds: Workarounds,
    /// None where the device can't import host memory.
    pub(super) external_memory_host: Option<ext::external_memory_host::Device>,
    pub(super) physical: vk::PhysicalDevice,
    pub(super) device: ash::Device,
    pub(super) owns_device: bool,
    // After the device: fields drop in order of declaration, and `Drop` destroys the device first.
    pub(super) instance: Instance,
}

impl Gpu {
    /// What the device says of itself.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// What this driver needs done differently.
    #[must_use]
    pub fn workarounds(&self) -> &Workarounds {
        &self.workarounds
    }

    /// The device, for calls that this module does not wrap.
    #[must_use]
    pub fn device(&self) -> &ash::Device {
        &self.device
    }

    /// The instance that the device belongs to.
    #[must_use]
    pub fn instance(&self) -> &ash::Instance {
        &self.instance.raw
    }

    /// The loader's entry points.
    #[must_use]
    pub fn entry(&self) -> &ash::Entry {
        &self.instance.entry
    }

    /// The physical device.
    #[must_use]
    pub fn physical_device(&self) -> vk::PhysicalDevice {
        self.physical
    }

    /// The family of the queue that work is submitted to.
    #[must_use]
    pub fn queue_family(&self) -> u32 {
        self.queue.family
    }

    /// Whether GPU-assisted validation is on, which makes shaders many times slower.
    #[must_use]
    pub fn gpu_assisted_validation(&self) -> bool {
        self.instance.validation == super::validation::Level::GpuAssisted
    }

    /// The allocator; None only while the device is being dropped.
    pub(super) fn allocator(&self) -> MutexGuard<'_, Option<Allocator>> {
        self.allocator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a lost device, and turns a failed call into an error.
    pub(super) fn failed(&self, call: &'static str, result: vk::Result) -> super::VulkanError {
        if result == vk::Result::ERROR_DEVICE_LOST {
            self.lost.set();
        }
        super::VulkanError::call(call, result)
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("device", &self.info.to_string()).finish_non_exhaustive()
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // Everything made from the device held an `Arc` of this and is gone, and nothing that was
        // submitted is still running: each waited for its own last submission (see `tracking`).
        // A submission of raw command buffers is the caller's to wait for; one more wait is cheap.
        let _ = self.wait_for_queue();
        if !self.lost.get() {
            self.pipeline_cache.save(&self.device);
        }
        self.pipeline_cache.destroy(&self.device);
        self.tracker.destroy(&self.device);
        drop(self.allocator().take());
        if self.owns_device {
            // SAFETY: the last use of the device; its queue is idle or lost, its children are gone.
            unsafe { self.device.destroy_device(None) };
        }
    }
}

// `Arc<Gpu>` crosses threads: every handle in it is either used read-only, or under a lock.
const _: () = {
    const fn assert<T: Send + Sync>() {}
    assert::<Arc<Gpu>>();
};
