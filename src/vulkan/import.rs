//! Host memory as a buffer, through VK_EXT_external_memory_host.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;

use ash::vk;

use super::error::{Result, VulkanError};
use super::gpu::Gpu;
use super::memory::{Buffer, Memory, create_raw};

const HANDLE: vk::ExternalMemoryHandleTypeFlags = vk::ExternalMemoryHandleTypeFlags::HOST_ALLOCATION_EXT;

impl Buffer {
    /// A buffer over host memory, contents kept. Address and length must be multiples of
    /// [`DeviceInfo::import_alignment`](super::DeviceInfo::import_alignment). Prefer anonymous
    /// mappings: a driver may refuse others.
    ///
    /// # Safety
    ///
    /// `pointer` and the `bytes` bytes from it are readable, writable memory that stays so as long
    /// as `keep_alive`. Nobody holds a Rust reference to them other than to atomics while the device
    /// or [`Buffer::words`] may access them.
    ///
    /// # Errors
    ///
    /// [`VulkanError::Missing`] without the extension, [`VulkanError::InvalidArgument`] for a wrong
    /// alignment, or what the driver says of this memory.
    pub unsafe fn import_host(
        gpu: &Arc<Gpu>,
        pointer: NonNull<u8>,
        bytes: usize,
        keep_alive: Arc<dyn Any + Send + Sync>,
    ) -> Result<Self> {
        gpu.lost.check()?;
        let missing = || VulkanError::Missing {
            feature: "VK_EXT_external_memory_host".into(),
            device: gpu.info.to_string(),
        };
        let extension = gpu.external_memory_host.as_ref().ok_or_else(missing)?;
        let alignment = gpu.info.import_alignment.ok_or_else(missing)?;
        let size = bytes as u64;
        for (what, value) in [("address", pointer.as_ptr() as u64), ("bytes", size)] {
            if !value.is_multiple_of(alignment) || value == 0 {
                return Err(VulkanError::InvalidArgument {
                    what,
                    value: format!("{value:#x} with an import alignment of {alignment:#x}"),
                    fix: "pass a multiple of the import alignment, not 0",
                });
            }
        }
        let raw = create_raw(gpu, size, true)?;
        // From here the buffer must be destroyed when something fails.
        let destroy = |error| {
            // SAFETY: never used.
            unsafe { gpu.device.destroy_buffer(raw, None) };
            error
        };
        // SAFETY: a buffer of this device.
        let requirements = unsafe { gpu.device.get_buffer_memory_requirements(raw) };
        // SAFETY: an aligned host allocation, by the caller's promise.
        let usable = unsafe { importable(gpu, extension, pointer) }.map_err(destroy)?;
        let (index, flags) = pick_type(gpu, usable & requirements.memory_type_bits).ok_or_else(|| {
            destroy(VulkanError::Missing {
                feature: "coherent memory type for imported host memory".into(),
                device: gpu.info.to_string(),
            })
        })?;
        if requirements.size > size {
            return Err(destroy(VulkanError::InvalidArgument {
                what: "bytes",
                value: size.to_string(),
                fix: "pass a larger multiple of the import alignment",
            }));
        }
        let mut import = vk::ImportMemoryHostPointerInfoEXT::default()
            .handle_type(HANDLE)
            .host_pointer(pointer.as_ptr().cast());
        let mut address =
            vk::MemoryAllocateFlagsInfo::default().flags(vk::MemoryAllocateFlags::DEVICE_ADDRESS);
        let info = vk::MemoryAllocateInfo::default()
            .allocation_size(size)
            .memory_type_index(index)
            .push_next(&mut import)
            .push_next(&mut address);
        // SAFETY: pointer and size are aligned, the type is among those that the pointer allows.
        let memory = unsafe { gpu.device.allocate_memory(&info, None) }
            .map_err(|r| destroy(gpu.failed("vkAllocateMemory (import)", r)))?;
        let owner = Memory::Imported(memory, keep_alive);
        Self::bind(gpu, raw, owner, memory, 0, size, Some(pointer), flags)
    }
}

/// The memory types that host memory may be imported as.
///
/// # Safety
///
/// `pointer` is to a host allocation, aligned as the device asks for.
unsafe fn importable(
    gpu: &Gpu,
    extension: &ash::ext::external_memory_host::Device,
    pointer: NonNull<u8>,
) -> Result<u32> {
    let mut properties = vk::MemoryHostPointerPropertiesEXT::default();
    // SAFETY: the caller's promise. ash wraps no such method, so the command is called through its table.
    unsafe {
        (extension.fp().get_memory_host_pointer_properties_ext)(
            extension.device(),
            HANDLE,
            pointer.as_ptr().cast(),
            &mut properties,
        )
    }
    .result()
    .map_err(|r| gpu.failed("vkGetMemoryHostPointerPropertiesEXT", r))?;
    Ok(properties.memory_type_bits)
}

/// Whether host memory is device-local once it is imported, by the example of one allocation. None where
/// it can't be imported.
pub(super) fn is_device_local(gpu: &Gpu) -> Option<bool> {
    let extension = gpu.external_memory_host.as_ref()?;
    let alignment = usize::try_from(gpu.info.import_alignment?).ok()?;
    let layout = Layout::from_size_align(alignment, alignment).ok().filter(|layout| layout.size() > 0)?;
    // SAFETY: the layout is not empty.
    let pointer = NonNull::new(unsafe { alloc_zeroed(layout) })?;
    // SAFETY: an aligned host allocation.
    let usable = unsafe { importable(gpu, extension, pointer) };
    // SAFETY: allocated above with this layout; the device has only looked at it.
    unsafe { dealloc(pointer.as_ptr(), layout) };
    let (_, flags) = pick_type(gpu, usable.ok()?)?;
    Some(flags.contains(vk::MemoryPropertyFlags::DEVICE_LOCAL))
}

/// A coherent type of these, cached by the host if there is one.
fn pick_type(gpu: &Gpu, usable: u32) -> Option<(u32, vk::MemoryPropertyFlags)> {
    // SAFETY: the physical device belongs to the instance.
    let memory = unsafe { gpu.instance.raw.get_physical_device_memory_properties(gpu.physical) };
    let types = || (0u32..).zip(memory.memory_types_as_slice());
    let find = |flags: vk::MemoryPropertyFlags| {
        types()
            .find(|(i, t)| usable & (1 << i) != 0 && t.property_flags.contains(flags))
            .map(|(i, t)| (i, t.property_flags))
    };
    let coherent = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
    find(coherent | vk::MemoryPropertyFlags::HOST_CACHED).or_else(|| find(coherent))
}
