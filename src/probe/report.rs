//! What the probe found, and what follows from it.

use serde::{Deserialize, Serialize};

use super::placement::PlacementReport;
use crate::vulkan::Gpu;

/// Fewer answered messages than this prove nothing.
const ENOUGH: u64 = 200;

/// How the runtime hands work to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The host publishes while a kernel runs.
    Live,
    /// One bounded dispatch a batch, within the letter of the specification.
    Epoch,
}

/// What the probe measured on one device. Times are in nanoseconds unless named otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReport {
    /// The build that measured.
    pub build: String,
    /// The device's name.
    pub device: String,
    /// The driver's name.
    pub driver: String,
    /// The driver's version line.
    pub driver_info: String,
    /// Subgroups.
    pub lanes: Lanes,
    /// Workgroups of one subgroup that run side by side; the probe stops looking at 4,096.
    pub workers: u32,
    /// Turns after which the driver ends a loop silently; None when a loop of 1,048,576 turns made
    /// them all.
    pub loop_limit: Option<u32>,
    /// From a submission to its end as the host sees it, median.
    pub submit_p50_ns: u64,
    /// Talking to a kernel that runs.
    pub live: Live,
    /// Where data that storage brought is read best. None where that is near the device anyway.
    pub placement: Option<PlacementReport>,
    /// How long the probe took, in milliseconds.
    pub elapsed_ms: u64,
    /// The mode to use.
    pub mode: Mode,
    /// Why, in a sentence.
    pub why: String,
    /// Whether another run would say the same. Otherwise something else kept the machine busy, and
    /// the report is not kept.
    pub conclusive: bool,
}

/// Subgroups, and loops that their lanes leave at different turns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lanes {
    /// Lanes of a subgroup.
    pub subgroup_size: u32,
    /// Whether a workgroup of that size is one full subgroup.
    pub one_full_subgroup: bool,
    /// Lanes for which a value loaded in a loop that lanes leave at different turns is wrong after
    /// it.
    pub divergent_load_wrong: u32,
    /// The same for an atomic load.
    pub divergent_atomic_wrong: u32,
    /// The same for a loop that the subgroup leaves as one. Anything but 0 rules the device out for
    /// live mode.
    pub uniform_wrong: u32,
}

/// The outcome of a litmus test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Litmus {
    /// Messages.
    pub trials: u64,
    /// Messages of them that broke the rule.
    pub violations: u64,
}

/// Messages to and from a kernel that runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Live {
    /// Messages sent one at a time, each after the last one's answer.
    pub one_at_a_time: u64,
    /// How many of these came while the dispatch that took them was running, waiting for them: the
    /// host's stores are seen.
    pub seen_by_device: u64,
    /// How many of these were taken by the dispatch that had answered the one before: its answer was
    /// seen while it ran.
    pub seen_by_host: u64,
    /// Host to device: a payload that comes after its flag.
    pub host_to_device: Litmus,
    /// Device to host: a result that comes after its completion.
    pub device_to_host: Litmus,
    /// Vectors of 16 bytes, stored at once by the device and read at once by the host, of which the
    /// host saw a part. Not a fault: completions don't rest on it. No trials where the host has no
    /// such load.
    pub torn_vectors: Litmus,
    /// From publication to the answer seen, median.
    pub round_trip_p50_ns: u64,
    /// The same, 99th percentile.
    pub round_trip_p99_ns: u64,
    /// Whether every message that was sent was answered.
    pub all_answered: bool,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Epoch => "epoch",
        })
    }
}

impl ProbeReport {
    /// Whether values survive a loop that lanes leave at different turns.
    #[must_use]
    pub fn divergent_loops_work(&self) -> bool {
        self.lanes.divergent_load_wrong == 0 && self.lanes.divergent_atomic_wrong == 0
    }
}

/// The mode, and why.
pub(super) struct Verdict {
    pub(super) mode: Mode,
    pub(super) why: String,
    pub(super) conclusive: bool,
}

