//! Timeline semaphores.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ash::vk;

use super::error::Result;
use super::gpu::Gpu;
use super::tracking::InUse;

/// A wait looks up this often whether the device was found lost elsewhere. The specification has
/// waits return on a lost device, but an injected loss is not known to the driver.
const LOOK_UP: Duration = Duration::from_millis(100);

/// A 64-bit counter that device and host raise and wait for. All methods may be called from any
/// thread.
#[derive(Debug)]
pub struct Timeline {
    gpu: Arc<Gpu>,
    raw: vk::Semaphore,
    pub(super) in_use: InUse,
}

impl Timeline {
    /// A timeline that stands at `initial`.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn new(gpu: &Arc<Gpu>, initial: u64) -> Result<Self> {
        gpu.lost.check()?;
        let raw = create(&gpu.device, initial).map_err(|r| gpu.failed("vkCreateSemaphore", r))?;
        Ok(Self { gpu: Arc::clone(gpu), raw, in_use: InUse::default() })
    }

    /// The value that has been reached.
    ///
    /// # Errors
    ///
    /// [`VulkanError::DeviceLost`](super::VulkanError::DeviceLost), or what the driver says.
    pub fn value(&self) -> Result<u64> {
        self.gpu.lost.check()?;
        // SAFETY: a timeline semaphore of this device.
        unsafe { self.gpu.device.get_semaphore_counter_value(self.raw) }
            .map_err(|r| self.gpu.failed("vkGetSemaphoreCounterValue", r))
    }

    /// Waits until `value` is reached, for at most `timeout`; false when the time ran out. A
    /// `timeout` of zero only looks; [`Duration::MAX`] waits as long as it takes.
    ///
    /// # Errors
    ///
    /// [`VulkanError::DeviceLost`](super::VulkanError::DeviceLost), also when the device is lost
    /// during the wait; or what the driver says.
    pub fn wait(&self, value: u64, timeout: Duration) -> Result<bool> {
        let end = Instant::now().checked_add(timeout);
        let semaphores = [self.raw];
        let values = [value];
        let info = vk::SemaphoreWaitInfo::default().semaphores(&semaphores).values(&values);
        loop {
            self.gpu.lost.check()?;
            let left = end.map_or(LOOK_UP, |end| end.saturating_duration_since(Instant::now()));
            let slice = u64::try_from(left.min(LOOK_UP).as_nanos()).unwrap_or(u64::MAX);
            // SAFETY: a timeline semaphore of this device.
            match unsafe { self.gpu.device.wait_semaphores(&info, slice) } {
                Ok(()) => return self.gpu.lost.check().map(|()| true),
                Err(vk::Result::TIMEOUT) if left <= LOOK_UP && end.is_some() => {
                    return self.gpu.lost.check().map(|()| false);
                }
                Err(vk::Result::TIMEOUT) => {}
                Err(result) => return Err(self.gpu.failed("vkWaitSemaphores", result)),
            }
        }
    }

    /// Raises the timeline to `value` from the host. It must be above the present value and below
    /// that of every pending signal (Vulkan, VkSemaphoreSignalInfo, valid usage).
    ///
    /// # Errors
    ///
    /// [`VulkanError::DeviceLost`](super::VulkanError::DeviceLost), or what the driver says.
    pub fn signal(&self, value: u64) -> Result<()> {
        self.gpu.lost.check()?;
        let info = vk::SemaphoreSignalInfo::default().semaphore(self.raw).value(value);
        // SAFETY: a timeline semaphore of this device.
        unsafe { self.gpu.device.signal_semaphore(&info) }
            .map_err(|r| self.gpu.failed("vkSignalSemaphore", r))
    }

    /// The semaphore, for submissions of one's own. It is destroyed with this value, which waits
    /// for submissions through [`Gpu::submit`] only.
    #[must_use]
    pub fn raw(&self) -> vk::Semaphore {
        self.raw
    }
}

impl Drop for Timeline {
    fn drop(&mut self) {
        if self.in_use.wait(&self.gpu) {
            // SAFETY: no submission uses it any more, and nobody else has it.
            unsafe { self.gpu.device.destroy_semaphore(self.raw, None) };
        }
    }
}

/// A raw timeline semaphore.
pub(super) fn create(device: &ash::Device, initial: u64) -> Result<vk::Semaphore, vk::Result> {
    let mut kind = vk::SemaphoreTypeCreateInfo::default()
        .semaphore_type(vk::SemaphoreType::TIMELINE)
        .initial_value(initial);
    let info = vk::SemaphoreCreateInfo::default().push_next(&mut kind);
    // SAFETY: the device has the feature; the chain lives until the call returns.
    unsafe { device.create_semaphore(&info, None) }
}
