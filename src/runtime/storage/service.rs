//! Answering what slots ask for: takes requests in their order, hands transfers to the engine, and
//! publishes slots again as their transfers end.
//!
//! Whoever waits for slots serves meanwhile, one thread at a time. A thread of its own steps in while
//! nobody waits: it looks for requests in memory while slots are outstanding, with pauses that grow, and
//! sleeps otherwise; the next publication wakes it. Two threads that spin beside a worker on two cores
//! would take turns of milliseconds (DESIGN fact 16). In epoch mode a dispatch leaves when nothing is
//! there to claim, and the next one is armed when an answer has come.

use std::collections::BTreeMap;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use slab::Slab;

use super::Storage;
use super::attended::Attended;
use super::capability::{self, Capability, Granted, Lent, Tables};
use crate::io::transfer::{Direction, Done, FileId, Span, Transfer, TransferEngine};
use crate::protocol::FaultCode;
use crate::protocol::abi::{io::IO_SLOT_WORDS, live::COMMAND_IO_ANSWERED};
use crate::protocol::request::{Request, RequestKind, RequestWords, decode_request};
use crate::runtime::backoff::{self, Backoff};
use crate::runtime::error::{RuntimeError, errno};
use crate::runtime::mode::Mode;
use crate::runtime::shared::{Shared, lock};
use crate::runtime::submission::Resumed;
use crate::runtime::tenancy::add_alone;

/// How long it looks for requests after the last slot has ended, before it sleeps: a caller that asks
/// for one thing after the other should not have to wake it each time.
const LINGER: Duration = Duration::from_millis(2);
/// How often it looks meanwhile.
const TICK: Duration = Duration::from_micros(20);

/// Requests that one turn takes at most, and as a share of the slots on their way: so many of four. Page-cache reads are
/// carried out as they are submitted, and no answer is published meanwhile: with all at once, host and device would
/// take turns.
const TAKEN_AT_ONCE: usize = 48;
const QUARTERS_TAKEN: u64 = 3;

/// A transfer without an answer.
struct Flight {
    /// What fences go by: whose it is, and its number.
    number: (u32, u64),
    kind: RequestKind,
    slot: u32,
    /// The memory's number among what was lent.
    lent: usize,
}

/// What the service knows between its turns.
pub(super) struct State {
    engine: Box<dyn TransferEngine>,
    /// Position of the next request.
    taken: u32,
    /// The requests of this turn.
    requests: Vec<Request>,
    flights: Slab<Flight>,
    /// Tenants, numbers and slots of the fences that wait, in order.
    fences: BTreeMap<(u32, u64), u32>,
    /// By the index of its handle: the handle of a file, and what the engine calls it.
    files: Vec<Option<(u32, FileId)>>,
    done: Vec<Done>,
    /// Of transfers that have ended, for the next: a clone and a drop of a span are an atomic each.
    spans: Vec<Span>,
    /// Memory that was taken back and that no transfer has any more.
    given_back: Vec<Lent>,
    /// Slots to be published again.
    resumed: Vec<Resumed>,
    answered: u32,
}

impl State {
    pub fn new(engine: Box<dyn TransferEngine>) -> Self {
        Self {
            engine,
            taken: 0,
            requests: Vec::with_capacity(TAKEN_AT_ONCE),
            flights: Slab::new(),
            fences: BTreeMap::new(),
            files: Vec::new(),
            done: Vec::new(),
            spans: Vec::new(),
            given_back: Vec::new(),
            resumed: Vec::new(),
            answered: 0,
        }
    }

