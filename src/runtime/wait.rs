//! Waiting for the device: the one loop behind every wait of a runtime.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::engine::Engine;
use super::error::RuntimeError;
use super::mode::Mode;
use super::shared::{Shared, lock, try_lock};

/// How long a thread sleeps for progress that another one makes before it looks for itself.
const NAP: Duration = Duration::from_micros(500);

/// Whether a deadline has passed; none never does.
pub(crate) fn passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|d| Instant::now() >= d)
}

impl Shared {
    /// For a thread that reads completions.
    pub fn backoff(&self) -> Backoff {
        if self.spare_core { Backoff::patient() } else { Backoff::new() }
    }

    /// The engine for a thread that would drive an epoch: if nobody else drives one, and nobody waits
    /// for the device to be quiet. A mutex is not fair, so a busy waiter would starve such a caller.
    pub fn engine_for_epoch(&self) -> Option<MutexGuard<'_, Engine>> {
        if self.pausing.load(Ordering::Acquire) > 0 { None } else { try_lock(&self.engine) }
    }

    /// Waits until `look` finds something, the deadline passes (`None`), or the runtime fails.
    ///
    /// In live mode the waiter reads completions; in epoch mode it drives the dispatch itself if no
    /// other thread does, so that a lone caller pays for one submission and no hand-over.
    pub fn wait_for<T>(
        &self,
        deadline: Option<Instant>,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<Option<T>, RuntimeError> {
        let mut backoff = self.backoff();
        let mut moves = self.storage_moves();
        loop {
            if let Some(found) = look() {
                return Ok(Some(found));
            }
            match self.mode.load() {
                Mode::Live => {
                    let idle = self.reap() == 0;
                    let moved = std::mem::replace(&mut moves, self.storage_moves()) != moves;
                    if moved {
                        // More may be there already. A look at the clock all the same: storage may move for ever.
                        backoff.restart();
                    } else if idle {
                        backoff.pause();
                    } else {
                        backoff.go_on();
                    }
                    if !moved && !backoff.is_long() {
                        continue;
                    }
                }
                Mode::Epoch | Mode::Auto => match self.engine_for_epoch() {
                    Some(mut engine) => {
                        if self.due() > 0 {
                            engine.epoch(self)?;
                        } else {
                            drop(engine);
                            self.nap();
                        }
                    }
                    None => self.nap(),
                },
            }
            if let Some(found) = look() {
                return Ok(Some(found));
            }
            self.failure()?;
            if passed(deadline) {
                return Ok(None);
            }
        }
    }

    /// Sleeps until another thread reports progress, or for [`NAP`].
    pub fn nap(&self) {
        let freed = lock(&self.freed);
        self.sleepers.fetch_add(1, Ordering::Relaxed);
        drop(self.progress.wait_timeout(freed, NAP));
        self.sleepers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Wakes the threads in [`nap`](Self::nap); a condition variable costs a system call even when
    /// nobody listens. One that is just going to sleep may be missed, and then sleeps for its time.
    pub fn notify_progress(&self) {
        if self.sleepers.load(Ordering::Relaxed) > 0 {
            self.progress.notify_all();
        }
    }

    /// Asks the launcher to read completions for futures.
    pub fn attend(&self) {
        if !self.attended.swap(true, Ordering::AcqRel) {
            self.wake_launcher();
        }
    }
}
