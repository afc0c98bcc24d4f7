//! The thread that asks, so that the screen never waits for a process.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use ringfence::observe::{FetchError, Process};

use super::PATIENCE;
use super::pick::{self, Wanted};
use super::rates::Seen;
use crate::common::Trouble;

/// What there is to show.
pub enum Update {
    Seen(Box<Seen>),
    /// Nothing new, for this reason; it goes on.
    Without(String),
    /// The process that was asked for is no more.
    Ended(String),
}

/// Asks `process` once in an interval. When it has ended, the next that there is has its place, unless this one
/// was asked for by its id.
///
/// # Errors
/// No thread.
pub fn start(
    process: Process,
    wanted: Option<Wanted>,
    interval: Duration,
) -> Result<Receiver<Update>, Trouble> {
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new()
        .name("ringfence-feed".into())
        .spawn(move || ask(process, wanted.as_ref(), interval, &sender))
        .map_err(Trouble::Thread)?;
    Ok(receiver)
}

fn ask(process: Process, wanted: Option<&Wanted>, interval: Duration, sender: &SyncSender<Update>) {
    let mut process = Some(process);
    let mut seen: Option<Seen> = None;
    loop {
        let update = match process.as_ref().map(|process| process.fetch(PATIENCE)) {
            Some(Ok(snapshot)) => {
                let next = Seen::after(seen.as_ref().map(|seen| &seen.snapshot), snapshot);
                seen = Some(next.clone());
                Update::Seen(Box::new(next))
            }
            Some(Err(error)) if is_over(&error) => {
                process = None;
                if wanted.is_some() {
                    Update::Ended(error.to_string())
                } else {
                    Update::Without(format!("{error}; waiting for the next"))
                }
            }
            Some(Err(error)) => Update::Without(error.to_string()),
            None => match pick::choose(None) {
                Ok(next) => {
                    process = Some(next);
                    continue;
                }
                Err(error) => Update::Without(error.to_string()),
            },
        };
        // The screen has gone, and the program with it.
        if sender.send(update).is_err() {
            return;
        }
        std::thread::sleep(interval);
    }
}

fn is_over(error: &FetchError) -> bool {
    matches!(error, FetchError::Gone(_) | FetchError::Refused { .. })
}
