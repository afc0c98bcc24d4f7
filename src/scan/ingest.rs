//! From files to chunks: opens, reads ahead, cuts at line ends, packs small files together.
//!
//! Reads run ahead of each other in any order; chunks leave in the order of the files. Memory is
//! bounded by two pools. Blocks that are read ahead come from the larger one, and it is only taken
//! from without waiting while reads are under way. What must be read in sequence (pipes, files
//! that grew, files without a size) uses the smaller pool and is read when it is first in line:
//! every block lent before then belongs to a chunk that can be finished without another, so
//! waiting for one cannot last.

mod cutter;
mod plan;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::chunk::{BLOCK_BYTES, Chunk, HEAD_BYTES, Item, STRIDE_BYTES, Segment, Source};
use crate::io::arena::{Arena, Buf, Pool};
use crate::io::window::{Read, ReadDone, Window};
use cutter::Cutter;
use plan::{Answer, Entry, Kind};

/// Files up to this size share a chunk with their neighbours.
const SMALL_BYTES: u64 = 32 << 10;
/// What is asked of a file whose size reads 0, as in /proc.
const UNKNOWN_BYTES: u64 = 4 << 10;
/// Blocks of the smaller pool.
const SEQUENTIAL_BLOCKS: usize = 4;
/// The most reads ahead; also bounds the files held open.
const MOST_AHEAD: usize = 64;

/// Something to search.
#[derive(Debug)]
pub enum Input {
    /// A file by its path.
    Path(Arc<Source>, std::path::PathBuf),
    /// An open file; standard input.
    Open(Arc<Source>, Arc<File>),
    /// A message to pass on.
    Trouble(String),
}

/// The receiver is gone: nobody wants more.
#[derive(Debug)]
pub struct Closed;

/// Why reading ended before the inputs did.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The read engine failed as such.
    #[error("the read engine failed: {0}")]
    Engine(#[from] io::Error),
}

enum Stop {
    Closed,
    Engine(io::Error),
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Self {
        Stop::Closed
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Engine(error)
    }
}

/// Reads `inputs` through `window` into `arena` and passes what comes to `sink`, in order.
///
/// With `text` (grep's `-a`) files are not looked through for NUL bytes. Returns when everything
/// has been passed on or `sink` wants no more; also, while it waits for a pipe or a terminal, soon
/// after `cancel` is set. `arena` holds at least eight strides.
pub fn ingest(
    inputs: impl Iterator<Item = Input>,
    window: &mut Window,
    arena: &Arc<Arena>,
    text: bool,
    cancel: &AtomicBool,
    sink: impl FnMut(Item) -> Result<(), Closed>,
) -> Result<(), IngestError> {
    let middle = SEQUENTIAL_BLOCKS * STRIDE_BYTES;
    let mut reader = Reader {
        inputs: inputs.fuse(),
        window,
        sequential: Pool::new(arena, 0..middle, STRIDE_BYTES),
        ahead: Pool::new(arena, middle..arena.len(), STRIDE_BYTES),
        plan: VecDeque::new(),
        next: 0,
        first: 0,
        opened: None,
        room: None,
        pack: Pack::default(),
        cutter: None,
        text,
        cancel,
        sink,
    };
    match reader.run() {
        Ok(()) | Err(Stop::Closed) => Ok(()),
        Err(Stop::Engine(error)) => Err(error.into()),
    }
}

/// Small files whose text goes into one chunk.
#[derive(Default)]
struct Pack {
    buf: Option<Buf>,
    segments: Vec<Segment>,
}

/// A file that is being planned: what of it has not been asked for yet.
struct Opened {
    source: Arc<Source>,
    file: Arc<File>,
    size: u64,
    next: u64,
}

struct Reader<'a, I, F> {
    inputs: std::iter::Fuse<I>,
    window: &'a mut Window,
    sequential: Pool,
    ahead: Pool,
    /// What has been planned, in order; entry `n` has the number `first + n`.
    plan: VecDeque<Entry>,
    next: u64,
    first: u64,
    opened: Option<Opened>,
    /// What is left of the block that small files are read into.
    room: Option<Buf>,
    pack: Pack,
    cutter: Option<Cutter>,
    text: bool,
    cancel: &'a AtomicBool,
    sink: F,
}

