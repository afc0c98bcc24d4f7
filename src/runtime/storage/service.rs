//! Answering what slots ask for: takes requests in their order, hands transfers to the engine, and
//! publishes slots again as their transfers end.
//!
//! Whoever waits for slots serves meanwhile, one thread at a time. A thread of its own steps in while
//! nobody waits: it looks for requests in memory while slots are outstanding, with pauses that grow, and
//! sleeps otherwise; the next publication wakes it. Two threads that spin beside a worker on two cores
//! would take turns of milliseconds (DESIGN fact 16). In epoch mode a dispatch leaves when nothing is
//! there to claim, and the next one is armed when an answer has come.

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
use crate::runtime::shared::{Shared, lock, try_lock};

/// How long it looks for requests after the last slot has ended, before it sleeps: a caller that asks
/// for one thing after the other should not have to wake it each time.
const LINGER: Duration = Duration::from_millis(2);
/// How long it leaves the service to a thread that was seen to serve.
const ATTENDED: Duration = Duration::from_micros(200);
/// How often it looks meanwhile.
const TICK: Duration = Duration::from_micros(20);

/// A request without an answer.
struct Flight {
    kind: RequestKind,
    slot: u32,
    /// Keeps the memory from being used for anything else; none of a fence.
    _piece: Option<Arc<Piece>>,
}

/// What the service knows between its turns.
pub(super) struct State {
    engine: Box<dyn TransferEngine>,
    /// Requests taken so far; the position of the next one, modulo 2^32.
    taken: u64,
    /// By the number of the request, in the order of publication. A fence is answered when it is the first,
    /// and none before it will still come.
    flights: BTreeMap<u64, Flight>,
    files: HashMap<u32, FileId>,
    done: Vec<Done>,
    /// Slots to be published again, their answers written.
    resumed: Vec<u32>,
    answered: u32,
}

impl State {
    pub fn new(engine: Box<dyn TransferEngine>) -> Self {
        Self {
            engine,
            taken: 0,
            flights: BTreeMap::new(),
            files: HashMap::new(),
            done: Vec::new(),
            resumed: Vec::new(),
            answered: 0,
        }
    }
}

/// One turn of the service.
struct Service<'a> {
    shared: &'a Shared,
    storage: &'a Storage,
    state: &'a mut State,
}

impl Shared {
    /// Serves storage once, if there is any and nobody else does; whether anything was there.
    pub fn serve_storage(&self) -> bool {
        self.storage.as_ref().is_some_and(|storage| serve(self, storage))
    }

    /// A number that changes with each request taken or answered: whoever waits for a slot that waits for
    /// storage has reason to look again at once.
    pub fn storage_moves(&self) -> u64 {
        self.storage.as_ref().map_or(0, |storage| storage.moves.load(Ordering::Relaxed))
    }
}

/// A failure of the engine fails the runtime.
fn serve(shared: &Shared, storage: &Storage) -> bool {
    let Some(mut state) = try_lock(&storage.state) else { return false };
    let result = Service { shared, storage, state: &mut state }.turn();
    drop(state);
    storage.turns.fetch_add(1, Ordering::Relaxed);
    if let Ok(true) = result {
        storage.moves.fetch_add(1, Ordering::Relaxed);
    }
    result.unwrap_or_else(|e| {
        let error = e.to_string();
        shared.fail(RuntimeError::Host { what: "the storage engine failed", error });
        true
    })
}

/// Serves while nobody else does, until the runtime stops and what storage is busy with has ended.
pub(super) fn run(shared: &Shared) {
    let Some(storage) = &shared.storage else { return };
    backoff::fine_timers();
    let mut backoff = Backoff::new();
    let mut last_work = Instant::now();
    let mut turns = 0;
    loop {
        let stop = lock(&shared.requests).stop || shared.failed.get().is_some();
        if stop && storage.in_flight() == 0 {
            return;
        }
        let busy = stop || shared.outstanding() > 0 || storage.in_flight() > 0;
        if busy && storage.turns.load(Ordering::Relaxed) != turns {
            // A thread that waits for slots serves meanwhile, without a core of this one's own.
            std::thread::sleep(ATTENDED);
            turns = storage.turns.load(Ordering::Relaxed);
            last_work = Instant::now();
            backoff = Backoff::new();
            continue;
        }
        let worked = serve(shared, storage);
        turns = storage.turns.load(Ordering::Relaxed);
        if worked {
            backoff = Backoff::new();
            last_work = Instant::now();
        } else if busy {
            last_work = Instant::now();
            backoff.pause();
        } else if last_work.elapsed() < LINGER {
            std::thread::sleep(TICK);
        } else {
            rest(shared);
            backoff = Backoff::new();
        }
    }
}

/// Sleeps until somebody publishes, or the runtime stops.
fn rest(shared: &Shared) {
    let requests = lock(&shared.requests);
    shared.idle.store(true, Ordering::Relaxed);
    // As in the launcher's rest.
    fence(Ordering::SeqCst);
    let wanted = shared.outstanding() > 0 || requests.stop || shared.failed.get().is_some();
    if !wanted {
        drop(shared.wake.wait(requests));
    }
}

