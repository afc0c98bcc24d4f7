//! `ringfence top`: what running processes do, as they tell by the socket of `--observe`.

mod feed;
mod figures;
mod pick;
mod rates;
mod screen;
mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use ringfence::observe::Process;

use crate::common::{self, Ended, Global, Trouble};
use pick::Wanted;
use rates::Seen;
use screen::Stopped;
use view::View;

/// How long a process may take to answer: it may have to wait for its device.
const PATIENCE: Duration = Duration::from_secs(5);
/// Columns of what is printed elsewhere than on a terminal.
const COLUMNS: u16 = 120;

/// Show tenants, levels and counters of a running process, which was started with --observe (scan, run, bench) or
/// offers them by `Runtime::observe`.
///
/// Keys: q or Esc ends, arrows, Page Up and Page Down, Home and End move through the tenants.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The process, or PID.N for the runtime N of one that has several. Without: the only one there is.
    #[arg(value_name = "PID")]
    process: Option<Wanted>,
    /// Print one view and end; rates are those of the interval. With --json it is one object; --json without --once
    /// prints one for each interval.
    #[arg(long)]
    once: bool,
    /// Seconds between two looks, from 0.25 to 3600.
    #[arg(long, value_name = "S", default_value = "1", value_parser = interval)]
    interval: Duration,
}

/// Shows, or prints.
///
/// # Errors
/// No process, several, one that does not answer; a terminal that cannot be had.
pub fn run(global: &Global, args: &Args) -> Ended {
    let process = pick::choose(args.process.as_ref())?;
    if args.once {
        let seen = twice(&process, args.interval)?;
        return print(global.json, &seen).map(|()| ExitCode::SUCCESS);
    }
    if global.json {
        return stream(&process, args.interval);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Trouble::Usage("a live view needs a terminal; use --once, or --json".into()));
    }
    let feed = feed::start(process, args.process.clone(), args.interval)?;
    match screen::show(&feed, View::new(colours())).map_err(Trouble::Terminal)? {
        Stopped::Asked => {}
        Stopped::Ended(why) => common::notice(why),
        Stopped::Signal(signal) => {
            // Ends the process as the signal would have.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Two looks, an interval apart. When the process ends meanwhile, the first is what there is.
fn twice(process: &Process, interval: Duration) -> Result<Seen, Trouble> {
    let first = process.fetch(PATIENCE)?;
    std::thread::sleep(interval);
    Ok(match process.fetch(PATIENCE) {
        Ok(second) => Seen::after(Some(&first), second),
        Err(_) => Seen::after(None, first),
    })
}

/// A line of JSON for each interval, until the process ends or nobody reads on.
fn stream(process: &Process, interval: Duration) -> Ended {
    let mut seen: Option<Seen> = None;
    loop {
        let now = match process.fetch(PATIENCE) {
            Ok(now) => now,
            Err(error) if seen.is_none() => return Err(error.into()),
            Err(error) => {
                common::notice(error);
                return Ok(ExitCode::SUCCESS);
            }
        };
        let next = Seen::after(seen.as_ref().map(|seen| &seen.snapshot), now);
        let line = serde_json::to_string(&next).map_err(|error| Trouble::Output(error.into()))?;
        let mut out = io::stdout().lock();
        match writeln!(out, "{line}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            written => written.map_err(Trouble::Output)?,
        }
        seen = Some(next);
        std::thread::sleep(interval);
    }
}

fn print(json: bool, seen: &Seen) -> Result<(), Trouble> {
    struct Printed<'a>(&'a Seen);
    impl serde::Serialize for Printed<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)
        }
    }
    impl std::fmt::Display for Printed<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&View::text(self.0, COLUMNS))
        }
    }
    common::print(json, &Printed(seen))
}

/// As NO_COLOR has it (no-color.org): set and not empty means none.
fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn interval(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.25..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("it takes seconds from 0.25, how often a process takes a snapshot at most, to 3600".into()),
    }
}
