//! What requests may name: files and memory, by handles that the host gave out.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt as _;
use std::sync::{Arc, Mutex};

use range_alloc::RangeAllocator;
use slab::Slab;

use crate::protocol::FaultCode;
use crate::protocol::abi::live::MAX_RESOURCES;
use crate::protocol::request::{Request, RequestKind};
use crate::runtime::error::RuntimeError;
use crate::runtime::shared::lock;
use crate::runtime::tenants::Tenants;

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
    /// Whose slots may name it; anybody else's are FAULT `UNAUTHORIZED`. Default: the system tenant's.
    pub tenants: Tenants,
}

/// A file as requests see it.
pub(crate) struct Capability {
    pub file: Arc<File>,
    write: bool,
    size: u64,
    tenants: Tenants,
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

/// The place of the handle of memory, which is a resource's.
fn place_of(handle: u32) -> usize {
    (handle & (MAX_RESOURCES - 1)) as usize
}

/// All that is registered.
pub(crate) struct Tables {
    files: Vec<Place>,
    /// Handles that were revoked since the service looked.
    revoked: Vec<u32>,
    /// Memory that was lent; its handles and numbers, by the handles' places.
    lent: Slab<Lent>,
    memory: Vec<Option<(u32, usize)>>,
    free: RangeAllocator<usize>,
    /// What lies behind was never lent.
    used: usize,
}

/// Memory as requests see it.
pub(crate) struct Lent {
    piece: Arc<Piece>,
    tenants: Tenants,
    /// On their way, so the piece stays. Counted here, since a hold of the piece for each would be two atomics more.
    transfers: u32,
    /// Requests get nothing any more.
    taken_back: bool,
}

/// A range of the memory, which goes back when nobody holds it.
pub(crate) struct Piece {
    tables: Arc<Mutex<Tables>>,
    range: Range<usize>,
    bytes: usize,
    /// Somebody had some of it before.
    used: bool,
}

impl Piece {
    pub fn new(tables: &Arc<Mutex<Tables>>, bytes: usize) -> Result<Self, RuntimeError> {
        let pages = bytes.max(1).next_multiple_of(PAGE);
        let mut all = lock(tables);
        let range = all.free.allocate_range(pages);
        let range = range.map_err(|e| RuntimeError::NoMemory { bytes, left: e.fragmented_free_length })?;
        let used = range.start < all.used;
        all.used = all.used.max(range.end);
        Ok(Self { tables: tables.clone(), range, bytes: bytes.max(1).next_multiple_of(4), used })
    }

