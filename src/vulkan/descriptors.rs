//! Descriptor sets of storage buffers.

use std::sync::Arc;

use ash::vk;

use super::error::{Result, VulkanError};
use super::gpu::Gpu;
use super::memory::Buffer;
use super::pipeline::ComputePipeline;

/// The buffers of a pipeline: set 0, bindings 0 to n - 1. Never changed once made. Clones are
/// handles to the same set, which keeps its buffers alive.
#[derive(Clone)]
pub struct DescriptorSet(Arc<Inner>);

struct Inner {
    gpu: Arc<Gpu>,
    /// Null without buffers.
    pool: vk::DescriptorPool,
    raw: vk::DescriptorSet,
    pipeline: ComputePipeline,
    _buffers: Vec<Buffer>,
}

impl DescriptorSet {
    /// A set over `buffers`, as many as the pipeline has.
    ///
    /// # Errors
    ///
    /// [`VulkanError::InvalidArgument`] for a wrong number of buffers or one above
    /// `max_storage_buffer_range`; [`VulkanError::DeviceLost`]; what the driver says.
    pub fn new(pipeline: &ComputePipeline, buffers: &[&Buffer]) -> Result<Self> {
        let gpu = pipeline.gpu();
        gpu.lost.check()?;
        if buffers.len() as u64 != u64::from(pipeline.storage_buffers()) {
            return Err(VulkanError::InvalidArgument {
                what: "number of buffers",
                value: format!("{} for {} bindings", buffers.len(), pipeline.storage_buffers()),
                fix: "pass one buffer for each binding",
            });
        }
        let most = u64::from(gpu.info.max_storage_buffer_range);
        if let Some(buffer) = buffers.iter().find(|buffer| buffer.bytes() > most) {
            return Err(VulkanError::InvalidArgument {
                what: "bytes of a bound buffer",
                value: format!("{}, where the device binds at most {most}", buffer.bytes()),
                fix: "split it, or reach it by its address",
            });
        }
        let mut inner = Inner {
            gpu: Arc::clone(gpu),
            pool: vk::DescriptorPool::null(),
            raw: vk::DescriptorSet::null(),
            pipeline: pipeline.clone(),
            _buffers: buffers.iter().map(|&buffer| buffer.clone()).collect(),
        };
        if !buffers.is_empty() {
            inner.fill(buffers)?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// The set, unless it is empty.
    pub(super) fn raw(&self) -> Option<vk::DescriptorSet> {
        (self.0.raw != vk::DescriptorSet::null()).then_some(self.0.raw)
    }

    /// Whether it was made for this pipeline, or for one with the same layout.
    pub(super) fn fits(&self, pipeline: &ComputePipeline) -> bool {
        let own = &self.0.pipeline;
        own.raw() == pipeline.raw()
            || Arc::ptr_eq(own.gpu(), pipeline.gpu()) && own.storage_buffers() == pipeline.storage_buffers()
    }
}

impl Inner {
    fn fill(&mut self, buffers: &[&Buffer]) -> Result<()> {
        let device = &self.gpu.device;
        let sizes = [vk::DescriptorPoolSize {
            ty: vk::DescriptorType::STORAGE_BUFFER,
            descriptor_count: self.pipeline.storage_buffers(),
        }];
        let info = vk::DescriptorPoolCreateInfo::default().max_sets(1).pool_sizes(&sizes);
        // SAFETY: `info` lives until the call returns.
        self.pool = unsafe { device.create_descriptor_pool(&info, None) }
            .map_err(|r| self.gpu.failed("vkCreateDescriptorPool", r))?;
        let layouts = [self.pipeline.set_layout()];
        let info = vk::DescriptorSetAllocateInfo::default().descriptor_pool(self.pool).set_layouts(&layouts);
        // SAFETY: pool and layout are of this device, and alive.
        let sets = unsafe { device.allocate_descriptor_sets(&info) }
            .map_err(|r| self.gpu.failed("vkAllocateDescriptorSets", r))?;
        self.raw = sets.first().copied().unwrap_or_default();
        let infos: Vec<_> = buffers
            .iter()
            .map(|buffer| [vk::DescriptorBufferInfo::default().buffer(buffer.raw()).range(vk::WHOLE_SIZE)])
            .collect();
        let writes: Vec<_> = (0u32..)
            .zip(&infos)
            .map(|(binding, info)| {
                vk::WriteDescriptorSet::default()
                    .dst_set(self.raw)
                    .dst_binding(binding)
                    .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                    .buffer_info(info)
            })
            .collect();
        // SAFETY: the set is not in use yet; its buffers live as long as it does.
        unsafe { device.update_descriptor_sets(&writes, &[]) };
        Ok(())
    }
}

impl std::fmt::Debug for DescriptorSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DescriptorSet").field("raw", &self.0.raw).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: command buffers that use the set keep a clone of it, so none is pending. The set
        // goes with its pool.
        unsafe { self.gpu.device.destroy_descriptor_pool(self.pool, None) };
    }
}
