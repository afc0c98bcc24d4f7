//! The automaton as the kernel reads it: rows of 256 words (the rules are in [`crate::twin::scan`]).

use crate::protocol::abi::scan::{SCAN_REPORT, SCAN_ROW_WORDS, SCAN_SKIP, SCAN_START};

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
        let entry = self.words[state as usize + usize::from(byte)];
        (entry & !SCAN_REPORT, entry & SCAN_REPORT != 0)
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
    let mut words = vec![SCAN_SKIP; ROW];
    words[usize::from(b'\n')] = SCAN_START;
    let mut at = 0;
    while let Some(&state) = states.get(at) {
        at += 1;
        // Bit 31 is taken, so a state cannot lie beyond that many words.
        let most = limit.min(SCAN_REPORT as usize * 4);
        if (words.len() + ROW) * 4 > most {
            return Err(TableTooBig { limit: most });
        }
        for byte in 0..=255u8 {
            let next = step(state, byte);
            let report = if next == Next::Match { SCAN_REPORT } else { 0 };
            words.push(match next {
                _ if byte == b'\n' => SCAN_START | report,
                Next::Match | Next::Dead => SCAN_SKIP | report,
                Next::State(next) => *rows.entry(next).or_insert_with(|| {
                    states.push(next);
                    // Row 0 is SKIP; the states lie behind it in the order of their discovery.
                    (states.len() * ROW) as u32
                }),
            });
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
