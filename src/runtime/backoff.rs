//! How a thread waits for memory that the device writes: spin, then short sleeps (DESIGN fact 16).
//!
//! Some 2 us of spinning covers a live answer. Then sleeps of 1 us with the thread's timer slack at
//! 1 ns: no latency is lost against spinning, and half the processor is free for a driver that runs
//! the kernel there. After a millisecond the sleeps grow. Never `sched_yield`, which costs
//! milliseconds when another thread is there to run.
//!
//! Where timers are slow (a virtual machine, whose timer is a trap) a sleep of 1 us takes 28 or more, and
//! an answer that takes 5 us comes after 30. So a waiter spins as long as such sleeps have lately taken: then it
//! never waits for more than twice what it would have, had it known (Karlin, Li, Manasse, Owicki, "Empirical
//! studies of competitive spinning", 1991). Only while no other of the process waits for as long, and only where
//! the device's workers leave it a processor: several would take theirs.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const SPIN: Duration = Duration::from_micros(2);
const SHORT: Duration = Duration::from_micros(1);
const EAGER: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_micros(20);
/// The longest that is spun, however long sleeps take.
const MOST_NS: u32 = 50_000;

/// What the waits of a process share.
struct Waits {
    /// What a short sleep takes, in ns.
    sleep_ns: AtomicU32,
    /// Those that have lasted for longer than [`SPIN`], up to [`EAGER`]: behind that they hardly take a processor.
    long: AtomicU32,
}

impl Waits {
    const fn new() -> Self {
        Self { sleep_ns: AtomicU32::new(SPIN.as_nanos() as u32), long: AtomicU32::new(0) }
    }
}

static WAITS: Waits = Waits::new();

/// One wait.
pub(crate) struct Backoff {
    since: Instant,
    /// It has lasted for longer than [`SPIN`].
    long: bool,
    /// It is one of [`Waits::long`].
    counted: bool,
    /// Where it may spin for longer.
    waits: Option<&'static Waits>,
}

impl Backoff {
    pub fn new() -> Self {
        Self::of(None)
    }

    /// For a thread that has a processor that no worker of the device runs on.
    pub fn patient() -> Self {
        Self::of(Some(&WAITS))
    }

    fn of(waits: Option<&'static Waits>) -> Self {
        Self { since: Instant::now(), long: false, counted: false, waits }
    }

    /// The same wait from its beginning: something has moved.
    #[inline]
    pub fn restart(&mut self) {
        self.uncount();
        self.long = false;
        self.since = Instant::now();
    }

    /// One pause; the longer the wait has been, the longer.
    #[inline]
    pub fn pause(&mut self) {
        if self.spins() {
            std::hint::spin_loop();
        } else {
            self.sleep();
        }
    }

    /// In place of a pause, where there was something to do, but nothing that the wait is for.
    #[inline]
    pub fn go_on(&mut self) {
        self.spins();
    }

    #[inline]
    fn spins(&mut self) -> bool {
        let waited = self.since.elapsed();
        if waited < SPIN && !self.long {
            return true;
        }
        if !self.long {
            self.long = true;
            fine_timers();
            if let Some(waits) = self.waits {
                self.counted = true;
                waits.long.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.waits.is_some_and(|waits| {
            waited.as_nanos() < waits.sleep_ns.load(Ordering::Relaxed).into()
                && waits.long.load(Ordering::Relaxed) == 1
        })
    }

    #[cold]
    fn sleep(&mut self) {
        let began = Instant::now();
        if began - self.since >= EAGER {
            self.uncount();
            std::thread::sleep(LONG);
            return;
        }
        std::thread::sleep(SHORT);
        if let Some(waits) = self.waits {
            let known = waits.sleep_ns.load(Ordering::Relaxed);
            waits.sleep_ns.store(learnt(known, began.elapsed()), Ordering::Relaxed);
        }
    }

    #[inline]
    fn uncount(&mut self) {
        if std::mem::take(&mut self.counted)
            && let Some(waits) = self.waits
        {
            waits.long.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// True once the wait is long enough for a look at clocks and device state to cost nothing.
    pub fn is_long(&self) -> bool {
        self.long
    }
}

impl Drop for Backoff {
    fn drop(&mut self) {
        self.uncount();
    }
}

/// What a short sleep takes, when `known` was thought and one took `taken`: down at once, since nothing makes a sleep
/// short by chance; up by an eighth, since a thread that was there to run makes one long.
fn learnt(known: u32, taken: Duration) -> u32 {
    let taken = u32::try_from(taken.as_nanos()).unwrap_or(u32::MAX).min(MOST_NS);
    let most = known + known / 8;
    taken.min(most).max(SPIN.as_nanos() as u32)
}

/// Sets the calling thread's timer slack to 1 ns, once; the default of 50 us would be every sleep's
/// least length. It lasts as long as the thread does.
pub(crate) fn fine_timers() {
    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    DONE.with(|done| {
        if !done.replace(true) {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if let Err(e) = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1)) {
                tracing::debug!("timer slack stays: {e}");
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_what_sleeps_take() {
        // What was known, what a sleep took, what is known then, in ns.
        let sleeps: &[(u32, u64, u32)] = &[
            (2_000, 1_100, 2_000),
            (2_000, 2_100, 2_100),
            (2_000, 28_000, 2_250),
            (28_000, 28_000, 28_000),
            (28_000, 30_000, 30_000),
            (28_000, 4_000_000, 31_500),
            (28_000, 6_000, 6_000),
            (28_000, 900, 2_000),
            (50_000, u64::from(u32::MAX) + 7, 50_000),
        ];
        for &(known, taken, then) in sleeps {
            assert_eq!(learnt(known, Duration::from_nanos(taken)), then, "{known} {taken}");
        }
    }

    #[test]
    fn spins_on_alone() {
        static WAITS: Waits = Waits::new();
        // A second, so that it does not depend on how this thread runs.
        WAITS.sleep_ns.store(1_000_000_000, Ordering::Relaxed);
        let begin = |waits| {
            let mut backoff = Backoff::of(waits);
            backoff.since -= SPIN;
            backoff
        };
        let mut first = begin(Some(&WAITS));
        assert!(first.spins() && first.is_long(), "alone");
        assert!(!begin(None).spins(), "without a processor to spare");
        let mut second = begin(Some(&WAITS));
        assert!(!second.spins(), "as the second");
        assert!(!first.spins(), "beside another");
        drop(second);
        assert!(first.spins(), "alone again");
        let mut sleeper = begin(Some(&WAITS));
        assert!(!sleeper.spins());
        sleeper.since -= EAGER;
        sleeper.sleep();
        assert!(sleeper.is_long() && first.spins(), "beside one that sleeps");
        first.restart();
        assert!(!first.is_long());
        let mut other = begin(Some(&WAITS));
        assert!(other.spins(), "beside one that has just begun");
        other.since -= Duration::from_secs(1);
        assert!(!other.spins(), "as long as a sleep takes");
        drop(other);
        assert_eq!(WAITS.long.load(Ordering::Relaxed), 0);
    }
}
