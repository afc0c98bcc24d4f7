//! Millions of slots through workers that relay as often as they can, with every result checked.
//!
//! RINGFENCE_SOAK=N sets the number of slots in live mode.

mod support;

use std::time::{Duration, Instant};

use ringfence::descriptor::{EncodeSlot, SlotDescriptor};
use ringfence::runtime::{Mode, Outcome, Runtime};
use support::{PATIENCE, assert_silent, builder, gpu};

const DEPTH: usize = 512;
const SUM: u32 = 161;

/// Every slot adds 1 and gets the value before, so each value from 0 on comes back exactly once,
/// whatever the order. One bit for each.
struct Seen {
    bits: Vec<u64>,
    count: u64,
}

impl Seen {
    fn new(slots: u64) -> Self {
        Self { bits: vec![0; slots.div_ceil(64) as usize], count: 0 }
    }

    fn take(&mut self, outcome: Outcome) {
        let Outcome::Done(value) = outcome else { panic!("{outcome:?}") };
        let word = &mut self.bits[(value / 64) as usize];
        assert_eq!(*word & 1 << (value % 64), 0, "{value} came twice");
        *word |= 1 << (value % 64);
        self.count += 1;
    }
}

fn soak(mode: Mode, slots: u64, starts_wanted: u64) {
    // The least budget there is: workers take over from each other all the time.
    let runtime: Runtime = builder(mode).slots(1024).loop_budget(0).build().expect("a runtime");
    let mut ring = runtime.ring(DEPTH).expect("a ring");
    let add = SlotDescriptor::atomic_add(1, SUM).encode().expect("a slot");
    let mut seen = Seen::new(slots);
    let begin = Instant::now();
    let (mut pushed, mut tickets) = (0, 0u64);
    while seen.count < slots {
        while pushed < slots && ring.room() > 0 {
            ring.push(&add, pushed).expect("room");
            pushed += 1;
        }
        ring.flush().expect("open");
        ring.wait(PATIENCE, |ticket, outcome| {
            tickets = tickets.wrapping_add(ticket);
            seen.take(outcome);
        })
        .expect("well");
    }
    assert_eq!(seen.count, slots);
    assert_eq!(tickets, slots * (slots - 1) / 2, "{mode}: each user data once");
    assert_eq!(ring.in_flight(), 0);
    let starts: u64 = runtime.heartbeats().iter().map(|n| u64::from(*n)).sum();
    eprintln!(
        "{mode}: {slots} slots, {starts} worker starts, {} dispatches, {:?}, {}",
        runtime.stats().dispatches,
        begin.elapsed(),
        gpu().info(),
    );
    assert!(starts >= starts_wanted, "{starts} re-arms");
    let control = runtime.control().expect("a readback");
    let count = slots as u32;
    assert_eq!((control[1], control[145], control[SUM as usize]), (count, 0, count), "{mode}");
    assert_eq!(control[96 + 2], count, "{mode}: executions of ATOMIC_ADD");
    assert_eq!(runtime.stats().ended, slots);
}

#[test]
fn every_slot_of_millions_ends_once() {
    let slots = match std::env::var("RINGFENCE_SOAK") {
        Ok(n) => n.parse().expect("RINGFENCE_SOAK takes a number of slots"),
        Err(_) => 10_000_000,
    };
    soak(Mode::Live, slots, 1_000.min(slots / 10_000));
    soak(Mode::Epoch, slots.min(200_000), 1);
    assert_silent();
}

/// The same through idle moments: a kernel that went to rest takes up the next slot, every time.
#[test]
fn slots_across_many_rests_end_once() {
    let runtime = builder(Mode::Live).linger(Duration::ZERO).build().expect("a runtime");
    for i in 0..1_000u64 {
        let job = runtime.submit(&SlotDescriptor::atomic_add(1, SUM)).expect("taken");
        let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
        assert_eq!(ended.result(), Some(i));
        if i % 3 == 0 {
            assert!(runtime.wait_idle(PATIENCE));
        }
    }
    assert_silent();
}
