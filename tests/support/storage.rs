//! What the tests of storage share: runtimes in both modes with both engines, files, and memory as bytes.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use ringfence::descriptor::{EncodeSlot as _, SlotDescriptor};
use ringfence::io::transfer::{EngineChoice, TransferEngine, TransferOptions};
use ringfence::protocol::{FaultCode, LoadMiss};
use ringfence::runtime::{
    Completion, FileOptions, Job, Memory, Mode, Outcome, RegisteredFile, Runtime, StorageOptions, Tenants,
};

use super::{MODES, PATIENCE, assert_silent, builder};

pub const ENGINES: [EngineChoice; 2] = [EngineChoice::IoUring, EngineChoice::Threads];

/// What serves storage.
pub type Engine = Box<dyn TransferEngine>;

/// How a slot ended: its result, or the fault's code and detail.
pub type Ended = Result<u64, (FaultCode, u16)>;

/// The fault of a transfer that the system refused.
pub const fn io_error(errno: i32) -> Ended {
    Err((FaultCode::IoError, errno as u16))
}

/// The fault of an argument.
pub const fn bad(argument: u16) -> Ended {
    Err((FaultCode::BadOperand, argument))
}

/// A file that slots may reach so far, and write to if they may.
pub const fn reach(write: bool, size: Option<u64>) -> FileOptions {
    FileOptions { write, size, tenants: Tenants::SYSTEM }
}

/// What a runtime for a test is to have.
#[derive(Clone, Copy)]
pub struct Setup {
    /// Past the page cache.
    pub direct: bool,
    /// As if the device could not import memory: the CPU copies.
    pub copied: bool,
    pub slots: u32,
    pub memory_bytes: usize,
    /// What serves instead of the engine.
    pub wrap: Option<fn(Engine) -> Engine>,
}

impl Setup {
    /// The ways that bytes can take.
    pub fn ways() -> [Self; 3] {
        let plain = Self::default();
        [plain, Self { direct: true, ..plain }, Self { copied: true, ..plain }]
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self { direct: false, copied: false, slots: 2048, memory_bytes: 32 << 20, wrap: None }
    }
}

/// A runtime with storage, and what it is called when a test fails.
pub struct Rig {
    pub runtime: Runtime,
    pub setup: Setup,
    pub mode: Mode,
    pub engine: EngineChoice,
}

impl Rig {
    pub fn new(mode: Mode, engine: EngineChoice, setup: Setup) -> Self {
        let transfer = TransferOptions { engine, direct: setup.direct, ..TransferOptions::default() };
        let options =
            StorageOptions { transfer, memory_bytes: setup.memory_bytes, ..StorageOptions::default() };
        let mut builder = builder(mode)
            .storage(options)
            .level_slots([0, 0, setup.slots, 0, 0])
            .without_import(setup.copied);
        if let Some(wrap) = setup.wrap {
            builder = builder.wrap_storage_engine(wrap);
        }
        let runtime = builder.build().expect("a runtime with storage");
        Self { runtime, setup, mode, engine }
    }

    /// Runs a test in both modes with both engines. It must leave no slot behind, and end.
    pub fn each(setup: Setup, mut test: impl FnMut(&Rig)) {
        Self::each_lent(setup, |rig| {
            test(&rig);
            rig.settle();
        });
    }

    /// The same for tests that end the runtime.
    pub fn each_lent(setup: Setup, mut test: impl FnMut(Rig)) {
        for mode in MODES {
            // Copies are the same with either engine.
            for engine in ENGINES.into_iter().take(if setup.copied { 1 } else { 2 }) {
                let rig = Rig::new(mode, engine, setup);
                let _watch = Watch::new(rig.to_string());
                test(rig);
            }
        }
        assert_silent();
    }

    pub fn submit(&self, slot: &SlotDescriptor) -> Job {
        self.runtime.submit(slot).expect("accepted")
    }

    /// Publishes a slot and waits for it.
    pub fn one(&self, slot: &SlotDescriptor) -> Ended {
        ended(&self.submit(slot))
    }

    /// Publishes all and waits for all.
    pub fn all(&self, slots: impl IntoIterator<Item = SlotDescriptor>) -> Vec<Ended> {
        let jobs: Vec<_> = slots.into_iter().map(|slot| self.submit(&slot)).collect();
        jobs.iter().map(ended).collect()
    }

    /// Memory with these bytes in it.
    pub fn memory(&self, bytes: &[u8]) -> Memory {
        let memory = self.runtime.memory(bytes.len()).expect("memory");
        fill(&memory, bytes);
        memory
    }

    /// One slot that must change the memory in no byte but those of `range`, and end as `want` says.
    pub fn leaves_the_rest(
        &self,
        slot: &SlotDescriptor,
        memory: &Memory,
        range: std::ops::Range<usize>,
        want: Ended,
        case: &str,
    ) {
        let mut before = image(memory);
        assert_eq!(self.one(slot), want, "{self}: {case}");
        let after = image(memory);
        before[range.clone()].copy_from_slice(&after[range]);
        assert!(before == after, "{self}: {case}: bytes elsewhere have changed");
    }

