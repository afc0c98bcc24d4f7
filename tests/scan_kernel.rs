//! OP_SCAN on the device against its twin, in both modes: random automata over random texts, parallel
//! walks and the serial ones that take up their carries, and every operand that can be wrong.

mod support;

use ringfence::descriptor::SlotDescriptor;
use ringfence::protocol::abi::{opcode::OP_SCAN, scan::*};
use ringfence::protocol::{FaultCode, PRIORITY_NORMAL, SlotWords, slot};
use ringfence::runtime::{Mode, Resource, Runtime};
use ringfence::twin::scan::{self, Carry, Outcome, Walk};
use support::{MODES, PATIENCE, Random, assert_silent, builder};

/// A random automaton that keeps the table's rules, with `n` rows besides SKIP, START and MATCHED.
fn table(random: &mut Random, n: u32, reports: u32) -> Vec<u32> {
    let rows = n + 3;
    let mut words = vec![SCAN_SKIP; (rows * SCAN_ROW_WORDS) as usize];
    for row in 0..rows {
        for byte in 0..SCAN_ROW_WORDS {
            let matches = row == 2 || row > 0 && random.below(reports) == 0;
            words[(row * SCAN_ROW_WORDS + byte) as usize] = match byte {
                _ if matches => SCAN_MATCHED,
                10 => SCAN_START,
                _ if row == 0 || n == 0 => SCAN_SKIP,
                _ => (3 + random.below(n)) * SCAN_ROW_WORDS,
            };
        }
    }
    words
}

/// An automaton that finds every line, on its first byte.
fn every_line() -> Vec<u32> {
    let mut words = vec![SCAN_MATCHED; 3 * SCAN_ROW_WORDS as usize];
    words[..SCAN_ROW_WORDS as usize].fill(SCAN_SKIP);
    words[10] = SCAN_START;
    words
}

fn text(random: &mut Random) -> Vec<u8> {
    let len = random.below(9000) as usize;
    let newline = [2, 10, 80, 1000, 100_000][random.below(5) as usize];
    (0..len).map(|_| if random.below(newline) == 0 { b'\n' } else { random.next() as u8 }).collect()
}

fn packed(text: &[u8]) -> Vec<u32> {
    let mut words: Vec<u32> = text
        .chunks(4)
        .map(|c| c.iter().enumerate().fold(0, |w, (i, b)| w | u32::from(*b) << (8 * i)))
        .collect();
    words.push(0);
    words
}

fn slot_words(args: [u32; 12]) -> SlotWords {
    let mut words = [0; 16];
    words[..4].copy_from_slice(&[slot::PUBLISHED, OP_SCAN, 0, PRIORITY_NORMAL]);
    words[4..].copy_from_slice(&args);
    words
}

const CAPACITY: u32 = 10_000;

fn device(runtime: &Runtime, found: &Resource, args: [u32; 12]) -> Result<Outcome, (FaultCode, u16)> {
    let job = runtime.submit(&slot_words(args)).expect("accepted");
    let ended = job.wait_timeout(PATIENCE).expect("the device is well").expect("it ends in time");
    if let Some(fault) = ended.fault() {
        return Err(fault);
    }
    let result = ended.result().expect("not a fault");
    let words = found.words().expect("mapped");
    let word = |i: u64| words[i as usize].load(std::sync::atomic::Ordering::Acquire);
    let (matches, carries) = (result & 0xFFFF_FFFF, result >> 32);
    let base = u64::from(args[6]);
    let stored = matches.min(u64::from(args[7]));
    Ok(Outcome {
        matches: (0..stored).map(|i| word(base + u64::from(SCAN_CARRY_WORDS) + i)).collect(),
        carries: (0..carries)
            .map(|i| Carry { position: word(base + 2 * i), state: word(base + 2 * i + 1) })
            .collect(),
    })
}

fn sorted(mut outcome: Outcome) -> Outcome {
    outcome.matches.sort_unstable();
    outcome.carries.sort_unstable();
    outcome
}

fn runtime(mode: Mode) -> Runtime {
    builder(mode).opcodes(&[OP_SCAN]).build().expect("a runtime with the scan family")
}

