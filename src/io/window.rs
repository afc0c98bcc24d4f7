//! A sliding window over files: reads into blocks of a pool, up to a depth on their way.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::arena::Buf;
use super::transfer::{Description, Direction, Done, FileId, Span, Transfer, TransferEngine};

/// As long as a wait has to be bounded somehow.
const LONG: Duration = Duration::from_secs(3600);

/// One read. Short reads are continued.
#[derive(Debug)]
pub struct Read {
    /// The caller's own word, given back with the answer.
    pub user: u64,
    /// What to read from; kept open by this.
    pub file: Arc<File>,
    /// Where to begin, in bytes. `None`: at the file's own position, once, and by the thread that calls
    /// [`Window::submit`]. For pipes and terminals, where waiting for more than there is would hold
    /// back what has come, and which no engine reads.
    pub offset: Option<u64>,
    /// Where to put it; the window owns it until the answer.
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

impl ReadDone {
    fn new(flight: Flight, got: usize, error: Option<io::Error>) -> Self {
        Self { user: flight.user, buf: flight.buf, range: flight.range, got, error }
    }
}

/// Reads in flight, each with its block. Used by one thread, as its engine is.
///
/// A file is registered with the engine while it is read from, or [kept](Window::keep). Dropping a
/// window waits for the reads that storage is busy with.
pub struct Window {
    // First: once it is gone nobody writes to the blocks of `flights` any more.
    engine: Box<dyn TransferEngine>,
    /// By the number given to the engine.
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    /// By address.
    files: HashMap<usize, Registered>,
    ready: VecDeque<ReadDone>,
    done: Vec<Done>,
}

struct Flight {
    user: u64,
    /// Out of everybody's reach meanwhile: nobody else has a reference to what is written to.
    buf: Buf,
    range: Range<usize>,
    /// In `files`; `None` where the engine has no part in it.
    file: Option<usize>,
}

struct Registered {
    /// So that no other file gets its address.
    _file: Arc<File>,
    id: FileId,
    /// Reads in flight, and those who keep it.
    users: usize,
}

impl Window {
    /// A window of at most `depth` reads (at least 1) through `engine`.
    pub fn new(engine: Box<dyn TransferEngine>, depth: usize) -> Self {
        let depth = depth.max(1);
        Self {
            engine,
            flights: (0..depth).map(|_| None).collect(),
            free: (0..depth).rev().collect(),
            files: HashMap::new(),
            ready: VecDeque::new(),
            done: Vec::new(),
        }
    }

    /// Starts a read. The system hears of it with the next [`poll`](Self::poll) or
    /// [`wait`](Self::wait), together with others. Waits for storage only at the full depth.
    ///
    /// # Errors
    ///
    /// The engine failed as such. What is wrong with a read or its file comes as its answer.
    pub fn submit(&mut self, read: Read) -> io::Result<()> {
        let Read { user, file, offset, mut buf, range } = read;
        if range.start > range.end || range.end > buf.len() {
            let error = Some(io::ErrorKind::InvalidInput.into());
            self.ready.push_back(ReadDone { user, buf, range, got: 0, error });
            return Ok(());
        }
        let Some(offset) = offset else {
            let (got, error) = read_some(&file, &mut buf[range.clone()]);
            self.ready.push_back(ReadDone { user, buf, range, got, error });
            return Ok(());
        };
        while self.free.is_empty() {
            self.engine.wait(LONG, &mut self.done)?;
            self.collect();
        }
        let at = buf.offset() + range.start..buf.offset() + range.end;
        let span = Span::new(buf.arena().clone(), at);
        let mut flight = Flight { user, buf, range, file: None };
        let id = match self.enter(&file) {
            Ok(id) => id,
            Err(error) => {
                self.ready.push_back(ReadDone::new(flight, 0, Some(error)));
                return Ok(());
            }
        };
        flight.file = Some(key(&file));
        let (Some(span), Some(number)) = (span, self.free.pop()) else {
            let error = Some(io::ErrorKind::InvalidInput.into());
            self.end(flight, 0, error);
            return Ok(());
        };
        let transfer = Transfer { user: number as u64, direction: Direction::Read, file: id, offset, span };
        self.flights[number] = Some(flight);
        let submitted = self.engine.submit(transfer);
        if submitted.is_err()
            && let Some(flight) = self.flights[number].take()
        {
            // No answer will come: the block goes back to its pool.
            self.free.push(number);
            self.leave(flight.file);
        }
        submitted
    }