    /// Everything has been answered, and each slot of the slab is free.
    pub fn settle(&self) {
        assert_eq!(self.one(&SlotDescriptor::io_fence()), Ok(0), "{self}");
        let begin = Instant::now();
        loop {
            let stats = self.runtime.stats();
            if stats.published == stats.ended {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "{self}: {stats:?}");
            std::thread::sleep(Duration::from_micros(200));
        }
        let slots = self.setup.slots as usize;
        let mut ring = self.runtime.ring(slots).expect("a ring of the whole slab");
        let nop = SlotDescriptor::nop().encode().expect("a slot");
        for slot in 0..slots {
            ring.push(&nop, 0).unwrap_or_else(|e| panic!("{self}: {slot} of {slots} slots are free: {e}"));
        }
        ring.flush().expect("open");
        while ring.in_flight() > 0 {
            let ended = ring.wait(PATIENCE, |_, outcome| assert_eq!(outcome, Outcome::Done(0), "{self}"));
            assert!(ended.expect("well") > 0, "{self}: {} NOPs left", ring.in_flight());
        }
    }
}

impl std::fmt::Display for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Setup { direct, copied, .. } = self.setup;
        let way = if copied {
            ", copied"
        } else if direct {
            ", direct"
        } else {
            ""
        };
        write!(f, "{}, {:?}{way}", self.mode, self.engine)
    }
}

/// Ends the process when a test does not: a call that hangs cannot fail by itself.
struct Watch(Sender<()>);

impl Watch {
    fn new(what: String) -> Self {
        let (alive, gone) = channel::<()>();
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        std::thread::spawn(move || {
            // Second by second: a process that was stopped meanwhile has not had that time.
            for _ in 0..2 * PATIENCE.as_secs() {
                if gone.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
            // Not by the macro, whose output the harness keeps until the test ends.
            let _ = writeln!(std::io::stderr(), "{test}: {what}: hangs");
            std::process::abort();
        });
        Self(alive)
    }
}

/// How a job ends, in time.
pub fn ended(job: &Job) -> Ended {
    outcome(job.wait_timeout(PATIENCE).expect("the device is well").expect("it ends in time"))
}

/// How a slot ended.
pub fn outcome(completion: Completion) -> Ended {
    match completion.fault() {
        Some(fault) => Err(fault),
        None => Ok(completion.result().expect("not a fault")),
    }
}

/// LOAD_MISS: from a file to `at` in the memory.
pub fn load(file: &RegisteredFile, offset: u64, bytes: u32, memory: &Memory, at: u32) -> SlotDescriptor {
    load_by(file.handle(), offset, bytes, memory.handle(), at)
}

/// The same by handles, good or bad.
pub fn load_by(file: u32, offset: u64, bytes: u32, memory: u32, at: u32) -> SlotDescriptor {
    SlotDescriptor::load_miss(&request(file, offset, bytes, memory, at))
}

/// What such a slot asks for.
pub fn request(file: u32, offset: u64, bytes: u32, memory: u32, at: u32) -> LoadMiss {
    LoadMiss {
        resource_id: file,
        prefetch: false,
        byte_offset: offset,
        byte_count: bytes,
        dst_handle: memory,
        dst_offset: at,
    }
}

/// LOAD_MISS that nobody waits for.
pub fn prefetch(file: &RegisteredFile, offset: u64, bytes: u32, memory: &Memory, at: u32) -> SlotDescriptor {
    SlotDescriptor::load_miss(&LoadMiss {
        resource_id: file.handle(),
        prefetch: true,
        byte_offset: offset,
        byte_count: bytes,
        dst_handle: memory.handle(),
        dst_offset: at,
    })
}

/// STORE_RANGE: from `at` in the memory to a file.
pub fn store(file: &RegisteredFile, offset: u64, bytes: u32, memory: &Memory, at: u32) -> SlotDescriptor {
    SlotDescriptor::store_range(file.handle(), offset, bytes, memory.handle(), at)
}

/// The bytes of memory, as [`Memory::to_vec`], but fast in a debug build.
pub fn image(memory: &Memory) -> Vec<u8> {
    image_of(memory, 0..memory.len())
}

/// Some of them; both ends are multiples of 4.
pub fn image_of(memory: &Memory, range: std::ops::Range<usize>) -> Vec<u8> {
    let mut bytes = vec![0; range.len()];
    for (to, word) in bytes.chunks_exact_mut(4).zip(&memory.words()[range.start / 4..range.end / 4]) {
        to.copy_from_slice(&word.load(Ordering::Acquire).to_le_bytes());
    }
    bytes
}

/// Sets all of memory; what is beyond `bytes` to zero.
pub fn fill(memory: &Memory, bytes: &[u8]) {
    let mut all = bytes.to_vec();
    all.resize(memory.len(), 0);
    for (word, from) in memory.words().iter().zip(all.chunks_exact(4)) {
        word.store(u32::from_le_bytes([from[0], from[1], from[2], from[3]]), Ordering::Release);
    }
}

/// Bytes without a pattern, the same in every run.
pub fn noise(bytes: usize) -> Vec<u8> {
    noise_of(0x9E37_79B9_7F4A_7C15, bytes)
}

/// The same of another seed, not 0.
pub fn noise_of(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = super::Random(seed);
    let mut noise: Vec<u8> = (0..bytes.div_ceil(4)).flat_map(|_| random.next().to_le_bytes()).collect();
    noise.truncate(bytes);
    noise
}

/// A path that no other test has, in the target folder: the folder of temporary files may be a tmpfs.
pub fn path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("storage-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// An unnamed file with these bytes, open for reading and writing.
pub fn file(bytes: &[u8]) -> File {
    let path = path();
    let mut options = File::options();
    let mut file = options.read(true).write(true).create_new(true).open(&path).expect("a file");
    file.write_all(bytes).expect("room");
    std::fs::remove_file(path).expect("removable");
    file
}
