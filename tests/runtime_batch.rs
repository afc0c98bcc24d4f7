//! Batches on their timeline, Vulkan work that follows them, and a runtime on a caller's own device.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ash::vk;
use ringfence::descriptor::{BatchDescriptor, SlotDescriptor};
use ringfence::runtime::{Following, Mode, Runtime, RuntimeError};
use ringfence::vulkan::{Adopted, AdoptedExtensions, BarrierKind, Buffer, Commands, Gpu, QueueLock, Role};
use support::{MODES, PATIENCE, assert_silent, builder, gpu};

fn batch(slots: u32) -> BatchDescriptor {
    BatchDescriptor::new((0..slots).map(|_| SlotDescriptor::atomic_add(1, 161)).collect(), 1)
}

#[test]
fn the_timeline_reaches_values_in_publication_order() {
    for mode in MODES {
        let runtime = builder(mode).slots(512).workers(2).build().expect("a runtime");
        let timeline = runtime.batch_timeline();
        let mut batches = Vec::new();
        for round in 0..192u32 {
            // Long and short in turn, so that with several workers later ones may end first.
            let ended = runtime.submit_batch(&batch(if round % 2 == 0 { 200 } else { 1 })).expect("taken");
            assert_eq!(ended.value(), u64::from(round) + 1);
            batches.push(ended);
            if round % 16 == 15 {
                for ended in batches.drain(..).rev() {
                    assert!(ended.wait_timeout(PATIENCE).expect("well").is_some(), "{mode}");
                    // It may stand below while an earlier batch is under way, never above the last.
                    assert!(timeline.value().expect("well") <= u64::from(round) + 1);
                }
                let all = u64::from(round) + 1;
                assert!(timeline.wait(all, PATIENCE).expect("well"), "{mode}");
                assert_eq!(timeline.value().expect("well"), all);
            }
        }
        assert_eq!(runtime.control().expect("a readback")[128], 192, "{mode}");
    }
    assert_silent();
}

/// When a value is reached, that batch and all before it have ended.
#[test]
fn a_reached_value_means_ended_batches() {
    for mode in MODES {
        let runtime = builder(mode).slots(256).build().expect("a runtime");
        for _ in 0..20 {
            let batches: Vec<_> = (0..5).map(|_| runtime.submit_batch(&batch(9)).expect("taken")).collect();
            let last = batches[4].value();
            assert!(runtime.batch_timeline().wait(last, PATIENCE).expect("well"));
            for ended in &batches {
                let fence = ended.fence().wait_timeout(PATIENCE).expect("well");
                assert!(fence.expect("it ended before its value").result().is_some());
            }
        }
    }
    assert_silent();
}

fn fill(gpu: &Arc<Gpu>, to: &Buffer, at: u64, word: u32) -> Commands {
    Commands::record(gpu, |rec| {
        rec.barrier(BarrierKind::ComputeToTransfer);
        rec.fill(to, at * 4, 4, word);
        rec.barrier(BarrierKind::TransferToHost);
    })
    .expect("commands")
}

fn follow(runtime: &Runtime, after: &ringfence::runtime::Batch, commands: &Commands) -> Following {
    // SAFETY: of this device and family, for simultaneous use, and kept until `Following::wait`.
    unsafe { runtime.submit_after(after, &[commands.raw()]) }.expect("taken")
}

#[test]
fn work_follows_its_batch_and_holds_nobody_up() {
    for mode in MODES {
        let gpu = gpu();
        let runtime = builder(mode).slots(256).build().expect("a runtime");
        let to = Buffer::new(&gpu, Role::DeviceToHost, 4096, "to").expect("a buffer");
        let mut followers = Vec::new();
        for i in 0..64u32 {
            let first = runtime.submit_batch(&batch(20)).expect("taken");
            let commands = fill(&gpu, &to, i.into(), i + 1);
            let following = follow(&runtime, &first, &commands);
            // More work goes on meanwhile.
            for _ in 0..10 {
                runtime.submit(&SlotDescriptor::atomic_add(1, 162)).expect("taken").detach();
            }
            followers.push((following, commands, first));
        }
        for (i, (following, _, first)) in followers.iter().enumerate() {
            assert!(following.wait(PATIENCE).expect("well"), "{mode}: it is submitted and ends");
            assert!(runtime.batch_timeline().value().expect("well") >= first.value(), "after its batch");
            assert_eq!(to.words().expect("mapped")[i].load(Ordering::Acquire), i as u32 + 1, "{mode}");
        }
        let control = loop {
            let control = runtime.control().expect("a readback");
            if control[162] == 640 {
                break control;
            }
        };
        assert_eq!(control[161], 64 * 20, "{mode}");
        drop(followers);
    }
    assert_silent();
}

