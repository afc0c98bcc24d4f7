//! Reads from storage into an arena, many at a time.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::arena::{Arena, Buf};

/// One read. Short reads are continued by the engine.
#[derive(Debug)]
pub struct Read {
    /// The caller's own word, given back with the answer.
    pub user: u64,
    /// What to read from; kept open by this.
    pub file: Arc<File>,
    /// Where to begin, in bytes. `None`: at the file's own position, and one read only, for pipes
    /// and terminals, where waiting for more than there is would hold back what has come.
    pub offset: Option<u64>,
    /// Where to put it; the engine owns it until the answer.
    pub buf: Buf,
    /// Which part of `buf` to fill.
    pub range: Range<usize>,
}

/// How a [`Read`] ended.
#[derive(Debug)]
pub struct ReadDone {
    /// From the read.
    pub user: u64,
    /// From the read.
    pub buf: Buf,
    /// From the read.
    pub range: Range<usize>,
    /// Bytes that arrived at the start of the range. Fewer than its length without an error mean
    /// the end of the file (or just what had come, where the read had no offset).
    pub got: usize,
    /// What stopped it after those bytes.
    pub error: Option<io::Error>,
}

/// Carries out reads, in any order. Used by one thread at a time.
pub trait ReadEngine: Send {
    /// Starts a read. Never waits for storage.
    fn submit(&mut self, read: Read) -> io::Result<()>;

    /// Waits for the next answer; `None` when nothing is in flight. An error says that the engine
    /// itself failed, not a read.
    fn next(&mut self) -> io::Result<Option<ReadDone>>;

    /// Reads without an answer yet.
    fn in_flight(&self) -> usize;

    /// `io_uring` or `threads`.
    fn name(&self) -> &'static str;
}

/// Which engine to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// io_uring where it works, else threads.
    #[default]
    Auto,
    /// io_uring or an error.
    IoUring,
    /// Positioned reads on a pool of threads.
    Threads,
}

/// An engine, and why it is this one.
pub struct Chosen {
    /// The engine.
    pub engine: Box<dyn ReadEngine>,
    /// In words, for `--stats`.
    pub reason: String,
}

/// Opens an engine that reads into `arena`.
///
/// # Errors
///
/// Only where `choice` names io_uring and the system does not give it, or no thread can be started.
pub fn open(choice: EngineChoice, arena: &Arc<Arena>) -> io::Result<Chosen> {
    let threads = |reason: String| Ok(Chosen { engine: Box::new(super::threads::Threads::new()?), reason });
    if choice == EngineChoice::Threads {
        return threads("asked for".to_owned());
    }
    match ring(arena) {
        Ok((engine, note)) => {
            let reason = note.unwrap_or_else(|| "the arena is registered".to_owned());
            Ok(Chosen { engine, reason })
        }
        Err(error) if choice == EngineChoice::IoUring => Err(error),
        Err(error) => threads(format!("no io_uring: {error}")),
    }
}

type Ring = (Box<dyn ReadEngine>, Option<String>);

#[cfg(target_os = "linux")]
fn ring(arena: &Arc<Arena>) -> io::Result<Ring> {
    let (ring, note) = super::uring::Uring::new(arena)?;
    Ok((Box::new(ring), note))
}

#[cfg(not(target_os = "linux"))]
fn ring(_: &Arc<Arena>) -> io::Result<Ring> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::arena::Pool;
    use std::io::Write as _;

    fn engines(arena: &Arc<Arena>) -> Vec<Box<dyn ReadEngine>> {
        let choices = [EngineChoice::Threads, EngineChoice::IoUring];
        // Without io_uring, as in many containers, there is one engine to test.
        choices
            .into_iter()
            .filter_map(|choice| open(choice, arena).ok())
            .map(|chosen| chosen.engine)
            .collect()
    }

    fn file(bytes: &[u8]) -> Arc<File> {
        let name = format!("ringfence-engine-{}-{:?}", std::process::id(), std::thread::current().id());
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
        for mut engine in engines(&arena) {
            let pool = Pool::new(&arena, 0..1 << 20, 8192);
            let blocks = bytes.len().div_ceil(4000) as u64;
            let mut next = 0;
            let mut seen = vec![false; blocks as usize];
            loop {
                while next < blocks
                    && let Some(buf) = pool.try_take()
                {
                    let offset = Some(next * 4000);
                    engine
                        .submit(Read { user: next, file: file.clone(), offset, buf, range: 5..4005 })
                        .unwrap();
                    next += 1;
                }
                let Some(done) = engine.next().unwrap() else { break };
                let start = done.user as usize * 4000;
                let want = &bytes[start..(start + 4000).min(bytes.len())];
                assert!(done.error.is_none() && done.got == want.len(), "{}: {done:?}", engine.name());
                assert!(&done.buf[5..5 + done.got] == want, "{}: block {}", engine.name(), done.user);
                assert!(!std::mem::replace(&mut seen[done.user as usize], true));
            }
            assert!(seen.iter().all(|seen| *seen) && engine.in_flight() == 0);
        }
    }

    #[test]
    fn pipes_ends_and_errors() {
        let arena = Arena::new(1 << 16).unwrap();
        for mut engine in engines(&arena) {
            let pool = Pool::new(&arena, 0..1 << 16, 4096);
            let mut read = |file: &Arc<File>, offset: Option<u64>| {
                let read = Read { user: 1, file: file.clone(), offset, buf: pool.take(), range: 0..4096 };
                engine.submit(read).unwrap();
                engine.next().unwrap().unwrap()
            };
            let (reader, mut writer) = std::io::pipe().unwrap();
            let pipe = Arc::new(File::from(std::os::fd::OwnedFd::from(reader)));
            writer.write_all(b"some").unwrap();
            let done = read(&pipe, None);
            assert_eq!((done.got, &done.buf[..4]), (4, &b"some"[..]), "what has come is not held back");
            drop(writer);
            assert_eq!(read(&pipe, None).got, 0);
            let folder = Arc::new(File::open(std::env::temp_dir()).unwrap());
            assert!(read(&folder, Some(0)).error.is_some());
            let short = file(b"abc");
            assert_eq!(read(&short, Some(1)).got, 2);
            assert_eq!(read(&short, Some(9)).got, 0);
        }
    }
}
