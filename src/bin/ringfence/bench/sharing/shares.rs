//! What tenants with work get of the claims, against their weights.

use std::time::{Duration, Instant};

use ringfence::protocol::PRIORITY_NORMAL;
use ringfence::runtime::{Runtime, Tenant};
use serde::Serialize;

use crate::bench::Options;
use crate::bench::blocks::{BLOCK, count};
use crate::bench::verified::Verified;
use crate::common::{Global, Trouble};

/// The tenants' weights.
const WEIGHTS: [u32; 4] = [1, 2, 4, 8];
/// Slots that each has on its way.
const DEPTH: u32 = 16_384;
/// Slots over which shares are compared.
const WINDOW: u64 = 10_000;
/// A tenant has work from one look to the next if so many of its slots wait, and no more have ended in between: a look
/// may come late, or find nothing while another thread reads completions.
const BACKLOG: u32 = 2_048;
/// Slots that a tenant publishes at a time.
const GROUP: usize = 512;

/// What a tenant got.
#[derive(Clone, Serialize)]
pub struct Share {
    pub weight: u32,
    /// Of all claims, 0 to 1.
    pub share: f64,
}

pub struct Shares {
    pub shares: Vec<Share>,
    pub worst_percent: f64,
    pub windows: usize,
    pub window_slots: u64,
}

/// Slots that have ended, of each tenant.
type Ended = [u64; WEIGHTS.len()];

pub fn run(global: &Global, options: &Options) -> Result<Shares, Trouble> {
    let tenants = WEIGHTS.len() as u32;
    let runtime = global
        .builder()
        .level_slots([0, 0, tenants * DEPTH, 0, 0])
        .tenants(1 + tenants)
        .tenant_slots(DEPTH)
        .tenant_words(2 * tenants * DEPTH)
        .build()?;
    let _observer = options.observing.attach(&runtime, "bench sharing")?;
    let open =
        |weight: &u32| runtime.tenant(&format!("weight {weight}")).window(2 * DEPTH).weight(*weight).open();
    let tenants = WEIGHTS.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let rings = tenants.iter().map(|tenant| Verified::of(tenant, DEPTH, PRIORITY_NORMAL));
    let mut rings = rings.collect::<Result<Vec<_>, _>>()?;
    let mut windows = Vec::new();
    for _ in 0..count(options.seconds.unwrap_or(1.0)) {
        stretch(&tenants, &mut rings, &mut windows)?;
    }
    compare(&runtime, &rings)?;
    Ok(summary(&windows))
}

fn summary(windows: &[Ended]) -> Shares {
    let all = |ended: &Ended| ended.iter().sum::<u64>().max(1) as f64;
    let weights: u32 = WEIGHTS.iter().sum();
    let fair = |which: usize| f64::from(WEIGHTS[which]) / f64::from(weights);
    let off = |ended: &Ended, which: usize| (ended[which] as f64 / all(ended) / fair(which) - 1.0).abs();
    let worst = windows.iter().flat_map(|ended| (0..WEIGHTS.len()).map(|which| off(ended, which)));
    let total: Ended = std::array::from_fn(|which| windows.iter().map(|ended| ended[which]).sum());
    // None without windows, which epoch mode may not have: a dispatch mostly takes all that waits.
    let shares = WEIGHTS.iter().zip(total).filter(|_| !windows.is_empty());
    Shares {
        shares: shares
            .map(|(weight, ended)| Share { weight: *weight, share: ended as f64 / all(&total) })
            .collect(),
        worst_percent: 100.0 * worst.fold(0.0, f64::max),
        windows: windows.len(),
        window_slots: WINDOW,
    }
}

/// All tenants with work for [`BLOCK`]; appends the windows throughout which each had some waiting.
fn stretch(tenants: &[Tenant], rings: &mut [Verified], windows: &mut Vec<Ended>) -> Result<(), Trouble> {
    let ended = || -> Ended { std::array::from_fn(|which| tenants[which].stats().done) };
    // Nothing of it is claimed before all of them have work.
    tenants.iter().for_each(Tenant::pause);
    for ring in &mut *rings {
        while ring.push()?.is_some() {}
        ring.flush()?;
    }
    tenants.iter().for_each(Tenant::resume);
    let before = ended().iter().sum::<u64>();
    let mut last = before;
    let began = Instant::now();
    // The first window begins once the tenants were resumed and the workers came.
    let mut from: Option<Ended> = None;
    while began.elapsed() < BLOCK {
        rings.iter_mut().try_for_each(|ring| ring.reap(|_| {}).map(drop))?;
        // Before anything is published anew: whoever ran out of work since the last look has none now.
        let now = ended();
        let sum = now.iter().sum::<u64>();
        let in_sight = sum - last <= u64::from(BACKLOG);
        last = sum;
        let all_have = in_sight && tenants.iter().all(|tenant| tenant.stats().outstanding >= BACKLOG);
        let window = from.map(|then| std::array::from_fn(|which| now[which] - then[which]));
        let whole = window.filter(|window: &Ended| window.iter().sum::<u64>() >= WINDOW);
        let some = sum > before;
        if !all_have {
            from = None;
        } else if from.is_none() || whole.is_some() {
            windows.extend(whole);
            from = Some(now).filter(|_| some);
        }
        for ring in rings.iter_mut().filter(|ring| ring.free() >= GROUP) {
            while ring.push()?.is_some() {}
            ring.flush()?;
        }
    }
    rings.iter_mut().try_for_each(|ring| ring.drain().map(drop))
}

fn compare(runtime: &Runtime, rings: &[Verified]) -> Result<(), Trouble> {
    // Workers may still be leaving.
    runtime.wait_idle(Duration::from_secs(5));
    let control = runtime.control()?;
    rings.iter().try_for_each(|ring| ring.compare(&control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_held_against_weights() {
        let fair = [1000, 2000, 4000, 8000];
        let cases: [(&[Ended], f64); 4] = [
            (&[], 0.0),
            (&[fair, fair], 0.0),
            (&[fair, [1100, 1900, 4000, 8000]], 10.0),
            (&[[0, 2000, 4000, 9000], fair], 100.0),
        ];
        for (windows, worst) in cases {
            let got = summary(windows);
            assert!((got.worst_percent - worst).abs() < 1e-6, "{windows:?}: {}", got.worst_percent);
            assert_eq!(got.windows, windows.len());
        }
        let shares: Vec<f64> = summary(&[fair]).shares.iter().map(|share| share.share).collect();
        assert_eq!(shares, [1.0, 2.0, 4.0, 8.0].map(|weight| weight / 15.0));
    }
}