/// Several on one batch, on one that ended long ago, and on one of another runtime.
#[test]
fn work_may_follow_late_and_often_but_not_strangers() {
    for mode in MODES {
        let gpu = gpu();
        let runtime = builder(mode).build().expect("a runtime");
        let to = Buffer::new(&gpu, Role::DeviceToHost, 64, "to").expect("a buffer");
        let first = runtime.submit_batch(&batch(3)).expect("taken");
        assert!(first.wait_timeout(PATIENCE).expect("well").is_some());
        assert!(runtime.wait_idle(PATIENCE));
        let commands: Vec<_> = (0..8).map(|i| fill(&gpu, &to, i, 7)).collect();
        let following: Vec<_> = commands.iter().map(|c| follow(&runtime, &first, c)).collect();
        for f in &following {
            assert!(f.wait(PATIENCE).expect("well"), "{mode}");
        }
        assert!(to.words().expect("mapped")[..8].iter().all(|w| w.load(Ordering::Acquire) == 7));
        let other = builder(mode).build().expect("a runtime");
        // SAFETY: no command buffers.
        let refused = unsafe { other.submit_after(&first, &[]) };
        assert!(matches!(refused, Err(RuntimeError::BadOption { option: "batch", .. })), "{refused:?}");
    }
    assert_silent();
}

/// A dropped runtime ends what follows its batches, done or refused.
#[test]
fn following_work_ends_with_its_runtime() {
    for mode in MODES {
        let gpu = gpu();
        let to = Buffer::new(&gpu, Role::DeviceToHost, 64, "to").expect("a buffer");
        for _ in 0..10 {
            let runtime = builder(mode).level_slots([0, 0, 512, 0, 0]).build().expect("a runtime");
            let first = runtime.submit_batch(&batch(400)).expect("taken");
            let commands = fill(&gpu, &to, 0, 1);
            let following = follow(&runtime, &first, &commands);
            drop(runtime);
            match following.wait(PATIENCE) {
                Ok(ended) => assert!(ended, "{mode}"),
                Err(e) => assert!(matches!(e, RuntimeError::ShutDown), "{mode}: {e}"),
            }
        }
    }
    assert_silent();
}

struct Counted(std::sync::Mutex<u32>);

impl QueueLock for Counted {
    fn with(&self, work: &mut dyn FnMut()) {
        *self.0.lock().expect("no panic under it") += 1;
        work();
    }
}

#[test]
fn a_callers_device_serves() {
    // An instance and a device like any other program's, without this crate's help.
    // SAFETY: plain Vulkan: handles are used while they live, and destroyed in order, each once.
    unsafe {
        let entry = ash::Entry::load().expect("a loader");
        let app = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_2);
        let info = vk::InstanceCreateInfo::default().application_info(&app);
        let instance = entry.create_instance(&info, None).expect("an instance");
        let physical = instance.enumerate_physical_devices().expect("a list")[0];
        let family = instance
            .get_physical_device_queue_family_properties(physical)
            .iter()
            .position(|f| f.queue_flags.contains(vk::QueueFlags::COMPUTE))
            .expect("compute") as u32;
        let queues =
            [vk::DeviceQueueCreateInfo::default().queue_family_index(family).queue_priorities(&[1.0])];
        let mut features = vk::PhysicalDeviceVulkan12Features::default()
            .timeline_semaphore(true)
            .vulkan_memory_model(true)
            .vulkan_memory_model_device_scope(true)
            .buffer_device_address(true);
        let info = vk::DeviceCreateInfo::default().queue_create_infos(&queues).push_next(&mut features);
        let device = instance.create_device(physical, &info, None).expect("a device");
        let queue = device.get_device_queue(family, 0);
        let lock = Arc::new(Counted(0.into()));
        for mode in MODES {
            let gpu = Gpu::adopt(Adopted {
                entry: entry.clone(),
                instance: instance.clone(),
                physical_device: physical,
                device: device.clone(),
                queue_family: family,
                queue,
                queue_lock: Some(lock.clone()),
                extensions: AdoptedExtensions::default(),
            })
            .expect("adopted");
            let runtime =
                Runtime::builder().gpu(gpu).mode(mode).patience(PATIENCE).build().expect("a runtime");
            for _ in 0..20 {
                let ended = runtime.submit_batch(&batch(50)).expect("taken").wait_timeout(PATIENCE);
                assert!(ended.expect("well").is_some(), "{mode}");
                // The caller's own submissions, under the same lock.
                let mut result = Ok(());
                lock.with(&mut || result = device.queue_submit(queue, &[], vk::Fence::null()));
                result.expect("submitted");
            }
            assert_eq!(runtime.control().expect("a readback")[161], 1000, "{mode}");
        }
        assert!(*lock.0.lock().expect("whole") > 40, "the runtime took the caller's lock");
        device.device_wait_idle().expect("idle");
        device.destroy_device(None);
        instance.destroy_instance(None);
    }
}

#[test]
fn modes_change_back_and_forth() {
    let runtime = builder(Mode::Live).build().expect("a runtime");
    for round in 0..100u64 {
        let to = if round % 2 == 0 { Mode::Epoch } else { Mode::Live };
        runtime.switch_mode(to).expect("well");
        assert_eq!(runtime.mode(), to);
        let job = runtime.submit(&SlotDescriptor::atomic_add(1, 161)).expect("taken");
        let ended = job.wait_timeout(PATIENCE).expect("well").expect("in time");
        assert_eq!(ended.result(), Some(round));
        std::thread::sleep(Duration::from_micros(100 * (round % 5)));
    }
    assert_silent();
}
