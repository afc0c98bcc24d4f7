//! Where in a line the matches are: leftmost, and of those the longest, as POSIX has it.

use regex_automata::{
    Anchored, Input, MatchKind,
    hybrid::dfa::{Cache, DFA},
    meta,
    nfa::thompson::{self, pikevm},
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
    longest: Longest,
}

/// From a start, runs on to the last end.
#[derive(Debug)]
enum Longest {
    Lazy(Box<DFA>, CachePool),
    /// For Unicode word boundaries, which a lazy DFA cannot follow: slower, and right.
    Simulated(Box<pikevm::PikeVM>),
}

impl Finder {
    pub(super) fn new(hir: &Hir) -> Result<Self, String> {
        let leftmost = meta::Builder::new()
            .configure(
                meta::Config::new().utf8_empty(false).nfa_size_limit(None).hybrid_cache_capacity(16 << 20),
            )
            .build_from_hir(hir)
            .map_err(|error| error.to_string())?;
        let nfa = |captures| {
            thompson::Compiler::new()
                .configure(thompson::Config::new().utf8(false).which_captures(captures))
                .build_from_hir(hir)
                .map_err(|error| error.to_string())
        };
        let lazy = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .cache_capacity(16 << 20)
                    .skip_cache_capacity_check(true)
                    .unicode_word_boundary(false),
            )
            .build_from_nfa(nfa(thompson::WhichCaptures::None)?);
        let longest = match lazy {
            Ok(dfa) => {
                let maker = dfa.clone();
                Longest::Lazy(Box::new(dfa), Pool::new(Box::new(move || maker.create_cache())))
            }
            Err(_) => {
                let nfa = nfa(thompson::WhichCaptures::Implicit)?;
                let vm = pikevm::Builder::new()
                    .configure(pikevm::Config::new().match_kind(MatchKind::All))
                    .build_from_nfa(nfa)
                    .map_err(|error| error.to_string())?;
                Longest::Simulated(Box::new(vm))
            }
        };
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
        let input = Input::new(line).range(found.start()..).anchored(Anchored::Yes);
        let end = match &self.longest {
            // The search fails only on an overfull cache, which is then cleared and refilled.
            Longest::Lazy(dfa, pool) => {
                dfa.try_search_fwd(&mut pool.get(), &input).ok().flatten().map(|half| half.offset())
            }
            Longest::Simulated(vm) => {
                let mut slots = [None; 2];
                vm.search_slots(&mut vm.create_cache(), &input, &mut slots);
                slots[1].map(|end| end.get())
            }
        };
        Some((found.start(), end.unwrap_or(found.end())))
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
