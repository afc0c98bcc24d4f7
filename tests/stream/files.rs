//! Files and ranges of every kind, and files that change.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use ringfence::runtime::Outcome;

use crate::rig::{All, each, file, io_error, noise, shape, sum_slot};
use crate::support::{PATIENCE, Random};

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
