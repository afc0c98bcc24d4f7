//! Snapshots of a runtime: counters that are exact, of one moment, and add up.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use std::collections::HashMap;

use ringfence::descriptor::{BatchDescriptor, SlotDescriptor};
use ringfence::observe::{DEPARTED, Snapshot, TenantSnapshot, TenantState, VERSION};
use ringfence::runtime::{Runtime, Tenant};
use support::{MODES, builder};

/// The totals, and the claims at all levels.
fn totals(snapshot: &Snapshot) -> [u64; 6] {
    let claims = snapshot.levels.iter().map(|level| level.claims).sum();
    [snapshot.published, snapshot.ended, snapshot.done, snapshot.faults, snapshot.outstanding, claims]
}

/// Ends threads also where an assertion has ended the one that would tell them to.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn check(snapshot: &Snapshot) {
    assert_eq!(snapshot.clone().with_totals(), *snapshot, "the totals are the sums over the tenants");
    assert_eq!(snapshot.published, snapshot.ended + snapshot.outstanding);
    assert_eq!(snapshot.levels.iter().map(|level| level.slots).sum::<u32>(), snapshot.slots);
    assert_eq!((snapshot.version, snapshot.pid), (VERSION, std::process::id()));
}

#[test]
fn counters_are_those_of_what_was_done() {
    for mode in MODES {
        let runtime = builder(mode).slots(64).observables(32).build().unwrap();
        let fresh = runtime.snapshot();
        check(&fresh);
        assert_eq!(totals(&fresh), [0; 6]);
        assert_eq!((fresh.mode.clone(), fresh.slots), (mode.to_string(), 64));
        assert_eq!((fresh.workers, fresh.tenants.len()), (runtime.workers(), 1));

        let job = runtime.submit(&SlotDescriptor::store_u32(7, 161)).unwrap();
        assert!(job.wait().unwrap().result().is_some());
        assert_eq!(totals(&runtime.snapshot()), [1, 1, 1, 0, 0, 1]);
        // Its index lies behind the control buffer.
        let job = runtime.submit(&SlotDescriptor::store_u32(7, 1 << 30)).unwrap();
        assert!(job.wait().unwrap().fault().is_some());
        assert_eq!(totals(&runtime.snapshot()), [2, 2, 1, 1, 0, 2]);
        // A batch counts its fence.
        let batch = BatchDescriptor::new((0..9).map(|n| SlotDescriptor::store_u32(n, 162 + n)).collect(), 0);
        runtime.submit_batch(&batch).unwrap().wait().unwrap();
        let last = runtime.snapshot();
        check(&last);
        assert_eq!(totals(&last), [12, 12, 11, 1, 0, 12]);
        assert!(last.dispatches > 0 && last.uptime_ns > fresh.uptime_ns);
        assert_eq!(last.levels.clone().map(|level| level.in_use), [0; 5]);
        // Nothing was published since.
        runtime.set_level_slots([4, 8, 48, 4, 0]).unwrap();
        let again = runtime.snapshot();
        assert_eq!(again.levels.clone().map(|level| level.slots), [4, 8, 48, 4, 0]);
        assert_eq!(totals(&again), totals(&last));
        assert!(again.uptime_ns > last.uptime_ns);
    }
}

