//! Reads that the page cache can answer, by the thread that asks: neither ring nor thread has to hear of them.
//!
//! io_uring carries such a read out in the call that submits it. What that call costs beside the copy is little for
//! each of many reads, but a lone one pays for all of it; and waking a thread costs more than any ring.

use std::fs::File;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::Direction;
use super::files::Opened;
use super::flight::{Flight, Piece};

/// Takes a read as far as the page cache has what comes next, by pieces of at most `most` bytes; longer ones are the
/// engine's. Never waits for storage, though it may have it begin.
pub(super) fn read(flight: &mut Flight, opened: &Opened, most: usize) {
    // Past the page cache is what a direct file is for.
    if flight.transfer.direction != Direction::Read || opened.direct.is_some() {
        return;
    }
    while opened.nowait.load(Ordering::Relaxed)
        && let Some(piece) = flight.next(opened).filter(|piece| piece.len <= most)
    {
        match read_nowait(opened, &piece) {
            // Nothing does not mean the end: Linux 5.9 and 5.10 say so of what is not there yet (readv(2), BUGS).
            Ok(0) | Err(Errno::AGAIN | Errno::INTR) => return,
            Ok(bytes) => flight.answer(Ok(bytes)),
            // The file system does not know such reads (EOPNOTSUPP), the system does not, or the read fails, which
            // the engine finds out.
            Err(_) => opened.nowait.store(false, Ordering::Relaxed),
        }
    }
}

/// Whether to try that with a file. One opened with `O_DIRECT` would wait for storage, whatever it is told.
#[cfg(target_os = "linux")]
pub(super) fn may_read(file: &File) -> bool {
    use rustix::fs::{OFlags, fcntl_getfl};

    fcntl_getfl(file).is_ok_and(|flags| !flags.contains(OFlags::DIRECT))
}

/// On Android below API level 33 the filter of apps ends a process that calls preadv2.
#[cfg(not(target_os = "linux"))]
pub(super) fn may_read(_: &File) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn read_nowait(opened: &Opened, piece: &Piece) -> Result<usize, Errno> {
    use rustix::io::{ReadWriteFlags, preadv2};

    // SAFETY: the piece lies in the arena that the flight's span keeps mapped: anonymous memory, so every byte has a
    // value. A span being read into is the engine's alone (see `Span`).
    let memory = unsafe { std::slice::from_raw_parts_mut(piece.memory, piece.len) };
    preadv2(&opened.file, &mut [std::io::IoSliceMut::new(memory)], piece.offset, ReadWriteFlags::NOWAIT)
}

