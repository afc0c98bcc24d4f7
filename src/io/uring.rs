//! Reads through io_uring, into registered memory where the system allows it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use io_uring::{IoUring, Probe, opcode, types};

use super::arena::Arena;
use super::engine::{Read, ReadDone, ReadEngine};

/// Entries of the submission queue, and the most reads in flight.
const ENTRIES: u32 = 128;
/// Index of the one registered buffer.
const ARENA: u16 = 0;
/// The offset that stands for the file's own position.
const CURRENT_POSITION: u64 = u64::MAX;

/// A ring. Dropping it waits for the reads in flight.
pub(super) struct Uring {
    // First, so that it is torn down, and the registration with it, before the memory goes.
    ring: IoUring,
    /// Reads whose memory the kernel may still write, by their number in the ring.
    flights: HashMap<u64, Flight>,
    next: u64,
    ready: VecDeque<ReadDone>,
    /// Whether the arena is registered; without, the kernel pins its pages for each read.
    fixed: bool,
    arena: Arc<Arena>,
}

struct Flight {
    read: Read,
    got: usize,
}

impl Uring {
    /// Sets up a ring and registers the arena. The text tells what had to be left out.
    pub(super) fn new(arena: &Arc<Arena>) -> io::Result<(Self, Option<String>)> {
        let ring = IoUring::new(ENTRIES)?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if !probe.is_supported(opcode::Read::CODE) || !ring.params().is_feature_rw_cur_pos() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this kernel's io_uring is too old to read",
            ));
        }
        let whole = libc::iovec { iov_base: arena.as_ptr().cast(), iov_len: arena.len() };
        // SAFETY: the mapping stays at that address with that length for as long as `self.arena`
        // lives, which is longer than the ring that the registration belongs to.
        let registered = unsafe { ring.submitter().register_buffers(&[whole]) };
        let note = registered.as_ref().err().map(|error| format!("arena not registered: {error}"));
        let fixed = registered.is_ok();
        let arena = arena.clone();
        Ok((Self { ring, flights: HashMap::new(), next: 0, ready: VecDeque::new(), fixed, arena }, note))
    }

    /// Puts a read, or what is left of it, on the submission queue.
    fn push(&mut self, mut flight: Flight) -> io::Result<()> {
        let range = flight.read.range.start + flight.got..flight.read.range.end;
        let fixed = self.fixed && Arc::ptr_eq(flight.read.buf.arena(), &self.arena);
        let Some(into) = flight.read.buf.get_mut(range) else {
            self.finish(flight, Some(io::ErrorKind::InvalidInput.into()));
            return Ok(());
        };
        let fd = types::Fd(flight.read.file.as_raw_fd());
        let offset = flight.read.offset.map_or(CURRENT_POSITION, |offset| offset + flight.got as u64);
        let len = u32::try_from(into.len()).unwrap_or(u32::MAX);
        let entry = if fixed {
            opcode::ReadFixed::new(fd, into.as_mut_ptr(), len, ARENA).offset(offset).build()
        } else {
            opcode::Read::new(fd, into.as_mut_ptr(), len).offset(offset).build()
        };
        let number = self.next;
        self.next += 1;
        let entry = entry.user_data(number);
        loop {
            // SAFETY: the entry names an open file and memory of `flight`, which stays in
            // `self.flights`, unmoved in memory and untouched, until the kernel has answered: `drop`
            // waits for that too, and forgetting the ring forgets the flights with it.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                break;
            }
            self.ring.submit()?;
        }
        self.flights.insert(number, flight);
        Ok(())
    }

    fn finish(&mut self, flight: Flight, error: Option<io::Error>) {
        let Flight { read: Read { user, buf, range, .. }, got } = flight;
        self.ready.push_back(ReadDone { user, buf, range, got, error });
    }

    /// Tells the kernel of what was pushed, waits for an answer, and takes all that are there.
    fn reap(&mut self) -> io::Result<()> {
        match self.ring.submit_and_wait(1) {
            Ok(_) => {}
            // A signal, or a full completion queue: what has come is taken, the rest asked again.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)) => {}
            Err(error) => return Err(error),
        }
        let answers: Vec<(u64, i32)> =
            self.ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (number, result) in answers {
            let Some(mut flight) = self.flights.remove(&number) else { continue };
            if result < 0 {
                let error = io::Error::from_raw_os_error(-result);
                if error.kind() == io::ErrorKind::Interrupted {
                    self.push(flight)?;
                } else {
                    self.finish(flight, Some(error));
                }
                continue;
            }
            flight.got += result as usize;
            if result > 0 && flight.got < flight.read.range.len() && flight.read.offset.is_some() {
                self.push(flight)?;
            } else {
                self.finish(flight, None);
            }
        }
        Ok(())
    }
}

impl ReadEngine for Uring {
    /// The kernel learns of it with the next call of [`ReadEngine::next`], together with others.
    fn submit(&mut self, read: Read) -> io::Result<()> {
        while self.flights.len() >= ENTRIES as usize {
            self.reap()?;
        }
        self.push(Flight { read, got: 0 })
    }

    fn next(&mut self) -> io::Result<Option<ReadDone>> {
        loop {
            if let Some(done) = self.ready.pop_front() {
                return Ok(Some(done));
            }
            if self.flights.is_empty() {
                return Ok(None);
            }
            self.reap()?;
        }
    }

    fn in_flight(&self) -> usize {
        self.flights.len() + self.ready.len()
    }

    fn name(&self) -> &'static str {
        "io_uring"
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        while !self.flights.is_empty() {
            if self.reap().is_err() {
                // The kernel may still write to this memory: better never to give it back.
                for (_, flight) in self.flights.drain() {
                    std::mem::forget(flight.read.buf);
                }
                std::mem::forget(self.arena.clone());
            }
        }
    }
}
