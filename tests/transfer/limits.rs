//! Many transfers, few resources, and engines that go away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::io::transfer::Direction::Read;
use ringfence::io::transfer::{EngineChoice, TransferOptions, open_transfer};

use crate::process::{child, forbid_descriptors, forbid_io_uring, limit_locked_memory};
use crate::rig::{Random, Rig, Scratch, setups};

const EMFILE: i32 = 24;

#[test]
fn ten_thousand_transfers_on_few_entries() {
    let content = Random(5).bytes(1 << 20);
    let scratch = Scratch::new(&content);
    for (entries, count) in [(64, 10_000u64), (1, 100)] {
        for options in setups() {
            let mut rig = Rig::new(TransferOptions { entries, ..options }, 10_000 * 600);
            let file = rig.register(&scratch.file);
            let places: Vec<usize> = (0..count).map(|n| (n as usize * 8191) % (1 << 20)).collect();
            for (user, place) in places.iter().enumerate() {
                rig.submit(user as u64, Read, file, *place as u64, user * 600, 600);
            }
            assert_eq!(rig.engine.in_flight(), count as usize, "{rig}");
            for (user, done) in rig.finish() {
                let place = places[user as usize];
                let want = &content[place..(place + 600).min(1 << 20)];
                assert!(done.error.is_none() && done.bytes == want.len(), "{rig}: {done:?}");
                assert!(rig.bytes(user as usize * 600, want.len()) == want, "{rig}: {user}");
            }
        }
    }
}

/// Memory is not written to once the engine has gone.
#[test]
fn dropping_waits_for_what_is_in_flight() {
    let scratch = Scratch::new(&vec![1; 8 << 20]);
    scratch.file.sync_all().unwrap();
    for options in setups() {
        for _ in 0..5 {
            let mut rig = Rig::new(options, 8 << 20);
            let file = rig.register(&scratch.file);
            for n in 0..64 {
                rig.submit(n, Read, file, n << 17, (n << 17) as usize, 1 << 17);
            }
            rig.engine.poll(&mut Vec::new()).unwrap();
            rig.engine = open_transfer(&TransferOptions::default(), &[]).unwrap();
            rig.fill(0, &vec![2; 8 << 20]);
            std::thread::sleep(Duration::from_millis(20));
            assert!(rig.bytes(0, 8 << 20).iter().all(|byte| *byte == 2), "{rig}: {options:?}");
        }
    }
}

#[test]
fn polling_alone_gets_on() {
    let scratch = Scratch::new(&[4; 1 << 20]);
    scratch.file.sync_all().unwrap();
    Rig::each(1 << 20, |rig| {
        let file = rig.register(&scratch.file);
        for n in 0..16 {
            rig.submit(n, Read, file, n << 16, (n << 16) as usize, 1 << 16);
        }
        let (mut done, start) = (Vec::new(), Instant::now());
        while rig.engine.in_flight() > 0 {
            rig.engine.poll(&mut done).unwrap();
            assert!(start.elapsed() < Duration::from_secs(20), "{rig}: {} came", done.len());
        }
        assert!(done.len() == 16 && done.iter().all(|done| done.bytes == 1 << 16), "{rig}: {done:?}");
    });
}

#[test]
fn waiting_with_nothing_in_flight_returns() {
    Rig::each(4096, |rig| {
        let start = Instant::now();
        rig.engine.wait(Duration::MAX, &mut Vec::new()).unwrap();
        assert!(start.elapsed() < Duration::from_secs(1), "{rig}");
    });
}

#[test]
fn an_engine_belongs_to_the_thread_that_uses_it() {
    let scratch = Scratch::new(&[9; 8192]);
    for options in setups() {
        let mut rig = Rig::new(options, 1 << 20);
        let file = rig.register(&scratch.file);
        let rig = std::thread::spawn(move || {
            assert_eq!(rig.one(Read, file, 0, 8192), (8192, None), "{rig}");
            rig
        });
        let mut rig = rig.join().unwrap();
        // Not promised to work here, but to end.
        rig.submit(1, Read, file, 0, 0, 4096);
        let moved = rig.engine.wait(Duration::from_secs(5), &mut Vec::new());
        eprintln!("{}: {moved:?}", rig.engine.describe().name);
        drop(rig);
    }
}

#[test]
fn little_memory_may_be_locked() {
    child("limits::child_with_a_small_memlock_limit");
}

#[test]
#[ignore = "run by the test above"]
fn child_with_a_small_memlock_limit() {
    // Enough for the rings themselves, which some kernels count too, and for no arena.
    limit_locked_memory(512 << 10, 512 << 10);
    let scratch = Scratch::new(&[5; 20_000]);
    Rig::each(4 << 20, |rig| {
        let file = rig.register(&scratch.file);
        assert_eq!(rig.one(Read, file, 4096, 20_000), (15_904, None), "{rig}");
        assert!(rig.bytes(0, 15_904) == [5; 15_904], "{rig}");
        let described = rig.engine.describe();
        let noted = described.notes.iter().any(|note| note.contains("RLIMIT_MEMLOCK is 512 KiB"));
        assert_eq!(noted, described.name == "io_uring", "{rig}");
    });
    limit_locked_memory(4 << 10, 512 << 10);
    let mut rig = Rig::new(TransferOptions::default(), 1 << 20);
    let file = rig.register(&scratch.file);
    assert_eq!(rig.one(Read, file, 4096, 20_000), (15_904, None), "{rig}");
    assert!(rig.engine.describe().notes[0].contains("RLIMIT_MEMLOCK is 4 KiB"), "{rig}");
}

#[test]
fn no_descriptors_are_left() {
    child("limits::child_without_descriptors");
}

#[test]
#[ignore = "run by the test above"]
fn child_without_descriptors() {
    let scratch = Scratch::new(&[6; 20_000]);
    let mut rigs: Vec<Rig> = setups().into_iter().map(|options| Rig::new(options, 1 << 16)).collect();
    let file = Arc::new(scratch.file.try_clone().unwrap());
    forbid_descriptors();
    for rig in &mut rigs {
        let file = rig.engine.register(file.clone()).unwrap();
        assert_eq!(rig.one(Read, file, 4096, 20_000), (15_904, None), "{rig}");
        let noted = rig.engine.describe().notes.iter().any(|note| note.starts_with("no O_DIRECT"));
        assert_eq!(noted, rig.options.direct, "{rig}");
    }
    no_ring(&|error| error.raw_os_error() == Some(EMFILE));
}

/// Auto takes threads and says why; io_uring by name is an error.
fn no_ring(why: &dyn Fn(&std::io::Error) -> bool) {
    let engine = open_transfer(&TransferOptions::default(), &[]).unwrap();
    assert_eq!(engine.describe().name, "threads");
    assert!(engine.describe().notes[0].starts_with("no io_uring: "), "{:?}", engine.describe());
    let ring = TransferOptions { engine: EngineChoice::IoUring, ..TransferOptions::default() };
    assert!(why(&open_transfer(&ring, &[]).err().expect("there is none")));
}

#[test]
#[cfg(target_os = "linux")]
fn io_uring_is_forbidden() {
    child("limits::child_under_a_filter");
}

#[test]
#[cfg(target_os = "linux")]
#[ignore = "run by the test above"]
fn child_under_a_filter() {
    forbid_io_uring();
    no_ring(&|error| error.raw_os_error() == Some(libc::EPERM));
}
