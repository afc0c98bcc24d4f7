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

/// One round: blocks that followed each other closely, and the floor among them.
pub struct Round<T> {
    pub measured: T,
    pub floor: Samples,
    floor_p50: u32,
    /// Of the block that suffered most.
    delayed: f64,
}

/// Runs a block, and keeps in `delayed` what the worst one lost to foreign load.
pub fn watched<T>(delayed: &mut f64, block: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let watch = Watch::start();
    let result = block()?;
    *delayed = delayed.max(watch.share());
    Ok(result)
}

/// Runs `count` rounds of `measure`, which leaves no dispatch in flight, and the floor after each.
pub fn rounds<T>(
    count: usize,
    mut measure: impl FnMut(&mut f64) -> Result<T, Trouble>,
) -> Result<Vec<Round<T>>, Trouble> {
    let floor = Floor::start()?;
    let mut rounds = Vec::with_capacity(count);
    for _ in 0..count {
        let mut delayed = 0.0;
        let measured = measure(&mut delayed)?;
        floor.block(WARM_UP / 4);
        let mut floor = watched(&mut delayed, || Ok(floor.block(BLOCK)))?;
        tracing::debug!(delayed, floor_ns = floor.p50(), "round");
        rounds.push(Round { measured, floor_p50: floor.p50(), floor, delayed });
    }
    Ok(rounds)
}

/// How many blocks make `seconds`.
pub fn count(seconds: f64) -> usize {
    (seconds / BLOCK.as_secs_f64()).ceil().max(1.0) as usize
}

/// The rounds that count: see `ringfence bench --help`.
pub fn choose<T>(rounds: Vec<Round<T>>) -> Vec<Round<T>> {
    let rounds = quiet(rounds.into_iter().map(|round| (round.delayed, round)).collect());
    let mut rounds: Vec<_> = rounds.into_iter().map(|(_, round)| round).collect();
    let near = rounds.iter().filter(|round| round.floor_p50 < NEAR_NS).count();
    let mostly_near = 2 * near >= rounds.len();
    rounds.retain(|round| (round.floor_p50 < NEAR_NS) == mostly_near);
    rounds
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
        /// Delay and floor of each round; the floors of those that are kept.
        type Case = (&'static [(f64, u32)], &'static [u32]);
        let cases: [Case; 6] = [
            (&[], &[]),
            (&[(0.5, 100)], &[100]),
            (&[(0.0, 100), (0.001, 110), (0.5, 120), (0.0, 460)], &[100, 110]),
            (&[(0.0, 400), (0.001, 110), (0.5, 120), (0.0, 460)], &[400, 460]),
            (&[(0.4, 101), (0.3, 102), (0.2, 103), (0.1, 104)], &[104]),
            (&[(0.0, 100), (0.0, 500)], &[100]),
        ];
        for (rounds, wanted) in cases {
            let rounds = rounds
                .iter()
                .map(|&(delayed, floor_p50)| Round {
                    measured: (),
                    floor: Samples::default(),
                    floor_p50,
                    delayed,
                })
                .collect();
            let mut kept: Vec<u32> = choose(rounds).iter().map(|round| round.floor_p50).collect();
            kept.sort_unstable();
            assert_eq!(kept, wanted);
        }
    }
}
