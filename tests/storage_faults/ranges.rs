//! Ranges of files and memory that are odd: unaligned, empty, beyond the end, beyond all ends.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use ringfence::runtime::FileOptions;

use crate::support::storage::{
    Ended, Rig, Setup, bad, file, fill, image, io_error, load, noise, noise_of, prefetch, reach, store,
};

const EINVAL: i32 = 22;
const EFBIG: i32 = 27;

/// Each transfer has so much of memory, and of a file, for itself.
const PLACE: usize = 20 << 10;
/// Transfers in flight.
const PLACES: usize = 128;

/// Offset, place in memory, bytes: everything below a word's size, and everything around pages and blocks.
fn unaligned() -> Vec<(usize, usize, usize)> {
    let mut all = Vec::new();
    let mut add = |offsets: &[usize], places: &[usize], lengths: &[usize]| {
        for offset in offsets {
            for at in places {
                all.extend(lengths.iter().map(|bytes| (*offset, *at, *bytes)));
            }
        }
    };
    let small: Vec<usize> = (0..8).collect();
    add(&small, &small, &small[1..]);
    add(
        &[0, 1, 511, 512, 513, 4095, 4096, 4097],
        &[0, 1, 4, 512, 4095, 4096, 4097],
        &[1, 511, 512, 513, 4095, 4096, 4097, 8191, 8192, 12_289],
    );
    all
}

#[test]
fn nothing_needs_to_be_aligned() {
    let cases = unaligned();
    let bytes = noise(PLACE * PLACES);
    for setup in Setup::ways() {
        Rig::each(setup, |rig| {
            let disk = file(&bytes);
            let options = reach(true, None);
            let source = disk.try_clone().expect("a descriptor");
            let source = rig.runtime.register_file(source, &options).expect("a handle");
            let mut memory_model = noise_of(7, PLACE * PLACES);
            let memory = rig.memory(&memory_model);
            let mut file_model = bytes.clone();
            for chunk in cases.chunks(PLACES) {
                let slots = chunk.iter().enumerate().map(|(n, (offset, at, bytes))| {
                    let base = n * PLACE;
                    load(&source, (base + offset) as u64, *bytes as u32, &memory, (base + at) as u32)
                });
                for (end, (offset, at, bytes)) in rig.all(slots).into_iter().zip(chunk) {
                    assert_eq!(end, Ok(*bytes as u64), "{rig}: load of {bytes} at {offset} to {at}");
                }
                for (n, (offset, at, bytes)) in chunk.iter().enumerate() {
                    let (from, to) = (n * PLACE + offset, n * PLACE + at);
                    memory_model[to..to + bytes].copy_from_slice(&file_model[from..from + bytes]);
                }
                assert!(image(&memory) == memory_model, "{rig}: loads around {:?}", chunk[0]);

                // And back, from somewhere else in memory.
                let place = |n: usize| (chunk.len() - 1 - n) * PLACE;
                let slots = chunk.iter().enumerate().map(|(n, (offset, at, bytes))| {
                    let from = (place(n) + at) as u32;
                    store(&source, (n * PLACE + offset) as u64, *bytes as u32, &memory, from)
                });
                for (end, (offset, at, bytes)) in rig.all(slots).into_iter().zip(chunk) {
                    assert_eq!(end, Ok(*bytes as u64), "{rig}: store of {bytes} at {offset} from {at}");
                }
                for (n, (offset, at, bytes)) in chunk.iter().enumerate() {
                    let (from, to) = (place(n) + at, n * PLACE + offset);
                    file_model[to..to + bytes].copy_from_slice(&memory_model[from..from + bytes]);
                }
                assert!(contents(&disk) == file_model, "{rig}: stores around {:?}", chunk[0]);
            }
        });
    }
}

fn contents(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().expect("a length").len() as usize];
    file.read_exact_at(&mut bytes, 0).expect("readable");
    bytes
}

