//! Long jobs give way to more urgent ones and go on later, by any worker; and jobs that are cancelled end.

mod support;

use std::sync::atomic::Ordering;
use std::time::Instant;

use ringfence::descriptor::{
    BatchDescriptor, BuiltinOpcode, EncodeSlot, SlotDescriptor, WindowClass, WindowDescriptor, WindowItem,
};
use ringfence::protocol::abi::scan::{SCAN_CARRY_WORDS, SCAN_MATCHED, SCAN_ROW_WORDS, SCAN_SKIP, SCAN_START};
use ringfence::protocol::opcode::{COPY_RANGE, CRC32C, SCAN, SUM_WORDS};
use ringfence::protocol::{FaultCode, PRIORITY_WORD};
use ringfence::runtime::{Job, Mode, Outcome, Runtime, RuntimeBuilder, SlotWords};
use ringfence::twin::crc32c::crc32c;
use support::{MODES, PATIENCE, Random, assert_silent, builder};

const COUNT: u32 = 161;
const LOW: u32 = 3;

fn at(level: u32, slot: &SlotDescriptor) -> SlotWords {
    let mut words = slot.encode().expect("a slot");
    words[PRIORITY_WORD as usize] = level;
    words
}

fn outcome(job: &Job) -> Outcome {
    job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome
}

fn wide(mode: Mode) -> RuntimeBuilder {
    builder(mode).opcodes(&[SCAN, CRC32C, SUM_WORDS, COPY_RANGE])
}

/// An automaton that finds each 'x' in a line, and skips to the line's end.
fn finds_x() -> Vec<u32> {
    let mut table = vec![SCAN_SKIP; 4 * SCAN_ROW_WORDS as usize];
    // Only a line feed leads to the start of a line; within one it is another state.
    let (start, within) = (SCAN_START, 3 * SCAN_ROW_WORDS);
    for byte in 0..SCAN_ROW_WORDS as usize {
        for state in [start, within] {
            table[state as usize + byte] = match byte as u8 {
                b'x' => SCAN_MATCHED,
                b'\n' => start,
                _ => within,
            };
        }
        table[SCAN_MATCHED as usize + byte] = SCAN_MATCHED;
    }
    table[SCAN_SKIP as usize + 10] = start;
    table
}

/// Wide jobs of each kind at LOW, while CRITICAL ones come all the time: each result is what it would be alone.
fn interleaved(runtime: &Runtime, mode: Mode) {
    let mut random = Random(3);
    let words: Vec<u32> = (0..131_072)
        .map(|_| u32::from_le_bytes(std::array::from_fn(|_| b"abcdefghxyz\n"[random.below(12) as usize])))
        .collect();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let text = runtime.table(&words).expect("a table");
    let automaton = runtime.scan_table(&finds_x()).expect("an automaton");
    let output = runtime.output(131_072).expect("an output");
    let found = runtime.output(4 * (SCAN_CARRY_WORDS + 16_384)).expect("an output");
    let lines_with_x =
        |range: &[u8]| range.split(|b| *b == b'\n').filter(|line| line.contains(&b'x')).count() as u64;
    for round in 0..6 {
        let offset = 4 * random.below(1000);
        let count = 4 * random.below(100_000);
        let range = &bytes[offset as usize..][..count as usize];
        let mut scan = [0; 16];
        scan[0] = 1;
        scan[1] = SCAN;
        scan[3] = LOW;
        let chunk = 65_536;
        let args = [text.handle(), 0, chunk, automaton.handle(), SCAN_ROW_WORDS, found.handle(), 0, 16_384];
        scan[4..12].copy_from_slice(&args);
        let jobs = [
            runtime.submit(&at(LOW, &SlotDescriptor::crc32c(text.handle(), offset, count, round))),
            runtime.submit(&at(LOW, &SlotDescriptor::sum_words(text.handle(), offset, count))),
            runtime.submit(&at(
                LOW,
                &SlotDescriptor::copy_range((text.handle(), offset), (output.handle(), 0), count),
            )),
            runtime.submit(&scan),
        ]
        .map(|job| job.expect("published"));
        let mut asked = 0;
        let begin = Instant::now();
        while jobs.iter().any(|job| job.try_wait().is_none()) {
            let ask = runtime.submit(&at(0, &SlotDescriptor::atomic_add(1, COUNT))).expect("published");
            assert!(matches!(outcome(&ask), Outcome::Done(_)), "{mode}");
            asked += 1;
            assert!(begin.elapsed() < PATIENCE, "{mode}: bulk work never ends beside {asked} asks");
        }
        let ended = jobs.each_ref().map(outcome);
        let sum =
            words[offset as usize / 4..][..count as usize / 4].iter().fold(0u32, |s, w| s.wrapping_add(*w));
        assert_eq!(ended[0], Outcome::Done(crc32c(round, range.to_vec()).into()), "{mode}, round {round}");
        assert_eq!(ended[1], Outcome::Done(sum.into()), "{mode}, round {round}");
        assert_eq!(ended[2], Outcome::Done(count.into()), "{mode}, round {round}");
        let copied = output.words().expect("mapped");
        let same = (0..count as usize / 4)
            .all(|i| copied[i].load(Ordering::Acquire) == words[offset as usize / 4 + i]);
        assert!(same, "{mode}, round {round}: a copy went wrong");
        // A line that the chunk cuts off counts if its beginning has an x, and so does the one that begins it.
        let lines = lines_with_x(&bytes[..chunk as usize]);
        let Outcome::Done(result) = ended[3] else { panic!("{mode}: {:?}", ended[3]) };
        assert_eq!(result & 0xFFFF_FFFF, lines, "{mode}, round {round}");
    }
}

