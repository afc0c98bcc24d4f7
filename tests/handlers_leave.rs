//! Handlers that leave and are called again: for storage that they asked for, and for slots that they publish.

mod support;

use std::fs::File;
use std::io::Write as _;

use ringfence::descriptor::{PackedOpDescriptor, SlotDescriptor, SlotOpcode, UnfoldDescriptor};
use ringfence::io::transfer::{EngineChoice, TransferOptions};
use ringfence::kernel::Kernel;
use ringfence::protocol::opcode::{ATOMIC_ADD, STORE_U32, UNFOLD};
use ringfence::protocol::{FaultCode, METRICS_BASE, OBSERVABLE_BASE};
use ringfence::runtime::{
    FileOptions, Job, Memory, Mode, Outcome, RegisteredFile, Runtime, RuntimeBuilder, RuntimeError,
    StorageOptions, Tenants,
};
use support::handlers::code;
use support::{MODES, PATIENCE, Random, assert_silent, builder};

/// The opcodes that the handlers declare.
const CHASE: u32 = 11;
const DIGEST: u32 = 12;
const SPREAD: u32 = 13;
const GCD: u32 = 8;

const ENOSYS: u16 = 38;

/// Those that ask, and one that does not. The same wherever it does not matter: drivers take seconds to compile each kernel.
const USUAL: [&str; 3] = ["chase", "digest", "gcd"];

fn kernel(names: &[&str]) -> Kernel {
    let all = names.iter().fold(Kernel::builder(), |kernel, name| kernel.spirv(*name, code(name)));
    all.build().expect("they link")
}

fn with(builder: RuntimeBuilder, names: &[&str]) -> Runtime {
    // SAFETY: they keep to glsl/handler.glsl.
    unsafe { builder.kernel(kernel(names)) }.build().expect("a runtime")
}

fn storage(engine: EngineChoice) -> StorageOptions {
    StorageOptions {
        transfer: TransferOptions { engine, ..TransferOptions::default() },
        ..StorageOptions::default()
    }
}

fn slot(opcode: u32, args: &[u32]) -> SlotDescriptor {
    SlotDescriptor::single(SlotOpcode::Custom(opcode), args).expect("a slot")
}

fn end(job: &Job) -> Outcome {
    job.wait_timeout(PATIENCE).expect("the device is well").expect("it ends in time").outcome
}

fn fault(code: FaultCode, detail: u16) -> Outcome {
    Outcome::Fault { code: code.code(), detail }
}

/// An unnamed file with these words.
fn file(words: &[u32]) -> File {
    let path = std::env::temp_dir().join(format!("ringfence-leave-{}-{:p}", std::process::id(), words));
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).expect("a file");
    file.write_all(bytemuck::cast_slice(words)).expect("room");
    std::fs::remove_file(path).expect("removable");
    file
}

/// A runtime with storage, a file, and memory that slots read it into.
struct Rig {
    runtime: Runtime,
    words: Vec<u32>,
    file: RegisteredFile,
    memory: Memory,
}

impl Rig {
    fn new(builder: RuntimeBuilder, names: &[&str]) -> Self {
        let mut random = Random(17);
        // Each word an offset of another.
        let count = 20_000;
        let words: Vec<u32> = (0..count).map(|_| 4 * random.below(count)).collect();
        let runtime = with(builder, names);
        let file = runtime.register_file(file(&words), &FileOptions::default()).expect("a handle");
        let memory = runtime.memory(1 << 20).expect("memory");
        Self { runtime, words, file, memory }
    }

    fn chase(&self, at: u32, first: u32, hops: u32) -> SlotDescriptor {
        slot(CHASE, &[self.file.handle(), self.memory.handle(), at, first, hops])
    }

    fn chased(&self, first: u32, hops: u32) -> Outcome {
        Outcome::Done((0..hops).fold(first, |at, _| self.words[at as usize / 4]).into())
    }

    fn digest(&self, at: u32, piece: u32, bytes: u32, times: u32) -> SlotDescriptor {
        slot(DIGEST, &[self.file.handle(), self.memory.handle(), at, piece, bytes, times])
    }

    fn digested(&self, bytes: u32, times: u32) -> Outcome {
        let sum = self.words[..bytes as usize / 4].iter().fold(0u32, |sum, word| sum.wrapping_add(*word));
        Outcome::Done(u64::from(bytes) << 32 | u64::from(sum.wrapping_mul(times)))
    }
}

