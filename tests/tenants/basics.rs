//! What each tenant may do, what it sees, and what becomes of its slots: a case at a time.

use std::time::Duration;

use crate::support::{MODES, PATIENCE, assert_silent, builder};
use ringfence::descriptor::{BatchDescriptor, BuiltinOpcode, EncodeSlot, PackedOpDescriptor, SlotDescriptor};
use ringfence::protocol::abi::opcode::*;
use ringfence::protocol::{
    FAIRNESS_BASE, LIMIT_BASE, OBSERVABLE_BASE, QUOTA_BASE, TENANT_BASE, TENANT_WORD, try_read_debug_log,
};
use ringfence::runtime::{Outcome, Runtime, RuntimeError, SlotWords, SubmitError, Tenant};

const UNAUTHORIZED: Outcome = Outcome::Fault { code: 3, detail: 0 };
const OUT_OF_CREDITS: Outcome = Outcome::Fault { code: 5, detail: 0 };

fn bad_operand(argument: u16) -> Outcome {
    Outcome::Fault { code: 2, detail: argument }
}

fn end(tenant: &Tenant, slot: &impl EncodeSlot) -> Outcome {
    let job = tenant.submit(slot).expect("published");
    job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome
}

fn raw(opcode: u32, args: [u32; 4]) -> SlotWords {
    let mut words = [0; 16];
    words[0] = 1;
    words[1] = opcode;
    words[3] = 2;
    words[4..8].copy_from_slice(&args);
    words
}

fn observables(runtime: &Runtime) -> Vec<u32> {
    runtime.control().expect("a readback")[OBSERVABLE_BASE as usize..].to_vec()
}

#[test]
fn tenants_submit_and_see_what_became_of_their_own() {
    for mode in MODES {
        let runtime = builder(mode).tenants(4).tenant_words(64).observables(8).build().expect("a runtime");
        let a = runtime.tenant("a").window(16).open().expect("a tenant");
        let b = runtime.tenant("b").window(16).open().expect("a tenant");
        let (first, second) = (a.window().start, b.window().start);
        for i in 0..10 {
            assert_eq!(end(&a, &SlotDescriptor::atomic_add(1, first)), Outcome::Done(i), "{mode}");
            assert_eq!(end(&b, &SlotDescriptor::atomic_add(2, second)), Outcome::Done(2 * i), "{mode}");
            let own = runtime.submit(&SlotDescriptor::atomic_add(3, 161)).expect("published");
            assert_eq!(own.wait().expect("well").outcome, Outcome::Done(u64::from(3 * i as u32)), "{mode}");
        }
        assert_eq!(end(&a, &raw(OP_PRINTF, [7, 1, 2, 3])), Outcome::Done(1));
        assert_eq!(end(&b, &raw(OP_PRINTF, [8, 1, 2, 3])), Outcome::Done(1));
        for (tenant, format) in [(&a, 7), (&b, 8)] {
            let bytes: Vec<u8> = tenant.debug_log().iter().flat_map(|w| w.to_le_bytes()).collect();
            let log = try_read_debug_log(&bytes).expect("a log");
            assert_eq!(log.records.iter().map(|r| r.fmt_id).collect::<Vec<_>>(), [format], "{mode}");
        }
        let batch = BatchDescriptor::new(vec![SlotDescriptor::atomic_add(1, first + 1); 20], 77);
        let ended = a.submit_batch(&batch).expect("published").wait().expect("well");
        assert!(ended.fence.result().is_some(), "{ended:?}");
        let control = runtime.control().expect("a readback");
        assert_eq!(control[first as usize..][..2], [77, 20], "{mode}: the tag goes to its own window");
        let stats = a.stats();
        assert_eq!((stats.published, stats.done, stats.faults, stats.outstanding), (32, 32, 0, 0));
        let ended = control[FAIRNESS_BASE as usize] as usize;
        assert_eq!(control[ended..][..4], [10, 32, 11, 0], "{mode}");
    }
    assert_silent();
}

