//! Loads, prefetches and stores at random, many in flight, each compared byte for byte with the file. In
//! both modes, with both engines, and where the CPU copies.
//!
//! RINGFENCE_READS=N sets how many for each; `RINGFENCE_READS=1000000 cargo test --release --test
//! storage_random` takes a minute or so on each driver.

mod support;

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use ringfence::descriptor::{EncodeSlot as _, SlotDescriptor};
use ringfence::runtime::{Memory, Outcome, RegisteredFile};
use support::storage::{Rig, Setup, file, image_of, load, noise, noise_of, prefetch, reach, store};
use support::{PATIENCE, Random};

/// Slots in flight, each with a place of its own in memory and in the file that is written to.
const DEPTH: usize = 128;
const PLACE: usize = 6144;
/// Bytes of a transfer at most.
const MOST: u32 = 4096;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Load,
    /// Then a fence, before anything is looked at.
    Prefetch,
    Store,
    /// Of what was written.
    LoadBack,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: Kind,
    offset: usize,
    count: usize,
    /// From the start of the place.
    at: usize,
    /// Only the fence is left.
    fenced: bool,
}

struct Run<'a> {
    rig: &'a Rig,
    /// What is read, and what it has.
    source: RegisteredFile,
    bytes: &'a [u8],
    /// What is written to, and what it has.
    written: RegisteredFile,
    disk: File,
    model_of_file: Vec<u8>,
    memory: Memory,
    model: Vec<u8>,
    random: Random,
    /// By kind.
    counts: [u64; 4],
    short: u64,
}

