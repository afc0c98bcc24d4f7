//! Keeps an engine busy with chunks and puts its answers back in order.
//!
//! A chunk takes one walk over all its lanes. Carries inside it are taken up by serial walks; a
//! match buffer that was too small by a repetition; a line that goes on in the next chunk by
//! holding that chunk back until the state at the end of this one is known.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::chunk::{Chunk, Item, Source};
use super::engine::{ChunkEngine, EngineError, ScanDone, ScanJob};
use super::ingest::Closed;
use crate::protocol::abi::scan::{SCAN_SKIP, SCAN_START};
use crate::twin::scan::{Walk, line_end};

/// Room for the matches of a chunk, before it turns out that there are more.
const FIRST_CAPACITY: u32 = 4096;
/// Chunks that wait for an earlier one.
const MOST_PENDING: usize = 256;

/// An item after the scan.
#[derive(Debug)]
pub enum Scanned {
    /// A chunk with the positions of its matches, ascending, one for each matching line.
    Chunk(Arc<Chunk>, Vec<u32>),
    /// Passed through.
    Failed(Arc<Source>, std::io::Error),
    /// Passed through.
    Trouble(String),
}

/// What the feeder did.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedTotals {
    /// Walks that the engine carried out.
    pub walks: u64,
    /// Serial walks among them.
    pub serial: u64,
    /// Walks that were repeated for lack of room.
    pub repeated: u64,
    /// Bytes of text in chunks.
    pub bytes: u64,
}

enum Pending {
    /// Nothing to wait for.
    Ready(Scanned),
    /// To be submitted when the chunk before is done.
    Held(Arc<Chunk>),
    /// `walks` are in flight.
    Running { chunk: Arc<Chunk>, walks: usize, matches: Vec<u32>, end: u32 },
}

struct Flight {
    place: u64,
    state: u32,
    walk: Walk,
}

/// Feeds `items` to `engine` until they end, and passes everything to `sink` in the same order.
pub fn feed(
    items: &Receiver<Item>,
    engine: &mut dyn ChunkEngine,
    sink: impl FnMut(Scanned) -> Result<(), Closed>,
) -> Result<FeedTotals, EngineError> {
    let mut feeder = Feeder {
        engine,
        sink,
        pending: VecDeque::new(),
        first: 0,
        flights: HashMap::new(),
        next_id: 0,
        state: SCAN_START,
        totals: FeedTotals::default(),
    };
    match feeder.run(items) {
        Ok(()) | Err(Stop::Closed) => Ok(feeder.totals),
        Err(Stop::Engine(error)) => Err(error),
    }
}

enum Stop {
    Closed,
    Engine(EngineError),
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Stop::Engine(error)
    }
}

struct Feeder<'a, F> {
    engine: &'a mut dyn ChunkEngine,
    sink: F,
    pending: VecDeque<Pending>,
    /// Number of the first pending item.
    first: u64,
    flights: HashMap<u64, Flight>,
    next_id: u64,
    /// State after the last chunk that has left, if it was open.
    state: u32,
    totals: FeedTotals,
}

