//! `OP_SCAN`: walks a chunk of text through a byte automaton with many streams side by side.
//!
//! The twin goes by single bytes where the kernel goes by words, and runs the streams one after
//! another where the kernel interleaves them; what they report is the same set.
//!
//! **Table.** Rows of [`SCAN_ROW_WORDS`], of which the first 256 are the transitions by byte; a state is
//! the word offset of its row, and an entry is the next state. The rules:
//!
//! - row [`SCAN_SKIP`] leads to itself on every byte but `\n`, and never reports: its line is
//!   decided, or belongs to another stream;
//! - `\n` leads to [`SCAN_START`] from every row, and nothing else leads there, so a state says by
//!   itself whether a line ended just before it;
//! - a transition on which a line's match is found leads to [`SCAN_MATCHED`], whose row leads only to
//!   itself. A stream is never left there: it goes on in SKIP, in START on `\n`, so that a line
//!   matches once at most. The fast loop of the kernel need not look at single bytes for that.
//!
//! **Streams.** A stream owns the lines that start in its piece, stream 0 also the line that the
//! start state continues. The byte before its piece tells whether a line starts right there.
//! Behind the end of its piece a stream is finished as soon as its state is SKIP or START: SKIP
//! means that it owns no undecided line (whether it never saw one start or its last one matched),
//! START that its last line has just ended. Thus no line is lost and none reported twice.
//!
//! **Carries.** A stream that reaches its limit, or the end of the chunk, inside an undecided line
//! leaves (position, state): the next byte to read and the state to read it in. A carry at the end
//! of the chunk is the start state of the chunk that follows; without one that chunk starts in
//! START if this one ends in `\n`, else in SKIP.

use crate::protocol::abi::scan::{
    SCAN_MATCHED, SCAN_PIECE_ALIGN, SCAN_ROW_WORDS, SCAN_SERIAL_MAX, SCAN_SKIP, SCAN_START,
    SCAN_STREAM_SLACK, SCAN_STREAMS_PER_LANE, SCAN_TURN_BYTES,
};

/// How a chunk is to be walked; the value of `a8` with what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// `a8 = SCAN_PARALLEL`: all lanes, each stream at its own piece.
    Parallel,
    /// `a8 = SCAN_SERIAL`: one stream takes up a carry.
    Serial {
        /// `a9`: the first byte to read, where carries stand: at a multiple of [`SCAN_TURN_BYTES`].
        first: u32,
        /// `a10`: the byte to stop at, at most the chunk's length. The lines behind the carried one
        /// belong to other streams, so a host stops right behind its line feed: [`line_end`].
        end: u32,
    },
}

/// A line that a stream had to leave undecided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Carry {
    /// The next byte to read, relative to the chunk.
    pub position: u32,
    /// The state to read it in.
    pub state: u32,
}

/// What one slot reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Index of the byte on whose transition each match was found; the kernel gives no order.
    pub matches: Vec<u32>,
    /// Undecided lines, in no order; at most one of them stands at the end of the chunk.
    pub carries: Vec<Carry>,
}

/// The argument that a slot got wrong: the detail of its `BAD_OPERAND` fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadArgument(pub u8);

/// Where the line that holds byte `first` ends in `text`: behind its line feed, or at the end.
pub fn line_end(text: &[u8], first: u32) -> u32 {
    let rest = text.get(first as usize..).unwrap_or(&[]);
    first + memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1) as u32
}

/// Bytes of a stream's piece. At most 2^31 for any chunk length below 2^32 - 16.
pub fn piece_bytes(len: u32, lanes: u32) -> u32 {
    len.div_ceil(lanes * SCAN_STREAMS_PER_LANE).next_multiple_of(SCAN_PIECE_ALIGN)
}

/// Most bytes that one stream of a parallel slot reads.
pub fn stream_max(piece: u32) -> u32 {
    piece.saturating_mul(2).saturating_add(SCAN_STREAM_SLACK)
}

