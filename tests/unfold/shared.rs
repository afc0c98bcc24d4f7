//! Tenants whose slots publish slots: what they may, what it costs them, and what is left to others.

use std::time::Duration;

use ringfence::descriptor::{BuiltinOpcode, EncodeSlot as _, SlotDescriptor, UnfoldDescriptor};
use ringfence::protocol::opcode::*;
use ringfence::protocol::{FAIRNESS_BASE, FaultCode, OBSERVABLE_BASE};
use ringfence::runtime::{Mode, Outcome, Runtime, RuntimeBuilder, Tenant};

use crate::support::{MODES, PATIENCE, assert_silent, builder};

fn shared(mode: Mode) -> RuntimeBuilder {
    builder(mode).opcodes(&[UNFOLD]).tenants(8).tenant_words(256).child_slots(64)
}

fn adds(tenant: &Tenant, count: u32) -> UnfoldDescriptor {
    UnfoldDescriptor::new(BuiltinOpcode::AtomicAdd, count).args([1, tenant.window().start, 0, 0, 0])
}

fn end(tenant: &Tenant, unfold: UnfoldDescriptor) -> Outcome {
    let job = tenant.submit(&unfold).expect("published");
    job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome
}

fn word(runtime: &Runtime, at: u32) -> u32 {
    runtime.control().expect("a readback")[at as usize]
}

#[test]
fn children_may_no_more_than_their_tenant() {
    for mode in MODES {
        let runtime = shared(mode).observables(8).build().expect("a runtime");
        let a = runtime.tenant("a").window(8).open().expect("a tenant");
        let b = runtime.tenant("b").window(8).opcodes(&[UNFOLD, NOP]).open().expect("a tenant");
        assert_eq!(end(&a, adds(&a, 300).fan_out(5)), Outcome::Done(300), "{mode}");
        let outside = UnfoldDescriptor::new(BuiltinOpcode::StoreU32, 16);
        let across = outside.args([7, a.window().start + 4, 0, 0, 0]).steps([0, 1, 0, 0]);
        assert_eq!(end(&a, across), Outcome::Fault { code: 2, detail: 1 }, "{mode}");
        assert_eq!(
            end(&a, outside.args([7, OBSERVABLE_BASE, 0, 0, 0])),
            Outcome::Fault { code: 2, detail: 1 }
        );
        assert_eq!(end(&b, adds(&b, 3)), Outcome::Fault { code: 3, detail: 0 }, "{mode}");
        assert_eq!(end(&b, UnfoldDescriptor::new(BuiltinOpcode::Nop, 3)), Outcome::Done(3), "{mode}");
        let control = runtime.control().expect("a readback");
        let mut expected = vec![0; 24];
        expected[8] = 300;
        expected[12..16].fill(7);
        assert_eq!(control[OBSERVABLE_BASE as usize..][..24], expected, "{mode}");
        // Words of the table count those that the device published, too: parts and all.
        let ended = control[control[FAIRNESS_BASE as usize] as usize + 2];
        assert_eq!(ended, 2 + 3 + 3, "{mode}: b's");
    }
    assert_silent();
}

/// Each child costs a credit; who has none goes on when others have had their turn, and nobody else's are spent.
#[test]
fn children_cost_credits() {
    for mode in MODES {
        let runtime = shared(mode).workers(2).build().expect("a runtime");
        let rich = runtime.tenant("rich").window(1).open().expect("a tenant");
        for credits in [1, 2, 50] {
            let poor = runtime.tenant("poor").window(1).credits(credits).open().expect("a tenant");
            let slow = poor.submit(&adds(&poor, 400)).expect("published");
            let fast = rich.submit(&adds(&rich, 400)).expect("published");
            for job in [fast, slow] {
                let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
                assert_eq!(ended.outcome, Outcome::Done(400), "{mode}, {credits} credits");
            }
            let snapshot = runtime.snapshot();
            let throttled =
                |id| snapshot.tenants.iter().find(|tenant| tenant.id == id).map(|tenant| tenant.throttled);
            assert!(throttled(poor.id()) > Some(0), "{mode}, {credits} credits");
            assert_eq!(throttled(rich.id()), Some(0), "{mode}, {credits} credits");
        }
    }
    assert_silent();
}