    /// What the engine calls a file; the first time it is told of it.
    fn file(&mut self, handle: u32, capability: &Capability) -> std::io::Result<FileId> {
        let index = capability::index_of(handle);
        if let Some(Some((known, id))) = self.files.get(index)
            && *known == handle
        {
            return Ok(*id);
        }
        let id = self.engine.register(capability.file.clone())?;
        if self.files.len() <= index {
            self.files.resize(index + 1, None);
        }
        // A handle that was revoked, and whose place was taken anew before this thread heard of it.
        if let Some((_, old)) = self.files[index].replace((handle, id)) {
            self.engine.unregister(old);
        }
        Ok(id)
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
    #[inline]
    pub fn serve_storage(&self) -> bool {
        self.storage.as_ref().is_some_and(|storage| serve(self, storage))
    }

    /// A number that changes with each request taken or answered: whoever waits for a slot that waits for
    /// storage has reason to look again at once.
    pub fn storage_moves(&self) -> u64 {
        self.storage.as_ref().map_or(0, |storage| {
            let taken = storage.taken.load(Ordering::Relaxed);
            u64::from(taken) << 32 | u64::from(storage.answered.load(Ordering::Relaxed))
        })
    }
}

/// A failure of the engine fails the runtime. Nothing is served in one that has failed: its slots have
/// ended, and the engine, when it is dropped, waits for what storage is busy with.
fn serve(shared: &Shared, storage: &Storage) -> bool {
    if shared.failed.get().is_some() {
        return false;
    }
    let Some(mut state) = storage.state.try_lock() else { return false };
    let result = Service { shared, storage, state: &mut state }.turn();
    add_alone(&storage.turns, 1u64);
    drop(state);
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
    let mut attended = Attended::new();
    loop {
        let stop = lock(&shared.requests).stop;
        if shared.failed.get().is_some() || (stop && storage.in_flight() == 0) {
            return;
        }
        let busy = stop || shared.due() > 0 || storage.in_flight() > 0;
        // In epoch mode nobody else does, but for those who let go of a file.
        let shares = busy && !stop && shared.mode.load() == Mode::Live;
        if shares
            && !storage.called.swap(false, Ordering::Acquire)
            && let Some(leave) = attended.look(storage.turns.load(Ordering::Relaxed))
        {
            // A thread that waits for slots serves meanwhile, without a core of this one's own.
            std::thread::park_timeout(leave);
            last_work = Instant::now();
            backoff.restart();
            continue;
        }
        let worked = serve(shared, storage);
        attended.served(storage.turns.load(Ordering::Relaxed));
        if worked {
            backoff.restart();
            last_work = Instant::now();
        } else if busy {
            last_work = Instant::now();
            backoff.pause();
        } else if last_work.elapsed() < LINGER {
            std::thread::sleep(TICK);
        } else {
            rest(shared, storage);
            attended.rested();
            backoff.restart();
        }
    }
}

/// Sleeps until somebody publishes, or the runtime stops.
fn rest(shared: &Shared, storage: &Storage) {
    let Some(requests) = shared.rests() else { return };
    let wanted = shared.due() > 0
        || requests.stop
        || storage.revoked.load(Ordering::Acquire)
        || shared.failed.get().is_some();
    if !wanted {
        drop(shared.wake.wait(requests));
    }
}

impl Service<'_> {
    /// One look at both sides; whether anything was there.
    fn turn(&mut self) -> std::io::Result<bool> {
        let before = (self.state.taken, self.state.answered);
        // A look first: a read-modify-write waits for what the turn before has stored.
        if self.storage.revoked.load(Ordering::Relaxed) && self.storage.revoked.swap(false, Ordering::AcqRel)
        {
            self.close_revoked();
        }
        self.take_requests()?;
        if self.state.engine.in_flight() > 0 {
            let mut done = std::mem::take(&mut self.state.done);
            self.state.engine.poll(&mut done)?;
            if !done.is_empty() {
                let mut tables = lock(&self.storage.tables);
                for done in done.drain(..) {
                    self.answer(done, &mut tables);
                }
            }
            self.state.done = done;
        }
        // Not under the lock of the tables, which the drop of a last piece takes.
        self.state.given_back.clear();
        if !self.state.fences.is_empty() {
            self.answer_fences();
        }
        self.publish();
        Ok(before != (self.state.taken, self.state.answered))
    }

    fn close_revoked(&mut self) {
        for handle in lock(&self.storage.tables).take_revoked() {
            if let Some(place) = self.state.files.get_mut(capability::index_of(handle))
                && let Some((_, id)) = place.take_if(|(known, _)| *known == handle)
            {
                self.state.engine.unregister(id);
            }
        }
    }

    fn take_requests(&mut self) -> std::io::Result<()> {
        let mut requests = std::mem::take(&mut self.state.requests);
        self.read_requests(&mut requests);
        if !requests.is_empty() {
            // What the device wrote before it asked is read after this, as by a write to a file.
            fence(Ordering::Acquire);
            self.storage.taken.store(self.state.taken, Ordering::Release);
            let mut order = lock(&self.storage.order);
            let mut tables = lock(&self.storage.tables);
            for request in requests.drain(..) {
                if request.slot >= self.shared.layout.host_slots {
                    tracing::error!(
                        "a request names slot {} of {}",
                        request.slot,
                        self.shared.layout.host_slots
                    );
                    self.count_answer();
                    continue;
                }
                // By the host's own record; what the device writes says nothing of whose the slot is.
                let number = order.ask(request.slot);
                self.begin(number, &request, &mut tables)?;
            }
        }
        self.state.requests = requests;
        Ok(())
    }

    /// All that are there before any is looked at: their cache lines come from the device side by side.
    fn read_requests(&mut self, requests: &mut Vec<Request>) {
        let share = self.shared.outstanding() * QUARTERS_TAKEN / 4;
        let most = share.clamp(1, TAKEN_AT_ONCE as u64) as usize;
        while requests.len() < most {
            let at = self.shared.layout.io_request(self.state.taken);
            let entry = &self.shared.buffers.completion_words()[at..][..IO_SLOT_WORDS as usize];
            let words: RequestWords = std::array::from_fn(|i| entry[i].load(Ordering::Relaxed));
            let Some(request) = decode_request(self.state.taken, &words) else { return };
            self.state.taken = self.state.taken.wrapping_add(1);
            requests.push(request);
        }
    }

