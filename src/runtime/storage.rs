//! Storage that the running kernel asks for: files and memory by handle, and the thread that answers.
//!
//! A request names a file and memory by handles that the host gave out ([`capability`]); the service
//! ([`service`]) checks them, hands the transfer to a [`TransferEngine`], and publishes the slot's entry
//! again when it has ended. The device never learns a descriptor or a path.

mod attended;
mod capability;
mod order;
mod service;

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{JoinHandle, Thread};

use super::error::RuntimeError;
use super::placement::Placement;
use super::resources::{Access, Resource};
use super::shared::{Shared, lock};
use super::space::Space;
use super::tenants::Tenants;
use crate::io::arena::MAX_ARENA_BYTES;
use crate::io::transfer::{Description, TransferEngine, TransferOptions, open_transfer};
use crate::probe::ProbeReport;
use crate::vulkan::Gpu;

pub use self::capability::FileOptions;
pub(super) use self::capability::Piece;
use self::capability::Tables;
use self::order::Order;
use self::service::State;

/// How a runtime serves the IO that its slots ask for.
#[derive(Clone, Copy, Debug)]
pub struct StorageOptions {
    /// The engine, and what it is to use.
    pub transfer: TransferOptions,
    /// Bytes of memory that transfers go to and come from, in all; at most 128 MiB. Default: 32 MiB.
    pub memory_bytes: usize,
    /// Where slots are to read what storage brings; [`Runtime::placement`](super::Runtime::placement) tells
    /// what follows from it. Default: what is faster on this device.
    pub placement: Placement,
}

impl Default for StorageOptions {
    fn default() -> Self {
        let transfer = TransferOptions::default();
        Self { transfer, memory_bytes: 32 << 20, placement: Placement::default() }
    }
}

/// Puts something between a runtime and its engine.
type WrapEngine = fn(Box<dyn TransferEngine>) -> Box<dyn TransferEngine>;

/// What tests have done differently.
#[derive(Clone, Copy, Default)]
pub(super) struct Injected {
    pub wrap_engine: Option<WrapEngine>,
    /// As if the device could not import host memory.
    pub without_import: bool,
}

/// What the threads of a runtime share of its storage.
pub(crate) struct Storage {
    space: Space,
    /// Not `Auto`.
    pub placement: Placement,
    tables: Arc<Mutex<Tables>>,
    /// Of the slots that ask, for fences.
    pub order: Mutex<Order>,
    /// Requests taken so far, and answered, modulo 2^32; written by who has the state.
    taken: AtomicU32,
    answered: AtomicU32,
    description: Description,
    /// Given back by a plain store: see [`Shared::submission`].
    state: spin::Mutex<State>,
    /// Files were revoked that the engine still has open.
    revoked: AtomicBool,
    /// Turns of the service so far, by whichever thread; written by who has the state.
    turns: AtomicU64,
    /// As the launcher saw them last.
    seen: AtomicU64,
    /// Serves while nobody else does.
    server: OnceLock<Thread>,
    /// It is to serve now.
    called: AtomicBool,
}

impl Storage {
    /// Maps the memory, imports it if the device can, and opens the engine.
    pub fn new(
        gpu: &Arc<Gpu>,
        options: &StorageOptions,
        slots: u32,
        injected: Injected,
        probed: Option<&ProbeReport>,
        copied: &Arc<AtomicU64>,
    ) -> Result<Self, RuntimeError> {
        if options.memory_bytes == 0 || options.memory_bytes > MAX_ARENA_BYTES {
            return Err(RuntimeError::BadOption {
                option: "memory_bytes",
                value: options.memory_bytes as u64,
                takes: "1 to 128 MiB",
            });
        }
        let arena = Space::map(gpu, options.memory_bytes)?;
        let space = Space::new(gpu, &arena, !injected.without_import, copied)?;
        let placement = options.placement.resolve(gpu, space.buffer.is_device_local(), probed)?;
        let tables = Arc::new(Mutex::new(Tables::new(space.arena.len())));
        let wrap = injected.wrap_engine.unwrap_or(|engine| engine);
        // Whoever waits serves, so it is not one thread.
        let transfer = TransferOptions { one_thread: false, ..options.transfer };
        let engine = open_transfer(&transfer, std::slice::from_ref(&space.arena)).map_err(|e| {
            RuntimeError::Host { what: "the storage engine could not be opened", error: e.to_string() }
        })?;
        let mut description = engine.describe().clone();
        description.notes.extend(space.copied_because.clone());
        Ok(Self {
            space,
            placement,
            tables,
            order: Mutex::new(Order::new(slots)),
            taken: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            description,
            state: spin::Mutex::new(State::new(wrap(engine))),
            revoked: AtomicBool::new(false),
            turns: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            server: OnceLock::new(),
            called: AtomicBool::new(false),
        })
    }

    /// Requests taken and not answered.
    pub fn in_flight(&self) -> usize {
        // Answered first, so that it is never too low.
        let answered = self.answered.load(Ordering::Acquire);
        self.taken.load(Ordering::Acquire).wrapping_sub(answered) as usize
    }

    /// Requests answered so far, modulo 2^32.
    pub fn answered(&self) -> u32 {
        self.answered.load(Ordering::Acquire)
    }