/// Walks `text` as the kernel does with `lanes` lanes.
///
/// `table` obeys the rules above (which no slot can check) and `state` is one of its rows. Errors
/// are the faults that the kernel raises for the same slot; they name the argument.
pub fn execute(
    text: &[u8],
    table: &[u32],
    state: u32,
    walk: Walk,
    lanes: u32,
) -> Result<Outcome, BadArgument> {
    let len = u32::try_from(text.len()).map_err(|_| BadArgument(2))?;
    if !state.is_multiple_of(SCAN_ROW_WORDS)
        || u64::from(state) + u64::from(SCAN_ROW_WORDS) > table.len() as u64
    {
        return Err(BadArgument(4));
    }
    let mut out = Outcome::default();
    match walk {
        Walk::Parallel => {
            let piece = piece_bytes(len, lanes);
            for stream in 0..lanes * SCAN_STREAMS_PER_LANE {
                let begin = stream.saturating_mul(piece).min(len);
                let end = begin.saturating_add(piece).min(len);
                let limit = begin.saturating_add(stream_max(piece)).min(len);
                let first = match stream {
                    0 => state,
                    _ if begin > 0 && text[begin as usize - 1] == b'\n' => SCAN_START,
                    _ => SCAN_SKIP,
                };
                run(text, table, Span { begin, end, limit }, first, &mut out);
            }
        }
        Walk::Serial { first, end } => {
            if end > len {
                return Err(BadArgument(10));
            }
            if first > end || !first.is_multiple_of(SCAN_TURN_BYTES) {
                return Err(BadArgument(9));
            }
            let limit = first.saturating_add(SCAN_SERIAL_MAX).min(end);
            run(text, table, Span { begin: first, end: limit, limit }, state, &mut out);
        }
    }
    Ok(out)
}

/// The state after `byte`, and whether a line's match is found on it.
#[inline]
pub fn step(table: &[u32], state: u32, byte: u8) -> (u32, bool) {
    match table[state as usize + usize::from(byte)] {
        SCAN_MATCHED if byte == b'\n' => (SCAN_START, true),
        SCAN_MATCHED => (SCAN_SKIP, true),
        next => (next, false),
    }
}

/// Where a stream reads: it starts at `begin`, owns lines that start before `end`, and reads no
/// byte at or after `limit`. `begin <= end <= limit`.
struct Span {
    begin: u32,
    end: u32,
    limit: u32,
}

