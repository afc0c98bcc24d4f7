//! Files through the kernel: every byte of every range, once, as the device sees it, in both modes and with
//! both engines.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::descriptor::{EncodeSlot as _, SlotDescriptor};
use ringfence::io::transfer::faulty::{Failure, Faults, Faulty};
use ringfence::io::transfer::{EngineChoice, TransferEngine, TransferOptions};
use ringfence::protocol::opcode::{CRC32C, SUM_WORDS};
use ringfence::protocol::{FaultCode, SlotWords};
use ringfence::runtime::{Arrival, Ended, Mode, Outcome, Runtime, RuntimeError, Stream, StreamOptions};
use ringfence::twin::crc32c;
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

/// Streams whose engine is slow, disorderly, short, or broken.
fn faulty(runtime: &Runtime, options: &StreamOptions, faults: Faults) -> Stream {
    let wrap = |inner| -> Box<dyn TransferEngine> { Box::new(Faulty::new(inner, faults)) };
    runtime.stream_through(options, wrap).expect("a stream")
}

#[test]
fn slow_and_disorderly_storage_brings_the_same() {
    let bytes = noise(300_000);
    let files: Vec<_> = [300_000, 4096, 0, 77_777].map(|size| (size, file(&bytes[..size]))).into();
    each(|runtime, engine, what| {
        let faults = Faults { seed: 5, delay: Duration::from_millis(1), ..Faults::default() };
        let mut stream = faulty(runtime, &shape(engine, 4096, 16, 9), faults);
        for round in 0..3 {
            for (tag, (_, file)) in (0..).zip(&files) {
                stream.push(file.clone(), .., 10 * round + tag);
            }
        }
        let mut all = All::default();
        all.rest(&mut stream);
        for round in 0..3 {
            for (tag, (size, _)) in (0..).zip(&files) {
                all.check(10 * round + tag, 0, &bytes[..*size], what);
            }
        }
    });
}

/// A range ends where the lowest read came back short or failed. What was read ahead behind it came too.
#[test]
fn reads_that_fail_or_come_back_short_end_their_range() {
    let bytes = noise(300_000);
    let source = file(&bytes);
    let failure = |at, errno| Faults { fail: vec![Failure::at(at, errno)], ..Faults::default() };
    let short = |seed| Faults { seed, short_one_in: 9, ..Faults::default() };
    // Faults, and where and how the range ends, if that is known.
    let cases = [
        (failure(100_000..100_001, 5), Some((100_000, io_error(5)))),
        (failure(0..1, 61), Some((0, io_error(61)))),
        (failure(299_999..400_000, 5), Some((299_999, io_error(5)))),
        (Faults { refuse: Some(24), ..Faults::default() }, Some((0, io_error(24)))),
        (Faults { delay: Duration::from_millis(1), ..failure(8192..8193, 5) }, Some((8192, io_error(5)))),
        (short(1), None),
        (short(2), None),
        (Faults { delay: Duration::from_micros(300), ..short(3) }, None),
    ];
    each(|runtime, engine, what| {
        for (faults, known) in &cases {
            let mut stream = faulty(runtime, &shape(engine, 4096, 12, 5), faults.clone());
            stream.push(source.clone(), .., 0);
            let mut all = All::default();
            all.rest(&mut stream);
            let mut came = all.0.remove(&0).expect("an end");
            let (end, outcome) = came.end.expect("it ends");
            assert_eq!((end, outcome), known.unwrap_or((end, Outcome::Done(0))), "{what}: {faults:?}");
            came.chunks.sort_unstable_by_key(|(offset, ..)| *offset);
            let mut at = 0;
            for (offset, len, outcome) in came.chunks {
                let data = &bytes[offset as usize..(offset + len) as usize];
                assert_eq!(outcome, Outcome::Done(sum(data)), "{what}: {len} bytes at {offset}");
                assert!(offset == at || at == end && offset > end, "{what}: {offset} behind {at}");
                at = if at == end { end } else { offset + len };
            }
            assert_eq!(at, end, "{what}: whole up to there, {faults:?}");
        }
    });
}

