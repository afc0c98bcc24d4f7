//! How a thread waits for memory that the device writes: spin, then short sleeps (DESIGN fact 16).
//!
//! Some 2 us of spinning covers a live answer. Then sleeps of 1 us with the thread's timer slack at
//! 1 ns: no latency is lost against spinning, and half the processor is free for a driver that runs
//! the kernel there. After a millisecond the sleeps grow. Never `sched_yield`, which costs
//! milliseconds when another thread is there to run.

use std::cell::Cell;
use std::time::{Duration, Instant};

const SPIN: Duration = Duration::from_micros(2);
const SHORT: Duration = Duration::from_micros(1);
const EAGER: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_micros(20);

pub(crate) struct Backoff {
    since: Instant,
    slept: bool,
}

impl Backoff {
    pub fn new() -> Self {
        Self { since: Instant::now(), slept: false }
    }

    /// One pause; the longer the wait has been, the longer.
    #[inline]
    pub fn pause(&mut self) {
        if !self.slept && self.since.elapsed() < SPIN {
            for _ in 0..8 {
                std::hint::spin_loop();
            }
            return;
        }
        if !self.slept {
            self.slept = true;
            fine_timers();
        }
        std::thread::sleep(if self.since.elapsed() < EAGER { SHORT } else { LONG });
    }

    /// True once the wait is long enough for a look at clocks and device state to cost nothing.
    pub fn is_long(&self) -> bool {
        self.slept
    }
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
