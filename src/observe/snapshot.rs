//! What a runtime looks like at one moment, as programs tell each other.

use serde::{Deserialize, Serialize};

use crate::protocol::PRIORITY_LEVELS;
use crate::protocol::abi::live::MAX_TENANTS;

/// The version of this format. It changes when a field goes or changes its meaning, not when one is added.
pub const VERSION: u32 = 1;

/// The names of the priority levels, highest first.
pub const LEVEL_NAMES: [&str; PRIORITY_LEVELS as usize] = ["critical", "high", "normal", "low", "idle"];

/// The id that no tenant has: of an entry at the end for what all those counted together that have gone.
pub const DEPARTED: u32 = MAX_TENANTS;

/// A runtime at one moment. Counters begin with the runtime and never wrap. The fields from `published` to
/// `cpu_copied_bytes` are the sums of those of the tenants, exactly: [`with_totals`](Self::with_totals) makes
/// them so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`VERSION`].
    pub version: u32,
    /// The process.
    pub pid: u32,
    /// What the process calls itself.
    pub program: String,
    /// The device's name.
    pub device: String,
    /// The driver's name and version.
    pub driver: String,
    /// `live` or `epoch`.
    pub mode: String,
    /// Workers of each dispatch.
    pub workers: u32,
    /// Nanoseconds from the building of the runtime to the moment that the counters are of.
    pub uptime_ns: u64,
    /// Dispatches handed to the queue.
    pub dispatches: u64,
    /// Slots of the slab.
    pub slots: u32,
    /// Slots published.
    pub published: u64,
    /// Slots that have ended, in DONE or FAULT.
    pub ended: u64,
    /// Slots that ended in DONE.
    pub done: u64,
    /// Slots that ended in FAULT.
    pub faults: u64,
    /// Slots published that have not ended.
    pub outstanding: u64,
    /// How often a slot was put back because its tenant had no credits left.
    pub throttled: u64,
    /// Bytes of transfers that the CPU copied.
    pub cpu_copied_bytes: u64,
    /// The priority levels, highest first.
    pub levels: [LevelSnapshot; PRIORITY_LEVELS as usize],
    /// The tenants, by their ids.
    pub tenants: Vec<TenantSnapshot>,
    /// Why the counters are those of an earlier moment: the runtime has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A priority level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelSnapshot {
    /// One of [`LEVEL_NAMES`].
    pub name: String,
    /// Its share of the slots.
    pub slots: u32,
    /// How many of them are taken: published and not ended, or held by a ring.
    pub in_use: u32,
    /// Slots claimed at this level.
    pub claims: u64,
}

/// A tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSnapshot {
    /// Its id; 0 is the system's own, [`DEPARTED`] the one under which stands what those counted that have gone.
    pub id: u32,
    /// What it is called.
    pub name: String,
    /// Its share among the tenants of a level.
    pub weight: u32,
    /// Whether its work is claimed.
    pub state: TenantState,
    /// Slots published.
    pub published: u64,
    /// Slots that have ended, in DONE or FAULT.
    pub ended: u64,
    /// Slots that ended in DONE.
    pub done: u64,
    /// Slots that ended in FAULT.
    pub faults: u64,
    /// Slots published that have not ended: its queue and what is being executed.
    pub outstanding: u64,
    /// How often a slot of its was put back for want of credits.
    pub throttled: u64,
    /// Claims that it has left until the next refill; none where it has no limit.
    pub credits_left: Option<u64>,
    /// Claims between two refills; none where it has no limit.
    pub credits_limit: Option<u64>,
    /// The most that may be outstanding; none where only the slab sets a limit.
    pub cap: Option<u64>,
    /// Bytes of its transfers that the CPU copied; so far all of them stand with the system's own.
    pub cpu_copied_bytes: u64,
}

/// Whether a tenant's work is claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// It is.
    #[default]
    Running,
    /// Not until it is resumed.
    Paused,
    /// Never again.
    Revoked,
    /// There is nobody left to have any.
    Gone,
}

impl TenantState {
    /// As in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Revoked => "revoked",
            Self::Gone => "gone",
        }
    }
}

impl Snapshot {
    /// The same with the totals that follow from the tenants, and what of a tenant follows from its other
    /// counters: the one place where sums are made, so that they cannot disagree. What tenants that have gone counted
    /// must stay in the list, or the totals would go back.
    #[must_use]
    pub fn with_totals(mut self) -> Self {
        for tenant in &mut self.tenants {
            tenant.ended = tenant.done.saturating_add(tenant.faults);
            // A slot may have ended before the thread that published it has counted it.
            tenant.published = tenant.published.max(tenant.ended);
            tenant.outstanding = tenant.published - tenant.ended;
        }
        let tenants = &self.tenants;
        let sum = |of: fn(&TenantSnapshot) -> u64| tenants.iter().map(of).fold(0, u64::saturating_add);
        self.published = sum(|tenant| tenant.published);
        self.ended = sum(|tenant| tenant.ended);
        self.done = sum(|tenant| tenant.done);
        self.faults = sum(|tenant| tenant.faults);
        self.outstanding = sum(|tenant| tenant.outstanding);
        self.throttled = sum(|tenant| tenant.throttled);
        self.cpu_copied_bytes = sum(|tenant| tenant.cpu_copied_bytes);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_the_sums() {
        let tenant = |published, done, faults, cpu_copied_bytes| TenantSnapshot {
            published,
            done,
            faults,
            cpu_copied_bytes,
            throttled: faults * 2,
            ..TenantSnapshot::default()
        };
        // Of each tenant: published, done, faults, bytes. Then the totals: published, ended, outstanding.
        type Case = (&'static [(u64, u64, u64, u64)], [u64; 3]);
        let cases: [Case; 5] = [
            (&[], [0, 0, 0]),
            (&[(7, 4, 2, 9)], [7, 6, 1]),
            (&[(7, 4, 2, 9), (100, 0, 0, 1), (5, 0, 5, 0)], [112, 11, 101]),
            // The second has ended more than was counted as published.
            (&[(7, 4, 2, 9), (1, 2, 1, 0)], [10, 9, 1]),
            (&[(u64::MAX, 1, 0, 0), (u64::MAX, 1, 0, 0)], [u64::MAX, 2, u64::MAX]),
        ];
        for (tenants, totals) in cases {
            let snapshot = Snapshot {
                tenants: tenants.iter().map(|&(p, d, f, b)| tenant(p, d, f, b)).collect(),
                ..Snapshot::default()
            }
            .with_totals();
            assert_eq!([snapshot.published, snapshot.ended, snapshot.outstanding], totals, "{tenants:?}");
            let bytes: u64 = tenants.iter().map(|t| t.3).sum();
            let faults: u64 = tenants.iter().map(|t| t.2).sum();
            assert_eq!(
                (snapshot.cpu_copied_bytes, snapshot.faults, snapshot.throttled),
                (bytes, faults, faults * 2)
            );
            assert_eq!(snapshot.ended, snapshot.done + snapshot.faults);
        }
    }

    #[test]
    fn a_snapshot_comes_back_from_json() {
        let mut snapshot = Snapshot {
            version: VERSION,
            tenants: vec![TenantSnapshot { name: "a\"\n".into(), cap: Some(3), ..TenantSnapshot::default() }],
            ..Snapshot::default()
        };
        for error in [None, Some("gone".to_owned())] {
            snapshot.error = error;
            let line = serde_json::to_string(&snapshot).expect("it encodes");
            assert!(!line.contains('\n'), "one line");
            assert_eq!(serde_json::from_str::<Snapshot>(&line).expect("it decodes"), snapshot);
        }
    }
}