#[test]
fn handlers_ask_for_storage_and_go_on_with_what_came() {
    for mode in MODES {
        for engine in [EngineChoice::IoUring, EngineChoice::Threads] {
            let rig = Rig::new(builder(mode).slots(1024).storage(storage(engine)), &USUAL);
            let mut random = Random(5);
            for round in 0..3 {
                let mut jobs = Vec::new();
                // More that ask than there are places for requests, lanes and subgroups, and others between them.
                for n in 0..200u32 {
                    let first = 4 * random.below(20_000);
                    let hops = random.below(8);
                    jobs.push((rig.chase(4 * n, first, hops), rig.chased(first, hops)));
                    if n % 8 == 0 {
                        let (piece, bytes) = (4 + 4 * random.below(3000), 4 * random.below(20_001));
                        let times = 1 + random.below(3);
                        let at = 8192 + (n / 8) * 16_384;
                        jobs.push((rig.digest(at, piece, bytes, times), rig.digested(bytes, times)));
                    }
                    if n % 3 == 0 {
                        jobs.push((slot(GCD, &[12 * n, 18]), Outcome::Done(gcd(12 * n, 18).into())));
                    }
                }
                let jobs: Vec<_> = jobs
                    .into_iter()
                    .map(|(slot, wanted)| (rig.runtime.submit(&slot).expect("taken"), slot, wanted))
                    .collect();
                for (job, slot, wanted) in jobs {
                    assert_eq!(end(&job), wanted, "{mode}, {engine:?}, round {round}: {slot:?}");
                }
            }
        }
    }
    assert_silent();
}

fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// With places for no more than a few, most asks are made again.
#[test]
fn thousands_ask_through_64_places() {
    for mode in MODES {
        let rig = Rig::new(builder(mode).slots(4096).storage(StorageOptions::default()), &USUAL);
        let jobs: Vec<_> = (0..3000u32)
            .map(|n| (rig.runtime.submit(&rig.chase(4 * n, 4 * n, 3)).expect("taken"), rig.chased(4 * n, 3)))
            .collect();
        for (n, (job, wanted)) in jobs.iter().enumerate() {
            assert_eq!(end(job), *wanted, "{mode}: {n}");
        }
    }
    assert_silent();
}

#[test]
fn what_cannot_be_had_is_a_fault_and_the_kernel_goes_on() {
    for mode in MODES {
        let rig = Rig::new(
            builder(mode).opcodes(&[UNFOLD]).tenants(3).tenant_words(8).storage(StorageOptions::default()),
            &["chase", "digest"],
        );
        let Rig { runtime, file, memory, .. } = &rig;
        let (file, memory) = (file.handle(), memory.handle());
        let packed = SlotDescriptor::packed(vec![PackedOpDescriptor::new(
            SlotOpcode::Custom(CHASE),
            &[file, memory, 0, 0],
        )]);
        // Without hops it does not ask.
        assert_eq!(end(&runtime.submit(&packed).expect("taken")), Outcome::Done(1), "{mode}");
        let asks = SlotDescriptor::packed(vec![PackedOpDescriptor::new(
            SlotOpcode::Custom(DIGEST),
            &[file, memory, 0, 4],
        )]);
        let cases = [
            (slot(CHASE, &[0x7777, memory, 0, 0, 1]), fault(FaultCode::BadOperand, 0)),
            (slot(CHASE, &[file, 0x7777, 0, 0, 1]), fault(FaultCode::BadOperand, 5)),
            (slot(CHASE, &[file, memory, 1 << 20, 0, 1]), fault(FaultCode::BadOperand, 4)),
            (slot(CHASE, &[file, memory, 0, 80_000, 1]), fault(FaultCode::BadOperand, 4)),
            (slot(CHASE, &[file, memory, 0, 90_000, 1]), fault(FaultCode::BadOperand, 2)),
            (slot(DIGEST, &[file, 0x7777, 0, 4, 4, 1]), fault(FaultCode::BadOperand, 1)),
            (slot(DIGEST, &[0x7777, memory, 0, 4, 4, 1]), fault(FaultCode::BadOperand, 0)),
            (asks, fault(FaultCode::UnknownOpcode, 0)),
        ];
        for (slot, wanted) in &cases {
            assert_eq!(end(&runtime.submit(slot).expect("taken")), *wanted, "{mode}: {slot:?}");
        }
        // The host answers no slots of the device's own.
        for (opcode, detail) in [(CHASE, 0), (DIGEST, 0)] {
            let unfold = UnfoldDescriptor::new(SlotOpcode::Custom(opcode), 5).args([file, memory, 0, 4, 8]);
            let job = runtime.submit(&unfold).expect("taken");
            assert_eq!(end(&job), fault(FaultCode::UnknownOpcode, detail), "{mode}: {opcode}");
        }
        // Files are given to the system's tenant unless somebody says otherwise; memory likewise.
        let tenant = runtime.tenant("t").open().expect("a tenant");
        let ended = end(&tenant.submit(&rig.chase(0, 0, 2)).expect("taken"));
        assert_eq!(ended, fault(FaultCode::Unauthorized, 0), "{mode}");
        let own = runtime.memory_for(4096, Tenants::of([tenant.id()]).expect("an id")).expect("memory");
        let ended = end(&tenant.submit(&slot(DIGEST, &[file, own.handle(), 0, 4, 8, 1])).expect("taken"));
        assert_eq!(ended, fault(FaultCode::Unauthorized, 0), "{mode}");
        // As many as there are areas to save into: each was given back.
        for n in 0..200 {
            let ended = end(&runtime.submit(&slot(DIGEST, &[0x7777, memory, 0, 4, 4, 1])).expect("taken"));
            assert_eq!(ended, fault(FaultCode::BadOperand, 0), "{mode}: {n}");
        }
        assert_eq!(
            end(&runtime.submit(&rig.digest(0, 4096, 80_000, 2)).expect("taken")),
            rig.digested(80_000, 2)
        );
    }
    assert_silent();
}

