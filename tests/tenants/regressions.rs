//! Faults that were found by random lives or by reading, each at its smallest.

use ringfence::descriptor::BuiltinOpcode::{Memcpy, Nop};
use ringfence::descriptor::{EncodeSlot as _, PackedOpDescriptor, SlotDescriptor};
use ringfence::protocol::abi::opcode::*;
use ringfence::protocol::{FaultCode, LoadMiss, try_read_debug_log};
use ringfence::runtime::{Outcome, RuntimeError, StorageOptions, SubmitError};

use crate::support::{MODES, PATIENCE, assert_silent, builder};

#[test]
fn the_system_needs_no_tenant_beside_it() {
    for mode in MODES {
        let runtime = builder(mode).tenants(3).build().expect("a runtime");
        let job = runtime.submit(&SlotDescriptor::nop()).expect("published");
        let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
        assert_eq!(ended.outcome, Outcome::Done(0), "{mode}");
    }
    assert_silent();
}

/// Copies of other lanes say nothing of one that was refused.
#[test]
fn a_copy_that_is_refused_inside_a_packed_slot_stays_refused() {
    for mode in MODES {
        let runtime = builder(mode).workers(1).tenants(3).tenant_words(64).build().expect("a runtime");
        let may = runtime.tenant("may").window(8).open().expect("a tenant");
        let may_not = runtime.tenant("may not").opcodes(&[OP_NOP, OP_PACKED_SLOT]).open().expect("a tenant");
        let copy = |word| {
            let inner = vec![
                PackedOpDescriptor::new(Memcpy, &[word, word + 4, 2]),
                PackedOpDescriptor::new(Nop, &[]),
            ];
            SlotDescriptor::packed(inner)
        };
        may.pause();
        may_not.pause();
        let jobs: Vec<_> = (0..8)
            .map(|_| {
                let good = may.submit(&copy(may.window().start)).expect("published");
                (good, may_not.submit(&copy(may.window().start)).expect("published"))
            })
            .collect();
        may.resume();
        may_not.resume();
        for (good, refused) in jobs {
            let end = |job: ringfence::runtime::Job| {
                job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome
            };
            assert_eq!(end(good), Outcome::Done(2), "{mode}");
            assert_eq!(end(refused), Outcome::Fault { code: 3, detail: 0 }, "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn a_dropped_tenants_slots_keep_their_window_whoever_comes_next() {
    let runtime = builder(MODES[1]).tenants(4).tenant_words(64).build().expect("a runtime");
    let tenant = runtime.tenant("t").window(8).open().expect("a tenant");
    let window = tenant.window();
    let jobs: Vec<_> = (0..9)
        .map(|_| tenant.submit(&SlotDescriptor::atomic_add(1, window.start)).expect("published"))
        .collect();
    // In epoch mode nothing runs before somebody waits.
    drop(tenant);
    let next = runtime.tenant("next").window(8).open().expect("a place");
    assert_ne!(next.window(), window);
    for job in jobs {
        assert!(job.wait_timeout(PATIENCE).expect("well").expect("in time").result().is_some());
    }
    assert_eq!(runtime.control().expect("a readback")[window.start as usize], 9);
    assert_silent();
}

#[test]
fn a_place_is_lent_anew_without_what_its_last_tenant_left() {
    for mode in MODES {
        let runtime = builder(mode).tenants(2).tenant_words(8).build().expect("a runtime");
        let first = runtime.tenant("first").window(8).open().expect("a tenant");
        let mut print = SlotDescriptor::nop().encode().expect("a slot");
        print[1] = OP_PRINTF;
        for slot in [print, SlotDescriptor::store_u32(7, first.window().start).encode().expect("a slot")] {
            first.submit(&slot).expect("published").wait_timeout(PATIENCE).expect("well").expect("in time");
        }
        let mut ring = first.ring(4).expect("a ring");
        drop(first);
        let taken = runtime.tenant("second").open().err().expect("the ring is a handle too");
        assert!(matches!(taken, RuntimeError::NoTenant { most: 1 }), "{mode}: {taken}");
        ring.push(&SlotDescriptor::nop().encode().expect("a slot"), 0).expect("room");
        ring.flush().expect("open");
        while ring.in_flight() > 0 {
            assert!(ring.wait(PATIENCE, |_, end| assert_eq!(end, Outcome::Done(0))).expect("well") > 0);
        }
        drop(ring);
        let second = runtime.tenant("second").window(8).open().expect("its place");
        assert!(runtime.control().expect("a readback")[second.window().start as usize] == 0, "{mode}");
        let bytes: Vec<u8> = second.debug_log().iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(try_read_debug_log(&bytes).expect("a log").records, [], "{mode}");
    }
    assert_silent();
}

/// What rings have pushed and not published does not add up to more than the tenant's queues hold.
#[test]
fn rings_together_publish_no_more_than_their_tenant_may() {
    for mode in MODES {
        let runtime = builder(mode).tenants(2).tenant_slots(8).build().expect("a runtime");
        let tenant = runtime.tenant("t").open().expect("a tenant");
        let nop = SlotDescriptor::nop().encode().expect("a slot");
        tenant.pause();
        let mut rings = [8, 8, 8].map(|depth| tenant.ring(depth).expect("a ring"));
        for ring in &mut rings {
            (0..8).for_each(|_| ring.push(&nop, 0).expect("room"));
        }
        rings[0].flush().expect("room");
        for ring in &mut rings[1..] {
            assert!(matches!(ring.flush(), Err(RuntimeError::TenantFull { slots: 8 })), "{mode}");
        }
        tenant.resume();
        for mut ring in rings {
            while ring.in_flight() > 0 {
                ring.flush().expect("room by now");
                assert!(
                    ring.wait(PATIENCE, |_, end| assert_eq!(end, Outcome::Done(0))).expect("well") > 0,
                    "{mode}"
                );
            }
        }
    }
    assert_silent();
}

#[test]
fn a_fence_waits_for_no_other_tenants_transfers() {
    for mode in MODES {
        let storage = StorageOptions::default();
        let runtime = builder(mode).storage(storage).tenants(3).build().expect("a runtime");
        let paused = runtime.tenant("paused").open().expect("a tenant");
        let other = runtime.tenant("other").open().expect("a tenant");
        paused.pause();
        let held = paused.submit(&SlotDescriptor::load_miss(&LoadMiss::default())).expect("published");
        let fence = other.submit(&SlotDescriptor::io_fence()).expect("published");
        let ended = fence.wait_timeout(PATIENCE).expect("well").expect("in time");
        assert_eq!(ended.outcome, Outcome::Done(0), "{mode}");
        assert!(held.try_wait().is_none(), "{mode}");
        paused.resume();
        let ended = held.wait_timeout(PATIENCE).expect("well").expect("in time");
        assert_eq!(ended.fault(), Some((FaultCode::BadOperand, 0)), "{mode}: no such file");
    }
    assert_silent();
}

/// A paused tenant's slots end when somebody resumes it, who may be the one that waits for room.
#[test]
fn a_level_that_a_paused_tenant_fills_is_no_wait_without_end() {
    for mode in MODES {
        let runtime = builder(mode).tenants(3).level_slots([0, 0, 16, 0, 0]).build().expect("a runtime");
        let paused = runtime.tenant("paused").slots(16).open().expect("a tenant");
        let other = runtime.tenant("other").open().expect("a tenant");
        paused.pause();
        let held: Vec<_> =
            (0..16).map(|_| paused.submit(&SlotDescriptor::nop()).expect("published")).collect();
        let refused = other.submit(&SlotDescriptor::nop()).err().expect("nothing frees a slot");
        assert!(
            matches!(refused, SubmitError::Runtime(RuntimeError::Full { level: 2, slots: 16 })),
            "{mode}: {refused}"
        );
        let refused = paused.submit(&SlotDescriptor::nop()).err().expect("nor one of its own");
        assert!(
            matches!(refused, SubmitError::Runtime(RuntimeError::TenantFull { slots: 16 })),
            "{mode}: {refused}"
        );
        paused.resume();
        let job = other.submit(&SlotDescriptor::nop()).expect("they end");
        for job in held.iter().chain([&job]) {
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
            assert_eq!(ended.outcome, Outcome::Done(0), "{mode}");
        }
    }
    assert_silent();
}
