//! Where an observer's snapshots come from, and how often it may take one.

use std::time::{Duration, Instant};

use super::snapshot::Snapshot;

/// A snapshot may stop the kernel: clients get the last one while it is younger than this.
const FRESH: Duration = Duration::from_millis(250);

/// At least so often one is taken although nobody asks, since the device's counters have 32 bits: at 40 million
/// slots a second they wrap after 107 seconds.
pub const KEEP: Duration = Duration::from_secs(30);

pub struct Source {
    take: Box<dyn FnMut() -> Option<Snapshot> + Send>,
    last: Option<(Instant, Snapshot)>,
}

impl Source {
    pub fn new(take: Box<dyn FnMut() -> Option<Snapshot> + Send>) -> Self {
        Self { take, last: None }
    }

    /// A snapshot that is not older than [`FRESH`]; none when the runtime has gone.
    pub fn get(&mut self) -> Option<&Snapshot> {
        self.no_older_than(FRESH)
    }

    /// Takes one if it is time for it, and tells when the next is due.
    pub fn keep(&mut self) -> Instant {
        self.no_older_than(KEEP);
        self.last.as_ref().map_or_else(Instant::now, |(taken, _)| *taken) + KEEP
    }

    fn no_older_than(&mut self, age: Duration) -> Option<&Snapshot> {
        if self.last.as_ref().is_none_or(|(taken, _)| taken.elapsed() >= age) {
            self.last = (self.take)().map(|snapshot| (Instant::now(), snapshot));
        }
        self.last.as_ref().map(|(_, snapshot)| snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_taken_seldom() {
        let mut taken = 0;
        let mut source = Source::new(Box::new(move || {
            taken += 1;
            Some(Snapshot { published: taken, ..Snapshot::default() })
        }));
        let first = Instant::now();
        let seen: Vec<u64> = (0..1000).filter_map(|_| source.get().map(|s| s.published)).collect();
        let most = 1 + (first.elapsed().as_nanos() / FRESH.as_nanos()) as u64;
        assert!(seen.len() == 1000 && seen[999] <= most, "{} of {most}", seen[999]);
        source.last = source.last.take().map(|(_, last)| (Instant::now() - FRESH, last));
        assert_eq!(source.get().map(|s| s.published), Some(seen[999] + 1));
        assert!(source.keep() > Instant::now(), "fresh enough");
        source.last = source.last.take().map(|(_, last)| (Instant::now() - KEEP, last));
        source.keep();
        assert_eq!(source.last.as_ref().map(|(_, s)| s.published), Some(seen[999] + 2));
    }

    #[test]
    fn there_is_none_when_the_runtime_has_gone() {
        let mut source = Source::new(Box::new(|| None));
        assert!(source.get().is_none() && source.get().is_none());
        assert!(source.keep() > Instant::now(), "and no hurry");
    }
}
