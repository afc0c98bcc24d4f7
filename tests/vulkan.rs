//! The Vulkan side on whatever driver is installed, under the Khronos validation layer.
//!
//! Without the layer the tests run all the same, and say so.

mod support;

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ringfence::vulkan::{
    BarrierKind, Buffer, Commands, ComputePipeline, DescriptorSet, Gpu, OpenOptions, PipelineOptions, Role,
    Timeline, VulkanError,
};
use support::{assert_silent, own_gpu as gpu};

/// `b.words[i] = other.words[i] + ADD` for i < n, and the subgroup size at n; specialization
/// constants 0 (local size) and 1 (ADD), push constants `{ uvec2 other; uint n; }`.
const ADD: &[u8] = include_bytes!("vulkan/add.spv");
const SPIN_GROUPS: u32 = 64;

fn pipeline(gpu: &Arc<Gpu>, add: u32) -> ComputePipeline {
    let spirv: Vec<u32> = ADD.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect();
    let size = gpu.info().subgroup_size;
    let options = PipelineOptions {
        spirv: &spirv,
        specialization: &[(0, size), (1, add)],
        storage_buffers: 1,
        push_constant_bytes: 12,
        subgroup_size: Some(size),
        label: "add",
    };
    // SAFETY: the module was validated, matches the options, and stays below `n` words.
    unsafe { ComputePipeline::new(gpu, &options) }.expect("a pipeline")
}

/// Runs `to[i] = from[i] + add` over `n` words.
fn run(gpu: &Arc<Gpu>, from: &Buffer, to: &Buffer, n: u32, add: u32) {
    let pipeline = pipeline(gpu, add);
    let set = DescriptorSet::new(&pipeline, &[to]).expect("a set");
    let mut push = from.address().to_le_bytes().to_vec();
    push.extend_from_slice(&n.to_le_bytes());
    let commands = Commands::record(gpu, |rec| {
        rec.keep(from);
        rec.bind(&pipeline, &set);
        rec.push(&push);
        rec.dispatch((n + 1).div_ceil(gpu.info().subgroup_size));
        rec.barrier(BarrierKind::ComputeToHost);
    })
    .expect("commands");
    let done = Timeline::new(gpu, 7).expect("a timeline");
    gpu.submit(&[&commands], &[], &[(&done, 8)]).expect("submitted");
    assert!(done.wait(8, Duration::from_secs(10)).expect("no loss"));
    assert_eq!(done.value().expect("no loss"), 8);
}

#[test]
fn a_shader_reads_by_address_and_writes_by_descriptor() {
    let gpu = gpu();
    eprintln!("{} {:?}", gpu.info(), gpu.workarounds());
    let from = Buffer::new(&gpu, Role::HostToDevice, 4096, "from").unwrap();
    let to = Buffer::new(&gpu, Role::DeviceToHost, 4096 + 4, "to").unwrap();
    assert!(!to.is_write_combined() || gpu.info().discrete);
    assert!(to.words().unwrap().iter().all(|word| word.load(Relaxed) == 0));
    for (i, word) in (0u32..).zip(from.words().unwrap()) {
        word.store(i * 3, Relaxed);
    }
    ringfence::vulkan::fence::publish(from.is_write_combined());
    run(&gpu, &from, &to, 1024, 5);
    let words = to.words().unwrap();
    for i in 0..1024u32 {
        assert_eq!(words[i as usize].load(Relaxed), i * 3 + 5);
    }
    assert_eq!(words[1024].load(Relaxed), gpu.info().subgroup_size);
    drop((from, to, gpu));
    assert_silent();
}