#[test]
fn without_storage_there_is_none_to_ask() {
    for mode in MODES {
        let runtime = with(builder(mode), &["chase", "digest"]);
        let table = runtime.output(16).expect("memory");
        for opcode in [CHASE, DIGEST] {
            let ended = end(&runtime.submit(&slot(opcode, &[0, table.handle(), 0, 4, 4, 1])).expect("taken"));
            assert_eq!(ended, fault(FaultCode::IoError, ENOSYS), "{mode}: {opcode}");
        }
    }
    assert_silent();
}

/// More than there are places for requests, so that a fence may find one before slots that were published before it.
const ASKING: u32 = 400;

/// A fence waits for those that may ask and were published before it; and for none that ended without.
#[test]
fn a_fence_waits_for_handlers() {
    for mode in MODES {
        let rig = Rig::new(builder(mode).slots(1024).workers(3).storage(StorageOptions::default()), &USUAL);
        for round in 0..20 {
            rig.memory.write(0, &[0xFF; 4 * ASKING as usize]);
            let before: Vec<_> = (0..ASKING)
                .map(|n| rig.runtime.submit(&rig.chase(4 * n, 4 * n, n % 2)).expect("taken"))
                .collect();
            let fence = rig.runtime.submit(&SlotDescriptor::io_fence()).expect("taken");
            assert!(matches!(end(&fence), Outcome::Done(_)), "{mode}, round {round}");
            // What they asked for is there, though they may not have gone on.
            let arrived = rig.memory.to_vec();
            for n in (1..ASKING as usize).step_by(2) {
                let word = rig.words[n].to_le_bytes();
                assert_eq!(arrived[4 * n..][..4], word, "{mode}, round {round}: {n}");
            }
            before.iter().for_each(|job| assert!(matches!(end(job), Outcome::Done(_))));
        }
    }
    assert_silent();
}

#[test]
fn handlers_that_wait_are_cancelled_and_swapped() {
    for mode in MODES {
        let rig = Rig::new(builder(mode).slots(512).storage(StorageOptions::default()), &USUAL);
        let kernels = [kernel(&USUAL), kernel(&["gcd"]), kernel(&["digest", "chase"])];
        for round in 0..3 {
            let jobs: Vec<_> = (0..150u32)
                .map(|n| match n % 5 {
                    0 => rig.digest(8192 + 4096 * n, 4096, 80_000, 8),
                    _ => rig.chase(4 * n, 4 * n, 50),
                })
                .map(|slot| rig.runtime.submit(&slot).expect("taken"))
                .collect();
            jobs.iter().step_by(3).for_each(|job| job.cancel());
            // SAFETY: they keep to glsl/handler.glsl.
            unsafe { rig.runtime.swap_kernel(&kernels[round % 3]) }.expect("another kernel");
            for (n, job) in jobs.iter().enumerate() {
                let ended = end(job);
                let done = if n % 5 == 0 { rig.digested(80_000, 8) } else { rig.chased(4 * n as u32, 50) };
                let may = [done, fault(FaultCode::Cancelled, 0), fault(FaultCode::UnknownOpcode, 0)];
                assert!(may.contains(&ended), "{mode}, round {round}, {n}: {ended:?}");
                assert!(n % 3 == 0 || ended != may[1], "{mode}, round {round}, {n}: nobody cancelled it");
                assert!(round % 3 == 1 || ended != may[2], "{mode}, round {round}, {n}: it had a handler");
            }
            // SAFETY: as above.
            unsafe { rig.runtime.swap_kernel(&kernels[2]) }.expect("another kernel");
        }
        // All areas to save into are there: as many wide slots at once as there are.
        let jobs: Vec<_> =
            (0..64).map(|_| rig.runtime.submit(&rig.digest(0, 4096, 40_960, 9)).expect("taken")).collect();
        jobs.iter().for_each(|job| assert!(matches!(end(job), Outcome::Done(_))));
    }
    assert_silent();
}