    /// Registers a file until [`release`](Self::release), for one that is read from again and again, with
    /// pauses. Each call needs one of that.
    ///
    /// # Errors
    ///
    /// The engine does not take the file.
    pub fn keep(&mut self, file: &Arc<File>) -> io::Result<()> {
        self.enter(file).map(drop)
    }

    /// The contrary of [`keep`](Self::keep).
    pub fn release(&mut self, file: &Arc<File>) {
        self.leave(Some(key(file)));
    }

    /// Tells the system of what was submitted, and looks for answers; does not wait.
    ///
    /// # Errors
    ///
    /// The engine failed as such.
    pub fn poll(&mut self) -> io::Result<()> {
        let result = self.engine.poll(&mut self.done);
        self.collect();
        result
    }

    /// As [`poll`](Self::poll), but sleeps until there is an answer or `timeout` is over. Returns at once
    /// when one is there or nothing is in flight.
    ///
    /// # Errors
    ///
    /// The engine failed as such.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        if !self.ready.is_empty() {
            return self.poll();
        }
        let result = self.engine.wait(timeout.min(LONG), &mut self.done);
        self.collect();
        result
    }

    /// An answer, if one is there: `poll` and `wait` bring them.
    pub fn take(&mut self) -> Option<ReadDone> {
        self.ready.pop_front()
    }

    /// The next answer; waits for it. `None` when nothing is in flight.
    ///
    /// # Errors
    ///
    /// The engine failed as such.
    pub fn answer(&mut self) -> io::Result<Option<ReadDone>> {
        loop {
            if let Some(done) = self.take() {
                return Ok(Some(done));
            }
            if self.in_flight() == 0 {
                return Ok(None);
            }
            self.wait(LONG)?;
        }
    }

    /// Reads whose answer has not been taken.
    pub fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len() + self.ready.len()
    }

    /// Reads that may be submitted without waiting for storage.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// The engine.
    pub fn describe(&self) -> &Description {
        self.engine.describe()
    }

    /// Takes what the engine has answered.
    fn collect(&mut self) {
        let mut done = std::mem::take(&mut self.done);
        for Done { user, bytes, error, .. } in done.drain(..) {
            let number = user as usize;
            if let Some(flight) = self.flights.get_mut(number).and_then(Option::take) {
                self.free.push(number);
                self.end(flight, bytes, error);
            }
        }
        self.done = done;
    }

    fn end(&mut self, flight: Flight, got: usize, error: Option<io::Error>) {
        self.leave(flight.file);
        self.ready.push_back(ReadDone::new(flight, got, error));
    }

    fn enter(&mut self, file: &Arc<File>) -> io::Result<FileId> {
        if let Some(known) = self.files.get_mut(&key(file)) {
            known.users += 1;
            return Ok(known.id);
        }
        let id = self.engine.register(file.clone())?;
        self.files.insert(key(file), Registered { _file: file.clone(), id, users: 1 });
        Ok(id)
    }

    fn leave(&mut self, file: Option<usize>) {
        let Some(key) = file else { return };
        let Some(known) = self.files.get_mut(&key) else { return };
        known.users -= 1;
        if known.users == 0 {
            self.engine.unregister(known.id);
            self.files.remove(&key);
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if self.free.len() == self.flights.len() {
            return;
        }
        // An engine that fails, as on a thread that it does not belong to, cannot wait for what is in
        // flight: better never to lend those blocks again. It may fail only when it has to ask the
        // system, as it does here unless everything has ended.
        let asked = self.engine.poll(&mut self.done);
        let asked = asked.and_then(|()| self.engine.wait(Duration::from_millis(1), &mut self.done));
        if asked.is_err() {
            std::mem::forget(std::mem::take(&mut self.flights));
        }
    }
}

fn key(file: &Arc<File>) -> usize {
    Arc::as_ptr(file) as usize
}

fn read_some(file: &File, into: &mut [u8]) -> (usize, Option<io::Error>) {
    loop {
        match io::Read::read(&mut &*file, into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (0, Some(error)),
            Ok(got) => return (got, None),
        }
    }
}

#[cfg(test)]
mod tests;
