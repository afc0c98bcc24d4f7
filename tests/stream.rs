//! Files through the kernel: every byte of every range, once, as the device sees it, in both modes and with
//! both engines.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use ringfence::io::transfer::{EngineChoice, TransferOptions};
use ringfence::protocol::opcode::{CRC32C, SUM_WORDS};
use ringfence::protocol::{FaultCode, SlotWords};
use ringfence::runtime::{Arrival, Ended, Mode, Outcome, Runtime, Stream, StreamOptions};
use support::{MODES, PATIENCE, Random, assert_silent, builder};

const ENGINES: [EngineChoice; 2] = [EngineChoice::IoUring, EngineChoice::Threads];

fn runtime(mode: Mode) -> Runtime {
    builder(mode).opcodes(&[SUM_WORDS, CRC32C]).build().expect("a runtime")
}

fn shape(engine: EngineChoice, chunk_bytes: usize, chunks: usize, depth: usize) -> StreamOptions {
    let transfer = TransferOptions { engine, ..TransferOptions::default() };
    StreamOptions { chunk_bytes, chunks, depth, transfer }
}

fn each(mut test: impl FnMut(&Runtime, EngineChoice, &str)) {
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
fn file(bytes: &[u8]) -> Arc<File> {
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

fn noise(bytes: usize) -> Vec<u8> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..bytes.div_ceil(4)).flat_map(|_| random.next().to_le_bytes()).take(bytes).collect()
}

/// What SUM_WORDS gives.
fn sum(bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    };
    u64::from(bytes.chunks(4).map(word).fold(0, u32::wrapping_add))
}

fn sum_slot(arrival: &Arrival<'_>) -> SlotWords {
    arrival.slot(SUM_WORDS, arrival.padded)
}

fn io_error(errno: u16) -> Outcome {
    Outcome::Fault { code: FaultCode::IoError.code(), detail: errno }
}

/// What came of one range.
#[derive(Default)]
struct Came {
    chunks: Vec<(u64, u64, Outcome)>,
    end: Option<(u64, Outcome)>,
}

#[derive(Default)]
struct All(BTreeMap<u64, Came>);

