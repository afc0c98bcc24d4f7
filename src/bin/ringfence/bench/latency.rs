//! `bench latency`: from the publication of a slot until its completion was seen and checked.

use std::fmt;
use std::time::{Duration, Instant};

use ringfence::runtime::{Mode, Runtime};
use serde::Serialize;

use super::Options;
use super::blocks::{self, BLOCK, WARM_UP, watched};
use super::samples::Samples;
use super::verified::{Verified, observables};
use crate::common::{self, Global, Trouble};

/// Slots in flight at most, which only a late open loop comes to.
const LANES: u32 = 16;
/// Time between two slots of the open loop: 20,000 a second.
const PERIOD: Duration = Duration::from_micros(50);

/// The figures, in nanoseconds.
#[derive(Serialize)]
pub struct Latency {
    driver: String,
    device: String,
    mode: Mode,
    samples: usize,
    slots_in_ring: u32,
    p50_ns: u32,
    p99_ns: u32,
    p999_ns: u32,
    /// Epoch mode of the same runtime: one submission for each slot.
    submit_p50_ns: u32,
    submit_ratio: f64,
    floor_p50_ns: u32,
    floor_ratio: f64,
    open_loop: OpenLoop,
    rounds: usize,
    rounds_used: usize,
}

/// A slot every 50 us whether or not the last one has ended, measured from when it was due.
#[derive(Serialize)]
struct OpenLoop {
    rate: u32,
    p50_ns: u32,
    p99_ns: u32,
    p999_ns: u32,
}

struct Blocks {
    closed: Samples,
    open: Samples,
    epoch: Samples,
}

pub fn run(global: &Global, options: &Options) -> Result<Latency, Trouble> {
    let runtime = global
        .builder()
        .level_slots([0, 0, options.slots_in_ring, 0, 0])
        .observables(observables(LANES))
        .build()?;
    let _observer = options.observing.attach(&runtime, "bench latency")?;
    let mode = runtime.mode();
    let mut ring = Verified::new(&runtime, LANES)?;
    let count = blocks::count(options.seconds.unwrap_or(2.0));
    let rounds = blocks::rounds(count, |delayed| {
        runtime.switch_mode(mode)?;
        closed_loop(&mut ring, WARM_UP)?;
        let closed = watched(delayed, || closed_loop(&mut ring, BLOCK))?;
        let open = watched(delayed, || open_loop(&mut ring, BLOCK))?;
        runtime.switch_mode(Mode::Epoch)?;
        closed_loop(&mut ring, WARM_UP)?;
        let epoch = watched(delayed, || closed_loop(&mut ring, BLOCK))?;
        Ok(Blocks { closed, open, epoch })
    })?;
    ring.compare(&runtime.control()?)?;
    let rounds = blocks::choose(rounds);
    Ok(summary(&runtime, mode, options, count, &rounds))
}

fn summary(
    runtime: &Runtime,
    mode: Mode,
    options: &Options,
    count: usize,
    rounds: &[blocks::Round<Blocks>],
) -> Latency {
    let mut closed = Samples::pooled(rounds.iter().map(|round| &round.measured.closed));
    let mut open = Samples::pooled(rounds.iter().map(|round| &round.measured.open));
    let submit = Samples::pooled(rounds.iter().map(|round| &round.measured.epoch)).p50();
    let floor = Samples::pooled(rounds.iter().map(|round| &round.floor)).p50();
    let p50 = closed.p50();
    Latency {
        driver: common::driver(runtime),
        device: common::device(runtime),
        mode,
        samples: closed.len(),
        slots_in_ring: options.slots_in_ring,
        p50_ns: p50,
        p99_ns: closed.percentile(0.99),
        p999_ns: closed.percentile(0.999),
        submit_p50_ns: submit,
        submit_ratio: ratio(submit, p50),
        floor_p50_ns: floor,
        floor_ratio: ratio(p50, floor),
        open_loop: OpenLoop {
            rate: (1_000_000_000 / PERIOD.as_nanos()) as u32,
            p50_ns: open.p50(),
            p99_ns: open.percentile(0.99),
            p999_ns: open.percentile(0.999),
        },
        rounds: count,
        rounds_used: rounds.len(),
    }
}

fn ratio(a: u32, b: u32) -> f64 {
    f64::from(a) / f64::from(b.max(1))
}

/// One slot after the other. A sample lasts from the end of the last one to the check of this one: it holds
/// one look at the clock, 20 to 25 ns, as those of the floor do.
pub fn closed_loop(ring: &mut Verified, time: Duration) -> Result<Samples, Trouble> {
    let mut samples = Samples::with_capacity(time.as_nanos() as usize / 150);
    ring.push()?;
    ring.flush()?;
    ring.sleep(|_| {})?;
    let began = Instant::now();
    let mut last = began;
    while last - began < time {
        ring.push()?;
        ring.flush()?;
        ring.wait(|_| {})?;
        let now = Instant::now();
        samples.push(now - last);
        last = now;
    }
    Ok(samples)
}

/// Slots at times that are fixed beforehand; one that is late makes those behind it late as well.
fn open_loop(ring: &mut Verified, time: Duration) -> Result<Samples, Trouble> {
    let count = time.div_duration_f64(PERIOD) as u32;
    let mut samples = Samples::with_capacity(count as usize);
    let mut due = [Duration::ZERO; LANES as usize];
    let (mut published, mut ended) = (0, 0);
    let began = Instant::now();
    while ended < count {
        let now = began.elapsed();
        while published < count
            && PERIOD * published <= now
            && let Some(lane) = ring.push()?
        {
            due[lane as usize] = PERIOD * published;
            published += 1;
        }
        ring.flush()?;
        ended += ring.reap(|lane| samples.push(began.elapsed() - due[lane as usize]))? as u32;
        if now > time + Duration::from_secs(10) {
            return Err(Trouble::Wrong("slots of the open loop have not ended for 10 s".into()));
        }
    }
    Ok(samples)
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |ns: u32| format!("{:.3} us", f64::from(ns) / 1000.0);
        writeln!(
            f,
            "{} ({}), {} mode, ring of {} slots",
            self.device, self.driver, self.mode, self.slots_in_ring
        )?;
        writeln!(
            f,
            "publish to seen   p50 {}, p99 {}, p99.9 {}",
            us(self.p50_ns),
            us(self.p99_ns),
            us(self.p999_ns)
        )?;
        writeln!(
            f,
            "one submission    p50 {}, {:.0} times as long",
            us(self.submit_p50_ns),
            self.submit_ratio
        )?;
        writeln!(
            f,
            "two-thread floor  p50 {}, live takes {:.1} of it",
            us(self.floor_p50_ns),
            self.floor_ratio
        )?;
        let open = &self.open_loop;
        writeln!(
            f,
            "open loop, {}/s  p50 {}, p99 {}, p99.9 {}",
            open.rate,
            us(open.p50_ns),
            us(open.p99_ns),
            us(open.p999_ns)
        )?;
        writeln!(f, "{} samples, {} of {} rounds", self.samples, self.rounds_used, self.rounds)
    }
}
