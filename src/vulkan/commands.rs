//! Recorded command buffers.

use std::sync::Arc;

use ash::vk;

use super::descriptors::DescriptorSet;
use super::error::{Result, VulkanError};
use super::gpu::Gpu;
use super::memory::Buffer;
use super::pipeline::ComputePipeline;
use super::tracking::InUse;

/// Who must have written before whom in a barrier. Each covers all memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarrierKind {
    /// Host writes before compute. A submission implies it for what was written before it.
    HostToCompute,
    /// Host writes before copies and fills.
    HostToTransfer,
    /// One dispatch before the next.
    ComputeToCompute,
    /// A dispatch before reads by the host, once a timeline says that it ended.
    ComputeToHost,
    /// A dispatch before copies and fills.
    ComputeToTransfer,
    /// Copies and fills before compute.
    TransferToCompute,
    /// Copies and fills before others.
    TransferToTransfer,
    /// Copies before reads by the host, once a timeline says that they ended.
    TransferToHost,
}

impl BarrierKind {
    fn masks(self) -> [(vk::PipelineStageFlags, vk::AccessFlags); 2] {
        use vk::{AccessFlags as A, PipelineStageFlags as S};
        let host_write = (S::HOST, A::HOST_WRITE);
        let host = (S::HOST, A::HOST_READ | A::HOST_WRITE);
        let compute_write = (S::COMPUTE_SHADER, A::SHADER_WRITE);
        let compute = (S::COMPUTE_SHADER, A::SHADER_READ | A::SHADER_WRITE);
        let transfer_write = (S::TRANSFER, A::TRANSFER_WRITE);
        let transfer = (S::TRANSFER, A::TRANSFER_READ | A::TRANSFER_WRITE);
        match self {
            Self::HostToCompute => [host_write, compute],
            Self::HostToTransfer => [host_write, transfer],
            Self::ComputeToCompute => [compute_write, compute],
            Self::ComputeToHost => [compute_write, host],
            Self::ComputeToTransfer => [compute_write, transfer],
            Self::TransferToCompute => [transfer_write, compute],
            Self::TransferToTransfer => [transfer_write, transfer],
            Self::TransferToHost => [transfer_write, host],
        }
    }
}

/// A recorded command buffer. It may be submitted any number of times, also while an earlier
/// submission of it runs. It keeps alive what was recorded into it, and its drop waits for its last
/// submission.
pub struct Commands {
    gpu: Arc<Gpu>,
    pool: vk::CommandPool,
    raw: vk::CommandBuffer,
    kept: Vec<Kept>,
    pub(super) in_use: InUse,
}

/// What a command buffer uses.
#[allow(dead_code, reason = "held for its lifetime, never read")]
enum Kept {
    Buffer(Buffer),
    Bound(ComputePipeline, DescriptorSet),
}

