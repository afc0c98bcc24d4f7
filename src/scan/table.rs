//! The automaton as the kernel reads it: a row for each state (the rules are in [`crate::twin::scan`]).

use crate::protocol::abi::scan::{SCAN_MATCHED, SCAN_ROW_WORDS, SCAN_SKIP, SCAN_START};
use crate::twin::scan::step;

/// Default limit for the size of a table in bytes.
pub const DEFAULT_SIZE_LIMIT: usize = 64 << 20;

/// A table would exceed its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the automaton needs more than {limit} bytes: raise --dfa-size-limit, or split or simplify the patterns (counted repetitions multiply)"
)]
pub struct TableTooBig {
    /// The limit in bytes.
    pub limit: usize,
}

/// A finished table. Every state is the word offset of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    words: Vec<u32>,
}

impl Table {
    /// The words, ready for the device.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Number of states.
    pub fn rows(&self) -> usize {
        self.words.len() / SCAN_ROW_WORDS as usize
    }

    /// Whether a line that stops in `state` at the end of the text, without a line feed, matches.
    pub fn matches_at_end(&self, state: u32) -> bool {
        self.step(state, b'\n').1
    }

    /// The state after `byte`, and whether a match is found on it.
    pub fn step(&self, state: u32, byte: u8) -> (u32, bool) {
        step(&self.words, state, byte)
    }
}

/// Where a transition leads, before the rules of the table are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<S> {
    /// On to a state.
    State(S),
    /// The line matches.
    Match,
    /// The line can no longer match.
    Dead,
}

/// Walks an automaton from `start` (a line's first byte) over all bytes and lays it out as a table.
///
/// `step` gives the transition for a state and a byte. Its answer for a line feed decides only
/// whether the line has matched by its end.
pub fn build<S: Copy + Eq + std::hash::Hash>(
    start: S,
    limit: usize,
    mut step: impl FnMut(S, u8) -> Next<S>,
) -> Result<Table, TableTooBig> {
    const ROW: usize = SCAN_ROW_WORDS as usize;
    // START is a row of its own even where the automaton comes back to its start inside a line:
    // only a line feed may lead to it. Hence the start state can have a second row.
    let mut rows = std::collections::HashMap::new();
    let mut states = vec![start];
    let mut words = vec![SCAN_SKIP; 3 * ROW];
    words[SCAN_SKIP as usize + usize::from(b'\n')] = SCAN_START;
    words[SCAN_MATCHED as usize..].fill(SCAN_MATCHED);
    // A state is a number of 32 bits.
    let limit = limit.min(u32::MAX as usize - ROW);
    let mut at = 0;
    while let Some(&state) = states.get(at) {
        // START, then behind MATCHED the other states in the order of their discovery: what is near the
        // start is walked most, and lies together.
        let row = if at == 0 { SCAN_START as usize } else { words.len() };
        words.resize(words.len().max(row + ROW), SCAN_SKIP);
        if words.len() * 4 > limit {
            return Err(TableTooBig { limit });
        }
        at += 1;
        for byte in 0..=255u8 {
            words[row + usize::from(byte)] = match step(state, byte) {
                Next::Match => SCAN_MATCHED,
                _ if byte == b'\n' => SCAN_START,
                Next::Dead => SCAN_SKIP,
                Next::State(next) => *rows.entry(next).or_insert_with(|| {
                    states.push(next);
                    // SKIP and MATCHED are no states of the automaton, and START is its first.
                    ((states.len() + 1) * ROW) as u32
                }),
            };
        }
    }
    Ok(Table { words })
}

/// Gives upper-case ASCII letters the transitions of their lower-case ones. For an automaton over
/// lower-case literals this is what ignoring case means, without a larger automaton.
pub fn fold_ascii_case(table: &mut Table) {
    for row in table.words.chunks_exact_mut(SCAN_ROW_WORDS as usize) {
        row.copy_within(usize::from(b'a')..=usize::from(b'z'), usize::from(b'A'));
    }
}