#[test]
fn every_role_is_zeroed_and_can_be_copied() {
    let gpu = gpu();
    for role in [Role::HostToDevice, Role::DeviceToHost, Role::DeviceLocal, Role::Control] {
        let buffer = Buffer::new(&gpu, role, 1 << 16, "role").unwrap();
        let back = Buffer::new(&gpu, Role::DeviceToHost, 1 << 16, "back").unwrap();
        back.words().unwrap()[5].store(1, Relaxed);
        assert_ne!(buffer.address(), 0);
        let copy = Commands::record(&gpu, |rec| {
            rec.fill(&buffer, 16, 8, 0xabcd_1234);
            rec.barrier(BarrierKind::TransferToTransfer);
            rec.copy(&buffer, 0, &back, 0, 1 << 16);
            rec.barrier(BarrierKind::TransferToHost);
        })
        .unwrap();
        gpu.submit(&[&copy], &[], &[]).unwrap();
        gpu.wait_idle().unwrap();
        for (i, word) in back.words().unwrap().iter().enumerate() {
            let expected = if i == 4 || i == 5 { 0xabcd_1234 } else { 0 };
            assert_eq!(word.load(Relaxed), expected, "{role:?} word {i}");
        }
    }
    drop(gpu);
    assert_silent();
}

/// Page-aligned memory that frees itself.
struct Pages(NonNull<u8>, Layout);

// SAFETY: plain memory, reached through atomics only.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.0.as_ptr(), self.1) };
    }
}

#[test]
fn imported_host_memory_is_the_same_memory() {
    let gpu = gpu();
    let Some(alignment) = gpu.info().import_alignment else {
        eprintln!("no VK_EXT_external_memory_host: nothing to test");
        return;
    };
    let bytes = 4 * usize::try_from(alignment).unwrap();
    let layout = Layout::from_size_align(bytes, bytes / 4).unwrap();
    // SAFETY: not of size zero.
    let pointer = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    let pages = Arc::new(Pages(pointer, layout));
    let keep: Arc<dyn std::any::Any + Send + Sync> = pages.clone();
    // SAFETY: the pages live as long as `keep`, and only atomics refer to them.
    let from = unsafe { Buffer::import_host(&gpu, pointer, bytes, keep) }.unwrap();
    // SAFETY: a wrong length is refused before anything is touched.
    let odd = unsafe { Buffer::import_host(&gpu, pointer, bytes - 4, pages.clone()) };
    assert!(matches!(odd, Err(VulkanError::InvalidArgument { what: "bytes", .. })), "{odd:?}");
    assert_eq!(gpu.info().import_device_local, Some(from.is_device_local()));
    let to = Buffer::new(&gpu, Role::DeviceToHost, 4096 + 4, "to").unwrap();
    for (i, word) in (0u32..).zip(from.words().unwrap()) {
        word.store(i ^ 0x5555, Relaxed);
    }
    run(&gpu, &from, &to, 1024, 1);
    for (i, word) in (0u32..1024).zip(to.words().unwrap()) {
        assert_eq!(word.load(Relaxed), (i ^ 0x5555) + 1);
    }
    drop(from);
    assert_eq!(Arc::strong_count(&pages), 1, "the buffer let go of the memory");
    drop((to, gpu));
    assert_silent();
}

#[test]
fn timelines_order_submissions_and_time_out() {
    let gpu = gpu();
    let (a, b) = (Timeline::new(&gpu, 0).unwrap(), Timeline::new(&gpu, 100).unwrap());
    gpu.submit(&[], &[(&a, 3)], &[(&b, 101)]).unwrap();
    assert!(!b.wait(101, Duration::from_millis(20)).unwrap());
    assert_eq!(b.value().unwrap(), 100);
    a.signal(3).unwrap();
    assert!(b.wait(101, Duration::MAX).unwrap());
    assert!(b.wait(50, Duration::ZERO).unwrap());
    assert!(!b.wait(102, Duration::ZERO).unwrap());
    drop((a, b, gpu));
    assert_silent();
}