impl All {
    fn take(&mut self, ended: Ended) {
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
    fn rest(&mut self, stream: &mut Stream) {
        while let Some(ended) = stream.next(PATIENCE, sum_slot).expect("well") {
            self.take(ended);
        }
        assert_eq!(stream.pending(), 0, "in time");
    }

    /// Whether range `tag` brought `bytes`, which stand at `start` of its file, each once, and ended
    /// behind them without an error.
    fn check(&mut self, tag: u64, start: u64, bytes: &[u8], what: &str) {
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

#[test]
fn files_arrive_whole() {
    let sizes = [0, 1, 3, 4095, 4096, 4097, 8192, 12_289, 65_536, 65_537, 300_000];
    let bytes = noise(300_000);
    let files: Vec<_> = sizes.iter().map(|size| file(&bytes[..*size])).collect();
    // Chunk, chunks, depth: one and few, fewer and more than the depth.
    let shapes = [(4096, 1, 1), (4096, 3, 20), (8192, 20, 3), (65_536, 8, 8), (524_288, 4, 2)];
    each(|runtime, engine, what| {
        for (chunk_bytes, chunks, depth) in shapes {
            let options = shape(engine, chunk_bytes, chunks, depth);
            let mut stream = runtime.stream(&options).expect("a stream");
            for (tag, file) in (0..).zip(&files) {
                stream.push(file.clone(), .., tag);
            }
            let mut all = All::default();
            all.rest(&mut stream);
            for (tag, size) in (0..).zip(sizes) {
                all.check(tag, 0, &bytes[..size], &format!("{what}, {options:?}"));
            }
            assert_eq!(stream.next(PATIENCE, sum_slot).expect("well"), None, "{what}: at once");
        }
    });
}

#[test]
fn ranges_arrive_as_they_were_asked_for() {
    let bytes = noise(100_000);
    let source = file(&bytes);
    // Start and end, and what of the file that is.
    let cases: [(u64, Option<u64>, std::ops::Range<usize>); 14] = [
        (0, None, 0..100_000),
        (1, None, 1..100_000),
        (4095, Some(4097), 4095..4097),
        (4096, Some(8192), 4096..8192),
        (0, Some(4096), 0..4096),
        (12_345, Some(67_890), 12_345..67_890),
        (99_999, None, 99_999..100_000),
        (99_999, Some(1 << 40), 99_999..100_000),
        (0, Some(0), 0..0),
        (777, Some(777), 777..777),
        (100_000, None, 100_000..100_000),
        (100_000, Some(100_001), 100_000..100_000),
        (50, Some(u64::MAX), 50..100_000),
        (4097, Some(99_999), 4097..99_999),
    ];
    each(|runtime, engine, what| {
        for direct in [false, true] {
            let mut options = shape(engine, 8192, 5, 4);
            options.transfer.direct = direct;
            let mut stream = runtime.stream(&options).expect("a stream");
            for (tag, (start, end, _)) in (0..).zip(&cases) {
                match end {
                    Some(end) => stream.push(source.clone(), *start..*end, tag),
                    None => stream.push(source.clone(), *start.., tag),
                }
            }
            stream.push(source.clone(), 5..=5, 100);
            let mut all = All::default();
            all.rest(&mut stream);
            for (tag, (start, _, range)) in (0..).zip(&cases) {
                all.check(tag, *start, &bytes[range.clone()], &format!("{what}, direct {direct}"));
            }
            all.check(100, 5, &bytes[5..6], what);
        }
    });
}

/// Ranges that bring nothing, and where they end.
#[test]
fn what_cannot_be_read_ends_with_its_errno() {
    let bytes = noise(10_000);
    let whole = file(&bytes);
    let write_only = File::options().write(true).open("/dev/null").expect("there");
    let (pipe, _writer) = std::io::pipe().expect("a pipe");
    let folder = File::open(std::env::temp_dir()).expect("a folder");
    let cases: [(&str, Arc<File>, u64, u64, Outcome); 6] = [
        ("a directory", Arc::new(folder), 0, u64::MAX, io_error(21)),
        ("a pipe", Arc::new(File::from(OwnedFd::from(pipe))), 0, 9, io_error(29)),
        ("no right to read", Arc::new(write_only), 0, 9, io_error(9)),
        ("past the end", whole.clone(), 1 << 40, 1 << 41, Outcome::Done(0)),
        ("where nothing can be", whole.clone(), u64::MAX - 5, u64::MAX, io_error(22)),
        ("backwards", whole.clone(), 10, 3, Outcome::Done(0)),
    ];
    each(|runtime, engine, what| {
        let mut stream = runtime.stream(&shape(engine, 4096, 4, 4)).expect("a stream");
        for (tag, (_, file, start, end, _)) in (0..).zip(&cases) {
            stream.push(file.clone(), start..end, tag);
            stream.push(whole.clone(), .., 100 + tag);
        }
        let mut all = All::default();
        all.rest(&mut stream);
        for (tag, (case, _, start, _, outcome)) in (0..).zip(&cases) {
            let came = all.0.remove(&tag).expect("an end");
            assert!(came.chunks.is_empty(), "{what}: {case}");
            assert_eq!(came.end, Some((*start, *outcome)), "{what}: {case}");
            all.check(100 + tag, 0, &bytes, &format!("{what}: behind {case}"));
        }
    });
}

/// Files whose size says nothing.
#[test]
fn devices_and_files_without_a_size() {
    let version = std::fs::read("/proc/version").expect("Linux");
    each(|runtime, engine, what| {
        let mut stream = runtime.stream(&shape(engine, 4096, 4, 4)).expect("a stream");
        stream.push(Arc::new(File::open("/proc/version").expect("there")), .., 0);
        stream.push(Arc::new(File::open("/dev/zero").expect("there")), 7..50_007, 1);
        stream.push(Arc::new(File::open("/dev/null").expect("there")), .., 2);
        let mut all = All::default();
        all.rest(&mut stream);
        all.check(0, 0, &version, what);
        all.check(1, 7, &[0; 50_000], what);
        all.check(2, 0, &[], what);
    });
}

#[test]
fn files_that_change_while_they_are_read() {
    let bytes = noise(2_000_000);
    // Size, and what it becomes after the first chunk.
    let cases = [
        (2_000_000, 1_000_100),
        (2_000_000, 1_003_520),
        (1_000_000, 2_000_000),
        (1_003_520, 1_003_521),
        (4096, 2_000_000),
    ];
    each(|runtime, engine, what| {
        for (before, after) in cases {
            let mut stream = runtime.stream(&shape(engine, 4096, 4, 3)).expect("a stream");
            let source = file(&bytes[..before]);
            stream.push(source.clone(), .., 0);
            let mut all = All::default();
            all.take(stream.next(PATIENCE, sum_slot).expect("well").expect("a chunk"));
            let kept = after.min(before);
            source.set_len(kept as u64).expect("resizable");
            source.write_all_at(&bytes[kept..after], kept as u64).expect("room");
            all.rest(&mut stream);
            // A file of one chunk may have been seen to end before it grew; the others are longer than
            // what is read ahead.
            let end = if before == 4096 && all.0[&0].chunks.len() == 1 { before } else { after };
            all.check(0, 0, &bytes[..end], &format!("{what}: {before} to {after}"));
        }
    });
}

#[test]
fn many_files_through_few_chunks() {
    let bytes = noise(30_000);
    let mut random = Random(11);
    let files: Vec<(usize, Arc<File>)> = (0..400)
        .map(|_| {
            let size = if random.below(4) == 0 { 4096 * random.below(4) } else { random.below(20_000) };
            (size as usize, file(&bytes[..size as usize]))
        })
        .collect();
    each(|runtime, engine, what| {
        let mut stream = runtime.stream(&shape(engine, 4096, 6, 6)).expect("a stream");
        let (mut all, mut next) = (All::default(), 0);
        loop {
            while next < files.len() && stream.pending() < 50 {
                stream.push(files[next].1.clone(), .., next as u64);
                next += 1;
            }
            let Some(ended) = stream.next(PATIENCE, sum_slot).expect("well") else { break };
            all.take(ended);
        }
        for (tag, (size, _)) in (0..).zip(&files) {
            all.check(tag, 0, &bytes[..*size], what);
        }
        assert_eq!(Arc::strong_count(&files[0].1), 1, "{what}: nothing keeps files that have ended");
    });
}
