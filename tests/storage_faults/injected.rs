//! Storage that fails, by an engine that does so on purpose in front of a real one.

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use ringfence::descriptor::SlotDescriptor;
use ringfence::io::transfer::faulty::{Failure, Faults, Faulty};
use ringfence::runtime::{FileOptions, Mode, RuntimeError};

use crate::support::storage::{
    Ended, Engine, Rig, Setup, ended, file, fill, image, io_error, load, noise, noise_of, prefetch, reach,
    store,
};
use crate::support::{PATIENCE, Random};

const EIO: i32 = 5;
const EMFILE: i32 = 24;

const BOTH: FileOptions = reach(true, None);

fn setup(wrap: fn(Engine) -> Engine) -> Setup {
    Setup { wrap: Some(wrap), ..Setup::default() }
}

fn faulty(inner: Engine, faults: Faults) -> Engine {
    Box::new(Faulty::new(inner, faults))
}

/// Errors, and where they are in each file, 10,000 bytes apart.
const ERRORS: [i32; 12] = [1, 4, EIO, 6, 11, 12, 27, 28, 61, 110, 116, 4095];
const APART: u64 = 10_000;

#[test]
fn an_error_at_some_place_is_the_slots_fault() {
    let wrap = |inner: Engine| {
        let place = |n: usize| (n as u64 + 1) * APART..(n as u64 + 1) * APART + 1;
        let mut fail: Vec<_> = (0..).zip(ERRORS).map(|(n, errno)| Failure::at(place(n), errno)).collect();
        // No errno has so many bits.
        fail.push(Failure::at(place(ERRORS.len()), 70_000));
        faulty(inner, Faults { fail, ..Faults::default() })
    };
    let bytes = noise(200_000);
    Rig::each(setup(wrap), |rig| {
        let disk = file(&bytes);
        let source =
            rig.runtime.register_file(disk.try_clone().expect("a descriptor"), &BOTH).expect("a handle");
        let memory = rig.memory(&[0xA5; 16_384]);
        for (n, errno) in (1..).zip(ERRORS.into_iter().chain([EIO])) {
            let place = n * APART;
            // Offset, bytes, and whether it comes there.
            for (offset, count, fails) in [
                (place - 4096, 4096u32, false),
                (place - 4096, 4097, true),
                (place, 1, true),
                (place - 1, 2, true),
                (place - 1, 1, false),
                (place + 1, 4096, false),
                (place - 5000, 8000, true),
            ] {
                let end = |count: u32| -> Ended { if fails { io_error(errno) } else { Ok(count.into()) } };
                let case = format!("{count} at {offset}, {errno} at {place}");
                let range = 77..77 + count as usize;
                let slot = load(&source, offset, count, &memory, 77);
                rig.leaves_the_rest(&slot, &memory, range.clone(), end(count), &case);
                if !fails {
                    let want = &bytes[offset as usize..][..count as usize];
                    assert!(image(&memory)[range] == *want, "{rig}: {case}");
                }
                fill(&memory, &noise_of(n, 16_384));
                let slot = store(&source, offset, count, &memory, 3);
                assert_eq!(rig.one(&slot), end(count), "{rig}: {case}");
                let mut got = vec![0; 200_000];
                disk.read_exact_at(&mut got, 0).expect("readable");
                // What lies before the place may have been written, nothing else.
                let (start, done) =
                    (offset as usize, if fails { place - offset } else { count.into() } as usize);
                let mut want = bytes.clone();
                want[start..start + done].copy_from_slice(&noise_of(n, 16_384)[3..3 + done]);
                assert!(got == want, "{rig}: {case}");
                disk.write_all_at(&bytes, 0).expect("room");
            }
        }
    });
}