#[test]
fn an_engine_that_breaks_ends_the_stream() {
    let bytes = noise(300_000);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        for transfers in [0, 1, 10] {
            let faults = Faults { breaks_after: Some(transfers), ..Faults::default() };
            let mut stream = faulty(runtime, &shape(engine, 4096, 8, 4), faults);
            stream.push(source.clone(), .., 0);
            let mut came = 0;
            let error = loop {
                match stream.next(PATIENCE, sum_slot) {
                    Ok(Some(ended)) => {
                        let data = &bytes[ended.offset as usize..][..ended.bytes as usize];
                        assert_eq!(ended.outcome, Outcome::Done(sum(data)), "{what}");
                        came += 1;
                    }
                    Ok(None) => panic!("{what}: there is more"),
                    Err(error) => break error,
                }
            };
            assert!(error.to_string().contains("broken on purpose"), "{what}: {error}");
            assert!(came <= transfers, "{what}: {came} of {transfers}");
            assert!(stream.next(PATIENCE, sum_slot).is_err(), "{what}: it stays broken");
        }
    });
}

/// Whatever a slot does, its chunk comes back.
#[test]
fn any_slot_may_consume_a_chunk() {
    const UNKNOWN: u32 = 0x1234;
    let bytes = noise(100_003);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        let mut stream = runtime.stream(&shape(engine, 8192, 3, 2)).expect("a stream");
        stream.push(source.clone(), 1.., 0);
        stream.push(source.clone(), .., 1);
        stream.push(source.clone(), .., 2);
        let (mut ends, mut covered) = (0, [0; 3]);
        let slot = |arrival: &Arrival<'_>| {
            assert!(arrival.data == &bytes[arrival.offset as usize..][..arrival.bytes as usize], "{what}");
            match arrival.tag {
                0 => arrival.slot(CRC32C, arrival.bytes),
                1 => arrival.slot(UNKNOWN, arrival.bytes),
                // Too far.
                _ => arrival.slot(SUM_WORDS, !3),
            }
        };
        while let Some(Ended { tag, offset, bytes: len, outcome, last }) =
            stream.next(PATIENCE, slot).expect("well")
        {
            covered[tag as usize] += u64::from(len);
            let data = &bytes[offset as usize..][..len as usize];
            let fault = |code: FaultCode, detail| Outcome::Fault { code: code.code(), detail };
            let wanted = match tag {
                _ if last => Outcome::Done(0),
                0 => Outcome::Done(crc32c::crc32c(0, data.iter().copied()).into()),
                1 => fault(FaultCode::UnknownOpcode, 0),
                _ => fault(FaultCode::BadOperand, 2),
            };
            assert_eq!(outcome, wanted, "{what}: {tag}");
            ends += u32::from(last);
        }
        assert_eq!((ends, covered), (3, [100_002, 100_003, 100_003]), "{what}");
    });
}

/// Nothing is lost or comes twice when the caller's closure panics.
#[test]
fn a_panic_of_the_caller_costs_nothing() {
    let bytes = noise(100_000);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        let mut stream = runtime.stream(&shape(engine, 4096, 5, 5)).expect("a stream");
        stream.push(source.clone(), .., 0);
        let (mut all, mut calls, mut panics) = (All::default(), 0, 0);
        loop {
            let next = catch_unwind(AssertUnwindSafe(|| {
                stream.next(PATIENCE, |arrival| {
                    calls += 1;
                    // Without the message of a panic.
                    if calls % 3 == 0 { std::panic::resume_unwind(Box::new(())) } else { sum_slot(arrival) }
                })
            }));
            match next {
                Ok(Ok(Some(ended))) => all.take(ended),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => panic!("{what}: {error}"),
                Err(_) => panics += 1,
            }
        }
        assert!(panics > 5, "{what}: {panics}");
        all.check(0, 0, &bytes, what);
    });
}