#[test]
fn results_are_the_same_beside_urgent_work() {
    for mode in MODES {
        for workers in [1, 2] {
            interleaved(&wide(mode).workers(workers).build().expect("a runtime"), mode);
            let shared = wide(mode).workers(workers).tenants(2).build().expect("a runtime");
            interleaved(&shared, mode);
        }
    }
    assert_silent();
}

#[test]
fn a_copy_that_is_executed_gives_way() {
    let mut overtaken = 0;
    for tenants in [1, 3] {
        let runtime = wide(Mode::Live).workers(1).tenants(tenants).build().expect("a runtime");
        let words: Vec<u32> = (1..=131_072).collect();
        let text = runtime.table(&words).expect("a table");
        let output = runtime.output(131_072).expect("an output");
        let copied = output.words().expect("mapped");
        // Whether the first of a copy is there, and the last.
        let seen = |i: usize| copied[i].load(Ordering::Acquire) != 0;
        for _ in 0..200 {
            copied.iter().for_each(|word| word.store(0, Ordering::Release));
            let copy = SlotDescriptor::copy_range((text.handle(), 0), (output.handle(), 0), 524_288);
            let copy = runtime.submit(&at(LOW, &copy)).expect("published");
            let begin = Instant::now();
            while !seen(0) && begin.elapsed() < PATIENCE {
                std::hint::spin_loop();
            }
            let ask = runtime.submit(&at(0, &SlotDescriptor::nop())).expect("published");
            assert_eq!(outcome(&ask), Outcome::Done(0));
            overtaken += u32::from(!seen(131_071));
            assert_eq!(outcome(&copy), Outcome::Done(524_288));
            assert!(seen(131_071) && copied.iter().zip(&words).all(|(a, b)| a.load(Ordering::Acquire) == *b));
        }
        assert!(overtaken > 0, "an ask never came before the end of a copy that was begun");
        let counters = runtime.readback().expect("a readback").counters().expect("whole buffers");
        let ended = counters.done_slots + counters.fault_slots + counters.empty_slots;
        assert_eq!(ended, 256, "slots that gave way say so when they have ended: {counters:?}");
        overtaken = 0;
    }
    assert_silent();
}

#[test]
fn what_is_cancelled_ends_as_such_or_well() {
    for mode in MODES {
        for tenants in [1, 2] {
            let runtime = wide(mode).tenants(tenants).slots(512).build().expect("a runtime");
            let mut random = Random(11);
            let mut done = 0;
            let mut cancelled = 0;
            for _ in 0..60 {
                let slots = |n: u32| (0..n).map(|_| SlotDescriptor::atomic_add(1, COUNT)).collect::<Vec<_>>();
                let jobs: Vec<_> = slots(random.below(40))
                    .iter()
                    .map(|slot| runtime.submit(&at(random.below(5), slot)).expect("published"))
                    .collect();
                let batch = runtime
                    .submit_batch(&BatchDescriptor::new(slots(random.below(20)), 1))
                    .expect("published");
                let all = || jobs.iter().chain(batch.jobs());
                for job in all().chain([batch.fence()]) {
                    if random.below(2) == 0 {
                        job.cancel();
                    }
                }
                for job in all() {
                    match outcome(job) {
                        Outcome::Done(_) => done += 1,
                        Outcome::CANCELLED => cancelled += 1,
                        other => panic!("{mode}: {other:?}"),
                    }
                }
                let fence = outcome(batch.fence());
                assert!(matches!(fence, Outcome::Done(_) | Outcome::CANCELLED), "{mode}: {fence:?}");
                // Too late, and nothing that is published in its place is meant.
                all().for_each(Job::cancel);
            }
            assert_eq!(runtime.control().expect("a readback")[COUNT as usize], done, "{mode}");
            assert!(cancelled > 0, "{mode}: nothing was cancelled of {done}");
        }
    }
    assert_silent();
}

