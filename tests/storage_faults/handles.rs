//! Handles that are forged, revoked or lent anew, and runtimes that end while requests wait.

use std::time::{Duration, Instant};

use ringfence::descriptor::SlotDescriptor;
use ringfence::io::transfer::faulty::{Faults, Faulty};
use ringfence::protocol::FaultCode;
use ringfence::runtime::{FileOptions, Memory, RegisteredFile, RuntimeError};

use crate::support::storage::{
    Engine, Rig, Setup, bad, ended, file, fill, image, load, load_by, noise, noise_of, prefetch, reach, store,
};
use crate::support::{MODES, PATIENCE, Random};

const BOTH: FileOptions = reach(true, None);

/// Answers come up to 3 ms late.
fn slow(inner: Engine) -> Engine {
    let faults = Faults { seed: 3, delay: Duration::from_millis(3), ..Faults::default() };
    Box::new(Faulty::new(inner, faults))
}

/// As it is, and with late answers, which the CPU copies or not.
fn fast_and_slow(slots: u32, memory_bytes: usize) -> [Setup; 3] {
    let fast = Setup { slots, memory_bytes, ..Setup::default() };
    let slow = Setup { wrap: Some(slow), ..fast };
    [fast, slow, Setup { copied: true, ..slow }]
}

fn register(rig: &Rig, bytes: &[u8]) -> RegisteredFile {
    rig.runtime.register_file(file(bytes), &FileOptions::default()).expect("a handle")
}

#[test]
fn a_revoked_file_is_loaded_as_it_was_or_not_at_all() {
    let contents: Vec<_> = (1..=6).map(|seed| noise_of(seed, 100_000)).collect();
    for setup in fast_and_slow(2048, 32 << 20) {
        Rig::each(setup, |rig| {
            let memory = rig.runtime.memory(6 * 50 * 4096).expect("memory");
            let mut jobs = Vec::new();
            let mut handles = Vec::new();
            for (round, content) in contents.iter().enumerate() {
                // It has the place of the one before.
                let source = register(rig, content);
                handles.push(source.handle());
                for n in 0..50 {
                    let at = (round * 50 + n) * 4096;
                    jobs.push((
                        content,
                        n,
                        at,
                        rig.submit(&load(&source, n as u64 * 1000, 4096, &memory, at as u32)),
                    ));
                }
                if round % 2 == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                drop(source);
            }
            let mut came = 0;
            for (content, n, at, job) in jobs {
                match ended(&job) {
                    Ok(4096) => {
                        let got = &image(&memory)[at..at + 4096];
                        assert!(got == &content[n * 1000..][..4096], "{rig}: another file's bytes");
                        came += 1;
                    }
                    end => assert_eq!(end, bad(0), "{rig}"),
                }
            }
            eprintln!("{rig}: {came} of 300 came");
            for (n, handle) in handles.iter().enumerate() {
                assert_eq!(rig.one(&load_by(*handle, 0, 1, memory.handle(), 0)), bad(0), "{rig}");
                assert!(!handles[..n].contains(handle), "{rig}: lent twice");
            }
        });
    }
}

#[test]
fn memory_is_lent_anew_when_no_transfer_writes_to_it() {
    const BYTES: usize = 1 << 18;
    let bytes = noise(BYTES);
    for setup in fast_and_slow(2048, 8 * BYTES) {
        Rig::each(setup, |rig| {
            let source = register(rig, &bytes);
            let mut jobs = Vec::new();
            for round in 0..30u8 {
                let taken = patient_memory(rig, BYTES);
                let slots = (0..16).map(|n| load(&source, n << 14, 1 << 14, &taken, (n << 14) as u32));
                jobs.extend(slots.map(|slot| rig.submit(&slot)));
                drop(taken);
                // What others have now stays as they leave it.
                let mine = patient_memory(rig, BYTES);
                let theirs = vec![round; BYTES];
                fill(&mine, &theirs);
                std::thread::sleep(Duration::from_millis(1));
                assert!(image(&mine) == theirs, "{rig}: {round}");
            }
            for job in jobs {
                let end = ended(&job);
                assert!(end == Ok(1 << 14) || end == bad(5), "{rig}: {end:?}");
            }
            // All of it has come back.
            drop(patient_memory(rig, 8 * BYTES));
        });
    }
}

/// Memory, once what has it lets go.
fn patient_memory(rig: &Rig, bytes: usize) -> Memory {
    let begin = Instant::now();
    loop {
        match rig.runtime.memory(bytes) {
            Ok(memory) => return memory,
            Err(RuntimeError::NoMemory { .. }) if begin.elapsed() < PATIENCE => {
                // Revoked memory goes at a moment without a dispatch.
                rig.runtime.control().expect("well");
            }
            Err(error) => panic!("{rig}: {error}"),
        }
    }
}