    fn begin(&mut self, number: (u32, u64), request: &Request, tables: &mut Tables) -> std::io::Result<()> {
        let direction = match request.kind {
            RequestKind::Fence => {
                self.state.fences.insert(number, request.slot);
                // Its place in the ring is needed by those that it waits for.
                self.count_answer();
                return Ok(());
            }
            RequestKind::Read | RequestKind::Prefetch => Direction::Read,
            RequestKind::Write => Direction::Write,
        };
        let Granted { file, range, lent } = match tables.grant(request, number.0) {
            Ok(granted) => granted,
            Err(fault) => {
                self.end(request.kind, request.slot, Err(fault));
                return Ok(());
            }
        };
        let file = match self.state.file(request.file, file) {
            Ok(file) => file,
            Err(e) => {
                self.state.given_back.extend(tables.ended(lent));
                self.end(request.kind, request.slot, Err((FaultCode::IoError, errno(&e))));
                return Ok(());
            }
        };
        let arena = &self.storage.space.arena;
        let span = match self.state.spans.pop() {
            Some(span) => span.at(range.clone()),
            None => Span::new(arena.clone(), range.clone()),
        };
        let span = span.ok_or_else(|| std::io::Error::other("memory was lent that is not in the arena"))?;
        if direction == Direction::Write {
            self.storage.space.leave(range);
        }
        let Request { kind, slot, .. } = *request;
        let flight = Flight { number, kind, slot, lent };
        let user = self.state.flights.insert(flight) as u64;
        self.state.engine.submit(Transfer { user, direction, file, offset: request.offset, span })
    }

    fn answer(&mut self, done: Done, tables: &mut Tables) {
        let Some(flight) = self.state.flights.try_remove(done.user as usize) else {
            tracing::error!("a transfer ended that nobody asked for: {done:?}");
            return;
        };
        if flight.kind != RequestKind::Write {
            let at = done.span.range().start;
            self.storage.space.arrive(at..at + done.bytes);
        }
        self.state.given_back.extend(tables.ended(flight.lent));
        self.state.spans.push(done.span);
        let outcome = match &done.error {
            // Spans are at most an arena long.
            None => Ok(done.bytes as u32),
            Some(e) => Err((FaultCode::IoError, errno(e))),
        };
        self.end(flight.kind, flight.slot, outcome);
    }

    /// A fence is answered when none of its tenant's before it is in flight, or will still come.
    fn answer_fences(&mut self) {
        let mut fences = std::mem::take(&mut self.state.fences);
        let order = lock(&self.storage.order);
        let mut waits = None;
        fences.retain(|(tenant, number), slot| {
            // Behind one that waits, all of its tenant's do.
            let before = (*tenant, 0)..=(*tenant, *number);
            let answered = waits != Some(*tenant)
                && order.reached(*tenant, *number)
                && !self.state.flights.iter().any(|(_, flight)| before.contains(&flight.number));
            if answered {
                self.resume(*slot, 0, 0);
            } else {
                waits = Some(*tenant);
            }
            !answered
        });
        drop(order);
        self.state.fences = fences;
    }

    fn end(&mut self, kind: RequestKind, slot: u32, outcome: Result<u32, (FaultCode, u16)>) {
        match outcome {
            Ok(_) if kind == RequestKind::Prefetch => {}
            Err((code, detail)) if kind == RequestKind::Prefetch => {
                tracing::debug!("a prefetch ended in {code} {detail}");
            }
            Ok(bytes) => self.resume(slot, 0, bytes),
            Err((code, detail)) => self.resume(slot, u32::from(code.code()) << 16 | u32::from(detail), 0),
        }
        self.count_answer();
    }

    /// A slot goes on: it is published with the others of this turn. Its answer is not written yet, since its line is
    /// in the device's cache, and every read-modify-write of this turn would wait for that (each `Arc` has one).
    fn resume(&mut self, slot: u32, fault: u32, bytes: u32) {
        self.state.resumed.push(Resumed::new(slot, [fault, bytes]));
    }

    fn count_answer(&mut self) {
        self.state.answered = self.state.answered.wrapping_add(1);
    }

    /// Publishes the slots that were answered, and gives their places in the ring back.
    fn publish(&mut self) {
        if self.storage.answered.load(Ordering::Relaxed) == self.state.answered
            && self.state.resumed.is_empty()
        {
            return;
        }
        self.shared.publish_resumed(&mut self.state.resumed);
        self.state.resumed.clear();
        let word = &self.shared.buffers.submission_words()[COMMAND_IO_ANSWERED as usize];
        word.store(self.state.answered, Ordering::Release);
        self.shared.buffers.flush_entries();
        self.storage.answered.store(self.state.answered, Ordering::Release);
        self.shared.notify_progress();
    }
}