#[test]
fn a_wide_job_ends_at_its_next_step_when_it_is_cancelled() {
    for tenants in [1, 2] {
        let runtime = wide(Mode::Live).workers(1).tenants(tenants).build().expect("a runtime");
        let text = runtime.table(&[1; 131_072]).expect("a table");
        let output = runtime.output(131_072).expect("an output");
        let copied = output.words().expect("mapped");
        let mut ended_early = 0;
        for _ in 0..200 {
            copied.iter().for_each(|word| word.store(0, Ordering::Release));
            let copy = SlotDescriptor::copy_range((text.handle(), 0), (output.handle(), 0), 524_288);
            let job = runtime.submit(&at(LOW, &copy)).expect("published");
            let begin = Instant::now();
            while copied[0].load(Ordering::Acquire) == 0 && begin.elapsed() < PATIENCE {
                std::hint::spin_loop();
            }
            job.cancel();
            match job.wait_timeout(PATIENCE).expect("well").expect("in time").fault() {
                Some((FaultCode::Cancelled, 0)) => {
                    ended_early += 1;
                    assert_eq!(copied[131_071].load(Ordering::Acquire), 0, "it went on after its end");
                }
                Some(other) => panic!("{other:?}"),
                None => assert_eq!(copied[131_071].load(Ordering::Acquire), 1),
            }
        }
        assert!(ended_early > 0);
    }
    assert_silent();
}

#[test]
fn a_window_is_ready_without_its_lookahead_which_goes_when_the_caller_moves_on() {
    let item = |class, ticket| WindowItem { ticket, class, payload: vec![] };
    for mode in MODES {
        for tenants in [1, 2] {
            let runtime = builder(mode).tenants(tenants).workers(1).slots(256).build().expect("a runtime");
            let mut cancelled = 0;
            for _ in 0..50 {
                let items = (0..24).map(|i| {
                    let class = if i % 3 == 0 { WindowClass::Required } else { WindowClass::Lookahead };
                    item(class, i)
                });
                let descriptor = WindowDescriptor::new(0, BuiltinOpcode::Nop, items.collect());
                let window = runtime.submit_window(&descriptor).expect("published");
                assert_eq!((window.required().len(), window.lookahead().len()), (8, 16));
                let moved_on = runtime.submit_window(&descriptor).expect("published");
                let ended = window.wait_timeout(PATIENCE).expect("well").expect("in time");
                assert!(
                    ended.iter().all(|item| item.outcome == Outcome::Done(0)) && window.is_ready(),
                    "{mode}"
                );
                assert!(window.lookahead().iter().all(|job| outcome(job) == Outcome::Done(0)), "{mode}");
                moved_on.lookahead().iter().for_each(Job::cancel);
                for job in moved_on.lookahead() {
                    match outcome(job) {
                        Outcome::Done(0) => {}
                        Outcome::CANCELLED => cancelled += 1,
                        other => panic!("{mode}: {other:?}"),
                    }
                }
                drop(moved_on);
            }
            // All of it has ended: nothing is on its way, whatever was dropped.
            let last = runtime
                .submit_window(&WindowDescriptor::new(0, BuiltinOpcode::Nop, vec![]))
                .expect("nothing");
            assert!(last.is_ready());
            let stats = runtime.stats();
            assert_eq!((stats.published, stats.ended), (50 * 48, 50 * 48), "{mode}: {cancelled} cancelled");
            let many = (0..400).map(|i| item(WindowClass::Required, i)).collect();
            assert!(runtime.submit_window(&WindowDescriptor::new(0, BuiltinOpcode::Nop, many)).is_err());
        }
    }
    assert_silent();
}
