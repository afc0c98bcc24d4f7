//! Buffers by what they are for.

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use ash::vk;
use gpu_allocator::vulkan::{Allocation, AllocationCreateDesc, AllocationScheme};
use gpu_allocator::{AllocationError, MemoryLocation};

use super::commands::{BarrierKind, Commands};
use super::error::{Result, VulkanError};
use super::gpu::Gpu;
use super::timeline::Timeline;

/// Buffers start at multiples of this, so that no two share a cache line of either side.
const ALIGNMENT: u64 = 256;

/// Who writes a buffer and who reads it, from which its memory type follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The host writes, the device polls: device-local where the host can map that, so that the
    /// device's polls stay near it. Mapped, coherent; often write-combined.
    HostToDevice,
    /// The device writes, the host polls: cached by the host. Mapped, coherent.
    DeviceToHost,
    /// The device's own. Mapped only where all its memory is the host's.
    DeviceLocal,
    /// Device-local without a mapping on a discrete device, and read back by copies; elsewhere as
    /// [`Role::DeviceToHost`].
    Control,
}

impl Role {
    fn location(self, discrete: bool) -> MemoryLocation {
        match self {
            Self::HostToDevice => MemoryLocation::CpuToGpu,
            Self::DeviceToHost => MemoryLocation::GpuToCpu,
            Self::DeviceLocal => MemoryLocation::GpuOnly,
            Self::Control if discrete => MemoryLocation::GpuOnly,
            Self::Control => MemoryLocation::GpuToCpu,
        }
    }
}

/// A storage buffer with an address on the device, all zero at first. Clones are handles to the same
/// buffer, which goes with the last of them.
///
/// The device's accesses through the address are not tracked: name the buffer to
/// [`Recorder::keep`](super::Recorder::keep), so that it outlives the submission.
#[derive(Clone)]
pub struct Buffer(Arc<Inner>);

struct Inner {
    gpu: Arc<Gpu>,
    raw: vk::Buffer,
    address: u64,
    bytes: u64,
    mapped: Option<NonNull<u8>>,
    flags: vk::MemoryPropertyFlags,
    memory: Memory,
}

/// What a buffer is bound to.
pub(super) enum Memory {
    /// None only during the drop.
    Allocated(Option<Allocation>),
    /// Host memory of a caller's, which stays as long as the second field.
    Imported(vk::DeviceMemory, #[allow(dead_code)] Arc<dyn Any + Send + Sync>),
}

// SAFETY: the pointer is to memory that stays mapped until the drop, and is only ever read and
// written through atomics or handed out raw; all other fields are Send and Sync.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

impl Buffer {
    /// A zeroed buffer of `bytes` bytes, a multiple of 4 and not 0. Waits for the device once where
    /// the host can't map it. `label` appears in errors.
    ///
    /// # Errors
    ///
    /// [`VulkanError::OutOfMemory`] and [`VulkanError::NoMemoryType`] with role, size and label,
    /// [`VulkanError::InvalidArgument`], [`VulkanError::DeviceLost`].
    pub fn new(gpu: &Arc<Gpu>, role: Role, bytes: u64, label: &str) -> Result<Self> {
        gpu.lost.check()?;
        let raw = create_raw(gpu, bytes, false)?;
        // SAFETY: a buffer of this device.
        let mut requirements = unsafe { gpu.device.get_buffer_memory_requirements(raw) };
        requirements.alignment = requirements.alignment.max(ALIGNMENT);
        let allocated = match gpu.allocator().as_mut() {
            Some(allocator) => allocator.allocate(&AllocationCreateDesc {
                name: label,
                requirements,
                location: role.location(gpu.info.discrete),
                linear: true,
                allocation_scheme: AllocationScheme::GpuAllocatorManaged,
            }),
            None => Err(AllocationError::Internal("the device is going away".into())),
        };
        let allocation = match allocated {
            Ok(allocation) => allocation,
            Err(error) => {
                // SAFETY: never used.
                unsafe { gpu.device.destroy_buffer(raw, None) };
                return Err(explain(error, role, bytes, label));
            }
        };
        let flags = allocation.memory_properties();
        let coherent = flags.contains(vk::MemoryPropertyFlags::HOST_COHERENT);
        let mapped = allocation.mapped_ptr().filter(|_| coherent).map(NonNull::cast);
        // SAFETY: memory and offset of an allocation that lives as long as the buffer.
        let (memory, offset) = (unsafe { allocation.memory() }, allocation.offset());
        let memory_of = Memory::Allocated(Some(allocation));
        let buffer = Self::bind(gpu, raw, memory_of, memory, offset, bytes, mapped, flags)?;
        buffer.zero()?;
        Ok(buffer)
    }

    /// Binds and takes over `raw` and `owner`, also when it fails.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn bind(
        gpu: &Arc<Gpu>,
        raw: vk::Buffer,
        owner: Memory,
        memory: vk::DeviceMemory,
        offset: u64,
        bytes: u64,
        mapped: Option<NonNull<u8>>,
        flags: vk::MemoryPropertyFlags,
    ) -> Result<Self> {
        let gpu = Arc::clone(gpu);
        let mut inner = Inner { gpu, raw, address: 0, bytes, mapped, flags, memory: owner };
        // SAFETY: fresh buffer; the range of memory is its own and meets its requirements.
        unsafe { inner.gpu.device.bind_buffer_memory(raw, memory, offset) }
            .map_err(|r| inner.gpu.failed("vkBindBufferMemory", r))?;
        let info = vk::BufferDeviceAddressInfo::default().buffer(raw);
        // SAFETY: bound, created with SHADER_DEVICE_ADDRESS, on memory allocated with DEVICE_ADDRESS.
        inner.address = unsafe { inner.gpu.device.get_buffer_device_address(&info) };
        Ok(Self(Arc::new(inner)))
    }

