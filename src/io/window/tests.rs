use super::*;
use crate::io::arena::{Arena, Pool};
use crate::io::transfer::faulty::{Faults, Faulty};
use crate::io::transfer::{EngineChoice, TransferOptions, open_transfer};
use std::io::Write as _;

fn engines(arena: &Arc<Arena>) -> Vec<Box<dyn TransferEngine>> {
    let choices = [EngineChoice::Threads, EngineChoice::IoUring];
    // Without io_uring, as in many containers, there is one engine to test.
    let open = |engine| {
        open_transfer(&TransferOptions { engine, ..Default::default() }, std::slice::from_ref(arena)).ok()
    };
    choices.into_iter().filter_map(open).collect()
}

fn file(bytes: &[u8]) -> Arc<File> {
    let name = format!("ringfence-window-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, bytes).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    Arc::new(file)
}

#[test]
fn reads_arrive_whole_in_any_order() {
    let arena = Arena::new(1 << 20).unwrap();
    let bytes: Vec<u8> = (0..300_000u32).map(|n| (n * 7 + n / 251) as u8).collect();
    let file = file(&bytes);
    let slow = Faults { seed: 3, delay: Duration::from_millis(2), ..Faults::default() };
    let disorderly =
        engines(&arena).into_iter().map(|engine| Box::new(Faulty::new(engine, slow.clone())) as _);
    for engine in engines(&arena).into_iter().chain(disorderly) {
        let mut window = Window::new(engine, 20);
        let pool = Pool::new(&arena, 0..1 << 20, 8192);
        let blocks = bytes.len().div_ceil(4000) as u64;
        let mut next = 0;
        let mut seen = vec![false; blocks as usize];
        loop {
            while next < blocks
                && window.room() > 0
                && let Some(buf) = pool.try_take()
            {
                let offset = Some(next * 4000);
                window.submit(Read { user: next, file: file.clone(), offset, buf, range: 5..4005 }).unwrap();
                next += 1;
            }
            let Some(done) = window.answer().unwrap() else { break };
            let start = done.user as usize * 4000;
            let want = &bytes[start..(start + 4000).min(bytes.len())];
            let name = window.describe().name;
            assert!(done.error.is_none() && done.got == want.len(), "{name}: {done:?}");
            assert!(&done.buf[5..5 + done.got] == want, "{name}: block {}", done.user);
            assert!(!std::mem::replace(&mut seen[done.user as usize], true));
        }
        assert!(seen.iter().all(|seen| *seen) && window.in_flight() == 0);
    }
}

#[test]
fn pipes_ends_and_errors() {
    let arena = Arena::new(1 << 16).unwrap();
    for engine in engines(&arena) {
        let pool = Pool::new(&arena, 0..1 << 16, 4096);
        let mut window = Window::new(engine, 1);
        let mut read = |file: &Arc<File>, offset: Option<u64>, range: Range<usize>| {
            window.submit(Read { user: 1, file: file.clone(), offset, buf: pool.take(), range }).unwrap();
            window.answer().unwrap().unwrap()
        };
        let (reader, mut writer) = std::io::pipe().unwrap();
        let pipe = Arc::new(File::from(std::os::fd::OwnedFd::from(reader)));
        writer.write_all(b"some").unwrap();
        let done = read(&pipe, None, 0..4096);
        assert_eq!((done.got, &done.buf[..4]), (4, &b"some"[..]), "what has come is not held back");
        drop(writer);
        assert_eq!(read(&pipe, None, 0..4096).got, 0);
        assert!(read(&pipe, Some(0), 0..4096).error.is_some());
        let folder = Arc::new(File::open(std::env::temp_dir()).unwrap());
        assert!(read(&folder, Some(0), 0..4096).error.is_some());
        let short = file(b"abc");
        assert_eq!(read(&short, Some(1), 0..4096).got, 2);
        assert_eq!(read(&short, Some(9), 0..4096).got, 0);
        #[expect(clippy::reversed_empty_ranges, reason = "what a caller may do wrong")]
        let wrong = [0..4097, 9..3];
        assert!(wrong.into_iter().all(|range| read(&short, Some(0), range).error.is_some()));
    }
}

/// Files are open as long as they are read from or kept, and blocks out until their answers are taken.
#[test]
fn nothing_is_held_for_longer_than_it_is_used() {
    let arena = Arena::new(1 << 16).unwrap();
    for engine in engines(&arena) {
        let pool = Pool::new(&arena, 0..1 << 16, 4096);
        let mut window = Window::new(engine, 4);
        let file = file(&[7; 9000]);
        for round in 0..3 {
            if round == 1 {
                window.keep(&file).unwrap();
            }
            // More than the depth: `submit` waits.
            for user in 0..9 {
                let offset = Some(user * 1000);
                let (file, buf) = (file.clone(), pool.take());
                window.submit(Read { user, file, offset, buf, range: 0..1000 }).unwrap();
            }
            assert_eq!(window.in_flight(), 9);
            while let Some(done) = window.answer().unwrap() {
                assert!(done.got == 1000 && done.buf[..1000] == [7; 1000]);
            }
            assert_eq!((pool.available(), window.in_flight()), (16, 0));
            assert_eq!(window.files.len(), usize::from(round > 0));
        }
        window.release(&file);
        assert_eq!(Arc::strong_count(&file), 1);
    }
}

/// A window goes with reads in flight: their blocks come back when nobody writes to them any more.
#[test]
fn blocks_come_back_after_their_reads() {
    let arena = Arena::new(1 << 20).unwrap();
    let file = file(&[7; 1 << 19]);
    for engine in engines(&arena) {
        let pool = Pool::new(&arena, 0..1 << 20, 1 << 17);
        let mut window = Window::new(engine, 8);
        for user in 0..8 {
            let (file, buf) = (file.clone(), pool.take());
            window.submit(Read { user, file, offset: Some(0), buf, range: 0..1 << 17 }).unwrap();
        }
        window.poll().unwrap();
        drop(window);
        assert_eq!(pool.available(), 8);
    }
}

/// On a thread where an engine cannot wait, the blocks never come back.
#[test]
fn blocks_that_may_still_be_written_to_stay_away() {
    let arena = Arena::new(1 << 16).unwrap();
    let file = file(&[7; 4096]);
    for engine in engines(&arena) {
        let pool = Pool::new(&arena, 0..1 << 16, 4096);
        let mut window = Window::new(engine, 8);
        let read =
            |user| Read { user, file: file.clone(), offset: Some(0), buf: pool.take(), range: 0..4096 };
        let first = read(1);
        let other = std::thread::spawn(move || {
            window.submit(first).unwrap();
            assert_eq!(window.answer().unwrap().unwrap().got, 4096);
            window
        });
        let mut window = other.join().unwrap();
        window.submit(read(2)).unwrap();
        // Threads serve any thread, and so does an older ring.
        let able = window.poll().is_ok();
        eprintln!("{}: able {able}", window.describe().name);
        drop(window);
        assert_eq!(pool.available(), if able { 16 } else { 15 });
    }
}
