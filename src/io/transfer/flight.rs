//! A transfer on its way: which piece comes next, and what an answer means. Both engines take these
//! steps; they differ only in who carries a piece out.

use std::io;

use rustix::io::Errno;

use super::files::Opened;
use super::{Direction, Done, Transfer};

/// How often a transfer is tried again that the system has no room for at the moment.
const MOST_TRIES: u8 = 64;

/// What is asked of the system at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Through the descriptor past the page cache.
    pub(super) direct: bool,
    pub(super) offset: u64,
    /// Where, in the memory of the flight's span, which reaches as far as `len` from here.
    pub(super) memory: *mut u8,
    pub(super) len: usize,
}

// SAFETY: the pointer is only a number here; who follows it holds the flight, whose span keeps the
// memory, which may be used from any thread.
unsafe impl Send for Piece {}

/// A transfer and how far it is. Reads out of the page cache leave nothing else in the processor's cache, so that each
/// line of this costs.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) transfer: Transfer,
    bytes: u32,
    /// Bytes that the system is busy with; 0 for none, since no piece is empty.
    asked: u32,
    error: Option<Errno>,
    tries: u8,
    /// What the system is busy with goes past the page cache.
    direct: bool,
    /// A direct piece came back short or refused: the rest goes through the page cache, which knows
    /// about ends of files that are no multiple of a block.
    buffered: bool,
    /// The file has ended.
    ended: bool,
}

const _: () = assert!(size_of::<Option<Flight>>() <= 64);

impl Flight {
    pub(super) fn new(transfer: Transfer, opened: &Opened) -> Self {
        let end = transfer.offset.checked_add(transfer.span.len() as u64);
        // Beyond what the system counts in; the largest offset even means something else to io_uring.
        let beyond = end.is_none_or(|end| end > i64::MAX as u64).then_some(Errno::INVAL);
        let refused = opened.refuses(transfer.direction).or(beyond);
        let error = refused.filter(|_| !transfer.span.is_empty());
        Self { transfer, bytes: 0, asked: 0, error, tries: 0, direct: false, buffered: false, ended: false }
    }

    fn left(&self) -> usize {
        self.transfer.span.len() - self.bytes as usize
    }

    /// Whether no piece comes any more.
    pub(super) fn is_over(&self) -> bool {
        self.left() == 0 || self.ended || self.error.is_some()
    }

    /// The next piece, of the file that it was made for; `None` when the transfer has ended.
    pub(super) fn next(&mut self, opened: &Opened) -> Option<Piece> {
        if self.is_over() {
            return None;
        }
        let bytes = self.bytes as usize;
        let mut piece = Piece {
            direct: false,
            offset: self.transfer.offset + bytes as u64,
            memory: self.transfer.span.as_ptr().wrapping_add(bytes),
            len: self.left(),
        };
        if let Some((head, middle)) = self.direct_part(&piece, opened) {
            piece.direct = head == 0;
            piece.len = if piece.direct { middle } else { head };
        }
        // Spans count in 32 bits.
        (self.direct, self.asked) = (piece.direct, piece.len as u32);
        Some(piece)
    }

    /// How many bytes of `rest` come before what can go directly, and how many that is.
    fn direct_part(&self, rest: &Piece, opened: &Opened) -> Option<(usize, usize)> {
        let direct = opened.direct.as_ref().filter(|_| !self.buffered)?;
        let align = match self.transfer.direction {
            Direction::Read => direct.offset_align,
            // Never the same page directly and through the page cache, which would write back what
            // it read before.
            Direction::Write => direct.offset_align.max(rustix::param::page_size() as u64),
        };
        let head = (rest.offset.next_multiple_of(align) - rest.offset) as usize;
        let middle = rest.len.checked_sub(head)? & !(align as usize - 1);
        let aligned = (rest.memory as usize + head).is_multiple_of(direct.memory_align);
        (middle > 0 && aligned).then_some((head, middle))
    }

    /// Takes the system's answer to the piece: bytes, or why not.
    pub(super) fn answer(&mut self, result: Result<usize, Errno>) {
        let (direct, asked) = (self.direct, std::mem::take(&mut self.asked));
        if asked == 0 {
            return;
        }
        match result {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if self.tries < MOST_TRIES => self.tries += 1,
            // Alignment that the file system did not tell of.
            Err(Errno::INVAL) if direct => self.buffered = true,
            Err(error) => self.error = Some(error),
            Ok(0) if !direct => match self.transfer.direction {
                Direction::Read => self.ended = true,
                Direction::Write => self.error = Some(Errno::IO),
            },
            Ok(bytes) => {
                self.bytes += asked.min(bytes.try_into().unwrap_or(asked));
                self.buffered |= direct && bytes < asked as usize;
            }
        }
    }

    /// Asks for no more pieces.
    pub(super) fn abandon(&mut self) {
        self.ended = true;
    }

    /// What the caller is told.
    pub(super) fn done(self) -> Done {
        let Transfer { user, span, .. } = self.transfer;
        Done { user, span, bytes: self.bytes as usize, error: self.error.map(io::Error::from) }
    }
}

/// The answer to a transfer of a file that is not registered.
pub(super) fn unknown_file(transfer: Transfer) -> Done {
    Done { user: transfer.user, span: transfer.span, bytes: 0, error: Some(Errno::BADF.into()) }
}