#[test]
fn one_error_in_three_is_the_fault_of_one_slot_in_three() {
    let wrap = |inner| {
        faulty(inner, Faults { fail: vec![Failure::at(0..u64::MAX, EIO).every(3)], ..Faults::default() })
    };
    let bytes = noise(100_000);
    Rig::each(setup(wrap), |rig| {
        let source = rig.runtime.register_file(file(&bytes), &BOTH).expect("a handle");
        let memory = rig.runtime.memory(300 * 256).expect("memory");
        for turn in 1..=30 {
            let want = if turn % 3 == 0 { io_error(EIO) } else { Ok(256) };
            assert_eq!(rig.one(&load(&source, turn, 256, &memory, 0)), want, "{rig}: {turn}");
        }
        // Many at once: which of them is the engine's affair.
        let all = rig.all((0..300).map(|n| load(&source, 13 * n, 256, &memory, 256 * n as u32)));
        let got = image(&memory);
        for (n, end) in all.iter().enumerate() {
            let good = *end == Ok(256) && got[256 * n..][..256] == bytes[13 * n..][..256];
            assert!(good || *end == io_error(EIO), "{rig}: {n}: {end:?}");
        }
        assert_eq!(all.iter().filter(|end| end.is_err()).count(), 100, "{rig}");
    });
}

#[test]
fn files_that_the_engine_does_not_take() {
    let wrap = |inner| faulty(inner, Faults { refuse: Some(EMFILE), ..Faults::default() });
    Rig::each(setup(wrap), |rig| {
        let source = rig.runtime.register_file(file(&[1; 100]), &BOTH).expect("a handle");
        let memory = rig.memory(&[0xA5; 4096]);
        let before = image(&memory);
        for slot in [load(&source, 0, 10, &memory, 0), store(&source, 0, 10, &memory, 0)] {
            assert_eq!(rig.one(&slot), io_error(EMFILE), "{rig}");
        }
        assert_eq!(rig.one(&prefetch(&source, 0, 10, &memory, 0)), Ok(0), "{rig}");
        assert_eq!(rig.one(&SlotDescriptor::io_fence()), Ok(0), "{rig}");
        assert!(image(&memory) == before, "{rig}");
    });
}

/// Late, out of order, short and with errors among them: each slot is told of its own transfer, and what lies
/// between the ranges stays.
#[test]
fn everything_at_once() {
    const PLACE: usize = 5000;
    const BAD: std::ops::Range<u64> = 300_000..320_000;
    let wrap = |inner| {
        let faults = Faults {
            seed: 11,
            delay: Duration::from_millis(2),
            short_one_in: 4,
            fail: vec![Failure::at(BAD, EIO)],
            ..Faults::default()
        };
        faulty(inner, faults)
    };
    let bytes = noise(1 << 20);
    for copied in [false, true] {
        Rig::each(Setup { copied, ..setup(wrap) }, |rig| {
            let source = file(&bytes);
            let source = rig.runtime.register_file(source, &FileOptions::default()).expect("a handle");
            let target = file(b"");
            let written = rig
                .runtime
                .register_file(target.try_clone().expect("a descriptor"), &BOTH)
                .expect("a handle");
            let mut random = Random(0xFA17);
            for round in 0..3 {
                let memory = rig.memory(&noise_of(round + 1, 300 * PLACE));
                let mut model = image(&memory);
                target.set_len(0).expect("room");
                let mut cases = Vec::new();
                let mut fences = Vec::new();
                for n in 0..300usize {
                    let count = 1 + random.below(4096);
                    let at = n * PLACE + random.below(800) as usize;
                    let offset = u64::from(random.below((1 << 20) - 4096));
                    let kind = random.below(5);
                    let slot = match kind {
                        0 => store(&written, (n * PLACE) as u64, count, &memory, at as u32),
                        1 => prefetch(&source, offset, count, &memory, at as u32),
                        _ => load(&source, offset, count, &memory, at as u32),
                    };
                    cases.push((kind, offset as usize, at, count as usize, rig.submit(&slot)));
                    if n % 40 == 39 {
                        fences.push(rig.submit(&SlotDescriptor::io_fence()));
                    }
                }
                for fence in fences {
                    assert_eq!(ended(&fence), Ok(0), "{rig}");
                }
                assert_eq!(rig.one(&SlotDescriptor::io_fence()), Ok(0), "{rig}: behind the rest");
                let got = image(&memory);
                let mut on_disk = vec![0; target.metadata().expect("a length").len() as usize];
                target.read_exact_at(&mut on_disk, 0).expect("readable");
                for (n, (kind, offset, at, count, job)) in cases.into_iter().enumerate() {
                    let end = ended(&job);
                    let case = format!("{rig}: {n}: {count} at {offset}: {end:?}");
                    let place = if kind == 0 { n * PLACE } else { offset };
                    let comes = BAD.start < (place + count) as u64 && (place as u64) < BAD.end;
                    match (kind, end) {
                        (1, _) => assert_eq!(end, Ok(0), "{case}"),
                        (_, Err(_)) => assert!(comes && end == io_error(EIO), "{case}"),
                        (_, Ok(moved)) => {
                            let moved = moved as usize;
                            assert!(!comes && moved <= count, "{case}");
                            let (from, to) = if kind == 0 {
                                (&model[at..at + moved], &on_disk[place..place + moved])
                            } else {
                                (&bytes[offset..offset + moved], &got[at..at + moved])
                            };
                            assert!(from == to, "{case}");
                        }
                    }
                    if kind != 0 {
                        // Bytes of the file up to somewhere, then what was there.
                        let there = got[at..at + count]
                            .iter()
                            .zip(&bytes[offset..])
                            .take_while(|(a, b)| a == b)
                            .count();
                        assert!(got[at + there..at + count] == model[at + there..at + count], "{case}");
                        model[at..at + count].copy_from_slice(&got[at..at + count]);
                    }
                }
                assert!(got == model, "{rig}: bytes between the ranges");
            }
        });
    }
}

