//! What the three handlers do, and the same by crates on one thread.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use itertools::Itertools as _;
use ringfence::protocol::SlotWords;
use ringfence::runtime::{Resource, Runtime};
use xxhash_rust::xxh64::xxh64;

use super::flow::{Flow, slot_words};
use super::{LOOKUP, TOPK, XXH64, table};
use crate::bench::random::Random;
use crate::common::Trouble;

/// Ranges that are hashed, or looked through.
const RANGES: u32 = 256;
/// Bytes of each.
pub const RANGE_BYTES: u32 = 64 << 10;
/// Of how many floats a range tells the largest.
pub const K: u32 = 16;
/// Entries of the table, and slots with a key of it each.
pub const ENTRIES: usize = 100_000;
const KEYS: usize = 1 << 17;

const SEED: u64 = 0x5EED;

/// Work on the device.
pub trait Work {
    /// Works for `time`: how many units, each of them verified, and how long it took until all were done.
    fn on_device(&mut self, time: Duration) -> Result<(u64, Duration), Trouble>;
}

/// Work that this thread does as well.
pub trait HostWork: Work {
    /// The same by a crate, which is where the device's answers are held against.
    fn on_host(&mut self, time: Duration) -> (u64, Duration);
}

/// Passes over all the work until `time` has passed: units done.
fn passes(time: Duration, units: u64, mut pass: impl FnMut()) -> (u64, Duration) {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < time {
        pass();
        done += units;
    }
    (done, began.elapsed())
}

fn ranges() -> impl Iterator<Item = usize> {
    (0..RANGES as usize).map(|n| n * RANGE_BYTES as usize / 4)
}

/// Bytes.
const ALL_BYTES: u64 = RANGES as u64 * RANGE_BYTES as u64;

pub struct Hashing<W> {
    words: Vec<u32>,
    flow: Flow<W>,
    _memory: Resource,
}

pub fn hashing(runtime: &Runtime, depth: u32) -> Result<impl HostWork, Trouble> {
    let mut random = Random::new();
    let words: Vec<u32> = (0..ALL_BYTES / 4).map(|_| random.next() as u32).collect();
    let memory = runtime.table(&words)?;
    let handle = memory.handle();
    let wanted = ranges().map(|first| hash(&words, first)).collect();
    let slot = move |n: usize, _| {
        slot_words(XXH64, [handle, n as u32 * RANGE_BYTES, RANGE_BYTES, SEED as u32, (SEED >> 32) as u32])
    };
    Ok(Hashing { words, flow: Flow::new(runtime, depth, wanted, slot)?, _memory: memory })
}

fn hash(words: &[u32], first: usize) -> u64 {
    xxh64(bytemuck::cast_slice(&words[first..][..RANGE_BYTES as usize / 4]), SEED)
}

impl<W: Fn(usize, u32) -> SlotWords> Work for Hashing<W> {
    fn on_device(&mut self, time: Duration) -> Result<(u64, Duration), Trouble> {
        let (slots, time) = self.flow.run(time)?;
        Ok((slots * u64::from(RANGE_BYTES), time))
    }
}

impl<W: Fn(usize, u32) -> SlotWords> HostWork for Hashing<W> {
    fn on_host(&mut self, time: Duration) -> (u64, Duration) {
        passes(time, ALL_BYTES, || {
            for first in ranges() {
                black_box(hash(black_box(&self.words), first));
            }
        })
    }
}

pub struct Picking<W> {
    words: Vec<u32>,
    /// What the lists must be.
    lists: Vec<u32>,
    flow: Flow<W>,
    _memory: Resource,
    list: Resource,
}