/// What a wide slot saved into is free again when it was cancelled while it waited.
#[test]
fn who_is_cancelled_while_it_waits_leaves_nothing_behind() {
    for mode in MODES {
        let rig = Rig::new(builder(mode).storage(StorageOptions::default()), &USUAL);
        let mut cancelled = 0;
        for round in 0..12 {
            // It asks a thousand times.
            let jobs: Vec<_> = (0..8)
                .map(|n| rig.runtime.submit(&rig.digest(64 * n, 64, 80_000, 1)).expect("taken"))
                .collect();
            let first = rig.runtime.submit(&rig.digest(4096, 4096, 8192, 1)).expect("taken");
            assert_eq!(end(&first), rig.digested(8192, 1), "{mode}, round {round}");
            jobs.iter().for_each(Job::cancel);
            for job in &jobs {
                let ended = end(job);
                cancelled += u32::from(ended == fault(FaultCode::Cancelled, 0));
                let may = [rig.digested(80_000, 1), fault(FaultCode::Cancelled, 0)];
                assert!(may.contains(&ended), "{mode}, round {round}: {ended:?}");
            }
        }
        // There are 64 areas to save into.
        assert!(cancelled > 64, "{mode}: {cancelled} of 96 were cancelled");
    }
    assert_silent();
}

const FIRST: u32 = OBSERVABLE_BASE + 8;

#[test]
fn handlers_publish_slots() {
    for mode in MODES {
        for workers in [1, 3] {
            let builder = builder(mode).workers(workers).observables(6000).child_slots(64);
            let runtime = with(builder, &["spread", "gcd", "digest"]);
            let mut random = Random(23);
            for round in 0..4 {
                let value = random.next();
                let count = [0, 1, 700, 5000][round];
                let stores = slot(SPREAD, &[count, STORE_U32, value, FIRST, 3, 1]);
                let gcds = slot(SPREAD, &[count / 4, GCD, 12, 18, 6, 0]);
                // Slots that publish slots: 5 times 30.
                let adds = slot(SPREAD, &[5, SPREAD, 30, ATOMIC_ADD, 0, 0, 1, FIRST - 1, 0, 0]);
                let jobs: Vec<_> =
                    [&stores, &gcds, &adds].map(|slot| runtime.submit(slot).expect("taken")).into();
                let ended: Vec<_> = jobs.iter().map(end).collect();
                let wanted = [count, count / 4, 5].map(|n| Outcome::Done(n.into()));
                assert_eq!(ended, wanted, "{mode}, {workers} workers, round {round}");
                let control = runtime.control().expect("a readback");
                for i in 0..count {
                    let stored = control[(FIRST + i) as usize];
                    assert_eq!(stored, value.wrapping_add(3 * i), "{mode}, {workers} workers, {round}: {i}");
                }
                assert_eq!(control[FIRST as usize - 1], 150 * (round as u32 + 1), "{mode}, {workers}");
            }
            // What one faults by its parent ends by.
            let bad = slot(SPREAD, &[20, STORE_U32, 1, OBSERVABLE_BASE + 5990, 0, 1]);
            assert_eq!(end(&runtime.submit(&bad).expect("taken")), fault(FaultCode::BadOperand, 1), "{mode}");
            let unknown = slot(SPREAD, &[20, 99, 0, 0, 0, 0]);
            let ended = end(&runtime.submit(&unknown).expect("taken"));
            assert_eq!(ended, fault(FaultCode::UnknownOpcode, 0), "{mode}");
        }
    }
    assert_silent();
}