/// Shorter than asked, in a handle that reaches farther than the file.
#[test]
fn loads_end_where_the_file_does() {
    let bytes = noise(10_000);
    let cases: [(u64, u32, u64); 14] = [
        (0, 10_000, 10_000),
        (0, 10_001, 10_000),
        (0, 65_536, 10_000),
        (4096, 8192, 5904),
        (8192, 4096, 1808),
        (8191, 4096, 1809),
        (9_999, 1, 1),
        (9_999, 2, 1),
        (10_000, 1, 0),
        (10_001, 1, 0),
        (12_288, 4096, 0),
        (1 << 32, 4096, 0),
        (1 << 40, 1, 0),
        (i64::MAX as u64 - 4096, 4096, 0),
    ];
    for setup in Setup::ways() {
        Rig::each(setup, |rig| {
            let options = reach(false, Some(i64::MAX as u64));
            let source = rig.runtime.register_file(file(&bytes), &options).expect("a handle");
            let memory = rig.memory(&[0xA5; 70_000]);
            for (offset, asked, comes) in cases {
                for at in [0usize, 3, 4096] {
                    let case = format!("{asked} at {offset} to {at}");
                    let slot = load(&source, offset, asked, &memory, at as u32);
                    let end = at + comes as usize;
                    // Past the page cache the system fills the block in which the file ends.
                    let touched = if setup.direct { (at + asked as usize).min(memory.len()) } else { end };
                    rig.leaves_the_rest(&slot, &memory, at..touched, Ok(comes), &case);
                    let got = image(&memory)[at..end].to_vec();
                    let from = (offset as usize).min(bytes.len());
                    assert!(got == bytes[from..from + comes as usize], "{rig}: {case}");
                }
            }
        });
    }
}

/// 0 asks for all of a file that is left; in a store it means nothing.
#[test]
fn zero_bytes() {
    let bytes = noise(5000);
    Rig::each(Setup::default(), |rig| {
        let disk = file(&bytes);
        let both = reach(true, Some(5000));
        let register =
            |file: File, options: &FileOptions| rig.runtime.register_file(file, options).expect("a handle");
        let source = register(disk.try_clone().expect("a descriptor"), &both);
        let empty = register(file(b""), &FileOptions::default());
        let large = register(file(b""), &reach(true, None));
        let memory = rig.memory(&[0xA5; 8192]);
        let len = memory.len() as u32;
        // Slot, where bytes come, how it ends.
        let cases = [
            (load(&source, 0, 0, &memory, 0), 0..5000, Ok(5000)),
            (load(&source, 4999, 0, &memory, 17), 17..18, Ok(1)),
            (load(&source, 5000, 0, &memory, 0), 0..0, Ok(0)),
            (load(&source, 5001, 0, &memory, 0), 0..0, bad(2)),
            (load(&source, 5000, 0, &memory, len), 0..0, Ok(0)),
            (load(&source, 0, 0, &memory, len), 0..0, bad(4)),
            (load(&source, 5000, 0, &memory, len + 1), 0..0, bad(6)),
            (load(&source, 0, 0, &memory, len - 4999), 0..0, bad(4)),
            (load(&empty, 0, 0, &memory, 0), 0..0, Ok(0)),
            (load(&empty, 0, 1, &memory, 0), 0..0, bad(4)),
            (load(&empty, 1, 0, &memory, 0), 0..0, bad(2)),
            // All of it is more than 32 bits can say.
            (load(&large, 0, 0, &memory, 0), 0..0, bad(4)),
            (store(&source, 0, 0, &memory, 0), 0..0, Ok(0)),
            (store(&source, 5000, 0, &memory, len), 0..0, Ok(0)),
            (store(&source, 5001, 0, &memory, 0), 0..0, bad(2)),
            (store(&large, i64::MAX as u64, 0, &memory, 0), 0..0, Ok(0)),
            (prefetch(&empty, 0, 0, &memory, 0), 0..0, Ok(0)),
            (prefetch(&source, 5001, 0, &memory, 0), 0..0, Ok(0)),
        ];
        for (n, (slot, range, end)) in cases.into_iter().enumerate() {
            fill(&memory, &[0xA5; 8192]);
            rig.leaves_the_rest(&slot, &memory, range.clone(), end, &format!("case {n}"));
            let from = if range.start == 17 { 4999 } else { 0 };
            assert!(image(&memory)[range.clone()] == bytes[from..from + range.len()], "{rig}: case {n}");
        }
        assert!(contents(&disk) == bytes, "{rig}: nothing was written");
    });
}