#[test]
fn a_timeout_ends_a_wait() {
    let source = file(&noise(100_000));
    each(|runtime, engine, what| {
        let slow = Faults { seed: 9, delay: Duration::from_secs(2), ..Faults::default() };
        let mut stream = faulty(runtime, &shape(engine, 4096, 2, 2), slow);
        stream.push(source.clone(), 0..4096, 0);
        let begin = Instant::now();
        for timeout in [Duration::ZERO, Duration::from_millis(20)] {
            let came = stream.next(timeout, sum_slot).expect("well");
            assert!(came.is_none() || begin.elapsed() >= Duration::from_millis(20), "{what}: {came:?}");
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{what}: {:?}", begin.elapsed());
    });
}

/// Streams that go while reads and slots are on their way, or before anything is.
#[test]
fn a_stream_may_be_dropped_at_any_time() {
    let bytes = noise(400_000);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        for steps in [0, 0, 1, 2, 5, 20, 60, 97] {
            let options = shape(engine, 4096, 16, 8);
            let mut stream = if steps % 2 == 0 {
                runtime.stream(&options).expect("a stream")
            } else {
                let faults = Faults { seed: steps, delay: Duration::from_millis(3), ..Faults::default() };
                faulty(runtime, &options, faults)
            };
            stream.push(source.clone(), .., 0);
            for _ in 0..steps {
                let ended = stream.next(PATIENCE, sum_slot).expect("well").expect("more");
                let data = &bytes[ended.offset as usize..][..ended.bytes as usize];
                assert_eq!(ended.outcome, Outcome::Done(sum(data)), "{what}");
            }
        }
        assert_eq!(Arc::strong_count(&source), 1, "{what}: the files are closed");
    });
}

#[test]
fn streams_run_side_by_side() {
    let bytes = noise(500_000);
    let source = file(&bytes);
    each(|runtime, engine, what| {
        let mut pair = [(4096, 4), (16_384, 7)].map(|(chunk, chunks)| {
            let mut stream = runtime.stream(&shape(engine, chunk, chunks, 3)).expect("a stream");
            stream.push(source.clone(), 3.., 0);
            (stream, All::default())
        });
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut stream = runtime.stream(&shape(engine, 8192, 5, 5)).expect("a stream");
                    stream.push(source.clone(), .., 0);
                    let mut all = All::default();
                    all.rest(&mut stream);
                    all.check(0, 0, &bytes, what);
                });
            }
            // And two on one thread, in turn.
            while pair.iter().any(|(stream, _)| stream.pending() > 0) {
                for (stream, all) in &mut pair {
                    if let Some(ended) = stream.next(PATIENCE, sum_slot).expect("well") {
                        all.take(ended);
                    }
                }
            }
        });
        for (stream, all) in &mut pair {
            all.rest(stream);
            all.check(0, 3, &bytes[3..], what);
        }
    });
}

/// Slots that others hold delay a stream, and a few slots are enough.
#[test]
fn few_slots_are_enough() {
    let bytes = noise(200_000);
    let source = file(&bytes);
    for mode in MODES {
        let runtime = builder(mode).opcodes(&[SUM_WORDS]).slots(16).build().expect("a runtime");
        for engine in ENGINES {
            let mut stream = runtime.stream(&shape(engine, 4096, 40, 20)).expect("a stream");
            stream.push(source.clone(), .., 0);
            let mut all = All::default();
            all.rest(&mut stream);
            all.check(0, 0, &bytes, &format!("{mode}, {engine:?}"));
        }
    }
    assert_silent();
}

#[test]
fn slots_that_others_hold_delay_a_stream() {
    let bytes = noise(100_000);
    let source = file(&bytes);
    for mode in MODES {
        for held in [14, 16] {
            let runtime = builder(mode).opcodes(&[SUM_WORDS]).slots(16).build().expect("a runtime");
            // With its first slot a ring takes all that it may ever need.
            let mut ring = runtime.ring(held).expect("a ring");
            ring.push(&SlotDescriptor::nop().encode().expect("a slot"), 0).expect("room");
            let mut stream = runtime.stream(&shape(EngineChoice::Auto, 4096, 8, 4)).expect("a stream");
            stream.push(source.clone(), .., 0);
            let mut all = All::default();
            if held == 16 {
                let came = stream.next(Duration::from_millis(50), sum_slot).expect("well");
                assert_eq!((came, stream.pending()), (None, 1), "{mode}");
                drop(ring);
            }
            all.rest(&mut stream);
            all.check(0, 0, &bytes, &format!("{mode}, {held} held"));
        }
    }
    assert_silent();
}

