//! Running one of the probe's kernels to its end.

use std::sync::Arc;
use std::time::Duration;

use crate::kernel;
use crate::vulkan::{
    BarrierKind, Buffer, Commands, ComputePipeline, DescriptorSet, Gpu, PipelineOptions, Result, Role,
    Timeline, VulkanError,
};

/// Longer than any of the probe's kernels runs, with the time to compile it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A pipeline with its buffers.
pub(super) struct Kernel {
    pub(super) pipeline: ComputePipeline,
    pub(super) set: DescriptorSet,
}

/// A device with a timeline for what runs on it.
pub(super) struct Bench {
    pub(super) gpu: Arc<Gpu>,
    done: Timeline,
    submitted: u64,
}

impl Bench {
    pub(super) fn new(gpu: &Arc<Gpu>) -> Result<Self> {
        Ok(Self { gpu: Arc::clone(gpu), done: Timeline::new(gpu, 0)?, submitted: 0 })
    }

    /// Makes a kernel of an embedded module: workgroups of one subgroup.
    pub(super) fn kernel(&self, name: &str, buffers: &[&Buffer]) -> Result<Kernel> {
        let module = kernel::module(name).ok_or_else(|| VulkanError::InvalidArgument {
            what: "module",
            value: name.to_owned(),
            fix: "list it in glsl/modules",
        })?;
        let options = PipelineOptions {
            spirv: module.words(),
            specialization: &[(0, self.lanes())],
            storage_buffers: u32::try_from(module.bindings.len()).unwrap_or(u32::MAX),
            push_constant_bytes: module.push_constant_bytes,
            subgroup_size: Some(self.lanes()),
            label: name,
        };
        // SAFETY: our own module, validated when it was built; each caller passes buffers of the
        // size that its kernel accesses.
        let pipeline = unsafe { ComputePipeline::new(&self.gpu, &options) }?;
        let set = DescriptorSet::new(&pipeline, buffers)?;
        Ok(Kernel { pipeline, set })
    }

    /// Lanes of a subgroup, and of a workgroup.
    pub(super) fn lanes(&self) -> u32 {
        self.gpu.info().subgroup_size
    }

    /// Dispatches `groups` workgroups and waits for their end.
    pub(super) fn run(&mut self, kernel: &Kernel, push: &[u32], groups: u32) -> Result<()> {
        let commands = Commands::record(&self.gpu, |rec| {
            rec.bind(&kernel.pipeline, &kernel.set);
            if !push.is_empty() {
                rec.push(bytemuck::cast_slice(push));
            }
            rec.dispatch(groups);
            rec.barrier(BarrierKind::ComputeToHost);
        })?;
        self.submit(&commands)
    }

    /// Submits and waits for the end.
    pub(super) fn submit(&mut self, commands: &Commands) -> Result<()> {
        self.submitted += 1;
        self.gpu.submit(&[commands], &[], &[(&self.done, self.submitted)])?;
        match self.done.wait(self.submitted, PATIENCE)? {
            true => Ok(()),
            false => Err(VulkanError::Timeout { what: "a kernel of the probe", after: PATIENCE }),
        }
    }

    /// A buffer that the host and the device both read and write between dispatches.
    pub(super) fn shared(&self, words: u64, label: &str) -> Result<Buffer> {
        Buffer::new(&self.gpu, Role::DeviceToHost, words * 4, label)
    }
}

/// The value below which `percent` of the sorted values lie; 0 for none.
pub(super) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}