#[test]
fn things_may_be_dropped_while_the_device_uses_them() {
    let gpu = gpu();
    let from = Buffer::new(&gpu, Role::HostToDevice, 1 << 20, "from").unwrap();
    let to = Buffer::new(&gpu, Role::DeviceToHost, (1 << 20) + 4, "to").unwrap();
    let pipeline = pipeline(&gpu, 9);
    let set = DescriptorSet::new(&pipeline, &[&to]).unwrap();
    let mut push = from.address().to_le_bytes().to_vec();
    push.extend_from_slice(&(1u32 << 17).to_le_bytes());
    let mut commands = Commands::record(&gpu, |rec| {
        rec.keep(&from);
        rec.bind(&pipeline, &set);
        rec.push(&push);
        for _ in 0..SPIN_GROUPS {
            rec.dispatch((1 << 17) / gpu.info().subgroup_size);
            rec.barrier(BarrierKind::ComputeToCompute);
        }
        rec.barrier(BarrierKind::ComputeToHost);
    })
    .unwrap();
    let done = Timeline::new(&gpu, 0).unwrap();
    gpu.submit(&[&commands, &commands], &[], &[(&done, 1)]).unwrap();
    commands.rerecord(|rec| rec.barrier(BarrierKind::ComputeToCompute)).unwrap();
    assert_eq!(done.value().unwrap(), 1, "re-recording waits for the submission");
    gpu.submit(&[&commands], &[(&done, 1)], &[(&done, 2)]).unwrap();
    drop((gpu, from, pipeline, set, to, done, commands));
    assert_silent();
}

#[test]
fn a_lost_device_fails_every_call_and_hangs_none() {
    let gpu = gpu();
    let timeline = Timeline::new(&gpu, 0).unwrap();
    let buffer = Buffer::new(&gpu, Role::DeviceToHost, 64, "b").unwrap();
    let commands = Commands::record(&gpu, |_| ()).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| timeline.wait(1, Duration::MAX));
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        gpu.inject_loss();
        assert!(matches!(waiter.join().unwrap(), Err(VulkanError::DeviceLost)));
        assert!(start.elapsed() < Duration::from_secs(1));
    });
    let lost = [
        gpu.submit(&[&commands], &[], &[(&timeline, 1)]).err(),
        gpu.wait_idle().err(),
        timeline.value().err(),
        timeline.signal(1).err(),
        timeline.wait(0, Duration::ZERO).err(),
        Timeline::new(&gpu, 0).err(),
        Buffer::new(&gpu, Role::DeviceToHost, 64, "c").err(),
        Commands::record(&gpu, |_| ()).err(),
    ];
    for (i, error) in lost.iter().enumerate() {
        assert!(matches!(error, Some(VulkanError::DeviceLost)), "{i}: {error:?}");
    }
    drop((buffer, gpu, commands, timeline));
    assert_silent();
}

