//! Opening a device of one's own, or adopting a caller's.

use std::sync::{Arc, Mutex};

use ash::{ext, vk};
use gpu_allocator::vulkan::{Allocator, AllocatorCreateDesc};
use gpu_allocator::{AllocationSizes, AllocatorDebugSettings};

use super::cache::PipelineCache;
use super::error::{Result, VulkanError};
use super::gpu::Gpu;
use super::import;
use super::instance::Instance;
use super::lost::Lost;
use super::queue::{Queue, QueueLock};
use super::requirements::{self, Optional};
use super::select::{self, Candidate};
use super::tracking::Tracker;
use super::validation::Level;
use super::workarounds::Workarounds;

/// First block of device memory. The default of the allocator (256 MiB) is a lot for a ring.
const MEMORY_BLOCK: u64 = 8 << 20;
/// Blocks double up to this.
const MAX_MEMORY_BLOCK: u64 = 64 << 20;

/// Which device to open, and how.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Index in the loader's order, or a part of the name in either case. None: the best one.
    pub device: Option<String>,
    /// Run under the Khronos validation layer. RINGFENCE_VALIDATION=1 does the same.
    pub validation: bool,
}

/// Which optional extensions a caller's device was created with.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdoptedExtensions {
    /// VK_EXT_external_memory_host.
    pub external_memory_host: bool,
    /// VK_EXT_subgroup_size_control, with the features that the device has of it.
    pub subgroup_size_control: bool,
}

/// A caller's Vulkan objects. None of them is destroyed by this crate.
pub struct Adopted {
    /// The loader's entry points. The caller keeps a clone: the last one unloads the loader, whose
    /// code the instance and the device need to be destroyed.
    pub entry: ash::Entry,
    /// The instance.
    pub instance: ash::Instance,
    /// The physical device of `device`.
    pub physical_device: vk::PhysicalDevice,
    /// The device.
    pub device: ash::Device,
    /// The family of `queue`; it has compute.
    pub queue_family: u32,
    /// The queue to submit to.
    pub queue: vk::Queue,
    /// Guards `queue`, if anybody else submits to it.
    pub queue_lock: Option<Arc<dyn QueueLock>>,
    /// Which optional extensions are enabled.
    pub extensions: AdoptedExtensions,
}

impl Gpu {
    /// Opens a device.
    ///
    /// # Errors
    ///
    /// [`VulkanError::NoLoader`], [`VulkanError::NoDevice`], [`VulkanError::Missing`] with the
    /// feature and the device, [`VulkanError::NoValidationLayer`], or what the driver says.
    pub fn open(options: &OpenOptions) -> Result<Arc<Self>> {
        let instance = Instance::create(options.validation)?;
        let candidate = select::select(&instance.raw, options.device.as_deref())?;
        let family = requirements::queue_family(&instance.raw, candidate.physical).ok_or_else(|| {
            VulkanError::Missing {
                feature: "queue family with compute".into(),
                device: candidate.info.to_string(),
            }
        })?;
        let device = create_device(&instance, &candidate, family)?;
        // SAFETY: the device was made with one queue of this family.
        let queue = unsafe { device.get_device_queue(family, 0) };
        Self::assemble(instance, device, candidate, Queue::new(queue, family, None), true)
    }

    /// Runs on a caller's device and queue.
    ///
    /// # Errors
    ///
    /// As [`Gpu::open`]. What the physical device lacks is found; what was not *enabled* is not.
    ///
    /// # Safety
    ///
    /// The handles are valid, belong together, and outlive the returned value and all that is made
    /// from it. The device was created with timelineSemaphore, vulkanMemoryModel,
    /// vulkanMemoryModelDeviceScope, bufferDeviceAddress, and the extensions that `extensions`
    /// names; the instance with an apiVersion of at least 1.2. Whoever else submits to the queue
    /// does so under `queue_lock`.
    pub unsafe fn adopt(adopted: Adopted) -> Result<Arc<Self>> {
        let (mut info, there) = requirements::inspect(&adopted.instance, adopted.physical_device, 0)?;
        let optional = Optional {
            import: there.import && adopted.extensions.external_memory_host,
            size_control: there.size_control && adopted.extensions.subgroup_size_control,
        };
        if !optional.import {
            info.import_alignment = None;
        }
        if !optional.size_control {
            info.subgroup_size_range = None;
            info.full_subgroups = false;
        }
        let instance = Instance::adopt(adopted.entry, adopted.instance);
        let candidate = Candidate { physical: adopted.physical_device, info, optional };
        let queue = Queue::new(adopted.queue, adopted.queue_family, adopted.queue_lock);
        Self::assemble(instance, adopted.device, candidate, queue, false)
    }

