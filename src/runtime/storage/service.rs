//! The thread that answers what slots ask for: takes requests in their order, hands transfers to the
//! engine, and publishes slots again as their transfers end.
//!
//! It looks for requests in memory while slots are outstanding, with pauses that grow, and sleeps
//! otherwise; the next publication wakes it. In epoch mode a dispatch leaves when nothing is there to
//! claim, and the next one is armed when an answer has come.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use super::Storage;
use super::capability::{Granted, Piece};
use crate::io::transfer::{Direction, Done, FileId, Transfer, TransferEngine};
use crate::protocol::FaultCode;
use crate::protocol::abi::live::COMMAND_IO_ANSWERED;
use crate::protocol::request::{Request, RequestKind, RequestWords, decode_request};
use crate::runtime::backoff::{self, Backoff};
use crate::runtime::error::RuntimeError;
use crate::runtime::shared::{Shared, lock};

/// How long it looks for requests after the last slot has ended, before it sleeps: a caller that asks
/// for one thing after the other should not have to wake it each time.
const LINGER: Duration = Duration::from_millis(2);
/// How often it looks meanwhile.
const TICK: Duration = Duration::from_micros(20);

/// A request without an answer.
struct Flight {
    kind: RequestKind,
    slot: u32,
    /// Keeps the memory from being used for anything else; none of a fence.
    _piece: Option<Arc<Piece>>,
}

struct Service<'a> {
    shared: &'a Shared,
    storage: &'a Storage,
    engine: Box<dyn TransferEngine>,
    /// Requests taken so far; the position of the next one, modulo 2^32.
    taken: u64,
    /// By the number of the request. A fence is answered when it is the first.
    flights: BTreeMap<u64, Flight>,
    files: HashMap<u32, FileId>,
    done: Vec<Done>,
    /// Slots to be published again, their answers written.
    resumed: Vec<u32>,
    answered: u32,
}

/// Serves until the runtime stops, then waits for what storage is busy with.
pub(super) fn run(shared: &Arc<Shared>, engine: Box<dyn TransferEngine>) {
    let Some(storage) = &shared.storage else { return };
    backoff::fine_timers();
    let mut service = Service {
        shared,
        storage,
        engine,
        taken: 0,
        flights: BTreeMap::new(),
        files: HashMap::new(),
        done: Vec::new(),
        resumed: Vec::new(),
        answered: 0,
    };
    let served = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| service.serve()));
    let error = match served {
        Ok(Ok(())) => return,
        Ok(Err(e)) => e.to_string(),
        Err(_) => "its thread panicked; please report this with the message above".to_owned(),
    };
    shared.fail(RuntimeError::Host { what: "the storage engine failed", error });
}

