//! Compute pipelines.

use std::sync::Arc;

use ash::vk;

use super::error::{Result, VulkanError};
use super::gpu::Gpu;

/// First word of a SPIR-V module in the host's byte order.
const SPIRV_MAGIC: u32 = 0x0723_0203;

/// What a pipeline is made of.
#[derive(Debug, Clone, Copy, Default)]
pub struct PipelineOptions<'a> {
    /// The module; its entry point is `main`.
    pub spirv: &'a [u32],
    /// Specialization constants, by id.
    pub specialization: &'a [(u32, u32)],
    /// Storage buffers: bindings 0 to n - 1 of set 0.
    pub storage_buffers: u32,
    /// Bytes of push constants, a multiple of 4.
    pub push_constant_bytes: u32,
    /// Lanes of a subgroup, pinned where the device has subgroup size control; see
    /// [`ComputePipeline::is_subgroup_pinned`].
    pub subgroup_size: Option<u32>,
    /// Appears in logs.
    pub label: &'a str,
}

/// A compute pipeline with its layout. Clones are handles to the same one.
#[derive(Clone)]
pub struct ComputePipeline(Arc<Inner>);

struct Inner {
    gpu: Arc<Gpu>,
    raw: vk::Pipeline,
    layout: vk::PipelineLayout,
    set_layout: vk::DescriptorSetLayout,
    storage_buffers: u32,
    push_constant_bytes: u32,
    pinned: bool,
}

impl ComputePipeline {
    /// Compiles a pipeline. CPU drivers put the real work off to the first dispatch.
    ///
    /// # Safety
    ///
    /// The module is valid SPIR-V for Vulkan 1.2 that matches `options`, needs no feature beyond
    /// those that [`Gpu::open`] enables, and its accesses, by whatever it is bound to and whatever
    /// addresses it is given, stay within live buffers.
    ///
    /// # Errors
    ///
    /// [`VulkanError::InvalidArgument`], [`VulkanError::DeviceLost`], or what the driver says.
    pub unsafe fn new(gpu: &Arc<Gpu>, options: &PipelineOptions<'_>) -> Result<Self> {
        gpu.lost.check()?;
        let pinned = check(gpu, options)?;
        let device = &gpu.device;
        // Filled step by step, so that its drop undoes what was done when a step fails. The null
        // handle is valid to destroy.
        let mut inner = Inner {
            gpu: Arc::clone(gpu),
            raw: vk::Pipeline::null(),
            layout: vk::PipelineLayout::null(),
            set_layout: vk::DescriptorSetLayout::null(),
            storage_buffers: options.storage_buffers,
            push_constant_bytes: options.push_constant_bytes,
            pinned,
        };
        let bindings: Vec<_> = (0..options.storage_buffers)
            .map(|binding| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        if !bindings.is_empty() {
            let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            // SAFETY: `info` lives until the call returns.
            inner.set_layout = unsafe { device.create_descriptor_set_layout(&info, None) }
                .map_err(|r| gpu.failed("vkCreateDescriptorSetLayout", r))?;
        }
        let set_layouts = [inner.set_layout];
        let ranges = [vk::PushConstantRange::default()
            .stage_flags(vk::ShaderStageFlags::COMPUTE)
            .size(options.push_constant_bytes)];
        let mut info = vk::PipelineLayoutCreateInfo::default();
        if !bindings.is_empty() {
            info = info.set_layouts(&set_layouts);
        }
        if options.push_constant_bytes > 0 {
            info = info.push_constant_ranges(&ranges);
        }
        // SAFETY: as above.
        inner.layout = unsafe { device.create_pipeline_layout(&info, None) }
            .map_err(|r| gpu.failed("vkCreatePipelineLayout", r))?;
        // SAFETY: by this function's own contract.
        inner.raw = unsafe { compile(gpu, options, inner.layout, pinned) }?;
        tracing::debug!(label = options.label, pinned, "pipeline made");
        Ok(Self(Arc::new(inner)))
    }

    /// Whether the subgroup size that was asked for is certain. Where it is not, the kernel checks
    /// gl_SubgroupSize and gl_NumSubgroups itself.
    #[must_use]
    pub fn is_subgroup_pinned(&self) -> bool {
        self.0.pinned
    }

    pub(super) fn gpu(&self) -> &Arc<Gpu> {
        &self.0.gpu
    }

    pub(super) fn raw(&self) -> vk::Pipeline {
        self.0.raw
    }

    pub(super) fn layout(&self) -> vk::PipelineLayout {
        self.0.layout
    }

    pub(super) fn set_layout(&self) -> vk::DescriptorSetLayout {
        self.0.set_layout
    }

    pub(super) fn storage_buffers(&self) -> u32 {
        self.0.storage_buffers
    }

    pub(super) fn push_constant_bytes(&self) -> u32 {
        self.0.push_constant_bytes
    }
}

impl std::fmt::Debug for ComputePipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComputePipeline").field("raw", &self.0.raw).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: command buffers that use the pipeline keep a clone of it, so none is pending.
        unsafe {
            self.gpu.device.destroy_pipeline(self.raw, None);
            self.gpu.device.destroy_pipeline_layout(self.layout, None);
            self.gpu.device.destroy_descriptor_set_layout(self.set_layout, None);
        }
    }
}

