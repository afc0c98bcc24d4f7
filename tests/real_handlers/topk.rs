//! TOPK: the a5 largest of the floats in a2 bytes from byte a1 of resource a0 on, into resource a3 from byte a4 on.
//! Twin of `glsl/handlers/topk.comp`, held against a sort.

use std::sync::atomic::Ordering;

use ringfence::protocol::SlotArgs;
use ringfence::runtime::{Outcome, Resource, Runtime};

use crate::support::{MODES, Random, assert_silent};
use crate::{arguments, bad_operand, hold, runtime};

const TOPK: u32 = 17;
const TOPK_MOST: u32 = 32;

/// Unsigned integers in the order of floats; 0, which is below all, for none.
fn key_of(bits: u32) -> u32 {
    if bits & 0x7FFF_FFFF > 0x7F80_0000 { 0 } else { bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000) }
}

fn bits_of(key: u32) -> u32 {
    if key & 0x8000_0000 != 0 { key & 0x7FFF_FFFF } else { !key }
}

/// Result: how many there are, with their list. Faults: no such resource (a0), or none that slots write (a3); an offset
/// that is no multiple of 4, or behind the end (a1, a4); a length that is no multiple of 4, or runs past the end (a2);
/// more than `TOPK_MOST`, or than the list has room for (a5). None of nothing is fine anywhere.
fn execute(source: Option<&[u32]>, list: Option<u32>, args: &SlotArgs) -> (Outcome, Vec<u32>) {
    let [_, offset, bytes, _, list_offset, k, ..] = *args;
    let fault = |argument| (bad_operand(argument), Vec::new());
    let Some(source) = source else { return fault(0) };
    let all = 4 * source.len() as u32;
    if !offset.is_multiple_of(4) || offset > all {
        return fault(1);
    }
    if !bytes.is_multiple_of(4) || bytes > all - offset {
        return fault(2);
    }
    let Some(list) = list else { return fault(3) };
    if !list_offset.is_multiple_of(4) || list_offset > list {
        return fault(4);
    }
    if k > TOPK_MOST || 8 * k > list - list_offset {
        return fault(5);
    }
    if k == 0 {
        return (Outcome::Done(0), Vec::new());
    }
    let range = &source[(offset / 4) as usize..][..(bytes / 4) as usize];
    let mut part: Vec<(u32, u32)> = Vec::new();
    let mut above = 0;
    for (place, bits) in (0..).zip(range) {
        let key = key_of(*bits);
        if key > above {
            // The list with one more; of those with its key it is the last.
            let at = part.partition_point(|entry| entry.0 >= key);
            part.insert(at, (key, place));
            part.truncate(k as usize);
            above = if part.len() == k as usize { part[k as usize - 1].0 } else { 0 };
        }
    }
    let list = part.iter().flat_map(|(key, place)| [*place, bits_of(*key)]).collect();
    (Outcome::Done(part.len() as u64), list)
}

/// The same by a sort of all of them.
fn sorted(range: &[u32], k: u32) -> Vec<u32> {
    let mut all: Vec<(u32, f32)> = (0..).zip(range.iter().map(|bits| f32::from_bits(*bits))).collect();
    all.retain(|(_, float)| !float.is_nan());
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k as usize);
    all.into_iter().flat_map(|(place, float)| [place, float.to_bits()]).collect()
}

/// Floats of one kind, and what must be kept apart.
fn floats(random: &mut Random, kind: u32, count: u32) -> Vec<u32> {
    const ODD: [f32; 10] =
        [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-45, -1e-45, f32::MAX, f32::MIN];
    let odd = |random: &mut Random| ODD[random.below(ODD.len() as u32) as usize].to_bits();
    let float = |n: u32| match kind {
        0 => random.next(),
        // All kinds of ties.
        1 => (random.below(5) as f32 - 2.0).to_bits(),
        2 => odd(random),
        // Each larger than those before it: all go into the list.
        3 => (n as f32 - 1000.0).to_bits(),
        4 => (-(n as f32)).to_bits(),
        5 => f32::NAN.to_bits(),
        _ => (random.below(1 << 20) as f32 / 1024.0).to_bits(),
    };
    (0..count).map(float).collect()
}

const KINDS: u32 = 7;
const LENGTHS: [u32; 16] = [0, 1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 100, 127, 129, 1000];
const KS: [u32; 9] = [0, 1, 2, 7, 8, 9, 16, 31, 32];

#[test]
fn the_twin_is_a_sort() {
    let mut random = Random(17);
    for kind in 0..KINDS {
        for count in LENGTHS {
            let range = floats(&mut random, kind, count);
            for k in KS {
                let args = arguments(&[0, 0, 4 * count, 0, 0, k]);
                let wanted = sorted(&range, k);
                let ended = Outcome::Done(wanted.len() as u64 / 2);
                assert_eq!(
                    execute(Some(&range), Some(256), &args),
                    (ended, wanted),
                    "{kind}: {k} of {count}"
                );
            }
        }
    }
}

/// Words of each list: what no list has lies behind it.
const LIST_WORDS: u32 = 2 * TOPK_MOST + 1;
const UNTOUCHED: u32 = 0xA5A5_A5A5;

