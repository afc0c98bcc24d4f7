//! Options of `ringfence scan`; letters and meanings are grep's.

use std::ffi::OsString;

use clap::{ArgAction, ValueEnum};
use ringfence::scan::table::DEFAULT_SIZE_LIMIT;

use crate::common::Engine;
use crate::observing::Observing;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On every output.
    Always,
    /// Never.
    Never,
    /// On a terminal.
    Auto,
}

/// Print the lines of files that match any of the patterns.
///
/// Patterns are POSIX extended regular expressions over bytes, or literals with -F. Directories are
/// searched with all that is in them, except hidden files and what .gitignore and .ignore files
/// exclude.
#[derive(Clone, Debug, clap::Args)]
#[command(disable_help_flag = true, args_override_self = true)]
pub struct Args {
    /// A pattern; may be given more than once. Without -e and -f the first PATH is the pattern.
    #[arg(short = 'e', long = "regexp", value_name = "PATTERN", allow_hyphen_values = true)]
    pub patterns: Vec<OsString>,
    /// A file with one pattern a line; `-` is standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub files: Vec<OsString>,
    /// Patterns are literal strings.
    #[arg(short = 'F', long = "fixed-strings")]
    pub fixed: bool,
    /// Patterns are extended regular expressions; the default, taken for grep's sake.
    #[arg(short = 'E', long = "extended-regexp", hide = true)]
    pub extended: bool,
    /// Search directories; always so, taken for grep's sake.
    #[arg(short = 'r', long = "recursive", hide = true)]
    pub recursive: bool,
    /// Ignore the case of letters.
    #[arg(short = 'i', long = "ignore-case")]
    pub ignore_case: bool,
    /// Select the lines that do not match.
    #[arg(short = 'v', long = "invert-match")]
    pub invert: bool,
    /// A match is bounded by characters that are no letters, digits or underscores.
    #[arg(short = 'w', long = "word-regexp")]
    pub word: bool,
    /// A match is a whole line.
    #[arg(short = 'x', long = "line-regexp")]
    pub line: bool,
    /// Treat binary files as text.
    #[arg(short = 'a', long = "text")]
    pub text: bool,
    /// No messages about files that cannot be read.
    #[arg(short = 's', long = "no-messages")]
    pub no_messages: bool,
    /// Print nothing; stop at the first match.
    #[arg(short = 'q', long = "quiet", visible_alias = "silent")]
    pub quiet: bool,
    /// Stop a file after that many selected lines; a negative number is no limit.
    #[arg(short = 'm', long = "max-count", value_name = "N", allow_hyphen_values = true,
          value_parser = max_count)]
    pub max_count: Option<u64>,
    /// Print the file's name with each line.
    #[arg(short = 'H', long = "with-filename", overrides_with = "no_filename")]
    pub with_filename: bool,
    /// Print no file names.
    #[arg(short = 'h', long = "no-filename")]
    pub no_filename: bool,
    /// Print line numbers.
    #[arg(short = 'n', long = "line-number")]
    pub line_number: bool,
    /// Print where in the file each line begins, in bytes.
    #[arg(short = 'b', long = "byte-offset")]
    pub byte_offset: bool,
    /// Print the matching parts only.
    #[arg(short = 'o', long = "only-matching")]
    pub only_matching: bool,
    /// Print the number of selected lines of each file.
    #[arg(short = 'c', long = "count")]
    pub count: bool,
    /// Print the names of files with selected lines.
    #[arg(short = 'l', long = "files-with-matches", overrides_with = "files_without_match")]
    pub files_with_matches: bool,
    /// Print the names of files without selected lines.
    #[arg(short = 'L', long = "files-without-match")]
    pub files_without_match: bool,
    /// Search hidden files and directories too.
    #[arg(long)]
    pub hidden: bool,
    /// Search what .gitignore and .ignore files exclude too.
    #[arg(long)]
    pub no_ignore: bool,
    /// Characters are UTF-8 scalar values instead of bytes.
    #[arg(long)]
    pub unicode: bool,
    /// Highlight matches, names and numbers.
    #[arg(long, visible_alias = "colour", value_enum, value_name = "WHEN", num_args = 0..=1,
          default_value = "never", default_missing_value = "auto", require_equals = true)]
    pub color: When,
    /// Print what was done and how fast, to standard error.
    #[arg(long)]
    pub stats: bool,
    /// The largest automaton, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_SIZE_LIMIT)]
    pub dfa_size_limit: usize,
    /// How files are read.
    #[arg(long, value_enum, default_value = "auto", hide = true)]
    pub engine: Engine,
    #[command(flatten)]
    pub observing: Observing,
    /// Print this help.
    #[arg(long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// Files and directories; `-` is standard input. Without any: standard input if it is piped,
    /// else the current directory.
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,
}

impl Args {
    /// Refuses options that say how lines are printed where `--json` prints objects. -q stays: it leaves
    /// the summary.
    pub fn check_json(&self) -> Result<(), String> {
        let options = [
            (self.count, "-c (--count)"),
            (self.files_with_matches, "-l (--files-with-matches)"),
            (self.files_without_match, "-L (--files-without-match)"),
            (self.only_matching, "-o (--only-matching)"),
        ];
        match options.iter().find(|(given, _)| *given) {
            Some((_, option)) => Err(format!("--json cannot be used with {option}")),
            None => Ok(()),
        }
    }
}

/// A number as C's strtol reads it and grep takes it: white space and a sign may come first, more than
/// fits is the most, and below 0 there is no limit.
fn max_count(text: &str) -> Result<u64, String> {
    let number = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("it takes a whole number".to_owned());
    }
    // Too many digits is the one error that is left.
    let number = digits.parse().unwrap_or(u64::MAX);
    Ok(if negative && number > 0 { u64::MAX } else { number })
}
