//! Handlers of users in the running kernel: slots and operations of packed slots, in both modes.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringfence::descriptor::{
    BuiltinOpcode, PackedOpDescriptor, SlotDescriptor, SlotOpcode, UnfoldDescriptor,
};
use ringfence::kernel::{Kernel, KernelBuilder, LinkError};
use ringfence::protocol::abi::live::HANDLER_TURNS;
use ringfence::protocol::opcode::{SCAN, STORE_U32, SUM_WORDS, UNFOLD};
use ringfence::protocol::{FaultCode, METRICS_BASE, OBSERVABLE_BASE, SYSTEM_MASK, try_read_debug_log};
use ringfence::runtime::{
    Job, Mode, Outcome, Runtime, RuntimeBuilder, RuntimeError, StorageOptions, Tenant, Tenants,
};
use support::handlers::code;
use support::{MODES, PATIENCE, Random, assert_silent, builder, gpu};

const GCD: u32 = 8;
const NOTE: u32 = 0x7FFF_FFFF;

/// The opcodes that they declare themselves.
const TOTAL: u32 = 9;
const SAY: u32 = 10;

fn kernel() -> Kernel {
    let all = ["gcd", "note", "total", "say"];
    all.iter()
        .fold(Kernel::builder(), |kernel, name| kernel.spirv(*name, code(name)))
        .build()
        .expect("they link")
}

fn with_handlers(builder: RuntimeBuilder) -> RuntimeBuilder {
    // SAFETY: they keep to glsl/handler.glsl.
    unsafe { builder.kernel(kernel()) }
}

fn runtime(mode: Mode) -> Runtime {
    with_handlers(builder(mode)).build().expect("a runtime")
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
                    2 => BuiltinOpcode::AtomicAdd.into(),
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
            (slot(99, &[1]), fault(FaultCode::UnknownOpcode, 0)),
            (slot(0x1_0000, &[]), fault(FaultCode::UnknownOpcode, 0)),
            (SlotDescriptor::atomic_add(2, at), Outcome::Done(78)),
            (packed(&[(GCD, &[12, 18]), (2, &[1, at]), (GCD, &[5])]), Outcome::Done(3)),
            (packed(&[(2, &[1, at]), (99, &[]), (2, &[1, at])]), fault(FaultCode::UnknownOpcode, 1)),
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
    let with = |opcode| Kernel::builder().spirv("mine", code("gcd")).opcode(opcode).build();
    for opcode in [0, 7, 0xFFF0, 0xFFFE, SYSTEM_MASK] {
        let error = with(opcode).expect_err("a system's opcode").to_string();
        assert!(error.contains("'mine'") && error.contains(&format!("{opcode:#x}")), "{error}");
    }
    let twice = Kernel::builder().spirv("gcd", code("gcd")).spirv("again", code("note")).opcode(GCD).build();
    let LinkError { handler, problem } = twice.expect_err("one opcode");
    assert!(handler == "again" && problem.contains("0x8") && problem.contains("'gcd'"), "{problem}");
}

/// A budget for tests with slots that go on for ever: some milliseconds.
const STAY: u32 = 50_000;

/// What TOTAL answers.
fn total(words: &[u32], times: u32) -> Outcome {
    Outcome::Done(words.iter().map(|word| u64::from(*word)).sum::<u64>().wrapping_mul(times.into()))
}

