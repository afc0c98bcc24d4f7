//! Which kernel a runtime has, and another in its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::engine::{EngineOptions, Program};
use super::error::RuntimeError;
use super::shared::{Shared, lock};
use crate::kernel::{Kernel, LinkError, Linked, Operation, Selection, Width};

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

/// What the host has to know of users' opcodes to publish their slots.
pub(crate) struct UserOpcodes {
    /// Most programs have none, and need no lock to know it.
    any: AtomicBool,
    known: RwLock<Known>,
}

/// Both sorted.
#[derive(Default)]
struct Known {
    /// Those of which a subgroup has one slot.
    wide: Box<[u32]>,
    /// Those that may ask for storage.
    asks: Box<[u32]>,
}

impl UserOpcodes {
    pub fn new(users: &Kernel) -> Self {
        let opcodes = Self { any: AtomicBool::new(false), known: RwLock::default() };
        opcodes.set(users);
        opcodes
    }

    fn set(&self, users: &Kernel) {
        let with = |is: fn(&Operation) -> bool| -> Box<[u32]> {
            users.operations().iter().filter(|operation| is(operation)).map(|op| op.opcode).collect()
        };
        let known = Known {
            wide: with(|operation| operation.width == Width::Wide),
            asks: with(|operation| operation.asks),
        };
        let any = !known.wide.is_empty() || !known.asks.is_empty();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        self.any.store(any, Ordering::Release);
    }

    #[inline]
    pub fn is_wide(&self, opcode: u32) -> bool {
        self.any.load(Ordering::Acquire) && self.known().wide.binary_search(&opcode).is_ok()
    }

    #[inline]
    pub fn asks(&self, opcode: u32) -> bool {
        self.any.load(Ordering::Acquire) && self.known().asks.binary_search(&opcode).is_ok()
    }

    #[cold]
    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Runs on with another kernel.
    pub fn swap(&self, kernel: &Kernel) -> Result<(), RuntimeError> {
        self.failure()?;
        if kernel.publishes() && self.layout.children == 0 {
            return Err(RuntimeError::NoChildSlots);
        }
        let linked = self.plan.next(kernel)?;
        let program = Program::new(&self.gpu, &self.layout, &self.buffers, &self.plan.engine, &linked)?;
        let before = self.quiesced(|engine| {
            self.users.set(kernel);
            *lock(&self.kernel) = Arc::new(linked);
            // Its first dispatch may compile for long, like the runtime's.
            self.buffers.completion_words()[0].store(0, Ordering::Relaxed);
            engine.replace(program)
        })?;
        drop(before);
        Ok(())
    }
}