impl Commands {
    /// Records what `commands` says.
    ///
    /// # Errors
    ///
    /// The first argument that a recorder's method found wrong, [`VulkanError::DeviceLost`], or what
    /// the driver says.
    pub fn record(gpu: &Arc<Gpu>, commands: impl FnOnce(&mut Recorder<'_>)) -> Result<Self> {
        gpu.lost.check()?;
        let info = vk::CommandPoolCreateInfo::default().queue_family_index(gpu.queue.family);
        // SAFETY: a queue family of this device.
        let pool = unsafe { gpu.device.create_command_pool(&info, None) }
            .map_err(|r| gpu.failed("vkCreateCommandPool", r))?;
        let mut this = Self {
            gpu: Arc::clone(gpu),
            pool,
            raw: vk::CommandBuffer::null(),
            kept: Vec::new(),
            in_use: InUse::default(),
        };
        let info = vk::CommandBufferAllocateInfo::default()
            .command_pool(pool)
            .level(vk::CommandBufferLevel::PRIMARY)
            .command_buffer_count(1);
        // SAFETY: the pool is fresh and ours.
        let allocated = unsafe { gpu.device.allocate_command_buffers(&info) }
            .map_err(|r| gpu.failed("vkAllocateCommandBuffers", r))?;
        this.raw = allocated.first().copied().unwrap_or_default();
        this.fill(commands)?;
        Ok(this)
    }

    /// Records anew, once the last submission has ended. When it fails nothing is recorded, and
    /// submitting does nothing.
    ///
    /// # Errors
    ///
    /// As [`Commands::record`].
    pub fn rerecord(&mut self, commands: impl FnOnce(&mut Recorder<'_>)) -> Result<()> {
        self.gpu.lost.check()?;
        if !self.in_use.wait(&self.gpu) {
            return Err(VulkanError::Driver {
                call: "vkWaitSemaphores (before recording)",
                result: vk::Result::TIMEOUT,
            });
        }
        // SAFETY: the pool's only command buffer is not pending.
        unsafe { self.gpu.device.reset_command_pool(self.pool, vk::CommandPoolResetFlags::empty()) }
            .map_err(|r| self.gpu.failed("vkResetCommandPool", r))?;
        self.kept.clear();
        let recorded = self.fill(commands);
        if recorded.is_err() {
            self.fill(|_| ())?;
        }
        recorded
    }

    fn fill(&mut self, commands: impl FnOnce(&mut Recorder<'_>)) -> Result<()> {
        // The launcher submits the same recording several times ahead.
        let begin =
            vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::SIMULTANEOUS_USE);
        let device = &self.gpu.device;
        // SAFETY: the command buffer is fresh or reset, and ours alone.
        unsafe { device.begin_command_buffer(self.raw, &begin) }
            .map_err(|r| self.gpu.failed("vkBeginCommandBuffer", r))?;
        let mut recorder =
            Recorder { gpu: &self.gpu, raw: self.raw, kept: &mut self.kept, bound: None, error: None };
        commands(&mut recorder);
        let error = recorder.error;
        // SAFETY: begun above.
        unsafe { device.end_command_buffer(self.raw) }
            .map_err(|r| self.gpu.failed("vkEndCommandBuffer", r))?;
        error.map_or(Ok(()), Err)
    }

    /// The command buffer, to be submitted with [`Gpu::submit_raw`] while this value lives.
    #[must_use]
    pub fn raw(&self) -> vk::CommandBuffer {
        self.raw
    }
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commands").field("raw", &self.raw).finish_non_exhaustive()
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        if self.in_use.wait(&self.gpu) {
            // SAFETY: the pool's only command buffer is not pending, and nobody else has them.
            unsafe { self.gpu.device.destroy_command_pool(self.pool, None) };
        } else {
            // The device still uses all of it.
            std::mem::forget(std::mem::take(&mut self.kept));
        }
    }
}

/// Records commands. A wrong argument is remembered and returned by [`Commands::record`].
pub struct Recorder<'a> {
    gpu: &'a Gpu,
    raw: vk::CommandBuffer,
    kept: &'a mut Vec<Kept>,
    bound: Option<ComputePipeline>,
    error: Option<VulkanError>,
}

