//! A bar on a terminal, once a search takes long.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Shorter searches show nothing.
const LONG: Duration = Duration::from_millis(700);
/// Time between two looks at the clock's answer.
const STEP: Duration = Duration::from_millis(100);

/// How far the search has come. How far it has to go is not known before it is there.
pub struct Progress {
    bar: Option<ProgressBar>,
    started: Instant,
    shown: Instant,
    bytes: u64,
}

impl Progress {
    /// With `quiet`, or without a terminal for messages, it never shows.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(ProgressBar::hidden);
        let now = Instant::now();
        Self { bar, started: now, shown: now, bytes: 0 }
    }

    /// That many more bytes have been searched, in a file of this name.
    pub fn add(&mut self, bytes: u64, name: &[u8]) {
        self.bytes += bytes;
        let Some(bar) = &self.bar else { return };
        if self.shown.elapsed() < STEP || self.started.elapsed() < LONG {
            return;
        }
        self.shown = Instant::now();
        if bar.is_hidden() {
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} in {elapsed}, {msg}") {
                bar.set_style(style);
            }
        }
        let rate = self.bytes as f64 / self.started.elapsed().as_secs_f64() / 1e9;
        bar.set_position(self.bytes);
        bar.set_message(format!("{rate:.2} GB/s, {}", String::from_utf8_lossy(name)));
    }

    /// Runs `print` without the bar in the way.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) if !bar.is_hidden() => bar.suspend(print),
            _ => print(),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
