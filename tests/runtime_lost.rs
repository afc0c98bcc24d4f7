//! A lost device, and a kernel that no longer answers, as every waiter sees them: an error, never a hang.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use ringfence::descriptor::{BatchDescriptor, EncodeSlot, SlotDescriptor};
use ringfence::runtime::{Mode, Outcome, Runtime, RuntimeError, SubmitError};
use ringfence::vulkan::{Gpu, VulkanError};
use support::{MODES, PATIENCE, assert_silent, own_gpu};

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(std::thread::current())).into();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park_timeout(PATIENCE);
    }
}

fn runtime(gpu: &Arc<Gpu>, mode: Mode, slots: u32) -> Runtime {
    Runtime::builder().gpu(gpu.clone()).mode(mode).slots(slots).patience(PATIENCE).build().expect("a runtime")
}

fn lost(e: &RuntimeError) -> bool {
    matches!(e, RuntimeError::DeviceLost(_))
        || matches!(e, RuntimeError::Vulkan(e) if matches!(**e, VulkanError::DeviceLost))
}

fn submit_lost(e: &SubmitError) -> bool {
    matches!(e, SubmitError::Runtime(e) if lost(e))
}

/// Every way to wait, called after the loss.
#[test]
fn every_call_after_a_loss_says_so() {
    for mode in MODES {
        let gpu = own_gpu();
        let runtime = runtime(&gpu, mode, 64);
        let warm = runtime.submit(&SlotDescriptor::nop()).expect("taken");
        assert_eq!(warm.wait().expect("well").result(), Some(0));
        let mut ring = runtime.ring(8).expect("a ring");
        let words = SlotDescriptor::nop().encode().expect("a slot");
        let before = runtime.submit_batch(&BatchDescriptor::new(Vec::new(), 0)).expect("taken");
        gpu.inject_loss();

        // What is published next may still be taken, and what an injected loss leaves running may even
        // answer, until the launcher finds out.
        let error = loop {
            match runtime.submit(&SlotDescriptor::nop()) {
                Ok(job) => {
                    let Err(error) = job.wait() else { continue };
                    let again = job.wait_timeout(PATIENCE).expect_err("a lost device");
                    assert!(lost(&error) && lost(&again), "{mode}: {error}, {again}");
                    let again = block_on(job).expect_err("a lost device");
                    assert!(lost(&again), "{mode}: {again}");
                }
                Err(error) => break error,
            }
        };
        assert!(submit_lost(&error), "{mode}: {error}");
        assert!(runtime.submit(&SlotDescriptor::nop()).is_err_and(|e| submit_lost(&e)), "{mode}");
        assert!(runtime.try_submit(&SlotDescriptor::nop()).is_err_and(|e| submit_lost(&e)), "{mode}");
        let batch = BatchDescriptor::new(vec![SlotDescriptor::nop()], 0);
        assert!(runtime.submit_batch(&batch).is_err_and(|e| submit_lost(&e)), "{mode}");
        // SAFETY: no command buffers.
        let following = unsafe { runtime.submit_after(&before, &[]) };
        assert!(following.is_err_and(|e| lost(&e)), "{mode}");
        assert!(runtime.control().is_err_and(|e| lost(&e)), "{mode}");
        assert!(runtime.switch_mode(Mode::Epoch).is_err_and(|e| lost(&e)), "{mode}");
        assert!(runtime.table(&[0]).is_err_and(|e| lost(&e)), "{mode}");
        let refused = ring.push(&words, 1).and_then(|()| ring.flush());
        assert!(refused.is_err_and(|e| lost(&e)), "{mode}");
        let mut ended = Vec::new();
        let error = loop {
            match ring.wait(PATIENCE, |_, outcome| ended.push(outcome)) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(e) => break Some(e),
            }
        };
        assert!(error.is_none_or(|e| lost(&e)), "{mode}");
        assert!(ended.iter().all(|o| *o == Outcome::DEVICE_LOST), "{mode}: {ended:?}");
        assert!(runtime.wait_idle(PATIENCE));
        drop((ring, runtime));
    }
    assert_silent();
}