impl Run<'_> {
    /// Below `n`; a quarter of them on pages, a quarter on blocks.
    fn somewhere(&mut self, n: usize) -> usize {
        let any = self.random.below(n as u32) as usize;
        match self.random.below(4) {
            0 => any & !4095,
            1 => any & !511,
            _ => any,
        }
    }

    fn ask(&mut self, place: usize) -> (Asked, SlotDescriptor) {
        let count = 1 + match self.random.below(4) {
            0 => self.random.below(16),
            1 => 512 * self.random.below(8) + 511,
            _ => self.random.below(MOST),
        } as usize;
        let at = self.somewhere(PLACE - count + 1);
        let (kind, offset) = match self.random.below(16) {
            0 | 1 => (Kind::Prefetch, self.somewhere(self.bytes.len())),
            2 | 3 => (Kind::Store, place * PLACE + self.somewhere(PLACE - count + 1)),
            4 => (Kind::LoadBack, place * PLACE + self.somewhere(PLACE - count + 1)),
            // About where the file ends, and behind.
            5 => (Kind::Load, self.bytes.len() - 3000 + self.somewhere(6000)),
            _ => (Kind::Load, self.somewhere(self.bytes.len())),
        };
        let (from, to) = (offset as u64, (place * PLACE + at) as u32);
        let slot = match kind {
            Kind::Load => load(&self.source, from, count as u32, &self.memory, to),
            Kind::Prefetch => prefetch(&self.source, from, count as u32, &self.memory, to),
            Kind::Store => store(&self.written, from, count as u32, &self.memory, to),
            Kind::LoadBack => load(&self.written, from, count as u32, &self.memory, to),
        };
        self.counts[kind as usize] += 1;
        (Asked { kind, offset, count, at, fenced: false }, slot)
    }

    /// Holds what has ended against the file, and the whole place against what it ought to be.
    fn check(&mut self, place: usize, asked: &Asked, outcome: Outcome) {
        let Asked { kind, offset, count, at, .. } = *asked;
        let rig = self.rig;
        let case = || format!("{rig}: {asked:?}: {outcome:?}");
        let own = place * PLACE..(place + 1) * PLACE;
        let model = &mut self.model[own.clone()];
        let comes = match kind {
            Kind::Load | Kind::Prefetch => {
                let rest = self.bytes.get(offset..).unwrap_or(&[]);
                let comes = count.min(rest.len());
                model[at..at + comes].copy_from_slice(&rest[..comes]);
                comes
            }
            Kind::LoadBack => {
                model[at..at + count].copy_from_slice(&self.model_of_file[offset..offset + count]);
                count
            }
            Kind::Store => {
                self.model_of_file[offset..offset + count].copy_from_slice(&model[at..at + count]);
                let mut there = [0; PLACE];
                self.disk.read_exact_at(&mut there, own.start as u64).expect("readable");
                assert!(there == self.model_of_file[own.clone()], "{}", case());
                count
            }
        };
        self.short += u64::from(comes < count);
        let result = if kind == Kind::Prefetch { 0 } else { comes as u64 };
        assert_eq!(outcome, Outcome::Done(result), "{}", case());
        assert!(image_of(&self.memory, own.clone()) == self.model[own], "{}: bytes", case());
    }

    fn run(&mut self, transfers: u64) {
        let mut ring = self.rig.runtime.ring(DEPTH).expect("a ring");
        let mut free: Vec<usize> = (0..DEPTH).collect();
        let mut in_flight = [None; DEPTH];
        let (mut begun, mut checked) = (0, 0);
        let fence = SlotDescriptor::io_fence().encode().expect("a slot");
        while checked < transfers {
            while begun < transfers
                && let Some(place) = free.pop()
            {
                let (asked, slot) = self.ask(place);
                in_flight[place] = Some(asked);
                ring.push(&slot.encode().expect("a slot"), place as u64).expect("room");
                begun += 1;
            }
            ring.flush().expect("open");
            let mut ended = Vec::new();
            ring.wait(PATIENCE, |place, outcome| ended.push((place as usize, outcome))).expect("well");
            assert!(!ended.is_empty(), "{}: in time", self.rig);
            for (place, outcome) in ended {
                let mut asked = in_flight[place].take().expect("one answer each");
                if asked.kind == Kind::Prefetch && !asked.fenced {
                    assert_eq!(outcome, Outcome::Done(0), "{}: {asked:?}", self.rig);
                    asked.fenced = true;
                    in_flight[place] = Some(asked);
                    ring.push(&fence, place as u64).expect("room");
                    continue;
                }
                self.check(place, &asked, outcome);
                free.push(place);
                checked += 1;
            }
        }
        drop(ring);
    }
}

#[test]
fn random_transfers_are_the_files_bytes() {
    let transfers = std::env::var("RINGFENCE_READS").ok().and_then(|n| n.parse().ok()).unwrap_or(5_000u64);
    let bytes = noise((4 << 20) + 1234);
    for setup in [Setup::default(), Setup { copied: true, ..Setup::default() }] {
        Rig::each(setup, |rig| {
            let begin = std::time::Instant::now();
            let model_of_file = noise_of(2, DEPTH * PLACE);
            let disk = file(&model_of_file);
            let written = disk.try_clone().expect("a descriptor");
            let model = noise_of(3, DEPTH * PLACE);
            let mut run = Run {
                rig,
                source: rig
                    .runtime
                    .register_file(file(&bytes), &reach(false, Some(1 << 40)))
                    .expect("a handle"),
                bytes: &bytes,
                written: rig.runtime.register_file(written, &reach(true, None)).expect("a handle"),
                disk,
                model_of_file,
                memory: rig.memory(&model),
                model,
                random: Random(0x9E37_79B9_7F4A_7C15),
                counts: [0; 4],
                short: 0,
            };
            run.run(transfers);
            let [loads, prefetches, stores, back] = run.counts;
            let seconds = begin.elapsed().as_secs_f32();
            eprintln!(
                "{rig}: {loads} loads, {prefetches} prefetches, {stores} stores, {back} loads of what was stored, \
                 {} of them short: {seconds:.1} s",
                run.short
            );
        });
    }
}