    fn assemble(
        instance: Instance,
        device: ash::Device,
        candidate: Candidate,
        queue: Queue,
        owns_device: bool,
    ) -> Result<Arc<Self>> {
        let Candidate { physical, info, optional } = candidate;
        let workarounds = Workarounds::of(&info);
        let allocator = Allocator::new(&AllocatorCreateDesc {
            instance: instance.raw.clone(),
            device: device.clone(),
            physical_device: physical,
            debug_settings: AllocatorDebugSettings::default(),
            buffer_device_address: true,
            allocation_sizes: AllocationSizes::new(MEMORY_BLOCK, MEMORY_BLOCK)
                .with_max_device_memblock_size(MAX_MEMORY_BLOCK)
                .with_max_host_memblock_size(MAX_MEMORY_BLOCK),
        });
        // From here on `Drop` cleans up, so the parts that can fail are filled in afterwards.
        let mut gpu = Self {
            allocator: Mutex::new(None),
            tracker: Tracker::empty(),
            pipeline_cache: PipelineCache::empty(),
            queue,
            lost: Lost::default(),
            external_memory_host: optional
                .import
                .then(|| ext::external_memory_host::Device::new(&instance.raw, &device)),
            info,
            workarounds,
            physical,
            device,
            owns_device,
            instance,
        };
        let allocator = allocator.map_err(|error| VulkanError::Allocator { reason: error.to_string() })?;
        gpu.allocator = Mutex::new(Some(allocator));
        gpu.info.import_device_local = import::is_device_local(&gpu);
        gpu.tracker = Tracker::new(&gpu.device)?;
        gpu.pipeline_cache = PipelineCache::load(&gpu.device, &gpu.info, &gpu.workarounds);
        tracing::debug!(device = %gpu.info, ?workarounds, "opened");
        Ok(Arc::new(gpu))
    }
}

fn create_device(instance: &Instance, candidate: &Candidate, family: u32) -> Result<ash::Device> {
    let queues = [vk::DeviceQueueCreateInfo::default().queue_family_index(family).queue_priorities(&[1.0])];
    let mut extensions = Vec::new();
    let mut f12 = vk::PhysicalDeviceVulkan12Features::default()
        .timeline_semaphore(true)
        .vulkan_memory_model(true)
        .vulkan_memory_model_device_scope(true)
        .buffer_device_address(true);
    let mut size = vk::PhysicalDeviceSubgroupSizeControlFeatures::default()
        .subgroup_size_control(candidate.info.subgroup_size_range.is_some())
        .compute_full_subgroups(candidate.info.full_subgroups);
    // SAFETY: the device comes from this instance.
    let there = unsafe { instance.raw.get_physical_device_features(candidate.physical) };
    let mut features = vk::PhysicalDeviceFeatures::default().shader_int64(candidate.info.int64);
    if instance.validation == Level::GpuAssisted {
        // The layer's instrumentation writes from every stage, and computes 64-bit addresses where it can.
        features.fragment_stores_and_atomics = there.fragment_stores_and_atomics;
        features.vertex_pipeline_stores_and_atomics = there.vertex_pipeline_stores_and_atomics;
    }
    if candidate.optional.import {
        extensions.push(ext::external_memory_host::NAME.as_ptr());
    }
    let mut info = vk::DeviceCreateInfo::default()
        .queue_create_infos(&queues)
        .enabled_features(&features)
        .push_next(&mut f12);
    if candidate.optional.size_control {
        extensions.push(ext::subgroup_size_control::NAME.as_ptr());
        info = info.push_next(&mut size);
    }
    let info = info.enabled_extension_names(&extensions);
    // SAFETY: the physical device has every feature and extension that is named; `info` and its
    // chain live until the call returns.
    unsafe { instance.raw.create_device(candidate.physical, &info, None) }
        .map_err(|r| VulkanError::call("vkCreateDevice", r))
}