/// A slot ends after what it published, though no kernel knows it any more.
#[test]
fn a_family_ends_together_in_another_kernel() {
    const TOTAL: u32 = 9;
    for mode in MODES {
        let runtime = with(builder(mode).child_slots(32), &["spread", "total"]);
        let words: Vec<u32> = (0..50_000).collect();
        let table = runtime.table(&words).expect("a table");
        let totals = METRICS_BASE as usize + TOTAL as usize;
        // Long ones, more than there are slots for, so that it has to be called again.
        let args = [200, TOTAL, table.handle(), 0, 0, 0, 200_000, 60];
        let job = runtime.submit(&slot(SPREAD, &args)).expect("taken");
        // Readbacks without a pause between them leave it time to get on.
        while mode == Mode::Live && runtime.control().expect("a readback")[totals] == 0 {
            assert!(job.try_wait().is_none(), "it has ended early");
        }
        // SAFETY: it keeps to glsl/handler.glsl.
        unsafe { runtime.swap_kernel(&kernel(&["total"])) }.expect("another kernel");
        let ended = end(&job);
        let then = runtime.control().expect("a readback")[totals];
        let unknown = fault(FaultCode::UnknownOpcode, 0);
        assert!(ended == unknown, "{mode}: {ended:?} after {then} of 200");
        // Were some left, they would have their turn now.
        let last = runtime.submit(&slot(TOTAL, &[table.handle(), 0, 200_000, 40])).expect("taken");
        assert!(matches!(end(&last), Outcome::Done(_)), "{mode}");
        assert_eq!(runtime.control().expect("a readback")[totals], then + 1, "{mode}");
    }
    assert_silent();
}

/// Each slot that is published publishes one, until they are too deep.
#[test]
fn slots_are_published_four_deep() {
    for mode in MODES {
        let runtime = with(builder(mode).child_slots(32), &["spread"]);
        // Arguments 6 to 9 of a slot are 2 to 5 of what it publishes.
        let deep = slot(SPREAD, &[1, SPREAD, 1, SPREAD, 0, 0, 1, SPREAD, 1, SPREAD]);
        for _ in 0..3 {
            assert!(matches!(end(&runtime.submit(&deep).expect("taken")), Outcome::Done(1)), "{mode}");
        }
    }
    assert_silent();
}

#[test]
fn tenants_pay_for_what_their_handlers_publish() {
    for mode in MODES {
        let builder = builder(mode).tenants(4).tenant_words(64).child_slots(64);
        let runtime = with(builder, &["spread"]);
        let one = runtime.tenant("one").window(8).credits(10).open().expect("a tenant");
        let other = runtime.tenant("other").window(8).open().expect("a tenant");
        let (mine, theirs) = (one.window().start, other.window().start);
        let spread = |word: u32| slot(SPREAD, &[100, ATOMIC_ADD, 1, word, 0, 0]);
        let jobs: Vec<_> = (0..8)
            .flat_map(|_| {
                [one.submit(&spread(mine)), other.submit(&spread(theirs)), one.submit(&spread(theirs))]
            })
            .map(|job| job.expect("taken"))
            .collect();
        for (n, job) in jobs.iter().enumerate() {
            let wanted = if n % 3 == 2 { fault(FaultCode::BadOperand, 1) } else { Outcome::Done(100) };
            assert_eq!(end(job), wanted, "{mode}: {n}");
        }
        let control = runtime.control().expect("a readback");
        assert_eq!((control[mine as usize], control[theirs as usize]), (800, 800), "{mode}");
    }
    assert_silent();
}

#[test]
fn families_end_whatever_kernel_runs_by_then() {
    for mode in MODES {
        let runtime = with(builder(mode).observables(64).child_slots(32), &["spread"]);
        let kernels = [kernel(&["gcd"]), kernel(&["spread"])];
        for round in 0..4 {
            let jobs: Vec<_> = (0..20)
                .map(|_| runtime.submit(&slot(SPREAD, &[400, ATOMIC_ADD, 1, FIRST, 0, 0])).expect("taken"))
                .collect();
            jobs.iter().step_by(4).for_each(|job| job.cancel());
            // SAFETY: they keep to glsl/handler.glsl.
            unsafe { runtime.swap_kernel(&kernels[0]) }.expect("another kernel");
            for (n, job) in jobs.iter().enumerate() {
                let ended = end(job);
                let may =
                    [Outcome::Done(400), fault(FaultCode::UnknownOpcode, 0), fault(FaultCode::Cancelled, 0)];
                assert!(may.contains(&ended), "{mode}, round {round}, {n}: {ended:?}");
            }
            // SAFETY: as above.
            unsafe { runtime.swap_kernel(&kernels[1]) }.expect("another kernel");
            let whole =
                end(&runtime.submit(&slot(SPREAD, &[100, ATOMIC_ADD, 1, FIRST, 0, 0])).expect("taken"));
            assert_eq!(whole, Outcome::Done(100), "{mode}, round {round}");
        }
        let without = builder(mode).build().expect("a runtime");
        // SAFETY: as above.
        let refused = unsafe { without.swap_kernel(&kernels[1]) };
        assert!(matches!(refused, Err(RuntimeError::NoChildSlots)), "{mode}: {refused:?}");
    }
    assert_silent();
}
