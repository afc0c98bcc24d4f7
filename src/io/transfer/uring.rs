//! Transfers through io_uring: registered buffers and files, completions matched by number.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::{opcode, squeue, types};
use rustix::io::Errno;

use super::cached;
use super::files::{Files, Opened};
use super::flight::{Flight, Piece, unknown_file};
use super::ring::Ring;
use super::{Arena, Description, Direction, Done, FileId, Transfer, TransferEngine, TransferOptions};

/// The engine.
pub(super) struct Uring {
    // The rings come first: they are torn down, and registrations with them, before memory and
    // files go.
    plain: Ring,
    /// For direct pieces, with IOPOLL: such a ring can do nothing else.
    polled: Option<Ring>,
    description: Description,
    direct: bool,
    arenas: Vec<Arc<Arena>>,
    files: Files,
    /// What the rings know of each file, by its number.
    known: Vec<Known>,
    /// What the kernel is busy with, by number; at most as many as the ring has entries.
    flights: Vec<Option<Flight>>,
    /// Which ring each of them is in.
    lanes: Vec<Lane>,
    free: Vec<u32>,
    /// The only flight there is, not in the ring yet: if no other comes before the next poll, the page cache is asked
    /// first.
    lone: Option<u32>,
    /// A lone flight is held back so.
    asks_cache: bool,
    backlog: VecDeque<Flight>,
    ready: Vec<Done>,
}

/// Which ring a piece is in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lane {
    Plain,
    Polled,
}

/// Which of a file's two descriptors are in the rings' tables, at places `2 * id` and `2 * id + 1`.
#[derive(Clone, Copy, Default)]
struct Known {
    /// Transfers of it so far; 2 stands for more as well.
    transfers: u8,
    buffered: bool,
    direct: bool,
    polled: bool,
    /// Its storage turned out not to have queues to poll.
    no_polling: bool,
}

impl Uring {
    pub(super) fn new(options: &TransferOptions, arenas: &[Arc<Arena>]) -> io::Result<Self> {
        let mut description = Description { name: "io_uring", notes: Vec::new() };
        let plain = Ring::new(options, false, arenas, &mut description)?;
        let mut polled = None;
        if options.iopoll && !options.direct {
            description.note("no IOPOLL: only direct transfers are polled for".to_owned());
        } else if options.iopoll {
            match Ring::new(options, true, arenas, &mut description) {
                Ok(ring) => polled = Some(ring),
                Err(error) => description.note(format!("no IOPOLL: {error}")),
            }
        }
        let entries = options.entries;
        Ok(Self {
            plain,
            polled,
            description,
            direct: options.direct,
            arenas: arenas.to_vec(),
            files: Files::default(),
            known: Vec::new(),
            flights: (0..entries).map(|_| None).collect(),
            lanes: vec![Lane::Plain; entries as usize],
            free: (0..entries).rev().collect(),
            lone: None,
            // A ring with SQPOLL needs no call.
            asks_cache: !options.sqpoll,
            backlog: VecDeque::new(),
            ready: Vec::new(),
        })
    }

