//! The tenants as a snapshot has them.

use std::sync::atomic::Ordering;

use super::ledger::Counts;
use super::shared::{Shared, lock};
use crate::observe::{DEPARTED, TenantSnapshot, TenantState};
use crate::protocol::abi::live::{TENANT_PAUSED, TENANT_REVOKED};

impl Shared {
    /// The tenants, by their ids, and last what those counted that have gone. `control` was read while no dispatch
    /// was in flight.
    pub fn tenant_snapshots(&self, control: &[u32]) -> Vec<TenantSnapshot> {
        let mut ledgers = lock(&self.tenancy.ledgers);
        let terms = lock(&self.tenancy.terms);
        let mut departed = Counts::default();
        let mut list = Vec::new();
        for (id, ((seat, ledger), terms)) in
            (0..).zip(self.tenancy.seats.iter().zip(&mut *ledgers).zip(&*terms))
        {
            let flags = seat.flags.load(Ordering::Acquire);
            let table = |index: usize| match id {
                0 => 0,
                _ => control.get(self.layout.tables(id)[index] as usize).copied().unwrap_or_default(),
            };
            let all = ledger.all(seat, table(4));
            if flags == 0 {
                departed = departed + all;
                continue;
            }
            departed = departed + ledger.before;
            let Counts { published, done, faults, throttled } = all - ledger.before;
            let limit = table(1);
            let limited = id != 0 && limit != u32::MAX;
            // Workers may have taken more than there was, which then counts as none.
            let left = Some(table(2)).filter(|left| *left <= limit).unwrap_or(0);
            list.push(TenantSnapshot {
                id,
                name: terms.name.clone(),
                weight: terms.weight,
                state: match flags {
                    _ if flags & TENANT_REVOKED != 0 => TenantState::Revoked,
                    _ if flags & TENANT_PAUSED != 0 => TenantState::Paused,
                    _ => TenantState::Running,
                },
                published,
                done,
                faults,
                throttled,
                credits_left: limited.then_some(left.into()),
                credits_limit: limited.then_some(limit.into()),
                cap: (id != 0).then(|| seat.most.load(Ordering::Relaxed).into()),
                ..TenantSnapshot::default()
            });
        }
        if departed != Counts::default() {
            let Counts { published, done, faults, throttled } = departed;
            list.push(TenantSnapshot {
                id: DEPARTED,
                name: "departed".to_owned(),
                state: TenantState::Gone,
                published,
                done,
                faults,
                throttled,
                ..TenantSnapshot::default()
            });
        }
        list
    }
}