impl Recorder<'_> {
    /// Binds a pipeline and its descriptor set for the dispatches that follow.
    pub fn bind(&mut self, pipeline: &ComputePipeline, set: &DescriptorSet) {
        if !set.fits(pipeline) {
            let what = "the set's pipeline";
            self.wrong(what, "another".into(), "make the set for the pipeline that is bound");
            return;
        }
        let device = &self.gpu.device;
        let point = vk::PipelineBindPoint::COMPUTE;
        // SAFETY: recording; both are of this device, and kept alive below.
        unsafe {
            device.cmd_bind_pipeline(self.raw, point, pipeline.raw());
            if let Some(set) = set.raw() {
                let layout = pipeline.layout();
                device.cmd_bind_descriptor_sets(self.raw, point, layout, 0, &[set], &[]);
            }
        }
        self.kept.push(Kept::Bound(pipeline.clone(), set.clone()));
        self.bound = Some(pipeline.clone());
    }

    /// Sets the push constants of the bound pipeline, from their first byte on; a multiple of 4
    /// bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = self.bound.as_ref().map_or(0, |p| p.push_constant_bytes() as usize);
        match &self.bound {
            Some(pipeline) if !bytes.is_empty() && bytes.len().is_multiple_of(4) && bytes.len() <= room => {
                // SAFETY: recording; within the layout's range.
                unsafe {
                    self.gpu.device.cmd_push_constants(
                        self.raw,
                        pipeline.layout(),
                        vk::ShaderStageFlags::COMPUTE,
                        0,
                        bytes,
                    );
                }
            }
            _ => self.wrong(
                "push constants",
                format!("{} bytes with room for {room}", bytes.len()),
                "bind a pipeline first, and pass a multiple of 4 bytes that fits it",
            ),
        }
    }

    /// Dispatches `groups` workgroups; none at all for 0.
    pub fn dispatch(&mut self, groups: u32) {
        if self.bound.is_none() || groups > self.gpu.info.max_workgroups {
            self.wrong(
                "workgroups",
                groups.to_string(),
                "bind a pipeline first, and stay within DeviceInfo::max_workgroups",
            );
        } else if groups > 0 {
            // SAFETY: recording, with a pipeline bound.
            unsafe { self.gpu.device.cmd_dispatch(self.raw, groups, 1, 1) };
        }
    }

    /// A barrier over all memory.
    pub fn barrier(&mut self, kind: BarrierKind) {
        let [(from, written), (to, used)] = kind.masks();
        let barrier = vk::MemoryBarrier::default().src_access_mask(written).dst_access_mask(used);
        let none = vk::DependencyFlags::empty();
        // SAFETY: recording; stages that a compute queue knows.
        unsafe {
            self.gpu.device.cmd_pipeline_barrier(self.raw, from, to, none, &[barrier], &[], &[]);
        }
    }

    /// Copies `bytes` bytes. Offsets are in bytes; the ranges lie in their buffers, and do not
    /// overlap.
    pub fn copy(&mut self, from: &Buffer, from_at: u64, to: &Buffer, to_at: u64, bytes: u64) {
        let overlap = from.raw() == to.raw()
            && from_at < to_at.saturating_add(bytes)
            && to_at < from_at.saturating_add(bytes);
        if !within(from, from_at, bytes) || !within(to, to_at, bytes) || overlap {
            let value = format!("{bytes} bytes from {from_at} to {to_at}");
            self.wrong("copy", value, "stay within both buffers, without overlap");
            return;
        }
        let region = vk::BufferCopy::default().src_offset(from_at).dst_offset(to_at).size(bytes);
        // SAFETY: recording; checked above; both are kept alive below.
        unsafe { self.gpu.device.cmd_copy_buffer(self.raw, from.raw(), to.raw(), &[region]) };
        self.keep(from);
        self.keep(to);
    }

    /// Fills `bytes` bytes from `at` on with copies of `word`; both are multiples of 4.
    pub fn fill(&mut self, buffer: &Buffer, at: u64, bytes: u64, word: u32) {
        if !within(buffer, at, bytes) || !at.is_multiple_of(4) || !bytes.is_multiple_of(4) {
            let value = format!("{bytes} bytes at {at}");
            self.wrong("fill", value, "stay within the buffer, in multiples of 4");
            return;
        }
        // SAFETY: recording; checked above; kept alive below.
        unsafe { self.gpu.device.cmd_fill_buffer(self.raw, buffer.raw(), at, bytes, word) };
        self.keep(buffer);
    }

    /// Keeps a buffer that the shader reaches by its address alive as long as these commands.
    pub fn keep(&mut self, buffer: &Buffer) {
        self.kept.push(Kept::Buffer(buffer.clone()));
    }

    /// The command buffer, for commands that this type does not wrap.
    #[must_use]
    pub fn raw(&self) -> vk::CommandBuffer {
        self.raw
    }

    fn wrong(&mut self, what: &'static str, value: String, fix: &'static str) {
        self.error.get_or_insert(VulkanError::InvalidArgument { what, value, fix });
    }
}

fn within(buffer: &Buffer, at: u64, bytes: u64) -> bool {
    bytes > 0 && at.checked_add(bytes).is_some_and(|end| end <= buffer.bytes())
}
