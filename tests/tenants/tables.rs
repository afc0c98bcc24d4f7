//! The tables of tenants and their bases, overwritten by the system tenant, who may, while others publish: nobody's
//! slot is lost, none is executed that ends as a fault, no word changes that nobody names, and once the words are as
//! they were all is well.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use ringfence::descriptor::{BatchDescriptor, BuiltinOpcode, PackedOpDescriptor, SlotDescriptor};
use ringfence::protocol::{
    FAIRNESS_BASE, LIMIT_BASE, OBSERVABLE_BASE, PRIORITY_STARVATION_COUNTER, QUOTA_BASE, TENANT_BASE,
    TENANT_COUNT,
};
use ringfence::runtime::{Mode, Outcome, Runtime, Tenant};

use crate::ends::{all_is_well, end};
use crate::model::{OUT_OF_CREDITS, UNAUTHORIZED};
use crate::support::{MODES, assert_silent, builder};

const OBSERVABLES: u32 = 32;
/// Where bases lead that are to lead to something: two tables' words among the observables.
const TRAP: Range<u32> = OBSERVABLE_BASE + 8..OBSERVABLE_BASE + 8 + 2 * TENANTS;
const TENANTS: u32 = 4;
const BATCH: usize = 12;

/// Tenants without a limit, with few credits, and with none at all.
const CREDITS: [Option<u32>; 3] = [None, Some(5), Some(0)];

struct Rig {
    mode: Mode,
    runtime: Runtime,
    tenants: Vec<Tenant>,
    /// The control buffer before anything was overwritten.
    before: Vec<u32>,
}

/// What is overwritten, with what, and how slots that were to be DONE may end meanwhile.
struct Case {
    word: u32,
    value: u32,
    may: &'static [Outcome],
    /// What stands in the trap.
    trap: u32,
}

impl Rig {
    fn new(mode: Mode) -> Self {
        let runtime = builder(mode)
            .workers(2)
            .tenants(TENANTS)
            .tenant_words(64)
            .observables(OBSERVABLES)
            .build()
            .expect("a runtime");
        let open = |credits: Option<u32>| {
            let tenant = runtime.tenant("t").window(8);
            credits.into_iter().fold(tenant, |t, credits| t.credits(credits)).open().expect("a tenant")
        };
        let tenants = CREDITS.map(open).into();
        let before = runtime.control().expect("a readback");
        Self { mode, runtime, tenants, before }
    }

    fn store(&self, word: u32, value: u32) {
        let job = self.runtime.submit(&SlotDescriptor::store_u32(value, word)).expect("published");
        assert_eq!(end(&job), Outcome::Done(0), "{}: the system is admitted", self.mode);
    }

    fn fill_trap(&self, value: u32) {
        TRAP.for_each(|word| self.store(word, value));
    }

    /// Has each tenant publish batches of additions to a word of its own while `work` is done, then some more.
    /// Each slot ends as one of `may`, or as it would have; those that are DONE were executed, and no others.
    fn meanwhile(&self, may: &[Outcome], work: impl FnOnce(&Self), what: &str) {
        let over = AtomicBool::new(false);
        let done: Vec<u32> = std::thread::scope(|scope| {
            let publish = |(tenant, credits): (&Tenant, Option<u32>)| {
                let add = SlotDescriptor::atomic_add(1, tenant.window().start + 1);
                let batch = BatchDescriptor::new(vec![add; BATCH], 0);
                let mut done = 0;
                let mut more = 2;
                while more > 0 {
                    more -= usize::from(over.load(Ordering::Acquire));
                    let batch = tenant.submit_batch(&batch).expect("published");
                    for job in batch.jobs() {
                        match end(job) {
                            Outcome::Done(_) => done += 1,
                            OUT_OF_CREDITS if credits == Some(0) => {}
                            other => assert!(may.contains(&other), "{}: {what}: {other:?}", self.mode),
                        }
                    }
                    end(batch.fence());
                }
                done
            };
            let publishers: Vec<_> =
                self.tenants.iter().zip(CREDITS).map(|of| scope.spawn(move || publish(of))).collect();
            work(self);
            over.store(true, Ordering::Release);
            publishers.into_iter().map(|publisher| publisher.join().expect("well")).collect()
        });
        let control = self.runtime.control().expect("a readback");
        for (tenant, done) in self.tenants.iter().zip(done) {
            let word = tenant.window().start as usize + 1;
            assert_eq!(control[word], done, "{}: {what}: executed and DONE", self.mode);
            self.store(word as u32, 0);
        }
        self.nothing_else_changed(&control, what);
    }