/// Checks what can be checked, and says whether the subgroup size can be pinned.
fn check(gpu: &Gpu, options: &PipelineOptions<'_>) -> Result<bool> {
    let wrong = |what, value: String, fix| VulkanError::InvalidArgument { what, value, fix };
    if options.spirv.len() < 5 || options.spirv[0] != SPIRV_MAGIC {
        let first = options.spirv.first().copied().unwrap_or_default();
        let value = format!("{} words that begin with {first:#010x}", options.spirv.len());
        return Err(wrong("spirv", value, "pass a SPIR-V module in the host's byte order"));
    }
    let bytes = options.push_constant_bytes;
    if !bytes.is_multiple_of(4) || bytes > gpu.info.max_push_constant_bytes {
        let fix = "pass a multiple of 4 within DeviceInfo::max_push_constant_bytes";
        return Err(wrong("push_constant_bytes", bytes.to_string(), fix));
    }
    match (options.subgroup_size, gpu.info.subgroup_size_range) {
        (Some(size), Some((least, most))) => {
            if !size.is_power_of_two() || !(least..=most).contains(&size) {
                let value = format!("{size} where the device has {least} to {most}");
                return Err(wrong("subgroup_size", value, "pass a power of two in that range"));
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// # Safety
///
/// As [`ComputePipeline::new`].
unsafe fn compile(
    gpu: &Gpu,
    options: &PipelineOptions<'_>,
    layout: vk::PipelineLayout,
    pinned: bool,
) -> Result<vk::Pipeline> {
    let device = &gpu.device;
    let info = vk::ShaderModuleCreateInfo::default().code(options.spirv);
    // SAFETY: valid SPIR-V, by the caller's promise.
    let module = unsafe { device.create_shader_module(&info, None) }
        .map_err(|r| gpu.failed("vkCreateShaderModule", r))?;
    let mut entries = Vec::with_capacity(options.specialization.len());
    let mut data = Vec::with_capacity(options.specialization.len() * 4);
    for &(id, value) in options.specialization {
        entries.push(vk::SpecializationMapEntry {
            constant_id: id,
            offset: u32::try_from(data.len()).unwrap_or(u32::MAX),
            size: 4,
        });
        data.extend_from_slice(&value.to_ne_bytes());
    }
    let specialization = vk::SpecializationInfo::default().map_entries(&entries).data(&data);
    let mut size = vk::PipelineShaderStageRequiredSubgroupSizeCreateInfo::default()
        .required_subgroup_size(options.subgroup_size.unwrap_or_default());
    let mut stage = vk::PipelineShaderStageCreateInfo::default()
        .stage(vk::ShaderStageFlags::COMPUTE)
        .module(module)
        .name(c"main")
        .specialization_info(&specialization);
    if pinned {
        stage = stage.push_next(&mut size);
        if gpu.info.full_subgroups {
            stage = stage.flags(vk::PipelineShaderStageCreateFlags::REQUIRE_FULL_SUBGROUPS);
        }
    }
    let info = vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout);
    // SAFETY: all that `info` points at lives until the call returns.
    let made = unsafe { device.create_compute_pipelines(gpu.pipeline_cache.raw(), &[info], None) };
    // SAFETY: a pipeline does not need its module once it is made.
    unsafe { device.destroy_shader_module(module, None) };
    match made {
        Ok(pipelines) => Ok(pipelines.first().copied().unwrap_or_default()),
        Err((_, result)) => Err(gpu.failed("vkCreateComputePipelines", result)),
    }
}
