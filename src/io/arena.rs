//! Memory that storage reads into and the kernel reads from.
//!
//! An arena is an anonymous mapping: io_uring can register such memory and a Vulkan driver can
//! import it, whereas memory that a driver mapped cannot be registered. It is lent out as [`Buf`]s,
//! ranges with one owner each, which find their way back by being dropped.

use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// The largest arena: the binding limit of the most modest driver (lavapipe's
/// `maxStorageBufferRange`).
pub const MAX_ARENA_BYTES: usize = 128 << 20;

/// A page-aligned anonymous mapping. Its address and size stay the same for its whole life.
#[derive(Debug)]
pub struct Arena {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: an Arena owns its mapping and gives out no reference to the bytes by itself. They are
// reached through `Buf`s, whose ranges are disjoint, each with one owner.
unsafe impl Send for Arena {}
// SAFETY: as above; all methods on `&Arena` only read the two fields, which never change.
unsafe impl Sync for Arena {}

impl Arena {
    /// Maps `len` zero bytes, rounded up to whole pages; at most [`MAX_ARENA_BYTES`].
    pub fn new(len: usize) -> io::Result<Arc<Self>> {
        let len = len.max(1).next_multiple_of(rustix::param::page_size());
        if len > MAX_ARENA_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("an arena of {len} bytes: use several of at most {MAX_ARENA_BYTES}"),
            ));
        }
        // SAFETY: a fresh private mapping at an address of the kernel's choice touches no memory
        // that anything else uses; it is unmapped in `drop` alone.
        let start = unsafe {
            mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?
        };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap gave a null mapping"))?;
        Ok(Arc::new(Self { start, len }))
    }

    /// First byte, aligned to a page. Whoever registers or imports the memory keeps the `Arc`.
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Bytes, a whole number of pages.
    #[expect(clippy::len_without_is_empty, reason = "an arena is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and every Buf and registration keeps an `Arc<Arena>`, so
        // nobody can reach it any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "unmapping an arena: {unmapped:?}");
    }
}

/// Equal blocks of an arena, lent and taken back. May be used from any thread.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    arena: Arc<Arena>,
    block: usize,
    free: Mutex<Vec<usize>>,
    freed: Condvar,
}

impl Pool {
    /// Cuts `range` of the arena into blocks of `block` bytes; the remainder stays unused.
    ///
    /// # Panics
    ///
    /// Never on the ranges that this crate passes: `range` lies within the arena, and no two pools
    /// of one arena overlap. Both are the caller's duty, hence not public.
    pub(crate) fn new(arena: &Arc<Arena>, range: Range<usize>, block: usize) -> Self {
        assert!(range.end <= arena.len() && block > 0);
        let free = (0..range.len() / block).rev().map(|n| range.start + n * block).collect();
        Self {
            shared: Arc::new(Shared {
                arena: arena.clone(),
                block,
                free: Mutex::new(free),
                freed: Condvar::new(),
            }),
        }
    }

    /// The arena that the blocks belong to.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.shared.arena
    }

    /// Blocks that nobody holds.
    pub fn available(&self) -> usize {
        self.shared.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A free block, if there is one.
    pub fn try_take(&self) -> Option<Buf> {
        let offset = self.shared.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(self.lend(offset))
    }

    /// A free block; waits until one comes back.
    pub fn take(&self) -> Buf {
        let mut free = self.shared.free.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(offset) = free.pop() {
                drop(free);
                return self.lend(offset);
            }
            free = self.shared.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lend(&self, offset: usize) -> Buf {
        let range = offset..offset + self.shared.block;
        Buf { loan: Arc::new(Loan { shared: self.shared.clone(), offset }), range }
    }
}

/// A block on loan; when its last part is gone it is free again.
#[derive(Debug)]
struct Loan {
    shared: Arc<Shared>,
    offset: usize,
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.shared.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.offset);
        self.shared.freed.notify_one();
    }
}

/// Exclusive use of a range of an arena: a block of a [`Pool`], or a part of one.
#[derive(Debug)]
pub struct Buf {
    loan: Arc<Loan>,
    range: Range<usize>,
}

impl Buf {
    /// Where it begins, in bytes from the start of the arena.
    pub fn offset(&self) -> usize {
        self.range.start
    }

    /// The arena it belongs to.
    pub fn arena(&self) -> &Arc<Arena> {
        &self.loan.shared.arena
    }

    /// The first `at` bytes (at most all of them), and the rest.
    pub fn split(self, at: usize) -> (Buf, Buf) {
        let middle = self.range.start + at.min(self.range.len());
        let rest = Buf { loan: self.loan.clone(), range: middle..self.range.end };
        (Buf { loan: self.loan, range: self.range.start..middle }, rest)
    }

    /// Puts back together what [`Buf::split`] took apart; gives both back if they are not neighbours
    /// of one block.
    pub fn join(self, next: Buf) -> Result<Buf, (Buf, Buf)> {
        if !Arc::ptr_eq(&self.loan, &next.loan) || self.range.end != next.range.start {
            return Err((self, next));
        }
        Ok(Buf { loan: self.loan, range: self.range.start..next.range.end })
    }
}

impl Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range lies in the mapping (checked when the pool was made), which the loan
        // keeps alive and which was zeroed at its birth. Ranges of different Bufs never overlap, so
        // no one writes while this reference, which borrows the Buf, lives.
        unsafe {
            std::slice::from_raw_parts(
                self.loan.shared.arena.as_ptr().add(self.range.start),
                self.range.len(),
            )
        }
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `deref`; the Buf is borrowed mutably, so this is the only reference.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.loan.shared.arena.as_ptr().add(self.range.start),
                self.range.len(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_when_their_last_part_is_gone() {
        let pool = Pool::new(&Arena::new(1 << 16).unwrap(), 4096..4096 * 3, 4096);
        let (a, b) = (pool.take(), pool.take());
        assert_eq!((a.offset(), b.offset()), (4096, 8192));
        assert!(pool.try_take().is_none());
        let (mut head, rest) = a.split(100);
        head.fill(7);
        drop(rest);
        assert!(pool.try_take().is_none(), "a part is still out");
        drop(head);
        let again = pool.take();
        assert_eq!(again.offset(), 4096);
        let (head, rest) = again.split(10);
        let (rest, head) = rest.join(head).unwrap_err();
        assert_eq!(head.join(rest).unwrap().len(), 4096);
        assert!(b.join(pool.take()).is_err());
    }

    #[test]
    fn a_taker_waits() {
        let pool = Pool::new(&Arena::new(4096).unwrap(), 0..4096, 4096);
        let buf = pool.take();
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| pool.take().offset());
            std::thread::sleep(std::time::Duration::from_millis(5));
            drop(buf);
            assert_eq!(taker.join().unwrap(), 0);
        });
    }

    #[test]
    fn an_arena_has_a_limit() {
        assert!(Arena::new(MAX_ARENA_BYTES + 1).is_err());
        assert_eq!(Arena::new(1).unwrap().as_ptr() as usize % rustix::param::page_size(), 0);
    }
}