    /// Of the observables and windows nothing but the trap, and in each window the fences' tag and the sum.
    fn nothing_else_changed(&self, control: &[u32], what: &str) {
        let tables = self.before[TENANT_BASE as usize];
        let named = |word: u32| {
            let own = |tenant: &Tenant| (tenant.window().start..tenant.window().start + 2).contains(&word);
            TRAP.contains(&word) || self.tenants.iter().any(own)
        };
        for word in (OBSERVABLE_BASE..tables).filter(|word| !named(*word)) {
            assert_eq!(control[word as usize], 0, "{}: {what}: word {word}", self.mode);
        }
        assert_eq!(control.len(), self.before.len());
    }

    /// All words are as they were: each tenant's slots end as they should.
    fn is_well_again(&self, what: &str) {
        self.meanwhile(&[], |_| {}, what);
        let refs: Vec<&Tenant> = self.tenants.iter().collect();
        all_is_well(&self.runtime, &refs, what);
    }

    fn run(&self, cases: &[Case]) {
        for Case { word, value, may, trap } in cases {
            let what = format!("{word} = {value:#x}, which leads to {trap:#x}");
            self.fill_trap(*trap);
            self.meanwhile(
                may,
                |rig| {
                    for _ in 0..8 {
                        rig.store(*word, *value);
                        (0..4).for_each(|_| rig.store(TRAP.end + 1, 0));
                        rig.store(*word, rig.before[*word as usize]);
                    }
                },
                &what,
            );
            self.is_well_again(&what);
        }
    }
}

#[test]
fn bases_are_overwritten_and_restored_while_others_publish() {
    for mode in MODES {
        let rig = Rig::new(mode);
        let case = |word, value, may, trap| Case { word, value, may, trap };
        let mut cases = vec![
            // The kernel knows how many there are: the word is for those who look.
            case(TENANT_COUNT, 0, &[], 0),
            case(TENANT_COUNT, u32::MAX, &[], 0),
            case(PRIORITY_STARVATION_COUNTER, u32::MAX, &[], 0),
            case(PRIORITY_STARVATION_COUNTER, 1 << 31, &[], 0),
            // All have so many credits, or none.
            case(LIMIT_BASE, TRAP.start, &[], 3),
            case(LIMIT_BASE, TRAP.start, &[], u32::MAX),
            case(LIMIT_BASE, TRAP.start, &[OUT_OF_CREDITS], 0),
            case(TENANT_BASE, TRAP.start, &[], 1),
            case(QUOTA_BASE, TRAP.start, &[], 0),
            case(QUOTA_BASE, TRAP.start, &[], u32::MAX),
            case(FAIRNESS_BASE, TRAP.start, &[], 7),
        ];
        let end = rig.before.len() as u32;
        for outside in [end, end + 1, 1 << 31, u32::MAX - 1, u32::MAX] {
            cases.push(case(LIMIT_BASE, outside, &[OUT_OF_CREDITS], 0));
            cases.push(case(QUOTA_BASE, outside, &[], 0));
            cases.push(case(FAIRNESS_BASE, outside, &[], 0));
        }
        rig.run(&cases);
    }
    assert_silent();
}

