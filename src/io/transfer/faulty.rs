//! An engine for tests that makes another one slow, disorderly, short and broken.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Description, Done, FileId, Span, Transfer, TransferEngine};

/// What goes wrong. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Of everything that is left to chance.
    pub seed: u64,
    /// Answers are held back for up to so long, each for a time of its own, and so come out of
    /// order.
    pub delay: Duration,
    /// One transfer in so many ends early, as at the end of a file; 0: none.
    pub short_one_in: u64,
    /// Transfers that fail.
    pub fail: Vec<Failure>,
    /// The errno with which no file is taken.
    pub refuse: Option<i32>,
    /// The engine itself fails once so many transfers were submitted.
    pub breaks_after: Option<u64>,
    /// By a panic instead of an error.
    pub panics: bool,
}

/// Transfers that fail, by where they come and by their number.
#[derive(Clone, Debug)]
pub struct Failure {
    file: Option<FileId>,
    place: Range<u64>,
    errno: i32,
    every: u64,
    seen: u64,
}

impl Failure {
    /// Each transfer that comes to `place` in any file moves what lies before, and then fails.
    pub fn at(place: Range<u64>, errno: i32) -> Self {
        Self { file: None, place, errno, every: 1, seen: 0 }
    }

    /// Of this file alone.
    pub fn of(self, file: FileId) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Only one in so many of them, the last of each so many; at least 1.
    pub fn every(self, every: u64) -> Self {
        Self { every, ..self }
    }

    /// Where the transfer comes to it, if it fails there.
    fn hit(&mut self, transfer: &Transfer) -> Option<u64> {
        let end = transfer.offset.saturating_add(transfer.span.len() as u64);
        let comes = self.file.is_none_or(|file| file == transfer.file)
            && self.place.start < end
            && transfer.offset < self.place.end;
        self.seen += u64::from(comes);
        (comes && self.seen.is_multiple_of(self.every)).then(|| self.place.start.max(transfer.offset))
    }
}

/// Another engine, with [`Faults`].
pub struct Faulty {
    inner: Box<dyn TransferEngine>,
    faults: Faults,
    random: u64,
    /// Callers' words, and what their transfers are to fail with, by the numbers given to `inner`.
    sent: Vec<(u64, Option<i32>)>,
    held: Vec<(Instant, Done)>,
}

impl Faulty {
    /// Wraps `inner`.
    pub fn new(inner: Box<dyn TransferEngine>, faults: Faults) -> Self {
        let random = faults.seed | 1;
        Self { inner, faults, random, sent: Vec::new(), held: Vec::new() }
    }

    /// Changes what goes wrong from here on, for places that are known only once a file is
    /// registered.
    pub fn faults(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Below `limit`, or 0. (xorshift64*)
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d).checked_rem(limit).unwrap_or(0)
    }

    /// How many bytes of a transfer go through, and its errno.
    fn fate(&mut self, transfer: &Transfer) -> (usize, Option<i32>) {
        let len = transfer.span.len();
        let hits = self.faults.fail.iter_mut().filter_map(|fail| Some((fail.hit(transfer)?, fail.errno)));
        if let Some((place, errno)) = hits.min() {
            return ((place - transfer.offset) as usize, Some(errno));
        }
        let short = self.faults.short_one_in > 0 && self.below(self.faults.short_one_in) == 0;
        (if short { self.below(len as u64) as usize } else { len }, None)
    }

    /// Holds back what has just come, and lets go what is due.
    fn hold(&mut self, came: Vec<Done>, done: &mut Vec<Done>) {
        let now = Instant::now();
        for mut answer in came {
            let (user, errno) = self.sent[answer.user as usize];
            answer.user = user;
            answer.error = answer.error.or(errno.map(io::Error::from_raw_os_error));
            let delay = Duration::from_nanos(self.below(self.faults.delay.as_nanos() as u64));
            self.held.push((now + delay, answer));
        }
        self.held.sort_by_key(|(due, _)| *due);
        let due = self.held.partition_point(|(due, _)| *due <= now);
        done.extend(self.held.drain(..due).map(|(_, answer)| answer));
    }
}

impl TransferEngine for Faulty {
    fn register(&mut self, file: Arc<File>) -> io::Result<FileId> {
        match self.faults.refuse {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None => self.inner.register(file),
        }
    }

    fn unregister(&mut self, file: FileId) {
        self.inner.unregister(file);
    }

    fn submit(&mut self, mut transfer: Transfer) -> io::Result<()> {
        if self.faults.breaks_after.is_some_and(|transfers| self.sent.len() as u64 >= transfers) {
            assert!(!self.faults.panics, "a panic on purpose");
            return Err(io::Error::other("broken on purpose"));
        }
        let (len, errno) = self.fate(&transfer);
        let range = transfer.span.range();
        let Some(span) = Span::new(transfer.span.arena().clone(), range.start..range.start + len) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.sent.push((transfer.user, errno));
        transfer.user = self.sent.len() as u64 - 1;
        transfer.span = span;
        self.inner.submit(transfer)
    }

    fn poll(&mut self, done: &mut Vec<Done>) -> io::Result<()> {
        let mut came = Vec::new();
        self.inner.poll(&mut came)?;
        self.hold(came, done);
        Ok(())
    }

    fn wait(&mut self, timeout: Duration, done: &mut Vec<Done>) -> io::Result<()> {
        let deadline = Instant::now() + timeout;
        let before = done.len();
        loop {
            self.poll(done)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if done.len() > before || self.in_flight() == 0 || left.is_zero() {
                return Ok(());
            }
            let due = self.held.first().map(|(due, _)| due.saturating_duration_since(Instant::now()));
            let pause = due.unwrap_or(left).min(left);
            let mut came = Vec::new();
            if self.inner.in_flight() > 0 {
                self.inner.wait(pause, &mut came)?;
            } else {
                std::thread::sleep(pause);
            }
            self.hold(came, done);
        }
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight() + self.held.len()
    }

    fn describe(&self) -> &Description {
        self.inner.describe()
    }
}
