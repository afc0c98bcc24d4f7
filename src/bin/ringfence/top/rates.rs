//! Rates, from the differences of two snapshots.

use ringfence::observe::{LEVEL_NAMES, Snapshot};
use serde::Serialize;

/// A snapshot and what happened since the one before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seen {
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// None of the first snapshot of a runtime.
    pub rates: Option<Rates>,
}

/// How often things happened in a second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// The time between the two.
    pub seconds: f64,
    pub published_per_s: f64,
    pub ended_per_s: f64,
    pub faults_per_s: f64,
    pub dispatches_per_s: f64,
    pub claims_per_s: f64,
    /// Claims at each level.
    pub levels: [f64; LEVEL_NAMES.len()],
    /// Slots of each tenant that ended, in the order of the snapshot; none of one that was not there before.
    pub tenants: Vec<Option<f64>>,
}

impl Seen {
    /// `now`, with the rates since `before`.
    pub fn after(before: Option<&Snapshot>, now: Snapshot) -> Self {
        let rates = before.and_then(|before| Rates::between(before, &now));
        Self { snapshot: now, rates }
    }
}

impl Rates {
    /// None where the two are not of one run: another process, another runtime, or counters that went back.
    fn between(before: &Snapshot, now: &Snapshot) -> Option<Self> {
        if before.pid != now.pid || before.workers != now.workers || before.slots != now.slots {
            return None;
        }
        let time = now.uptime_ns.checked_sub(before.uptime_ns).filter(|time| *time > 0)?;
        let seconds = time as f64 / 1e9;
        let rate = |of: fn(&Snapshot) -> u64| Some(of(now).checked_sub(of(before))? as f64 / seconds);
        let mut levels = [0.0; LEVEL_NAMES.len()];
        for (rate, (then, now)) in levels.iter_mut().zip(before.levels.iter().zip(&now.levels)) {
            *rate = now.claims.checked_sub(then.claims)? as f64 / seconds;
        }
        let tenant = |now: &ringfence::observe::TenantSnapshot| {
            let then = before.tenants.iter().find(|then| then.id == now.id && then.name == now.name)?;
            Some(now.ended.checked_sub(then.ended)? as f64 / seconds)
        };
        Some(Self {
            seconds,
            published_per_s: rate(|s| s.published)?,
            ended_per_s: rate(|s| s.ended)?,
            faults_per_s: rate(|s| s.faults)?,
            dispatches_per_s: rate(|s| s.dispatches)?,
            claims_per_s: levels.iter().sum(),
            levels,
            tenants: now.tenants.iter().map(tenant).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ringfence::observe::TenantSnapshot;

    use super::*;

    fn snapshot(pid: u32, uptime: u64, tenants: &[(&str, u64)]) -> Snapshot {
        let tenant = |(id, (name, done)): (u32, &(&str, u64))| TenantSnapshot {
            id,
            name: (*name).to_owned(),
            done: *done,
            ..TenantSnapshot::default()
        };
        let tenants = (0..).zip(tenants).map(tenant).collect();
        let mut snapshot = Snapshot { pid, uptime_ns: uptime, tenants, ..Snapshot::default() }.with_totals();
        snapshot.levels[2].claims = snapshot.done;
        snapshot
    }

    #[test]
    fn rates_are_differences_in_a_second() {
        const SECOND: u64 = 1_000_000_000;
        let before = snapshot(1, SECOND, &[("system", 10), ("a", 100)]);
        // What comes next, and the rates: of all, of each tenant.
        type Case = (Snapshot, Option<(f64, &'static [Option<f64>])>);
        let cases: [Case; 8] = [
            (
                snapshot(1, 3 * SECOND, &[("system", 10), ("a", 300)]),
                Some((100.0, &[Some(0.0), Some(100.0)])),
            ),
            (
                snapshot(1, 2 * SECOND, &[("system", 11), ("a", 100), ("b", 5)]),
                Some((6.0, &[Some(1.0), Some(0.0), None])),
            ),
            // Another tenant has the place.
            (snapshot(1, 2 * SECOND, &[("system", 110), ("b", 5)]), Some((5.0, &[Some(100.0), None]))),
            // A tenant began anew.
            (snapshot(1, 2 * SECOND, &[("system", 110), ("a", 0)]), Some((0.0, &[Some(100.0), None]))),
            // The same snapshot; another runtime; another process; counters that went back.
            (before.clone(), None),
            (snapshot(1, 1, &[("system", 500)]), None),
            (snapshot(2, 3 * SECOND, &[("system", 500)]), None),
            (snapshot(1, 3 * SECOND, &[("system", 109)]), None),
        ];
        for (now, wanted) in cases {
            let seen = Seen::after(Some(&before), now.clone());
            let rates = seen.rates.map(|rates| (rates.ended_per_s, rates.claims_per_s, rates.tenants));
            let wanted = wanted.map(|(rate, tenants)| (rate, rate, tenants.to_vec()));
            assert_eq!(rates, wanted, "{now:?}");
        }
        assert_eq!(Seen::after(None, before).rates, None);
    }
}
