//! Patterns, from the user's words to a table for the kernel and a finder for the host.
//!
//! The table says *which lines* match; that is all the kernel does. Where in a line the match lies
//! (`-o`, `--color`, `--json`) is found afterwards on the host, in matching lines only.

mod bracket;
mod ere;
mod factor;
mod finder;

use std::sync::OnceLock;

use aho_corasick::automaton::Automaton as _;
use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton as _, dense},
    nfa::thompson,
    util::start,
};
use regex_syntax::{
    ParserBuilder,
    hir::{Hir, HirKind, Look},
};

pub use bracket::BracketError;
pub use ere::EreError;
pub use finder::{Finder, Spans};

use super::table::{self, DEFAULT_SIZE_LIMIT, Next, Table, TableTooBig};

/// How patterns are read; the names are grep's.
#[derive(Clone, Debug)]
pub struct Options {
    /// `-F`: patterns are literal bytes.
    pub fixed: bool,
    /// `-i`.
    pub ignore_case: bool,
    /// `-w`: a match is bounded by non-word characters.
    pub word: bool,
    /// `-x`: a match is a whole line.
    pub line: bool,
    /// `--unicode`: characters are UTF-8 scalar values, not bytes.
    pub unicode: bool,
    /// `--dfa-size-limit`, in bytes.
    pub size_limit: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            fixed: false,
            ignore_case: false,
            word: false,
            line: false,
            unicode: false,
            size_limit: DEFAULT_SIZE_LIMIT,
        }
    }
}

/// Why a set of patterns cannot be compiled.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PatternError {
    /// One of the patterns is no expression that this program takes.
    #[error("pattern '{pattern}': {source}")]
    Syntax {
        /// The pattern, lossily decoded.
        pattern: String,
        /// What is wrong with it.
        source: EreError,
    },
    /// The pattern is well formed but outside what a byte automaton can express.
    #[error("pattern '{pattern}': {reason}")]
    Unsupported {
        /// The pattern, lossily decoded.
        pattern: String,
        /// In the words of the regex library.
        reason: String,
    },
    /// The automaton does not fit.
    #[error(transparent)]
    TooBig(#[from] TableTooBig),
    /// The automaton could not be built.
    #[error("cannot build an automaton for these patterns: {0}")]
    Build(String),
}

/// Compiled patterns. Shared freely between threads.
#[derive(Debug)]
pub struct Patterns {
    table: Table,
    verify: bool,
    hir: Hir,
    finder: OnceLock<Finder>,
}

impl Patterns {
    /// Compiles a set of patterns; a line matches when any of them does.
    ///
    /// A line feed in a pattern separates two patterns. An empty set matches nothing, an empty
    /// pattern every line.
    pub fn compile<P: AsRef<[u8]>>(patterns: &[P], options: &Options) -> Result<Self, PatternError> {
        let mut patterns: Vec<&[u8]> =
            patterns.iter().flat_map(|p| p.as_ref().split(|b| *b == b'\n')).collect();
        patterns.sort_unstable();
        patterns.dedup();
        let literals: Option<Vec<&[u8]>> =
            patterns.iter().map(|p| if options.fixed { Some(*p) } else { ere::as_literal(p) }).collect();
        let ascii_case = options.ignore_case && !options.unicode;
        let hir = match &literals {
            Some(literals) if !options.ignore_case || ascii_case => {
                Hir::alternation(literals.iter().map(|p| literal(p, ascii_case)).collect())
            }
            _ => {
                let parsed: Result<Vec<_>, _> = patterns.iter().map(|p| parse(p, options)).collect();
                factor::alternation(&parsed?)
            }
        };
        let hir = bounded(hir, options);
        let verify = hir.properties().look_set().contains_word_unicode();
        let table = match literals {
            Some(literals) if !(options.word || options.line) && (!options.ignore_case || ascii_case) => {
                literal_table(&literals, ascii_case, options.size_limit)?
            }
            Some(literals) if ascii_case => {
                // Folding the finished table is far cheaper than an automaton over both cases.
                let lower = literals.iter().map(|p| Hir::literal(p.to_ascii_lowercase())).collect();
                let mut table = regex_table(&bounded(Hir::alternation(lower), options), options)?;
                table::fold_ascii_case(&mut table);
                table
            }
            _ if verify => regex_table(&without_unicode_words(&hir), options)?,
            _ => regex_table(&hir, options)?,
        };
        Ok(Self { table, verify, hir, finder: OnceLock::new() })
    }

    /// The automaton for the kernel.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Whether the table accepts too much, so that each line it reports has to be confirmed by
    /// [`Finder::is_match`]: Unicode word boundaries are more than a byte automaton can decide.
    pub fn needs_confirmation(&self) -> bool {
        self.verify
    }

    /// What finds the matches within a line; built when it is first asked for.
    pub fn finder(&self) -> Result<&Finder, PatternError> {
        if let Some(finder) = self.finder.get() {
            return Ok(finder);
        }
        let built = Finder::new(&self.hir).map_err(PatternError::Build)?;
        Ok(self.finder.get_or_init(|| built))
    }
}