pub fn picking(runtime: &Runtime, depth: u32) -> Result<impl HostWork, Trouble> {
    let mut random = Random::new();
    // Between -1 and 1.
    let float = |_| ((random.next() >> 32) as i32 as f32 / (1u32 << 31) as f32).to_bits();
    let words: Vec<u32> = (0..ALL_BYTES / 4).map(float).collect();
    let lists: Vec<u32> = ranges()
        .flat_map(|first| largest(&words, first))
        .flat_map(|found| {
            let place = !(found as u32);
            [place, bits_of((found >> 32) as u32)]
        })
        .collect();
    let memory = runtime.table(&words)?;
    let list = runtime.output(lists.len() as u32)?;
    let (from, to) = (memory.handle(), list.handle());
    let slot = move |n: usize, _| {
        let n = n as u32;
        slot_words(TOPK, [from, n * RANGE_BYTES, RANGE_BYTES, to, n * 8 * K, K])
    };
    let flow = Flow::new(runtime, depth, vec![K.into(); RANGES as usize], slot)?;
    Ok(Picking { words, lists, flow, _memory: memory, list })
}

/// Integers in the order of floats, none of which is no number here.
fn key_of(bits: u32) -> u32 {
    bits ^ (((bits as i32) >> 31) as u32 | 0x8000_0000)
}

fn bits_of(key: u32) -> u32 {
    if key & 0x8000_0000 != 0 { key & 0x7FFF_FFFF } else { !key }
}

/// The largest of a range: keys, and below them what makes the first of equal ones the largest.
fn largest(words: &[u32], first: usize) -> impl Iterator<Item = u64> {
    let range = &words[first..][..RANGE_BYTES as usize / 4];
    let keyed = (0u32..).zip(range).map(|(place, bits)| u64::from(key_of(*bits)) << 32 | u64::from(!place));
    keyed.k_largest_relaxed(K as usize)
}

impl<W: Fn(usize, u32) -> SlotWords> Work for Picking<W> {
    fn on_device(&mut self, time: Duration) -> Result<(u64, Duration), Trouble> {
        let words = self.list.words().unwrap_or(&[]);
        words.iter().for_each(|word| word.store(u32::MAX, Ordering::Relaxed));
        let (slots, time) = self.flow.run(time)?;
        let same = |(word, wanted): (&AtomicU32, &u32)| word.load(Ordering::Relaxed) == *wanted;
        if words.len() != self.lists.len() || !words.iter().zip(&self.lists).all(same) {
            return Err(Trouble::Wrong("a list of the largest is not what it must be".into()));
        }
        Ok((slots * u64::from(RANGE_BYTES), time))
    }
}

impl<W: Fn(usize, u32) -> SlotWords> HostWork for Picking<W> {
    fn on_host(&mut self, time: Duration) -> (u64, Duration) {
        passes(time, ALL_BYTES, || {
            for first in ranges() {
                black_box(largest(black_box(&self.words), first).last());
            }
        })
    }
}

pub struct Finding<W> {
    map: HashMap<u64, u64>,
    keys: Vec<u64>,
    flow: Flow<W>,
    _memory: Resource,
}

pub fn finding(runtime: &Runtime, depth: u32) -> Result<impl HostWork, Trouble> {
    let mut random = Random::new();
    let map: HashMap<u64, u64> = (0..ENTRIES).map(|_| (random.next(), random.next())).collect();
    let entries: Vec<(u64, u64)> = map.iter().map(|(key, value)| (*key, *value)).collect();
    let words = table::build(&entries).map_err(|why| Trouble::Wrong(format!("the table: {why:?}")))?;
    let memory = runtime.table(&words)?;
    let keys: Vec<u64> = (0..KEYS).map(|_| entries[random.below(entries.len())].0).collect();
    let wanted = keys.iter().map(|key| map[key]).collect();
    let (handle, asked) = (memory.handle(), keys.clone());
    let slot = move |n: usize, _| {
        let key = asked[n];
        slot_words(LOOKUP, [handle, key as u32, (key >> 32) as u32])
    };
    Ok(Finding { map, keys, flow: Flow::new(runtime, depth, wanted, slot)?, _memory: memory })
}

impl<W: Fn(usize, u32) -> SlotWords> Work for Finding<W> {
    fn on_device(&mut self, time: Duration) -> Result<(u64, Duration), Trouble> {
        self.flow.run(time)
    }
}

impl<W: Fn(usize, u32) -> SlotWords> HostWork for Finding<W> {
    fn on_host(&mut self, time: Duration) -> (u64, Duration) {
        passes(time, KEYS as u64, || {
            for key in &self.keys {
                black_box(self.map.get(black_box(key)).copied());
            }
        })
    }
}