#[test]
fn nothing_outside_its_window_is_a_tenants_to_name() {
    for mode in MODES {
        let runtime = builder(mode).tenants(3).tenant_words(32).observables(8).build().expect("a runtime");
        let _before = runtime.tenant("before").window(8).open().expect("a tenant");
        let tenant = runtime.tenant("t").window(8).open().expect("a tenant");
        let w = tenant.window();
        assert_eq!(w.len(), 8);
        let table = runtime.table(&[5; 512]).expect("a table");
        let before = observables(&runtime);
        let o = |word: u32| word - OBSERVABLE_BASE;
        let outside = [0, 1, 3, 32, 128, 159, 160, w.start - 1, w.end, w.end + 1, 1 << 20, u32::MAX];
        for word in outside {
            assert_eq!(end(&tenant, &raw(OP_STORE_U32, [9, word, 0, 0])), bad_operand(1), "{word}");
            assert_eq!(end(&tenant, &raw(OP_ATOMIC_ADD, [9, word, 0, 0])), bad_operand(1), "{word}");
            assert_eq!(end(&tenant, &raw(OP_LOAD_U32, [word, o(w.start), 0, 0])), bad_operand(0), "{word}");
            assert_eq!(end(&tenant, &raw(OP_COMPARE_SWAP, [word, 0, 9, 0])), bad_operand(0), "{word}");
            assert_eq!(end(&tenant, &raw(OP_MEMCPY, [word, w.start, 1, 0])), bad_operand(0), "{word}");
            assert_eq!(end(&tenant, &raw(OP_MEMCPY, [w.start, word, 1, 0])), bad_operand(1), "{word}");
            if word >= OBSERVABLE_BASE {
                assert_eq!(
                    end(&tenant, &raw(OP_LOAD_U32, [w.start, o(word), 0, 0])),
                    bad_operand(1),
                    "{word}"
                );
                let plus = o(word).wrapping_add(1);
                if plus != 0 {
                    let args = [w.start, 1, 9, plus];
                    assert_eq!(end(&tenant, &raw(OP_COMPARE_SWAP, args)), bad_operand(3), "{word}");
                }
            }
            let inner = vec![
                PackedOpDescriptor::new(BuiltinOpcode::Nop, &[]),
                PackedOpDescriptor::new(BuiltinOpcode::StoreU32, &[9, word]),
            ];
            let packed = SlotDescriptor::packed(inner);
            assert_eq!(end(&tenant, &packed), Outcome::Fault { code: 2, detail: 1 }, "{word}");
        }
        // Copies that begin inside and end outside.
        assert_eq!(end(&tenant, &raw(OP_MEMCPY, [w.start, w.start + 4, 5, 0])), bad_operand(1));
        assert_eq!(end(&tenant, &raw(OP_MEMCPY, [w.start + 4, w.start, 5, 0])), bad_operand(0));
        assert_eq!(end(&tenant, &raw(OP_MEMCPY, [w.start, w.start + 4, 4, 0])), Outcome::Done(4));
        // A table that is the system's.
        assert_eq!(end(&tenant, &raw(OP_DFA_STEP, [0, 0, table.handle(), 0])), bad_operand(2));
        table.set_tenants(tenant.set());
        assert_eq!(end(&tenant, &raw(OP_DFA_STEP, [0, 0, table.handle(), 0])), Outcome::Done(5));
        // Of observables and windows; behind them are the tables, which count.
        assert_eq!(observables(&runtime)[..40], before[..40], "{mode}");
    }
    assert_silent();
}

#[test]
fn what_a_slot_says_of_its_tenant_changes_nothing() {
    for mode in MODES {
        let runtime = builder(mode).tenants(3).tenant_words(32).build().expect("a runtime");
        let tenant = runtime.tenant("t").window(8).open().expect("a tenant");
        for forged in [0, 1, 2, 3, 1023, 1024, u32::MAX] {
            let mut words = raw(OP_STORE_U32, [9, 161, 0, 0]);
            words[TENANT_WORD as usize] = forged;
            assert_eq!(end(&tenant, &words), bad_operand(1), "{mode}: {forged}");
            words[5] = tenant.window().start;
            assert_eq!(end(&tenant, &words), Outcome::Done(0), "{mode}: {forged}");
        }
        assert_eq!(end(&tenant, &raw(OP_SHUTDOWN, [0; 4])), UNAUTHORIZED, "{mode}");
        assert_eq!(end(&tenant, &SlotDescriptor::nop()), Outcome::Done(0), "{mode}: it goes on");
    }
    assert_silent();
}

#[test]
fn opcodes_beyond_its_set_are_refused_inside_packed_slots_too() {
    for mode in MODES {
        let runtime = builder(mode).tenants(2).tenant_words(32).build().expect("a runtime");
        let tenant =
            runtime.tenant("t").window(8).opcodes(&[OP_NOP, OP_PACKED_SLOT]).open().expect("a tenant");
        let word = tenant.window().start;
        assert_eq!(end(&tenant, &SlotDescriptor::nop()), Outcome::Done(0));
        assert_eq!(end(&tenant, &SlotDescriptor::store_u32(1, word)), UNAUTHORIZED);
        assert_eq!(end(&tenant, &raw(4660, [0; 4])), UNAUTHORIZED);
        assert_eq!(end(&tenant, &raw(OP_CRC32C, [0; 4])), UNAUTHORIZED);
        let inner = vec![
            PackedOpDescriptor::new(BuiltinOpcode::Nop, &[]),
            PackedOpDescriptor::new(BuiltinOpcode::StoreU32, &[9, word]),
        ];
        assert_eq!(end(&tenant, &SlotDescriptor::packed(inner)), Outcome::Fault { code: 3, detail: 1 });
        let ended = tenant.submit_batch(&BatchDescriptor::new(vec![SlotDescriptor::nop()], 1));
        let ended = ended.expect("published").wait_timeout(PATIENCE).expect("well").expect("in time");
        assert_eq!(ended.fence.outcome, UNAUTHORIZED, "{mode}: {ended:?}");
        assert_eq!(runtime.control().expect("a readback")[word as usize], 0);
    }
    assert_silent();
}

