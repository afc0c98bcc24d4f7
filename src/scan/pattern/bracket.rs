//! Bracket expressions: `[a-z]`, `[^]abc]`, `[[:alpha:]_]`, `[[.-.]]`, with grep's rules, in which
//! a backslash is an ordinary character and `]` is one when it comes first.

use std::fmt::Write as _;

use super::ere::{Parser, Unit};

/// Why a bracket expression is refused; the texts name what grep would.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BracketError {
    /// No closing bracket, or an open `[:`, `[.` or `[=`.
    #[error("unmatched '[': close it, or write '\\[' for the character")]
    Unclosed,
    /// `[:alpha:]` instead of `[[:alpha:]]`.
    #[error("a character class is written [[:{0}:]], not [:{0}:]")]
    BareClass(String),
    /// A class name that POSIX does not have.
    #[error(
        "unknown character class [:{0}:]: the classes are alnum alpha blank cntrl digit graph lower print punct space upper xdigit"
    )]
    UnknownClass(String),
    /// A collating element longer than a character.
    #[error("unknown collating element '{0}': in the C locale an element is one character")]
    Collation(String),
    /// A range whose end comes before its start, or whose end is a class.
    #[error("invalid range end: the end of a range is a single character not before its start")]
    RangeEnd,
}

/// What stands at one place between the brackets.
enum Item {
    One(Unit),
    Class(&'static str),
}

/// Rewrites the expression whose `[` the parser has just passed.
pub(super) fn translate(parser: &mut Parser<'_>) -> Result<String, BracketError> {
    let open = parser.at;
    let negated = parser.eat('^');
    let mut set = String::new();
    let mut bytes: Vec<(u8, u8)> = Vec::new();
    let mut first = true;
    loop {
        if !first && parser.eat(']') {
            break;
        }
        // Where a range could start, a dash is a character only first or last of all.
        if !first && parser.peek().is_some_and(|unit| unit.is('-')) && range_follows(parser) {
            return Err(BracketError::RangeEnd);
        }
        first = false;
        let start = match item(parser)? {
            Item::Class(class) => {
                set.push_str(class);
                // `[[:alpha:]-z]` has no start for its range; `[[:alpha:]-]` is a class and a dash.
                if range_follows(parser) {
                    return Err(BracketError::RangeEnd);
                }
                continue;
            }
            Item::One(unit) => unit,
        };
        let mut end = start;
        if range_follows(parser) {
            parser.at += 1;
            end = match item(parser)? {
                Item::One(end) => end,
                Item::Class(_) => return Err(BracketError::RangeEnd),
            };
            if end < start {
                return Err(BracketError::RangeEnd);
            }
        }
        match (start, end) {
            (Unit::Char(a), Unit::Char(b)) => range(&mut set, u32::from(a), u32::from(b)),
            (Unit::Char(a), Unit::Byte(b)) => {
                range(&mut set, u32::from(a), 0x7f);
                bytes.push((0x80, b));
            }
            (Unit::Byte(a), Unit::Byte(b)) => bytes.push((a, b)),
            (Unit::Byte(_), Unit::Char(_)) => return Err(BracketError::RangeEnd),
        }
    }
    bare_class(&parser.units[open..parser.at - 1])?;
    if !parser.unicode {
        for (a, b) in bytes.drain(..) {
            range(&mut set, u32::from(a), u32::from(b));
        }
    }
    Ok(finish(negated, &set, &bytes))
}

/// In Unicode mode a stray byte cannot be part of a class of characters: it becomes an alternative
/// to it; a negated class never matches stray bytes anyway.
fn finish(negated: bool, set: &str, bytes: &[(u8, u8)]) -> String {
    if negated {
        return format!("[^{set}\\n]");
    }
    let mut out = String::from("(?:");
    if !set.is_empty() {
        let _ = write!(out, "[{set}]");
    }
    for (index, (a, b)) in bytes.iter().enumerate() {
        let bar = if index > 0 || !set.is_empty() { "|" } else { "" };
        let _ = write!(out, "{bar}(?-u:[\\x{a:02x}-\\x{b:02x}])");
    }
    out.push(')');
    out
}

fn range(set: &mut String, a: u32, b: u32) {
    bound(set, a);
    set.push('-');
    bound(set, b);
}

/// A class of bytes takes two hexadecimal digits only; in a class of characters they mean the same.
fn bound(set: &mut String, value: u32) {
    let _ = if value <= 0xff { write!(set, "\\x{value:02x}") } else { write!(set, "\\x{{{value:x}}}") };
}

/// A dash with an end behind it; `-]` is a literal dash.
fn range_follows(parser: &Parser<'_>) -> bool {
    parser.peek().is_some_and(|unit| unit.is('-'))
        && parser.units.get(parser.at + 1).is_some_and(|unit| !unit.is(']'))
}

fn item(parser: &mut Parser<'_>) -> Result<Item, BracketError> {
    let unit = parser.peek().ok_or(BracketError::Unclosed)?;
    parser.at += 1;
    let kind = match parser.peek() {
        Some(Unit::Char(kind @ (':' | '.' | '='))) if unit.is('[') => kind,
        _ => return Ok(Item::One(unit)),
    };
    let rest = &parser.units[parser.at + 1..];
    let close =
        rest.windows(2).position(|pair| pair[0].is(kind) && pair[1].is(']')).ok_or(BracketError::Unclosed)?;
    let inner = &rest[..close];
    parser.at += close + 3;
    match (kind, inner) {
        (':', _) => class(&text(inner), parser.unicode).map(Item::Class),
        (_, [unit]) => Ok(Item::One(*unit)),
        _ => Err(BracketError::Collation(text(inner))),
    }
}

fn text(units: &[Unit]) -> String {
    units
        .iter()
        .map(|unit| match unit {
            Unit::Char(c) => *c,
            Unit::Byte(_) => char::REPLACEMENT_CHARACTER,
        })
        .collect()
}

/// The classes of the C locale, or in Unicode mode the nearest properties, in the notation of
/// `regex-syntax`.
fn class(name: &str, unicode: bool) -> Result<&'static str, BracketError> {
    let (ascii, wide) = match name {
        "alnum" => ("[:alnum:]", "\\p{Alphabetic}\\p{N}"),
        "alpha" => ("[:alpha:]", "\\p{Alphabetic}"),
        "blank" => ("[:blank:]", "\\t\\p{Zs}"),
        "cntrl" => ("[:cntrl:]", "\\p{Cc}"),
        "digit" => ("[:digit:]", "[:digit:]"),
        "graph" => ("[:graph:]", "[:graph:]\\p{Alphabetic}\\p{N}\\p{P}\\p{S}\\p{M}"),
        "lower" => ("[:lower:]", "\\p{Lowercase}"),
        "print" => ("[:print:]", "[:print:]\\p{Alphabetic}\\p{N}\\p{P}\\p{S}\\p{M}\\p{Zs}"),
        "punct" => ("[:punct:]", "\\p{P}\\p{S}"),
        "space" => ("[:space:]", "\\s"),
        "upper" => ("[:upper:]", "\\p{Uppercase}"),
        "xdigit" => ("[:xdigit:]", "[:xdigit:]"),
        _ => return Err(BracketError::UnknownClass(name.to_owned())),
    };
    Ok(if unicode { wide } else { ascii })
}

/// grep takes `[:space:]` for a slip of the pen and refuses it; so does this.
fn bare_class(inner: &[Unit]) -> Result<(), BracketError> {
    match inner {
        [Unit::Char(':'), name @ .., Unit::Char(':')] if !name.is_empty() => {
            Err(BracketError::BareClass(text(name)))
        }
        _ => Ok(()),
    }
}
