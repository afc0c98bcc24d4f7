//! Where in a line the matches are: leftmost, and of those the longest, as POSIX has it.

use regex_automata::{
    Anchored, Input, MatchKind,
    hybrid::dfa::{Cache, DFA},
    meta,
    nfa::thompson,
    util::pool::Pool,
};
use regex_syntax::hir::Hir;

type CachePool =
    Pool<Cache, Box<dyn Fn() -> Cache + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>>;

/// Finds matches within one line. Shared freely between threads.
#[derive(Debug)]
pub struct Finder {
    /// Gives the leftmost start; whichever end it prefers, the start is the same.
    leftmost: meta::Regex,
    /// From that start, runs on to the last end. `None` when the patterns have Unicode word
    /// boundaries, which a lazy DFA cannot follow.
    longest: Option<(DFA, CachePool)>,
}

impl Finder {
    pub(super) fn new(hir: &Hir) -> Result<Self, String> {
        let leftmost = meta::Builder::new()
            .configure(
                meta::Config::new().utf8_empty(false).nfa_size_limit(None).hybrid_cache_capacity(16 << 20),
            )
            .build_from_hir(hir)
            .map_err(|error| error.to_string())?;
        let nfa = thompson::Compiler::new()
            .configure(thompson::Config::new().utf8(false).which_captures(thompson::WhichCaptures::None))
            .build_from_hir(hir)
            .map_err(|error| error.to_string())?;
        let longest = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .cache_capacity(16 << 20)
                    .skip_cache_capacity_check(true)
                    .unicode_word_boundary(false),
            )
            .build_from_nfa(nfa)
            .ok()
            .map(|dfa| {
                let maker = dfa.clone();
                let pool: CachePool = Pool::new(Box::new(move || maker.create_cache()));
                (dfa, pool)
            });
        Ok(Self { leftmost, longest })
    }

    /// Whether the line (without its line feed) matches.
    pub fn is_match(&self, line: &[u8]) -> bool {
        self.leftmost.is_match(line)
    }

    /// The non-empty matches of a line (without its line feed), from left to right.
    pub fn spans<'a>(&'a self, line: &'a [u8]) -> Spans<'a> {
        Spans { finder: self, line, at: 0 }
    }

    fn find(&self, line: &[u8], from: usize) -> Option<(usize, usize)> {
        let found = self.leftmost.find(Input::new(line).range(from..))?;
        let mut end = found.end();
        if let Some((dfa, pool)) = &self.longest {
            let input = Input::new(line).range(found.start()..).anchored(Anchored::Yes);
            // The search fails only on an overfull cache, which is then cleared and refilled.
            if let Ok(Some(half)) = dfa.try_search_fwd(&mut pool.get(), &input) {
                end = half.offset();
            }
        }
        Some((found.start(), end))
    }
}

/// See [`Finder::spans`]: byte ranges within the line.
pub struct Spans<'a> {
    finder: &'a Finder,
    line: &'a [u8],
    at: usize,
}

impl Iterator for Spans<'_> {
    type Item = std::ops::Range<usize>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at <= self.line.len() {
            let (start, end) = self.finder.find(self.line, self.at)?;
            if start < end {
                self.at = end;
                return Some(start..end);
            }
            // An empty match is not shown; the next one may start a byte further on.
            self.at = start + 1;
        }
        None
    }
}