impl Service<'_> {
    fn serve(&mut self) -> std::io::Result<()> {
        let mut backoff = Backoff::new();
        let mut last_work = Instant::now();
        loop {
            let stop = lock(&self.shared.requests).stop || self.shared.failed.get().is_some();
            if stop && self.flights.is_empty() {
                return Ok(());
            }
            if self.turn()? {
                backoff = Backoff::new();
                last_work = Instant::now();
            } else if stop || self.shared.outstanding() > 0 || !self.flights.is_empty() {
                last_work = Instant::now();
                backoff.pause();
            } else if last_work.elapsed() < LINGER {
                std::thread::sleep(TICK);
            } else {
                self.rest();
                backoff = Backoff::new();
            }
        }
    }

    /// One look at both sides; whether anything was there.
    fn turn(&mut self) -> std::io::Result<bool> {
        let before = (self.taken, self.answered);
        self.take_requests()?;
        if self.engine.in_flight() > 0 {
            let mut done = std::mem::take(&mut self.done);
            self.engine.poll(&mut done)?;
            for done in done.drain(..) {
                self.answer(&done);
            }
            self.done = done;
        }
        self.publish();
        Ok(before != (self.taken, self.answered))
    }

    fn take_requests(&mut self) -> std::io::Result<()> {
        loop {
            let position = self.taken as u32;
            let at = self.shared.layout.io_request(position);
            let entry = &self.shared.buffers.completion_words()[at..];
            let words: RequestWords = std::array::from_fn(|i| entry[i].load(Ordering::Relaxed));
            let Some(request) = decode_request(position, &words) else { return Ok(()) };
            // What the device wrote before it asked is read after this, as by a write to a file.
            fence(Ordering::Acquire);
            let number = self.taken;
            self.taken += 1;
            self.storage.in_flight.fetch_add(1, Ordering::AcqRel);
            if request.slot >= self.shared.layout.slots {
                tracing::error!("a request names slot {} of {}", request.slot, self.shared.layout.slots);
                self.count_answer();
                continue;
            }
            self.begin(number, &request)?;
        }
    }

    fn begin(&mut self, number: u64, request: &Request) -> std::io::Result<()> {
        let flight = |piece| Flight { kind: request.kind, slot: request.slot, _piece: piece };
        let direction = match request.kind {
            RequestKind::Fence => {
                self.flights.insert(number, flight(None));
                self.answer_fences();
                return Ok(());
            }
            RequestKind::Read | RequestKind::Prefetch => Direction::Read,
            RequestKind::Write => Direction::Write,
        };
        let granted = {
            let mut tables = lock(&self.storage.tables);
            for handle in tables.take_revoked() {
                if let Some(id) = self.files.remove(&handle) {
                    self.engine.unregister(id);
                }
            }
            tables.grant(request)
        };
        let Granted { file, span, piece } = match granted {
            Ok(granted) => granted,
            Err((code, detail)) => {
                self.end(&flight(None), Err((code, detail)));
                return Ok(());
            }
        };
        let file = match self.files.get(&request.file) {
            Some(id) => *id,
            None => match self.engine.register(file.file.clone()) {
                Ok(id) => *self.files.entry(request.file).or_insert(id),
                Err(e) => {
                    self.end(&flight(None), Err((FaultCode::IoError, errno(&e))));
                    return Ok(());
                }
            },
        };
        self.flights.insert(number, flight(Some(piece)));
        self.engine.submit(Transfer { user: number, direction, file, offset: request.offset, span })
    }

    fn answer(&mut self, done: &Done) {
        let Some(flight) = self.flights.remove(&done.user) else {
            tracing::error!("a transfer ended that nobody asked for: {done:?}");
            return;
        };
        let outcome = match &done.error {
            // Spans are at most an arena long.
            None => Ok(done.bytes as u32),
            Some(e) => Err((FaultCode::IoError, errno(e))),
        };
        self.end(&flight, outcome);
        self.answer_fences();
    }

    fn answer_fences(&mut self) {
        while let Some(first) = self.flights.first_entry()
            && first.get().kind == RequestKind::Fence
        {
            let flight = first.remove();
            self.end(&flight, Ok(0));
        }
    }

    fn end(&mut self, flight: &Flight, outcome: Result<u32, (FaultCode, u16)>) {
        if flight.kind == RequestKind::Prefetch {
            if let Err((code, detail)) = outcome {
                tracing::debug!("a prefetch ended in {code} {detail}");
            }
        } else {
            let (fault, bytes) = match outcome {
                Ok(bytes) => (0, bytes),
                Err((code, detail)) => (u32::from(code.code()) << 16 | u32::from(detail), 0),
            };
            let at = self.shared.layout.io_answer(flight.slot);
            let answer = &self.shared.buffers.submission_words()[at..][..2];
            answer[0].store(fault, Ordering::Relaxed);
            answer[1].store(bytes, Ordering::Relaxed);
            self.resumed.push(flight.slot);
        }
        self.count_answer();
    }

    fn count_answer(&mut self) {
        self.answered = self.answered.wrapping_add(1);
    }

    /// Publishes the slots that were answered, and gives their places in the ring back.
    fn publish(&mut self) {
        let before = self.storage.answered.load(Ordering::Relaxed);
        if before == self.answered {
            return;
        }
        self.shared.publish_resumed(&self.resumed);
        self.resumed.clear();
        let word = &self.shared.buffers.submission_words()[COMMAND_IO_ANSWERED as usize];
        word.store(self.answered, Ordering::Release);
        self.shared.buffers.flush_entries();
        self.storage.answered.store(self.answered, Ordering::Release);
        self.storage.in_flight.fetch_sub(self.answered.wrapping_sub(before) as usize, Ordering::AcqRel);
        self.shared.notify_progress();
    }

    /// Sleeps until somebody publishes, or the runtime stops.
    fn rest(&self) {
        let requests = lock(&self.shared.requests);
        self.shared.idle.store(true, Ordering::Relaxed);
        // As in the launcher's rest.
        fence(Ordering::SeqCst);
        let wanted = self.shared.outstanding() > 0 || requests.stop || self.shared.failed.get().is_some();
        if !wanted {
            drop(self.shared.wake.wait(requests));
        }
    }
}

/// The errno of an error, EIO where it has none.
fn errno(error: &std::io::Error) -> u16 {
    const EIO: i32 = 5;
    error.raw_os_error().and_then(|errno| u16::try_from(errno).ok()).unwrap_or(EIO as u16)
}