/// The system is a tenant of the mask table too, so it puts the word right in the slot that overwrote it.
#[test]
fn the_base_of_the_mask_table_is_overwritten_and_restored_in_one_slot() {
    for mode in MODES {
        let rig = Rig::new(mode);
        rig.fill_trap(0);
        for value in [0, TRAP.start, rig.before.len() as u32, 1 << 31, u32::MAX] {
            let store = |value| PackedOpDescriptor::new(BuiltinOpcode::StoreU32, &[value, TENANT_BASE]);
            let wait = || PackedOpDescriptor::new(BuiltinOpcode::Nop, &[]);
            let slot = SlotDescriptor::packed(vec![
                store(value),
                wait(),
                wait(),
                wait(),
                store(rig.before[TENANT_BASE as usize]),
            ]);
            let what = format!("the mask's base = {value:#x}");
            let overwrite = |rig: &Rig| {
                for _ in 0..40 {
                    let job = rig.runtime.submit(&slot).expect("published");
                    assert_eq!(end(&job), Outcome::Done(5), "{mode}: {what}");
                }
            };
            rig.meanwhile(&[UNAUTHORIZED], overwrite, &what);
            rig.is_well_again(&what);
        }
    }
    assert_silent();
}

/// Words of the tables: those of the mask, and limits and credits that the host would not have taken.
#[test]
fn words_of_the_tables_are_overwritten_and_restored_while_others_publish() {
    for mode in MODES {
        let rig = Rig::new(mode);
        let mut cases = Vec::new();
        for tenant in &rig.tenants {
            let word = |base: u32| rig.before[base as usize] + tenant.id();
            let mut case = |word, value, may| cases.push(Case { word, value, may, trap: 0 });
            case(word(TENANT_BASE), 0, &[UNAUTHORIZED]);
            case(word(TENANT_BASE), u32::MAX, &[]);
            case(word(LIMIT_BASE), 0, &[OUT_OF_CREDITS]);
            case(word(LIMIT_BASE), 1, &[]);
            case(word(LIMIT_BASE), i32::MAX as u32, &[]);
            case(word(FAIRNESS_BASE), u32::MAX, &[]);
            for credits in [0, 1, i32::MAX as u32, 1 << 31, u32::MAX] {
                case(word(QUOTA_BASE), credits, &[]);
            }
        }
        rig.run(&cases);
    }
    assert_silent();
}

/// What it says of itself is as good as what it says of others: nothing is executed any more, and nobody waits.
#[test]
fn a_system_that_admits_nobody_is_not_admitted_either() {
    for mode in MODES {
        let rig = Rig::new(mode);
        rig.store(TENANT_BASE, u32::MAX);
        for tenant in &rig.tenants {
            let job = tenant.submit(&SlotDescriptor::nop()).expect("published");
            assert_eq!(end(&job), UNAUTHORIZED, "{mode}");
        }
        let restore = SlotDescriptor::store_u32(rig.before[TENANT_BASE as usize], TENANT_BASE);
        for slot in [restore, SlotDescriptor::shutdown()] {
            assert_eq!(end(&rig.runtime.submit(&slot).expect("published")), UNAUTHORIZED, "{mode}");
        }
    }
    assert_silent();
}

/// A limit that only the system can have written is a limit like others.
#[test]
fn limits_that_no_tenant_can_be_opened_with_end_well() {
    for mode in MODES {
        for limit in [(1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX - 1] {
            let runtime = builder(mode).tenants(2).build().expect("a runtime");
            let tenant = runtime.tenant("t").credits(5).open().expect("a tenant");
            let word = runtime.control().expect("a readback")[LIMIT_BASE as usize] + tenant.id();
            end(&runtime.submit(&SlotDescriptor::store_u32(limit, word)).expect("published"));
            for _ in 0..20 {
                let job = tenant.submit(&SlotDescriptor::nop()).expect("published");
                assert_eq!(end(&job), Outcome::Done(0), "{mode}: {limit:#x}");
            }
        }
    }
    assert_silent();
}
