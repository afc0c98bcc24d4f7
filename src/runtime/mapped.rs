//! An arena that the device has imported: what storage brings is where slots read it.

use std::ptr::NonNull;
use std::sync::Arc;

use super::error::RuntimeError;
use super::resources::{Access, Resource};
use super::shared::Shared;
use crate::io::arena::Arena;
use crate::vulkan::Buffer;

/// An arena under a handle, for slots to read. Dropping it revokes the handle; the memory stays mapped
/// until no dispatch can touch it.
///
/// Whoever writes to a range of the arena does so before the slot that names it is published, or after it
/// has ended; a slot that reads meanwhile gets mixed bytes.
pub struct MappedArena {
    resource: Resource,
    arena: Arc<Arena>,
}

impl MappedArena {
    pub(super) fn new(shared: &Arc<Shared>, arena: &Arc<Arena>) -> Result<Self, RuntimeError> {
        let start = NonNull::new(arena.as_ptr()).unwrap_or(NonNull::dangling());
        // SAFETY: the arena is one mapping that lives as long as its last Arc, of which the buffer keeps
        // one. The device only reads it, by the rights of the resource, so references of owners of its
        // blocks stay valid; the words of the buffer, by which the host could write, are not given out.
        let buffer = unsafe { Buffer::import_host(&shared.gpu, start, arena.len(), arena.clone()) }?;
        let resource = Resource::register(shared, buffer, Access::Read)?;
        Ok(Self { resource, arena: arena.clone() })
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
