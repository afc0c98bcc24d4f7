//! `glsl/modules`: which modules there are, and from what each is compiled.
//!
//! One module a line: `name source.comp [DEFINE[=VALUE]...]`. `#` starts a comment.

use super::Result;

/// One line of the manifest.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name of the module and of its file in `spirv/`.
    pub name: String,
    /// Source file, relative to `glsl/`.
    pub source: String,
    /// Preprocessor definitions, in order.
    pub defines: Vec<(String, Option<String>)>,
}

/// Parses the manifest; entries come back sorted by name.
///
/// # Errors
/// Names the line that is malformed or repeats a name.
pub fn parse(text: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(name) = words.next() else { continue };
        let at = |what: String| format!("glsl/modules line {}: {what}", number + 1);
        if !is_name(name) {
            return Err(at(format!("'{name}' is no module name; use a-z, 0-9 and _, a letter first")));
        }
        if entries.iter().any(|e| e.name == name) {
            return Err(at(format!("module '{name}' is listed twice; remove one")));
        }
        let source = words.next().ok_or_else(|| at(format!("'{name}' names no source file; add one")))?;
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !source.split('/').all(plain) || source.contains('\\') {
            return Err(at(format!("'{source}' must be a path inside glsl/, with no '.' or '..' parts")));
        }
        let defines = words
            .map(|word| match word.split_once('=') {
                Some((key, value)) if is_identifier(key) => Ok((key.into(), Some(value.into()))),
                None if is_identifier(word) => Ok((word.into(), None)),
                _ => Err(at(format!("'{word}' is no definition; write NAME or NAME=VALUE"))),
            })
            .collect::<Result<_>>()?;
        entries.push(Entry { name: name.into(), source: source.into(), defines });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn is_name(name: &str) -> bool {
    is_identifier(name) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_identifier(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