#[test]
fn wrong_arguments_are_errors() {
    let gpu = gpu();
    let buffer = Buffer::new(&gpu, Role::DeviceToHost, 64, "b").unwrap();
    let pipeline = pipeline(&gpu, 0);
    let set = DescriptorSet::new(&pipeline, &[&buffer]).unwrap();
    let record =
        |f: &dyn Fn(&mut ringfence::vulkan::Recorder<'_>)| Commands::record(&gpu, |rec| f(rec)).err();
    let errors = [
        Buffer::new(&gpu, Role::DeviceLocal, 0, "empty").err(),
        Buffer::new(&gpu, Role::DeviceLocal, 7, "odd").err(),
        DescriptorSet::new(&pipeline, &[]).err(),
        record(&|rec| rec.dispatch(1)),
        record(&|rec| rec.push(&[0; 4])),
        record(&|rec| rec.fill(&buffer, 0, 68, 0)),
        record(&|rec| rec.fill(&buffer, 2, 4, 0)),
        record(&|rec| rec.copy(&buffer, 0, &buffer, 16, 32)),
        record(&|rec| rec.copy(&buffer, u64::MAX, &buffer, 16, 32)),
        record(&|rec| {
            rec.bind(&pipeline, &set);
            rec.push(&[0; 16]);
        }),
        record(&|rec| {
            rec.bind(&pipeline, &set);
            rec.dispatch(u32::MAX);
        }),
    ];
    for (i, error) in errors.iter().enumerate() {
        assert!(matches!(error, Some(VulkanError::InvalidArgument { .. })), "{i}: {error:?}");
    }
    let huge = Buffer::new(&gpu, Role::DeviceLocal, 1 << 50, "huge");
    assert!(huge.is_err());
    drop((gpu, buffer, pipeline, set));
    let none = Gpu::open(&OpenOptions { device: Some("no such card".into()), validation: false });
    assert!(matches!(none, Err(VulkanError::NoDevice { .. })), "{none:?}");
    let first = Gpu::open(&OpenOptions { device: Some("0".into()), validation: false });
    assert!(first.is_ok(), "{first:?}");
}

/// What an application would bring along.
struct Own {
    instance: ringfence::vulkan::ash::Instance,
    device: ringfence::vulkan::ash::Device,
    /// Keeps the loader, whose code destroys the others, in memory.
    entry: ringfence::vulkan::ash::Entry,
}

impl Drop for Own {
    fn drop(&mut self) {
        // SAFETY: made by the test, which dropped all that was made from them.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}

#[test]
fn a_callers_device_is_adopted_and_left_alone() {
    use std::sync::atomic::{AtomicU32, Ordering};

    use ringfence::vulkan::ash::{self, vk};
    use ringfence::vulkan::{Adopted, AdoptedExtensions, QueueLock};

    #[derive(Default)]
    struct Counting(std::sync::Mutex<()>, AtomicU32);
    impl QueueLock for Counting {
        fn with(&self, work: &mut dyn FnMut()) {
            let _guard = self.0.lock().unwrap();
            self.1.fetch_add(1, Ordering::Relaxed);
            work();
        }
    }

    // SAFETY: plain set-up; each structure lives as long as the call that it is for.
    let (physical, own) = unsafe {
        let entry = ash::Entry::load().unwrap();
        let app = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_2);
        let info = vk::InstanceCreateInfo::default().application_info(&app);
        let instance = entry.create_instance(&info, None).unwrap();
        let physical = instance.enumerate_physical_devices().unwrap()[0];
        let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
        let mut features = vk::PhysicalDeviceVulkan12Features::default()
            .timeline_semaphore(true)
            .vulkan_memory_model(true)
            .vulkan_memory_model_device_scope(true)
            .buffer_device_address(true);
        let info = vk::DeviceCreateInfo::default().queue_create_infos(&queues).push_next(&mut features);
        let device = instance.create_device(physical, &info, None).unwrap();
        (physical, Own { instance, device, entry })
    };
    let lock = Arc::new(Counting::default());
    // SAFETY: created above with what `adopt` asks for, and destroyed after all that comes from it.
    let gpu = unsafe {
        Gpu::adopt(Adopted {
            entry: own.entry.clone(),
            instance: own.instance.clone(),
            physical_device: physical,
            device: own.device.clone(),
            queue_family: 0,
            queue: own.device.get_device_queue(0, 0),
            queue_lock: Some(lock.clone()),
            extensions: AdoptedExtensions::default(),
        })
    }
    .unwrap();
    assert_eq!(gpu.info().import_alignment, None, "not enabled, so not there");
    assert_eq!(gpu.info().import_device_local, None);
    let from = Buffer::new(&gpu, Role::HostToDevice, 4096, "from").unwrap();
    let to = Buffer::new(&gpu, Role::DeviceToHost, 4096 + 4, "to").unwrap();
    run(&gpu, &from, &to, 1024, 77);
    assert!(to.words().unwrap()[..1024].iter().all(|word| word.load(Relaxed) == 77));
    assert!(lock.1.load(Ordering::Relaxed) > 0, "submissions hold the caller's lock");
    drop((gpu, from, to));
    // SAFETY: the device is still there.
    unsafe { own.device.device_wait_idle() }.unwrap();
    drop(own);
}
