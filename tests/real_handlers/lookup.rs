//! LOOKUP: the value of the key a1 | a2 << 32 in the table a0. Twin of `glsl/handlers/lookup.comp`, held against the
//! standard library's map.

use std::collections::HashMap;

use ringfence::descriptor::{PackedOpDescriptor, SlotDescriptor, SlotOpcode};
use ringfence::protocol::SlotArgs;
use ringfence::protocol::abi::fault::FAULT_USER_BASE;
use ringfence::runtime::Outcome;

use crate::support::{MODES, PATIENCE, Random, assert_silent};
use crate::table::{HEADER_WORDS, LOOKUP_PROBES, PLACE_WORDS, Refused, build, build_within, hash_of, joined};
use crate::{arguments, bad_operand, hold, runtime};

const LOOKUP: u32 = 18;
const NO_KEY: Outcome = Outcome::Fault { code: FAULT_USER_BASE as u8, detail: 0 };

/// The place that a key's hash names.
fn home(words: &[u32], key: u64) -> u32 {
    hash_of(key, words[1]) & words[0]
}

/// What is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NoTable;

/// The value of a key, if the table has it.
fn find(words: &[u32], key: u64) -> Result<Option<u64>, NoTable> {
    if words.len() < HEADER_WORDS + PLACE_WORDS {
        return Err(NoTable);
    }
    let last = words[0];
    let free = joined(&words[2..]);
    if last as usize > (words.len() - HEADER_WORDS) / PLACE_WORDS - 1 || last & last.wrapping_add(1) != 0 {
        return Err(NoTable);
    }
    let mut place = home(words, key);
    let mut probes = 0;
    let mut looks = key != free;
    let mut value = None;
    while looks {
        let entry = &words[HEADER_WORDS + PLACE_WORDS * place as usize..][..PLACE_WORDS];
        let found = joined(entry) == key;
        if found {
            value = Some(joined(&entry[2..]));
        }
        place = place.wrapping_add(1) & last;
        probes += 1;
        looks = !found && joined(entry) != free && probes < LOOKUP_PROBES;
    }
    Ok(value)
}

/// Result: the value. Faults: no such resource, or it is no table (a0); a user's, where the table has no such key.
fn execute(memory: &[u32], args: &SlotArgs) -> Outcome {
    let [_, low, high, ..] = *args;
    match find(memory, u64::from(high) << 32 | u64::from(low)) {
        Err(NoTable) => bad_operand(0),
        Ok(None) => NO_KEY,
        Ok(Some(value)) => Outcome::Done(value),
    }
}

fn long(random: &mut Random) -> u64 {
    u64::from(random.next()) << 32 | u64::from(random.next())
}

fn asks(handle: u32, key: u64) -> [u32; 3] {
    [handle, key as u32, (key >> 32) as u32]
}

/// Different keys with values: few or many, spread or in a row.
fn entries(random: &mut Random, count: usize) -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    let base = long(random);
    while map.len() < count {
        let key = match random.below(4) {
            0 => base.wrapping_add(map.len() as u64),
            1 => map.len() as u64,
            2 => (map.len() as u64) << 32,
            _ => long(random),
        };
        map.insert(key, long(random));
    }
    if count > 3 {
        map.insert(u64::MAX, 7);
    }
    map
}

fn listed(map: &HashMap<u64, u64>) -> Vec<(u64, u64)> {
    map.iter().map(|(key, value)| (*key, *value)).collect()
}

/// Keys of the map, and others.
fn keys(random: &mut Random, map: &HashMap<u64, u64>) -> Vec<u64> {
    let there = map.keys().copied().take(300);
    let others = (0..50).map(|n| if n % 2 == 0 { n } else { long(random) });
    there.chain(others).chain([u64::MAX, 1 << 32]).collect()
}

const SIZES: [usize; 7] = [0, 1, 2, 3, 100, 5000, 40_000];

#[test]
fn the_twin_finds_what_a_map_has() {
    let mut random = Random(18);
    for size in SIZES {
        let map = entries(&mut random, size);
        let table = build(&listed(&map)).expect("a table");
        for key in keys(&mut random, &map) {
            assert_eq!(find(&table, key), Ok(map.get(&key).copied()), "{size}: {key:x}");
        }
    }
}