    /// Gives the kernel the next piece of flight `number`, or ends it. False: there was no room, and the flight is the
    /// first of the backlog.
    fn go_on(&mut self, number: u32) -> bool {
        let Some(flight) = &mut self.flights[number as usize] else { return true };
        let file = flight.transfer.file;
        // Files stay until the last flight of theirs has ended.
        let next = self.files.opened(file).and_then(|opened| Some((flight.next(opened)?, opened)));
        let Some((piece, opened)) = next else {
            self.land(number);
            return true;
        };
        let known = self.known[file.0 as usize];
        let (lane, ring) = match &mut self.polled {
            Some(polled) if piece.direct && !known.no_polling => (Lane::Polled, polled),
            _ => (Lane::Plain, &mut self.plain),
        };
        self.lanes[number as usize] = lane;
        let (fixed_file, place) = match (lane, piece.direct) {
            (Lane::Polled, _) => (known.polled, 2 * file.0 + 1),
            (Lane::Plain, true) => (known.direct, 2 * file.0 + 1),
            (Lane::Plain, false) => (known.buffered, 2 * file.0),
        };
        let arena = flight.transfer.span.arena();
        let buffer = self.arenas.iter().position(|known| ring.fixed_buffers && Arc::ptr_eq(known, arena));
        let buffer = buffer.map(|buffer| buffer as u16);
        // Of a file in the table the number, and a flag that says so.
        let (fd, flags) = if fixed_file {
            (place as i32, squeue::Flags::FIXED_FILE)
        } else {
            (opened.of(piece.direct).as_raw_fd(), squeue::Flags::empty())
        };
        let Piece { memory, offset, len, .. } = piece;
        let (fd, len) = (types::Fd(fd), len as u32);
        macro_rules! push {
            ($op:ident $(, $buffer:ident)?) => {{
                let entry = opcode::$op::new(fd, memory, len $(, $buffer)?).offset(offset).build();
                // SAFETY: the flight keeps the arena mapped. It stays in `self.flights`, and its file in `self.files`,
                // until its completion is taken; `drop` waits for that, and forgets the memory where it cannot.
                unsafe { ring.push(&entry.flags(flags).user_data(number.into())) }
            }};
        }
        // In each arm for itself: an entry that is chosen first would be put together in memory, and moved from there
        // before the processor has all of it.
        let pushed = match (flight.transfer.direction, buffer) {
            (Direction::Read, Some(buffer)) => push!(ReadFixed, buffer),
            (Direction::Read, None) => push!(Read),
            (Direction::Write, Some(buffer)) => push!(WriteFixed, buffer),
            (Direction::Write, None) => push!(Write),
        };
        if pushed {
            return true;
        }
        self.free.push(number);
        if let Some(flight) = self.flights[number as usize].take() {
            self.backlog.push_front(flight);
        }
        false
    }

    /// Enters a file into the tables with its second transfer. Most files are read once, and entering
    /// and leaving are two system calls.
    fn enter(&mut self, file: FileId) {
        let known = &mut self.known[file.0 as usize];
        if known.transfers == 1
            && let Some(opened) = self.files.opened(file)
        {
            let (place, fd) = (2 * file.0, opened.file.as_raw_fd());
            known.buffered = self.plain.set_file(place, Some(fd));
            if let Some(twin) = &opened.direct {
                let twin = Some(twin.file.as_raw_fd());
                known.direct = self.plain.set_file(place + 1, twin);
                known.polled = self.polled.as_ref().is_some_and(|polled| polled.set_file(place + 1, twin));
            }
        }
        known.transfers = 2.min(known.transfers + 1);
    }

    /// Flight `number` has ended.
    fn land(&mut self, number: u32) {
        // Room first: the answer is then made in its place, and not moved there before the processor has all of it.
        self.ready.reserve(1);
        assert!(self.ready.len() < self.ready.capacity());
        let Some(flight) = self.flights[number as usize].take() else { return };
        let file = flight.transfer.file;
        self.ready.push(flight.done());
        self.free.push(number);
        if self.files.end(file) {
            self.forget_file(file);
        }
    }

    fn forget_file(&mut self, file: FileId) {
        let known = std::mem::take(&mut self.known[file.0 as usize]);
        // Where this fails, the kernel keeps the file open until the place is filled again.
        if known.buffered {
            self.plain.set_file(2 * file.0, None);
        }
        if known.direct {
            self.plain.set_file(2 * file.0 + 1, None);
        }
        if let Some(polled) = self.polled.as_ref().filter(|_| known.polled) {
            polled.set_file(2 * file.0 + 1, None);
        }
    }

    /// Launches what was held back, as far as there is room.
    fn launch(&mut self) {
        if let Some(number) = self.lone.take() {
            if let Some(flight) = &mut self.flights[number as usize]
                && let Some(opened) = self.files.opened(flight.transfer.file)
            {
                // Of any length: the ring would copy in this thread's call as well.
                cached::read(flight, opened, usize::MAX);
            }
            self.go_on(number);
        }
        while !self.backlog.is_empty()
            && let Some(number) = self.free.pop()
        {
            self.flights[number as usize] = self.backlog.pop_front();
            if !self.go_on(number) {
                return;
            }
        }
    }