#[cfg(test)]
mod tests {
    use super::super::files::Direct;
    use super::super::{FileId, Span};
    use super::*;
    use crate::io::arena::Arena;
    use std::fs::File;
    use std::sync::atomic::AtomicBool;
    use std::sync::{Arc, OnceLock};

    fn flight(direct: bool, direction: Direction, offset: u64, at: usize, len: usize) -> (Flight, Opened) {
        let file = || File::open("/dev/null").unwrap();
        let direct = direct.then(|| Direct { file: file(), offset_align: 512, memory_align: 4 });
        let (file, appends, nowait) = (Arc::new(file()), OnceLock::new(), AtomicBool::new(true));
        let opened = Opened { file, direct, refused: None, appends, nowait };
        let span = Span::new(Arena::new(1 << 16).unwrap(), at..at + len).unwrap();
        (Flight::new(Transfer { user: 1, direction, file: FileId(0), offset, span }, &opened), opened)
    }

    /// The lengths that are asked for, one after the other, each answered in full.
    fn pieces((mut flight, opened): (Flight, Opened)) -> Vec<(bool, usize)> {
        let mut all = Vec::new();
        while let Some(piece) = flight.next(&opened) {
            all.push((piece.direct, piece.len));
            flight.answer(Ok(piece.len));
        }
        all
    }

    #[test]
    fn only_aligned_middles_go_directly() {
        use Direction::{Read, Write};
        let (direct, cached) = (true, false);
        // direction, offset, place in the arena, length: pieces
        type Pieces<'a> = &'a [(bool, usize)];
        let cases: &[(Direction, u64, usize, usize, Pieces<'_>)] = &[
            (Read, 0, 0, 4096, &[(direct, 4096)]),
            (Read, 512, 4, 512, &[(direct, 512)]),
            (Read, 512, 4, 511, &[(cached, 511)]),
            (Read, 0, 1, 4096, &[(cached, 4096)]),
            (Read, 0, 0, 4097, &[(direct, 4096), (cached, 1)]),
            (Read, 100, 100, 4096, &[(cached, 412), (direct, 3584), (cached, 100)]),
            (Read, 100, 101, 4096, &[(cached, 4096)]),
            (Read, 100, 100, 412, &[(cached, 412)]),
            (Read, 100, 100, 924, &[(cached, 412), (direct, 512)]),
            (Write, 512, 0, 4096, &[(cached, 4096)]),
            (Write, 4000, 4, 8192, &[(cached, 96), (direct, 4096), (cached, 4000)]),
            (Read, 7, 7, 0, &[]),
        ];
        for &(direction, offset, at, len, want) in cases {
            let got = pieces(flight(true, direction, offset, at, len));
            assert_eq!(got, want, "{direction:?} {offset} {at} {len}");
            let plain: &[(bool, usize)] = if len == 0 { &[] } else { &[(cached, len)] };
            assert_eq!(pieces(flight(false, direction, offset, at, len)), plain);
        }
    }

    #[test]
    fn answers_are_taken_for_what_they_are() {
        use Direction::{Read, Write};
        type Answers<'a> = &'a [Result<usize, Errno>];
        // Answers to the pieces of 8192 aligned bytes; then bytes, errno, and pieces asked for.
        let cases: &[(Direction, Answers<'_>, usize, Option<Errno>, usize)] = &[
            (Read, &[Ok(8192)], 8192, None, 1),
            (Read, &[Ok(4096), Ok(4096)], 8192, None, 2),
            (Read, &[Ok(0), Ok(0)], 0, None, 2),
            (Read, &[Ok(700), Ok(0)], 700, None, 2),
            (Read, &[Err(Errno::INTR), Err(Errno::AGAIN), Ok(8192)], 8192, None, 3),
            (Read, &[Err(Errno::INVAL), Ok(8192)], 8192, None, 2),
            (Read, &[Err(Errno::INVAL), Err(Errno::INVAL)], 0, Some(Errno::INVAL), 2),
            (Read, &[Ok(5), Err(Errno::IO)], 5, Some(Errno::IO), 2),
            (Write, &[Ok(4096), Err(Errno::NOSPC)], 4096, Some(Errno::NOSPC), 2),
            (Write, &[Ok(4096), Ok(0)], 4096, Some(Errno::IO), 2),
            (Read, &[Err(Errno::AGAIN); 100], 0, Some(Errno::AGAIN), MOST_TRIES as usize + 1),
        ];
        for (direction, answers, bytes, errno, asked) in cases {
            let (mut flight, opened) = flight(true, *direction, 0, 0, 8192);
            let mut given = answers.iter();
            let mut pieces = 0;
            while flight.next(&opened).is_some() {
                pieces += 1;
                flight.answer(*given.next().unwrap_or_else(|| panic!("{answers:?}: a piece too many")));
            }
            let done = flight.done();
            let got = done.error.and_then(|error| error.raw_os_error());
            assert_eq!((done.bytes, got), (*bytes, errno.map(Errno::raw_os_error)), "{answers:?}");
            assert_eq!(pieces, *asked, "{answers:?}");
        }
    }

    #[test]
    fn offsets_that_cannot_be_are_refused() {
        for (offset, refused) in
            [(u64::MAX, true), (i64::MAX as u64 - 9, true), (i64::MAX as u64 - 10, false)]
        {
            let (mut flight, opened) = flight(true, Direction::Read, offset, 0, 10);
            assert_eq!(flight.next(&opened).is_none(), refused, "{offset}");
        }
    }
}