#[test]
fn counters_add_up_while_others_publish() {
    for mode in MODES {
        let runtime = builder(mode).slots(64).observables(32).build().unwrap();
        let stop = AtomicBool::new(false);
        let published: u64 = std::thread::scope(|scope| {
            let submit = || {
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..8 {
                        drop(runtime.submit(&SlotDescriptor::atomic_add(1, 161)).unwrap());
                    }
                    count += 8;
                }
                count
            };
            let threads: Vec<_> = (0..2).map(|_| scope.spawn(submit)).collect();
            let stops = Stops(&stop);
            let mut before = Snapshot::default();
            for _ in 0..20 {
                let now = runtime.snapshot();
                check(&now);
                let back = totals(&now).iter().zip(totals(&before)).position(|(now, then)| *now < then);
                assert!(matches!(back, None | Some(4)), "a counter went back: {before:?} {now:?}");
                before = now;
            }
            drop(stops);
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        while runtime.stats().ended < published {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(totals(&runtime.snapshot()), [published, published, published, 0, 0, published]);
    }
}

#[test]
fn a_lost_device_leaves_the_last_counters_and_the_reason() {
    for mode in MODES {
        let gpu = support::own_gpu();
        let runtime = builder(mode).gpu(gpu.clone()).build().unwrap();
        runtime.submit(&SlotDescriptor::store_u32(7, 161)).unwrap().wait().unwrap();
        let before = runtime.snapshot();
        gpu.inject_loss();
        while runtime.submit(&SlotDescriptor::store_u32(7, 161)).is_ok() {}
        let after = runtime.snapshot();
        check(&after);
        assert_eq!(totals(&after), totals(&before));
        assert!(after.error.is_some_and(|error| error.contains("lost")), "{mode}");
        assert_eq!(after.uptime_ns, before.uptime_ns, "of an earlier moment");
    }
}

fn of(snapshot: &Snapshot, id: u32) -> TenantSnapshot {
    let found = snapshot.tenants.iter().find(|tenant| tenant.id == id);
    found.unwrap_or_else(|| panic!("no tenant {id} in {snapshot:?}")).clone()
}

#[test]
fn tenants_are_shown_with_what_they_may_and_did() {
    for mode in MODES {
        let runtime = builder(mode).tenants(4).tenant_words(64).tenant_slots(32).build().unwrap();
        let open = || runtime.tenant("a").window(8).weight(7).credits(5).slots(20).open().unwrap();
        let fresh = runtime.snapshot();
        assert_eq!(fresh.tenants.iter().map(|t| &*t.name).collect::<Vec<_>>(), ["system"], "{mode}");
        let a = open();
        let shown = of(&runtime.snapshot(), a.id());
        let wanted = TenantSnapshot {
            id: a.id(),
            name: "a".into(),
            weight: 7,
            credits_left: Some(5),
            credits_limit: Some(5),
            cap: Some(20),
            ..TenantSnapshot::default()
        };
        assert_eq!(shown, wanted, "{mode}");
        let word = a.window().start;
        for (slot, done) in
            [(SlotDescriptor::store_u32(1, word), true), (SlotDescriptor::store_u32(1, 0), false)]
        {
            assert_eq!(a.submit(&slot).unwrap().wait().unwrap().result().is_some(), done, "{mode}");
        }
        let snapshot = runtime.snapshot();
        check(&snapshot);
        let shown = of(&snapshot, a.id());
        assert_eq!((shown.published, shown.done, shown.faults, shown.outstanding), (2, 1, 1, 0), "{mode}");
        assert!(shown.credits_left.is_some_and(|left| left < 5), "{mode}: {shown:?}");

        // What no slot says is seen as well.
        for (change, state) in [
            (Tenant::pause as fn(&Tenant), TenantState::Paused),
            (Tenant::resume, TenantState::Running),
            (Tenant::revoke, TenantState::Revoked),
        ] {
            change(&a);
            assert_eq!(of(&runtime.snapshot(), a.id()).state, state, "{mode}");
        }
        // Tenants that have gone leave what they counted, and the next has its place with nothing.
        let (id, mut gone) = (a.id(), 0);
        drop(a);
        for _ in 0..3 {
            gone += 2;
            let snapshot = runtime.snapshot();
            check(&snapshot);
            let departed = of(&snapshot, DEPARTED);
            assert_eq!(
                (departed.published, departed.done, departed.faults),
                (gone, gone / 2, gone / 2),
                "{mode}"
            );
            assert_eq!((snapshot.tenants.len(), departed.state), (2, TenantState::Gone), "{mode}");
            let next = open();
            assert_eq!((next.id(), next.stats().published), (id, 0), "{mode}");
            let opened = runtime.snapshot();
            assert_eq!(of(&opened, id), wanted, "{mode}");
            assert_eq!(totals(&opened)[..2], [gone; 2], "{mode}");
            for word in [next.window().start, 0] {
                next.submit(&SlotDescriptor::store_u32(1, word)).unwrap().wait().unwrap();
            }
            assert_eq!((next.stats().done, next.stats().faults), (1, 1), "{mode}");
        }
    }
}

/// Slots of a tenant's, some of which fault: how many ended in DONE, how many in FAULT.
fn live(runtime: &Runtime, name: &str, slots: u32) -> [u64; 2] {
    let tenant = runtime.tenant(name).window(4).credits(3).open().unwrap();
    let word = tenant.window().start;
    let jobs = (0..slots).map(|n| {
        let to = if n % 5 == 0 { 0 } else { word };
        tenant.submit(&SlotDescriptor::atomic_add(1, to)).unwrap()
    });
    let jobs: Vec<_> = jobs.collect();
    let done = jobs.into_iter().filter(|job| job.wait().unwrap().result().is_some()).count() as u64;
    let stats = tenant.stats();
    assert_eq!((stats.published, stats.done, stats.outstanding), (slots.into(), done, 0));
    [done, stats.faults]
}

#[test]
fn sums_over_tenants_are_what_their_jobs_said() {
    for mode in MODES {
        let runtime = builder(mode).slots(256).tenants(5).tenant_words(64).build().unwrap();
        let stop = AtomicBool::new(false);
        let lived = AtomicU32::new(0);
        let said: Vec<[u64; 2]> = std::thread::scope(|scope| {
            // Each thread is one tenant after another.
            let lives = |name: &'static str| {
                let (runtime, stop, lived) = (&runtime, &stop, &lived);
                move || {
                    let mut said = [0; 2];
                    while !stop.load(Ordering::Relaxed) {
                        let [done, faults] = live(runtime, name, 40);
                        said = [said[0] + done, said[1] + faults];
                        lived.fetch_add(1, Ordering::Relaxed);
                    }
                    said
                }
            };
            let threads: Vec<_> = ["a", "b", "c"].map(|name| scope.spawn(lives(name))).into();
            let stops = Stops(&stop);
            let mut before = Snapshot::default();
            while lived.load(Ordering::Relaxed) < 20 {
                let now = runtime.snapshot();
                check(&now);
                let back = totals(&now).iter().zip(totals(&before)).position(|(now, then)| *now < then);
                assert!(matches!(back, None | Some(4)), "a counter went back: {before:?} {now:?}");
                assert!(now.throttled >= before.throttled, "{before:?} {now:?}");
                let names: HashMap<_, _> = now.tenants.iter().map(|t| (t.id, t.name.clone())).collect();
                assert_eq!(names.len(), now.tenants.len(), "{now:?}");
                before = now;
            }
            drop(stops);
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let [done, faults] = [0, 1].map(|which| said.iter().map(|said| said[which]).sum::<u64>());
        let last = runtime.snapshot();
        let ended = done + faults;
        assert_eq!(totals(&last), [ended, ended, done, faults, 0, ended], "{mode}");
        let departed = of(&last, DEPARTED);
        assert_eq!(
            (departed.done, departed.faults, departed.throttled),
            (done, faults, last.throttled),
            "{mode}"
        );
        assert!(last.throttled > 0, "{mode}: credits for 3 of 40");
    }
}
