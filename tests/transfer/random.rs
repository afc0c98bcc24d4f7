//! Random transfers against a model in memory, byte for byte.

use std::collections::HashMap;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use ringfence::io::transfer::Direction::{Read, Write};
use ringfence::io::transfer::faulty::{Faults, Faulty};
use ringfence::io::transfer::{Done, FileId};

use crate::rig::{Random, Rig, Scratch};

/// Each transfer has a place of its own in the arena.
const PLACE: usize = 40 << 10;
const PLACES: usize = 48;
const LONGEST: usize = 32 << 10;

struct InFlight {
    file: Range<usize>,
    memory: Range<usize>,
    place: usize,
    write: bool,
}

/// Reads and writes of one file, none overlapping a write that is in flight.
struct Mixed<'a> {
    rig: &'a mut Rig,
    file: FileId,
    model: Vec<u8>,
    random: Random,
    free: Vec<usize>,
    flights: HashMap<u64, InFlight>,
}

impl Mixed<'_> {
    fn begin(&mut self, user: u64) {
        let Some(place) = self.free.pop() else { return self.end_some() };
        let start = self.random.place(self.model.len() + 5000);
        let len = self.random.place(LONGEST) + self.random.below(2) * self.random.below(600);
        let write = self.random.below(3) == 0 && start + len <= self.model.len();
        let clash = |flight: &InFlight| {
            (write || flight.write) && start < flight.file.end && flight.file.start < start + len
        };
        if self.flights.values().any(clash) {
            self.free.push(place);
            return self.end_some();
        }
        let at = place * PLACE + self.random.place(PLACE - LONGEST - 600);
        let bytes = self.random.bytes(PLACE);
        self.rig.fill(place * PLACE, &bytes);
        if write {
            let from = at - place * PLACE;
            self.model[start..start + len].copy_from_slice(&bytes[from..from + len]);
        }
        let direction = if write { Write } else { Read };
        self.rig.submit(user, direction, self.file, start as u64, at, len);
        let flight = InFlight { file: start..start + len, memory: at..at + len, place, write };
        self.flights.insert(user, flight);
    }

    fn end_some(&mut self) {
        let mut done = Vec::new();
        self.rig.engine.wait(Duration::from_secs(10), &mut done).unwrap();
        done.into_iter().for_each(|done| self.check(done));
    }

    fn check(&mut self, done: Done) {
        let flight = self.flights.remove(&done.user).expect("one answer each");
        assert!(done.error.is_none(), "{}: {done:?}", self.rig);
        let end = flight.file.end.min(self.model.len());
        let want = if flight.write { flight.file.len() } else { end.saturating_sub(flight.file.start) };
        assert_eq!(done.bytes, want, "{}: {:?}", self.rig, flight.file);
        if !flight.write {
            let got = self.rig.bytes(flight.memory.start, want);
            let file = flight.file.start.min(end)..end;
            assert!(got == self.model[file], "{}: {:?}", self.rig, flight.file);
        }
        self.free.push(flight.place);
    }
}

fn mixed(rig: &mut Rig, seed: u64, transfers: u64) {
    let mut random = Random(seed);
    let model = random.bytes(700_777);
    let scratch = Scratch::new(&model);
    let file = rig.register(&scratch.file);
    let (free, flights) = ((0..PLACES).collect(), HashMap::new());
    let mut mixed = Mixed { rig, file, model, random, free, flights };
    for user in 0..transfers {
        mixed.begin(user);
        if mixed.random.below(8) == 0 {
            let mut done = Vec::new();
            mixed.rig.engine.poll(&mut done).unwrap();
            done.into_iter().for_each(|done| mixed.check(done));
        }
    }
    while mixed.rig.engine.in_flight() > 0 {
        mixed.end_some();
    }
    assert!(mixed.flights.is_empty(), "{}: {} without an answer", mixed.rig, mixed.flights.len());
    assert!(std::fs::read(&scratch.path).unwrap() == mixed.model, "{}: the file", mixed.rig);
}

#[test]
fn reads_and_writes_are_byte_for_byte() {
    Rig::each(PLACE * PLACES, |rig| {
        for seed in [0x5eed, 0xbeef] {
            mixed(rig, seed, 1500);
        }
        eprintln!("{:?}", rig.engine.describe());
    });
}

#[test]
fn the_same_through_an_engine_that_is_slow_and_disorderly() {
    Rig::each(PLACE * PLACES, |rig| {
        let faults = Faults { seed: 9, delay: Duration::from_millis(2), ..Faults::default() };
        let inner = std::mem::replace(
            &mut rig.engine,
            ringfence::io::transfer::open_transfer(&Default::default(), &[]).unwrap(),
        );
        rig.engine = Box::new(Faulty::new(inner, faults));
        mixed(rig, 0xfade, 300);
    });
}

/// Writes far beyond the end, in any order, next to each other and never aligned alike.
#[test]
fn writes_make_a_file_grow() {
    Rig::each(4 << 20, |rig| {
        let mut random = Random(0x960);
        let content = random.bytes(1_000_003);
        rig.fill(13, &content);
        let scratch = Scratch::new(b"");
        let file = rig.register(&scratch.file);
        let mut cuts: Vec<usize> = (0..200).map(|_| random.place(content.len())).collect();
        cuts.extend([0, content.len()]);
        cuts.sort_unstable();
        let mut parts: Vec<Range<usize>> = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        for n in (1..parts.len()).rev() {
            parts.swap(n, random.below(n + 1));
        }
        for (user, part) in parts.iter().enumerate() {
            rig.submit(user as u64, Write, file, part.start as u64, 13 + part.start, part.len());
        }
        for (user, done) in rig.finish() {
            assert!(done.error.is_none() && done.bytes == parts[user as usize].len(), "{rig}: {done:?}");
        }
        assert!(std::fs::read(&scratch.path).unwrap() == content, "{rig}");
    });
}

/// Beyond 4 GiB, in a file of holes.
#[test]
fn offsets_need_64_bits() {
    Rig::each(1 << 20, |rig| {
        let scratch = Scratch::new(b"");
        let far = (5 << 30) + 4096;
        scratch.file.set_len(far + 10_000).unwrap();
        let file = rig.register(&scratch.file);
        let content = Random(4).bytes(9000);
        rig.fill(0, &content);
        for offset in [far, far + 4100] {
            assert_eq!(rig.one(Write, file, offset, 5000), (5000, None), "{rig}");
        }
        assert_eq!(rig.one(Read, file, far - 4096, 20_000), (14_096, None), "{rig}");
        let mut want = vec![0; 14_096];
        want[4096..9096].copy_from_slice(&content[..5000]);
        want[8196..13_196].copy_from_slice(&content[..5000]);
        assert!(rig.bytes(0, 14_096) == want, "{rig}");
        let mut low = [1; 16];
        scratch.file.read_exact_at(&mut low, 4096).unwrap();
        assert_eq!(low, [0; 16], "{rig}: the low half alone");
    });
}
