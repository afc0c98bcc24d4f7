//! Tables and arenas that slots name by handle.
//!
//! A record of the resource table is written before any slot that names it is published, so the
//! ordinary publication order covers it. It is cleared when its owner is dropped; the memory goes at
//! the next moment without a dispatch in flight, and only then is the place lent anew. A handle is the
//! index of its place below a generation, which the record holds as well: a handle that outlived its
//! owner names nothing, until 1,048,576 others had its place.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::error::RuntimeError;
use super::shared::{Shared, lock};
use super::storage::Piece;
use super::tenants::Tenants;
use crate::protocol::abi::live::{
    MAX_RESOURCES, RESOURCE_READ, RESOURCE_SCAN, RESOURCE_WORDS, RESOURCE_WRITE, TENANT_SET_VECTORS,
};
use crate::vulkan::{Buffer, Role};

// The device takes a handle's index from its low bits, and so looks none up out of bounds.
const _: () = assert!(MAX_RESOURCES.is_power_of_two());

/// Who holds which handle.
#[derive(Default)]
pub(crate) struct Handles {
    /// Handles for places that were given back, each of a generation that its place has not had.
    free: Vec<u32>,
    /// Places lent so far.
    next: u32,
    /// Memory whose owner is gone, until no dispatch can touch it, with the next handle for its place.
    pub retired: Vec<(u32, Buffer, Option<Arc<Piece>>)>,
}

/// What slots may do with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// A checked table of OP_SCAN.
    Scan,
    /// Nothing.
    None,
}

/// Memory that slots name by its handle. Dropping it revokes the handle; let the slots that name it
/// end first, or they fault.
pub struct Resource {
    shared: Arc<Shared>,
    handle: u32,
    buffer: Buffer,
    /// The part of the buffer that it is, where it is not all of it.
    piece: Option<Arc<Piece>>,
}

impl Resource {
    pub(super) fn register(
        shared: &Arc<Shared>,
        buffer: Buffer,
        access: Access,
    ) -> Result<Self, RuntimeError> {
        let words = 0..(buffer.bytes() / 4) as u32;
        Self::register_words(shared, buffer, words, None, access, Tenants::SYSTEM)
    }

    /// A piece of the memory of transfers, which `buffer` is all of.
    pub(super) fn register_piece(
        shared: &Arc<Shared>,
        buffer: Buffer,
        piece: Arc<Piece>,
        access: Access,
        tenants: Tenants,
    ) -> Result<Self, RuntimeError> {
        let range = piece.range();
        let words = (range.start / 4) as u32..(range.end / 4) as u32;
        Self::register_words(shared, buffer, words, Some(piece), access, tenants)
    }

    fn register_words(
        shared: &Arc<Shared>,
        buffer: Buffer,
        words: Range<u32>,
        piece: Option<Arc<Piece>>,
        access: Access,
        tenants: Tenants,
    ) -> Result<Self, RuntimeError> {
        let handle = match shared.free_handle() {
            Some(handle) => handle,
            None => {
                // Those whose owners are gone come back at a moment without a dispatch in flight.
                shared.quiesced(|_| ())?;
                shared.free_handle().ok_or(RuntimeError::NoHandle(MAX_RESOURCES))?
            }
        };
        let address = buffer.address() + 4 * u64::from(words.start);
        let words = words.end - words.start;
        let (kind, words) = match access {
            Access::Read => (RESOURCE_READ, words),
            Access::Write => (RESOURCE_READ | RESOURCE_WRITE, words),
            Access::Scan => (RESOURCE_READ | RESOURCE_SCAN, words),
            Access::None => (0, 0),
        };
        write_set(shared, handle, &tenants);
        // The size last: until it is there, the record holds nothing.
        let record = record(shared, handle);
        record[0].store(address as u32, Ordering::Relaxed);
        record[1].store((address >> 32) as u32, Ordering::Relaxed);
        record[3].store(generation(handle) | kind, Ordering::Relaxed);
        shared.buffers.publish_fence();
        record[2].store(words, Ordering::Release);
        Ok(Self { shared: shared.clone(), handle, buffer, piece })
    }

    /// Lets slots of these tenants use it, and of no others.
    pub fn set_tenants(&self, tenants: Tenants) {
        write_set(&self.shared, self.handle, &tenants);
        self.shared.buffers.publish_fence();
    }

    /// What slots call it by.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// The buffer behind it.
    pub(crate) fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Its memory as words, where the host can map it. Only memory made for output may be read:
    /// input memory may be write-combined.
    pub fn words(&self) -> Option<&[AtomicU32]> {
        self.buffer.words()
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        // Only the size and the rights go: a slot that reads the record meanwhile must not see the old
        // size with another address. The memory stays until no dispatch can touch it.
        let next = self.handle.wrapping_add(MAX_RESOURCES);
        let record = record(&self.shared, self.handle);
        record[2].store(0, Ordering::Relaxed);
        record[3].store(generation(next), Ordering::Relaxed);
        lock(&self.shared.handles).retired.push((next, self.buffer.clone(), self.piece.take()));
    }
}

/// The generation of a handle, where its record holds it: above the rights.
fn generation(handle: u32) -> u32 {
    handle & !(MAX_RESOURCES - 1)
}

/// Writes down which tenants may use what has a handle, where the device has more than one.
fn write_set(shared: &Shared, handle: u32, tenants: &Tenants) {
    if shared.layout.tenants > 1 {
        let words = 4 * TENANT_SET_VECTORS;
        let at = (MAX_RESOURCES * RESOURCE_WORDS + handle % MAX_RESOURCES * words) as usize;
        let set = &shared.buffers.resource_words()[at..at + words as usize];
        set.iter().zip(tenants.words()).for_each(|(to, word)| to.store(word, Ordering::Relaxed));
    }
}

/// The record at a handle's place.
fn record(shared: &Shared, handle: u32) -> &[AtomicU32] {
    let at = (handle % MAX_RESOURCES * RESOURCE_WORDS) as usize;
    &shared.buffers.resource_words()[at..at + RESOURCE_WORDS as usize]
}

impl Shared {
    fn free_handle(&self) -> Option<u32> {
        let mut handles = lock(&self.handles);
        handles.free.pop().or_else(|| {
            let fresh = (handles.next < MAX_RESOURCES).then_some(handles.next);
            handles.next += u32::from(fresh.is_some());
            fresh
        })
    }

    /// Lets go of revoked memory. Only while no dispatch is in flight.
    pub fn release_retired(&self) {
        let mut handles = lock(&self.handles);
        let Handles { free, retired, .. } = &mut *handles;
        free.extend(retired.drain(..).map(|(next, ..)| next));
    }

    /// Memory for a table that slots read, filled.
    pub fn table_buffer(&self, words: &[u32]) -> Result<Buffer, RuntimeError> {
        let buffer = Buffer::new(&self.gpu, Role::HostToDevice, (words.len().max(1) * 4) as u64, "table")?;
        if let Some(mapped) = buffer.words() {
            for (to, word) in mapped.iter().zip(words) {
                to.store(*word, Ordering::Relaxed);
            }
        }
        self.buffers.publish_fence();
        Ok(buffer)
    }
}
