//! The whole file, one chunk behind the other: to the kernel, by io_uring alone, and by `read` into a buffer.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::io::transfer::TransferOptions;
use ringfence::protocol::opcode::SUM_WORDS;
use ringfence::runtime::{Arrival, Outcome, Runtime, Stream, StreamOptions};
use serde::Serialize;

use super::raw::{Places, Raw};
use super::sample::{Part, Sample};
use super::{Block, LEAVE, PATIENCE, Rates, SECONDS};
use crate::bench::Options;
use crate::bench::blocks::{self, BLOCK, WARM_UP, watched};
use crate::bench::samples::Samples;
use crate::common::Trouble;

/// Bytes of a chunk, and reads in flight.
const CHUNK: usize = 256 << 10;
const DEPTH: u32 = 16;
/// What is queued at a time: a block can end before the file does.
const RANGE: u64 = 8 << 20;

/// The figures.
#[derive(Serialize)]
pub struct Streaming {
    pub chunk_bytes: usize,
    pub depth: u32,
    /// Chunks that arrive: the head of each is summed.
    #[serde(flatten)]
    pub arriving: Rate,
    /// Chunks of which all is summed.
    pub summed: Rate,
    pub rounds: usize,
    pub rounds_used: usize,
}

/// Bytes each second, in 10^9, of chunks whose sum was right.
#[derive(Clone, Copy, Serialize)]
pub struct Rate {
    pub gbps: f64,
    pub raw_gbps: f64,
    pub read_gbps: f64,
    pub ratio: f64,
}

pub fn run(
    runtime: &Runtime,
    sample: &Sample,
    options: &Options,
    transfer: TransferOptions,
) -> Result<Streaming, Trouble> {
    let shape =
        StreamOptions { chunk_bytes: CHUNK, depth: DEPTH as usize, transfer, ..StreamOptions::default() };
    let mut stream = runtime.stream(&shape)?;
    let mut raw = Raw::new(sample, false, CHUNK, DEPTH, Places::Sequential(0))?;
    let file = Arc::new(sample.open()?);
    let mut plain = sample.open()?;
    let mut next = 0;
    let count = blocks::count(options.seconds.unwrap_or(SECONDS));
    let rounds = blocks::rounds(count, |delayed| {
        let mut both = |part| {
            flow(&mut stream, sample, &file, &mut next, WARM_UP, part)?;
            let gpu = watched(delayed, || flow(&mut stream, sample, &file, &mut next, BLOCK, part))?;
            runtime.wait_idle(LEAVE);
            raw.run(WARM_UP, part)?;
            let raw = watched(delayed, || raw.run(BLOCK, part))?;
            let read = watched(delayed, || read(&mut plain, sample, BLOCK, part))?;
            Ok::<_, Trouble>([gpu, raw, read])
        };
        Ok([both(Part::Head)?, both(Part::All)?])
    })?;
    let rounds = blocks::choose(rounds);
    let rate = |part: usize| {
        let gbps = |way: usize| {
            let rates = Rates::of(rounds.iter().map(|round| &round.measured[part][way]));
            rates.per_second * CHUNK as f64 / 1e9
        };
        let [gbps, raw_gbps, read_gbps] = [0, 1, 2].map(gbps);
        Rate { gbps, raw_gbps, read_gbps, ratio: gbps / raw_gbps.max(1e-9) }
    };
    Ok(Streaming {
        chunk_bytes: CHUNK,
        depth: DEPTH,
        arriving: rate(0),
        summed: rate(1),
        rounds: count,
        rounds_used: rounds.len(),
    })
}

/// To the kernel for `time`; `next` is where the file goes on. It sums that part of each chunk.
fn flow(
    stream: &mut Stream,
    sample: &Sample,
    file: &Arc<File>,
    next: &mut u64,
    time: Duration,
    part: Part,
) -> Result<Block, Trouble> {
    let began = Instant::now();
    let mut reads = 0;
    loop {
        while stream.pending() < 2 && began.elapsed() < time {
            stream.push(file.clone(), *next..*next + RANGE, 0);
            *next = (*next + RANGE) % sample.bytes();
        }
        let slot = |arrival: &Arrival<'_>| arrival.slot(SUM_WORDS, part.of(arrival.padded as usize) as u32);
        let Some(ended) = stream.next(PATIENCE, slot)? else { break };
        if ended.last {
            continue;
        }
        let wanted = Outcome::Done(sample.sum(ended.offset, CHUNK, part).into());
        if ended.bytes as usize != CHUNK || ended.outcome != wanted {
            return Err(Trouble::Wrong(format!("{ended:?} of a stream, not {wanted:?}")));
        }
        reads += 1;
    }
    if stream.pending() > 0 {
        return Err(Trouble::Wrong(format!("a stream has not gone on for {PATIENCE:?}")));
    }
    Ok(Block { reads, time: began.elapsed(), samples: Samples::default() })
}

/// By `read`, into a buffer of the chunk's size.
fn read(file: &mut File, sample: &Sample, time: Duration, part: Part) -> Result<Block, Trouble> {
    let trouble = |error| Trouble::File { name: sample.path().display().to_string(), error };
    let mut buffer = vec![0; CHUNK];
    let began = Instant::now();
    let mut reads = 0;
    let mut at = file.stream_position().map_err(trouble)?;
    while began.elapsed() < time {
        if at == sample.bytes() {
            file.rewind().map_err(trouble)?;
            at = 0;
        }
        file.read_exact(&mut buffer).map_err(trouble)?;
        let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        let sum = buffer[..part.of(CHUNK)].as_chunks::<4>().0.iter().map(word).fold(0, u32::wrapping_add);
        if sum != sample.sum(at, CHUNK, part) {
            return Err(Trouble::Wrong(format!("the bytes at {at} of the file have changed")));
        }
        at += CHUNK as u64;
        reads += 1;
    }
    Ok(Block { reads, time: began.elapsed(), samples: Samples::default() })
}
