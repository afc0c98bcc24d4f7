//! The cap on a tenant's slots as the device keeps it, for a host that does not.

use ringfence::protocol::slot;
use ringfence::runtime::{Job, Outcome};

use crate::ends::{end, until_shown};
use crate::holding::{BYTES, Hold, Loading};
use crate::model::UNAUTHORIZED;
use crate::support::{MODES, assert_silent, builder};

/// Slots that are to go on count; what was claimed beyond is refused, and what goes on does so.
#[test]
fn no_more_slots_are_begun_than_a_tenant_may_have() {
    for mode in MODES {
        let loading = Loading::new::<3>(builder(mode).workers(1).tenants(3));
        let Loading { runtime, .. } = &loading;
        let tenant = runtime.tenant("t").slots(8).told_slots(2).open().expect("a tenant");
        let other = runtime.tenant("other").open().expect("a tenant");
        for round in 0..5 {
            let hold = Hold::new(3);
            let load = |n| tenant.submit(&loading.load(n)).expect("published");
            let begun: Vec<Job> = (0..2).map(load).collect();
            until_shown(runtime, slot::WAIT_IO, begun.len());
            for n in 2..5 {
                assert_eq!(end(&load(n)), UNAUTHORIZED, "{mode}, round {round}: {n}");
            }
            let others = other.submit(&loading.load(9)).expect("published");
            until_shown(runtime, slot::WAIT_IO, begun.len() + 1);
            drop(hold);
            for job in begun.iter().chain([&others]) {
                assert_eq!(end(job), Outcome::Done(BYTES.into()), "{mode}, round {round}");
            }
        }
    }
    assert_silent();
}