impl Service<'_> {
    /// One look at both sides; whether anything was there.
    fn turn(&mut self) -> std::io::Result<bool> {
        let before = (self.state.taken, self.state.answered);
        if self.storage.revoked.swap(false, Ordering::AcqRel) {
            self.close_revoked();
        }
        self.take_requests()?;
        if self.state.engine.in_flight() > 0 {
            let mut done = std::mem::take(&mut self.state.done);
            self.state.engine.poll(&mut done)?;
            for done in done.drain(..) {
                self.answer(&done);
            }
            self.state.done = done;
        }
        self.answer_fences();
        self.publish();
        Ok(before != (self.state.taken, self.state.answered))
    }

    fn close_revoked(&mut self) {
        for handle in lock(&self.storage.tables).take_revoked() {
            if let Some(id) = self.state.files.remove(&handle) {
                self.state.engine.unregister(id);
            }
        }
    }

    fn take_requests(&mut self) -> std::io::Result<()> {
        loop {
            let position = self.state.taken as u32;
            let at = self.shared.layout.io_request(position);
            let entry = &self.shared.buffers.completion_words()[at..];
            let words: RequestWords = std::array::from_fn(|i| entry[i].load(Ordering::Relaxed));
            let Some(request) = decode_request(position, &words) else { return Ok(()) };
            // What the device wrote before it asked is read after this, as by a write to a file.
            fence(Ordering::Acquire);
            self.state.taken += 1;
            self.storage.in_flight.fetch_add(1, Ordering::AcqRel);
            if request.slot >= self.shared.layout.slots {
                tracing::error!("a request names slot {} of {}", request.slot, self.shared.layout.slots);
                self.count_answer();
                continue;
            }
            let number = lock(&self.storage.order).ask(request.slot);
            self.begin(number, &request)?;
        }
    }

    fn begin(&mut self, number: u64, request: &Request) -> std::io::Result<()> {
        let flight = |piece| Flight { kind: request.kind, slot: request.slot, _piece: piece };
        let direction = match request.kind {
            RequestKind::Fence => {
                self.state.flights.insert(number, flight(None));
                // Its place in the ring is needed by those that it waits for.
                self.count_answer();
                return Ok(());
            }
            RequestKind::Read | RequestKind::Prefetch => Direction::Read,
            RequestKind::Write => Direction::Write,
        };
        let granted = lock(&self.storage.tables).grant(request);
        let Granted { file, span, piece } = match granted {
            Ok(granted) => granted,
            Err((code, detail)) => {
                self.end(&flight(None), Err((code, detail)));
                return Ok(());
            }
        };
        let file = match self.state.files.get(&request.file) {
            Some(id) => *id,
            None => match self.state.engine.register(file.file.clone()) {
                Ok(id) => *self.state.files.entry(request.file).or_insert(id),
                Err(e) => {
                    self.end(&flight(None), Err((FaultCode::IoError, errno(&e))));
                    return Ok(());
                }
            },
        };
        self.state.flights.insert(number, flight(Some(piece)));
        self.state.engine.submit(Transfer { user: number, direction, file, offset: request.offset, span })
    }

    fn answer(&mut self, done: &Done) {
        let Some(flight) = self.state.flights.remove(&done.user) else {
            tracing::error!("a transfer ended that nobody asked for: {done:?}");
            return;
        };
        let outcome = match &done.error {
            // Spans are at most an arena long.
            None => Ok(done.bytes as u32),
            Some(e) => Err((FaultCode::IoError, errno(e))),
        };
        self.end(&flight, outcome);
    }

    fn answer_fences(&mut self) {
        while let Some(first) = self.state.flights.first_entry()
            && first.get().kind == RequestKind::Fence
            && lock(&self.storage.order).reached(*first.key())
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
            self.state.resumed.push(flight.slot);
        }
        if flight.kind != RequestKind::Fence {
            self.count_answer();
        }
    }

    fn count_answer(&mut self) {
        self.state.answered = self.state.answered.wrapping_add(1);
    }

    /// Publishes the slots that were answered, and gives their places in the ring back.
    fn publish(&mut self) {
        let before = self.storage.answered.load(Ordering::Relaxed);
        if before == self.state.answered && self.state.resumed.is_empty() {
            return;
        }
        self.shared.publish_resumed(&self.state.resumed);
        self.state.resumed.clear();
        let word = &self.shared.buffers.submission_words()[COMMAND_IO_ANSWERED as usize];
        word.store(self.state.answered, Ordering::Release);
        self.shared.buffers.flush_entries();
        self.storage.answered.store(self.state.answered, Ordering::Release);
        self.storage.in_flight.fetch_sub(self.state.answered.wrapping_sub(before) as usize, Ordering::AcqRel);
        self.shared.notify_progress();
    }
}

/// The errno of an error, EIO where it has none.
fn errno(error: &std::io::Error) -> u16 {
    const EIO: i32 = 5;
    error.raw_os_error().and_then(|errno| u16::try_from(errno).ok()).unwrap_or(EIO as u16)
}
