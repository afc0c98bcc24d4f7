//! The host's side of the litmus tests (`glsl/probe/live.comp`).
//!
//! A chain of bounded dispatches is kept running, and answers numbered messages: first one at a
//! time, then many under way. Then it stores vectors, and the host looks for parts of them.

mod kernel;
mod mail;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bench::{Bench, percentile};
use super::report::{Litmus, Live};
use crate::vulkan::{Gpu, Result};
use kernel::Running;
use mail::{Command, ENTRIES, Kind, Mail};

/// Messages of each test.
const MESSAGES: u32 = 3000;
/// Vectors looked at.
const VECTORS: u64 = 20_000;
/// Each test ends after this time, however far it got.
const TEST_TIME: Duration = Duration::from_millis(150);
/// An answer is looked for this often before anything else is looked at.
const SPINS: u32 = 64;
/// After this time without an answer the host sleeps between looks.
const SPIN_TIME: Duration = Duration::from_micros(20);
/// A message that is not answered within this time will not be.
const ANSWER_TIME: Duration = Duration::from_millis(250);

/// Faults that a litmus test must find, for a test of the tests.
#[derive(Clone, Copy, Default)]
struct Faults {
    /// The host stores a flag some time before its payload.
    flag_first: bool,
    /// The host looks at a result before its completion.
    look_early: bool,
}

pub(super) fn measure(gpu: &Arc<Gpu>, bench: &Bench) -> Result<Live> {
    measure_with(gpu, bench, Faults::default())
}

fn measure_with(gpu: &Arc<Gpu>, bench: &Bench, faults: Faults) -> Result<Live> {
    // GPU-assisted validation waits for the end of each submission within vkQueueSubmit.
    if bench.lanes() < 4 || gpu.gpu_assisted_validation() {
        return Ok(Live::default());
    }
    let mail = Mail::new(gpu)?;
    let mut running = Running::start(gpu, bench, &mail)?;
    let mut live = Live { all_answered: true, ..Live::default() };
    if running.wait_for_heartbeat(&mail)? {
        Test { mail: &mail, running: &mut running, live: &mut live, next: 1, faults }.all()?;
    } else {
        live.all_answered = false;
    }
    let state = running.stop(&mail)?;
    live.host_to_device.violations = u64::from(state.late);
    live.seen_by_device = u64::from(state.while_here);
    live.seen_by_host = u64::from(state.in_one);
    Ok(live)
}

struct Test<'a> {
    mail: &'a Mail,
    running: &'a mut Running,
    live: &'a mut Live,
    /// The next message's number.
    next: u32,
    faults: Faults,
}

impl Test<'_> {
    fn all(mut self) -> Result<()> {
        self.one_at_a_time()?;
        self.many_under_way()?;
        self.vectors()
    }

    fn publish(&mut self, kind: Kind) -> u32 {
        let message = self.next;
        self.next += 1;
        if self.faults.flag_first {
            self.mail.flag(message);
            std::thread::sleep(Duration::from_micros(10));
        }
        self.mail.publish(message, kind);
        self.live.host_to_device.trials += 1;
        message
    }

    /// Waits for `seen`; false when the answer does not come.
    fn wait(&mut self, seen: impl Fn(&Mail) -> bool) -> Result<bool> {
        let start = Instant::now();
        loop {
            for _ in 0..SPINS {
                if seen(self.mail) {
                    return Ok(true);
                }
                std::hint::spin_loop();
            }
            let waited = start.elapsed();
            if waited > ANSWER_TIME {
                self.live.all_answered = false;
                return Ok(false);
            }
            self.running.keep_running()?;
            if waited > SPIN_TIME {
                // The driver's thread may want this very core.
                std::thread::sleep(Duration::from_micros(1));
            }
        }
    }

    fn check(&mut self, message: u32) {
        self.live.device_to_host.trials += 1;
        self.live.device_to_host.violations += u64::from(!self.mail.result_is_right(message));
    }

    fn one_at_a_time(&mut self) -> Result<()> {
        let begin = Instant::now();
        let mut times = Vec::with_capacity(MESSAGES as usize);
        for _ in 0..MESSAGES {
            if begin.elapsed() > TEST_TIME {
                break;
            }
            let start = Instant::now();
            let message = self.publish(Kind::Alone);
            if self.faults.look_early {
                self.check(message);
            }
            if !self.wait(|mail| mail.is_answered(message))? {
                return Ok(());
            }
            times.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
            self.check(message);
            self.live.one_at_a_time += 1;
        }
        times.sort_unstable();
        self.live.round_trip_p50_ns = percentile(&times, 50);
        self.live.round_trip_p99_ns = percentile(&times, 99);
        Ok(())
    }

    fn many_under_way(&mut self) -> Result<()> {
        let begin = Instant::now();
        let first = self.next;
        let mut oldest = first;
        while self.live.all_answered && oldest - first < MESSAGES {
            let open = begin.elapsed() < TEST_TIME && self.next - first < MESSAGES;
            if open && self.next - oldest < ENTRIES {
                self.publish(Kind::Any);
            } else if oldest == self.next {
                break;
            } else {
                let message = oldest;
                if self.wait(|mail| mail.is_answered(message))? {
                    self.check(message);
                }
                oldest += 1;
            }
        }
        Ok(())
    }

    fn vectors(&mut self) -> Result<()> {
        let begin = Instant::now();
        let mut torn = Litmus::default();
        let mut before = [0; 4];
        self.mail.command(Command::Stream);
        while torn.trials < VECTORS && begin.elapsed() < TEST_TIME {
            for _ in 0..64 {
                let Some(now) = self.mail.vector(self.running.lanes() - 1) else { return Ok(()) };
                if now != before {
                    torn.trials += 1;
                    torn.violations += u64::from(now.iter().any(|&word| word != now[0]));
                    before = now;
                }
            }
            self.running.keep_running()?;
        }
        self.mail.command(Command::Nothing);
        self.live.torn_vectors = torn;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulkan::OpenOptions;

    #[test]
    fn the_litmus_tests_find_faults() {
        let gpu = Gpu::open(&OpenOptions::default()).expect("a Vulkan 1.2 device");
        if gpu.gpu_assisted_validation() {
            return; // no live kernel then
        }
        let bench = Bench::new(&gpu).expect("a timeline");
        let measure = |faults| measure_with(&gpu, &bench, faults).expect("the kernel ends");
        let sound = measure(Faults::default());
        assert_eq!((sound.host_to_device.violations, sound.device_to_host.violations), (0, 0));
        let late = measure(Faults { flag_first: true, ..Faults::default() });
        assert!(late.host_to_device.violations > 0, "{late:?}");
        let early = measure(Faults { look_early: true, ..Faults::default() });
        assert!(early.device_to_host.violations > 0, "{early:?}");
    }
}
