//! Patterns from the command line and from files.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;

use super::args::Args;
use super::report::describe;

/// The patterns of -e and -f, or without either the first path, which is then taken from `args`.
pub fn patterns(args: &mut Args) -> Result<Vec<Vec<u8>>, String> {
    if args.patterns.is_empty() && args.files.is_empty() {
        if args.paths.is_empty() {
            return Err("no pattern: give one with -e PATTERN or -f FILE".to_owned());
        }
        return Ok(vec![args.paths.remove(0).into_vec()]);
    }
    let mut patterns: Vec<Vec<u8>> = args.patterns.drain(..).map(OsString::into_vec).collect();
    for file in &args.files {
        let mut bytes = read(file).map_err(|error| format!("{}: {}", file.display(), describe(&error)))?;
        // Each line is a pattern, so an empty file has none.
        if let Some(last) = bytes.last() {
            if *last == b'\n' {
                bytes.pop();
            }
            patterns.push(bytes);
        }
    }
    Ok(patterns)
}

fn read(file: &OsString) -> io::Result<Vec<u8>> {
    if file != "-" {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}
