//! Engines to test, memory for them, and files.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ringfence::io::arena::Arena;
use ringfence::io::transfer::{
    Direction, Done, EngineChoice, FileId, Span, Transfer, TransferEngine, TransferOptions, open_transfer,
};

/// What no answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both engines, both ways, and io_uring's options.
pub fn setups() -> Vec<TransferOptions> {
    let plain = |engine| TransferOptions { engine, ..TransferOptions::default() };
    let direct = |engine| TransferOptions { direct: true, ..plain(engine) };
    let (ring, threads) = (EngineChoice::IoUring, EngineChoice::Threads);
    let mut all = vec![plain(threads), direct(threads)];
    // Many containers do not let one have it.
    match open_transfer(&plain(ring), &[]) {
        Ok(_) => all.extend([
            plain(ring),
            direct(ring),
            TransferOptions { sqpoll: true, ..direct(ring) },
            TransferOptions { iopoll: true, ..direct(ring) },
        ]),
        Err(error) => eprintln!("io_uring is not tested: {error}"),
    }
    all
}

/// An engine with one arena, filled with a pattern.
pub struct Rig {
    pub options: TransferOptions,
    pub engine: Box<dyn TransferEngine>,
    pub arena: Arc<Arena>,
}

impl Rig {
    pub fn new(options: TransferOptions, bytes: usize) -> Self {
        let arena = Arena::new(bytes).unwrap();
        let engine = open_transfer(&options, std::slice::from_ref(&arena)).unwrap();
        Self { options, engine, arena }
    }

    pub fn each(bytes: usize, mut test: impl FnMut(&mut Rig)) {
        for options in setups() {
            let mut rig = Rig::new(options, bytes);
            test(&mut rig);
            assert_eq!(rig.engine.in_flight(), 0, "{rig}");
        }
    }

    pub fn register(&mut self, file: &File) -> FileId {
        self.engine.register(Arc::new(file.try_clone().unwrap())).unwrap()
    }

    pub fn submit(
        &mut self,
        user: u64,
        direction: Direction,
        file: FileId,
        offset: u64,
        at: usize,
        len: usize,
    ) {
        let span = Span::new(self.arena.clone(), at..at + len).unwrap();
        self.engine.submit(Transfer { user, direction, file, offset, span }).unwrap();
    }

    /// All answers to what is in flight, by their numbers; each comes once.
    pub fn finish(&mut self) -> HashMap<u64, Done> {
        let (mut done, start) = (Vec::new(), Instant::now());
        while self.engine.in_flight() > 0 {
            self.engine.wait(Duration::from_secs(1), &mut done).unwrap();
            assert!(start.elapsed() < PATIENCE, "{self}: {} left", self.engine.in_flight());
        }
        let count = done.len();
        let all: HashMap<u64, Done> = done.into_iter().map(|done| (done.user, done)).collect();
        assert_eq!(all.len(), count, "{self}: answered twice");
        all
    }

    /// One transfer of `len` bytes at the start of the arena: bytes and errno.
    pub fn one(
        &mut self,
        direction: Direction,
        file: FileId,
        offset: u64,
        len: usize,
    ) -> (usize, Option<i32>) {
        self.submit(77, direction, file, offset, 0, len);
        let done = self.finish().remove(&77).unwrap();
        (done.bytes, done.error.map(|error| error.raw_os_error().expect("an errno")))
    }

    pub fn bytes(&self, at: usize, len: usize) -> Vec<u8> {
        assert!(at + len <= self.arena.len());
        // SAFETY: within the mapping, which is zeroed at its birth; the callers have no transfer of
        // this range in flight.
        unsafe { std::slice::from_raw_parts(self.arena.as_ptr().add(at), len) }.to_vec()
    }

    pub fn fill(&self, at: usize, bytes: &[u8]) {
        assert!(at + bytes.len() <= self.arena.len());
        // SAFETY: as for `bytes`, and no reference to the memory exists.
        unsafe { self.arena.as_ptr().add(at).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}

impl std::fmt::Display for Rig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {:?}", self.options, self.engine.describe())
    }
}

/// An empty file, open for reading and writing, that goes with the test. In the target folder, since
/// `/tmp` may be a tmpfs.
pub struct Scratch {
    pub path: PathBuf,
    pub file: File,
}

impl Scratch {
    pub fn new(bytes: &[u8]) -> Self {
        Self::within(env!("CARGO_TARGET_TMPDIR"), bytes)
    }

    pub fn within(folder: &str, bytes: &[u8]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("transfer-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(folder).join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        Self { path, file }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// xorshift64*
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as usize % limit
    }

    /// Below `limit`; half of them multiples of 4096 or 512.
    pub fn place(&mut self, limit: usize) -> usize {
        let any = self.below(limit);
        match self.below(4) {
            0 => any & !4095,
            1 => any & !511,
            _ => any,
        }
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(4)).flat_map(|_| (self.below(1 << 32) as u32).to_le_bytes()).take(len).collect()
    }
}