    /// Takes completions; what is not finished with them comes first in the backlog.
    fn take(&mut self) {
        while let Some((number, result)) =
            self.plain.take().or_else(|| self.polled.as_mut().and_then(Ring::take))
        {
            let Some(Some(flight)) = self.flights.get_mut(number as usize) else { continue };
            let lane = self.lanes[number as usize];
            let result = usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result));
            match result {
                Err(errno @ (Errno::OPNOTSUPP | Errno::INVAL)) if lane == Lane::Polled => {
                    self.known[flight.transfer.file.0 as usize].no_polling = true;
                    self.description.note(format!("no IOPOLL on a file: {errno}; with interrupts"));
                    // Asked again, this time of the other ring.
                    flight.answer(Err(Errno::INTR));
                }
                result => flight.answer(result),
            }
            if flight.is_over() {
                self.land(number as u32);
            } else {
                self.go_on(number as u32);
            }
        }
        self.launch();
    }

    fn tell(&mut self) -> io::Result<()> {
        if let Some(polled) = &mut self.polled {
            polled.tell()?;
        }
        self.plain.tell()
    }

    /// Waits for completions and takes them.
    fn reap(&mut self, deadline: Instant) -> io::Result<()> {
        match &self.polled {
            // Polling is what such a ring is for, and it knows no time-outs.
            Some(polled) if polled.in_kernel > 0 => self.tell()?,
            _ if self.plain.in_kernel > 0 => self.plain.tell_and_wait(deadline)?,
            _ => {}
        }
        self.take();
        Ok(())
    }
}

impl TransferEngine for Uring {
    fn register(&mut self, file: Arc<std::fs::File>) -> io::Result<FileId> {
        let id = self.files.add(Opened::new(file, self.direct, &mut self.description));
        if self.known.len() <= id.0 as usize {
            self.known.resize(id.0 as usize + 1, Known::default());
        }
        self.known[id.0 as usize] = Known::default();
        Ok(id)
    }

    fn unregister(&mut self, file: FileId) {
        if self.files.leave(file) {
            self.forget_file(file);
        }
    }

    fn submit(&mut self, transfer: Transfer) -> io::Result<()> {
        let Some(opened) = self.files.begin(transfer.file) else {
            self.ready.push(unknown_file(transfer));
            return Ok(());
        };
        let file = transfer.file;
        let flight = Flight::new(transfer, opened);
        match self.free.pop_if(|_| self.backlog.is_empty()) {
            Some(number) => {
                self.flights[number as usize] = Some(flight);
                self.enter(file);
                if self.asks_cache && self.free.len() + 1 == self.flights.len() {
                    self.lone = Some(number);
                    return Ok(());
                }
                if let Some(first) = self.lone.take() {
                    self.go_on(first);
                }
                self.go_on(number);
            }
            None => {
                self.backlog.push_back(flight);
                self.enter(file);
            }
        }
        Ok(())
    }

    fn poll(&mut self, done: &mut Vec<Done>) -> io::Result<()> {
        self.launch();
        self.tell()?;
        // Most answers come from here: into the caller's list at once.
        done.append(&mut self.ready);
        std::mem::swap(done, &mut self.ready);
        self.take();
        std::mem::swap(done, &mut self.ready);
        // What followed from the answers is told as well.
        self.tell()
    }

    fn wait(&mut self, timeout: Duration, done: &mut Vec<Done>) -> io::Result<()> {
        let now = Instant::now();
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_secs(1 << 30));
        self.launch();
        if !self.ready.is_empty() {
            return self.poll(done);
        }
        loop {
            self.reap(deadline)?;
            if !self.ready.is_empty() || self.in_flight() == 0 || Instant::now() >= deadline {
                done.append(&mut self.ready);
                return self.tell();
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len() + self.backlog.len() + self.ready.len()
    }

    fn describe(&self) -> &Description {
        &self.description
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        self.backlog.clear();
        for flight in self.flights.iter_mut().flatten() {
            flight.abandon();
        }
        while self.free.len() < self.flights.len() {
            if self.reap(Instant::now() + Duration::from_secs(1)).is_err() {
                // On another thread than before. The kernel may still write to this memory: better
                // never to give it back.
                std::mem::forget(std::mem::take(&mut self.flights));
                std::mem::forget(self.arenas.clone());
                return;
            }
        }
    }
}
