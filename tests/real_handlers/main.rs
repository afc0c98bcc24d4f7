//! Handlers that do real work, in the running kernel: each against its twin, and the twin against another's
//! implementation.

#[path = "../support/mod.rs"]
mod support;

mod lookup;
mod table;
mod topk;
mod xxh64;

use ringfence::descriptor::{SlotDescriptor, SlotOpcode};
use ringfence::kernel::Kernel;
use ringfence::protocol::{FaultCode, OBSERVABLE_BASE, PRIORITY_HIGH, SlotArgs};
use ringfence::runtime::{Mode, Outcome, Runtime};
use support::handlers::code;
use support::{PATIENCE, builder};

/// What a twin answers to a bad argument.
fn bad_operand(argument: u16) -> Outcome {
    Outcome::Fault { code: FaultCode::BadOperand.code(), detail: argument }
}

fn runtime(mode: Mode, names: &[&str]) -> Runtime {
    let kernel = names.iter().fold(Kernel::builder(), |kernel, name| kernel.spirv(*name, code(name)));
    let kernel = kernel.build().expect("they link");
    // SAFETY: they keep to glsl/handler.glsl.
    unsafe { builder(mode).slots(1024).kernel(kernel) }.build().expect("a runtime")
}

/// Arguments of a slot, the rest of which are 0.
fn arguments(given: &[u32]) -> SlotArgs {
    std::array::from_fn(|n| given.get(n).copied().unwrap_or(0))
}

/// Runs slots of one opcode side by side, each with these arguments, and holds each against what its twin answers. Some
/// slots of a higher level come among them, before which long ones give way.
fn hold(runtime: &Runtime, opcode: u32, cases: &[(SlotArgs, Outcome)]) {
    let mut jobs = Vec::new();
    let mut higher = Vec::new();
    for (n, (args, _)) in cases.iter().enumerate() {
        let slot = SlotDescriptor::single(SlotOpcode::Custom(opcode), args).expect("a slot");
        jobs.push(runtime.submit(&slot).expect("taken"));
        if n % 3 == 0 {
            let slot = SlotDescriptor::atomic_add(1, OBSERVABLE_BASE).with_priority(PRIORITY_HIGH);
            higher.push(runtime.submit(&slot).expect("taken"));
        }
    }
    for (job, (args, wanted)) in jobs.iter().zip(cases) {
        let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
        assert_eq!(ended, *wanted, "{}: {args:x?}", runtime.mode());
    }
    higher.iter().for_each(|job| assert!(job.wait_timeout(PATIENCE).expect("well").is_some()));
}
