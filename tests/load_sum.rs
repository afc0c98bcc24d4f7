//! LOAD_SUM: bytes that the running kernel asks for and sums, against the sums of the files' words; in both
//! modes and with both engines.

mod support;

use std::time::{Duration, Instant};

use ringfence::descriptor::SlotDescriptor;
use ringfence::runtime::{FileOptions, Mode};
use ringfence::twin::load_sum::offsets;
use support::storage::{ENGINES, Rig, Setup, bad, file, noise, request};
use support::{Random, assert_silent};

fn load_sum(file: u32, offset: u64, bytes: u32, memory: u32, at: u32) -> SlotDescriptor {
    SlotDescriptor::load_sum(&request(file, offset, bytes, memory, at))
}

/// The sum of words, the last of which may lack bytes.
fn sum(bytes: &[u8]) -> u64 {
    let word = |part: &[u8]| part.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
    bytes.chunks(4).map(word).fold(0u32, u32::wrapping_add).into()
}

#[test]
fn sums_are_those_of_the_files_words() {
    // Several turns of a claim (131,072 bytes each), and ends within words and turns.
    let sizes =
        [0u32, 1, 3, 4, 5, 15, 16, 17, 511, 513, 4095, 4096, 4097, 131_072, 131_075, 600_001, 3 << 20];
    let bytes = noise(4 << 20);
    Rig::each(Setup::default(), |rig| {
        let source = rig.runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = rig.runtime.memory(4 << 20).expect("memory");
        for size in sizes.into_iter().filter(|size| *size > 0) {
            for (offset, at) in [(0u64, 0u32), (1, 4), (4093, 1000)] {
                let want = sum(&bytes[offset as usize..][..size as usize]);
                let slot = load_sum(source.handle(), offset, size, memory.handle(), at);
                assert_eq!(rig.one(&slot), Ok(want), "{rig}: {size} bytes at {offset} to {at}");
            }
        }
        // 0 stands for all of the file.
        assert_eq!(rig.one(&load_sum(source.handle(), 0, 0, memory.handle(), 0)), Ok(sum(&bytes)), "{rig}");
        // Side by side, more than one claim and more than one turn of it.
        let slots =
            (0..200u32).map(|n| load_sum(source.handle(), u64::from(n), 20_000, memory.handle(), n * 20_000));
        for (n, ended) in rig.all(slots).into_iter().enumerate() {
            assert_eq!(ended, Ok(sum(&bytes[n..][..20_000])), "{rig}: {n}");
        }
    });
}

#[test]
fn further_blocks_are_those_that_the_twin_draws() {
    let bytes = noise(3 << 20);
    Rig::each(Setup::default(), |rig| {
        let source = rig.runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = rig.runtime.memory(16 << 20).expect("memory");
        let sum_of = |size: u32, further: u32, blocks: u32, seed: u32| {
            let offsets = offsets(seed, blocks, size).take(further as usize);
            let sums =
                std::iter::once(0).chain(offsets).map(|at| sum(&bytes[at as usize..][..size as usize]));
            Ok(sums.fold(0u32, |all, one| all.wrapping_add(one as u32)).into())
        };
        // More slots than the request ring has places, some with more bytes than a claim may sum at once.
        for (size, further, slots) in [(4096, 1, 1), (4096, 9, 300), (1001, 30, 40), (150_000, 3, 100)] {
            let blocks = (3 << 20) / size;
            let ask = |n: u32| {
                let asked = request(source.handle(), 0, size, memory.handle(), n % 100 * 160_000);
                SlotDescriptor::load_sums(&asked, further, blocks, n, 0)
            };
            // Slots that share a place would overwrite each other's bytes.
            for group in (0..slots).collect::<Vec<_>>().chunks(100) {
                for (n, ended) in group.iter().zip(rig.all(group.iter().map(|n| ask(*n)))) {
                    let want = sum_of(size, further, blocks, *n);
                    assert_eq!(ended, want, "{rig}: {size} bytes, {further} times more, seed {n}");
                }
            }
        }
        // A block behind the end of the file ends it, as a fault since the handle does not reach there.
        let asked = request(source.handle(), 0, 4096, memory.handle(), 0);
        let far = SlotDescriptor::load_sums(&asked, 1000, 3 << 20, 1, 0);
        assert_eq!(rig.one(&far), bad(2), "{rig}");
    });
}

