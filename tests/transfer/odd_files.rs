//! Files that end, change, vanish, or are no files.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence::io::arena::Arena;
use ringfence::io::transfer::Direction::{self, Read, Write};
use ringfence::io::transfer::faulty::{Failure, Faults, Faulty};
use ringfence::io::transfer::{
    EngineChoice, Span, Transfer, TransferEngine as _, TransferOptions, open_transfer,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::rig::{Random, Rig, Scratch};

const EBADF: Option<i32> = Some(9);
const EISDIR: Option<i32> = Some(21);
const EINVAL: Option<i32> = Some(22);
const ENOSPC: Option<i32> = Some(28);
const ESPIPE: Option<i32> = Some(29);

#[test]
fn files_end() {
    let content = Random(1).bytes(10_000);
    // offset, bytes asked for; bytes, errno
    let cases = [
        (0, 10_000, 10_000, None),
        (0, 65_536, 10_000, None),
        (4096, 8192, 5904, None),
        (8192, 4096, 1808, None),
        (9_999, 1, 1, None),
        (9_999, 2, 1, None),
        (10_000, 4096, 0, None),
        (12_288, 4096, 0, None),
        (1 << 40, 4096, 0, None),
        (i64::MAX as u64 - 4096, 4096, 0, None),
        (i64::MAX as u64 - 4095, 4096, 0, EINVAL),
        (u64::MAX, 1, 0, EINVAL),
        (u64::MAX, 0, 0, None),
        (5, 0, 0, None),
    ];
    Rig::each(1 << 17, |rig| {
        let scratch = Scratch::new(&content);
        let file = rig.register(&scratch.file);
        for (offset, len, bytes, errno) in cases {
            rig.fill(0, &vec![0xa5; len + 1]);
            assert_eq!(rig.one(Read, file, offset, len), (bytes, errno), "{rig}: {len} at {offset}");
            let start = (offset as usize).min(content.len());
            assert!(rig.bytes(0, bytes) == content[start..start + bytes], "{rig}: {len} at {offset}");
            assert_eq!(rig.bytes(len, 1), [0xa5], "{rig}: behind the span");
        }
        let read = std::fs::read(&scratch.path).unwrap();
        assert_eq!(rig.one(Write, file, u64::MAX, 1), (0, EINVAL), "{rig}");
        assert_eq!(rig.one(Write, file, 10, 0), (0, None), "{rig}");
        assert!(std::fs::read(&scratch.path).unwrap() == read, "{rig}");
    });
}

#[test]
fn files_change_and_vanish() {
    let content = Random(2).bytes(300_000);
    Rig::each(1 << 20, |rig| {
        let scratch = Scratch::new(&content);
        let file = rig.register(&scratch.file);
        // Its length now, and what a read of 64 KiB at 8192 gives.
        for (len, bytes) in [(20_000, 11_808), (8192, 0), (5, 0), (200_000, 65_536), (8193, 1)] {
            scratch.file.set_len(len).unwrap();
            assert_eq!(rig.one(Read, file, 8192, 65_536), (bytes, None), "{rig}: of {len}");
        }
        scratch.file.set_len(0).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&scratch.file, &content, 0).unwrap();
        std::fs::remove_file(&scratch.path).unwrap();

        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let changer = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    scratch.file.set_len(100_001).unwrap();
                    scratch.file.set_len(300_000).unwrap();
                }
            });
            for round in 0..60 {
                for n in 0..8 {
                    rig.submit(
                        n,
                        Read,
                        file,
                        n * 37_000 + round,
                        n as usize * 65_536 + round as usize,
                        40_000,
                    );
                }
                for (n, done) in rig.finish() {
                    let start = (n * 37_000 + round) as usize;
                    assert!(done.error.is_none() && done.bytes <= 40_000, "{rig}: {done:?}");
                    let kept = 100_001usize.saturating_sub(start).min(40_000);
                    assert!(done.bytes >= kept, "{rig}: {done:?}");
                    let got = rig.bytes(n as usize * 65_536 + round as usize, done.bytes);
                    assert!(got[..kept] == content[start..start + kept], "{rig}");
                    let rest = got.iter().zip(&content[start..]).skip(kept);
                    assert!(rest.into_iter().all(|(got, was)| *got == 0 || got == was), "{rig}");
                }
            }
            stop.store(true, Ordering::Relaxed);
            changer.join().unwrap();
        });
    });
}