#[test]
fn wide_handlers_answer_as_their_twin_does_and_give_way() {
    for mode in MODES {
        let runtime = with_handlers(builder(mode).slots(512)).build().expect("a runtime");
        let mut random = Random(11);
        let words: Vec<u32> = (0..10_007).map(|_| random.next()).collect();
        let table = runtime.table(&words).expect("a table");
        let ask =
            |from: u32, count: u32, times: u32| slot(TOTAL, &[table.handle(), 4 * from, 4 * count, times]);
        let fault = |detail| Outcome::Fault { code: FaultCode::BadOperand.code(), detail };
        let cases = [
            (ask(0, 10_007, 1), total(&words, 1)),
            (ask(7, 0, 3), Outcome::Done(0)),
            (ask(7, 9, 0), Outcome::Done(0)),
            (ask(10_006, 1, 5), total(&words[10_006..], 5)),
            (slot(TOTAL, &[table.handle() + 1, 0, 4, 1]), fault(0)),
            (slot(TOTAL, &[table.handle(), 2, 4, 1]), fault(1)),
            (ask(10_007, 1, 1), fault(2)),
        ];
        for (n, (slot, wanted)) in cases.into_iter().enumerate() {
            assert_eq!(all(&runtime, [slot]), [wanted], "{mode}: case {n}");
        }
        // More turns than a worker has of lavapipe 22.3, many at once, with other slots among them: each gives way again
        // and again.
        let mut slots = Vec::new();
        let mut wanted = Vec::new();
        for n in 0..150 {
            let (from, times) = (random.below(10_000), 1 + random.below(if n % 10 == 0 { 200 } else { 5 }));
            let count = random.below(10_007 - from);
            slots.push(ask(from, count, times));
            wanted.push(total(&words[from as usize..][..count as usize], times));
            slots.push(slot(GCD, &[n * 6, 4]));
            wanted.push(Outcome::Done(gcd(n * 6, 4).into()));
            let level = if n % 3 == 0 { ringfence::protocol::PRIORITY_HIGH } else { 2 };
            slots.push(SlotDescriptor::atomic_add(1, OBSERVABLE_BASE).with_priority(level));
            wanted.push(Outcome::Done(0));
        }
        let ended = all(&runtime, slots);
        for (n, (ended, wanted)) in ended.iter().zip(&wanted).enumerate() {
            assert!(n % 3 == 2 || ended == wanted, "{mode}: slot {n}: {ended:?} instead of {wanted:?}");
        }
        assert_eq!(runtime.control().expect("a readback")[OBSERVABLE_BASE as usize], 150, "{mode}");
    }
    assert_silent();
}

#[test]
fn what_wide_handlers_saved_into_is_free_when_they_are_cancelled() {
    for mode in MODES {
        // In epoch mode each of those that make one give way waits for as long as a worker stays.
        let runtime = with_handlers(builder(mode).loop_budget(STAY)).build().expect("a runtime");
        let table = runtime.table(&[1; 4096]).expect("a table");
        let ask = |times| slot(TOTAL, &[table.handle(), 0, 4 * 4096, times]);
        // There are 64 areas: were those of cancelled slots kept, the last could not begin.
        for _ in 0..3 {
            let jobs: Vec<_> = (0..50).map(|_| runtime.submit(&ask(u32::MAX)).expect("taken")).collect();
            // Each of these makes one give way, and then another is begun.
            for _ in 0..150 {
                all(&runtime, [SlotDescriptor::nop().with_priority(0)]);
            }
            jobs.iter().for_each(|job| job.cancel());
            for job in jobs {
                let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
                assert_eq!(ended, Outcome::Fault { code: FaultCode::Cancelled.code(), detail: 0 }, "{mode}");
            }
        }
        assert_eq!(all(&runtime, (0..100).map(|_| ask(3))), vec![Outcome::Done(3 * 4096); 100], "{mode}");
    }
    assert_silent();
}

/// Beside one that goes on for ever, while work at a higher level comes and makes it give way.
#[test]
fn slots_that_begin_have_their_turn_beside_those_that_go_on() {
    for mode in MODES {
        let runtime = with_handlers(builder(mode).workers(1).loop_budget(STAY)).build().expect("a runtime");
        let table = runtime.table(&[1; 4096]).expect("a table");
        let ask = |times| slot(TOTAL, &[table.handle(), 0, 4 * 4096, times]);
        let endless = runtime.submit(&ask(u32::MAX)).expect("taken");
        let begins = runtime.submit(&ask(1)).expect("taken");
        // In epoch mode the one that goes on takes all of a dispatch.
        let rounds = if mode == Mode::Live { 1000 } else { 4 };
        let ended = (0..rounds).find_map(|_| {
            all(&runtime, [SlotDescriptor::nop().with_priority(0)]);
            begins.try_wait()
        });
        endless.cancel();
        assert_eq!(ended.map(|ended| ended.outcome), Some(Outcome::Done(4096)), "{mode}");
        let ended = endless.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
        assert_eq!(ended, Outcome::Fault { code: FaultCode::Cancelled.code(), detail: 0 }, "{mode}");
    }
    assert_silent();
}

#[test]
fn in_packed_slots_wide_handlers_are_unknown() {
    for mode in MODES {
        let runtime = runtime(mode);
        let packed = SlotDescriptor::packed(vec![
            PackedOpDescriptor::new(SlotOpcode::Custom(GCD), &[12, 18]),
            PackedOpDescriptor::new(SlotOpcode::Custom(TOTAL), &[1]),
        ]);
        let unknown = Outcome::Fault { code: FaultCode::UnknownOpcode.code(), detail: 1 };
        assert_eq!(all(&runtime, vec![packed; 10]), [unknown; 10], "{mode}");
    }
}

