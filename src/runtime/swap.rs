//! Which kernel a runtime has, and another in its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::engine::{EngineOptions, LinkedModule, Program};
use super::error::RuntimeError;
use super::shared::Shared;
use crate::kernel::{Kernel, Wanted, Width, smallest};
use crate::vulkan::Gpu;

/// What a runtime's kernels have in common.
pub(crate) struct Plan {
    /// Built-in ones that were asked for.
    pub opcodes: Box<[u32]>,
    /// There are several.
    pub tenants: bool,
    pub engine: EngineOptions,
}

impl Plan {
    /// The smallest module that has what is asked for, with the users' operations.
    pub fn link(&self, gpu: &Arc<Gpu>, users: Option<&Kernel>) -> Result<LinkedModule, RuntimeError> {
        let wanted = Wanted {
            opcodes: &self.opcodes,
            int64: gpu.info().int64,
            tenants: self.tenants,
            handlers: users.is_some(),
        };
        let module = smallest(&wanted).ok_or_else(|| RuntimeError::Host {
            what: "no kernel module is embedded",
            error: "the build left spirv/ out".into(),
        })?;
        Ok(LinkedModule { module, linked: users.map(|kernel| kernel.link(module)).transpose()? })
    }
}

/// The opcodes of users of which a subgroup has one slot.
pub(crate) struct WideOpcodes {
    /// Most programs have none, and need no lock to know it.
    any: AtomicBool,
    sorted: RwLock<Box<[u32]>>,
}

impl WideOpcodes {
    pub fn new(users: Option<&Kernel>) -> Self {
        let wide = Self { any: AtomicBool::new(false), sorted: RwLock::default() };
        wide.set(users);
        wide
    }

    fn set(&self, users: Option<&Kernel>) {
        let operations = users.iter().flat_map(|kernel| kernel.operations());
        let wide = operations.filter(|operation| operation.width == Width::Wide);
        let sorted: Box<[u32]> = wide.map(|operation| operation.opcode).collect();
        let any = !sorted.is_empty();
        *self.sorted.write().unwrap_or_else(PoisonError::into_inner) = sorted;
        self.any.store(any, Ordering::Release);
    }

    #[inline]
    pub fn contains(&self, opcode: u32) -> bool {
        self.any.load(Ordering::Acquire) && self.looked_up(opcode)
    }

    #[cold]
    fn looked_up(&self, opcode: u32) -> bool {
        self.sorted.read().unwrap_or_else(PoisonError::into_inner).binary_search(&opcode).is_ok()
    }
}

impl Shared {
    /// Runs on with another kernel.
    pub fn swap(&self, kernel: &Kernel) -> Result<(), RuntimeError> {
        self.failure()?;
        // With a place for handlers even if there are none: slots that are to go on lie in queues that other modules do
        // not look at.
        let linked = self.plan.link(&self.gpu, Some(kernel))?;
        let program = Program::new(&self.gpu, &self.layout, &self.buffers, &self.plan.engine, &linked)?;
        let before = self.quiesced(|engine| {
            self.wide.set(Some(kernel));
            self.module.store(linked.module);
            // Its first dispatch may compile for long, like the runtime's.
            self.buffers.completion_words()[0].store(0, Ordering::Relaxed);
            engine.replace(program)
        })?;
        drop(before);
        Ok(())
    }
}
