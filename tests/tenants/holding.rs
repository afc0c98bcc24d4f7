//! Storage that answers when the test says so, and slots that wait for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringfence::descriptor::SlotDescriptor;
use ringfence::io::transfer::{Description, Done, FileId, Transfer, TransferEngine};
use ringfence::protocol::LoadMiss;
use ringfence::runtime::{
    FileOptions, Memory, RegisteredFile, Runtime, RuntimeBuilder, StorageOptions, Tenants,
};

use crate::support::own_gpu;
use crate::support::storage::{Engine, file, noise};

/// Engines whose answers are held back until somebody lets them go: one for each test.
static HELD: [AtomicBool; 4] = [const { AtomicBool::new(false) }; 4];

/// Another engine, whose answers wait for `HELD`.
struct Holding {
    inner: Engine,
    held: &'static AtomicBool,
    came: Vec<Done>,
}

fn holding<const N: usize>(inner: Engine) -> Engine {
    Box::new(Holding { inner, held: &HELD[N], came: Vec::new() })
}

impl TransferEngine for Holding {
    fn register(&mut self, file: Arc<std::fs::File>) -> io::Result<FileId> {
        self.inner.register(file)
    }

    fn unregister(&mut self, file: FileId) {
        self.inner.unregister(file);
    }

    fn submit(&mut self, transfer: Transfer) -> io::Result<()> {
        self.inner.submit(transfer)
    }

    fn poll(&mut self, done: &mut Vec<Done>) -> io::Result<()> {
        self.inner.poll(&mut self.came)?;
        if !self.held.load(Ordering::Acquire) {
            done.append(&mut self.came);
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration, done: &mut Vec<Done>) -> io::Result<()> {
        std::thread::sleep(timeout.min(Duration::from_micros(200)));
        self.poll(done)
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight() + self.came.len()
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}

/// Holds answers back until it goes, even if the test has failed: a runtime waits for its storage.
pub struct Hold(&'static AtomicBool);

impl Hold {
    pub fn new(n: usize) -> Self {
        HELD[n].store(true, Ordering::Release);
        Self(&HELD[n])
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Of the file.
pub const BYTES: u32 = 4096;

/// A runtime that everybody may load with, the same bytes each time.
pub struct Loading {
    pub runtime: Runtime,
    source: RegisteredFile,
    memory: Memory,
}

impl Loading {
    /// With the answers that `HELD[N]` holds back, and a device of its own: a kernel that waits for them for long keeps
    /// others from the queue.
    pub fn new<const N: usize>(builder: RuntimeBuilder) -> Self {
        let builder =
            builder.gpu(own_gpu()).storage(StorageOptions::default()).wrap_storage_engine(holding::<N>);
        let runtime = builder.build().expect("a runtime");
        let everybodys = FileOptions { tenants: Tenants::ALL, ..FileOptions::default() };
        let source = runtime.register_file(file(&noise(BYTES as usize)), &everybodys).expect("a handle");
        let memory = runtime.memory_for(256 * BYTES as usize, Tenants::ALL).expect("memory");
        Self { runtime, source, memory }
    }

    /// All of the file to the place `n`, below 256.
    pub fn load(&self, n: u32) -> SlotDescriptor {
        SlotDescriptor::load_miss(&LoadMiss {
            resource_id: self.source.handle(),
            byte_count: BYTES,
            dst_handle: self.memory.handle(),
            dst_offset: n * BYTES,
            ..LoadMiss::default()
        })
    }
}
