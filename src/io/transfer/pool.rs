//! Positioned reads and writes on a few threads: for systems without io_uring.

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::io::Errno;

use super::cached;
use super::files::{Files, Opened};
use super::flight::{Flight, Piece, unknown_file};
use super::{Description, Direction, Done, FileId, Transfer, TransferEngine, TransferOptions};

/// Enough to keep a few requests at the storage; more mostly contend for the page cache.
const THREADS: u32 = 4;
/// Bytes that the page cache is asked for before a thread is: to wake one costs little beside the copy of more, and
/// threads copy side by side.
const AT_ONCE: usize = 64 << 10;

/// The thread pool.
pub(super) struct Pool {
    description: Description,
    direct: bool,
    files: Files,
    work: Option<Sender<(Flight, Arc<Opened>)>>,
    ended: Receiver<Flight>,
    /// Answers that no thread had to be asked for.
    ready: Vec<Done>,
    in_flight: usize,
    /// What is still queued is not to be begun any more.
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn new(options: &TransferOptions, note: Option<String>) -> io::Result<Self> {
        let (work, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let (answer, ended) = channel();
        // From here on an error ends the threads that run: they see the queue's end.
        let mut pool = Self {
            description: Description { name: "threads", notes: Vec::new() },
            direct: options.direct,
            files: Files::default(),
            work: Some(work),
            ended,
            ready: Vec::new(),
            in_flight: 0,
            stop: Arc::default(),
            threads: Vec::new(),
        };
        for note in note.into_iter().chain(left_out(options)) {
            pool.description.note(note);
        }
        for n in 0..THREADS.min(options.entries) {
            let (queue, answer, stop) = (queue.clone(), answer.clone(), pool.stop.clone());
            let thread = std::thread::Builder::new().name(format!("transfer-{n}"));
            match thread.spawn(move || serve(&queue, &answer, &stop)) {
                Ok(thread) => pool.threads.push(thread),
                Err(error) if pool.threads.is_empty() => return Err(error),
                Err(error) => pool.description.note(format!("only {n} threads: {error}")),
            }
        }
        Ok(pool)
    }

    fn take(&mut self, flight: Flight) -> Done {
        self.in_flight -= 1;
        self.files.end(flight.transfer.file);
        flight.done()
    }
}

fn left_out(options: &TransferOptions) -> impl Iterator<Item = String> {
    [(options.sqpoll, "SQPOLL"), (options.iopoll, "IOPOLL")]
        .into_iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, what)| format!("no {what}: it belongs to io_uring"))
}

impl TransferEngine for Pool {
    fn register(&mut self, file: Arc<std::fs::File>) -> io::Result<FileId> {
        Ok(self.files.add(Opened::new(file, self.direct, &mut self.description)))
    }

    fn unregister(&mut self, file: FileId) {
        self.files.leave(file);
    }

    fn submit(&mut self, transfer: Transfer) -> io::Result<()> {
        let Some(opened) = self.files.begin(transfer.file) else {
            self.ready.push(unknown_file(transfer));
            return Ok(());
        };
        let file = transfer.file;
        let mut flight = Flight::new(transfer, opened);
        cached::read(&mut flight, opened, AT_ONCE);
        if flight.is_over() {
            self.files.end(file);
            self.ready.push(flight.done());
            return Ok(());
        }
        let sent = self.work.as_ref().map(|work| work.send((flight, opened.clone())));
        if !matches!(sent, Some(Ok(()))) {
            self.files.end(file);
            return Err(gone());
        }
        self.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, done: &mut Vec<Done>) -> io::Result<()> {
        done.append(&mut self.ready);
        while let Ok(flight) = self.ended.try_recv() {
            done.push(self.take(flight));
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration, done: &mut Vec<Done>) -> io::Result<()> {
        let before = done.len();
        self.poll(done)?;
        if done.len() > before || self.in_flight == 0 {
            return Ok(());
        }
        if let Ok(flight) = self.ended.recv_timeout(timeout) {
            done.push(self.take(flight));
            return self.poll(done);
        }
        // Threads only end before the engine does by a panic.
        if self.threads.iter().any(JoinHandle::is_finished) { Err(gone()) } else { Ok(()) }
    }

    fn in_flight(&self) -> usize {
        self.in_flight + self.ready.len()
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.work = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the transfer threads have ended")
}

fn serve(queue: &Mutex<Receiver<(Flight, Arc<Opened>)>>, answer: &Sender<Flight>, stop: &AtomicBool) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((mut flight, opened)) = next else { return };
        if stop.load(Ordering::Relaxed) {
            return;
        }
        while let Some(piece) = flight.next(&opened) {
            let result = carry_out(&flight, &piece, &opened);
            flight.answer(result);
        }
        // Who has the answer may count on the file having been let go of.
        drop(opened);
        if answer.send(flight).is_err() {
            return;
        }
    }
}

fn carry_out(flight: &Flight, piece: &Piece, opened: &Opened) -> Result<usize, Errno> {
    let file = opened.of(piece.direct);
    match flight.transfer.direction {
        Direction::Read => {
            let start = piece.memory.cast::<MaybeUninit<u8>>();
            // SAFETY: the piece lies in the arena that the flight's span keeps mapped, and a span
            // being read into is the engine's alone (see `Span`).
            let memory = unsafe { std::slice::from_raw_parts_mut(start, piece.len) };
            rustix::io::pread(file, memory, piece.offset).map(|(filled, _)| filled.len())
        }
        Direction::Write => {
            // SAFETY: as above; nobody writes to a span that is being written to a file.
            let memory = unsafe { std::slice::from_raw_parts(piece.memory, piece.len) };
            rustix::io::pwrite(file, memory, piece.offset)
        }
    }
}