/// A tenant has as many at each depth as it may have slots, and so the rest is left to others.
#[test]
fn a_tenants_cap_counts_at_each_depth() {
    for mode in MODES {
        let runtime = shared(mode).workers(2).child_slots(32).build().expect("a runtime");
        let few = runtime.tenant("few").window(1).slots(2).open().expect("a tenant");
        let many = runtime.tenant("many").window(1).slots(64).open().expect("a tenant");
        let jobs: Vec<_> = [&few, &many, &few, &many]
            .map(|tenant| tenant.submit(&adds(tenant, 500).fan_out(7)).expect("published"))
            .into();
        for job in jobs {
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
            assert_eq!(ended.outcome, Outcome::Done(500), "{mode}");
        }
        for tenant in [&few, &many] {
            assert_eq!(word(&runtime, tenant.window().start), 1000, "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn a_revoked_tenants_children_end_and_its_slots_come_back() {
    for mode in MODES {
        let runtime = shared(mode).workers(2).child_slots(32).build().expect("a runtime");
        for round in 0..20_u64 {
            let tenant = runtime.tenant("goes").window(1).open().expect("a tenant");
            let jobs: Vec<_> = (0..4)
                .map(|i| tenant.submit(&adds(&tenant, 20_000).fan_out(i * 2)).expect("published"))
                .collect();
            std::thread::sleep(Duration::from_micros(round * 100));
            if round % 2 == 0 {
                tenant.revoke()
            } else {
                drop(tenant)
            }
            for job in jobs {
                let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
                let revoked = ended.fault() == Some((FaultCode::Unauthorized, 0));
                assert!(
                    ended.outcome == Outcome::Done(20_000) || (revoked && round % 2 == 0),
                    "{mode}: {ended:?}"
                );
            }
        }
        let last = runtime.tenant("last").window(1).open().expect("a tenant");
        assert_eq!(end(&last, adds(&last, 2000).fan_out(32)), Outcome::Done(2000), "{mode}");
        assert_eq!(word(&runtime, last.window().start), 2000, "{mode}");
    }
    assert_silent();
}

/// A paused tenant's unfolding goes on as far as it was claimed, or waits; it ends after it was resumed.
#[test]
fn a_paused_tenants_slots_end_once_it_is_resumed() {
    for mode in MODES {
        let runtime = shared(mode).workers(1).build().expect("a runtime");
        let a = runtime.tenant("a").window(1).open().expect("a tenant");
        let b = runtime.tenant("b").window(1).open().expect("a tenant");
        for round in 0..10_u64 {
            let job = a.submit(&adds(&a, 5000).fan_out(3)).expect("published");
            std::thread::sleep(Duration::from_micros(round * 100));
            a.pause();
            for _ in 0..20 {
                assert_eq!(end(&b, adds(&b, 20)), Outcome::Done(20), "{mode}");
            }
            a.resume();
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
            assert_eq!(ended.outcome, Outcome::Done(5000), "{mode}");
        }
        assert_eq!(
            (word(&runtime, a.window().start), word(&runtime, b.window().start)),
            (50_000, 4000),
            "{mode}"
        );
    }
    assert_silent();
}

/// What children claim is their tenant's share: one that unfolds gets no more than one that does not, whose weights are
/// as given.
#[test]
fn children_are_claimed_in_their_tenants_share() {
    const ADDS: u32 = 40_000;
    // Children are paid for when they are published, and slots count when they have ended: so many may lie between.
    const CHILDREN: u32 = 256;
    const UNFOLDS: u32 = 50;
    let mut judged = 0;
    for mode in MODES {
        let runtime = shared(mode)
            .workers(1)
            .tenant_slots(ADDS)
            .level_slots([0, 0, ADDS + UNFOLDS, 0, 0])
            .child_slots(CHILDREN)
            .build()
            .expect("a runtime");
        for (unfolds, plain) in [(1, 1), (1, 3), (3, 1)] {
            let a = runtime.tenant("unfolds").window(1).weight(unfolds).open().expect("a tenant");
            let b = runtime.tenant("plain").window(1).weight(plain).open().expect("a tenant");
            a.pause();
            b.pause();
            let mut of_a = a.ring(UNFOLDS as usize).expect("a ring");
            let mut of_b = b.ring(ADDS as usize).expect("a ring");
            let unfold = adds(&a, ADDS / UNFOLDS - 1).encode().expect("a slot");
            let add = SlotDescriptor::atomic_add(1, b.window().start).encode().expect("a slot");
            (0..UNFOLDS).for_each(|_| of_a.push(&unfold, 0).expect("room"));
            (0..ADDS).for_each(|_| of_b.push(&add, 0).expect("room"));
            of_a.flush().expect("open");
            of_b.flush().expect("open");
            a.resume();
            b.resume();
            // Of each tenant since it was opened.
            let ended = || {
                let control = runtime.control().expect("a readback");
                [a.id(), b.id()].map(|id| control[(control[FAIRNESS_BASE as usize] + id) as usize])
            };
            // Looks at which both had more: each has ADDS claims in all.
            let mut looks = Vec::new();
            loop {
                of_a.reap(|_, _| ()).expect("well");
                of_b.reap(|_, _| ()).expect("well");
                let now = ended();
                if now.iter().any(|ended| *ended > ADDS - 500) {
                    break;
                }
                looks.push(now);
                std::thread::sleep(Duration::from_micros(300));
            }
            while of_a.in_flight() + of_b.in_flight() > 0 {
                of_a.wait(Duration::from_millis(5), |_, _| ()).expect("well");
                of_b.wait(Duration::from_millis(5), |_, _| ()).expect("well");
            }
            assert_eq!(ended(), [ADDS, ADDS], "{mode}: all ends");
            // From the first look on, since one of them was resumed before the other.
            let ([first, ..], [.., last]) = (looks.as_slice(), looks.as_slice()) else { continue };
            let [of_a, of_b] = [last[0] - first[0], last[1] - first[1]];
            let claims = (of_a + of_b).max(1);
            let share = f64::from(of_a) / f64::from(claims);
            let due = f64::from(unfolds) / f64::from(unfolds + plain);
            eprintln!("{mode}: weights {unfolds} and {plain}: share {share:.3} of {claims} claims");
            let off = (share - due).abs();
            let between = f64::from(CHILDREN + UNFOLDS) / f64::from(claims);
            assert!(
                claims < 10_000 || off < 0.05 * due + between,
                "{mode}: {unfolds} to {plain}: {share} of {claims}"
            );
            judged += usize::from(claims >= 10_000);
        }
    }
    assert!(judged > 0, "no look came while both had work");
    assert_silent();
}
