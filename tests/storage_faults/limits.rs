//! Processes that may do little: no descriptors left, no memory to lock, no io_uring, no large files. Each in
//! a process of its own.
#![cfg(target_os = "linux")]

use std::os::unix::fs::FileExt as _;

use ringfence::descriptor::SlotDescriptor;
use ringfence::io::transfer::{EngineChoice, TransferOptions};
use ringfence::runtime::{Memory, Mode, RegisteredFile, Runtime, RuntimeError, StorageOptions};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::process::{child, forbid_descriptors, forbid_io_uring, limit_locked_memory};
use crate::support::storage::{
    ENGINES, Ended, Rig, Setup, ended, file, image, io_error, load, noise, noise_of, reach, store,
};
use crate::support::{MODES, assert_silent, builder};

const EFBIG: i32 = 27;

/// A load and a store, compared.
fn moves_bytes(runtime: &Runtime, file: &RegisteredFile, content: &[u8], what: &str) {
    let memory = runtime.memory(content.len()).expect("memory");
    let one = |slot| ended(&runtime.submit(&slot).expect("accepted"));
    let count = content.len() as u32;
    assert_eq!(one(load(file, 0, count, &memory, 0)), Ok(count.into()), "{what}");
    assert!(image(&memory)[..content.len()] == *content, "{what}");
    assert_eq!(one(store(file, 5, count - 5, &memory, 0)), Ok(u64::from(count) - 5), "{what}");
    assert_eq!(one(load(file, 5, count - 5, &memory, 0)), Ok(u64::from(count) - 5), "{what}");
    assert!(image(&memory)[..content.len() - 5] == content[..content.len() - 5], "{what}");
}

fn build(mode: Mode, engine: EngineChoice) -> Result<Runtime, RuntimeError> {
    let transfer = TransferOptions { engine, ..TransferOptions::default() };
    builder(mode).storage(StorageOptions { transfer, ..StorageOptions::default() }).build()
}

#[test]
fn no_descriptors_are_left() {
    child("limits::child_without_descriptors");
}

#[test]
#[ignore = "run by the test above"]
fn child_without_descriptors() {
    let content = noise(50_000);
    let mut rigs = Vec::new();
    for mode in MODES {
        for engine in ENGINES {
            for direct in [false, true] {
                let rig = Rig::new(mode, engine, Setup { direct, ..Setup::default() });
                // The driver, too, opens what it keeps on disk of the kernel.
                assert_eq!(rig.one(&SlotDescriptor::nop()), Ok(0), "{rig}");
                rigs.push((rig, file(&content)));
            }
        }
    }
    // A descriptor that was there before; the engine wants another for direct transfers.
    forbid_descriptors();
    std::fs::File::open("/").expect_err("none are left");
    for (rig, file) in rigs {
        let source = rig.runtime.register_file(file, &reach(true, None)).expect("a handle");
        moves_bytes(&rig.runtime, &source, &content, &rig.to_string());
        rig.settle();
        drop(source);
        drop(rig);
    }
    // Descriptors came back with those that went. Taken again, a new runtime is one or an error.
    let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/").ok()).collect();
    for (mode, engine) in MODES.into_iter().flat_map(|mode| ENGINES.map(|engine| (mode, engine))) {
        match build(mode, engine) {
            Ok(runtime) => assert!(runtime.memory(16).is_ok(), "{mode} {engine:?}"),
            Err(error) => eprintln!("{mode} {engine:?}: {error}"),
        }
    }
    drop(taken);
    assert_silent();
}

#[test]
fn no_memory_may_be_locked() {
    child("limits::child_without_locked_memory");
}

#[test]
#[ignore = "run by the test above"]
fn child_without_locked_memory() {
    limit_locked_memory(0, 0);
    let content = noise(50_000);
    for mode in MODES {
        for engine in [EngineChoice::Auto, EngineChoice::IoUring, EngineChoice::Threads] {
            let runtime = match build(mode, engine) {
                Ok(runtime) => runtime,
                // The ring itself counts as locked on some kernels.
                Err(error) => {
                    assert_eq!(engine, EngineChoice::IoUring, "{error}");
                    continue;
                }
            };
            let described = runtime.storage().expect("there is storage");
            let noted = described.notes.iter().any(|note| note.contains("RLIMIT_MEMLOCK is 0 KiB"));
            assert_eq!(noted, engine != EngineChoice::Threads, "{described:?}");
            let source = runtime.register_file(file(&content), &reach(true, None)).expect("a handle");
            moves_bytes(&runtime, &source, &content, &format!("{mode} {engine:?}"));
        }
    }
    assert_silent();
}

#[test]
fn io_uring_is_forbidden() {
    child("limits::child_without_io_uring");
}

#[test]
#[ignore = "run by the test above"]
fn child_without_io_uring() {
    forbid_io_uring();
    let content = noise(50_000);
    for mode in MODES {
        let error = build(mode, EngineChoice::IoUring).err().expect("there is none").to_string();
        assert!(error.contains("not permitted"), "{error}");
        let runtime = build(mode, EngineChoice::Auto).expect("threads");
        let described = runtime.storage().expect("there is storage");
        assert!(
            described.name == "threads" && described.notes[0].starts_with("no io_uring"),
            "{described:?}"
        );
        let source = runtime.register_file(file(&content), &reach(true, None)).expect("a handle");
        moves_bytes(&runtime, &source, &content, &mode.to_string());
    }
    assert_silent();
}

#[test]
fn files_may_not_grow() {
    child("limits::child_with_small_files");
}

#[test]
#[ignore = "run by the test above"]
fn child_with_small_files() {
    const MOST: u64 = 1 << 20;
    let content = noise(50_000);
    // SAFETY: nothing handles this signal; ignored, writes beyond the limit end with an errno.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    Rig::each(Setup::default(), |rig| {
        let disk = file(&content);
        let target = rig.runtime.register_file(disk.try_clone().expect("a descriptor"), &reach(true, None));
        let target = target.expect("a handle");
        let memory: Memory = rig.memory(&noise_of(2, 8192));
        // A driver's memory may be files too: all that is needed is there before the limit is.
        assert_eq!(rig.one(&store(&target, 0, 8192, &memory, 0)), Ok(8192), "{rig}: before");
        let limit =
            |current| setrlimit(Resource::Fsize, Rlimit { current, maximum: None }).expect("it is allowed");
        limit(Some(MOST));
        let cases: [(u64, u32, Ended); 5] = [
            (MOST - 8192, 8192, Ok(8192)),
            (MOST, 1, io_error(EFBIG)),
            (MOST + 4096, 4096, io_error(EFBIG)),
            // As much as fits, and then the errno.
            (MOST - 100, 8192, io_error(EFBIG)),
            (0, 8192, Ok(8192)),
        ];
        for (offset, count, end) in cases {
            assert_eq!(
                rig.one(&store(&target, offset, count, &memory, 0)),
                end,
                "{rig}: {count} at {offset}"
            );
            assert!(disk.metadata().expect("a length").len() <= MOST, "{rig}");
        }
        limit(None);
        let mut got = vec![0; 8192];
        disk.read_exact_at(&mut got, 0).expect("readable");
        assert!(got == noise_of(2, 8192), "{rig}");
    });
}
