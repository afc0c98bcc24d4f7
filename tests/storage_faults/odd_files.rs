//! What is no file, or not much of one.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixStream};

use ringfence::runtime::FileOptions;
use rustix::fs::FsWord;

use crate::support::storage::{
    Ended, Rig, Setup, bad, file, image, io_error, load, noise, path, reach, store,
};

const EIO: i32 = 5;
const EBADF: i32 = 9;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const ESPIPE: i32 = 29;

/// Reachable as far as slots ask, and for both, whatever the file itself has to say.
const WIDE_OPEN: FileOptions = reach(true, Some(1 << 20));

fn open(path: &str) -> File {
    File::open(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn open_to_write(path: &str) -> File {
    OpenOptions::new().write(true).open(path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn from_fd(fd: impl Into<OwnedFd>) -> File {
    File::from(fd.into())
}

#[test]
fn what_is_no_file_says_so() {
    let (mut pipe, mut pipe_in) = std::io::pipe().expect("a pipe");
    pipe_in.write_all(b"kept").expect("room");
    let (socket, mut other) = UnixStream::pair().expect("sockets");
    other.write_all(b"kept").expect("room");
    let datagrams = UnixDatagram::unbound().expect("a socket");
    let terminal = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR).expect("a terminal");
    let events = rustix::event::eventfd(1, rustix::event::EventfdFlags::empty()).expect("an event counter");
    let on_disk = path();
    std::fs::write(&on_disk, noise(9000)).expect("a file");
    let name = on_disk.to_str().expect("a plain name");
    let by_path_only = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(name).expect("a place");
    let append = OpenOptions::new().read(true).append(true).open(name).expect("a file");

    let all = Ok(8192);
    // File; how a load and a store of 8192 bytes at 0 end.
    let cases: [(&str, File, Ended, Ended); 18] = [
        ("a directory", open("/"), io_error(EISDIR), io_error(EBADF)),
        (
            "a pipe to read",
            from_fd(pipe.try_clone().expect("a descriptor")),
            io_error(ESPIPE),
            io_error(ESPIPE),
        ),
        (
            "a pipe to write",
            from_fd(pipe_in.try_clone().expect("a descriptor")),
            io_error(ESPIPE),
            io_error(ESPIPE),
        ),
        ("a socket", from_fd(socket.try_clone().expect("a descriptor")), io_error(ESPIPE), io_error(ESPIPE)),
        ("a socket of datagrams", from_fd(datagrams), io_error(ESPIPE), io_error(ESPIPE)),
        ("a terminal", from_fd(terminal), io_error(ESPIPE), io_error(ESPIPE)),
        (
            "an event counter",
            from_fd(events.try_clone().expect("a descriptor")),
            io_error(ESPIPE),
            io_error(ESPIPE),
        ),
        ("/dev/full", open("/dev/full"), all, io_error(EBADF)),
        ("/dev/full to write", open_to_write("/dev/full"), io_error(EBADF), io_error(ENOSPC)),
        ("/dev/zero", open("/dev/zero"), all, io_error(EBADF)),
        ("/dev/zero to write", open_to_write("/dev/zero"), io_error(EBADF), all),
        ("/dev/null", open("/dev/null"), Ok(0), io_error(EBADF)),
        ("/dev/null to write", open_to_write("/dev/null"), io_error(EBADF), all),
        ("a path alone", by_path_only, io_error(EBADF), io_error(EBADF)),
        ("a file to read", open(name), all, io_error(EBADF)),
        // Of this one the store succeeds: see below.
        ("a file to write", open_to_write(name), io_error(EBADF), all),
        ("a file to append to", append, all, io_error(EINVAL)),
        ("memory of a process", open("/proc/self/mem"), io_error(EIO), io_error(EBADF)),
    ];
    for setup in Setup::ways() {
        Rig::each(setup, |rig| {
            std::fs::write(&on_disk, noise(9000)).expect("a file");
            for (what, file, loads, stores) in &cases {
                let file = file.try_clone().expect("a descriptor");
                let file = rig.runtime.register_file(file, &WIDE_OPEN).expect("a handle");
                let memory = rig.memory(&[0xA5; 16_384]);
                let moved = 3..3 + loads.map_or(0, |bytes| bytes as usize);
                rig.leaves_the_rest(&load(&file, 0, 8192, &memory, 3), &memory, moved, *loads, what);
                let before = image(&memory);
                assert_eq!(rig.one(&store(&file, 0, 8192, &memory, 3)), *stores, "{rig}: {what}");
                assert!(image(&memory) == before, "{rig}: {what}");
                match *what {
                    "/dev/zero" | "/dev/full" => assert_eq!(before[3..8195], [0; 8192], "{rig}: {what}"),
                    "a file to read" => {
                        let disk = std::fs::read(&on_disk).expect("readable");
                        assert!(before[3..8195] == disk[..8192], "{rig}: {what}");
                    }
                    "a file to write" => {
                        let disk = std::fs::read(&on_disk).expect("readable");
                        assert!(
                            disk[..8192] == before[3..8195] && disk[8192..] == noise(9000)[8192..],
                            "{rig}"
                        );
                    }
                    _ => {}
                }
            }
        });
    }
    drop(cases);
    drop(pipe_in);
    let mut left = String::new();
    pipe.read_to_string(&mut left).expect("text");
    assert_eq!(left, "kept", "nothing was taken from the pipe");
    drop(other);
    from_fd(socket).read_to_string(&mut left).expect("text");
    assert_eq!(left, "keptkept", "nothing was taken from the socket");
    let mut count = [0; 8];
    from_fd(events).read_exact(&mut count).expect("the counter");
    assert_eq!(u64::from_le_bytes(count), 1, "nor from the event counter");
    std::fs::remove_file(on_disk).expect("removable");
}

/// By default a handle reaches as far as the file says that it is long, and it says 0.
#[test]
fn files_that_say_they_are_empty_need_a_size() {
    let files = ["/proc/version", "/proc/filesystems", "/sys/kernel/mm/transparent_hugepage/enabled"];
    for setup in Setup::ways() {
        Rig::each(setup, |rig| {
            let memory = rig.memory(&[0xA5; 65_536]);
            for name in files {
                let Ok(text) = std::fs::read(name) else {
                    eprintln!("{name} is not here");
                    continue;
                };
                let says = std::fs::metadata(name).expect("a file").len();
                let file = rig.runtime.register_file(open(name), &FileOptions::default()).expect("a handle");
                if says == 0 {
                    assert_eq!(rig.one(&load(&file, 0, 1, &memory, 0)), bad(4), "{rig}: {name}");
                    assert_eq!(rig.one(&load(&file, 0, 0, &memory, 0)), Ok(0), "{rig}: {name}");
                } else {
                    // One that says more than it has.
                    let slot = load(&file, 0, says as u32, &memory, 0);
                    assert_eq!(rig.one(&slot), Ok(text.len() as u64), "{rig}: {name}");
                }
                let sized = reach(false, Some(1 << 20));
                let file = rig.runtime.register_file(open(name), &sized).expect("a handle");
                for (offset, bytes, at) in
                    [(0, 65_536, 0), (0, 4, 13), (5, 7, 1), (4096, 4096, 0), (1 << 19, 1, 0)]
                {
                    let rest = text.get(offset..).unwrap_or(&[]);
                    let want = &rest[..rest.len().min(bytes)];
                    let slot = load(&file, offset as u64, bytes as u32, &memory, at as u32);
                    let end = at + want.len();
                    rig.leaves_the_rest(&slot, &memory, at..end, Ok(want.len() as u64), name);
                    assert!(image(&memory)[at..end] == *want, "{rig}: {name}: {bytes} at {offset}");
                }
            }
        });
    }
}

/// A file system in memory: older kernels refuse O_DIRECT there, newer ones take it and use the page cache
/// all the same. Found by asking the folders that usually are one.
#[test]
fn direct_transfers_where_there_is_no_disk() {
    const TMPFS: FsWord = 0x0102_1994;
    let temporary = std::env::temp_dir();
    let folders = ["/dev/shm", "/run", temporary.to_str().unwrap_or("/tmp")];
    let is_tmpfs = |folder: &&&str| rustix::fs::statfs(**folder).is_ok_and(|fs| fs.f_type == TMPFS);
    let Some(folder) = folders.iter().filter(is_tmpfs).find(|folder| writable(folder)) else {
        eprintln!("no file system in memory is here");
        return;
    };
    let content = noise(100_001);
    Rig::each(Setup { direct: true, ..Setup::default() }, |rig| {
        let path = std::path::Path::new(folder).join(path().file_name().expect("a name"));
        std::fs::write(&path, &content).expect("room");
        let disk = OpenOptions::new().read(true).write(true).open(&path).expect("a file");
        let file =
            rig.runtime.register_file(disk.try_clone().expect("a descriptor"), &WIDE_OPEN).expect("a handle");
        let memory = rig.memory(&[0xA5; 131_072]);
        for (offset, bytes, at) in [(0, 4096, 0), (1, 5000, 8), (4096, 65_536, 4096), (99_000, 4096, 77)] {
            let there = bytes.min(content.len() - offset);
            let slot = load(&file, offset as u64, bytes as u32, &memory, at as u32);
            rig.leaves_the_rest(&slot, &memory, at..at + there, Ok(there as u64), "tmpfs");
            assert!(image(&memory)[at..at + there] == content[offset..offset + there], "{rig}: {offset}");
        }
        let (memory, mut model) = (rig.memory(&noise(131_072)), content.clone());
        for (offset, bytes, at) in [(8192, 8192, 0), (100_000, 4096, 12_288), (3, 70_000, 5)] {
            assert_eq!(rig.one(&store(&file, offset, bytes, &memory, at)), Ok(bytes.into()), "{rig}");
            let (offset, bytes, at) = (offset as usize, bytes as usize, at as usize);
            model.resize(model.len().max(offset + bytes), 0);
            model[offset..offset + bytes].copy_from_slice(&noise(131_072)[at..at + bytes]);
        }
        assert!(std::fs::read(&path).expect("readable") == model, "{rig}");
        std::fs::remove_file(path).expect("removable");
    });
}

fn writable(folder: &str) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

/// What a handle allows, whatever the descriptor does: nothing is written.
#[test]
fn a_handle_for_reading_is_not_written_to() {
    Rig::each(Setup::default(), |rig| {
        let disk = file(&[7; 5000]);
        let source = disk.try_clone().expect("a descriptor");
        let source = rig.runtime.register_file(source, &FileOptions::default()).expect("a handle");
        let memory = rig.memory(&[1; 4096]);
        for (offset, bytes) in [(0, 1), (0, 4096), (4999, 1), (5000, 1), (0, 0)] {
            let fault = Err((ringfence::protocol::FaultCode::Unauthorized, 0));
            assert_eq!(
                rig.one(&store(&source, offset, bytes, &memory, 0)),
                fault,
                "{rig}: {bytes} at {offset}"
            );
        }
        let mut got = vec![0; 6000];
        assert_eq!(disk.read_at(&mut got, 0).expect("readable"), 5000, "{rig}");
        assert_eq!(got[..5000], [7; 5000], "{rig}");
    });
}
