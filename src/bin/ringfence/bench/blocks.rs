//! Rounds of blocks: which of them count.

use std::time::Duration;

use super::floor::Floor;
use super::load::Watch;
use super::samples::Samples;
use crate::common::Trouble;

/// What is measured at a stretch, at most; cores' frequencies and neighbours change slower than that.
pub const BLOCK: Duration = Duration::from_millis(100);
/// What is not counted after a change of what runs (DESIGN fact 26).
pub const WARM_UP: Duration = Duration::from_millis(100);
/// Delay by foreign load, as a share of the time, above which a round is left out.
const DISTURBED: f64 = 0.01;
/// Two threads that exchange a cache line faster than this sit on near cores.
const NEAR_NS: u32 = 250;
/// Rounds that count at least, as a share of all.
const LEAST: usize = 4;

/// One round: blocks that followed each other closely, and the floor behind them.
pub struct Round<T> {
    pub measured: T,
    pub floor: Samples,
    cores: Cores,
    /// Of the block that suffered most.
    delayed: f64,
}

/// Where the threads sat that a round's blocks ran on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cores {
    Near,
    Far,
    /// They moved meanwhile.
    Mixed,
}

impl Cores {
    /// By the floors before and behind a round, p50 in ns.
    fn of(before: u32, behind: u32) -> Self {
        match [before, behind].map(|floor| floor < NEAR_NS) {
            [true, true] => Self::Near,
            [false, false] => Self::Far,
            _ => Self::Mixed,
        }
    }
}

/// Runs a block, and keeps in `delayed` what the worst one lost to foreign load.
pub fn watched<T>(delayed: &mut f64, block: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let watch = Watch::start();
    let result = block()?;
    *delayed = delayed.max(watch.share());
    Ok(result)
}

/// Runs `count` rounds of `measure`, which leaves no dispatch in flight, and the floor behind each. That is also the one
/// before the next; there is one before the first.
pub fn rounds<T>(
    count: usize,
    mut measure: impl FnMut(&mut f64) -> Result<T, Trouble>,
) -> Result<Vec<Round<T>>, Trouble> {
    let floor = Floor::start()?;
    let block = |delayed: &mut f64| {
        floor.block(WARM_UP / 4);
        watched(delayed, || Ok(floor.block(BLOCK)))
    };
    let mut before = block(&mut 0.0)?.p50();
    let mut rounds = Vec::with_capacity(count);
    for _ in 0..count {
        let mut delayed = 0.0;
        let measured = measure(&mut delayed)?;
        let mut floor = block(&mut delayed)?;
        let behind = floor.p50();
        tracing::debug!(delayed, before, behind, "round");
        rounds.push(Round { measured, cores: Cores::of(before, behind), floor, delayed });
        before = behind;
    }
    Ok(rounds)
}

/// How many blocks make `seconds`.
pub fn count(seconds: f64) -> usize {
    (seconds / BLOCK.as_secs_f64()).ceil().max(1.0) as usize
}

/// The rounds that count: see `ringfence bench --help`.
pub fn choose<T>(mut rounds: Vec<Round<T>>) -> Vec<Round<T>> {
    let count = |cores| rounds.iter().filter(|round| round.cores == cores).count();
    let (near, far) = (count(Cores::Near), count(Cores::Far));
    if near + far > 0 {
        let most = if near >= far { Cores::Near } else { Cores::Far };
        rounds.retain(|round| round.cores == most);
    }
    let rounds = quiet(rounds.into_iter().map(|round| (round.delayed, round)).collect());
    rounds.into_iter().map(|(_, round)| round).collect()
}

/// Of rounds with what each lost to foreign load: those that lost little, or else the quarter that lost least.
pub fn quiet<T>(mut rounds: Vec<(f64, T)>) -> Vec<(f64, T)> {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let quiet = rounds.iter().take_while(|(delayed, _)| *delayed <= DISTURBED).count();
    rounds.truncate(quiet.max(rounds.len().div_ceil(LEAST)));
    rounds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_rounds_on_like_cores_count() {
        /// Delay of each round, and the floors before and behind it; the places of those that are kept.
        type Case = (&'static [(f64, u32, u32)], &'static [usize]);
        let cases: [Case; 8] = [
            (&[], &[]),
            (&[(0.5, 100, 100)], &[0]),
            (&[(0.0, 100, 100), (0.001, 100, 110), (0.5, 110, 120), (0.0, 120, 460)], &[0, 1]),
            (&[(0.0, 400, 410), (0.5, 410, 420), (0.0, 420, 110), (0.0, 110, 110)], &[0]),
            (&[(0.4, 101, 101), (0.3, 101, 102), (0.2, 102, 103), (0.1, 103, 104)], &[3]),
            (&[(0.0, 100, 100), (0.0, 500, 500)], &[0]),
            // A quiet one among cores that moved is none.
            (&[(0.0, 100, 400), (0.0, 400, 100), (0.3, 100, 100), (0.2, 100, 100)], &[3]),
            (&[(0.0, 100, 400), (0.2, 400, 100)], &[0]),
        ];
        for (rounds, wanted) in cases {
            let rounds = rounds.iter().enumerate().map(|(place, &(delayed, before, behind))| Round {
                measured: place,
                floor: Samples::default(),
                cores: Cores::of(before, behind),
                delayed,
            });
            let mut kept: Vec<_> = choose(rounds.collect()).iter().map(|round| round.measured).collect();
            kept.sort_unstable();
            assert_eq!(kept, wanted);
        }
    }
}