#[test]
fn what_is_no_file_says_so() {
    let scratch = Scratch::new(&[7; 9000]);
    let (mut pipe, mut pipe_in) = std::io::pipe().unwrap();
    pipe_in.write_all(b"kept").unwrap();
    let as_file = |fd: &dyn Fn() -> OwnedFd| File::from(fd());
    let pipe_out = as_file(&|| pipe.try_clone().unwrap().into());
    let pipe_end = as_file(&|| pipe_in.try_clone().unwrap().into());
    let (socket, _other) = UnixStream::pair().unwrap();
    let socket = as_file(&|| socket.try_clone().unwrap().into());
    let open = |path: &str, write: bool| OpenOptions::new().read(!write).write(write).open(path).unwrap();
    let path = scratch.path.to_str().unwrap();
    let append = OpenOptions::new().read(true).append(true).open(path).unwrap();
    // file, direction; bytes, errno of 8192 at 0
    let cases: &[(&str, &File, Direction, usize, Option<i32>)] = &[
        ("directory", &open("/", false), Read, 0, EISDIR),
        ("directory", &open("/", false), Write, 0, EBADF),
        ("pipe", &pipe_out, Read, 0, ESPIPE),
        ("pipe", &pipe_end, Write, 0, ESPIPE),
        ("socket", &socket, Read, 0, ESPIPE),
        ("socket", &socket, Write, 0, ESPIPE),
        ("/dev/full", &open("/dev/full", true), Write, 0, ENOSPC),
        ("/dev/zero", &open("/dev/zero", false), Read, 8192, None),
        ("/dev/null", &open("/dev/null", false), Read, 0, None),
        ("/dev/null", &open("/dev/null", true), Write, 8192, None),
        ("read-only", &open(path, false), Write, 0, EBADF),
        ("read-only", &open(path, false), Read, 8192, None),
        ("write-only", &open(path, true), Read, 0, EBADF),
        ("append", &append, Write, 0, EINVAL),
        ("append", &append, Read, 8192, None),
    ];
    Rig::each(1 << 16, |rig| {
        for &(what, file, direction, bytes, errno) in cases {
            let file = rig.register(file);
            assert_eq!(rig.one(direction, file, 0, 8192), (bytes, errno), "{rig}: {direction:?} {what}");
            rig.engine.unregister(file);
        }
    });
    drop((pipe_in, pipe_end));
    let mut left = String::new();
    pipe.read_to_string(&mut left).unwrap();
    assert_eq!(left, "kept", "nothing was taken from the pipe");
    assert!(std::fs::read(&scratch.path).unwrap() == [7; 9000]);
}

#[test]
fn tmpfs_too() {
    Rig::each(1 << 16, |rig| {
        let content = Random(3).bytes(30_001);
        let scratch = Scratch::within("/dev/shm", &content);
        let file = rig.register(&scratch.file);
        for (offset, len) in [(0, 4096), (1, 5000), (4096, 40_000)] {
            let bytes = len.min(30_001 - offset);
            assert_eq!(rig.one(Read, file, offset as u64, len), (bytes, None), "{rig}");
            assert!(rig.bytes(0, bytes) == content[offset..offset + bytes], "{rig}");
        }
        let before = rig.bytes(0, 8192);
        assert_eq!(rig.one(Write, file, 4096, 8192), (8192, None), "{rig}");
        assert!(std::fs::read(&scratch.path).unwrap()[4096..12_288] == before, "{rig}");
    });
}

