//! `bench sharing`: tenants of one kernel beside each other.

mod beside;
mod crowd;
mod flood;
mod shares;

use std::fmt;

use ringfence::runtime::Mode;
use serde::Serialize;

use super::Options;
use crate::common::{Global, Trouble};
use beside::{Beside, Wait};
use crowd::Crowd;
use flood::Flooding;
use shares::{Share, Shares};

/// The figures.
#[derive(Serialize)]
pub struct Sharing {
    driver: String,
    device: String,
    mode: Mode,
    /// A CRITICAL slot, from its publication until its completion was seen and checked, while nobody else works.
    alone: Wait,
    /// The same beside a flood of LOW scans of another tenant's.
    beside: Wait,
    flood: Flooding,
    /// What each of the tenants got of the claims, while all of them had slots waiting.
    shares: Vec<Share>,
    /// By how much a share was off its weight's at most, in percent of that, in any window.
    shares_worst_percent: f64,
    /// Windows, and the slots of each at least.
    share_windows: usize,
    share_window_slots: u64,
    /// With so many tenants.
    tenants: Vec<Crowd>,
    floor_p50_ns: u32,
    rounds: usize,
    rounds_used: usize,
}

pub fn run(global: &Global, options: &Options) -> Result<Sharing, Trouble> {
    let Beside { driver, device, mode, alone, beside, flood, rounds, rounds_used } =
        beside::run(global, options)?;
    let Shares { shares, worst_percent, windows, window_slots } = shares::run(global, options)?;
    let (tenants, floor_p50_ns) = crowd::run(global, options)?;
    Ok(Sharing {
        driver,
        device,
        mode,
        alone,
        beside,
        flood,
        shares,
        shares_worst_percent: worst_percent,
        share_windows: windows,
        share_window_slots: window_slots,
        tenants,
        floor_p50_ns,
        rounds,
        rounds_used,
    })
}

impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}), {} mode", self.device, self.driver, self.mode)?;
        let wait = |f: &mut fmt::Formatter<'_>, what, wait: &Wait| {
            let [p50, p99] = [wait.p50_ns, wait.p99_ns].map(|ns| f64::from(ns) / 1e3);
            writeln!(f, "a CRITICAL slot {what}: p50 {p50:.2} us, p99 {p99:.2} us ({} slots)", wait.samples)
        };
        wait(f, "alone", &self.alone)?;
        wait(f, "beside the flood", &self.beside)?;
        let Flooding { chunk_bytes, in_flight, gbps } = self.flood;
        writeln!(f, "the flood: LOW scans of {chunk_bytes} bytes, {in_flight} in flight, {gbps:.3} GB/s")?;
        write!(f, "shares by weight:")?;
        for Share { weight, share } in &self.shares {
            write!(f, " {weight}: {:.2} %", 100.0 * share)?;
        }
        writeln!(
            f,
            "; off by {:.2} % at most in {} windows of {} slots",
            self.shares_worst_percent, self.share_windows, self.share_window_slots
        )?;
        for Crowd { n, slots_per_s, .. } in &self.tenants {
            writeln!(f, "{n} tenants: {:.3} million slots/s", slots_per_s / 1e6)?;
        }
        writeln!(
            f,
            "two-thread floor p50 {} ns; {} of {} rounds of the asker",
            self.floor_p50_ns, self.rounds_used, self.rounds
        )
    }
}
