//! An arena as the device has it: what storage brings is where slots read it.

use std::ops::Range;
use std::sync::Arc;

use super::error::RuntimeError;
use super::resources::{Access, Resource};
use super::shared::Shared;
use super::space::{Space, import_arena};
use crate::io::arena::Arena;

/// An arena under a handle, for slots to read. Dropping it revokes the handle; the memory stays mapped
/// until no dispatch can touch it.
///
/// Whoever writes to a range of the arena does so before the slot that names it is published, or after it
/// has ended; a slot that reads meanwhile gets mixed bytes.
pub struct MappedArena {
    resource: Resource,
    arena: Arc<Arena>,
    /// Where the device has memory of its own instead.
    copy: Option<Space>,
}

impl MappedArena {
    /// In place, or an error.
    pub(super) fn new(shared: &Arc<Shared>, arena: &Arc<Arena>) -> Result<Self, RuntimeError> {
        let resource = Resource::register(shared, import_arena(&shared.gpu, arena)?, Access::Read)?;
        Ok(Self { resource, arena: arena.clone(), copy: None })
    }

    /// In place, or where the device cannot import the arena, copied by the CPU in [`arrive`](Self::arrive).
    pub(super) fn or_copied(shared: &Arc<Shared>, arena: &Arc<Arena>) -> Result<Self, RuntimeError> {
        let space = Space::new(&shared.gpu, arena, shared.import, &shared.cpu_copied)?;
        let resource = Resource::register(shared, space.buffer.clone(), Access::Read)?;
        let copy = space.copied_because.is_some().then_some(space);
        Ok(Self { resource, arena: arena.clone(), copy })
    }

    /// Shows the device what was written to `range` of the arena, in bytes: called before the slot that
    /// names it is published, by one thread at a time, with no mutable reference to the range about.
    pub(super) fn arrive(&self, range: Range<usize>) {
        if let Some(copy) = &self.copy {
            copy.arrive(range);
        }
    }

    /// What slots call it by; offsets count from the start of the arena.
    pub fn handle(&self) -> u32 {
        self.resource.handle()
    }

    /// The memory.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }
}
