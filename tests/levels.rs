//! Priority levels: who is served first, who is never passed over for good, and whose slots nobody else takes.

mod support;

use std::time::Duration;

use ringfence::descriptor::{BatchDescriptor, EncodeSlot, SlotDescriptor};
use ringfence::protocol::{PRIORITY_FAIRNESS_BASE, PRIORITY_OFFSETS_BASE, PRIORITY_WORD};
use ringfence::runtime::{Mode, Outcome, Runtime, RuntimeError, SlotWords, SubmitError};
use support::{MODES, PATIENCE, Random, assert_silent, builder};

const TURN: u32 = 161;
const PERIOD: usize = 16;

/// A slot at a level, whose result says how many were executed before it.
fn numbered(level: u32) -> SlotWords {
    let mut words = SlotDescriptor::atomic_add(1, TURN).encode().expect("a slot");
    words[PRIORITY_WORD as usize] = level;
    words
}

/// The levels in the order in which one worker served so many slots of each, all published before it looked.
fn order(runtime: &Runtime, counts: [usize; 5]) -> Vec<usize> {
    let mut ring = runtime.ring(512).expect("a ring");
    // Interleaved, so that the order of publication says nothing.
    let mut left = counts;
    while left.iter().any(|n| *n > 0) {
        for level in (0..5).rev().filter(|level| left[*level] > 0).collect::<Vec<_>>() {
            left[level] -= 1;
            ring.push(&numbered(level as u32), level as u64).expect("room");
        }
    }
    ring.flush().expect("open");
    let mut served = Vec::new();
    while ring.in_flight() > 0 {
        let ended = ring.wait(PATIENCE, |level, outcome| match outcome {
            Outcome::Done(before) => served.push((before, level as usize)),
            fault => panic!("level {level}: {fault:?}"),
        });
        assert!(ended.expect("well") > 0, "{} left", ring.in_flight());
    }
    served.sort_unstable();
    served.into_iter().map(|(_, level)| level).collect()
}

/// The longest run of `order` without one of `level`, among those that `counts` says, while one waits.
fn longest_wait(order: &[usize], level: impl Fn(usize) -> bool, counts: impl Fn(usize) -> bool) -> usize {
    let Some(last) = order.iter().rposition(|l| level(*l)) else { return 0 };
    let (mut run, mut longest) = (0, 0);
    for l in &order[..=last] {
        run = if level(*l) { 0 } else { run + usize::from(counts(*l)) };
        longest = longest.max(run);
    }
    longest
}

#[test]
fn the_highest_is_served_first_and_nobody_is_passed_over_for_good() {
    // Epoch mode and one worker: all is there before the first claim, and the order is the worker's own.
    let runtime = builder(Mode::Epoch).workers(1).level_slots([256; 5]).build().expect("a runtime");
    let cases: [[usize; 5]; 10] = [
        [100, 0, 0, 0, 0],
        [0, 0, 100, 0, 0],
        [60, 60, 0, 0, 0],
        [100, 0, 20, 0, 0],
        [0, 100, 0, 0, 20],
        [0, 0, 100, 20, 0],
        [0, 0, 100, 0, 20],
        [0, 0, 0, 100, 20],
        [0, 0, 200, 40, 40],
        [200, 100, 100, 30, 30],
    ];
    for counts in cases {
        let served = order(&runtime, counts);
        assert_eq!(served.len(), counts.iter().sum::<usize>(), "{counts:?}");
        let high = |l: usize| l < 2;
        let below = longest_wait(&served, |l| !high(l), high);
        assert!(below < PERIOD, "{counts:?}: {below} claims above HIGH while others waited: {served:?}");
        for level in 2..5 {
            let wait = longest_wait(&served, |l| l == level, |l| !high(l));
            assert!(wait < PERIOD, "{counts:?}: level {level} was passed over {wait} times: {served:?}");
        }
        // The rest of the time the highest is served: of the first 16 all but one, or one for each level below.
        let highest = counts.iter().position(|n| *n > 0).expect("some");
        let others = counts.iter().filter(|n| **n > 0).count() - 1;
        let first = served.iter().take(PERIOD).filter(|l| **l == highest).count();
        assert!(first + others >= PERIOD, "{counts:?}: {served:?}");
    }
    assert_silent();
}