    fn zero(&self) -> Result<()> {
        if let (Some(pointer), Ok(bytes)) = (self.0.mapped, usize::try_from(self.0.bytes)) {
            // SAFETY: the mapping covers the buffer, which nobody else knows yet.
            unsafe { pointer.write_bytes(0, bytes) };
            super::fence::publish(self.is_write_combined());
            return Ok(());
        }
        let gpu = &self.0.gpu;
        let commands = Commands::record(gpu, |recorder| {
            recorder.fill(self, 0, self.0.bytes, 0);
            recorder.barrier(BarrierKind::TransferToCompute);
            recorder.barrier(BarrierKind::TransferToTransfer);
        })?;
        let done = Timeline::new(gpu, 0)?;
        gpu.submit(&[&commands], &[], &[(&done, 1)])?;
        done.wait(1, Duration::MAX).map(|_| ())
    }

    /// The address in shaders.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.0.address
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// The words, where the buffer is mapped. The device may write them at any time, so they are
    /// atomics; do not read them when [`is_write_combined`](Self::is_write_combined).
    #[must_use]
    pub fn words(&self) -> Option<&[AtomicU32]> {
        let pointer = self.0.mapped?;
        let words = usize::try_from(self.0.bytes / 4).ok()?;
        // SAFETY: the mapping covers the buffer, is aligned to more than a word, is initialised
        // (zeroed or the caller's), and lives as long as `self`. Host accesses are atomic.
        Some(unsafe { std::slice::from_raw_parts(pointer.as_ptr().cast(), words) })
    }

    /// The mapping itself, for bulk copies and for IO into it: `bytes` bytes, valid as long as the
    /// buffer.
    #[must_use]
    pub fn mapped(&self) -> Option<NonNull<u8>> {
        self.0.mapped
    }

    /// Mapped, but not cached by the host: writes are combined, and reads take microseconds. Such
    /// memory is never read by the host, and published with `fence::publish(true)`.
    #[must_use]
    pub fn is_write_combined(&self) -> bool {
        self.0.mapped.is_some() && !self.0.flags.contains(vk::MemoryPropertyFlags::HOST_CACHED)
    }

    /// Whether the device has it near itself.
    #[must_use]
    pub fn is_device_local(&self) -> bool {
        self.0.flags.contains(vk::MemoryPropertyFlags::DEVICE_LOCAL)
    }

    /// The buffer, for command buffers of one's own. It goes with the last clone of this value.
    #[must_use]
    pub fn raw(&self) -> vk::Buffer {
        self.0.raw
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer")
            .field("bytes", &self.0.bytes)
            .field("address", &format_args!("{:#x}", self.0.address))
            .field("flags", &self.0.flags)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Submissions that use the buffer keep a clone of it, so none is running.
        // SAFETY: nobody else has the buffer; its memory goes after it.
        unsafe { self.gpu.device.destroy_buffer(self.raw, None) };
        match &mut self.memory {
            Memory::Allocated(allocation) => {
                if let (Some(allocator), Some(allocation)) =
                    (self.gpu.allocator().as_mut(), allocation.take())
                    && let Err(error) = allocator.free(allocation)
                {
                    tracing::warn!(%error, "device memory not freed");
                }
            }
            // SAFETY: nothing is bound to it any more.
            Memory::Imported(memory, _) => unsafe { self.gpu.device.free_memory(*memory, None) },
        }
    }
}

/// A buffer without memory.
pub(super) fn create_raw(gpu: &Gpu, bytes: u64, imported: bool) -> Result<vk::Buffer> {
    if bytes == 0 || !bytes.is_multiple_of(4) {
        return Err(VulkanError::InvalidArgument {
            what: "bytes",
            value: bytes.to_string(),
            fix: "pass a multiple of 4, not 0",
        });
    }
    let usage = vk::BufferUsageFlags::STORAGE_BUFFER
        | vk::BufferUsageFlags::TRANSFER_SRC
        | vk::BufferUsageFlags::TRANSFER_DST
        | vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS;
    let mut external = vk::ExternalMemoryBufferCreateInfo::default()
        .handle_types(vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT);
    let mut info = vk::BufferCreateInfo::default().size(bytes).usage(usage);
    if imported {
        info = info.push_next(&mut external);
    }
    // SAFETY: the chain lives until the call returns.
    unsafe { gpu.device.create_buffer(&info, None) }.map_err(|r| gpu.failed("vkCreateBuffer", r))
}

fn explain(error: AllocationError, role: Role, bytes: u64, label: &str) -> VulkanError {
    let label = label.to_owned();
    match error {
        AllocationError::OutOfMemory => VulkanError::OutOfMemory { role, bytes, label },
        AllocationError::NoCompatibleMemoryTypeFound => VulkanError::NoMemoryType { role, bytes, label },
        error => VulkanError::Allocator { reason: format!("{error} ({role:?}, {label})") },
    }
}