/// An engine that is no more ends the runtime: whoever waits is told, and nobody for ever.
#[test]
fn an_engine_that_breaks_ends_the_runtime() {
    let wrap = |inner| {
        let delay = Duration::from_millis(1);
        faulty(inner, Faults { breaks_after: Some(20), delay, ..Faults::default() })
    };
    let bytes = noise(100_000);
    Rig::each_lent(setup(wrap), |rig| {
        let name = rig.to_string();
        let source = rig.runtime.register_file(file(&bytes), &BOTH).expect("a handle");
        let memory = rig.runtime.memory(100 * 512).expect("memory");
        let slots = (0..100).map(|n| load(&source, 512 * n, 512, &memory, 512 * n as u32));
        let mut jobs = Vec::new();
        for slot in slots {
            match rig.runtime.submit(&slot) {
                Ok(job) => jobs.push(job),
                // It has ended before all were published.
                Err(_) => break,
            }
        }
        assert!(jobs.len() > 20, "{name}: {}", jobs.len());
        let mut told = 0;
        for job in &jobs {
            match job.wait_timeout(PATIENCE) {
                Ok(Some(end)) => assert_eq!(end.result(), Some(512), "{name}"),
                Ok(None) => panic!("{name}: waits for ever"),
                Err(RuntimeError::Host { error, .. }) => {
                    assert!(error.contains("broken on purpose"), "{name}: {error}");
                    told += 1;
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
        assert!(told >= jobs.len() - 20, "{name}: {told} of {}", jobs.len());
        assert!(rig.runtime.submit(&SlotDescriptor::nop()).is_err(), "{name}: takes no more");
        drop((source, memory, rig));
    });
    // The device is as it was.
    let rig = Rig::new(crate::support::MODES[0], crate::support::storage::ENGINES[0], Setup::default());
    assert_eq!(rig.one(&SlotDescriptor::nop()), Ok(0));
}

/// In epoch mode the runtime's own thread serves alone: when it is no more, that is told too.
#[test]
fn a_panic_of_the_thread_that_serves_ends_the_runtime() {
    let wrap = |inner| faulty(inner, Faults { breaks_after: Some(20), panics: true, ..Faults::default() });
    let bytes = noise(512);
    for engine in crate::support::storage::ENGINES {
        let rig = Rig::new(Mode::Epoch, engine, setup(wrap));
        let source = rig.runtime.register_file(file(&bytes), &BOTH).expect("a handle");
        let memory = rig.runtime.memory(512).expect("memory");
        for n in 0..20 {
            assert_eq!(rig.one(&load(&source, 0, 512, &memory, 0)), Ok(512), "{rig}: {n}");
        }
        let job = rig.submit(&load(&source, 0, 512, &memory, 0));
        match job.wait_timeout(PATIENCE) {
            Err(RuntimeError::Host { what, .. }) => assert!(what.contains("panicked"), "{rig}: {what}"),
            other => panic!("{rig}: {other:?}"),
        }
    }
}