/// A waiter of each kind blocks in a thread of its own, on a slab of slots that the kernel never ends
/// (an endless stream of work), and is freed by the loss.
#[test]
fn every_blocked_waiter_is_freed() {
    for mode in MODES {
        let gpu = own_gpu();
        let runtime = runtime(&gpu, mode, 256);
        let warm = runtime.submit(&SlotDescriptor::nop()).expect("taken");
        let _ = warm.wait().expect("well");
        let (told, tells) = mpsc::channel::<(&str, bool)>();
        let words = SlotDescriptor::nop().encode().expect("a slot");
        std::thread::scope(|scope| {
            // Each goes round until it meets the loss, so that it is in its wait at that moment or
            // right before or behind it.
            let spawn = |what: &'static str, mut once: Box<dyn FnMut() -> bool + Send>| {
                let told = told.clone();
                scope.spawn(move || {
                    while !once() {}
                    told.send((what, true)).expect("the test listens");
                });
            };
            let r = &runtime;
            let nop = SlotDescriptor::nop;
            let r1 = r.clone();
            spawn(
                "wait",
                Box::new(move || match r1.submit(&nop()) {
                    Ok(job) => job.wait().is_err_and(|e| lost(&e)),
                    Err(e) => submit_lost(&e),
                }),
            );
            let r2 = r.clone();
            spawn(
                "wait_timeout",
                Box::new(move || match r2.submit(&nop()) {
                    Ok(job) => job.wait_timeout(PATIENCE).is_err_and(|e| lost(&e)),
                    Err(e) => submit_lost(&e),
                }),
            );
            let r3 = r.clone();
            spawn(
                "future",
                Box::new(move || match r3.submit(&nop()) {
                    Ok(job) => block_on(job).is_err_and(|e| lost(&e)),
                    Err(e) => submit_lost(&e),
                }),
            );
            let r4 = r.clone();
            spawn(
                "batch",
                Box::new(move || match r4.submit_batch(&BatchDescriptor::new(vec![nop(); 20], 0)) {
                    Ok(batch) => batch.wait().is_err_and(|e| lost(&e)),
                    Err(e) => submit_lost(&e),
                }),
            );
            let r5 = r.clone();
            let mut ring = r.ring(16).expect("a ring");
            spawn(
                "ring",
                Box::new(move || {
                    while ring.room() > 0 {
                        match ring.push(&words, 0) {
                            Ok(()) => {}
                            Err(RuntimeError::Full { .. } | RuntimeError::RingFull { .. }) => break,
                            Err(e) => return lost(&e),
                        }
                    }
                    if let Err(e) = ring.flush() {
                        return lost(&e);
                    }
                    ring.wait(PATIENCE, |_, _| ()).is_err_and(|e| lost(&e))
                }),
            );
            spawn(
                "following",
                Box::new(move || {
                    match r5.submit_batch(&BatchDescriptor::new(Vec::new(), 0)) {
                        // SAFETY: no command buffers.
                        Ok(batch) => match unsafe { r5.submit_after(&batch, &[]) } {
                            Ok(following) => following.wait(PATIENCE).is_err_and(|e| lost(&e)),
                            Err(e) => lost(&e),
                        },
                        Err(e) => submit_lost(&e),
                    }
                }),
            );
            let r6 = r.clone();
            spawn(
                "control",
                Box::new(move || {
                    std::thread::sleep(Duration::from_millis(3));
                    r6.control().is_err_and(|e| lost(&e))
                }),
            );
            std::thread::sleep(Duration::from_millis(150));
            gpu.inject_loss();
            drop(told);
            let mut freed = Vec::new();
            for _ in 0..7 {
                match tells.recv_timeout(PATIENCE) {
                    Ok((what, _)) => freed.push(what),
                    Err(e) => {
                        eprintln!("{mode}: only {freed:?} were freed: {e}");
                        std::process::abort();
                    }
                }
            }
        });
        drop(runtime);
    }
    assert_silent();
}

/// Publishes nothing that ends: in live mode a kernel that does not run is simulated by a device that
/// is lost before its first dispatch.
#[test]
fn an_idle_runtime_with_a_lost_device_can_be_dropped() {
    for mode in MODES {
        let gpu = own_gpu();
        let runtime = runtime(&gpu, mode, 16);
        gpu.inject_loss();
        drop(runtime);
    }
    assert_silent();
}