#[cfg(not(target_os = "linux"))]
fn read_nowait(_: &Opened, _: &Piece) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::Arc;

    use rustix::fs::{Advice, fadvise};
    use rustix::io::{ReadWriteFlags, preadv2};

    use super::super::{Description, FileId, Span, Transfer};
    use super::*;
    use crate::io::arena::Arena;

    const LEN: usize = 200_000;
    const MOST: usize = 64 << 10;

    fn content() -> Vec<u8> {
        (0..LEN).map(|i| (i * 31 + i / 997) as u8).collect()
    }

    /// A file of its own, which the page cache has; beside the build, since `/tmp` may be a tmpfs.
    fn file() -> File {
        let mut path = std::env::current_exe().expect("a path");
        path.set_file_name(format!("cached-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::write(&path, content()).expect("room");
        let file = File::options().read(true).write(true).open(&path).expect("a file");
        std::fs::remove_file(path).expect("removable");
        file
    }

    fn opened(file: File, direct: bool) -> Opened {
        Opened::new(Arc::new(file), direct, &mut Description::default())
    }

    fn flight(opened: &Opened, direction: Direction, offset: u64, len: usize) -> Flight {
        let arena = Arena::new(LEN.next_multiple_of(4096)).expect("memory");
        let span = Span::new(arena, 0..len).expect("within");
        Flight::new(Transfer { user: 1, direction, file: FileId(0), offset, span }, opened)
    }

    /// What a read came to: bytes, and whether nothing is left to the engine.
    fn came(flight: Flight) -> (usize, bool) {
        let (start, over) = (flight.transfer.span.as_ptr(), flight.is_over());
        let offset = flight.transfer.offset as usize;
        let arena = flight.transfer.span.arena().clone();
        let done = flight.done();
        assert!(done.error.is_none(), "{done:?}");
        // SAFETY: that many bytes of the mapping, which `arena` keeps, were read into; nobody writes to it.
        let bytes = unsafe { std::slice::from_raw_parts(start, done.bytes) };
        let content = content();
        assert!(bytes == &content[offset.min(LEN)..][..done.bytes], "{} bytes at {offset}", done.bytes);
        drop(arena);
        (done.bytes, over)
    }

    /// Whether the file system under the tests knows such reads, by its own word.
    fn known(file: &File) -> bool {
        let mut byte = [0];
        let read = preadv2(file, &mut [std::io::IoSliceMut::new(&mut byte)], 0, ReadWriteFlags::NOWAIT);
        read == Ok(1)
    }

    #[test]
    fn takes_short_reads_of_what_is_there() {
        use Direction::{Read, Write};
        let cached = opened(file(), false);
        let known = known(&cached.file);
        // Direction, offset, length; bytes that came, and whether the engine has nothing left to do.
        let cases: &[(Direction, usize, usize, usize, bool)] = &[
            (Read, 0, 4096, 4096, true),
            (Read, 4097, 1, 1, true),
            (Read, 77, MOST, MOST, true),
            (Read, 0, MOST + 1, 0, false),
            (Read, LEN - 100, 100, 100, true),
            // The end is the engine's to find.
            (Read, LEN - 100, 101, 100, false),
            (Read, LEN, 1, 0, false),
            (Read, LEN + 1, 4096, 0, false),
            (Write, 0, 4096, 0, false),
            (Read, 0, 0, 0, true),
        ];
        for &(direction, offset, len, bytes, over) in cases {
            let mut flight = flight(&cached, direction, offset as u64, len);
            read(&mut flight, &cached, MOST);
            let want = if known || len == 0 { (bytes, over) } else { (0, false) };
            assert_eq!(came(flight), want, "{direction:?} {offset} {len}");
        }
        assert_eq!(cached.nowait.load(Ordering::Relaxed), known);
    }

    #[test]
    fn goes_on_where_the_page_cache_does() {
        let file = file();
        file.sync_all().expect("storage");
        let page = rustix::param::page_size() as u64;
        let gone = std::num::NonZeroU64::new(page);
        fadvise(&file, page, gone, Advice::DontNeed).expect("advice");
        let cached = opened(file, false);
        let mut flight = flight(&cached, Direction::Read, page - 10, 1000);
        read(&mut flight, &cached, MOST);
        // Where the advice was not taken (a tmpfs), or the page has come back, all of it.
        let (bytes, over) = came(flight);
        assert!([0, 10, 1000].contains(&bytes) && over == (bytes == 1000), "{bytes}");
    }

    #[test]
    fn leaves_direct_files_alone() {
        let direct = opened(file(), true);
        let mut flight = flight(&direct, Direction::Read, 0, 100);
        read(&mut flight, &direct, MOST);
        // A file system without O_DIRECT leaves the page cache alone as the way.
        let expected = direct.direct.is_none() && known(&direct.file);
        assert_eq!(came(flight).1, expected);
    }

    /// Such a descriptor is not what the engines expect, but nobody keeps a caller from it.
    #[test]
    fn leaves_descriptors_alone_that_would_wait() {
        use std::os::unix::fs::OpenOptionsExt as _;

        let file = file();
        // Else it would have to wait for that first, and says so.
        file.sync_all().expect("storage");
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let Ok(direct) = File::options().read(true).custom_flags(libc::O_DIRECT).open(path) else {
            return eprintln!("no O_DIRECT beside the build: no such descriptors");
        };
        let direct = opened(direct, false);
        let mut flight = flight(&direct, Direction::Read, 0, 4096);
        read(&mut flight, &direct, MOST);
        assert_eq!(came(flight), (0, false));
    }

    #[test]
    fn asks_a_file_once_that_does_not_know() {
        let file = File::open("/proc/self/maps").expect("a file that is made as it is read");
        assert!(!known(&file));
        let cached = opened(file, false);
        let mut flight = flight(&cached, Direction::Read, 0, 100);
        read(&mut flight, &cached, MOST);
        assert!(!flight.is_over() && !cached.nowait.load(Ordering::Relaxed));
        assert_eq!(flight.done().bytes, 0);
    }
}