/// Where 32 bits do not reach, in a file of holes.
#[test]
fn offsets_have_64_bits() {
    const FOUR: u64 = 1 << 32;
    let marks: [(u64, u64); 5] =
        [(0, 1), (FOUR - 3000, 2), (FOUR + 8192, 3), (5 * FOUR / 4, 4), (1 << 43, 5)];
    let mark = |seed: u64| noise_of(seed, 6000);
    for setup in Setup::ways() {
        Rig::each(setup, |rig| {
            let disk = file(b"");
            let options = reach(true, None);
            let source = disk.try_clone().expect("a descriptor");
            let target = rig.runtime.register_file(source, &options).expect("a handle");
            let memory = rig.memory(&noise(16_384));
            // Some of the marks come by way of the kernel.
            for (n, (offset, seed)) in marks.iter().enumerate() {
                if n % 2 == 0 {
                    disk.write_all_at(&mark(*seed), *offset).expect("room");
                } else {
                    fill(&memory, &mark(*seed));
                    assert_eq!(
                        rig.one(&store(&target, *offset, 6000, &memory, 0)),
                        Ok(6000),
                        "{rig}: {offset}"
                    );
                }
            }
            for (offset, _) in marks {
                for (before, asked) in [(0, 6000u32), (1, 6002), (100, 4096), (4096, 12_289)] {
                    let Some(start) = offset.checked_sub(before) else { continue };
                    let mut want = vec![0; asked as usize];
                    let there = disk.read_at(&mut want, start).expect("readable");
                    let slot = load(&target, start, asked, &memory, 5);
                    let case = format!("{asked} at {start}");
                    rig.leaves_the_rest(&slot, &memory, 5..5 + there, Ok(there as u64), &case);
                    assert!(image(&memory)[5..5 + there] == want[..there], "{rig}: {case}");
                }
            }
            // As the file itself, without this library, holds them.
            for (offset, seed) in marks {
                let mut got = vec![0; 6000];
                disk.read_exact_at(&mut got, offset).expect("readable");
                assert!(got == mark(seed), "{rig}: the mark at {offset}");
            }
        });
    }
}