#[test]
fn what_cannot_be_found_is_refused() {
    assert_eq!(build(&[(3, 1), (4, 1), (3, 2)]), Err(Refused::Twice(3)));
    let mut random = Random(4);
    let entries: Vec<_> = (0..1000).map(|n| (long(&mut random), n)).collect();
    // The fewer places a key may lie in, the larger the table.
    let sizes =
        [1, 3, 8, LOOKUP_PROBES].map(|probes| build_within(probes, &entries).map(|words| words.len()));
    let [Err(Refused::Crowded), Ok(few), Ok(some), Ok(most)] = sizes else { panic!("{sizes:?}") };
    assert!(few > some && some >= most && most == 4 + 4 * 2048, "{sizes:?}");
}

#[test]
fn lookups_are_as_the_twin_has_them() {
    for mode in MODES {
        let runtime = runtime(mode, &["lookup", "gcd"]);
        let mut random = Random(18);
        for size in SIZES {
            let map = entries(&mut random, size);
            let words = build(&listed(&map)).expect("a table");
            let table = runtime.table(&words).expect("a table");
            let case = |key| {
                let args = arguments(&asks(table.handle(), key));
                (args, execute(&words, &args))
            };
            let cases: Vec<_> = keys(&mut random, &map).into_iter().map(case).collect();
            hold(&runtime, LOOKUP, &cases);
        }
    }
    assert_silent();
}

#[test]
fn bad_tables_and_long_ways_end() {
    const KEY: u64 = 0x1234_5678_9ABC_DEF0;
    // All places are taken, and one has the key, that many behind its hash's.
    let full = |behind: u32| {
        let mut words = vec![63, 3, 0, 0];
        words.extend([1, 1, 0, 0].repeat(64));
        let place = (home(&words, KEY) + behind) % 64;
        words[4 + 4 * place as usize..][..3].copy_from_slice(&[KEY as u32, (KEY >> 32) as u32, 9]);
        words
    };
    let header = |last: u32| [&[last, 0, 0, 0][..], &[7, 0, 8, 0].repeat(4)].concat();
    let tables = [
        (full(0), Outcome::Done(9)),
        (full(LOOKUP_PROBES - 1), Outcome::Done(9)),
        (full(LOOKUP_PROBES), NO_KEY),
        (header(3), NO_KEY),
        (header(4), bad_operand(0)),
        (header(7), bad_operand(0)),
        (header(2), bad_operand(0)),
        (header(u32::MAX), bad_operand(0)),
        (vec![0; 7], bad_operand(0)),
        // Key 0 is that of free places.
        (vec![0; 8], NO_KEY),
    ];
    for mode in MODES {
        let runtime = runtime(mode, &["lookup"]);
        for (n, (words, wanted)) in tables.iter().enumerate() {
            let table = runtime.table(words).expect("a table");
            let args = arguments(&asks(table.handle(), KEY));
            assert_eq!(execute(words, &args), *wanted, "table {n}");
            // Side by side with lookups that end at once.
            let other = arguments(&asks(table.handle(), 0));
            let none = arguments(&asks(table.handle() + 1, KEY));
            let mut cases = vec![(args, *wanted), (other, execute(words, &other)), (none, bad_operand(0))];
            cases.rotate_left(n % 3);
            hold(&runtime, LOOKUP, &cases);
        }
    }
    assert_silent();
}

#[test]
fn lookups_stand_in_packed_slots() {
    for mode in MODES {
        let runtime = runtime(mode, &["lookup"]);
        let entries: Vec<(u64, u64)> = (0..1000).map(|n| (n * n, n)).collect();
        let table = runtime.table(&build(&entries).expect("a table")).expect("a table");
        let packed = |n: u64| {
            let op = |i| {
                // The last of some slots is not there.
                let key = if i == 2 && n.is_multiple_of(3) { 2 } else { (n + i) * (n + i) };
                PackedOpDescriptor::new(SlotOpcode::Custom(LOOKUP), &asks(table.handle(), key))
            };
            SlotDescriptor::packed((0..3).map(op).collect())
        };
        let jobs: Vec<_> = (0..200).map(|n| runtime.submit(&packed(n)).expect("taken")).collect();
        for (n, job) in jobs.iter().enumerate() {
            let missing = Outcome::Fault { code: FAULT_USER_BASE as u8, detail: 2 };
            let wanted = if n % 3 == 0 { missing } else { Outcome::Done(3) };
            let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time").outcome;
            assert_eq!(ended, wanted, "{mode}: {n}");
        }
    }
    assert_silent();
}