fn literal(bytes: &[u8], ignore_case: bool) -> Hir {
    if !ignore_case || !bytes.iter().any(u8::is_ascii_alphabetic) {
        return Hir::literal(bytes);
    }
    let either = |b: &u8| {
        use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange};
        let (lower, upper) = (b.to_ascii_lowercase(), b.to_ascii_uppercase());
        let ranges = [ClassBytesRange::new(lower, lower), ClassBytesRange::new(upper, upper)];
        Hir::class(Class::Bytes(ClassBytes::new(ranges)))
    };
    Hir::concat(bytes.iter().map(either).collect())
}

fn parse(pattern: &[u8], options: &Options) -> Result<Hir, PatternError> {
    let shown = || String::from_utf8_lossy(pattern).into_owned();
    let source = if options.fixed {
        let mut out = String::new();
        ere::units(pattern, options.unicode).iter().for_each(|unit| unit.write(&mut out));
        out
    } else {
        ere::translate(pattern, options.unicode)
            .map_err(|source| PatternError::Syntax { pattern: shown(), source })?
    };
    ParserBuilder::new()
        .utf8(false)
        .unicode(options.unicode)
        .multi_line(true)
        .case_insensitive(options.ignore_case)
        .nest_limit(1000)
        .build()
        .parse(&source)
        .map_err(|error| PatternError::Unsupported { pattern: shown(), reason: error.to_string() })
}

/// Applies `-x` and `-w`.
fn bounded(hir: Hir, options: &Options) -> Hir {
    let (before, after) = match (options.line, options.word, options.unicode) {
        (true, ..) => (Look::StartLF, Look::EndLF),
        (_, true, false) => (Look::WordStartHalfAscii, Look::WordEndHalfAscii),
        (_, true, true) => (Look::WordStartHalfUnicode, Look::WordEndHalfUnicode),
        _ => return hir,
    };
    Hir::concat(vec![Hir::look(before), hir, Hir::look(after)])
}

/// The expression without its Unicode word boundaries: it matches whatever the whole one does.
fn without_unicode_words(hir: &Hir) -> Hir {
    let all = |parts: &[Hir]| parts.iter().map(without_unicode_words).collect();
    match hir.kind() {
        HirKind::Look(look) if look_is_unicode_word(*look) => Hir::empty(),
        HirKind::Concat(parts) => Hir::concat(all(parts)),
        HirKind::Alternation(parts) => Hir::alternation(all(parts)),
        HirKind::Capture(capture) => without_unicode_words(&capture.sub),
        HirKind::Repetition(repetition) => {
            Hir::repetition(repetition.with(without_unicode_words(&repetition.sub)))
        }
        _ => hir.clone(),
    }
}

fn look_is_unicode_word(look: Look) -> bool {
    regex_syntax::hir::LookSet::singleton(look).contains_word_unicode()
}

fn literal_table(literals: &[&[u8]], ignore_case: bool, limit: usize) -> Result<Table, PatternError> {
    let lower: Vec<Vec<u8>> =
        literals.iter().map(|p| if ignore_case { p.to_ascii_lowercase() } else { p.to_vec() }).collect();
    let ac =
        aho_corasick::nfa::noncontiguous::NFA::new(&lower).map_err(|e| PatternError::Build(e.to_string()))?;
    let unanchored = aho_corasick::Anchored::No;
    let start = ac.start_state(unanchored).map_err(|e| PatternError::Build(e.to_string()))?;
    let all = ac.is_match(start);
    let mut table = table::build(start, limit, |state, byte| {
        let next = ac.next_state(unanchored, state, byte);
        if all || byte != b'\n' && ac.is_match(next) { Next::Match } else { Next::State(next) }
    })?;
    if ignore_case {
        table::fold_ascii_case(&mut table);
    }
    Ok(table)
}

fn regex_table(hir: &Hir, options: &Options) -> Result<Table, PatternError> {
    let too_big = || TableTooBig { limit: options.size_limit };
    let build = |error: &dyn std::fmt::Display| PatternError::Build(error.to_string());
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(thompson::WhichCaptures::None)
                .nfa_size_limit(Some(options.size_limit)),
        )
        .build_from_hir(hir)
        .map_err(|error| if error.size_limit().is_some() { too_big().into() } else { build(&error) })?;
    let dfa = dense::Builder::new()
        .configure(
            dense::Config::new()
                .match_kind(MatchKind::All)
                .start_kind(regex_automata::dfa::StartKind::Unanchored)
                .accelerate(false)
                .dfa_size_limit(Some(options.size_limit))
                .determinize_size_limit(Some(options.size_limit.saturating_mul(4))),
        )
        .build_from_nfa(&nfa)
        .map_err(|error| if error.is_size_limit_exceeded() { too_big().into() } else { build(&error) })?;
    let config = start::Config::new().anchored(Anchored::No).look_behind(Some(b'\n'));
    let start = dfa.start_state(&config).map_err(|error| build(&error))?;
    // A match shows one byte late, so the entry for a line feed tells of matches that end at the
    // end of the line; one that would take the line feed in would show later still, and never does.
    Ok(table::build(start, options.size_limit, |state, byte| {
        let next = dfa.next_state(state, byte);
        if dfa.is_match_state(next) {
            Next::Match
        } else if dfa.is_dead_state(next) {
            Next::Dead
        } else {
            Next::State(next)
        }
    })?)
}