#[test]
fn handlers_print() {
    for mode in MODES {
        let runtime = runtime(mode);
        let ended = all(&runtime, (0..20).map(|n| slot(SAY, &[7, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, n + 1])));
        for n in 1..=20 {
            assert!(ended.contains(&Outcome::Done(n)), "{mode}: {n} in {ended:?}");
        }
        let words = runtime.debug_log();
        let log = try_read_debug_log(bytemuck::cast_slice(&words)).expect("a log");
        let mut said: Vec<_> = log.records.iter().map(|record| (record.fmt_id, record.args)).collect();
        said.sort_unstable();
        assert_eq!(said, (0..20).map(|n| (7, [n, 0, n + 1])).collect::<Vec<_>>(), "{mode}");
    }
}

/// All families in one kernel, handlers among them: those that the device publishes, too.
#[test]
fn handlers_stand_beside_all_other_families() {
    for mode in MODES {
        let runtime = with_handlers(builder(mode).opcodes(&[SCAN, SUM_WORDS, UNFOLD]))
            .storage(StorageOptions::default())
            .build()
            .expect("a runtime");
        let words: Vec<u32> = (0..5000).collect();
        let table = runtime.table(&words).expect("a table");
        let sum =
            SlotDescriptor::single(BuiltinOpcode::SumWords, &[table.handle(), 0, 20_000]).expect("a slot");
        let gcds =
            UnfoldDescriptor::new(SlotOpcode::Custom(GCD), 300).args([0, 12, 0, 0, 0]).steps([1, 0, 0, 0]);
        // Each of them a wide slot that gives way.
        let totals = UnfoldDescriptor::new(SlotOpcode::Custom(TOTAL), 70)
            .args([table.handle(), 0, 4, 300, 0])
            .steps([0, 4, 4, 0]);
        let unknown = UnfoldDescriptor::new(SlotOpcode::Custom(99), 3);
        for _ in 0..3 {
            let [gcds, totals, unknown] =
                [gcds, totals, unknown].map(|unfold| runtime.submit(&unfold).expect("taken"));
            let ended = all(&runtime, [sum.clone(), slot(TOTAL, &[table.handle(), 0, 20_000, 20])]);
            assert_eq!(ended, [Outcome::Done(4999 * 2500), total(&words, 20)], "{mode}");
            let end = |job: Job| job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
            assert_eq!(end(gcds), Outcome::Done(300), "{mode}");
            assert_eq!(end(totals), Outcome::Done(70), "{mode}");
            let code = FaultCode::UnknownOpcode.code();
            assert_eq!(end(unknown), Outcome::Fault { code, detail: 0 }, "{mode}");
        }
        let metrics = runtime.control().expect("a readback");
        assert_eq!(metrics[METRICS_BASE as usize + GCD as usize], 900, "{mode}");
        assert_eq!(metrics[METRICS_BASE as usize + TOTAL as usize], 213, "{mode}");
    }
    assert_silent();
}