#[test]
fn claims_are_counted_by_level_and_none_is_lost() {
    for mode in MODES {
        let runtime = builder(mode).workers(2).slots(512).build().expect("a runtime");
        let mut random = Random(7);
        let mut published = [0u32; 5];
        let mut ring = runtime.ring(300).expect("a ring");
        let mut ended = 0;
        for round in 0..200 {
            for _ in 0..random.below(40) {
                let level = random.below(5);
                match ring.push(&numbered(level), 0) {
                    Ok(()) => published[level as usize] += 1,
                    Err(RuntimeError::Full { .. } | RuntimeError::RingFull { .. }) => break,
                    Err(e) => panic!("{e}"),
                }
            }
            ring.flush().expect("open");
            if round % 3 == 0 {
                ended += ring.wait(PATIENCE, |_, _| ()).expect("well");
            }
            if round % 50 == 0 {
                // Slots on their way stay where they are.
                let sizes = [[102, 102, 104, 102, 102], [0, 4, 500, 4, 4], [32, 32, 384, 32, 32]];
                runtime.set_level_slots(sizes[round / 50 % 3]).expect("well");
            }
        }
        while ring.in_flight() > 0 {
            ended += ring.wait(PATIENCE, |_, _| ()).expect("well");
        }
        let control = runtime.control().expect("a readback");
        let total: u32 = published.iter().sum();
        assert_eq!(ended as u32, total, "{mode}");
        assert_eq!(control[TURN as usize], total, "{mode}");
        let claims = &control[PRIORITY_FAIRNESS_BASE as usize..][..5];
        assert_eq!(claims, published, "{mode}");
        // All slots are free again, each at its level.
        let sizes: Vec<u32> =
            control[PRIORITY_OFFSETS_BASE as usize..][..6].windows(2).map(|w| w[1] - w[0]).collect();
        drop(ring);
        let mut ring = runtime.ring(512).expect("a ring");
        for (level, size) in sizes.iter().enumerate() {
            (0..*size).for_each(|_| ring.push(&numbered(level as u32), 0).expect("room at each level"));
        }
        let more = ring.push(&numbered(2), 0).expect_err("no more");
        assert!(matches!(more, RuntimeError::RingFull { depth: 512 }), "{more}");
    }
    assert_silent();
}

#[test]
fn a_level_keeps_its_slots_from_the_others() {
    for mode in MODES {
        let runtime = builder(mode).slots(64).build().expect("a runtime");
        // A ring holds what it pushed, flushed or not.
        let mut bulk = runtime.ring(64).expect("a ring");
        for level in [2, 3, 4] {
            let most = if level == 2 { 48 } else { 4 };
            (0..most).for_each(|_| bulk.push(&numbered(level), 0).expect("room"));
            let refused = bulk.push(&numbered(level), 0).expect_err("its level is full");
            let full =
                matches!(refused, RuntimeError::Full { level: l, slots } if l == level && slots == most);
            assert!(full, "{mode}: {refused}");
        }
        let job = runtime.try_submit(&numbered(0)).expect("critical work has slots of its own");
        assert!(job.wait_timeout(PATIENCE).expect("well").is_some(), "{mode}");
        let batch = BatchDescriptor::new(vec![SlotDescriptor::nop(); 48], 0);
        let refused = runtime.submit_batch(&batch).err().expect("49 with the fence");
        let expected = RuntimeError::BatchTooLarge { level: 2, count: 49, slots: 48 }.to_string();
        assert_eq!(refused.to_string(), expected);

        for bad in [[64, 0, 0, 0, 1], [0; 5], [u32::MAX; 5]] {
            assert!(runtime.set_level_slots(bad).is_err(), "{bad:?}");
        }
        runtime.set_level_slots([0, 8, 56, 0, 0]).expect("well");
        let refused = runtime.try_submit(&numbered(0)).err().expect("a level without slots");
        assert!(
            matches!(refused, SubmitError::Runtime(RuntimeError::Full { level: 0, slots: 0 })),
            "{refused}"
        );
    }
    assert_silent();
}

#[test]
fn a_priority_that_is_no_level_is_refused_by_the_device() {
    for mode in MODES {
        let runtime = builder(mode).build().expect("a runtime");
        for priority in [5, 6, 255, 0x8000_0000, u32::MAX] {
            let job = runtime.submit(&numbered(priority)).expect("published");
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
            assert_eq!(ended.outcome, Outcome::Fault { code: 2, detail: 15 }, "{mode}: {priority}");
        }
        assert_eq!(runtime.control().expect("a readback")[TURN as usize], 0, "{mode}");
    }
    assert_silent();
}

#[test]
fn work_goes_on_at_all_levels_while_critical_work_never_ends() {
    for mode in MODES {
        let runtime = builder(mode).slots(256).build().expect("a runtime");
        let mut flood = runtime.ring(16).expect("a ring");
        let low: Vec<_> = [2, 3, 4].map(|level| runtime.submit(&numbered(level)).expect("room")).into();
        let begin = std::time::Instant::now();
        while low.iter().any(|job| job.try_wait().is_none()) {
            while flood.push(&numbered(0), 0).is_ok() {}
            flood.flush().expect("open");
            flood.wait(Duration::from_millis(1), |_, _| ()).expect("well");
            assert!(begin.elapsed() < PATIENCE, "{mode}: bulk work starves");
        }
    }
    assert_silent();
}