    /// The engine.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Starts the thread that serves while no other does.
    pub fn start(&self, shared: &Arc<Shared>) -> Result<JoinHandle<()>, RuntimeError> {
        let shared = shared.clone();
        let thread = std::thread::Builder::new().name("ringfence-io".into());
        let run = move || shared.guarded("the storage thread panicked", || service::run(&shared));
        let thread = thread.spawn(run).map_err(|e| RuntimeError::Host {
            what: "the storage thread could not be started",
            error: e.to_string(),
        })?;
        let _ = self.server.set(thread.thread().clone());
        Ok(thread)
    }

    /// Now and then, by the launcher, while slots are on their way: has the thread of [`start`](Self::start) look after
    /// them if nobody has served since the last time, or only in passing.
    pub fn look_after(&self) {
        let turns = self.turns.load(Ordering::Relaxed);
        if turns.wrapping_sub(self.seen.swap(turns, Ordering::Relaxed)) < attended::LEAST_TURNS {
            self.wake_server();
        }
    }

    /// Ends the sleep of a thread that leaves the service to others.
    pub fn wake_server(&self) {
        self.called.store(true, Ordering::Release);
        if let Some(server) = self.server.get() {
            server.unpark();
        }
    }
}

impl Drop for Storage {
    /// A runtime that has failed answers no transfer, so their memory was not given back. It holds the tables, and they
    /// hold it.
    fn drop(&mut self) {
        let all = lock(&self.tables).take_all_back();
        drop(all);
    }
}

/// A file that slots may name. Dropping it revokes the handle: requests that come afterwards are FAULT
/// `BAD_OPERAND`, those in flight end as they would have.
pub struct RegisteredFile {
    handle: u32,
    shared: Arc<Shared>,
}

impl RegisteredFile {
    pub(super) fn new(shared: &Arc<Shared>, file: File, options: &FileOptions) -> Result<Self, RuntimeError> {
        let handle = lock(&storage(shared)?.tables).register(file, options)?;
        Ok(Self { handle, shared: shared.clone() })
    }

    /// What slots call it by.
    pub fn handle(&self) -> u32 {
        self.handle
    }
}

impl Drop for RegisteredFile {
    fn drop(&mut self) {
        if let Some(storage) = &self.shared.storage {
            lock(&storage.tables).revoke(self.handle);
            storage.revoked.store(true, Ordering::Release);
        }
        // The engine closes it now; if another thread serves, with its next turn, which may be after a rest.
        self.shared.serve_storage();
        if self.shared.storage.as_ref().is_some_and(|storage| storage.revoked.load(Ordering::Acquire)) {
            self.shared.wake_launcher();
        }
    }
}

/// Memory that transfers go to and come from, and that slots read and write by the same handle.
/// Dropping it revokes the handle; the memory is used anew only when no transfer and no dispatch can
/// touch it any more.
pub struct Memory {
    resource: Resource,
    tables: Arc<Mutex<Tables>>,
    piece: Arc<Piece>,
}

impl Memory {
    pub(super) fn new(shared: &Arc<Shared>, bytes: usize, tenants: Tenants) -> Result<Self, RuntimeError> {
        let storage = storage(shared)?;
        let piece = Arc::new(Piece::new(&storage.tables, bytes)?);
        if piece.is_used() {
            // What slots and transfers of its last owner left there is not for others.
            storage.space.clear(piece.range());
        }
        // A device that knows one tenant only, the system's own, looks at no sets.
        let theirs = shared.layout.tenants > 1 || tenants.contains(0);
        let access = if theirs { Access::Write } else { Access::None };
        let buffer = storage.space.buffer.clone();
        let resource = Resource::register_piece(shared, buffer, piece.clone(), access, tenants)?;
        lock(&storage.tables).lend(resource.handle(), &piece, tenants);
        Ok(Self { resource, tables: storage.tables.clone(), piece })
    }

    /// What slots call it by.
    pub fn handle(&self) -> u32 {
        self.resource.handle()
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.piece.range().len()
    }

    /// Whether it has none; it never is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its words, in place.
    pub fn words(&self) -> &[AtomicU32] {
        let range = self.piece.range();
        self.resource.words().and_then(|words| words.get(range.start / 4..range.end / 4)).unwrap_or(&[])
    }

    /// Copies bytes in, from byte `at` on; as many as fit. Words are read and written back, so not while a
    /// transfer or a slot writes there.
    pub fn write(&self, at: usize, bytes: &[u8]) {
        for (i, byte) in (at..).zip(bytes) {
            let Some(word) = self.words().get(i / 4) else { break };
            let shift = 8 * (i % 4);
            let rest = word.load(Ordering::Relaxed) & !(0xFF << shift);
            word.store(rest | u32::from(*byte) << shift, Ordering::Relaxed);
        }
    }

    /// Copies its bytes out.
    pub fn to_vec(&self) -> Vec<u8> {
        self.words().iter().flat_map(|word| word.load(Ordering::Acquire).to_le_bytes()).collect()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Dropped after the lock, which the drop of a last piece takes.
        let taken = lock(&self.tables).take_back(self.resource.handle());
        drop(taken);
    }
}

fn storage(shared: &Shared) -> Result<&Storage, RuntimeError> {
    shared.storage.as_ref().ok_or(RuntimeError::NoStorage)
}