#[test]
fn handlers_keep_to_their_tenant() {
    for mode in MODES {
        let runtime = with_handlers(builder(mode).tenants(4).tenant_words(64)).build().expect("a runtime");
        let one = runtime.tenant("one").window(4).open().expect("a tenant");
        let other = runtime.tenant("other").window(4).open().expect("a tenant");
        let barred = runtime.tenant("barred").opcodes(&[STORE_U32]).open().expect("a tenant");
        let table = runtime.table(&[7; 20_000]).expect("a table");
        table.set_tenants(Tenants::of([one.id()]).expect("an id"));
        let ended = |tenant: &Tenant, opcode, args: &[u32]| {
            let job = tenant.submit(&slot(opcode, args)).expect("taken");
            job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome
        };
        let fault = |code: FaultCode, detail| Outcome::Fault { code: code.code(), detail };
        let (mine, theirs) = (one.window().start, other.window().start);
        let note = |word: u32| Outcome::Done(u64::from(NOTE) << 32 | u64::from(word));
        let cases = [
            (&one, NOTE, vec![mine, 5], note(0)),
            (&one, NOTE, vec![theirs, 5], fault(FaultCode::BadOperand, 0)),
            (&one, NOTE, vec![0, 5], fault(FaultCode::BadOperand, 0)),
            (&other, NOTE, vec![theirs, 6], note(0)),
            (&one, NOTE, vec![mine, 7], note(5)),
            (&one, TOTAL, vec![table.handle(), 0, 80_000, 3], total(&[7; 20_000], 3)),
            (&other, TOTAL, vec![table.handle(), 0, 80_000, 3], fault(FaultCode::BadOperand, 0)),
            (&barred, GCD, vec![1, 1], fault(FaultCode::Unauthorized, 0)),
            (&barred, TOTAL, vec![1, 1], fault(FaultCode::Unauthorized, 0)),
            (&other, SAY, vec![3, 4], Outcome::Done(1)),
        ];
        for (n, (tenant, opcode, args, wanted)) in cases.into_iter().enumerate() {
            assert_eq!(ended(tenant, opcode, &args), wanted, "{mode}: case {n}");
        }
        let log = |words: &[u32]| try_read_debug_log(bytemuck::cast_slice(words)).expect("a log").records;
        assert_eq!(log(&one.debug_log()), []);
        let said: Vec<_> =
            log(&other.debug_log()).iter().map(|record| (record.fmt_id, record.args)).collect();
        assert_eq!(said, [(3, [4, other.id(), 0])], "{mode}");
        // Long ones of both, side by side: each gives way to the other's at a higher level.
        table.set_tenants(Tenants::ALL);
        let jobs: Vec<_> = (0..40)
            .map(|n| {
                let tenant = if n % 2 == 0 { &one } else { &other };
                let slot = slot(TOTAL, &[table.handle(), 0, 80_000, 10]).with_priority(n % 5);
                tenant.submit(&slot).expect("taken")
            })
            .collect();
        for job in jobs {
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
            assert_eq!(ended, total(&[7; 20_000], 10), "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn a_running_kernel_is_swapped_and_no_slot_is_lost() {
    let of = |names: &[(&str, u32)]| {
        let add = |kernel: KernelBuilder, (name, opcode): &(&str, u32)| {
            kernel.spirv(*name, code(name)).opcode(*opcode)
        };
        names.iter().fold(Kernel::builder(), add).build().expect("they link")
    };
    // TOTAL stays where it is, so that what gave way goes on.
    let (one, other) =
        (of(&[("gcd", GCD), ("total", TOTAL)]), of(&[("spin", GCD), ("total", TOTAL), ("say", SAY)]));
    let without = of(&[("note", GCD)]);
    for mode in MODES {
        // Begins with none.
        let runtime = builder(mode).slots(1024).loop_budget(STAY).build().expect("a runtime");
        let table = runtime.table(&[1; 4096]).expect("a table");
        let ask = |times| slot(TOTAL, &[table.handle(), 0, 4 * 4096, times]);
        let unknown = Outcome::Fault { code: FaultCode::UnknownOpcode.code(), detail: 0 };
        assert_eq!(all(&runtime, [slot(GCD, &[12, 18])]), [unknown], "{mode}");
        // SAFETY: they keep to glsl/handler.glsl.
        let swap = |kernel: &Kernel| unsafe { runtime.swap_kernel(kernel) }.expect("it is swapped");
        swap(&one);
        assert_eq!(all(&runtime, [slot(GCD, &[12, 18])]), [Outcome::Done(6)], "{mode}");
        // Long ones from before the first swap to behind the last.
        let long: Vec<_> = (0..10).map(|_| runtime.submit(&ask(400)).expect("taken")).collect();
        let done = AtomicBool::new(false);
        let (by_gcd, by_spin) = std::thread::scope(|scope| {
            let publisher = scope.spawn(|| {
                let (mut by_gcd, mut by_spin) = (0, 0);
                while !done.load(Ordering::Relaxed) {
                    for ended in all(&runtime, vec![slot(GCD, &[12, 18]); 50]) {
                        match ended {
                            Outcome::Done(6) => by_gcd += 1,
                            Outcome::Done(n) if n == u64::from(HANDLER_TURNS) - 1 => by_spin += 1,
                            ended => panic!("{mode}: {ended:?}"),
                        }
                    }
                }
                (by_gcd, by_spin)
            });
            for kernel in [&other, &one].repeat(4) {
                swap(kernel);
                std::thread::sleep(Duration::from_millis(5));
            }
            done.store(true, Ordering::Relaxed);
            publisher.join().expect("no other outcome")
        });
        assert!(by_gcd > 0 && by_spin > 0, "{mode}: {by_gcd} by GCD, {by_spin} by SPIN");
        for job in long {
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
            assert_eq!(ended, Outcome::Done(400 * 4096), "{mode}");
        }
        // What gave way and has no handler any more ends, and what it saved into is free.
        for _ in 0..2 {
            let endless: Vec<_> = (0..40).map(|_| runtime.submit(&ask(u32::MAX)).expect("taken")).collect();
            for _ in 0..100 {
                all(&runtime, [SlotDescriptor::nop().with_priority(0)]);
            }
            swap(&without);
            for job in endless {
                let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
                assert_eq!(ended, unknown, "{mode}");
            }
            swap(&one);
        }
        assert_eq!(all(&runtime, [ask(3)]), [Outcome::Done(3 * 4096)], "{mode}");
    }
    assert_silent();
}

/// Lanes with different handlers run one after the other: what all of them may take together is charged, and packed slots
/// for which that is too much are put back.
#[test]
fn different_handlers_in_one_claim_stay_within_the_budget() {
    const KINDS: u32 = 8;
    for mode in MODES {
        let kernel = (8..8 + KINDS).fold(Kernel::builder(), |kernel, opcode| {
            kernel.spirv(format!("spin {opcode}"), code("spin")).opcode(opcode)
        });
        let kernel = kernel.build().expect("they link");
        // SAFETY: as above.
        let runtime = unsafe { builder(mode).slots(1024).workers(1).loop_budget(65_535).kernel(kernel) }
            .build()
            .expect("a runtime");
        let op = |n: u32| SlotOpcode::Custom(8 + n % KINDS);
        let spun = Outcome::Done((HANDLER_TURNS - 1).into());
        for round in 0..20 {
            let single = |n| SlotDescriptor::single(op(n), &[]).expect("a slot");
            assert_eq!(all(&runtime, (0..400).map(single)), vec![spun; 400], "{mode}: round {round}");
            let packed = |n: u32| {
                SlotDescriptor::packed((0..23).map(|i| PackedOpDescriptor::new(op(n + i), &[])).collect())
            };
            // In every other round among others, which are put back with them.
            let other = |n: usize| round % 2 == 0 && n % 5 == 4;
            let mixed = |n| {
                if other(n as usize) { SlotDescriptor::atomic_add(1, OBSERVABLE_BASE) } else { packed(n) }
            };
            for (n, ended) in all(&runtime, (0..200).map(mixed)).into_iter().enumerate() {
                let well = other(n) || ended == Outcome::Done(23);
                assert!(well, "{mode}: round {round}, slot {n}: {ended:?}");
            }
        }
        assert_eq!(runtime.control().expect("a readback")[OBSERVABLE_BASE as usize], 400, "{mode}");
        let control = runtime.control().expect("a readback");
        let executed: u32 = (8..8 + KINDS).map(|op| control[(METRICS_BASE + op) as usize]).sum();
        assert_eq!(executed, 20 * (400 + 180 * 23), "{mode}");
    }
    assert_silent();
}

/// lavapipe 22.3 ends loops silently, and counts each that it comes by, entered or not: with many handlers' loops in
/// the loop over the operations of packed slots, results would be wrong.
#[test]
fn loops_of_many_handlers_stay_within_the_budget() {
    const MANY: u32 = 120;
    for mode in MODES {
        let kernel = (GCD..GCD + MANY).fold(Kernel::builder(), |kernel, opcode| {
            kernel.spirv(format!("gcd {opcode}"), code("gcd")).opcode(opcode)
        });
        let kernel = kernel.build().expect("they link");
        // SAFETY: as above.
        let runtime = unsafe { builder(mode).workers(1).kernel(kernel) }.build().expect("a runtime");
        let add = BuiltinOpcode::AtomicAdd;
        // Operations that no handler is called for, as many as a packed slot takes, and one for which one is.
        let mut ops = vec![PackedOpDescriptor::new(add, &[1, OBSERVABLE_BASE])];
        ops.extend((0..14).map(|_| PackedOpDescriptor::new(BuiltinOpcode::Nop, &[])));
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

/// A kernel that a worker's budget does not hold is refused, and the one before goes on.
#[test]
fn a_kernel_of_too_many_loops_takes_no_place() {
    if gpu().workarounds().loop_limit.is_none() {
        eprintln!("{} has no limit: nothing to refuse", gpu().info());
        return;
    }
    let many = (1000..1400)
        .fold(Kernel::builder(), |kernel, opcode| kernel.spirv("gcd", code("gcd")).opcode(opcode));
    let many = many.build().expect("they link");
    for mode in MODES {
        let runtime = runtime(mode);
        // SAFETY: they keep to glsl/handler.glsl.
        let swapped = unsafe { runtime.swap_kernel(&many) };
        assert!(matches!(swapped, Err(RuntimeError::LoopLimit { .. })), "{mode}: {swapped:?}");
        assert_eq!(all(&runtime, [slot(GCD, &[12, 18])]), [Outcome::Done(6)], "{mode}");
    }
    assert_silent();
}
