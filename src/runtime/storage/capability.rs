//! What requests may name: files and memory, by handles that the host gave out.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt as _;
use std::sync::{Arc, Mutex};

use range_alloc::RangeAllocator;

use crate::io::arena::Arena;
use crate::io::transfer::Span;
use crate::protocol::FaultCode;
use crate::protocol::request::{Request, RequestKind};
use crate::runtime::error::RuntimeError;
use crate::runtime::shared::lock;

/// Memory is lent in pages, which direct transfers ask for.
const PAGE: usize = 4096;

/// Index of a file in its handle, below the generation: a handle that was revoked never names the file
/// that has its place now, until 65,536 others had it.
const INDEX_BITS: u32 = 16;

/// What slots may do with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// Slots may write to it too.
    pub write: bool,
    /// Bytes that may be reached, from the start on. Default: of a file that is only read, what it has
    /// when it is registered; else no limit.
    pub size: Option<u64>,
}

/// A file as requests see it.
pub(crate) struct Capability {
    pub file: Arc<File>,
    write: bool,
    size: u64,
}

#[derive(Default)]
struct Place {
    generation: u16,
    file: Option<Arc<Capability>>,
}

impl Place {
    fn has(&self, handle: u32) -> bool {
        u32::from(self.generation) == handle >> INDEX_BITS && self.file.is_some()
    }
}

/// The place of a file's handle.
pub(crate) fn index_of(handle: u32) -> usize {
    (handle & ((1 << INDEX_BITS) - 1)) as usize
}

/// All that is registered.
pub(crate) struct Tables {
    files: Vec<Place>,
    /// Handles that were revoked since the service looked.
    revoked: Vec<u32>,
    memory: HashMap<u32, (Span, Arc<Piece>)>,
    free: RangeAllocator<usize>,
}

/// A range of the memory, which goes back when nobody holds it.
pub(crate) struct Piece {
    tables: Arc<Mutex<Tables>>,
    range: Range<usize>,
    bytes: usize,
}

impl Piece {
    pub fn new(tables: &Arc<Mutex<Tables>>, bytes: usize) -> Result<Self, RuntimeError> {
        let pages = bytes.max(1).next_multiple_of(PAGE);
        let range = lock(tables).free.allocate_range(pages);
        let range = range.map_err(|e| RuntimeError::NoMemory { bytes, left: e.fragmented_free_length })?;
        Ok(Self { tables: tables.clone(), range, bytes: bytes.max(1).next_multiple_of(4) })
    }

    /// In bytes from the start of the arena; both ends are multiples of 4.
    pub fn range(&self) -> Range<usize> {
        self.range.start..self.range.start + self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        lock(&self.tables).free.free_range(self.range.clone());
    }
}

/// A request that may be carried out.
pub(crate) struct Granted<'a> {
    pub file: &'a Capability,
    pub span: Span,
    /// Held until the transfer has ended.
    pub piece: Arc<Piece>,
}

impl Tables {
    pub fn new(bytes: usize) -> Self {
        Self {
            files: Vec::new(),
            revoked: Vec::new(),
            memory: HashMap::new(),
            free: RangeAllocator::new(0..bytes / PAGE * PAGE),
        }
    }

    /// Makes a file known under a handle.
    pub fn register(&mut self, file: File, options: &FileOptions) -> Result<u32, RuntimeError> {
        let size = match options.size {
            Some(size) => size,
            None if options.write => i64::MAX as u64,
            None => file
                .metadata()
                .map(|meta| {
                    // Only these have a length to tell.
                    let kind = meta.file_type();
                    let unsized_kind = kind.is_block_device() || kind.is_char_device();
                    if unsized_kind { i64::MAX as u64 } else { meta.len() }
                })
                .map_err(|e| RuntimeError::Host {
                    what: "the file to register cannot be looked at",
                    error: e.to_string(),
                })?,
        };
        let index = match self.files.iter().position(|place| place.file.is_none()) {
            Some(index) => index,
            None if self.files.len() < 1 << INDEX_BITS => {
                self.files.push(Place::default());
                self.files.len() - 1
            }
            None => return Err(RuntimeError::NoHandle(1 << INDEX_BITS)),
        };
        let place = &mut self.files[index];
        place.file = Some(Arc::new(Capability { file: Arc::new(file), write: options.write, size }));
        Ok(u32::from(place.generation) << INDEX_BITS | index as u32)
    }

    pub fn revoke(&mut self, handle: u32) {
        if let Some(place) = self.place(handle) {
            place.file = None;
            place.generation = place.generation.wrapping_add(1);
            self.revoked.push(handle);
        }
    }

    /// Handles that were revoked since the last call.
    pub fn take_revoked(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.revoked)
    }

    fn place(&mut self, handle: u32) -> Option<&mut Place> {
        self.files.get_mut(index_of(handle)).filter(|place| place.has(handle))
    }

    /// Lets requests name a piece of the arena.
    pub fn lend(&mut self, handle: u32, arena: &Arc<Arena>, piece: &Arc<Piece>) {
        if let Some(span) = Span::new(arena.clone(), piece.range()) {
            self.memory.insert(handle, (span, piece.clone()));
        }
    }

    /// The contrary.
    pub fn take_back(&mut self, handle: u32) -> Option<(Span, Arc<Piece>)> {
        // Returned, so that a last piece is dropped after the lock, which its drop takes.
        self.memory.remove(&handle)
    }

    /// Checks a transfer. An error is the slot's fault: the code, and the argument as detail.
    pub fn grant(&self, request: &Request) -> Result<Granted<'_>, (FaultCode, u16)> {
        let place = self.files.get(index_of(request.file)).filter(|place| place.has(request.file));
        let file = place.and_then(|place| place.file.as_deref()).ok_or((FaultCode::BadOperand, 0))?;
        if request.kind == RequestKind::Write && !file.write {
            return Err((FaultCode::Unauthorized, 0));
        }
        let left = file.size.checked_sub(request.offset).ok_or((FaultCode::BadOperand, 2))?;
        let bytes = match request.bytes {
            0 if request.kind != RequestKind::Write => {
                u32::try_from(left).map_err(|_| (FaultCode::BadOperand, 4))?
            }
            bytes => bytes,
        };
        if u64::from(bytes) > left {
            return Err((FaultCode::BadOperand, 4));
        }
        let (memory, piece) = self.memory.get(&request.memory).ok_or((FaultCode::BadOperand, 5))?;
        let room = memory.len().checked_sub(request.memory_at as usize).ok_or((FaultCode::BadOperand, 6))?;
        if bytes as usize > room {
            return Err((FaultCode::BadOperand, 4));
        }
        let start = memory.range().start + request.memory_at as usize;
        let span = Span::new(memory.arena().clone(), start..start + bytes as usize);
        Ok(Granted { file, span: span.ok_or((FaultCode::BadOperand, 4))?, piece: piece.clone() })
    }
}
