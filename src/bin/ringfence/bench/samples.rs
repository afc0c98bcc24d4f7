//! Durations, and the percentiles of all of them together.

use std::time::Duration;

/// Durations in nanoseconds; what is longer than 4.2 s counts as that.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<u32>);

impl Samples {
    /// With room for `count` samples, so that none of them pays for an allocation.
    pub fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    #[inline]
    pub fn push(&mut self, duration: Duration) {
        self.0.push(u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The samples of several blocks as one.
    pub fn pooled<'a>(all: impl Iterator<Item = &'a Samples>) -> Self {
        Self(all.flat_map(|samples| samples.0.iter().copied()).collect())
    }

    /// The value that a share `q` of the samples does not exceed (nearest rank); 0 without samples.
    pub fn percentile(&mut self, q: f64) -> u32 {
        let Some(last) = self.0.len().checked_sub(1) else { return 0 };
        let rank = (q * self.0.len() as f64).ceil() as usize;
        *self.0.select_nth_unstable(rank.saturating_sub(1).min(last)).1
    }

    /// The median, in nanoseconds.
    pub fn p50(&mut self) -> u32 {
        self.percentile(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let samples = |values: &[u64]| {
            let mut samples = Samples::default();
            values.iter().for_each(|ns| samples.push(Duration::from_nanos(*ns)));
            samples
        };
        let hundred: Vec<u64> = (1..=100).rev().collect();
        for (values, q, wanted) in [
            (&[][..], 0.5, 0),
            (&[7], 0.0, 7),
            (&[7], 0.999, 7),
            (&[3, 1, 2], 0.5, 2),
            (&[4, 3, 1, 2], 0.5, 2),
            (&hundred, 0.5, 50),
            (&hundred, 0.99, 99),
            (&hundred, 0.999, 100),
            (&hundred, 1.0, 100),
            (&[u64::MAX], 0.5, u32::MAX),
        ] {
            assert_eq!(samples(values).percentile(q), wanted, "{q} of {values:?}");
        }
    }
}
