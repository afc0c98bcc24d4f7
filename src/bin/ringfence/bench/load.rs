//! How much other work on the machine got into a block's way.

use std::fs;
use std::time::{Duration, Instant};

/// Watches a block. Other processes are seen by what they take away: the time that this process's threads
/// were ready to run and did not (`run_delay` of Linux's schedstat, in nanoseconds).
pub struct Watch {
    began: Instant,
    delayed: Duration,
}

impl Watch {
    pub fn start() -> Self {
        Self { delayed: run_delay(), began: Instant::now() }
    }

    /// The delay as a share of the block's time; 0 where the system does not tell.
    pub fn share(&self) -> f64 {
        let time = self.began.elapsed();
        run_delay().saturating_sub(self.delayed).as_secs_f64() / time.as_secs_f64().max(1e-9)
    }
}

/// Of all threads of this process, since they started.
fn run_delay() -> Duration {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    // A thread that ends meanwhile takes its figures with it; none does during a block.
    let delay = |thread: fs::DirEntry| -> Option<u64> {
        let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Duration::from_nanos(threads.flatten().filter_map(delay).sum())
}
