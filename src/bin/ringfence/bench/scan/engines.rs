//! The three ways to walk a text. Each tells in how many lines a pattern was found.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input};
use memchr::memchr;
use ringfence::protocol::SlotWords;
use ringfence::protocol::abi::scan::{SCAN_CARRY_WORDS, SCAN_START};
use ringfence::runtime::{Outcome, Resource, Ring, Runtime};
use ringfence::scan::bare::BareScan;
use ringfence::scan::kernel_engine::{NAP, slot_words};
use ringfence::scan::pattern::{Options, Patterns};
use ringfence::twin::scan::Walk;
use ringfence::vulkan::{Buffer, Role};

use crate::common::Trouble;

/// Matches that a chunk's buffer holds.
const CAPACITY: u32 = 4096;
/// Slots in flight: what the program has.
pub const DEPTH: usize = 64;
/// How long nothing may come back.
const PATIENCE: Duration = Duration::from_secs(120);
/// Chunks begin at multiples of this, in bytes; the device reads whole words.
const ALIGNMENT: usize = 16;

/// A way to walk the text.
pub trait Engine {
    /// Walks all of the text; the number of lines found.
    fn pass(&mut self) -> Result<u64, Trouble>;
}

/// Text in chunks of whole lines.
pub struct Chunks(pub Vec<Vec<u8>>);

impl Chunks {
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

/// The aho-corasick crate on this thread. Behind a match it goes on in the next line, as the automaton does.
pub struct HostThread<'a> {
    automaton: AhoCorasick,
    chunks: &'a Chunks,
}

impl<'a> HostThread<'a> {
    pub fn new(patterns: &[String], chunks: &'a Chunks) -> Result<Self, Trouble> {
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::DFA))
            .build(patterns)
            .map_err(|error| Trouble::Wrong(format!("aho-corasick: {error}")))?;
        Ok(Self { automaton, chunks })
    }

    /// Lines found in one chunk.
    pub fn lines(&self, text: &[u8]) -> u64 {
        let (mut at, mut count) = (0, 0);
        while let Some(found) = self.automaton.find(Input::new(text).range(at..).earliest(true)) {
            count += 1;
            match memchr(b'\n', &text[found.end()..]) {
                Some(end) => at = found.end() + end + 1,
                None => break,
            }
        }
        count
    }
}

impl Engine for HostThread<'_> {
    fn pass(&mut self) -> Result<u64, Trouble> {
        Ok(self.chunks.0.iter().map(|text| self.lines(text)).sum())
    }
}

/// The text in the device's memory, and the automaton, for the two engines that run there.
pub struct OnDevice {
    text: Buffer,
    /// The automaton, which each engine registers for itself.
    table: Vec<u32>,
    /// Byte offset and length of each chunk.
    places: Vec<(u32, u32)>,
}

impl OnDevice {
    pub fn new(runtime: &Runtime, patterns: &[String], chunks: &Chunks) -> Result<Self, Trouble> {
        let options = Options { fixed: true, ..Options::default() };
        let compiled = Patterns::compile(patterns, &options)
            .map_err(|error| Trouble::Wrong(format!("the automaton: {error}")))?;
        let mut places = Vec::with_capacity(chunks.0.len());
        let mut at = 0;
        for text in &chunks.0 {
            places.push((at as u32, text.len() as u32));
            at += text.len().next_multiple_of(ALIGNMENT);
        }
        let gpu = runtime.gpu();
        let text = Buffer::new(gpu, Role::HostToDevice, at as u64, "bench text")?;
        for ((at, _), chunk) in places.iter().zip(&chunks.0) {
            fill(&text, *at as usize / 4, chunk.chunks(4).map(little_endian));
        }
        Ok(Self { text, table: compiled.table().words().to_vec(), places })
    }

    /// A slot for each chunk, and what they name, which must be there as long as they are used.
    pub fn slots(&self, runtime: &Runtime) -> Result<(Vec<SlotWords>, [Resource; 3]), Trouble> {
        let text = runtime.input(self.text.clone())?;
        let table = runtime.scan_table(&self.table)?;
        let stride = SCAN_CARRY_WORDS + CAPACITY;
        let found = runtime.output(stride * self.places.len() as u32)?;
        let slot = |(index, (at, len)): (u32, &(u32, u32))| {
            let (text, table) = ((text.handle(), *at, *len), (table.handle(), SCAN_START));
            slot_words(text, table, (found.handle(), index * stride, CAPACITY), Walk::Parallel)
        };
        Ok(((0..).zip(&self.places).map(slot).collect(), [text, table, found]))
    }
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn fill(buffer: &Buffer, at: usize, words: impl Iterator<Item = u32>) {
    for (to, word) in buffer.words().unwrap_or(&[]).iter().skip(at).zip(words) {
        to.store(word, Ordering::Relaxed);
    }
}

/// Through the running kernel: a slot for each chunk, each with its own result to be compared.
pub struct ThroughSlots {
    ring: Ring,
    slots: Vec<SlotWords>,
    wanted: Vec<u64>,
    /// The kernel reads and writes them by their handles.
    _memory: [Resource; 3],
}

impl ThroughSlots {
    /// `wanted` tells the lines of each chunk.
    pub fn new(runtime: &Runtime, data: &OnDevice, wanted: Vec<u64>) -> Result<Self, Trouble> {
        let (slots, memory) = data.slots(runtime)?;
        Ok(Self { ring: runtime.ring(DEPTH)?, slots, wanted, _memory: memory })
    }
}

impl Engine for ThroughSlots {
    fn pass(&mut self) -> Result<u64, Trouble> {
        let Self { ring, slots, wanted, .. } = self;
        let mut next = 0;
        let mut total = 0;
        while next < slots.len() || ring.in_flight() > 0 {
            while next < slots.len() && ring.room() > 0 {
                ring.push(&slots[next], next as u64)?;
                next += 1;
            }
            ring.flush()?;
            let mut wrong = None;
            let ended = ring.wait_sleeping(NAP, PATIENCE, |chunk, outcome| {
                let lines = wanted[chunk as usize];
                total += lines;
                // The high half counts undecided lines, of which whole lines leave none.
                if outcome != Outcome::Done(lines) {
                    wrong = Some(format!("chunk {chunk} has {lines} lines, and got {outcome:?}"));
                }
            })?;
            match wrong {
                Some(wrong) => return Err(Trouble::Wrong(wrong)),
                None if ended == 0 => return Err(Trouble::Wrong(format!("no chunk ended for {PATIENCE:?}"))),
                None => {}
            }
        }
        Ok(total)
    }
}

/// One dispatch over all chunks, without queues.
pub struct OneDispatch(BareScan);

impl OneDispatch {
    pub fn new(runtime: &Runtime, data: &OnDevice) -> Result<Self, Trouble> {
        Ok(Self(BareScan::new(runtime, &data.text, &data.table, &data.places, CAPACITY)?))
    }
}

impl Engine for OneDispatch {
    fn pass(&mut self) -> Result<u64, Trouble> {
        self.0.run()?.ok_or_else(|| Trouble::Wrong("a chunk of the bare dispatch faulted".into()))
    }
}
