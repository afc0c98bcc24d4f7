//! `ringfence scan`: grep for thousands of patterns at once.

mod args;
mod inputs;
mod json;
mod plain;
mod printer;
mod progress;
mod report;
mod session;
mod words;

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use ringfence::io::arena::Arena;
use ringfence::io::transfer::{Description, EngineChoice, TransferOptions, open_transfer};
use ringfence::io::window::Window;
use ringfence::scan::chunk::STRIDE_BYTES;
use ringfence::scan::feed::{FeedTotals, Scanned};
use ringfence::scan::pattern::{Options, Patterns};
use ringfence::scan::pipeline;
use ringfence::scan::select::{Selection, Selector};

use crate::common::{self, Global};
pub use args::Args;
use args::When;
use inputs::Roots;
use json::Json;
use plain::{Plain, Style, What};
use printer::Printer;
use progress::Progress;
use report::{Report, describe};
use session::Session;

/// Blocks in the arena: twice the walks in flight, 32 MiB.
const BLOCKS: usize = 128;
/// Reads on their way at most.
const READS: usize = 128;

/// Runs the search. Exit code: 0 a line was selected, 1 none was, 2 trouble.
pub fn run(global: &Global, args: Args) -> ExitCode {
    match search(global, args) {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            // Standard error may be closed; then there is nobody to tell.
            let _ = writeln!(io::stderr(), "ringfence: {message}");
            ExitCode::from(2)
        }
    }
}

fn search(global: &Global, mut args: Args) -> Result<u8, String> {
    if global.json {
        args.check_json()?;
    }
    let patterns = words::patterns(&mut args)?;
    // grep looks at nothing then, not even at the patterns, unless it has to name files.
    if args.max_count == Some(0) && (args.quiet || !args.files_without_match) {
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
    let finder = || patterns.finder().map_err(|error| error.to_string());
    let confirm = patterns.needs_confirmation();
    let roots = Roots::new(&args, &args.paths);
    let style = style(&args, roots.named);
    // As with grep: where one line or none is printed of a file there is no circle to fear.
    let circle = style.what == What::Lines && args.max_count != Some(1);
    let roots = if circle { roots.without_output() } else { roots };
    let out = io::BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let report = Report::new(args.no_messages);
    if global.json {
        let selection = Selection {
            invert: args.invert,
            max: if args.quiet { Some(1) } else { args.max_count },
            lines: !args.quiet,
            numbers: true,
        };
        let json = Json::new(out, finder()?, args.invert, args.quiet, report);
        let mut selector = Selector::new(selection, json);
        selector.confirm = confirm;
        return drive(global, &args, &patterns, roots, selector);
    }
    let selection = Selection {
        invert: args.invert,
        max: match style.what {
            What::Lines | What::Counts => args.max_count,
            _ => Some(args.max_count.map_or(1, |most| most.min(1))),
        },
        lines: style.what == What::Lines,
        numbers: args.line_number,
    };
    let spans = style.what == What::Lines && (style.only_matching || style.color) && !args.invert;
    let finder = if spans || confirm { Some(finder()?) } else { None };
    let mut selector = Selector::new(selection, Plain { out, style, finder, report });
    selector.confirm = confirm;
    drive(global, &args, &patterns, roots, selector)
}

/// Sends everything through the engines and prints what comes back.
fn drive<P: Printer>(
    global: &Global,
    args: &Args,
    patterns: &Arc<Patterns>,
    roots: Roots,
    mut selector: Selector<P>,
) -> Result<u8, String> {
    let arena = Arena::new(BLOCKS * STRIDE_BYTES)
        .map_err(|error| format!("no memory to read into: {}", describe(&error)))?;
    let transfer = TransferOptions { engine: args.engine.into(), ..TransferOptions::default() };
    let reads = open_transfer(&transfer, std::slice::from_ref(&arena))
        .map_err(|error| format!("no engine to read files with: {}", describe(&error)))?;
    let reader = reads.describe().clone();
    let mut session = Session::open(global, &args.observing, patterns, &arena)?;
    // To a person at a terminal; scripts ask with --stats.
    if io::stderr().is_terminal() && !args.quiet && !args.no_messages {
        if transfer.engine == EngineChoice::Auto && reader.name == "threads" {
            common::notice(format_args!("threads read the files: {}", reason(&reader)));
        }
        if session.copies() {
            common::notice("the device cannot import the memory that is read into; text is copied");
        }
    }

    let terminal = io::stdout().is_terminal();
    let mut progress = Progress::new(args.quiet);
    let started = Instant::now();
    let sink = |scanned| {
        match scanned {
            Scanned::Chunk(chunk, matches) => {
                if let Some(segment) = chunk.segments.last() {
                    progress.add(chunk.text().len() as u64, &segment.source.name);
                }
                selector.chunk(&chunk, &matches);
            }
            Scanned::Failed(source, error) => {
                selector.broken(&source);
                progress.aside(|| selector.lines().report().failed(&source.name, &error));
            }
            Scanned::Trouble(message) => progress.aside(|| selector.lines().report().trouble(&message)),
        }
        let printer = selector.lines();
        if terminal {
            progress.aside(|| printer::flush(printer));
        }
        let report = printer.report();
        if report.output.is_err() || args.quiet && report.found {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    let totals = pipeline::scan(
        roots.inputs(),
        &arena,
        Window::new(reads, READS),
        session.walks.as_mut(),
        args.text,
        sink,
    )
    .map_err(|error| error.to_string())?;
    progress.finish();

    let printer = selector.lines();
    printer.finish();
    printer::flush(printer);
    if args.stats {
        stats(&totals, started, &session, &reader, patterns);
    }
    let report = printer.report();
    match &report.output {
        // The reader of the output has gone: nothing to complain about.
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

fn stats(
    totals: &FeedTotals,
    started: Instant,
    session: &Session,
    reader: &Description,
    patterns: &Patterns,
) {
    let seconds = started.elapsed().as_secs_f64();
    let text = format!(
        "{} bytes in {seconds:.3} s, {:.3} GB/s\n{} walks, {} of them serial, {} repeated\n{}\n\
         {} states, {} bytes of table\nread by {} ({})\n",
        totals.bytes,
        totals.bytes as f64 / seconds / 1e9,
        totals.walks,
        totals.serial,
        totals.repeated,
        session.describe(),
        patterns.table().rows(),
        patterns.table().words().len() * 4,
        reader.name,
        reason(reader),
    );
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Why it is this engine, or what it lacks.
fn reason(reader: &Description) -> String {
    match (&reader.notes[..], reader.name) {
        ([], "io_uring") => "the arena is registered".to_owned(),
        ([], _) => "asked for".to_owned(),
        (notes, _) => notes.join("; "),
    }
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