/// The last handle of the runtime goes first: every slot ends, and then the stream says why.
#[test]
fn a_stream_outlives_its_runtime() {
    let source = file(&noise(400_000));
    for mode in MODES {
        for engine in ENGINES {
            let runtime = runtime(mode);
            let mut stream = runtime.stream(&shape(engine, 4096, 16, 8)).expect("a stream");
            stream.push(source.clone(), .., 0);
            let _ = stream.next(PATIENCE, sum_slot).expect("well").expect("a chunk");
            drop(runtime);
            let mut came = 0;
            let error = loop {
                match stream.next(PATIENCE, sum_slot) {
                    Ok(Some(_)) => came += 1,
                    Ok(None) => panic!("{mode}: there is more"),
                    Err(error) => break error,
                }
                assert!(came < 97, "{mode}");
            };
            assert!(matches!(error, RuntimeError::ShutDown), "{mode}: {error}");
            assert!(matches!(stream.next(PATIENCE, sum_slot), Err(RuntimeError::ShutDown)), "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let runtime = runtime(Mode::Epoch);
    let shape = |chunk, chunks, depth| shape(EngineChoice::Auto, chunk, chunks, depth);
    let cases = [
        (shape(0, 4, 4), "chunk_bytes"),
        (shape(4095, 4, 4), "chunk_bytes"),
        (shape(6000, 4, 4), "chunk_bytes"),
        (shape(4096, 0, 4), "chunks"),
        (shape(4096, 32_769, 4), "chunks"),
        (shape(1 << 40, usize::MAX, 4), "chunks"),
        (shape(4096, 4, 0), "depth"),
    ];
    for (options, wrong) in cases {
        match runtime.stream(&options) {
            Err(RuntimeError::BadOption { option, .. }) => assert_eq!(option, wrong),
            other => panic!("{options:?}: {:?}", other.err()),
        }
    }
    assert_silent();
}

/// Random files, ranges and shapes, each chunk's sum against the file. RINGFENCE_CHUNKS=N sets how many
/// chunks at least for each mode and engine.
#[test]
fn random_streams_bring_every_byte_once() {
    let wanted = std::env::var("RINGFENCE_CHUNKS").ok().and_then(|n| n.parse().ok()).unwrap_or(3_000u64);
    let bytes = noise(1 << 20);
    let sizes = [1 << 20, 999_999, 4096, 5, 0, 123_457];
    let files = sizes.map(|size| file(&bytes[..size]));
    each(|runtime, engine, what| {
        let mut random = Random(0x51_7CC1_B727_2202);
        let mut chunks = 0;
        while chunks < wanted {
            let chunk_bytes = 4096 << random.below(5);
            let mut options =
                shape(engine, chunk_bytes, 1 + random.below(24) as usize, 1 + random.below(24) as usize);
            options.transfer.direct = random.below(2) == 0;
            let mut stream = if random.below(3) == 0 {
                let seed = random.next().into();
                faulty(
                    runtime,
                    &options,
                    Faults { seed, delay: Duration::from_micros(200), ..Faults::default() },
                )
            } else {
                runtime.stream(&options).expect("a stream")
            };
            let ranges: Vec<_> = (0..1 + random.below(20))
                .map(|_| {
                    let which = random.below(sizes.len() as u32) as usize;
                    let start = u64::from(random.below(1 + sizes[which] as u32));
                    let end = (random.below(2) == 0).then(|| start + u64::from(random.below(1 << 19)));
                    (which, start, end)
                })
                .collect();
            for (tag, (which, start, end)) in (0..).zip(&ranges) {
                stream.push(files[*which].clone(), *start..end.unwrap_or(u64::MAX), tag);
            }
            let mut all = All::default();
            all.rest(&mut stream);
            chunks += all.0.values().map(|came| came.chunks.len() as u64).sum::<u64>();
            for (tag, (which, start, end)) in (0..).zip(&ranges) {
                let end = end.unwrap_or(u64::MAX).min(sizes[*which] as u64).max(*start);
                let data = &bytes[*start as usize..end as usize];
                all.check(tag, *start, data, &format!("{what}, {options:?}"));
            }
            assert!(all.0.is_empty(), "{what}");
        }
    });
}