impl<I, F> Reader<'_, I, F>
where
    I: Iterator<Item = Input>,
    F: FnMut(Item) -> Result<(), Closed>,
{
    fn run(&mut self) -> Result<(), Stop> {
        loop {
            while self.plan.len() < MOST_AHEAD && self.plan_more()? {}
            match self.plan.front() {
                None => {
                    self.flush_pack()?;
                    return Ok(());
                }
                Some(entry) if entry.is_ready() => self.finish_front()?,
                Some(_) => {
                    if let Some(done) = self.window.answer()? {
                        self.file_answer(done);
                    }
                }
            }
        }
    }

    fn file_answer(&mut self, done: ReadDone) {
        let place = (done.user - self.first) as usize;
        self.plan[place].answer =
            Some(Answer { buf: done.buf, range: done.range, got: done.got, error: done.error });
    }

    fn push(&mut self, source: Arc<Source>, kind: Kind) -> u64 {
        self.plan.push_back(Entry { source, kind, answer: None });
        self.next += 1;
        self.next - 1
    }

    /// Plans one more read. False: there is nothing to plan, or no memory for it now.
    fn plan_more(&mut self) -> Result<bool, Stop> {
        if let Some(opened) = self.opened.take()
            && !opened.source.stopped()
        {
            return self.plan_block(opened);
        }
        let (source, file) = match self.inputs.next() {
            None => return Ok(false),
            Some(Input::Trouble(message)) => {
                self.push(Source::new(""), Kind::Trouble(message));
                return Ok(true);
            }
            Some(Input::Open(source, file)) => (source, file),
            Some(Input::Path(source, path)) => match plan::open(&path) {
                Ok(file) => (source, Arc::new(file)),
                Err(error) => {
                    self.push(source, Kind::Failed(error));
                    return Ok(true);
                }
            },
        };
        let start = match plan::start_and_size(&file) {
            Ok(start) => start,
            Err(error) => {
                self.push(source, Kind::Failed(error));
                return Ok(true);
            }
        };
        match start {
            None => {
                self.push(source, Kind::Stream(file));
                Ok(true)
            }
            Some((0, size)) if size <= SMALL_BYTES => self.plan_small(source, file, size),
            Some((0, size)) => {
                if !self.text && plan::has_holes(&file, size) {
                    source.note_sparse();
                }
                self.plan_block(Opened { source, file, size, next: 0 })
            }
            Some((start, _)) => {
                self.push(source, Kind::Rest(file, start));
                Ok(true)
            }
        }
    }

    /// A block, if there is one or waiting for one is safe.
    fn take_ahead(&mut self) -> Option<Buf> {
        if let Some(buf) = self.ahead.try_take() {
            return Some(buf);
        }
        // With anything planned there is something to finish first.
        if !self.plan.is_empty() || self.pack.buf.is_some() {
            return None;
        }
        self.room = None;
        Some(self.ahead.take())
    }

    fn plan_block(&mut self, mut opened: Opened) -> Result<bool, Stop> {
        let Some(buf) = self.take_ahead() else {
            self.opened = Some(opened);
            if self.plan.is_empty() {
                self.flush_pack()?;
                return Ok(true);
            }
            return Ok(false);
        };
        let (source, file, offset) = (opened.source.clone(), opened.file.clone(), opened.next);
        opened.next += BLOCK_BYTES as u64;
        // A file whose size is a multiple of the block's ends with an empty read.
        let planned_last = opened.next > opened.size;
        let user = self.push(source, Kind::Block { file: file.clone(), offset, planned_last });
        let range = HEAD_BYTES..HEAD_BYTES + BLOCK_BYTES;
        self.window.submit(Read { user, file, offset: Some(offset), buf, range })?;
        if !planned_last {
            self.opened = Some(opened);
        }
        Ok(true)
    }

    /// A small file is asked for one byte more than its size, to see its end in the same read, and
    /// has room for at least one line feed behind it.
    fn plan_small(&mut self, source: Arc<Source>, file: Arc<File>, size: u64) -> Result<bool, Stop> {
        let ask = if size == 0 { UNKNOWN_BYTES } else { size + 1 } as usize;
        let need = (ask + 1).next_multiple_of(4);
        if self.room.as_ref().is_none_or(|room| room.len() < need) {
            self.room = None;
            let Some(buf) = self.take_ahead() else {
                if self.plan.is_empty() {
                    self.flush_pack()?;
                    self.room = Some(self.ahead.take());
                    return self.plan_small(source, file, size);
                }
                // Memory is short: read it when its turn comes.
                self.push(source, Kind::Rest(file, 0));
                return Ok(true);
            };
            self.room = Some(buf);
        }
        let Some(room) = self.room.take() else { return Ok(false) };
        let (buf, room) = room.split(need);
        self.room = Some(room);
        let user = self.push(source, Kind::Small(file.clone()));
        self.window.submit(Read { user, file, offset: Some(0), buf, range: 0..ask })?;
        Ok(true)
    }

    fn finish_front(&mut self) -> Result<(), Stop> {
        let Some(entry) = self.plan.pop_front() else { return Ok(()) };
        self.first += 1;
        let Entry { source, kind, answer } = entry;
        match (kind, answer) {
            (Kind::Small(file), Some(answer)) => self.finish_small(source, file, answer),
            (Kind::Block { file, offset, planned_last }, Some(answer)) => {
                self.flush_pack()?;
                let ended = self.cut(&source, offset, answer)?;
                // It has grown since it was opened.
                if planned_last && !ended {
                    self.read_on(&source, &file, Some(offset + BLOCK_BYTES as u64))?;
                }
                Ok(())
            }
            (Kind::Rest(file, offset), _) => {
                self.flush_pack()?;
                self.read_on(&source, &file, Some(offset))
            }
            (Kind::Stream(file), _) => {
                self.flush_pack()?;
                self.read_on(&source, &file, None)
            }
            (Kind::Failed(error), _) => {
                self.flush_pack()?;
                Ok((self.sink)(Item::Failed(source, error))?)
            }
            (Kind::Trouble(message), _) => {
                self.flush_pack()?;
                Ok((self.sink)(Item::Trouble(message))?)
            }
            (Kind::Small(_) | Kind::Block { .. }, None) => Ok(()),
        }
    }

    fn finish_small(&mut self, source: Arc<Source>, file: Arc<File>, answer: Answer) -> Result<(), Stop> {
        if answer.got == answer.range.len() {
            // Larger than it said: from the start, as a file without a size.
            self.flush_pack()?;
            return self.read_on(&source, &file, Some(0));
        }
        if answer.error.is_some() {
            self.flush_pack()?;
            return self.cut(&source, 0, answer).map(|_| ());
        }
        let Answer { mut buf, got, .. } = answer;
        source.add_read(got);
        buf[got..].fill(b'\n');
        let nul = if self.text { None } else { cutter::zap(&mut buf[..got]) };
        if let Some(at) = nul {
            source.note_nul(at as u64);
        }
        let binary_from = nul.map(|_| 0);
        let mut start = 0;
        self.pack.buf = Some(match self.pack.buf.take() {
            None => buf,
            Some(before) => {
                start = before.len();
                match before.join(buf) {
                    Ok(joined) => joined,
                    Err((before, buf)) => {
                        self.pack.buf = Some(before);
                        self.flush_pack()?;
                        start = 0;
                        buf
                    }
                }
            }
        });
        let range = start..start + got;
        let (continues, open, last, offset) = (false, false, true, 0);
        self.pack.segments.push(Segment { source, range, offset, continues, open, last, binary_from });
        Ok(())
    }

    fn flush_pack(&mut self) -> Result<(), Stop> {
        let Pack { buf, segments } = std::mem::take(&mut self.pack);
        let Some(buf) = buf else { return Ok(()) };
        let text = 0..buf.len();
        Ok((self.sink)(Item::Chunk(Chunk::new(buf, text, segments)))?)
    }

    /// Reads from `offset` (or the file's own position) to the end, one block after the other.
    fn read_on(&mut self, source: &Arc<Source>, file: &Arc<File>, offset: Option<u64>) -> Result<(), Stop> {
        let mut at = offset.unwrap_or(0);
        loop {
            if offset.is_none() {
                self.wait_readable(source, file)?;
            }
            if source.stopped() {
                // Nobody wants more of it: its end is told, and nothing read.
                let (buf, range) = (self.sequential.take(), HEAD_BYTES..HEAD_BYTES + BLOCK_BYTES);
                self.cut(source, at, Answer { buf, range, got: 0, error: None })?;
                return Ok(());
            }
            let buf = self.sequential.take();
            let range = HEAD_BYTES..HEAD_BYTES + BLOCK_BYTES;
            // No entry of the plan has this number.
            let user = u64::MAX;
            let offset = offset.map(|_| at);
            self.window.submit(Read { user, file: file.clone(), offset, buf, range })?;
            let mut answer = loop {
                match self.window.answer()? {
                    Some(done) if done.user == user => break done,
                    Some(done) => self.file_answer(done),
                    None => return Err(io::Error::other("a read got no answer").into()),
                }
            };
            let got = answer.got;
            if offset.is_none() && got > 0 {
                // Of a pipe, a short read is not the end.
                answer.range.end = answer.range.start + got;
            }
            let answer = Answer { buf: answer.buf, range: answer.range, got, error: answer.error };
            if self.cut(source, at, answer)? {
                return Ok(());
            }
            at += got as u64;
        }
    }

    /// Waits until a pipe has something to read or is closed. A read itself could not be called
    /// off, and whoever writes to the pipe may take hours.
    fn wait_readable(&self, source: &Source, file: &File) -> Result<(), Stop> {
        let patience = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        while !source.stopped() {
            let mut fds = [PollFd::new(file, PollFlags::IN)];
            match poll(&mut fds, Some(&patience)) {
                Ok(0) | Err(Errno::INTR) if self.cancel.load(Ordering::Relaxed) => return Err(Stop::Closed),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                // What cannot be polled is read as it is.
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Cuts the lines out of a block. True at the end of the file.
    fn cut(&mut self, source: &Arc<Source>, offset: u64, answer: Answer) -> Result<bool, Stop> {
        let cutter = match &mut self.cutter {
            Some(cutter) if Arc::ptr_eq(cutter.source(), source) => cutter,
            slot => slot.insert(Cutter::new(source.clone(), offset, self.text)),
        };
        if cutter.ended() {
            return Ok(true);
        }
        let error = answer.error;
        if let Some(chunk) = cutter.cut(offset, answer.buf, answer.range, answer.got, error.is_some()) {
            (self.sink)(Item::Chunk(chunk))?;
        }
        let ended = cutter.ended();
        if let Some(error) = error {
            (self.sink)(Item::Failed(source.clone(), error))?;
        }
        Ok(ended)
    }
}

#[cfg(test)]
mod tests;
