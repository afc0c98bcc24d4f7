//! The probe on whatever driver is installed, under the Khronos validation layer.

use std::sync::Arc;
use std::time::Instant;

use ringfence::probe::{Mode, Probe};
use ringfence::vulkan::{Gpu, OpenOptions, VulkanError, validation};

fn gpu() -> Arc<Gpu> {
    match Gpu::open(&OpenOptions { device: None, validation: true }) {
        Err(VulkanError::NoValidationLayer) => {
            eprintln!("no validation layer: running without");
            Gpu::open(&OpenOptions::default())
        }
        result => result,
    }
    .expect("a Vulkan 1.2 device")
}

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
    if quirks.masks_branches {
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

#[test]
fn a_lost_device_is_an_error() {
    let gpu = gpu();
    gpu.inject_loss();
    assert!(matches!(Probe::run(&gpu), Err(VulkanError::DeviceLost)));
}
