//! The whole file, one chunk behind the other: through the kernel, by io_uring alone, and by `read` into a buffer.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence::io::transfer::TransferOptions;
use ringfence::protocol::opcode::SUM_WORDS;
use ringfence::runtime::{Outcome, Runtime, Stream, StreamOptions};
use serde::Serialize;

use super::raw::{Places, Raw};
use super::sample::Sample;
use super::{Block, LEAVE, PATIENCE, Rates};
use crate::bench::Options;
use crate::bench::blocks::{self, BLOCK, WARM_UP, watched};
use crate::bench::samples::Samples;
use crate::common::Trouble;

/// Bytes of a chunk, and reads in flight.
const CHUNK: usize = 256 << 10;
const DEPTH: u32 = 16;
/// What is queued at a time: a block can end before the file does.
const RANGE: u64 = 8 << 20;

/// Bytes each second, in 10^9, of chunks whose sum was right.
#[derive(Serialize)]
pub struct Streaming {
    pub chunk_bytes: usize,
    pub depth: u32,
    pub gbps: f64,
    pub raw_gbps: f64,
    pub read_gbps: f64,
    pub ratio: f64,
    pub rounds: usize,
    pub rounds_used: usize,
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
    let count = blocks::count(options.seconds.unwrap_or(1.0));
    let rounds = blocks::rounds(count, |delayed| {
        flow(&mut stream, sample, &file, &mut next, WARM_UP)?;
        let gpu = watched(delayed, || flow(&mut stream, sample, &file, &mut next, BLOCK))?;
        runtime.wait_idle(LEAVE);
        raw.run(WARM_UP)?;
        let raw = watched(delayed, || raw.run(BLOCK))?;
        let read = watched(delayed, || read(&mut plain, sample, BLOCK))?;
        Ok([gpu, raw, read])
    })?;
    let rounds = blocks::choose(rounds);
    let gbps = |way: usize| {
        let rates = Rates::of(rounds.iter().map(|round| &round.measured[way]));
        rates.per_second * CHUNK as f64 / 1e9
    };
    let (gpu, raw, read) = (gbps(0), gbps(1), gbps(2));
    Ok(Streaming {
        chunk_bytes: CHUNK,
        depth: DEPTH,
        gbps: gpu,
        raw_gbps: raw,
        read_gbps: read,
        ratio: gpu / raw.max(1e-9),
        rounds: count,
        rounds_used: rounds.len(),
    })
}

/// Through the kernel for `time`; `next` is where the file goes on.
fn flow(
    stream: &mut Stream,
    sample: &Sample,
    file: &Arc<File>,
    next: &mut u64,
    time: Duration,
) -> Result<Block, Trouble> {
    let began = Instant::now();
    let mut reads = 0;
    loop {
        while stream.pending() < 2 && began.elapsed() < time {
            stream.push(file.clone(), *next..*next + RANGE, 0);
            *next = (*next + RANGE) % sample.bytes();
        }
        let Some(ended) = stream.next(PATIENCE, |arrival| arrival.slot(SUM_WORDS, arrival.padded))? else {
            break;
        };
        if ended.last {
            continue;
        }
        let wanted = Outcome::Done(sample.sum(ended.offset, CHUNK).into());
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
fn read(file: &mut File, sample: &Sample, time: Duration) -> Result<Block, Trouble> {
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
        let sum = buffer.as_chunks::<4>().0.iter().map(word).fold(0, u32::wrapping_add);
        if sum != sample.sum(at, CHUNK) {
            return Err(Trouble::Wrong(format!("the bytes at {at} of the file have changed")));
        }
        at += CHUNK as u64;
        reads += 1;
    }
    Ok(Block { reads, time: began.elapsed(), samples: Samples::default() })
}
