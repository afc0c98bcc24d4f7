//! What tenants that have work get of the claims, against their weights: counted by the device's own table, between
//! two readbacks, of slots that were all published before the first.

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringfence::descriptor::{EncodeSlot as _, SlotDescriptor};
use ringfence::protocol::FAIRNESS_BASE;
use ringfence::protocol::opcode::SUM_WORDS;
use ringfence::runtime::{Mode, Resource, Ring, Runtime, Tenant, Tenants};

use support::{MODES, PATIENCE, assert_silent, builder};

/// Claims over which shares are compared, at least.
const CLAIMS: u64 = 10_000;
/// Slots that a tenant may have on its way.
const DEPTH: u32 = 1 << 16;
/// How far a share may be off, as a part of it.
const OFF: f64 = 0.05;

/// Runtimes that are always at work, beside each other on one queue, make the host come too late.
static ALONE: Mutex<()> = Mutex::new(());

/// Tenants with work of one kind each.
struct Rig {
    mode: Mode,
    runtime: Runtime,
    _text: Resource,
    tenants: Vec<Worker>,
    _alone: MutexGuard<'static, ()>,
}

struct Worker {
    tenant: Tenant,
    ring: Ring,
    weight: u32,
    slot: SlotDescriptor,
}

impl Rig {
    /// A tenant for each weight, the first of them with wide slots if `wide`. One worker: of two, one that the system
    /// stops has tenants in its hands, and the others have their turns.
    fn new(mode: Mode, weights: &[u32], wide: bool) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let count = weights.len() as u32;
        let runtime = builder(mode)
            .workers(1)
            .tenants(1 + count)
            .tenant_slots(DEPTH)
            .level_slots([0, 0, count * DEPTH, 0, 0])
            .opcodes(&[SUM_WORDS])
            .build()
            .expect("a runtime");
        let text = runtime.table(&[1; 64]).expect("a table");
        text.set_tenants(Tenants::ALL);
        let open = |(which, weight): (usize, &u32)| {
            let tenant = runtime.tenant("t").weight(*weight).open().expect("a tenant");
            let ring = tenant.ring(DEPTH as usize).expect("a ring");
            let sum = || SlotDescriptor::sum_words(text.handle(), 0, 256);
            let slot = if wide && which == 0 { sum() } else { SlotDescriptor::nop() };
            Worker { tenant, ring, weight: *weight, slot }
        };
        let tenants = weights.iter().enumerate().map(open).collect();
        Self { mode, runtime, _text: text, tenants, _alone: alone }
    }

    /// Work for these, so much that none should run out of it.
    fn fill(&mut self, who: &[usize]) {
        let weights: u32 = who.iter().map(|which| self.tenants[*which].weight).sum();
        for which in who {
            let Worker { ring, slot, weight, .. } = &mut self.tenants[*which];
            let words = slot.encode().expect("a slot");
            ring.reap(|_, _| ()).expect("well");
            let depth = 6 * CLAIMS as usize * *weight as usize / weights as usize + 2048;
            while ring.in_flight() < depth {
                ring.push(&words, 0).expect("room");
            }
            ring.flush().expect("open");
        }
    }

    /// Slots of each that have ended, as the device counts them.
    fn ended(&self) -> Vec<u64> {
        let control = self.runtime.control().expect("a readback");
        let table = control[FAIRNESS_BASE as usize] as usize;
        self.tenants.iter().map(|of| control[table + of.tenant.id() as usize].into()).collect()
    }

    /// What each got of at least [`CLAIMS`] while `who` had work throughout and nobody else any. Nothing is claimed
    /// before all have it, and what one got by being the first to be resumed does not count.
    fn contend(&mut self, who: &[usize]) -> Vec<u64> {
        for which in 0..self.tenants.len() {
            assert!(who.contains(&which) || self.tenants[which].tenant.stats().outstanding == 0);
        }
        for _ in 0..20 {
            who.iter().for_each(|which| self.tenants[*which].tenant.pause());
            self.fill(who);
            who.iter().for_each(|which| self.tenants[*which].tenant.resume());
            let before = self.ended();
            let published: Vec<u64> = self.tenants.iter().map(|of| of.tenant.stats().published).collect();
            loop {
                let now = self.ended();
                let got: Vec<u64> = now.iter().zip(&before).map(|(now, before)| now - before).collect();
                if who.iter().any(|which| now[*which] + 256 > published[*which]) {
                    // Somebody ran out of work before: the host came too late.
                    break;
                }
                if got.iter().sum::<u64>() >= CLAIMS {
                    return got;
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        panic!("{}: in {CLAIMS} claims somebody always ran out of work", self.mode);
    }

    /// The shares of `who` are those of their weights.
    fn fair(&mut self, who: &[usize], what: &str) {
        let got = self.contend(who);
        let all: u64 = got.iter().sum();
        let weights: u32 = who.iter().map(|which| self.tenants[*which].weight).sum();
        for which in who {
            let share = got[*which] as f64 / all as f64;
            let wanted = f64::from(self.tenants[*which].weight) / f64::from(weights);
            let off = share / wanted - 1.0;
            assert!(off.abs() <= OFF, "{}, {what}: {which} of {got:?} is off by {off:.3}", self.mode);
        }
        assert_eq!(all, who.iter().map(|which| got[*which]).sum::<u64>(), "{}, {what}", self.mode);
    }

    /// All that this one has ends.
    fn idle(&mut self, which: usize) {
        let Worker { ring, .. } = &mut self.tenants[which];
        while ring.in_flight() > 0 {
            assert!(ring.wait(PATIENCE, |_, _| ()).expect("well") > 0);
        }
    }
}

#[test]
fn of_weights_of_many_kinds() {
    for mode in MODES {
        for weights in [&[1, 2, 4, 8][..], &[1, 100], &[3, 5, 7], &[1; 9], &[100, 99, 1]] {
            let mut rig = Rig::new(mode, weights, false);
            let who: Vec<usize> = (0..weights.len()).collect();
            rig.fair(&who, &format!("weights {weights:?}"));
        }
    }
    assert_silent();
}

/// A wide slot is one claim, as others are.
#[test]
fn of_one_that_has_wide_slots() {
    for mode in MODES {
        for weights in [[1, 1, 1], [6, 3, 1], [1, 3, 2]] {
            let mut rig = Rig::new(mode, &weights, true);
            rig.fair(&[0, 1, 2], &format!("weights {weights:?}, the first wide"));
        }
    }
    assert_silent();
}

/// Whoever had no work has saved nothing up, and owes nothing.
#[test]
fn of_one_that_comes_late_or_goes_and_comes_back() {
    for mode in MODES {
        let mut rig = Rig::new(mode, &[2, 1, 4], false);
        for round in 0..2 {
            let what = |who: &str| format!("round {round}, {who}");
            rig.fair(&[0, 1], &what("without the third"));
            rig.fair(&[0, 1, 2], &what("with the third"));
            rig.idle(2);
            rig.fair(&[0, 1], &what("without the third again"));
            rig.idle(0);
            rig.fair(&[1], &what("the second alone"));
        }
    }
    assert_silent();
}