#[test]
fn credits_are_spent_and_given_anew_and_none_at_all_is_a_fault() {
    for mode in MODES {
        let runtime = builder(mode).tenants(3).tenant_words(32).build().expect("a runtime");
        let poor = runtime.tenant("poor").window(8).credits(3).open().expect("a tenant");
        let none = runtime.tenant("none").window(8).credits(0).open().expect("a tenant");
        assert_eq!(end(&none, &SlotDescriptor::nop()), OUT_OF_CREDITS, "{mode}");
        let word = poor.window().start;
        // More than its credits, in one batch and one by one: the device is never idle with work.
        let batch = BatchDescriptor::new(vec![SlotDescriptor::atomic_add(1, word + 1); 40], 1);
        let ended = poor.submit_batch(&batch).expect("published");
        let ended = ended.wait_timeout(PATIENCE).expect("well").expect("in time");
        assert!(ended.slots.iter().all(|s| s.result().is_some()), "{mode}");
        let jobs: Vec<_> = (0..50)
            .map(|_| poor.submit(&SlotDescriptor::atomic_add(1, word + 1)).expect("published"))
            .collect();
        for job in jobs {
            assert!(job.wait_timeout(PATIENCE).expect("well").is_some(), "{mode}");
        }
        let control = runtime.control().expect("a readback");
        assert_eq!(control[word as usize + 1], 90, "{mode}");
        let credits = control[control[QUOTA_BASE as usize] as usize + poor.id() as usize];
        assert!(credits <= 3, "{mode}: {credits}");
        assert_eq!(control[control[LIMIT_BASE as usize] as usize + poor.id() as usize], 3);
    }
    assert_silent();
}

#[test]
fn a_paused_tenant_waits_and_a_revoked_one_ends() {
    for mode in MODES {
        let runtime = builder(mode).tenants(3).tenant_words(32).build().expect("a runtime");
        let tenant = runtime.tenant("t").window(8).open().expect("a tenant");
        let other = runtime.tenant("other").window(8).open().expect("a tenant");
        let add = SlotDescriptor::atomic_add(1, tenant.window().start);
        assert!(matches!(end(&tenant, &add), Outcome::Done(0)));
        tenant.pause();
        let jobs: Vec<_> = (0..20).map(|_| tenant.submit(&add).expect("published")).collect();
        for _ in 0..20 {
            assert!(matches!(end(&other, &SlotDescriptor::nop()), Outcome::Done(0)));
        }
        assert!(runtime.wait_idle(PATIENCE), "{mode}: a paused tenant keeps no kernel running");
        assert!(jobs.iter().all(|job| job.try_wait().is_none()), "{mode}");
        assert!(jobs[0].wait_timeout(Duration::from_millis(5)).expect("well").is_none(), "{mode}");
        tenant.resume();
        for job in &jobs {
            assert!(job.wait_timeout(PATIENCE).expect("well").expect("in time").result().is_some(), "{mode}");
        }
        tenant.pause();
        let jobs: Vec<_> = (0..20).map(|_| tenant.submit(&add).expect("published")).collect();
        tenant.revoke();
        for job in &jobs {
            assert_eq!(
                job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome,
                UNAUTHORIZED,
                "{mode}"
            );
        }
        let refused = tenant.submit(&add).err().expect("revoked");
        assert!(matches!(refused, SubmitError::Runtime(RuntimeError::Revoked)), "{refused}");
        assert_eq!(runtime.control().expect("a readback")[tenant.window().start as usize], 21, "{mode}");
        assert!(matches!(end(&other, &SlotDescriptor::nop()), Outcome::Done(0)));
    }
    assert_silent();
}

#[test]
fn bases_that_the_system_tenant_overwrites_lead_nowhere() {
    for mode in MODES {
        for base in [TENANT_BASE, LIMIT_BASE, QUOTA_BASE, FAIRNESS_BASE] {
            for value in [0, 5, 1 << 20, u32::MAX - 1, u32::MAX] {
                let runtime = builder(mode).tenants(3).tenant_words(16).build().expect("a runtime");
                let tenant = runtime.tenant("t").window(8).credits(5).open().expect("a tenant");
                let own = runtime.submit(&SlotDescriptor::store_u32(value, base)).expect("published");
                own.wait().expect("well");
                let outcome = end(&tenant, &SlotDescriptor::nop());
                let may = [Outcome::Done(0), UNAUTHORIZED, OUT_OF_CREDITS];
                assert!(may.contains(&outcome), "{mode}: {base} = {value}: {outcome:?}");
            }
        }
    }
    assert_silent();
}