#[test]
fn files_come_and_go() {
    Rig::each(1 << 16, |rig| {
        let (one, two) = (Scratch::new(&[1; 100_000]), Scratch::new(&[2; 100_000]));
        let file = rig.register(&one.file);
        for user in 0..100 {
            rig.submit(user, Read, file, 0, user as usize * 512, 512);
        }
        rig.engine.unregister(file);
        rig.submit(100, Read, file, 0, 0, 512);
        for (user, done) in rig.finish() {
            let errno = done.error.and_then(|error| error.raw_os_error());
            let want = if user < 100 { (512, None) } else { (0, EBADF) };
            assert_eq!((done.bytes, errno), want, "{rig}: {user}");
        }
        assert_eq!(rig.one(Read, file, 0, 1), (0, EBADF), "{rig}");
        // Thousands, so that tables of files would overflow if they were not given back.
        for n in 0..5000 {
            let scratch = if n % 2 == 0 { &one } else { &two };
            let file = rig.engine.register(Arc::new(scratch.file.try_clone().unwrap())).unwrap();
            if n % 50 < 2 {
                assert_eq!(rig.one(Read, file, 4096, 4096), (4096, None), "{rig}");
                assert_eq!(rig.bytes(0, 4096), [n as u8 % 2 + 1; 4096], "{rig}: {n}");
            }
            rig.engine.unregister(file);
        }
    });
}

/// The reader of a pipe sees its end once nobody has the other end open.
#[test]
fn unregistered_files_are_closed() {
    Rig::each(4096, |rig| {
        for in_flight in [false, true] {
            let (reader, writer) = std::io::pipe().unwrap();
            let file = rig.register(&File::from(OwnedFd::from(writer)));
            if in_flight {
                rig.submit(1, Read, file, 0, 0, 512);
            }
            rig.engine.unregister(file);
            rig.finish();
            let patience = Timespec { tv_sec: 5, tv_nsec: 0 };
            let ended = poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&patience)).unwrap();
            assert_eq!(ended, 1, "{rig}: still open");
        }
    });
}

#[test]
fn many_files_at_once_and_memory_that_is_not_registered() {
    Rig::each(1 << 16, |rig| {
        let other = Arena::new(4096).unwrap();
        let scratch: Vec<Scratch> = (0..4u8).map(|n| Scratch::new(&[n; 5000])).collect();
        // More than the table of registered files holds.
        let files: Vec<_> = (0..1500).map(|n| rig.register(&scratch[n % 4].file)).collect();
        for (n, file) in files.into_iter().enumerate().rev().step_by(7) {
            let span = Span::new(other.clone(), 0..4096).unwrap();
            rig.engine.submit(Transfer { user: 1, direction: Read, file, offset: 0, span }).unwrap();
            assert_eq!(rig.finish()[&1].bytes, 4096, "{rig}");
            // SAFETY: the arena is mapped, and nothing of it is in flight.
            let got = unsafe { other.as_ptr().add(4095).read() };
            assert_eq!(got as usize, n % 4, "{rig}");
        }
    });
    let arena = Arena::new(4096).unwrap();
    assert!(Span::new(arena.clone(), 1..4097).is_none() && Span::new(arena.clone(), 4096..4096).is_some());
    #[expect(clippy::reversed_empty_ranges, reason = "what a span refuses")]
    let backwards = Span::new(arena, 2..1);
    assert!(backwards.is_none());
}

#[test]
fn faults_are_injected() {
    let scratch = Scratch::new(&[3; 100_000]);
    let mut rig = Rig::new(TransferOptions { engine: EngineChoice::Threads, ..Default::default() }, 1 << 16);
    let inner = open_transfer(&rig.options, &[]).unwrap();
    let mut faulty = Faulty::new(inner, Faults { short_one_in: 2, ..Faults::default() });
    let file = faulty.register(Arc::new(scratch.file.try_clone().unwrap())).unwrap();
    faulty.faults().fail = vec![Failure::at(50_000..50_001, 5).of(file)];
    rig.engine = Box::new(faulty);
    assert_eq!(rig.one(Read, file, 49_000, 4096), (1000, Some(5)));
    assert_eq!(rig.one(Read, file, 50_000, 1), (0, Some(5)));
    let whole = (0..200).filter(|_| rig.one(Read, file, 50_001, 4096) == (4096, None)).count();
    assert!((50..150).contains(&whole), "{whole} of 200 are whole");
}