/// Decides. Each rule that speaks against live mode gives its reason; the first one wins.
pub(super) fn judge(gpu: &Gpu, lanes: &Lanes, live: &Live, submit_p50_ns: u64) -> Verdict {
    let epoch = |why: String, conclusive| Verdict { mode: Mode::Epoch, why, conclusive };
    if gpu.gpu_assisted_validation() {
        return epoch("GPU-assisted validation is on, which instruments the kernels".into(), false);
    }
    if !lanes.one_full_subgroup || lanes.subgroup_size < 4 {
        let why = "a workgroup of the subgroup's size is not one full subgroup of at least 4 lanes";
        return epoch(why.into(), true);
    }
    if lanes.uniform_wrong != 0 {
        let why = format!("{} lanes computed a wrong value in a loop", lanes.uniform_wrong);
        return epoch(why, true);
    }
    for (litmus, rule) in [
        (live.host_to_device, "payloads that reached the device after their flag"),
        (live.device_to_host, "results that reached the host after their completion"),
    ] {
        if litmus.violations != 0 {
            let why = format!("{} of {} messages had {rule}", litmus.violations, litmus.trials);
            return epoch(why, true);
        }
    }
    let sent = live.one_at_a_time;
    if sent < ENOUGH || !live.all_answered {
        let why = format!(
            "only {sent} messages were answered in time: the device does not see the host's stores \
             while it runs, or the machine is busy"
        );
        return epoch(why, false);
    }
    if live.seen_by_device * 2 < sent || live.seen_by_host * 2 < sent {
        let why = format!(
            "of {sent} messages, {} were seen by a kernel that was waiting for them, and {} answers \
             while it still ran",
            live.seen_by_device, live.seen_by_host
        );
        return epoch(why, false);
    }
    if live.round_trip_p50_ns >= submit_p50_ns {
        let why = format!(
            "a round trip to a running kernel ({} ns) is no faster than a submission ({} ns)",
            live.round_trip_p50_ns, submit_p50_ns
        );
        return epoch(why, false);
    }
    Verdict {
        mode: Mode::Live,
        why: format!(
            "{} messages to a running kernel and {} answers came in order; the round trip takes {} ns \
             where a submission takes {} ns",
            live.host_to_device.trials, live.device_to_host.trials, live.round_trip_p50_ns, submit_p50_ns
        ),
        conclusive: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulkan::OpenOptions;

    fn passed() -> (Lanes, Live) {
        let lanes = Lanes {
            subgroup_size: 8,
            one_full_subgroup: true,
            divergent_load_wrong: 7,
            divergent_atomic_wrong: 7,
            uniform_wrong: 0,
        };
        let all = Litmus { trials: 1000, violations: 0 };
        let live = Live {
            one_at_a_time: 1000,
            seen_by_device: 999,
            seen_by_host: 998,
            host_to_device: all,
            device_to_host: all,
            torn_vectors: Litmus { trials: 1000, violations: 1000 },
            round_trip_p50_ns: 500,
            round_trip_p99_ns: 900,
            all_answered: true,
        };
        (lanes, live)
    }

    #[test]
    fn each_rule_speaks_against_live_mode() {
        let gpu = Gpu::open(&OpenOptions::default()).expect("a Vulkan 1.2 device");
        if gpu.gpu_assisted_validation() {
            return; // epoch, whatever else is found
        }
        let (lanes, live) = passed();
        let verdict = judge(&gpu, &lanes, &live, 50_000);
        assert_eq!((verdict.mode, verdict.conclusive), (Mode::Live, true), "{}", verdict.why);

        type Change = fn(&mut Lanes, &mut Live);
        let rules: [(&str, bool, Change); 9] = [
            ("one full subgroup", true, |lanes, _| lanes.one_full_subgroup = false),
            ("at least 4 lanes", true, |lanes, _| lanes.subgroup_size = 2),
            ("wrong value in a loop", true, |lanes, _| lanes.uniform_wrong = 1),
            ("after their flag", true, |_, live| live.host_to_device.violations = 1),
            ("after their completion", true, |_, live| live.device_to_host.violations = 1),
            ("answered in time", false, |_, live| live.all_answered = false),
            ("answered in time", false, |_, live| live.one_at_a_time = 3),
            ("waiting for them", false, |_, live| live.seen_by_device = 10),
            ("no faster than a submission", false, |_, live| live.round_trip_p50_ns = 60_000),
        ];
        for (reason, conclusive, change) in rules {
            let (mut lanes, mut live) = passed();
            change(&mut lanes, &mut live);
            let verdict = judge(&gpu, &lanes, &live, 50_000);
            assert_eq!(verdict.mode, Mode::Epoch, "{reason}");
            assert_eq!(verdict.conclusive, conclusive, "{reason}");
            assert!(verdict.why.contains(reason), "{reason}: {}", verdict.why);
        }
    }
}