fn run(text: &[u8], table: &[u32], span: Span, mut state: u32, out: &mut Outcome) {
    let mut at = span.begin;
    while at < span.limit && (at < span.end || state > SCAN_START) {
        let (next, matched) = step(table, state, text[at as usize]);
        if matched {
            out.matches.push(at);
        }
        state = next;
        at += 1;
    }
    if state > SCAN_START {
        out.carries.push(Carry { position: at, state });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A random automaton that obeys the rules; `n` rows besides SKIP, START and MATCHED.
    fn table(n: u32, seeds: &[u32]) -> Vec<u32> {
        let rows = n + 3;
        let mut words = vec![SCAN_SKIP; (rows * SCAN_ROW_WORDS) as usize];
        for row in 0..rows {
            for byte in 0..256 {
                let seed = seeds[((row * 7 + byte) as usize) % seeds.len()];
                words[(row * SCAN_ROW_WORDS + byte) as usize] = match byte {
                    _ if row == 2 || row > 0 && seed.is_multiple_of(5) => SCAN_MATCHED,
                    10 => SCAN_START,
                    _ if row == 0 => SCAN_SKIP,
                    // 1 and 2 stand for SKIP here: nothing but a line feed leads to START.
                    _ => match (seed / 5) % rows {
                        0..=2 => SCAN_SKIP,
                        next => next * SCAN_ROW_WORDS,
                    },
                };
            }
        }
        words
    }

    /// One walk over the whole text, byte by byte.
    fn naive(text: &[u8], table: &[u32]) -> (Vec<u32>, u32) {
        let (mut state, mut matches) = (SCAN_START, Vec::new());
        for (at, byte) in text.iter().enumerate() {
            let (next, matched) = step(table, state, *byte);
            if matched {
                matches.push(at as u32);
            }
            state = next;
        }
        (matches, state)
    }

    /// Chunks in order, carries taken up by serial slots, as a host does it.
    fn hosted(text: &[u8], table: &[u32], chunk: usize, lanes: u32) -> (Vec<u32>, u32) {
        let (mut state, mut matches, mut base) = (SCAN_START, Vec::new(), 0);
        for text in text.chunks(chunk) {
            let len = text.len() as u32;
            let mut todo = execute(text, table, state, Walk::Parallel, lanes).unwrap();
            state = if text.ends_with(b"\n") { SCAN_START } else { SCAN_SKIP };
            assert!(todo.carries.iter().filter(|carry| carry.position == len).count() <= 1);
            loop {
                matches.extend(todo.matches.drain(..).map(|at| at + base));
                let Some(carry) = todo.carries.pop() else { break };
                if carry.position == len {
                    state = carry.state;
                    continue;
                }
                let walk = Walk::Serial { first: carry.position, end: line_end(text, carry.position) };
                let more = execute(text, table, carry.state, walk, lanes).unwrap();
                todo.matches.extend(more.matches);
                todo.carries.extend(more.carries);
            }
            base += len;
        }
        matches.sort_unstable();
        (matches, state)
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(proptest::sample::select(b"ab\n".to_vec()), 0..900),
            proptest::collection::vec(
                proptest::sample::select(b"abcdabcdabcdabcdabcdabcdabcd\n".to_vec()),
                0..2000
            ),
            proptest::collection::vec(proptest::sample::select(b"ab".to_vec()), 0..900),
            // A line feed at, before or after each boundary of 16 bytes.
            (0usize..60, 0usize..18).prop_map(|(n, gap)| [vec![b'a'; gap], vec![b'\n']].concat().repeat(n)),
            (0usize..300, 1usize..99).prop_map(|(a, b)| [vec![b'a'; a * 7], vec![b'\n'; b]].concat()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn streams_and_carries_equal_one_walk(
            text in text(), n in 0u32..5, seeds in proptest::collection::vec(any::<u32>(), 1..40),
            chunk in 1usize..1200, lanes in prop_oneof![1u32..9, Just(32), Just(64)],
        ) {
            let table = table(n, &seeds);
            prop_assert_eq!(hosted(&text, &table, chunk, lanes), naive(&text, &table));
        }
    }

    #[test]
    fn a_serial_slot_stops_at_its_limit() {
        // Row 3 keeps to itself: an undecided line without end.
        const KEEPS: u32 = 3 * SCAN_ROW_WORDS;
        let mut words = table(1, &[1]);
        words[KEEPS as usize..].fill(KEEPS);
        words[KEEPS as usize + 10] = SCAN_START;
        let text = vec![b'x'; 200_000];
        let walk = Walk::Serial { first: 32, end: 200_000 };
        let out = execute(&text, &words, KEEPS, walk, 8).unwrap();
        assert_eq!(out.carries, [Carry { position: 32 + SCAN_SERIAL_MAX, state: KEEPS }]);
    }

    #[test]
    fn bad_arguments_are_named() {
        let words = table(1, &[1]);
        let cases = [
            (1, Walk::Parallel, 4),
            (4 * SCAN_ROW_WORDS, Walk::Parallel, 4),
            (SCAN_START, Walk::Serial { first: 0, end: 5 }, 10),
            (SCAN_START, Walk::Serial { first: 16, end: 3 }, 9),
            (SCAN_START, Walk::Serial { first: 4, end: 4 }, 9),
        ];
        for (state, walk, argument) in cases {
            assert_eq!(execute(b"abcd", &words, state, walk, 8), Err(BadArgument(argument)), "{walk:?}");
        }
    }
}