impl<F: FnMut(Scanned) -> Result<(), Closed>> Feeder<'_, F> {
    fn run(&mut self, items: &Receiver<Item>) -> Result<(), Stop> {
        let mut more = true;
        loop {
            self.drain()?;
            let room = self.engine.in_flight() < self.engine.depth() && self.pending.len() < MOST_PENDING;
            if more && room {
                let item = if self.engine.in_flight() == 0 {
                    items.recv().map_err(|_| TryRecvError::Disconnected)
                } else {
                    items.try_recv()
                };
                match item {
                    Ok(item) => {
                        self.accept(item)?;
                        continue;
                    }
                    Err(TryRecvError::Disconnected) => more = false,
                    Err(TryRecvError::Empty) => {}
                }
            }
            match self.engine.next()? {
                Some(done) => self.answer(done)?,
                None if !more && self.pending.is_empty() => return Ok(()),
                None => {}
            }
        }
    }

    fn accept(&mut self, item: Item) -> Result<(), Stop> {
        let pending = match item {
            Item::Failed(source, error) => Pending::Ready(Scanned::Failed(source, error)),
            Item::Trouble(message) => Pending::Ready(Scanned::Trouble(message)),
            Item::Chunk(chunk) => {
                self.totals.bytes += chunk.text().len() as u64;
                let chunk = Arc::new(chunk);
                if chunk.continues() {
                    Pending::Held(chunk)
                } else {
                    self.start(self.first + self.pending.len() as u64, chunk, SCAN_START)?
                }
            }
        };
        self.pending.push_back(pending);
        Ok(())
    }

    /// Submits a chunk whose first byte is read in `state`.
    fn start(&mut self, place: u64, chunk: Arc<Chunk>, state: u32) -> Result<Pending, Stop> {
        let text = chunk.text();
        let stopped = chunk.segments.iter().all(|segment| segment.source.stopped());
        let one_line = chunk.continues() && memchr::memchr(b'\n', text).is_none();
        let idle = text.is_empty() || stopped || one_line && state == SCAN_SKIP;
        let end = if text.is_empty() { state } else { SCAN_SKIP };
        let walks = usize::from(!idle);
        if !idle {
            let serial = Walk::Serial { first: 0, end: text.len() as u32 };
            let walk = if one_line { serial } else { Walk::Parallel };
            self.submit(Flight { place, state, walk }, chunk.clone(), FIRST_CAPACITY)?;
        }
        Ok(Pending::Running { chunk, walks, matches: Vec::new(), end })
    }

    fn submit(&mut self, flight: Flight, chunk: Arc<Chunk>, capacity: u32) -> Result<(), Stop> {
        self.totals.walks += 1;
        self.totals.serial += u64::from(matches!(flight.walk, Walk::Serial { .. }));
        let (id, state, walk) = (self.next_id, flight.state, flight.walk);
        self.next_id += 1;
        self.flights.insert(id, flight);
        Ok(self.engine.submit(ScanJob { id, chunk, state, walk, capacity })?)
    }

    fn answer(&mut self, done: ScanDone) -> Result<(), Stop> {
        let Some(flight) = self.flights.remove(&done.id) else { return Ok(()) };
        let place = (flight.place - self.first) as usize;
        let Some(Pending::Running { chunk, walks, matches, end }) = self.pending.get_mut(place) else {
            return Ok(());
        };
        let chunk = chunk.clone();
        if done.total as usize > done.matches.len() {
            self.totals.repeated += 1;
            let capacity = done.total.next_power_of_two();
            return self.submit(flight, chunk, capacity);
        }
        *walks -= 1;
        matches.extend(done.matches);
        let len = chunk.text().len() as u32;
        let mut serial = Vec::new();
        for carry in done.carries {
            if carry.position == len {
                *end = carry.state;
            } else {
                *walks += 1;
                serial.push(carry);
            }
        }
        for carry in serial {
            let walk = Walk::Serial { first: carry.position, end: line_end(chunk.text(), carry.position) };
            let flight = Flight { place: flight.place, state: carry.state, walk };
            self.submit(flight, chunk.clone(), FIRST_CAPACITY)?;
        }
        Ok(())
    }

    /// Lets everything go that is finished and first.
    fn drain(&mut self) -> Result<(), Stop> {
        loop {
            match self.pending.pop_front() {
                None => return Ok(()),
                Some(Pending::Held(chunk)) => {
                    let pending = self.start(self.first, chunk, self.state)?;
                    self.pending.push_front(pending);
                }
                Some(Pending::Running { chunk, walks: 0, mut matches, end }) => {
                    self.first += 1;
                    self.state = if chunk.open() { end } else { SCAN_START };
                    matches.sort_unstable();
                    (self.sink)(Scanned::Chunk(chunk, matches)).map_err(|Closed| Stop::Closed)?;
                }
                Some(running @ Pending::Running { .. }) => {
                    self.pending.push_front(running);
                    return Ok(());
                }
                Some(Pending::Ready(scanned)) => {
                    self.first += 1;
                    (self.sink)(scanned).map_err(|Closed| Stop::Closed)?;
                }
            }
        }
    }
}
