//! Which files to search, in which order, under which names.

use std::error::Error;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::{DirEntry, Walk, WalkBuilder};
use ringfence::scan::chunk::Source;
use ringfence::scan::ingest::Input;

use super::args::Args;
use super::report::describe;

/// The name that standard input has in messages.
pub const STANDARD_INPUT: &str = "(standard input)";

/// Where to look.
pub struct Roots {
    paths: Vec<PathBuf>,
    /// No path was given: names have no `./` in front.
    implicit: bool,
    /// By default: whether names are printed, as with grep -r.
    pub named: bool,
    hidden: bool,
    ignore: bool,
    /// Device and inode of the output, if reading it while it is written would never end.
    output: Option<(u64, u64)>,
}

impl Roots {
    pub fn new(args: &Args, paths: &[std::ffi::OsString]) -> Self {
        let implicit = paths.is_empty();
        let paths: Vec<PathBuf> = match paths {
            [] if !io::stdin().is_terminal() => vec!["-".into()],
            [] => vec![".".into()],
            paths => paths.iter().map(PathBuf::from).collect(),
        };
        let named = paths.len() > 1 || paths.iter().any(|path| path.as_os_str() != "-" && path.is_dir());
        Self { paths, implicit, named, hidden: args.hidden, ignore: !args.no_ignore, output: None }
    }

    /// Refuses to search the file that standard output goes to.
    pub fn without_output(mut self) -> Self {
        let output = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        let meta = output.and_then(|file| file.metadata());
        self.output = meta.ok().filter(|meta| meta.is_file()).map(|meta| (meta.dev(), meta.ino()));
        self
    }

    /// Everything to search. Directories are listed as the search comes to them.
    pub fn inputs(self) -> impl Iterator<Item = Input> + Send {
        let strip = self.implicit;
        let (hidden, ignore, output) = (self.hidden, self.ignore, self.output);
        self.paths.into_iter().flat_map(move |path| {
            let inputs: Box<dyn Iterator<Item = Input> + Send> = if path.as_os_str() == "-" {
                Box::new(std::iter::once(standard_input()))
            } else if path.is_dir() {
                Box::new(walk(&path, hidden, ignore).filter_map(move |entry| walked(entry, strip)))
            } else {
                Box::new(std::iter::once(Input::Path(Source::new(path.as_os_str().as_bytes()), path)))
            };
            inputs.map(move |input| refuse(input, output))
        })
    }
}

fn refuse(input: Input, output: Option<(u64, u64)>) -> Input {
    let (Some(output), Input::Path(source, path)) = (output, &input) else { return input };
    match path.metadata() {
        Ok(meta) if (meta.dev(), meta.ino()) == output => Input::Trouble(format!(
            "{}: input file is also the output",
            String::from_utf8_lossy(&source.name)
        )),
        _ => input,
    }
}

fn standard_input() -> Input {
    match io::stdin().as_fd().try_clone_to_owned() {
        Ok(fd) => Input::Open(Source::new(STANDARD_INPUT), Arc::new(File::from(fd))),
        Err(error) => Input::Trouble(format!("{STANDARD_INPUT}: {error}")),
    }
}

fn walk(root: &Path, hidden: bool, ignore: bool) -> Walk {
    WalkBuilder::new(root)
        .standard_filters(ignore)
        .hidden(!hidden)
        .follow_links(false)
        .sort_by_file_name(OsStr::cmp)
        .build()
}

/// A file that was found; directories, links and devices are passed over, as by grep -r.
fn walked(entry: Result<DirEntry, ignore::Error>, strip: bool) -> Option<Input> {
    let name = |path: &Path| match path.strip_prefix("./") {
        // The directory itself keeps its dot.
        Ok(inside) if strip && !inside.as_os_str().is_empty() => inside.to_owned(),
        _ => path.to_owned(),
    };
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => {
            return Some(Input::Trouble(match unlisted(&error) {
                Some((path, error)) => format!("{}: {}", name(path).display(), describe(error)),
                None => error.to_string(),
            }));
        }
    };
    if !entry.file_type().is_some_and(|kind| kind.is_file()) {
        return None;
    }
    let path = entry.into_path();
    Some(Input::Path(Source::new(name(&path).into_os_string().into_vec()), path))
}

/// The directory that could not be listed, and what the system said to it. The walker has put words of
/// its own around both.
fn unlisted(error: &ignore::Error) -> Option<(&Path, &io::Error)> {
    let ignore::Error::WithPath { path, err } = error else { return None };
    let error = err.io_error()?;
    Some((path, error.source().and_then(<dyn Error>::downcast_ref).unwrap_or(error)))
}
