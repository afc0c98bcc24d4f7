//! Files that change, grow, shrink and vanish while slots load them.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence::runtime::{FileOptions, Memory};

use crate::support::storage::{
    Rig, Setup, bad, ended, file, image, load, noise, noise_of, path, reach, store,
};

/// A handle that reaches as far as slots ask.
const OPEN_END: FileOptions = reach(false, Some(i64::MAX as u64));

#[test]
fn each_load_tells_the_length_of_the_moment() {
    let bytes = noise(300_000);
    for setup in Setup::ways() {
        Rig::each(setup, |rig| {
            let disk = file(&bytes);
            let clone = || disk.try_clone().expect("a descriptor");
            let known = rig.runtime.register_file(clone(), &FileOptions::default()).expect("a handle");
            let open = rig.runtime.register_file(clone(), &OPEN_END).expect("a handle");
            let memory = rig.runtime.memory(65_536).expect("memory");
            let mut content = bytes.clone();
            // The length now, and what loads of 64 KiB at 8192 bring.
            for (len, comes) in
                [(300_000, 65_536), (20_000, 11_808), (8192, 0), (5, 0), (8193, 1), (200_000, 65_536)]
            {
                disk.set_len(len as u64).expect("room");
                content.truncate(len);
                content.resize(len, 0);
                for handle in [&known, &open] {
                    assert_eq!(
                        rig.one(&load(handle, 8192, 65_536, &memory, 0)),
                        Ok(comes),
                        "{rig}: of {len}"
                    );
                    let comes = comes as usize;
                    let want = content.get(8192..8192 + comes).unwrap_or(&[]);
                    assert!(image(&memory)[..comes] == *want, "{rig}: of {len}");
                }
            }
            // It grows beyond what it had when it was registered.
            disk.set_len(0).expect("room");
            disk.write_all_at(&noise_of(5, 400_000), 0).expect("room");
            assert_eq!(rig.one(&load(&known, 299_999, 1, &memory, 0)), Ok(1), "{rig}");
            assert_eq!(rig.one(&load(&known, 299_999, 2, &memory, 0)), bad(4), "{rig}: as far as it was");
            assert_eq!(rig.one(&load(&open, 340_000, 60_000, &memory, 0)), Ok(60_000), "{rig}");
            assert!(image(&memory)[..60_000] == noise_of(5, 400_000)[340_000..], "{rig}");
            let anew = rig.runtime.register_file(clone(), &FileOptions::default()).expect("a handle");
            assert_eq!(rig.one(&load(&anew, 399_990, 10, &memory, 0)), Ok(10), "{rig}: as far as it is");
        });
    }
}

