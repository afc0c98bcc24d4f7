//! POSIX extended regular expressions as GNU grep reads them, rewritten for `regex-syntax`.
//!
//! The two languages share most of their look and differ in the corners: bracket expressions,
//! what a backslash means, braces that are no interval, operators with nothing before them, word
//! anchors. The rewriting parses the pattern by grep's rules and writes every literal, class and
//! operator in a form that has one reading only.

use std::fmt::Write as _;

use super::bracket;

/// POSIX' limit for the counts of an interval (`RE_DUP_MAX` of the GNU C library).
const MAX_COUNT: u32 = 32_767;
/// Groups within groups; keeps the recursion shallow on any input.
const MAX_DEPTH: u32 = 100;
/// Intervals on one atom, as in `a{2}{3}`.
const MAX_INTERVALS: u32 = 3;

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EreError {
    /// `\1` to `\9`: an automaton cannot remember what a group matched.
    #[error(
        "back-reference \\{0}: a table automaton cannot follow it; write the alternatives out, or use grep"
    )]
    BackReference(char),
    /// A group that is never closed.
    #[error("unmatched '(': close the group, or write '\\(' for the character")]
    Unclosed,
    /// Groups nested too deeply.
    #[error(
        "groups or intervals nested too deeply (more than {MAX_DEPTH} groups or {MAX_INTERVALS} intervals): flatten the pattern"
    )]
    TooDeep,
    /// A backslash with nothing behind it.
    #[error("trailing backslash: write '\\\\' for the character")]
    TrailingBackslash,
    /// An interval without sense, such as `{2,1}`.
    #[error(
        "invalid interval '{0}': write {{n}}, {{n,}}, {{,m}} or {{n,m}} with n <= m, or '\\{{' for the character"
    )]
    Interval(String),
    /// An interval with a count above POSIX' limit.
    #[error("interval '{0}' counts above {MAX_COUNT}: repeat the pattern less often")]
    TooBig(String),
    /// A malformed bracket expression.
    #[error("bracket expression: {0}")]
    Bracket(#[from] bracket::BracketError),
}

/// One character of a pattern: a byte, or with Unicode a scalar value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// A scalar value; in byte mode only ASCII.
    Char(char),
    /// A byte that is not part of a character.
    Byte(u8),
}

impl Unit {
    /// Writes this unit so that `regex-syntax` takes it literally.
    pub(super) fn write(self, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = match self {
            Unit::Char(c) if c.is_ascii_alphanumeric() => write!(out, "{c}"),
            Unit::Char(c) => write!(out, "\\x{{{:x}}}", u32::from(c)),
            Unit::Byte(b) => write!(out, "(?-u:\\x{b:02x})"),
        };
    }

    pub(super) fn is(self, c: char) -> bool {
        self == Unit::Char(c)
    }
}

/// Cuts a pattern into units. Without `unicode` every byte stands for itself.
pub(super) fn units(pattern: &[u8], unicode: bool) -> Vec<Unit> {
    let byte = |b: &u8| if b.is_ascii() { Unit::Char(char::from(*b)) } else { Unit::Byte(*b) };
    if !unicode {
        return pattern.iter().map(byte).collect();
    }
    let mut out = Vec::new();
    for chunk in pattern.utf8_chunks() {
        out.extend(chunk.valid().chars().map(Unit::Char));
        out.extend(chunk.invalid().iter().map(byte));
    }
    out
}

/// The pattern in the syntax of `regex-syntax`, to be parsed with multi-line mode on (so that `^`
/// and `$` are line anchors) and with the given setting of `unicode`.
///
/// `pattern` holds no line feed; the caller has split it there.
pub fn translate(pattern: &[u8], unicode: bool) -> Result<String, EreError> {
    let units = units(pattern, unicode);
    let mut parser = Parser { units: &units, at: 0, unicode };
    parser.alternation(0)
}

/// The bytes that the pattern matches when it has no operator in it: patterns that are plain
/// words take the faster way to a table.
pub fn as_literal(pattern: &[u8]) -> Option<&[u8]> {
    (!pattern.iter().any(|b| br"\^$.[]|()*+?{}".contains(b))).then_some(pattern)
}

