//! Positioned reads on a few threads: for systems without io_uring, and for tests.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::engine::{Read, ReadDone, ReadEngine};

/// Storage answers faster to a few readers than to one; more only contend for the page cache.
const THREADS: usize = 4;

/// The thread pool. Dropping it waits for the reads in flight.
pub(super) struct Threads {
    work: Option<Sender<Read>>,
    done: Receiver<ReadDone>,
    in_flight: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(super) fn new() -> io::Result<Self> {
        let (work, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let (answer, done) = channel();
        let mut threads = Vec::new();
        for n in 0..THREADS {
            let (queue, answer) = (queue.clone(), answer.clone());
            let thread = std::thread::Builder::new().name(format!("read-{n}"));
            threads.push(thread.spawn(move || serve(&queue, &answer))?);
        }
        Ok(Self { work: Some(work), done, in_flight: 0, threads })
    }
}

impl ReadEngine for Threads {
    fn submit(&mut self, read: Read) -> io::Result<()> {
        let gone = || io::Error::other("the read threads have ended");
        self.work.as_ref().ok_or_else(gone)?.send(read).map_err(|_| gone())?;
        self.in_flight += 1;
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<ReadDone>> {
        if self.in_flight == 0 {
            return Ok(None);
        }
        let done = self.done.recv().map_err(|_| io::Error::other("the read threads have ended"))?;
        self.in_flight -= 1;
        Ok(Some(done))
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn name(&self) -> &'static str {
        "threads"
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.work = None;
        for thread in self.threads.drain(..) {
            // A reader that panicked has said so; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

fn serve(queue: &Mutex<Receiver<Read>>, answer: &Sender<ReadDone>) {
    loop {
        let Ok(mut read) = queue.lock().unwrap_or_else(PoisonError::into_inner).recv() else { return };
        let (got, error) = carry_out(&mut read);
        let Read { user, buf, range, .. } = read;
        if answer.send(ReadDone { user, buf, range, got, error }).is_err() {
            return;
        }
    }
}

fn carry_out(read: &mut Read) -> (usize, Option<io::Error>) {
    let Some(into) = read.buf.get_mut(read.range.clone()) else {
        return (0, Some(io::ErrorKind::InvalidInput.into()));
    };
    let mut filled = 0;
    while filled < into.len() {
        let rest = &mut into[filled..];
        let got = match read.offset {
            Some(offset) => read.file.read_at(rest, offset + filled as u64),
            None => io::Read::read(&mut &*read.file, rest),
        };
        match got {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return (filled, Some(error)),
            Ok(0) => break,
            Ok(n) => filled += n,
        }
        if read.offset.is_none() {
            break;
        }
    }
    (filled, None)
}
