//! The memory that transfers go to and come from, and that slots read and write.
//!
//! Where the device can import host memory the two are the same. Elsewhere storage has an arena, the device
//! a buffer of the same layout, and the CPU copies between them: what a read brought, before its slot is
//! resumed, and what a write is to take, before it begins. Every byte of that is counted.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::io::arena::{Arena, MAX_ARENA_BYTES};
use crate::runtime::error::RuntimeError;
use crate::vulkan::{Buffer, Gpu, Role, VulkanError};

/// An arena, as the device has it.
pub(super) struct Space {
    /// As storage sees it.
    pub arena: Arc<Arena>,
    /// As the device sees it.
    pub buffer: Buffer,
    /// Why they are not the same memory, if they are not.
    pub copied_because: Option<String>,
    /// Bytes that the CPU has copied, here and elsewhere.
    copied: Arc<AtomicU64>,
}

impl Space {
    /// Maps memory that the device may import.
    pub fn map(gpu: &Gpu, bytes: usize) -> Result<Arc<Arena>, RuntimeError> {
        let alignment = gpu.info().import_alignment.unwrap_or(1).max(1) as usize;
        let bytes = bytes.next_multiple_of(alignment).min(MAX_ARENA_BYTES);
        Arena::new(bytes).map_err(|e| RuntimeError::Host {
            what: "no memory for storage could be mapped",
            error: e.to_string(),
        })
    }

    /// The arena in memory of the device's, imported if `import` says so and the driver takes it. `copied`
    /// counts what is copied otherwise. Where slots get the right to write, nobody makes references to the
    /// arena's bytes.
    pub fn new(
        gpu: &Arc<Gpu>,
        arena: &Arc<Arena>,
        import: bool,
        copied: &Arc<AtomicU64>,
    ) -> Result<Self, RuntimeError> {
        let imported = if import { import_arena(gpu, arena).map_err(Some) } else { Err(None) };
        let (buffer, copied_because) = match imported {
            Ok(buffer) => (buffer, None),
            Err(Some(VulkanError::DeviceLost)) => return Err(VulkanError::DeviceLost.into()),
            Err(reason) => {
                let reason = reason.map_or_else(|| "not wanted".to_owned(), |e| e.to_string());
                // Cached by the host where there is such memory: what is written to a file is read here.
                let buffer = Buffer::new(gpu, Role::DeviceToHost, arena.len() as u64, "storage")?;
                let slow =
                    if buffer.is_write_combined() { ", slowly, for the host does not cache it" } else { "" };
                (buffer, Some(format!("memory is not imported ({reason}): the CPU copies{slow}")))
            }
        };
        if let Some(note) = &copied_because {
            tracing::info!("{note}");
        }
        Ok(Self { arena: arena.clone(), buffer, copied_because, copied: copied.clone() })
    }

    /// Storage has filled `range`, in bytes, which nobody has a mutable reference to: shows it to the
    /// device. Called by one thread at a time, before whatever tells the device.
    pub fn arrive(&self, range: Range<usize>) {
        self.copy(range, copy_bytes);
    }

    /// Storage is to take `range`, in bytes, which nobody has a reference to, as the device has left it.
    /// Called by one thread at a time.
    pub fn leave(&self, range: Range<usize>) {
        self.copy(range, |arena, buffer, skip, bytes| copy_bytes(buffer, arena, skip, bytes));
    }

    /// Sets the words of `range`, in bytes, to zero, which no slot and no transfer names.
    pub fn clear(&self, range: Range<usize>) {
        let words = self.buffer.words().and_then(|words| words.get(range.start / 4..range.end / 4));
        words.unwrap_or(&[]).iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    fn copy(&self, range: Range<usize>, copy: fn(Words<'_>, Words<'_>, usize, usize)) {
        if self.copied_because.is_none() || range.is_empty() {
            return;
        }
        let words = range.start / 4..range.end.div_ceil(4);
        let arena = arena_words(&self.arena, words.clone());
        let buffer = self.buffer.words().and_then(|buffer| buffer.get(words));
        if let (Some(arena), Some(buffer)) = (arena, buffer) {
            copy(arena, buffer, range.start % 4, range.len());
            self.copied.fetch_add(range.len() as u64, Ordering::Relaxed);
        }
    }
}

type Words<'a> = &'a [AtomicU32];

/// Imports an arena, or says why not. Where slots get the right to write, nobody makes references to its
/// bytes.
pub(super) fn import_arena(gpu: &Arc<Gpu>, arena: &Arc<Arena>) -> Result<Buffer, VulkanError> {
    let start = NonNull::new(arena.as_ptr()).unwrap_or(NonNull::dangling());
    // SAFETY: the arena is one mapping that lives as long as its last Arc, of which the buffer keeps one.
    // Memory that slots write is reached by transfers through raw pointers, and by callers through atomics;
    // what they only read may be referred to, since the buffer's words, by which the host could write, are
    // not given out there.
    unsafe { Buffer::import_host(gpu, start, arena.len(), arena.clone()) }
}

fn arena_words(arena: &Arena, words: Range<usize>) -> Option<Words<'_>> {
    if words.start > words.end || words.end > arena.len() / 4 {
        return None;
    }
    let start = arena.as_ptr().cast::<AtomicU32>().wrapping_add(words.start);
    // SAFETY: within the mapping, which has whole pages, is zeroed at first, and lives as long as the arena.
    // Nobody has references to these bytes that would not let them be read, or in `leave` be written, as the
    // two callers demand; the system, which transfers go through, is done with them or has not begun.
    Some(unsafe { std::slice::from_raw_parts(start, words.len()) })
}

/// Copies `bytes` bytes from byte `skip` of the first word on; the last byte is in the last word. Whole
/// words in ascending order first, for memory that combines writes. Words at the ends keep their other bytes,
/// for which alone the destination is read.
fn copy_bytes(from: Words<'_>, to: Words<'_>, skip: usize, bytes: usize) {
    let end = skip + bytes;
    let first = skip.div_ceil(4);
    let whole = first..(end / 4).max(first);
    for (from, to) in from[whole.clone()].iter().zip(&to[whole.clone()]) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    for i in (0..first).chain(whole.end..from.len()) {
        let bits = |at: usize| 8 * at.clamp(4 * i, 4 * i + 4).wrapping_sub(4 * i) as u32;
        // Of 64 bits, since all 32 may be kept or taken.
        let taken = ((1u64 << bits(end)) - (1u64 << bits(skip))) as u32;
        let word = to[i].load(Ordering::Relaxed) & !taken | from[i].load(Ordering::Relaxed) & taken;
        to[i].store(word, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_of_a_range_are_copied_and_no_others() {
        const WORDS: usize = 5;
        let words = |fill: fn(usize) -> u8| -> Vec<AtomicU32> {
            let bytes: Vec<u8> = (0..4 * WORDS).map(fill).collect();
            bytes
                .chunks_exact(4)
                .map(|b| AtomicU32::new(u32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                .collect()
        };
        let bytes = |words: &[AtomicU32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect()
        };
        for start in 0..4 * WORDS {
            for end in start + 1..=4 * WORDS {
                let (from, to) = (words(|i| i as u8), words(|i| 100 + i as u8));
                let within = start / 4..end.div_ceil(4);
                copy_bytes(&from[within.clone()], &to[within], start % 4, end - start);
                let wanted: Vec<u8> = (0..4 * WORDS)
                    .map(|i| if (start..end).contains(&i) { i as u8 } else { 100 + i as u8 })
                    .collect();
                assert_eq!(bytes(&to), wanted, "{start}..{end}");
            }
        }
    }
}