#[test]
fn random_walks_equal_the_twins() {
    for mode in MODES {
        let runtime = runtime(mode);
        let lanes = runtime.gpu().info().subgroup_size;
        let found = runtime.output(64 + SCAN_CARRY_WORDS + CAPACITY).expect("an output");
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for round in 0..150 {
            let (states, reports) = (random.below(6), [3, 40, 3000][random.below(3) as usize]);
            let table = table(&mut random, states, reports);
            let text = text(&mut random);
            let text_at = 4 * random.below(8);
            let mut padded = vec![b'x'; text_at as usize];
            padded.extend_from_slice(&text);
            let text_handle = runtime.table(&packed(&padded)).expect("a text");
            let table_handle = runtime.scan_table(&table).expect("a table");
            let state = random.below(states + 3) * SCAN_ROW_WORDS;
            let len = text.len() as u32;
            let args = |state, walk, first, last| {
                [
                    text_handle.handle(),
                    text_at,
                    len,
                    table_handle.handle(),
                    state,
                    found.handle(),
                    64,
                    CAPACITY,
                    walk,
                    first,
                    last,
                    0,
                ]
            };
            let wanted = scan::execute(&text, &table, state, Walk::Parallel, lanes).expect("good arguments");
            let got = device(&runtime, &found, args(state, SCAN_PARALLEL, 0, 0)).expect("no fault");
            assert_eq!(sorted(got), sorted(wanted.clone()), "{mode}, round {round}");
            // One at the end of the chunk is the start state of the next.
            for carry in wanted.carries.into_iter().filter(|carry| carry.position < len) {
                let end = scan::line_end(&text, carry.position);
                let walk = Walk::Serial { first: carry.position, end };
                let wanted = scan::execute(&text, &table, carry.state, walk, lanes).expect("good arguments");
                let got = device(&runtime, &found, args(carry.state, SCAN_SERIAL, carry.position, end))
                    .expect("no fault");
                assert_eq!(sorted(got), sorted(wanted), "{mode}, round {round}, {walk:?}");
            }
        }
    }
    assert_silent();
}

/// A producer may let a serial slot run on behind its line: every line counts once then too.
#[test]
fn a_serial_slot_may_run_past_its_line() {
    for mode in MODES {
        let runtime = runtime(mode);
        let lanes = runtime.gpu().info().subgroup_size;
        let table = every_line();
        let text = b"a\n".repeat(40_000);
        let text_handle = runtime.table(&packed(&text)).expect("a text");
        let table_handle = runtime.scan_table(&table).expect("a table");
        let found = runtime.output(64 + SCAN_CARRY_WORDS + 4 * CAPACITY).expect("an output");
        for (first, end) in [(0, 200), (16, 65), (16, 80_000), (48, 49)] {
            let args = [
                text_handle.handle(),
                0,
                80_000,
                table_handle.handle(),
                SCAN_START,
                found.handle(),
                64,
                4 * CAPACITY,
                SCAN_SERIAL,
                first,
                end,
                0,
            ];
            let wanted =
                scan::execute(&text, &table, SCAN_START, Walk::Serial { first, end }, lanes).expect("good");
            let got = device(&runtime, &found, args).expect("no fault");
            assert_eq!(sorted(got), sorted(wanted), "{mode}: {first}..{end}");
        }
    }
    assert_silent();
}

#[test]
fn a_table_that_leads_out_of_itself_is_refused() {
    let runtime = runtime(Mode::Epoch);
    let matched = SCAN_MATCHED as usize + 7;
    let cases =
        [(300, 1), (300, 3 * SCAN_ROW_WORDS), (300, 0x1000_0000), (300, u32::MAX), (matched, SCAN_SKIP)];
    for (at, entry) in cases {
        let mut table = every_line();
        table[at] = entry;
        let error = runtime.scan_table(&table).err().expect("refused");
        assert!(error.to_string().contains(&format!("entry {at}")), "{error}");
    }
}

/// Slots that name memory whose owner has just gone: each is done or faults.
#[test]
fn a_revoked_resource_is_a_fault_at_most() {
    for mode in MODES {
        let runtime = runtime(mode);
        for _ in 0..200 {
            let table = runtime.table(&[7; 1024]).expect("a table");
            let step = SlotDescriptor::dfa_step(1, 2, table.handle(), 0);
            let jobs: Vec<_> = (0..40).map(|_| runtime.submit(&step).expect("accepted")).collect();
            drop(table);
            for job in jobs {
                let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
                let fault = Some((FaultCode::BadOperand, 2));
                assert!(ended.result() == Some(7) || ended.fault() == fault, "{mode}: {ended:?}");
            }
        }
    }
    assert_silent();
}

#[test]
fn a_full_match_buffer_still_counts() {
    for mode in MODES {
        let runtime = runtime(mode);
        let table = every_line();
        let text = b"ab\n".repeat(1000);
        let text_handle = runtime.table(&packed(&text)).expect("a text");
        let table_handle = runtime.scan_table(&table).expect("a table");
        let found = runtime.output(SCAN_CARRY_WORDS + 8).expect("an output");
        found.words().expect("mapped").iter().for_each(|w| w.store(7, std::sync::atomic::Ordering::Release));
        let args = [
            text_handle.handle(),
            0,
            3000,
            table_handle.handle(),
            SCAN_START,
            found.handle(),
            0,
            4,
            0,
            0,
            0,
            0,
        ];
        let job = runtime.submit(&slot_words(args)).expect("accepted");
        let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
        assert_eq!(ended.result(), Some(1000), "{mode}");
        let behind = &found.words().expect("mapped")[(SCAN_CARRY_WORDS + 4) as usize..];
        assert!(behind.iter().all(|w| w.load(std::sync::atomic::Ordering::Acquire) == 7), "{mode}: overrun");
    }
    assert_silent();
}

