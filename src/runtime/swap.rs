//! Which kernel a runtime has, and another in its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::engine::{EngineOptions, Program};
use super::error::RuntimeError;
use super::shared::{Shared, lock};
use crate::kernel::{Kernel, LinkError, Linked, Selection, Width};

/// What a runtime's kernels have in common.
pub(crate) struct Plan {
    pub selection: Selection,
    pub engine: EngineOptions,
}

impl Plan {
    /// The kernel that a runtime begins with.
    pub fn first(&self, users: &Kernel) -> Result<Linked, LinkError> {
        users.link_or_kept(&self.selection)
    }

    /// One that takes another's place. It has a place for operations of users even if there are none: slots that are to
    /// go on lie in queues that others do not look at.
    pub fn next(&self, users: &Kernel) -> Result<Linked, LinkError> {
        users.link_or_kept(&Selection { handlers: true, ..self.selection.clone() })
    }
}

/// The opcodes of users of which a subgroup has one slot.
pub(crate) struct WideOpcodes {
    /// Most programs have none, and need no lock to know it.
    any: AtomicBool,
    sorted: RwLock<Box<[u32]>>,
}

impl WideOpcodes {
    pub fn new(users: &Kernel) -> Self {
        let wide = Self { any: AtomicBool::new(false), sorted: RwLock::default() };
        wide.set(users);
        wide
    }

    fn set(&self, users: &Kernel) {
        let wide = users.operations().iter().filter(|operation| operation.width == Width::Wide);
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
        let linked = self.plan.next(kernel)?;
        let program = Program::new(&self.gpu, &self.layout, &self.buffers, &self.plan.engine, &linked)?;
        let before = self.quiesced(|engine| {
            self.wide.set(kernel);
            *lock(&self.kernel) = Arc::new(linked);
            // Its first dispatch may compile for long, like the runtime's.
            self.buffers.completion_words()[0].store(0, Ordering::Relaxed);
            engine.replace(program)
        })?;
        drop(before);
        Ok(())
    }
}
