//! `bench startup`: from the start of a process to its first verified slot, and how a runtime rests and stops.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ringfence::descriptor::SlotDescriptor;
use ringfence::protocol::OBSERVABLE_BASE;
use ringfence::runtime::Mode;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::stop;
use crate::common::{self, Global, Trouble};

/// Pairs of a cold and a warm start; the medians are shown.
const PAIRS: usize = 5;
/// Where drivers that have a cache of their own keep it: Mesa's and NVIDIA's variables.
const CACHE_VARIABLES: [&str; 2] = ["MESA_SHADER_CACHE_DIR", "__GL_SHADER_DISK_CACHE_PATH"];

/// The figures.
#[derive(Serialize)]
pub struct Startup {
    driver: String,
    device: String,
    mode: Mode,
    cold_ms: f64,
    warm_ms: f64,
    /// Drop of a busy runtime: the median, and the worst.
    stop_ms: f64,
    stop_worst_ms: f64,
    /// Processor time of the whole process, a second, while its runtime is idle.
    idle_cpu_ms_per_s: f64,
}

/// What a child says once its first slot was verified.
#[derive(Serialize, Deserialize)]
struct First {
    driver: String,
    device: String,
    mode: Mode,
    /// The monotonic clock, which all processes share.
    at_ns: u64,
}

pub fn run(global: &Global) -> Result<Startup, Trouble> {
    // Uncounted: programs and drivers come into the page cache, and the probe's verdict into its own.
    start(global, None)?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    let mut last = None;
    for index in 0..PAIRS {
        let cache = Cache::new(index)?;
        cold.push(start(global, Some(&cache.0))?.0);
        let (time, first) = start(global, Some(&cache.0))?;
        warm.push(time);
        last = Some(first);
    }
    let First { driver, device, mode, .. } =
        last.ok_or_else(|| Trouble::Wrong("no start was timed".into()))?;
    let stop = stop::stop(global)?;
    Ok(Startup {
        driver,
        device,
        mode,
        cold_ms: median(&mut cold),
        warm_ms: median(&mut warm),
        stop_ms: stop.median.as_secs_f64() * 1e3,
        stop_worst_ms: stop.worst.as_secs_f64() * 1e3,
        idle_cpu_ms_per_s: stop::idle_cpu_ms_per_s(global)?,
    })
}

/// An empty folder for the driver's cache; its drop removes it.
struct Cache(PathBuf);

impl Cache {
    fn new(index: usize) -> Result<Self, Trouble> {
        let path = std::env::temp_dir().join(format!("ringfence-startup-{}-{index}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(Trouble::File { name: path.display().to_string(), error }),
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts a child and tells how many milliseconds its first slot took.
fn start(global: &Global, cache: Option<&Path>) -> Result<(f64, First), Trouble> {
    let failed = |error| Trouble::File { name: "the program's own file".into(), error };
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(["bench", "first-slot", "--mode", &global.mode.to_string()]);
    command.args(global.device.iter().flat_map(|device| ["--device", device]));
    command.envs(cache.iter().flat_map(|path| CACHE_VARIABLES.map(|name| (name, path))));
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let began = now_ns();
    let output = command.output().map_err(failed)?;
    let first: First = serde_json::from_slice(&output.stdout)
        .map_err(|error| Trouble::Wrong(format!("a child process ended with {}: {error}", output.status)))?;
    Ok((first.at_ns.saturating_sub(began) as f64 / 1e6, first))
}

/// What the child does.
pub fn first_slot(global: &Global) -> Result<(), Trouble> {
    let runtime = global.builder().build()?;
    let job = runtime.submit(&SlotDescriptor::atomic_add(1, OBSERVABLE_BASE + 1))?;
    let ended = job.wait()?;
    let at_ns = now_ns();
    if ended.result() != Some(0) {
        return Err(Trouble::Wrong(format!("the first slot ended with {:?}", ended.outcome)));
    }
    let first = First {
        driver: common::driver(&runtime),
        device: common::device(&runtime),
        mode: runtime.mode(),
        at_ns,
    };
    let line = serde_json::to_string(&first).map_err(|error| Trouble::Output(error.into()))?;
    writeln!(std::io::stdout(), "{line}").map_err(Trouble::Output)
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

impl fmt::Display for Startup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}), {} mode", self.device, self.driver, self.mode)?;
        writeln!(
            f,
            "process start to the first verified slot: cold {:.1} ms, warm {:.1} ms",
            self.cold_ms, self.warm_ms
        )?;
        writeln!(
            f,
            "drop of a busy runtime: median {:.2} ms, worst {:.2} ms",
            self.stop_ms, self.stop_worst_ms
        )?;
        writeln!(f, "idle: {:.2} ms of processor time a second", self.idle_cpu_ms_per_s)
    }
}