/// Loads of 16 KiB from everywhere, again and again, until told to stop; what each brought is checked.
fn load_meanwhile(
    rig: &Rig,
    disk: &File,
    memory: &Memory,
    rounds: usize,
    check: impl Fn(usize, &[u8]),
    change: impl Fn() + Send + Sync,
) {
    const BYTES: usize = 16 << 10;
    let source = disk.try_clone().expect("a descriptor");
    let source = rig.runtime.register_file(source, &OPEN_END).expect("a handle");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                change();
            }
        });
        for round in 0..rounds {
            let offset = |n: usize| n * 9_973 + round;
            let slots =
                (0..32).map(|n| load(&source, offset(n) as u64, BYTES as u32, memory, (n * BYTES) as u32));
            let all = rig.all(slots);
            let got = image(memory);
            for (n, end) in all.into_iter().enumerate() {
                let comes = end.unwrap_or_else(|fault| panic!("{rig}: {fault:?}")) as usize;
                assert!(comes <= BYTES, "{rig}: {comes}");
                check(offset(n), &got[n * BYTES..][..comes]);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn files_shrink_and_grow_while_they_are_loaded() {
    const KEPT: usize = 100_001;
    let bytes = noise(340_000);
    for setup in Setup::ways() {
        Rig::each(setup, |rig| {
            let disk = file(&bytes);
            let memory = rig.runtime.memory(32 << 14).expect("memory");
            let check = |offset: usize, got: &[u8]| {
                let kept = KEPT.saturating_sub(offset).min(16 << 10);
                assert!(got.len() >= kept, "{rig}: {} at {offset}", got.len());
                assert!(got[..kept] == bytes[offset..offset + kept], "{rig}: at {offset}");
                let rest = got.iter().zip(&bytes[offset..]).skip(kept);
                assert!(rest.into_iter().all(|(got, was)| *got == 0 || got == was), "{rig}: at {offset}");
            };
            load_meanwhile(rig, &disk, &memory, 8, check, || {
                disk.set_len(KEPT as u64).expect("room");
                disk.set_len(bytes.len() as u64).expect("room");
            });
        });
    }
}

#[test]
fn files_are_appended_to_while_they_are_loaded() {
    let bytes = noise(2 << 20);
    Rig::each(Setup::default(), |rig| {
        let disk = file(b"");
        let mut writer = disk.try_clone().expect("a descriptor");
        let memory = rig.runtime.memory(32 << 14).expect("memory");
        let written = std::sync::Mutex::new(0);
        let check = |offset: usize, got: &[u8]| {
            assert!(got == &bytes[offset..offset + got.len()], "{rig}: {} at {offset}", got.len());
        };
        writer.write_all(&bytes[..5000]).expect("room");
        *written.lock().expect("alone") = 5000;
        load_meanwhile(rig, &disk, &memory, 8, check, || {
            let mut at = written.lock().expect("alone");
            let next = (*at + 1234).min(bytes.len());
            disk.write_all_at(&bytes[*at..next], *at as u64).expect("room");
            *at = next;
        });
    });
}

/// Bytes that others change meanwhile are the old or the new ones, and those beside them stay.
#[test]
fn files_are_written_to_while_they_are_loaded() {
    let (old, new) = (noise(340_000), noise_of(3, 340_000));
    Rig::each(Setup::default(), |rig| {
        let disk = file(&old);
        let memory = rig.runtime.memory(32 << 14).expect("memory");
        let check = |offset: usize, got: &[u8]| {
            assert_eq!(got.len(), 16 << 10, "{rig}");
            let pairs = old[offset..].iter().zip(&new[offset..]);
            for (n, (got, (old, new))) in got.iter().zip(pairs).enumerate() {
                let changes = (100_000..200_000).contains(&(offset + n));
                assert!(got == old || (changes && got == new), "{rig}: at {}", offset + n);
            }
        };
        load_meanwhile(rig, &disk, &memory, 8, check, || {
            disk.write_all_at(&new[100_000..200_000], 100_000).expect("room");
            disk.write_all_at(&old[100_000..200_000], 100_000).expect("room");
        });
    });
}

/// A name that goes, or comes to mean another file, changes nothing: slots name what was registered.
#[test]
fn files_are_deleted_and_replaced_while_they_are_loaded() {
    let (old, new) = (noise(300_000), noise_of(9, 300_000));
    for setup in Setup::ways() {
        Rig::each(setup, |rig| {
            let path = path();
            std::fs::write(&path, &old).expect("room");
            let open = || OpenOptions::new().read(true).write(true).open(&path).expect("a file");
            let options = reach(true, None);
            let before = rig.runtime.register_file(open(), &options).expect("a handle");
            let memory = rig.runtime.memory(1 << 20).expect("memory");
            let first = rig.submit(&load(&before, 0, 300_000, &memory, 0));
            std::fs::remove_file(&path).expect("removable");
            std::fs::write(&path, &new).expect("room");
            let after = rig.runtime.register_file(open(), &options).expect("a handle");
            let second = rig.submit(&load(&before, 0, 300_000, &memory, 300_000));
            let third = rig.submit(&load(&after, 0, 300_000, &memory, 600_000));
            for job in [first, second, third] {
                assert_eq!(ended(&job), Ok(300_000), "{rig}");
            }
            let got = image(&memory);
            assert!(
                got[..300_000] == old && got[300_000..600_000] == old && got[600_000..900_000] == new,
                "{rig}"
            );
            // What is written to the one that has no name any more is not in the other.
            assert_eq!(rig.one(&store(&before, 0, 300_000, &memory, 600_000)), Ok(300_000), "{rig}");
            assert_eq!(rig.one(&store(&after, 5, 50_000, &memory, 0)), Ok(50_000), "{rig}");
            let mut want = new.clone();
            want[5..50_005].copy_from_slice(&old[..50_000]);
            assert!(std::fs::read(&path).expect("readable") == want, "{rig}");
            std::fs::remove_file(&path).expect("removable");
        });
    }
}