#[test]
fn a_runtime_goes_with_thousands_outstanding() {
    let bytes = noise(1 << 20);
    for setup in fast_and_slow(8192, 32 << 20) {
        Rig::each_lent(setup, |rig| {
            let name = rig.to_string();
            let source = register(&rig, &bytes);
            let target = rig.runtime.register_file(file(b""), &BOTH).expect("a handle");
            let memory = rig.runtime.memory(5000 * 4096).expect("memory");
            let mut jobs = Vec::new();
            for n in 0..5000u64 {
                let (offset, at) = (n * 199, 4096 * n as u32);
                let slot = match n % 10 {
                    7 => prefetch(&source, offset, 4096, &memory, at),
                    8 => store(&target, offset, 100, &memory, at),
                    9 => SlotDescriptor::io_fence(),
                    _ => load(&source, offset, 4096, &memory, at),
                };
                jobs.push((n, rig.submit(&slot)));
            }
            drop((source, target, rig));
            let left = image(&memory);
            let mut cancelled = 0;
            for (n, job) in jobs {
                let cancel = Err((FaultCode::Cancelled, 0));
                let end = ended(&job);
                cancelled += u32::from(end == cancel);
                let done = match n % 10 {
                    7 | 9 => Ok(0),
                    8 => Ok(100),
                    _ => Ok(4096),
                };
                // The files went before the runtime.
                assert!(end == done || end == cancel || end == bad(0), "{name}: {n}: {end:?}");
                if n % 10 < 7 && end == Ok(4096) {
                    let (from, at) = (n as usize * 199, n as usize * 4096);
                    assert!(left[at..at + 4096] == bytes[from..from + 4096], "{name}: {n}");
                }
            }
            eprintln!("{name}: {cancelled} of 5000 cancelled");
            std::thread::sleep(Duration::from_millis(10));
            assert!(image(&memory) == left, "{name}: written to after the runtime has gone");
        });
    }
}

#[test]
fn shutdown_waits_for_all_that_was_asked() {
    let bytes = noise(1 << 20);
    for setup in fast_and_slow(2048, 32 << 20) {
        Rig::each_lent(setup, |rig| {
            let source = register(&rig, &bytes);
            let memory = rig.runtime.memory(500 * 4096).expect("memory");
            let mut jobs = Vec::new();
            for n in 0..500u64 {
                let (offset, at) = (n * 1999, 4096 * n as u32);
                let (slot, end) = match n % 5 {
                    3 => (SlotDescriptor::io_fence(), 0),
                    4 => (prefetch(&source, offset, 4096, &memory, at), 0),
                    _ => (load(&source, offset, 4096, &memory, at), 4096),
                };
                jobs.push((rig.submit(&slot), end));
            }
            let last = rig.submit(&SlotDescriptor::shutdown());
            let refused = rig.runtime.submit(&SlotDescriptor::nop());
            assert!(refused.is_err(), "{rig}: takes nothing after it");
            assert_eq!(ended(&last), Ok(0), "{rig}");
            for (job, end) in &jobs {
                assert_eq!(ended(job), Ok(*end), "{rig}");
            }
            let got = image(&memory);
            for n in (0..500).filter(|n| n % 5 < 3) {
                assert!(got[n * 4096..][..4096] == bytes[n * 1999..][..4096], "{rig}: {n}");
            }
            assert_eq!(rig.runtime.stats().published, rig.runtime.stats().ended, "{rig}");
        });
    }
}

