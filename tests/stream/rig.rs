//! Streams to test, files for them, and what must come of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use ringfence::io::transfer::faulty::{Faults, Faulty};
use ringfence::io::transfer::{EngineChoice, TransferEngine, TransferOptions};
use ringfence::protocol::opcode::{CRC32C, SUM_WORDS};
use ringfence::protocol::{FaultCode, SlotWords};
use ringfence::runtime::{Arrival, Ended, Mode, Outcome, Runtime, Stream, StreamOptions};

use crate::support::{MODES, PATIENCE, Random, assert_silent, builder};

pub const ENGINES: [EngineChoice; 2] = [EngineChoice::IoUring, EngineChoice::Threads];

pub fn runtime(mode: Mode) -> Runtime {
    builder(mode).opcodes(&[SUM_WORDS, CRC32C]).build().expect("a runtime")
}

pub fn shape(engine: EngineChoice, chunk_bytes: usize, chunks: usize, depth: usize) -> StreamOptions {
    let transfer = TransferOptions { engine, ..TransferOptions::default() };
    StreamOptions { chunk_bytes, chunks, depth, transfer }
}

pub fn each(mut test: impl FnMut(&Runtime, EngineChoice, &str)) {
    for mode in MODES {
        let runtime = runtime(mode);
        for engine in ENGINES {
            test(&runtime, engine, &format!("{mode}, {engine:?}"));
        }
    }
    assert_silent();
}

/// An unnamed file with these bytes, open for reading and writing. In the target folder, since `/tmp` may
/// be a tmpfs, which has no direct reads.
pub fn file(bytes: &[u8]) -> Arc<File> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("stream-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).expect("a file");
    file.write_all(bytes).expect("room");
    std::fs::remove_file(path).expect("removable");
    Arc::new(file)
}

pub fn noise(bytes: usize) -> Vec<u8> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..bytes.div_ceil(4)).flat_map(|_| random.next().to_le_bytes()).take(bytes).collect()
}

/// What SUM_WORDS gives.
pub fn sum(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    };
    u64::from(bytes.chunks(4).map(word).fold(0, u32::wrapping_add))
}

pub fn sum_slot(arrival: &Arrival<'_>) -> SlotWords {
    arrival.slot(SUM_WORDS, arrival.padded)
}

pub fn io_error(errno: u16) -> Outcome {
    Outcome::Fault { code: FaultCode::IoError.code(), detail: errno }
}

/// What came of one range.
#[derive(Default)]
pub struct Came {
    pub chunks: Vec<(u64, u64, Outcome)>,
    pub end: Option<(u64, Outcome)>,
}

#[derive(Default)]
pub struct All(pub BTreeMap<u64, Came>);

impl All {
    pub fn take(&mut self, ended: Ended) {
        let came = self.0.entry(ended.tag).or_default();
        assert!(came.end.is_none(), "nothing comes behind the end: {ended:?}");
        if ended.last {
            assert_eq!(ended.bytes, 0);
            came.end = Some((ended.offset, ended.outcome));
        } else {
            came.chunks.push((ended.offset, ended.bytes.into(), ended.outcome));
        }
    }

    /// Everything that is left, with the sums of its words.
    pub fn rest(&mut self, stream: &mut Stream) {
        while let Some(ended) = stream.next(PATIENCE, sum_slot).expect("well") {
            self.take(ended);
        }
        assert_eq!(stream.pending(), 0, "in time");
    }

    /// Whether range `tag` brought `bytes`, which stand at `start` of its file, each once, and ended
    /// behind them without an error.
    pub fn check(&mut self, tag: u64, start: u64, bytes: &[u8], what: &str) {
        let mut came = self.0.remove(&tag).unwrap_or_else(|| panic!("{what}: nothing of range {tag}"));
        came.chunks.sort_unstable_by_key(|(offset, ..)| *offset);
        let mut at = start;
        for (offset, len, outcome) in came.chunks {
            assert_eq!(offset, at, "{what}: range {tag}: the next chunk");
            let data = bytes.get((offset - start) as usize..).and_then(|rest| rest.get(..len as usize));
            let data = data.unwrap_or_else(|| panic!("{what}: range {tag}: {len} at {offset} are too many"));
            assert_eq!(outcome, Outcome::Done(sum(data)), "{what}: range {tag}: {len} bytes at {offset}");
            at += len;
        }
        let end = start + bytes.len() as u64;
        assert_eq!(at, end, "{what}: range {tag} is whole");
        assert_eq!(came.end, Some((end, Outcome::Done(0))), "{what}: range {tag} ends once");
    }
}

/// Streams whose engine is slow, disorderly, short, or broken.
pub fn faulty(runtime: &Runtime, options: &StreamOptions, faults: Faults) -> Stream {
    let wrap = |inner| -> Box<dyn TransferEngine> { Box::new(Faulty::new(inner, faults)) };
    runtime.stream_through(options, wrap).expect("a stream")
}
