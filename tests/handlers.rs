//! Handlers of users in the running kernel: slots and operations of packed slots, in both modes.

mod support;

use ringfence::descriptor::{PackedOpDescriptor, SlotDescriptor, SlotOpcode};
use ringfence::kernel::module;
use ringfence::protocol::{FaultCode, METRICS_BASE, OBSERVABLE_BASE, SYSTEM_MASK};
use ringfence::runtime::{Mode, Outcome, Runtime, RuntimeError};
use support::{MODES, PATIENCE, Random, assert_silent, builder};

const GCD: u32 = 8;
const NOTE: u32 = 0x7FFF_FFFF;

fn code(name: &str) -> &'static [u8] {
    module(name).expect("embedded").bytes()
}

fn runtime(mode: Mode) -> Runtime {
    // SAFETY: they keep to glsl/handler.glsl.
    let builder = unsafe { builder(mode).handler("gcd", GCD, code("handler_gcd")) };
    // SAFETY: as above.
    unsafe { builder.handler("note", NOTE, code("handler_note")) }.build().expect("a runtime")
}

fn slot(opcode: u32, args: &[u32]) -> SlotDescriptor {
    SlotDescriptor::single(SlotOpcode::Custom(opcode), args).expect("a slot")
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn all(runtime: &Runtime, slots: impl IntoIterator<Item = SlotDescriptor>) -> Vec<Outcome> {
    let jobs: Vec<_> = slots.into_iter().map(|slot| runtime.submit(&slot).expect("taken")).collect();
    jobs.iter().map(|job| job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome).collect()
}

#[test]
fn handlers_answer_as_their_twins_do() {
    for mode in MODES {
        let runtime = runtime(mode);
        let mut random = Random(3);
        for _ in 0..20 {
            let pairs: Vec<[u32; 2]> = (0..200)
                .map(|n| match n % 4 {
                    0 => [random.next(), random.next()],
                    1 => [random.below(1000), random.below(1000)],
                    // The pair of 32 bits that takes the most turns.
                    2 => [2_971_215_073, 1_836_311_903],
                    _ => [random.next(), 0],
                })
                .collect();
            let ended = all(&runtime, pairs.iter().map(|pair| slot(GCD, pair)));
            for ([a, b], ended) in pairs.iter().zip(ended) {
                assert_eq!(ended, Outcome::Done(gcd(*a, *b).into()), "{mode}: {a}, {b}");
            }
        }
        assert_eq!(runtime.control().expect("a readback")[METRICS_BASE as usize + 8], 4000, "{mode}");
    }
    assert_silent();
}

#[test]
fn handlers_see_memory_fault_and_stand_beside_other_operations() {
    for mode in MODES {
        let runtime = runtime(mode);
        let at = OBSERVABLE_BASE + 3;
        let fault = |code: FaultCode, detail| Outcome::Fault { code: code.code(), detail };
        let note = |word: u32| Outcome::Done(u64::from(NOTE) << 32 | u64::from(word));
        // One after the other: each slot, and how it ends.
        let packed = |ops: &[(u32, &[u32])]| {
            let op = |(opcode, args): &(u32, &[u32])| {
                let opcode = match opcode {
                    2 => ringfence::descriptor::BuiltinOpcode::AtomicAdd.into(),
                    user => SlotOpcode::Custom(*user),
                };
                PackedOpDescriptor::new(opcode, args)
            };
            SlotDescriptor::packed(ops.iter().map(op).collect())
        };
        let cases = [
            (slot(NOTE, &[at, 77]), note(0)),
            (slot(NOTE, &[at, 78]), note(77)),
            (slot(NOTE, &[u32::MAX, 1]), fault(FaultCode::BadOperand, 0)),
            (slot(NOTE, &[at, 1, 0x1_0005]), Outcome::Fault { code: 129, detail: 5 }),
            (slot(9, &[1]), fault(FaultCode::UnknownOpcode, 0)),
            (slot(0x1_0000, &[]), fault(FaultCode::UnknownOpcode, 0)),
            (SlotDescriptor::atomic_add(2, at), Outcome::Done(78)),
            (packed(&[(GCD, &[12, 18]), (2, &[1, at]), (GCD, &[5])]), Outcome::Done(3)),
            (packed(&[(2, &[1, at]), (9, &[]), (2, &[1, at])]), fault(FaultCode::UnknownOpcode, 1)),
            (slot(NOTE, &[at, 0]), note(82)),
            (SlotDescriptor::printf(1, [2, 3, 4]), Outcome::Done(1)),
        ];
        for (n, (slot, wanted)) in cases.into_iter().enumerate() {
            assert_eq!(all(&runtime, [slot]), [wanted], "{mode}: case {n}");
        }
        // Side by side in one claim, some lanes with a handler and some without.
        let mixed = (0..400).map(|n| match n % 3 {
            0 => slot(GCD, &[n * 6, 4]),
            1 => SlotDescriptor::atomic_add(1, at + 1),
            _ => SlotDescriptor::nop(),
        });
        let ended = all(&runtime, mixed);
        for (n, ended) in (0..).zip(ended).step_by(3) {
            assert_eq!(ended, Outcome::Done(gcd(n * 6, 4).into()), "{mode}: {n}");
        }
        assert_eq!(runtime.control().expect("a readback")[at as usize + 1], 133, "{mode}");
    }
    assert_silent();
}

#[test]
fn what_cannot_be_is_refused() {
    // SAFETY: none of them comes to run.
    let with = |opcode, bytes: &[u8]| unsafe { builder(Mode::Epoch).handler("mine", opcode, bytes) };
    let gcd = code("handler_gcd");
    for opcode in [0, 7, 0xFFF0, 0xFFFE, SYSTEM_MASK] {
        let error = with(opcode, gcd).build().err().expect("a system's opcode").to_string();
        assert!(error.contains("'mine'") && error.contains(&format!("{opcode:#x}")), "{error}");
    }
    for (builder, what) in [
        (with(8, gcd).tenants(2), "shared"),
        (with(8, gcd).opcodes(&[ringfence::protocol::opcode::SCAN]), "scan"),
    ] {
        let error = builder.build().err().expect("not together");
        assert!(matches!(error, RuntimeError::NotWithHandlers(name) if name == what), "{error}");
    }
}

/// lavapipe 22.3 ends loops silently, and counts each that it comes by, entered or not: with many handlers' loops in
/// the loop over the operations of packed slots, results would be wrong.
#[test]
fn loops_of_many_handlers_stay_within_the_budget() {
    const MANY: u32 = 120;
    for mode in MODES {
        let all_of_them = (GCD..GCD + MANY).fold(builder(mode).workers(1), |builder, opcode| {
            // SAFETY: as above.
            unsafe { builder.handler(format!("gcd {opcode}"), opcode, code("handler_gcd")) }
        });
        let runtime = all_of_them.build().expect("a runtime");
        let add = ringfence::descriptor::BuiltinOpcode::AtomicAdd;
        // Operations that no handler is called for, as many as a packed slot takes, and one for which one is.
        let mut ops = vec![PackedOpDescriptor::new(add, &[1, OBSERVABLE_BASE])];
        ops.extend((0..14).map(|_| PackedOpDescriptor::new(ringfence::descriptor::BuiltinOpcode::Nop, &[])));
        ops.push(PackedOpDescriptor::new(SlotOpcode::Custom(GCD + MANY - 1), &[12]));
        let count = ops.len() as u64;
        let packed = SlotDescriptor::packed(ops);
        for _ in 0..20 {
            for ended in all(&runtime, (0..200).map(|_| packed.clone())) {
                assert_eq!(ended, Outcome::Done(count), "{mode}");
            }
            assert_eq!(all(&runtime, [slot(GCD + 77, &[91, 35])]), [Outcome::Done(7)], "{mode}");
        }
        assert_eq!(runtime.control().expect("a readback")[OBSERVABLE_BASE as usize], 4000, "{mode}");
    }
    assert_silent();
}