pub(super) struct Parser<'a> {
    pub(super) units: &'a [Unit],
    pub(super) at: usize,
    pub(super) unicode: bool,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<Unit> {
        self.units.get(self.at).copied()
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let hit = self.peek().is_some_and(|unit| unit.is(c));
        self.at += usize::from(hit);
        hit
    }

    fn alternation(&mut self, depth: u32) -> Result<String, EreError> {
        let mut out = String::from("(?:");
        loop {
            match self.peek() {
                None => break,
                Some(unit) if unit.is(')') && depth > 0 => break,
                Some(unit) if unit.is('|') => {
                    self.at += 1;
                    out.push('|');
                }
                Some(_) => {
                    let piece = self.repeated(depth)?;
                    out.push_str(&piece);
                }
            }
        }
        out.push(')');
        Ok(out)
    }

    /// An atom with the operators behind it. An operator with nothing before it repeats the empty
    /// expression, as in grep.
    fn repeated(&mut self, depth: u32) -> Result<String, EreError> {
        let mut piece = match self.peek() {
            Some(Unit::Char('*' | '+' | '?')) => String::from("(?:)"),
            Some(Unit::Char('{')) if self.interval()?.is_some() => String::from("(?:)"),
            _ => self.atom(depth)?,
        };
        let mut intervals = 0;
        loop {
            let run = self.run();
            if !run.is_empty() {
                piece = format!("(?:{piece}){run}");
                continue;
            }
            let Some(Unit::Char('{')) = self.peek() else { break };
            let Some((length, text)) = self.interval()? else { break };
            self.at += length;
            intervals += 1;
            if intervals > MAX_INTERVALS {
                return Err(EreError::TooDeep);
            }
            piece = format!("(?:{piece}){text}");
        }
        Ok(piece)
    }

    /// A run of `*`, `+` and `?` is one operator: zero times if any of them allows it, many times
    /// if any does.
    fn run(&mut self) -> &'static str {
        let (mut zero, mut many) = (false, false);
        while let Some(Unit::Char(c @ ('*' | '+' | '?'))) = self.peek() {
            zero |= c != '+';
            many |= c != '?';
            self.at += 1;
        }
        match (zero, many) {
            (true, true) => "*",
            (false, true) => "+",
            (true, false) => "?",
            (false, false) => "",
        }
    }

    fn atom(&mut self, depth: u32) -> Result<String, EreError> {
        let unit = self.units[self.at];
        self.at += 1;
        let text = match unit {
            Unit::Char('(') => {
                if depth >= MAX_DEPTH {
                    return Err(EreError::TooDeep);
                }
                let group = self.alternation(depth + 1)?;
                if !self.eat(')') {
                    return Err(EreError::Unclosed);
                }
                return Ok(group);
            }
            Unit::Char('[') => return Ok(bracket::translate(self)?),
            Unit::Char('\\') => return self.escape(),
            Unit::Char('.') => ".",
            Unit::Char('^') => "^",
            Unit::Char('$') => "$",
            _ => {
                let mut out = String::new();
                unit.write(&mut out);
                return Ok(out);
            }
        };
        Ok(text.to_owned())
    }

    fn escape(&mut self) -> Result<String, EreError> {
        let unit = self.peek().ok_or(EreError::TrailingBackslash)?;
        self.at += 1;
        let text = match unit {
            Unit::Char(c @ '1'..='9') => return Err(EreError::BackReference(c)),
            Unit::Char('<') => "\\b{start}",
            Unit::Char('>') => "\\b{end}",
            Unit::Char('b') => "\\b",
            Unit::Char('B') => "\\B",
            // The buffer that these two anchor to is the line.
            Unit::Char('`') => "^",
            Unit::Char('\'') => "$",
            Unit::Char('w') => "\\w",
            Unit::Char('W') => "\\W",
            Unit::Char('s') => "\\s",
            Unit::Char('S') => "\\S",
            _ => {
                let mut out = String::new();
                unit.write(&mut out);
                return Ok(out);
            }
        };
        Ok(text.to_owned())
    }

    /// Looks at the `{` under the cursor: the length and text of the interval, or `None` where the
    /// brace is an ordinary character. The distinction is that of the GNU C library.
    fn interval(&self) -> Result<Option<(usize, String)>, EreError> {
        let rest = &self.units[self.at + 1..];
        let Some(close) = rest.iter().position(|unit| unit.is('}')) else { return Ok(None) };
        let text: String =
            rest[..close].iter().map(|unit| if let Unit::Char(c) = unit { *c } else { '?' }).collect();
        let (low, high) = match text.split_once(',') {
            Some((low, high)) => (low, Some(high)),
            None => (text.as_str(), None),
        };
        let shown = || format!("{{{text}}}");
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !digits(low) || high.is_some_and(|high| !digits(high.split(',').next().unwrap_or(high))) {
            return Ok(None);
        }
        if low.is_empty() && high.is_none() || high.is_some_and(|high| high.contains(',')) {
            return Err(EreError::Interval(shown()));
        }
        let count = |part: &str| part.parse::<u32>().unwrap_or(u32::MAX);
        let min = if low.is_empty() { 0 } else { count(low) };
        let max = match high {
            None => Some(min),
            Some("") => None,
            Some(high) => Some(count(high)),
        };
        if max.is_some_and(|max| max < min) {
            return Err(EreError::Interval(shown()));
        }
        if max.unwrap_or(min) > MAX_COUNT {
            return Err(EreError::TooBig(shown()));
        }
        let text = match max {
            Some(max) => format!("{{{min},{max}}}"),
            None => format!("{{{min},}}"),
        };
        Ok(Some((close + 2, text)))
    }
}
