//! Submission to the one queue.

use std::sync::{Arc, Mutex, PoisonError};

use ash::vk;

use super::commands::Commands;
use super::error::Result;
use super::gpu::Gpu;
use super::timeline::Timeline;

/// Guards a queue that others submit to as well (Vulkan, "Threading Behavior": a queue is externally
/// synchronised).
pub trait QueueLock: Send + Sync {
    /// Calls `work` exactly once while nobody else uses the queue.
    fn with(&self, work: &mut dyn FnMut());
}

/// The queue and its guard.
pub(super) struct Queue {
    raw: vk::Queue,
    pub(super) family: u32,
    /// Always taken first: it also orders the tracker's values.
    own: Mutex<()>,
    shared: Option<Arc<dyn QueueLock>>,
}

impl Queue {
    pub(super) fn new(raw: vk::Queue, family: u32, shared: Option<Arc<dyn QueueLock>>) -> Self {
        Self { raw, family, own: Mutex::new(()), shared }
    }

    /// Runs `work` as the queue's only user.
    fn with<T>(&self, mut work: impl FnMut(vk::Queue) -> Result<T>) -> Result<T> {
        let _own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(shared) = &self.shared else { return work(self.raw) };
        let mut result = None;
        shared.with(&mut || result = Some(work(self.raw)));
        result.unwrap_or(Err(super::VulkanError::InvalidArgument {
            what: "queue_lock",
            value: "a lock that did not run the work it was given".into(),
            fix: "call the closure once, with the lock held",
        }))
    }
}

impl Gpu {
    /// Submits `commands`, to run after each timeline of `waits` has reached its value; when they
    /// have ended, the timelines of `signals` get theirs. Values of one timeline must grow from
    /// signal to signal, and stay within [`DeviceInfo::max_timeline_difference`] of the present
    /// value. Any thread; does not wait for the device.
    ///
    /// # Errors
    ///
    /// [`VulkanError::DeviceLost`], or what the driver says; then nothing was submitted.
    ///
    /// [`DeviceInfo::max_timeline_difference`]: super::DeviceInfo::max_timeline_difference
    /// [`VulkanError::DeviceLost`]: super::VulkanError::DeviceLost
    pub fn submit(
        &self,
        commands: &[&Commands],
        waits: &[(&Timeline, u64)],
        signals: &[(&Timeline, u64)],
    ) -> Result<()> {
        let raw: Vec<vk::CommandBuffer> = commands.iter().map(|c| c.raw()).collect();
        let stages = vk::PipelineStageFlags::COMPUTE_SHADER | vk::PipelineStageFlags::TRANSFER;
        // SAFETY: each `Commands` is fully recorded and for simultaneous use, keeps what it uses,
        // and waits for this submission before it goes. All its work is in these stages.
        let ticket = unsafe { self.submit_at(&raw, stages, waits, signals) }?;
        for commands in commands {
            commands.in_use.mark(ticket);
        }
        Ok(())
    }

    /// As [`Gpu::submit`], for command buffers of the caller's. Returns the submission's number.
    ///
    /// # Safety
    ///
    /// The command buffers belong to this device and queue family, may be submitted now, and live,
    /// with all that they use, until they have ended.
    ///
    /// # Errors
    ///
    /// As [`Gpu::submit`].
    pub unsafe fn submit_raw(
        &self,
        commands: &[vk::CommandBuffer],
        waits: &[(&Timeline, u64)],
        signals: &[(&Timeline, u64)],
    ) -> Result<u64> {
        // SAFETY: by this function's own contract.
        unsafe { self.submit_at(commands, vk::PipelineStageFlags::ALL_COMMANDS, waits, signals) }
    }

    /// # Safety
    ///
    /// As [`Gpu::submit_raw`]; what must wait is in `stages`.
    unsafe fn submit_at(
        &self,
        commands: &[vk::CommandBuffer],
        stages: vk::PipelineStageFlags,
        waits: &[(&Timeline, u64)],
        signals: &[(&Timeline, u64)],
    ) -> Result<u64> {
        self.lost.check()?;
        let wait_semaphores: Vec<_> = waits.iter().map(|(t, _)| t.raw()).collect();
        let wait_values: Vec<_> = waits.iter().map(|&(_, value)| value).collect();
        let wait_stages = vec![stages; waits.len()];
        let mut signal_semaphores: Vec<_> = signals.iter().map(|(t, _)| t.raw()).collect();
        let mut signal_values: Vec<_> = signals.iter().map(|&(_, value)| value).collect();
        signal_semaphores.push(self.tracker.raw());
        signal_values.push(0);
        let ticket = self.queue.with(|queue| {
            let ticket = self.tracker.next();
            if let Some(last) = signal_values.last_mut() {
                *last = ticket;
            }
            // An empty slice has a pointer all the same, which the validation layer dislikes.
            let mut values =
                vk::TimelineSemaphoreSubmitInfo::default().signal_semaphore_values(&signal_values);
            if !waits.is_empty() {
                values = values.wait_semaphore_values(&wait_values);
            }
            let mut submit = vk::SubmitInfo::default()
                .command_buffers(commands)
                .signal_semaphores(&signal_semaphores)
                .push_next(&mut values);
            if !waits.is_empty() {
                submit = submit.wait_semaphores(&wait_semaphores).wait_dst_stage_mask(&wait_stages);
            }
            // SAFETY: the queue is ours alone here; the semaphores are borrowed, and wait for this
            // submission before they go; the caller vouches for the command buffers.
            unsafe { self.device.queue_submit(queue, &[submit], vk::Fence::null()) }
                .map_err(|r| self.failed("vkQueueSubmit", r))?;
            self.tracker.submitted(ticket);
            Ok(ticket)
        })?;
        for (timeline, _) in waits.iter().chain(signals) {
            timeline.in_use.mark(ticket);
        }
        Ok(ticket)
    }

    /// Waits until everything that was submitted to the queue has ended. Others who submit wait
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// [`VulkanError::DeviceLost`](super::VulkanError::DeviceLost), or what the driver says.
    pub fn wait_idle(&self) -> Result<()> {
        self.lost.check()?;
        self.wait_for_queue()
    }

    /// The wait itself, also after an injected loss.
    pub(super) fn wait_for_queue(&self) -> Result<()> {
        self.queue.with(|queue| {
            // SAFETY: the queue is ours alone here.
            unsafe { self.device.queue_wait_idle(queue) }.map_err(|r| self.failed("vkQueueWaitIdle", r))
        })
    }
}
