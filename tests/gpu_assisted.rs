//! The kernel under GPU-assisted validation, in epoch mode: the layer instruments its shaders and
//! checks each access to a buffer.

use std::process::Command;
use std::time::Duration;

use ringfence::descriptor::{BatchDescriptor, SlotDescriptor};
use ringfence::runtime::{Mode, Runtime};
use ringfence::vulkan::{Gpu, OpenOptions, VulkanError, validation};

/// The layer reads its level when the instance is made, from the environment, which a process with
/// threads cannot change: so this test runs itself again.
const LEVEL: (&str, &str) = ("RINGFENCE_VALIDATION", "gpu");
const NAME: &str = "the_kernel_is_silent_in_epoch_mode";
/// The instrumented kernel is many times larger, and the driver compiles it at the first dispatch.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn the_kernel_is_silent_in_epoch_mode() {
    if std::env::var(LEVEL.0).as_deref() == Ok(LEVEL.1) {
        return work();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(LEVEL.0, LEVEL.1)
        .output()
        .unwrap();
    let (printed, messages) =
        (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{printed}\n{messages}");
    assert!(printed.contains("1 passed"), "the test did not run itself: {printed}");
}

fn work() {
    let gpu = match Gpu::open(&OpenOptions::default()) {
        Err(VulkanError::NoValidationLayer) => return eprintln!("no validation layer: nothing to test"),
        result => result.unwrap(),
    };
    let runtime =
        Runtime::builder().gpu(gpu).mode(Mode::Epoch).observables(64).patience(PATIENCE).build().unwrap();
    let slots = vec![
        SlotDescriptor::store_u32(7, 160),
        SlotDescriptor::atomic_add(1, 161),
        SlotDescriptor::load_u32(1, 2),
        SlotDescriptor::compare_swap(163, 0, 9, 5),
        SlotDescriptor::memcpy(160, 170, 8),
        SlotDescriptor::printf(3, [1, 2, 3]),
        SlotDescriptor::nop(),
        // Refused, and none of these may be reached on the way: far outside every buffer.
        SlotDescriptor::store_u32(7, u32::MAX),
        SlotDescriptor::memcpy(u32::MAX - 3, 160, 8),
        SlotDescriptor::dfa_step(0, 0, u32::MAX, 0),
    ];
    for round in 1..=3 {
        let batch = runtime.submit_batch(&BatchDescriptor::new(slots.clone(), round)).unwrap();
        let ended = batch.wait_timeout(PATIENCE).unwrap().expect("the batch ends in time");
        assert_eq!(ended.fence.result(), Some(u64::from(round)));
        assert_eq!(ended.slots.iter().filter(|slot| slot.fault().is_some()).count(), 3);
    }
    drop(runtime);
    assert_eq!(validation::messages(), Vec::<String>::new());
}