/// What is asked for between two looks of such a caller is served without it. In epoch mode it never is by callers.
#[test]
fn callers_that_look_in_now_and_then_hold_up_no_read() {
    const READS: u32 = 600;
    let bytes = noise(1 << 20);
    for engine in ENGINES {
        let rig = Rig::new(Mode::Live, engine, Setup::default());
        let source = rig.runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = rig.runtime.memory(4096).expect("memory");
        let ask = |further| {
            let asked = request(source.handle(), 0, 4096, memory.handle(), 0);
            SlotDescriptor::load_sums(&asked, further, 256, 1, 0)
        };
        // Long enough for the thread that steps in to sleep for as long as it ever does.
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(50) {
            assert!(rig.one(&ask(0)).is_ok(), "{rig}");
        }
        // One read after the other.
        let job = rig.submit(&ask(READS - 1));
        let mut looks = 0;
        while job.try_wait().is_none() {
            looks += 1;
            // Some 30; one for each read where nobody else serves.
            assert!(looks < READS * 3 / 4, "{rig}: reads wait for somebody to look in");
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    assert_silent();
}

#[test]
fn heads_alone_are_summed_where_that_is_asked_for() {
    let bytes = noise(3 << 20);
    Rig::each(Setup::default(), |rig| {
        let options = FileOptions { size: Some(4 << 20), ..FileOptions::default() };
        let source = rig.runtime.register_file(file(&bytes), &options).expect("a handle");
        let memory = rig.runtime.memory(1 << 20).expect("memory");
        // Sizes of blocks, bytes of each that are summed, and how many; more than a claim sums, and more than there is.
        for (size, head, further) in
            [(4096, 64, 15), (4096, 1, 3), (4095, 17, 9), (300_000, 200_001, 2), (5000, 5000, 4), (16, 99, 5)]
        {
            let blocks = (3 << 20) / size;
            let asked = request(source.handle(), 0, size, memory.handle(), 0);
            let offsets = std::iter::once(0).chain(offsets(3, blocks, size).take(further as usize));
            let sums = offsets.map(|at| sum(&bytes[at as usize..][..head.min(size) as usize]));
            let want = sums.fold(0u32, |all, one| all.wrapping_add(one as u32));
            let slot = SlotDescriptor::load_sums(&asked, further, blocks, 3, head);
            assert_eq!(
                rig.one(&slot),
                Ok(want.into()),
                "{rig}: {head} of {size} bytes, {further} times more"
            );
        }
        // What is missing is told of all that was asked for.
        let asked = request(source.handle(), (3 << 20) - 100, 4096, memory.handle(), 0);
        let slot = SlotDescriptor::load_sums(&asked, 0, 0, 0, 64);
        let want = sum(&bytes[(3 << 20) - 100..][..64]) | (4096 - 100) << 32;
        assert_eq!(rig.one(&slot), Ok(want), "{rig}");
    });
}

#[test]
fn what_does_not_come_is_told() {
    let bytes = noise(10_001);
    Rig::each(Setup::default(), |rig| {
        let options = FileOptions { size: Some(1 << 20), ..FileOptions::default() };
        let source = rig.runtime.register_file(file(&bytes), &options).expect("a handle");
        let memory = rig.memory(&[0xFF; 32 << 10]);
        let short = |offset: usize, asked: u64| {
            let there = &bytes[offset.min(bytes.len())..];
            Ok(sum(there) | (asked - there.len() as u64) << 32)
        };
        for (offset, asked) in [(0usize, 20_000), (9_999, 3), (10_000, 16), (10_001, 4), (20_000, 1)] {
            let slot = load_sum(source.handle(), offset as u64, asked as u32, memory.handle(), 0);
            assert_eq!(rig.one(&slot), short(offset, asked), "{rig}: {asked} bytes at {offset}");
        }
        let cases = [
            (source.handle() + 1, 0, 4, memory.handle(), 0, 0),
            (source.handle(), 2 << 20, 4, memory.handle(), 0, 2),
            (source.handle(), 0, 40_000, memory.handle(), 0, 4),
            (source.handle(), 0, 4, memory.handle() + 1, 0, 5),
            (source.handle(), 0, 4, memory.handle(), 1, 6),
            (source.handle(), 0, 4, memory.handle(), 2, 6),
            (source.handle(), 0, 4, memory.handle(), 40_000, 6),
        ];
        for (file, offset, bytes, handle, at, argument) in cases {
            let slot = load_sum(file, offset, bytes, handle, at);
            rig.leaves_the_rest(&slot, &memory, 0..0, bad(argument), &format!("argument {argument}"));
        }
    });
}

#[test]
fn many_at_random() {
    let bytes = noise(2 << 20);
    Rig::each(Setup::default(), |rig| {
        let source = rig.runtime.register_file(file(&bytes), &FileOptions::default()).expect("a handle");
        let memory = rig.runtime.memory(16 << 20).expect("memory");
        let mut random = Random(7);
        for _ in 0..4 {
            let asked: Vec<_> = (0..1000u32)
                .map(|n| {
                    let size = 1 + random.below(if n % 50 == 0 { 400_000 } else { 9_000 });
                    (u64::from(random.below((2 << 20) - size)), size)
                })
                .collect();
            let place = |n: usize| (n as u32 % 32) * (512 << 10);
            // At most 32 at a time, each with a place of its own.
            for (group, part) in asked.chunks(32).enumerate() {
                let slots = part.iter().enumerate().map(|(n, (offset, size))| {
                    load_sum(source.handle(), *offset, *size, memory.handle(), place(n))
                });
                for (ended, (offset, size)) in rig.all(slots).into_iter().zip(part) {
                    let want = sum(&bytes[*offset as usize..][..*size as usize]);
                    assert_eq!(ended, Ok(want), "{rig}: group {group}, {size} bytes at {offset}");
                }
            }
        }
    });
}
