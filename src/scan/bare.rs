//! One dispatch that walks many chunks, a workgroup each, without queues: what `ringfence bench scan`
//! holds the running kernel against.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::kernel_engine::slot_words;
use crate::kernel;
use crate::protocol::SLOT_WORDS;
use crate::protocol::abi::live::{
    MAX_RESOURCES, RESOURCE_READ, RESOURCE_SCAN, RESOURCE_WORDS, RESOURCE_WRITE,
};
use crate::protocol::abi::scan::{SCAN_CARRY_WORDS, SCAN_START};
use crate::protocol::abi::spec::{SPEC_LOOPS, SPEC_SUBGROUP_SIZE};
use crate::runtime::{Resource, Runtime, RuntimeError};
use crate::twin::scan::Walk;
use crate::vulkan::{
    BarrierKind, Buffer, Commands, ComputePipeline, DescriptorSet, Gpu, PipelineOptions, Role, Timeline,
};
use std::sync::Arc;

/// Text and table, as handles 0 and 1; the match buffers are handle 2.
const TEXT: u32 = 0;
const TABLE: u32 = 1;
const FOUND: u32 = 2;

/// What the kernel leaves of each chunk: fault, detail, matches, carries.
const RESULT_WORDS: u32 = 4;

/// Longer than any dispatch of the benchmark, even one that compiles first.
const PATIENCE: Duration = Duration::from_secs(60);

/// A dispatch, ready to be repeated.
pub struct BareScan {
    gpu: Arc<Gpu>,
    commands: Commands,
    completion: Buffer,
    timeline: Timeline,
    value: u64,
    chunks: u32,
    /// Held while the commands name them by address only.
    #[expect(dead_code, reason = "the device reads them by address")]
    memory: (Buffer, Resource, Buffer),
}

impl BareScan {
    /// A dispatch over `chunks` of `text`: byte offset, a multiple of 4, and length. Each has room for
    /// `capacity` matches. The automaton is checked as by [`Runtime::scan_table`].
    ///
    /// # Errors
    /// As there; what Vulkan refuses.
    pub fn new(
        runtime: &Runtime,
        text: &Buffer,
        table: &[u32],
        chunks: &[(u32, u32)],
        capacity: u32,
    ) -> Result<Self, RuntimeError> {
        let gpu = runtime.gpu();
        let table = runtime.scan_table(table)?;
        let missing = || RuntimeError::Host { what: "no module scan_bare", error: "not embedded".into() };
        let module = kernel::module("scan_bare").ok_or_else(missing)?;
        let count = chunks.len() as u32;
        let stride = SCAN_CARRY_WORDS + capacity;
        let buffer = |role, words: u32, label| Buffer::new(gpu, role, u64::from(words.max(1)) * 4, label);
        let found = buffer(Role::DeviceToHost, count * stride, "bare matches")?;
        let slots = buffer(Role::HostToDevice, count * SLOT_WORDS, "bare slots")?;
        let resources = buffer(Role::HostToDevice, MAX_RESOURCES * RESOURCE_WORDS, "bare resources")?;
        let completion = buffer(Role::DeviceToHost, RESULT_WORDS * count, "bare completions")?;
        // The walk touches neither of these, but the layout has them.
        let unused = buffer(Role::DeviceLocal, 64, "bare unused")?;

        for (i, (offset, len)) in (0..).zip(chunks) {
            let words = slot_words(
                (TEXT, *offset, *len),
                (TABLE, SCAN_START),
                (FOUND, i * stride, capacity),
                Walk::Parallel,
            );
            write(&slots, i * SLOT_WORDS, &words);
        }
        for (handle, buffer, kind) in [
            (TEXT, text, RESOURCE_READ),
            (TABLE, table.buffer(), RESOURCE_READ | RESOURCE_SCAN),
            (FOUND, &found, RESOURCE_WRITE),
        ] {
            let address = buffer.address();
            let record = [address as u32, (address >> 32) as u32, (buffer.bytes() / 4) as u32, kind];
            write(&resources, handle * RESOURCE_WORDS, &record);
        }

        let subgroup = gpu.info().subgroup_size;
        let options = PipelineOptions {
            spirv: module.words(),
            specialization: &[(SPEC_SUBGROUP_SIZE, subgroup), (SPEC_LOOPS, module.loops)],
            storage_buffers: 7,
            push_constant_bytes: module.push_constant_bytes,
            subgroup_size: Some(subgroup),
            label: module.name,
        };
        // SAFETY: the module is ours, its layout checked at build time; it reads the slots of its
        // workgroups, all written above, and what the three resources bound, of which the table was checked.
        let pipeline = unsafe { ComputePipeline::new(gpu, &options) }?;
        let set = DescriptorSet::new(
            &pipeline,
            &[&unused, &slots, &unused, &completion, &unused, &unused, &resources],
        )?;
        let commands = Commands::record(gpu, |rec| {
            [text, table.buffer(), &found].into_iter().for_each(|b| rec.keep(b));
            rec.bind(&pipeline, &set);
            rec.dispatch(count);
            rec.barrier(BarrierKind::ComputeToCompute);
            rec.barrier(BarrierKind::ComputeToHost);
        })?;
        Ok(Self {
            gpu: gpu.clone(),
            commands,
            completion,
            timeline: Timeline::new(gpu, 0)?,
            value: 0,
            chunks: count,
            memory: (text.clone(), table, found),
        })
    }

    /// Walks all chunks; the number of matches, or `None` when a chunk faulted.
    ///
    /// # Errors
    /// The failures of the device.
    pub fn run(&mut self) -> Result<Option<u64>, RuntimeError> {
        self.value += 1;
        self.gpu.submit(&[&self.commands], &[], &[(&self.timeline, self.value)])?;
        if !self.timeline.wait(self.value, PATIENCE)? {
            return Err(RuntimeError::Stalled(PATIENCE));
        }
        let words = self.completion.words().unwrap_or(&[]);
        let word = |i: u32, k: u32| words[(RESULT_WORDS * i + k) as usize].load(Ordering::Acquire);
        Ok((0..self.chunks).map(|i| (word(i, 0) == 0).then(|| u64::from(word(i, 2)))).sum())
    }
}

fn write(buffer: &Buffer, at: u32, words: &[u32]) {
    let mapped = buffer.words().unwrap_or(&[]);
    for (to, word) in mapped[at as usize..].iter().zip(words) {
        to.store(*word, Ordering::Relaxed);
    }
}
