//! The probe on whatever driver is installed, under the Khronos validation layer.

mod support;

use std::time::Instant;

use ringfence::probe::{Mode, Probe};
use ringfence::vulkan::{Gpu, OpenOptions, VulkanError, validation};
use support::own_gpu as gpu;

#[test]
fn the_probe_measures_this_device() {
    let gpu = gpu();
    let start = Instant::now();
    let report = Probe::run(&gpu).expect("the probe ends");
    eprintln!("{report:#?}\n{:?}", start.elapsed());
    assert!(start.elapsed().as_secs() < 30, "every wait has an end");
    assert_eq!(report.lanes.subgroup_size, gpu.info().subgroup_size);
    assert_eq!(report.lanes.uniform_wrong, 0, "the kernel's own form of loop");
    assert!(report.workers >= 1);
    assert!(report.submit_p50_ns > 0);
    assert_eq!(report.live.host_to_device.violations, 0);
    assert_eq!(report.live.device_to_host.violations, 0);
    // What is known of the drivers that the tests run on; the limit is where the probe says.
    let quirks = gpu.workarounds();
    assert_eq!(report.loop_limit, quirks.loop_limit, "loops on {}", gpu.info());
    if quirks.loop_limit.is_some() || gpu.info().to_string().contains("SwiftShader") {
        assert!(!report.divergent_loops_work(), "fact 21 on {}", gpu.info());
    }
    // A busy machine can only keep the probe from finding out.
    if report.conclusive {
        assert_eq!(report.mode, Mode::Live, "{}", report.why);
    }
    let text = serde_json::to_string(&report).expect("serialisable");
    assert_eq!(serde_json::from_str::<ringfence::probe::ProbeReport>(&text).unwrap(), report);
    drop(gpu);
    assert_eq!(validation::messages(), Vec::<String>::new());
}

/// By request also where the two are the same memory.
#[test]
fn the_probe_measures_where_data_is_read_best() {
    let gpu = gpu();
    let start = Instant::now();
    let found = Probe::placement(&gpu).expect("the probe ends").expect("right sums");
    eprintln!("{found:?} {:?}", start.elapsed());
    assert!(start.elapsed().as_secs() < 30, "every wait has an end");
    assert!(found.in_place > 0 && found.copied > 0 && found.again > found.copied, "{found:?}");
    drop(gpu);
    assert_eq!(validation::messages(), Vec::<String>::new());
}

#[test]
fn a_lost_device_is_an_error() {
    let gpu = gpu();
    gpu.inject_loss();
    assert!(matches!(Probe::run(&gpu), Err(VulkanError::DeviceLost)));
    assert!(matches!(Probe::placement(&gpu), Err(VulkanError::DeviceLost)));
}

/// In a process of its own, since the cache folder comes from the environment.
#[test]
fn a_report_is_kept_and_a_damaged_one_is_not_used() {
    let folder = std::env::temp_dir().join(format!("ringfence-cache-{}", std::process::id()));
    let probe = || {
        let out = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "prints_a_cached_report", "--ignored", "--nocapture"])
            .env("XDG_CACHE_HOME", &folder)
            .output()
            .expect("the test runs");
        let text = String::from_utf8(out.stdout).expect("text");
        let line = text.lines().find_map(|line| line.split_once("report: ")).expect("a report");
        serde_json::from_str::<ringfence::probe::ProbeReport>(line.1).expect("JSON")
    };
    let first = probe();
    if !first.conclusive {
        eprintln!("not kept: {}", first.why);
        return;
    }
    let kept = std::fs::read_dir(folder.join("ringfence")).expect("a folder");
    let files: Vec<_> = kept.map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(probe(), first, "taken from the cache");
    std::fs::write(&files[0], b"{ \"mode\": \"live\"").expect("written");
    assert_eq!(probe().lanes, first.lanes, "measured again");
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
#[ignore = "the child of a_report_is_kept_and_a_damaged_one_is_not_used"]
fn prints_a_cached_report() {
    let gpu = Gpu::open(&OpenOptions::default()).expect("a Vulkan 1.2 device");
    let report = Probe::cached_or_run(&gpu).expect("the probe ends");
    println!("report: {}", serde_json::to_string(&report).expect("JSON"));
}