    /// Whether it may hold what somebody else left there; else it is all zero.
    pub fn is_used(&self) -> bool {
        self.used
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

/// A request that may be carried out. Its memory is nobody else's until [`Tables::ended`].
pub(crate) struct Granted<'a> {
    pub file: &'a Capability,
    /// In bytes from the start of the arena.
    pub range: Range<usize>,
    /// The memory's number, for [`Tables::ended`].
    pub lent: usize,
}

impl Tables {
    pub fn new(bytes: usize) -> Self {
        Self {
            files: Vec::new(),
            revoked: Vec::new(),
            lent: Slab::new(),
            memory: Vec::new(),
            free: RangeAllocator::new(0..bytes / PAGE * PAGE),
            used: 0,
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
        let FileOptions { write, tenants, .. } = *options;
        place.file = Some(Arc::new(Capability { file: Arc::new(file), write, size, tenants }));
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

    /// Lets requests of these tenants name a piece of the arena.
    pub fn lend(&mut self, handle: u32, piece: &Arc<Piece>, tenants: Tenants) {
        let lent = Lent { piece: piece.clone(), tenants, transfers: 0, taken_back: false };
        let place = place_of(handle);
        if self.memory.len() <= place {
            self.memory.resize(place + 1, None);
        }
        self.memory[place] = Some((handle, self.lent.insert(lent)));
    }

    /// The contrary. What is returned is to be dropped after the lock, which the drop of a last piece takes.
    pub fn take_back(&mut self, handle: u32) -> Option<Lent> {
        let (_, number) = self.memory.get_mut(place_of(handle))?.take_if(|(of, _)| *of == handle)?;
        let lent = self.lent.get_mut(number)?;
        lent.taken_back = true;
        if lent.transfers == 0 { self.lent.try_remove(number) } else { None }
    }

    /// A transfer that was granted memory number `lent` has ended. Returns as [`take_back`](Self::take_back).
    pub fn ended(&mut self, lent: usize) -> Option<Lent> {
        let of = self.lent.get_mut(lent)?;
        of.transfers -= 1;
        if of.taken_back && of.transfers == 0 { self.lent.try_remove(lent) } else { None }
    }

    /// All of it, once no transfer can touch it. Returns as [`take_back`](Self::take_back).
    pub fn take_all_back(&mut self) -> Slab<Lent> {
        self.memory.clear();
        std::mem::take(&mut self.lent)
    }

    /// Checks a transfer for one of `tenant`'s slots. An error is the slot's fault: the code, and the
    /// argument as detail.
    #[inline]
    pub fn grant(&mut self, request: &Request, tenant: u32) -> Result<Granted<'_>, (FaultCode, u16)> {
        let place = self.files.get(index_of(request.file)).filter(|place| place.has(request.file));
        let file = place.and_then(|place| place.file.as_deref()).ok_or((FaultCode::BadOperand, 0))?;
        if !file.tenants.contains(tenant) || request.kind == RequestKind::Write && !file.write {
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
        let lent = match self.memory.get(place_of(request.memory)) {
            Some(Some((handle, number))) if *handle == request.memory => Some(*number),
            _ => None,
        };
        let lent = lent.and_then(|number| Some((number, self.lent.get_mut(number)?)));
        let (number, lent) = lent.ok_or((FaultCode::BadOperand, 5))?;
        if !lent.tenants.contains(tenant) {
            return Err((FaultCode::Unauthorized, 5));
        }
        let memory = lent.piece.range();
        let room = memory.len().checked_sub(request.memory_at as usize).ok_or((FaultCode::BadOperand, 6))?;
        if bytes as usize > room {
            return Err((FaultCode::BadOperand, 4));
        }
        lent.transfers += 1;
        let start = memory.start + request.memory_at as usize;
        Ok(Granted { file, range: start..start + bytes as usize, lent: number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: RequestKind, file: u32, (offset, bytes): (u64, u32), memory: u32, at: u32) -> Request {
        Request { kind, slot: 0, file, memory, offset, bytes, memory_at: at }
    }

    /// A file of 10,000 bytes, unnamed.
    fn file() -> File {
        let path = std::env::temp_dir().join(format!(
            "ringfence-grant-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
        file.set_len(10_000).expect("room");
        std::fs::remove_file(path).expect("removable");
        file
    }

    #[test]
    fn a_request_gets_what_its_capabilities_say_and_no_more() {
        const GIB: u64 = 1 << 30;
        use FaultCode::{BadOperand, Unauthorized};
        use RequestKind::{Prefetch, Read, Write};
        let tables = Arc::new(Mutex::new(Tables::new(1 << 16)));
        let tenants = |ids: &[u32]| Tenants::of(ids.iter().copied()).expect("ids that can be");
        let register = |write, size, ids: &[u32]| {
            let options = FileOptions { write, size, tenants: tenants(ids) };
            lock(&tables).register(file(), &options).expect("a handle")
        };
        let read = register(false, None, &[0, 5]);
        let written = register(true, None, &[0, 1023]);
        let huge = register(true, Some(8 * GIB), &[0]);
        let foreign = register(true, None, &[5]);
        let nobodys = register(true, None, &[]);
        let gone = register(true, None, &[0]);
        lock(&tables).revoke(gone);
        let anew = register(true, None, &[0]);
        assert_eq!((anew & 0xFFFF, anew >> 16), (gone & 0xFFFF, 1), "the place, of another generation");
        let lend = |handle: u32, ids: &[u32]| {
            let piece = Arc::new(Piece::new(&tables, 8192).expect("room"));
            lock(&tables).lend(handle, &piece, tenants(ids));
            piece
        };
        let pieces =
            [7, 8].map(|handle| (handle, lend(handle, if handle == 7 { &[0, 5, 1023] } else { &[5] })));
        lend(9, &[0]);
        let taken = lock(&tables).take_back(9);
        drop(taken.expect("nobody has it"));

        let at = |offset, bytes| (offset, bytes);
        type Granting = Result<usize, (FaultCode, u16)>;
        // Who asks for what, and the bytes that are granted or the fault.
        let cases: &[(&str, u32, Request, Granting)] = &[
            ("a read", 0, request(Read, read, at(5, 100), 7, 3), Ok(100)),
            ("a read of another tenant's", 5, request(Read, read, at(5, 100), 7, 3), Ok(100)),
            ("all of it", 0, request(Prefetch, read, at(2000, 0), 7, 0), Ok(8000)),
            ("nothing, at the end", 0, request(Read, read, at(10_000, 0), 7, 8192), Ok(0)),
            ("a write", 1023, request(Write, written, at(GIB << 10, 8192), 7, 0), Ok(8192)),
            ("a write of nothing", 0, request(Write, written, at(0, 0), 7, 0), Ok(0)),
            ("past 4 GiB", 0, request(Read, huge, at(8 * GIB - 1, 1), 7, 0), Ok(1)),
            ("no such file", 0, request(Read, 77, at(0, 1), 7, 0), Err((BadOperand, 0))),
            ("a later generation", 0, request(Read, read | 1 << 16, at(0, 1), 7, 0), Err((BadOperand, 0))),
            ("a revoked file", 0, request(Read, gone, at(0, 1), 7, 0), Err((BadOperand, 0))),
            ("a foreign file", 0, request(Read, foreign, at(0, 1), 7, 0), Err((Unauthorized, 0))),
            ("its place and size", 0, request(Read, foreign, at(u64::MAX, 9), 99, 9), Err((Unauthorized, 0))),
            ("nobody's file", 0, request(Read, nobodys, at(0, 1), 7, 0), Err((Unauthorized, 0))),
            ("nobody's file, for 5", 5, request(Read, nobodys, at(0, 1), 7, 0), Err((Unauthorized, 0))),
            ("a tenant of neither", 6, request(Prefetch, read, at(0, 1), 7, 0), Err((Unauthorized, 0))),
            ("an id that cannot be", 1024, request(Read, read, at(0, 1), 7, 0), Err((Unauthorized, 0))),
            ("the last id", u32::MAX, request(Read, read, at(0, 1), 7, 0), Err((Unauthorized, 0))),
            ("a file to read", 0, request(Write, read, at(0, 1), 7, 0), Err((Unauthorized, 0))),
            ("behind the end", 0, request(Read, read, at(10_001, 1), 7, 0), Err((BadOperand, 2))),
            ("the last offset", 0, request(Read, huge, at(u64::MAX, 1), 7, 0), Err((BadOperand, 2))),
            ("across the end", 0, request(Read, read, at(9999, 2), 7, 0), Err((BadOperand, 4))),
            ("all of too much", 0, request(Read, huge, at(0, 0), 7, 0), Err((BadOperand, 4))),
            ("no such memory", 0, request(Read, read, at(0, 1), 77, 0), Err((BadOperand, 5))),
            ("memory taken back", 0, request(Read, read, at(0, 1), 9, 0), Err((BadOperand, 5))),
            ("foreign memory", 0, request(Read, read, at(0, 1), 8, 0), Err((Unauthorized, 5))),
            ("its size", 0, request(Write, written, at(0, 1), 8, u32::MAX), Err((Unauthorized, 5))),
            ("memory of both", 5, request(Read, read, at(0, 1), 8, 0), Ok(1)),
            ("behind the memory", 0, request(Read, read, at(0, 1), 7, 8193), Err((BadOperand, 6))),
            ("across its end", 0, request(Read, read, at(0, 2), 7, 8191), Err((BadOperand, 4))),
        ];
        for (what, tenant, request, wanted) in cases {
            let mut tables = lock(&tables);
            let granted = tables.grant(request, *tenant).map(|granted| (granted.range, granted.lent));
            if let Ok((range, number)) = &granted {
                let (_, piece) = pieces.iter().find(|(handle, _)| *handle == request.memory).expect("lent");
                let lent = piece.range();
                let begin = lent.start + request.memory_at as usize;
                assert!(range.start == begin && range.end <= lent.end, "{what}");
                assert!(tables.ended(*number).is_none());
            }
            assert_eq!(granted.map(|(range, _)| range.len()), *wanted, "{what}");
        }
    }

    #[test]
    fn memory_that_is_taken_back_stays_until_its_transfers_have_ended() {
        let tables = Arc::new(Mutex::new(Tables::new(1 << 16)));
        let file = lock(&tables).register(file(), &FileOptions::default()).expect("a handle");
        let piece = Arc::new(Piece::new(&tables, 1 << 16).expect("room"));
        lock(&tables).lend(7, &piece, Tenants::default());
        drop(piece);
        let wanted = request(RequestKind::Read, file, (0, 1), 7, 0);
        let granted = || lock(&tables).grant(&wanted, 0).map(|granted| granted.lent);
        let number = granted().expect("lent");
        assert_eq!(granted(), Ok(number));
        let taken = lock(&tables).take_back(7);
        assert!(taken.is_none() && granted().is_err(), "two transfers have it, and no third gets it");
        let ended = lock(&tables).ended(number);
        assert!(ended.is_none() && Piece::new(&tables, 1).is_err(), "one still has it");
        let ended = lock(&tables).ended(number);
        drop(ended.expect("nobody has it"));
        assert!(Piece::new(&tables, 1).is_ok_and(|piece| piece.is_used()));
        let taken = lock(&tables).take_back(7);
        assert!(taken.is_none());
    }
}