/// Offsets that the system cannot count to, handles that end before.
#[test]
fn offsets_end() {
    const MOST: u64 = i64::MAX as u64;
    let bytes = noise(5000);
    Rig::each(Setup::default(), |rig| {
        let disk = file(&bytes);
        let register = |options: FileOptions| {
            let file = disk.try_clone().expect("a descriptor");
            rig.runtime.register_file(file, &options).expect("a handle")
        };
        let plain = register(FileOptions::default());
        let open_end = register(reach(true, None));
        let endless = register(reach(true, Some(u64::MAX)));
        let part = register(reach(true, Some(100)));
        let cases: [(&str, &_, u64, u32, Ended, Ended); 17] = [
            ("plain", &plain, 5000, 1, bad(4), io_error(0)),
            ("plain", &plain, 5001, 1, bad(2), io_error(0)),
            ("plain", &plain, MOST, 1, bad(2), io_error(0)),
            ("plain", &plain, u64::MAX, 1, bad(2), io_error(0)),
            ("plain", &plain, u64::MAX, u32::MAX, bad(2), io_error(0)),
            ("open end", &open_end, MOST - 1, 1, Ok(0), io_error(EFBIG)),
            ("open end", &open_end, MOST, 1, bad(4), bad(4)),
            ("open end", &open_end, MOST + 1, 1, bad(2), bad(2)),
            ("open end", &open_end, u64::MAX, 1, bad(2), bad(2)),
            ("endless", &endless, MOST - 1, 1, Ok(0), io_error(EFBIG)),
            ("endless", &endless, MOST - 1, 2, io_error(EINVAL), io_error(EINVAL)),
            ("endless", &endless, MOST, 1, io_error(EINVAL), io_error(EINVAL)),
            ("endless", &endless, u64::MAX - 1, 1, io_error(EINVAL), io_error(EINVAL)),
            ("endless", &endless, u64::MAX, 1, bad(4), bad(4)),
            ("part", &part, 99, 2, bad(4), bad(4)),
            ("part", &part, 101, 1, bad(2), bad(2)),
            ("part", &part, 100, 1, bad(4), bad(4)),
        ];
        let memory = rig.memory(&[0xA5; 4096]);
        for (what, file, offset, asked, loads, stores) in cases {
            let case = format!("{what}: {asked} at {offset:#x}");
            rig.leaves_the_rest(&load(file, offset, asked, &memory, 0), &memory, 0..0, loads, &case);
            if what != "plain" {
                rig.leaves_the_rest(&store(file, offset, asked, &memory, 0), &memory, 0..0, stores, &case);
            }
        }
        assert!(contents(&disk) == bytes, "{rig}: nothing was written");
    });
}

/// Places and lengths that leave memory, where 32 bits wrap around among them.
#[test]
fn memory_has_an_end() {
    const MOST: u32 = u32::MAX;
    let bytes = noise(1 << 20);
    Rig::each(Setup::default(), |rig| {
        let disk = file(&bytes);
        let options = reach(true, None);
        let source = disk.try_clone().expect("a descriptor");
        let source = rig.runtime.register_file(source, &options).expect("a handle");
        // Between two others, so that what leaves it would be seen.
        let below = rig.memory(&[1; 8192]);
        let memory = rig.memory(&[2; 8000]);
        let above = rig.memory(&[3; 8192]);
        assert_eq!(memory.len(), 8000);
        let cases: [(u32, u32, Ended); 15] = [
            (0, 8001, bad(4)),
            (1, 8000, bad(4)),
            (7999, 2, bad(4)),
            (8000, 1, bad(4)),
            (8001, 1, bad(6)),
            (8192, 1, bad(6)),
            (1 << 31, 1, bad(6)),
            (MOST, 1, bad(6)),
            (MOST, MOST, bad(6)),
            (MOST - 4095, 4096, bad(6)),
            (MOST - 3, 4, bad(6)),
            (0, MOST, bad(4)),
            (1, MOST, bad(4)),
            (4096, MOST - 4095, bad(4)),
            (8000, MOST - 7999, bad(4)),
        ];
        for (at, asked, end) in cases {
            for slot in [load(&source, 0, asked, &memory, at), store(&source, 0, asked, &memory, at)] {
                assert_eq!(rig.one(&slot), end, "{rig}: {asked} at {at}");
            }
            let all = (image(&below), image(&memory), image(&above));
            assert!(all == (vec![1; 8192], vec![2; 8000], vec![3; 8192]), "{rig}: {asked} at {at}");
        }
        // The last bytes of it.
        assert_eq!(rig.one(&load(&source, 0, 8000, &memory, 0)), Ok(8000), "{rig}");
        assert_eq!(rig.one(&load(&source, 77, 1, &memory, 7999)), Ok(1), "{rig}");
        let mut want = bytes[..8000].to_vec();
        want[7999] = bytes[77];
        assert!(image(&memory) == want, "{rig}");
        assert!(image(&below) == [1; 8192] && image(&above) == [3; 8192], "{rig}");
        assert!(contents(&disk) == bytes, "{rig}: nothing was written");
    });
}
