//! `ringfence scan`: grep for thousands of patterns at once.

mod args;
mod inputs;
mod plain;
mod report;
mod walker;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::process::ExitCode;
use std::sync::Arc;

use ringfence::io::arena::Arena;
use ringfence::io::engine;
use ringfence::scan::chunk::STRIDE_BYTES;
use ringfence::scan::feed::Scanned;
use ringfence::scan::pattern::{Options, Patterns};
use ringfence::scan::pipeline;
use ringfence::scan::select::{Selection, Selector};

pub use args::Args;
use args::When;
use inputs::Roots;
use plain::{Plain, Style, What};
use report::{Report, describe};

use crate::common::Global;

/// Blocks in the arena: enough reads ahead for the walks in flight, at 16 MiB.
const BLOCKS: usize = 64;

/// Runs the search. Exit code: 0 a line was selected, 1 none was, 2 trouble.
pub fn run(global: &Global, args: Args) -> ExitCode {
    match search(global, args) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            let _ = writeln!(io::stderr(), "ringfence: {message}");
            ExitCode::from(2)
        }
    }
}

fn search(global: &Global, mut args: Args) -> Result<u8, String> {
    let patterns = patterns(&mut args)?;
    if args.max_count == Some(0) {
        return Ok(1);
    }
    let options = Options {
        fixed: args.fixed,
        ignore_case: args.ignore_case,
        word: args.word,
        line: args.line,
        unicode: args.unicode,
        size_limit: args.dfa_size_limit,
    };
    let patterns = Arc::new(Patterns::compile(&patterns, &options).map_err(|error| error.to_string())?);

    let roots = Roots::new(&args, &args.paths);
    let style = style(&args, roots.named);
    let selection = Selection {
        invert: args.invert,
        max: match style.what {
            What::Lines | What::Counts => args.max_count,
            _ => Some(1),
        },
        lines: style.what == What::Lines,
        numbers: args.line_number,
    };
    let confirm = patterns.needs_confirmation();
    let spans = style.what == What::Lines && (style.only_matching || style.color) && !args.invert;
    let finder =
        if spans || confirm { Some(patterns.finder().map_err(|error| error.to_string())?) } else { None };

    let arena = Arena::new(BLOCKS * STRIDE_BYTES)
        .map_err(|error| format!("memory for reading: {}", describe(&error)))?;
    let mut reads = engine::open(args.engine.into(), &arena)
        .map_err(|error| format!("no engine to read files with: {}", describe(&error)))?;
    let mut walks = walker::open(global.builder(), &patterns, &arena)?;

    let out = io::BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let plain = Plain { out, style, finder, report: Report::new(args.no_messages) };
    let mut selector = Selector::new(selection, plain);
    selector.confirm = confirm;
    let prompt = io::stdout().is_terminal();
    let quiet = args.quiet;
    let sink = |scanned| {
        match scanned {
            Scanned::Chunk(chunk, matches) => selector.chunk(&chunk, &matches),
            Scanned::Failed(source, error) => {
                selector.broken(&source);
                selector.lines().report.failed(&source.name, &error);
            }
            Scanned::Trouble(message) => selector.lines().report.trouble(&message),
        }
        let plain = selector.lines();
        if prompt && plain.report.output.is_ok() {
            plain.report.output = plain.out.flush();
        }
        if plain.report.output.is_err() || quiet && plain.report.found {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let inputs = roots.inputs();
    pipeline::scan(inputs, &arena, reads.engine.as_mut(), walks.engine.as_mut(), args.text, sink)
        .map_err(|error| error.to_string())?;

    let plain = selector.lines();
    if plain.report.output.is_ok() {
        plain.report.output = plain.out.flush();
    }
    let report = &plain.report;
    match &report.output {
        // The reader of the output has gone: not for us to complain about.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => return Err(format!("write error: {}", describe(error))),
        Ok(()) => {}
    }
    Ok(match (report.found, report.trouble) {
        (true, _) if args.quiet => 0,
        (_, true) => 2,
        (true, false) => 0,
        (false, false) => 1,
    })
}

/// The patterns of -e and -f, or of the first path.
fn patterns(args: &mut Args) -> Result<Vec<Vec<u8>>, String> {
    if args.patterns.is_empty() && args.files.is_empty() {
        if args.paths.is_empty() {
            return Err("no pattern: give one with -e PATTERN or -f FILE".to_owned());
        }
        let first = args.paths.remove(0);
        return Ok(vec![first.into_vec()]);
    }
    let mut patterns: Vec<Vec<u8>> = args.patterns.drain(..).map(OsString::into_vec).collect();
    for file in &args.files {
        let mut bytes = Vec::new();
        let read = if file == "-" {
            io::stdin().read_to_end(&mut bytes).map(drop)
        } else {
            std::fs::read(file).map(|read| bytes = read)
        };
        read.map_err(|error| format!("{}: {}", String::from_utf8_lossy(file.as_bytes()), describe(&error)))?;
        // Each line is a pattern; an empty file has none.
        if let Some(last) = bytes.last() {
            if *last == b'\n' {
                bytes.pop();
            }
            patterns.push(bytes);
        }
    }
    Ok(patterns)
}

fn style(args: &Args, named: bool) -> Style {
    Style {
        what: if args.quiet {
            What::Nothing
        } else if args.files_with_matches {
            What::With
        } else if args.files_without_match {
            What::Without
        } else if args.count {
            What::Counts
        } else {
            What::Lines
        },
        names: !args.no_filename && (args.with_filename || named),
        numbers: args.line_number,
        offsets: args.byte_offset,
        only_matching: args.only_matching,
        invert: args.invert,
        color: match args.color {
            When::Always => true,
            When::Never => false,
            When::Auto => io::stdout().is_terminal(),
        },
    }
}