#[test]
fn bad_operands_are_named() {
    for mode in MODES {
        let runtime = runtime(mode);
        let lanes = runtime.gpu().info().subgroup_size;
        let text = runtime.table(&[0; 100]).expect("a text");
        let table = runtime.scan_table(&every_line()).expect("a table");
        let found = runtime.output(SCAN_CARRY_WORDS + 10).expect("an output");
        let good = [text.handle(), 0, 400, table.handle(), SCAN_START, found.handle(), 0, 10, 0, 0, 0, 0];
        let with = |at: usize, value: u32| {
            let mut args = good;
            args[at] = value;
            args
        };
        let serial = |first, last| {
            let mut args = good;
            args[8..11].copy_from_slice(&[SCAN_SERIAL, first, last]);
            args
        };
        let too_long = SCAN_PIECE_MAX * SCAN_STREAMS_PER_LANE * lanes + 1;
        let cases = [
            (with(0, 99), 0),
            (with(0, u32::MAX), 0),
            (with(1, 2), 1),
            (with(1, 404), 1),
            (with(1, 4), 2),
            (with(2, 401), 2),
            (with(2, too_long), 2),
            (with(2, u32::MAX), 2),
            (with(3, 99), 3),
            (with(3, text.handle()), 3),
            (with(4, 1), 4),
            (with(4, 3 * SCAN_ROW_WORDS), 4),
            (with(5, 99), 5),
            (with(5, text.handle()), 5),
            (with(6, 11), 6),
            (with(6, u32::MAX), 6),
            (with(7, 11), 7),
            (with(8, 2), 8),
            (serial(0, 401), 10),
            (serial(16, 8), 9),
            (serial(9, 100), 9),
        ];
        assert!(device(&runtime, &found, good).is_ok());
        for (args, detail) in cases {
            assert_eq!(
                device(&runtime, &found, args),
                Err((FaultCode::BadOperand, detail)),
                "{mode}: {args:?}"
            );
        }
    }
    assert_silent();
}

/// The most that a slot can cost in loop turns: every byte a match in every stream, and lines that all go
/// on behind their pieces as far as a stream reads. lavapipe 22.3 would end them early without a word.
#[test]
fn the_dearest_slots_are_whole() {
    for mode in MODES {
        let runtime = runtime(mode);
        let lanes = runtime.gpu().info().subgroup_size;
        let streams = (SCAN_STREAMS_PER_LANE * lanes) as usize;
        let len = SCAN_PIECE_MAX as usize * streams;
        // Row 3 keeps to itself: a line stays undecided until it ends, and matches then.
        let mut undecided = vec![3 * SCAN_ROW_WORDS; 4 * SCAN_ROW_WORDS as usize];
        undecided[..3 * SCAN_ROW_WORDS as usize].copy_from_slice(&every_line());
        undecided[SCAN_START as usize..][..256].fill(3 * SCAN_ROW_WORDS);
        undecided[3 * SCAN_ROW_WORDS as usize + 10] = SCAN_MATCHED;
        let mut every_second = b"x".repeat(len);
        every_second.chunks_mut(2 * SCAN_PIECE_MAX as usize).for_each(|piece| piece[0] = b'\n');
        let found = runtime.output(SCAN_CARRY_WORDS + 64 + len as u32).expect("an output");
        for (what, text, table) in [
            ("line feeds", b"\n".repeat(len), every_line()),
            ("matches every other byte", b"a\n".repeat(len / 2), every_line()),
            ("long lines", every_second, undecided),
        ] {
            let text_handle = runtime.table(&packed(&text)).expect("a text");
            let table_handle = runtime.scan_table(&table).expect("a table");
            let args = [
                text_handle.handle(),
                0,
                len as u32,
                table_handle.handle(),
                SCAN_START,
                found.handle(),
                64,
                len as u32,
                SCAN_PARALLEL,
                0,
                0,
                0,
            ];
            let wanted = scan::execute(&text, &table, SCAN_START, Walk::Parallel, lanes).expect("good");
            let jobs = device(&runtime, &found, args).expect("no fault");
            assert_eq!(sorted(jobs), sorted(wanted), "{mode}: {what}");
        }
    }
    assert_silent();
}