/// Every argument is good or bad in some way, and the first that is bad is told.
#[test]
fn forged_requests_are_refused() {
    const LENGTH: u64 = 50_000;
    let bytes = noise(LENGTH as usize);
    let elsewhere = Rig::new(MODES[0], crate::support::storage::ENGINES[1], Setup::default());
    let foreign: Vec<_> =
        (0..9).map(|_| (register(&elsewhere, &bytes), elsewhere.memory(&[0; 64]))).collect();
    Rig::each(Setup::default(), |rig| {
        let disk = file(&bytes);
        let options = reach(true, Some(LENGTH));
        let source = disk.try_clone().expect("a descriptor");
        let source = rig.runtime.register_file(source, &options).expect("a handle");
        let gone = register(rig, &bytes).handle();
        let memory = rig.memory(&[0xA5; 8192]);
        let gone_memory = rig.memory(&[0; 64]).handle();
        // Handles of things that no transfer goes to.
        let table = rig.runtime.table(&[1; 64]).expect("a table");
        let scratch = rig.runtime.scratch(64).expect("memory");
        let output = rig.runtime.output(64).expect("memory");
        let mut random = Random(0xF0_46ED);
        let mut files = vec![source.handle(); 30];
        files.extend([gone, gone + 1, u32::MAX, 1 << 16, 0xFFFF, source.handle() ^ 1 << 31]);
        files.extend(
            foreign.iter().map(|(file, _)| file.handle()).filter(|handle| *handle != source.handle()),
        );
        let mut memories = vec![memory.handle(); 30];
        memories.extend([gone_memory, table.handle(), scratch.handle(), output.handle(), u32::MAX, 1 << 16]);
        memories.extend(
            foreign.iter().map(|(_, memory)| memory.handle()).filter(|handle| *handle != memory.handle()),
        );
        let offsets = [0, 1, 4096, LENGTH - 1, LENGTH, LENGTH + 1, 1 << 32, (1 << 32) + 5, 1 << 63, u64::MAX];
        let counts = [1, 2, 4096, 8192, 8193, LENGTH as u32, 1 << 31, u32::MAX];
        let places = [0, 1, 4096, 8191, 8192, 8193, 1 << 31, u32::MAX - 4095, u32::MAX];
        let mut model = vec![0xA5; 8192];
        let mut model_of_file = bytes.clone();
        let mut good = 0;
        for _ in 0..150 {
            let cases: Vec<_> = (0..10)
                .map(|_| {
                    let mut pick = |n: usize| random.below(n as u32) as usize;
                    let file = files[pick(files.len())];
                    let to = memories[pick(memories.len())];
                    let offset = offsets[pick(offsets.len())];
                    let (count, at) = (counts[pick(counts.len())], places[pick(places.len())]);
                    (file, to, offset, count, at, pick(3) == 0)
                })
                .collect();
            for (file, to, offset, count, at, writes) in cases {
                let slot = if writes {
                    SlotDescriptor::store_range(file, offset, count, to, at)
                } else {
                    load_by(file, offset, count, to, at)
                };
                let want = if file != source.handle() {
                    bad(0)
                } else if offset > LENGTH {
                    bad(2)
                } else if u64::from(count) > LENGTH - offset {
                    bad(4)
                } else if to != memory.handle() {
                    bad(5)
                } else if at > 8192 {
                    bad(6)
                } else if count > 8192 - at {
                    bad(4)
                } else {
                    Ok(count.into())
                };
                let case = format!("{rig}: {slot:?}");
                assert_eq!(rig.one(&slot), want, "{case}");
                if want.is_ok() {
                    good += 1;
                    let (offset, at, count) = (offset as usize, at as usize, count as usize);
                    let (file, memory) = (&mut model_of_file[offset..][..count], &mut model[at..][..count]);
                    if writes { file.copy_from_slice(memory) } else { memory.copy_from_slice(file) }
                }
            }
            assert!(image(&memory) == model, "{rig}");
        }
        let mut on_disk = vec![0; LENGTH as usize];
        std::os::unix::fs::FileExt::read_exact_at(&disk, &mut on_disk, 0).expect("readable");
        assert!(on_disk == model_of_file, "{rig}");
        assert!(good > 20, "{rig}: {good} of 1500 are good");
    });
}

/// The device is quieted, read back and switched from mode to mode while slots wait.
#[test]
fn modes_change_while_requests_wait() {
    let bytes = noise(1 << 20);
    for setup in fast_and_slow(2048, 32 << 20) {
        Rig::each(setup, |rig| {
            let source = register(rig, &bytes);
            let memory = rig.runtime.memory(300 * 4096).expect("memory");
            for round in 0..4 {
                let offset = |n: usize| n * 3331 + round;
                let slots = (0..300).map(|n| load(&source, offset(n) as u64, 4096, &memory, 4096 * n as u32));
                let jobs: Vec<_> = slots.map(|slot| rig.submit(&slot)).collect();
                let fence = rig.submit(&SlotDescriptor::io_fence());
                for turn in 0..6 {
                    rig.runtime.switch_mode(MODES[(round + turn) % 2]).expect("well");
                    match turn % 3 {
                        0 => drop(rig.runtime.control().expect("well")),
                        1 => drop(rig.runtime.readback().expect("well")),
                        _ => std::thread::sleep(Duration::from_micros(300)),
                    }
                }
                assert_eq!(ended(&fence), Ok(0), "{rig}");
                let got = image(&memory);
                for (n, job) in jobs.iter().enumerate() {
                    assert_eq!(ended(job), Ok(4096), "{rig}: {n}");
                    assert!(got[n * 4096..][..4096] == bytes[offset(n)..][..4096], "{rig}: {n}");
                }
            }
        });
    }
}

/// Threads that ask and wait by themselves: whoever waits serves the others too.
#[test]
fn several_threads_ask_at_once() {
    let bytes = noise(1 << 20);
    for setup in fast_and_slow(256, 32 << 20) {
        Rig::each(setup, |rig| {
            std::thread::scope(|scope| {
                for thread in 0..4usize {
                    let bytes = &bytes;
                    scope.spawn(move || {
                        let memory = rig.runtime.memory(20 * 4096).expect("memory");
                        for round in 0..5 {
                            // Its own file, which comes and goes.
                            let source = register(rig, bytes);
                            let offset = |n: usize| (thread * 7 + round * 31 + n) * 1009;
                            let slots = (0..20)
                                .map(|n| load(&source, offset(n) as u64, 4096, &memory, 4096 * n as u32));
                            let ends = rig.all(slots.chain([SlotDescriptor::io_fence()]));
                            let got = image(&memory);
                            for (n, end) in ends[..20].iter().enumerate() {
                                assert_eq!(*end, Ok(4096), "{rig}: {thread} {n}");
                                assert!(got[n * 4096..][..4096] == bytes[offset(n)..][..4096], "{rig}: {n}");
                            }
                            assert_eq!(ends[20], Ok(0), "{rig}");
                        }
                    });
                }
            });
        });
    }
}