/// Ranges of a memory, and how many of each are wanted: each slot has its part of one list, which is compared whole.
fn hold_lists(runtime: &Runtime, source: &[u32], ranges: &[[u32; 3]]) {
    let memory = runtime.table(source).expect("a table");
    let list = runtime.output(LIST_WORDS * ranges.len() as u32).expect("a list");
    let words = list.words().expect("it is mapped");
    words.iter().for_each(|word| word.store(UNTOUCHED, Ordering::Relaxed));
    let mut cases = Vec::new();
    let mut wanted = vec![UNTOUCHED; words.len()];
    for (n, [first, count, k]) in (0..).zip(ranges) {
        let at = LIST_WORDS * n;
        let args = arguments(&[memory.handle(), 4 * first, 4 * count, list.handle(), 4 * at, *k]);
        let (ended, entries) = execute(Some(source), Some(4 * words.len() as u32), &args);
        wanted[at as usize..][..entries.len()].copy_from_slice(&entries);
        cases.push((args, ended));
    }
    hold(runtime, TOPK, &cases);
    let got: Vec<u32> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    let wrong = (0..ranges.len()).find(|n| {
        let part = n * LIST_WORDS as usize..(n + 1) * LIST_WORDS as usize;
        got[part.clone()] != wanted[part]
    });
    assert_eq!(wrong.map(|n| ranges[n]), None, "{}: a list is not its twin's", runtime.mode());
}

#[test]
fn lists_are_as_the_twin_has_them() {
    for mode in MODES {
        let runtime = runtime(mode, &["topk", "gcd"]);
        let mut random = Random(71);
        for kind in 0..KINDS {
            let source = floats(&mut random, kind, 1200);
            let mut ranges = Vec::new();
            for count in LENGTHS {
                ranges.extend(KS.map(|k| [random.below(1201 - count), count, k]));
                ranges.push([1200 - count, count, 3]);
            }
            hold_lists(&runtime, &source, &ranges);
        }
    }
    assert_silent();
}

/// More turns than a worker of lavapipe 22.3 has, many at once: each gives way again and again, also between two floats
/// of the same turn.
#[test]
fn long_ranges_give_way() {
    const COUNT: u32 = 60_000;
    for mode in MODES {
        let runtime = runtime(mode, &["topk"]);
        let mut random = Random(7);
        for kind in [0, 1, 6] {
            let source = floats(&mut random, kind, COUNT);
            let range = |_| {
                let first = random.below(100);
                [first, COUNT - first - random.below(100), 1 + random.below(TOPK_MOST)]
            };
            let ranges: Vec<_> = (0..80).map(range).collect();
            hold_lists(&runtime, &source, &ranges);
        }
        // A turn for each float.
        let source = floats(&mut random, 3, COUNT / 20);
        let ranges: Vec<_> = (0..80).map(|n| [n, COUNT / 20 - n, 1 + n % TOPK_MOST]).collect();
        hold_lists(&runtime, &source, &ranges);
    }
    assert_silent();
}

#[test]
fn bad_operands_are_told() {
    const WORDS: u32 = 100;
    const END: u32 = 4 * WORDS;
    for mode in MODES {
        let runtime = runtime(mode, &["topk"]);
        let source = vec![0x3F80_0000; WORDS as usize];
        let memory = runtime.table(&source).expect("a table");
        let list = runtime.output(WORDS).expect("a list");
        let [m, l] = [&memory, &list].map(Resource::handle);
        let none = m.max(l) + 1;
        let well = [
            [m, 0, END, l, 0, TOPK_MOST],
            [m, END, 0, l, 0, 1],
            [m, END - 4, 4, l, END - 8, 1],
            [m, 0, END, l, END, 0],
            [l, 0, END, l, 0, 0],
        ];
        let bad = [
            [none, 0, 4, l, 0, 1],
            [m, 2, 4, l, 0, 1],
            [m, END + 4, 0, l, 0, 1],
            [m, 0, 6, l, 0, 1],
            [m, 0, END + 4, l, 0, 1],
            [m, END, 4, l, 0, 1],
            [m, 4, 0xFFFF_FFFC, l, 0, 1],
            [m, 0, 4, none, 0, 1],
            [m, 0, 4, m, 0, 1],
            [m, 0, 4, l, 2, 1],
            [m, 0, 4, l, END + 4, 0],
            [m, 0, 4, l, 0, TOPK_MOST + 1],
            [m, 0, 4, l, 0, u32::MAX],
            [m, 0, 4, l, END, 1],
            [m, 0, 4, l, END - 12, 2],
        ];
        let told: [u16; 15] = [0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5];
        let mut cases = Vec::new();
        for given in well {
            let args = arguments(&given);
            let ended = execute(Some(&source), Some(END), &args).0;
            assert!(matches!(ended, Outcome::Done(_)), "{given:x?}");
            cases.push((args, ended));
        }
        for (given, argument) in bad.into_iter().zip(told) {
            let args = arguments(&given);
            let source = (given[0] != none).then_some(&source[..]);
            let list = (given[3] == l).then_some(END);
            let ended = execute(source, list, &args).0;
            assert_eq!(ended, bad_operand(argument), "{given:x?}");
            cases.push((args, ended));
        }
        hold(&runtime, TOPK, &cases);
    }
    assert_silent();
}
