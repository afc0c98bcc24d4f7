//! One io_uring as the engine uses it: set-up with what the kernel has, registration, and the calls.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::{IoUring, Probe, opcode, squeue, types};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Arena, Description, TransferOptions, explain};

/// Registered files at most, where the descriptor limit allows.
const FILES: u64 = 2048;
/// A kernel thread that found nothing to do for so long sleeps, in milliseconds.
const SQPOLL_IDLE_MS: u32 = 2;

/// A ring, and what is registered with it.
pub(super) struct Ring {
    raw: IoUring,
    /// Set up disabled: the thread that enables it is the one that it belongs to.
    asleep: bool,
    /// Whether the arenas are registered, as buffers with their numbers.
    pub(super) fixed_buffers: bool,
    /// Size of the table of registered files.
    pub(super) files: u32,
    /// Pushed and not answered.
    pub(super) in_kernel: usize,
}

/// How completions are delivered, the best first.
#[derive(Clone, Copy, PartialEq)]
enum Delivery {
    /// When this thread asks for them (Linux 6.1): no interrupts of what it does, no locks.
    Deferred,
    /// With this thread's next system call (5.19).
    Cooperative,
    /// At once, interrupting it.
    Plain,
}

impl Ring {
    /// A ring; with `polled` one that polls for direct transfers, and can do no others.
    pub(super) fn new(
        options: &TransferOptions,
        polled: bool,
        arenas: &[Arc<Arena>],
        description: &mut Description,
    ) -> io::Result<Self> {
        let (raw, asleep) = set_up(options, polled, description)?;
        let mut probe = Probe::new();
        raw.submitter().register_probe(&mut probe)?;
        let needed =
            [opcode::Read::CODE, opcode::Write::CODE, opcode::ReadFixed::CODE, opcode::WriteFixed::CODE];
        if !needed.into_iter().all(|code| probe.is_supported(code)) {
            let error = "this kernel's io_uring is too old to read and write";
            return Err(io::Error::new(io::ErrorKind::Unsupported, error));
        }
        let fixed_buffers = register_buffers(&raw, arenas)
            .inspect_err(|error| description.note(format!("arenas not registered: {}", explain(error))))
            .is_ok();
        let files = register_table(&raw)
            .inspect_err(|error| description.note(format!("files not registered: {error}")))
            .unwrap_or(0);
        Ok(Self { raw, asleep, fixed_buffers, files, in_kernel: 0 })
    }

    /// Fills a place in the table of files, or empties it. True if it worked; else the kernel looks
    /// the descriptor up for each transfer.
    pub(super) fn set_file(&self, place: u32, fd: Option<RawFd>) -> bool {
        place < self.files && self.raw.submitter().register_files_update(place, &[fd.unwrap_or(-1)]).is_ok()
    }

    /// Queues an entry; false if the submission queue is full.
    ///
    /// # Safety
    ///
    /// What the entry points to stays valid, and its memory unused by others, until its completion
    /// has been taken.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: what the kernel reads or writes is valid by this function's contract.
        let pushed = unsafe { self.raw.submission().push(entry) }.is_ok();
        self.in_kernel += usize::from(pushed);
        pushed
    }

    /// Tells the kernel of what was pushed, if there is anything to tell, and lets it deliver
    /// completions. Does not wait for any.
    pub(super) fn tell(&mut self) -> io::Result<()> {
        let polled = self.raw.params().is_setup_iopoll() && self.in_kernel > 0;
        let queue = self.raw.submission();
        let needed = polled || !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        if needed {
            self.wake()?;
            passable(self.raw.submit())?;
        }
        Ok(())
    }

    /// As [`Ring::tell`], and waits for a completion until `deadline`, or less.
    pub(super) fn tell_and_wait(&mut self, deadline: Instant) -> io::Result<()> {
        self.wake()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return self.tell();
        }
        if self.raw.params().is_feature_ext_arg() {
            let time = types::Timespec::from(left);
            let args = types::SubmitArgs::new().timespec(&time);
            return passable(self.raw.submitter().submit_with_args(1, &args));
        }
        self.tell()?;
        if self.raw.completion().is_empty() {
            let time =
                Timespec { tv_sec: left.as_secs().min(3600) as _, tv_nsec: left.subsec_nanos().into() };
            // SAFETY: the ring keeps its descriptor open, and is borrowed for longer than this.
            let ring = unsafe { BorrowedFd::borrow_raw(self.raw.as_raw_fd()) };
            let ready = poll(&mut [PollFd::new(&ring, PollFlags::IN)], Some(&time));
            passable(ready.map_err(io::Error::from))?;
        }
        Ok(())
    }

    /// Takes a completion, if one is there: its number and result.
    #[inline]
    pub(super) fn take(&mut self) -> Option<(u64, i32)> {
        let entry = self.raw.completion().next()?;
        self.in_kernel -= 1;
        Some((entry.user_data(), entry.result()))
    }

    fn wake(&mut self) -> io::Result<()> {
        if self.asleep {
            self.raw.submitter().register_enable_rings()?;
            self.asleep = false;
        }
        Ok(())
    }
}

/// Takes away errors after which one goes on: taking completions, and asking again.
fn passable<T>(result: io::Result<T>) -> io::Result<()> {
    match result.as_ref().err().and_then(io::Error::raw_os_error) {
        // A signal; the time is over; a full completion queue.
        Some(libc::EINTR | libc::ETIME | libc::EBUSY) => Ok(()),
        // No memory for requests at the moment: not at once again.
        Some(libc::EAGAIN) => {
            std::thread::sleep(Duration::from_micros(50));
            Ok(())
        }
        Some(libc::EEXIST) => {
            Err(io::Error::other("this io_uring belongs to another thread, which polled it first"))
        }
        _ => result.map(drop),
    }
}

fn set_up(
    options: &TransferOptions,
    polled: bool,
    description: &mut Description,
) -> io::Result<(IoUring, bool)> {
    if options.sqpoll {
        match build(options, polled, true, Delivery::Plain) {
            // Before 5.11 such a thread knows registered files only, and not everybody may start it.
            Ok(raw) if raw.params().is_feature_sqpoll_nonfixed() => return Ok((raw, false)),
            Ok(_) => description.note("no SQPOLL: this kernel is too old".to_owned()),
            Err(error) => description.note(format!("no SQPOLL: {error}")),
        }
    }
    let wanted = [Delivery::Deferred, Delivery::Cooperative];
    for delivery in wanted.into_iter().skip(usize::from(!options.one_thread)) {
        match build(options, polled, false, delivery) {
            Ok(raw) => return Ok((raw, delivery == Delivery::Deferred)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => return Err(error),
        }
    }
    let raw = build(options, polled, false, Delivery::Plain)?;
    description.note("no DEFER_TASKRUN: this kernel is too old".to_owned());
    Ok((raw, false))
}

fn build(options: &TransferOptions, polled: bool, sqpoll: bool, delivery: Delivery) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    match delivery {
        Delivery::Deferred => {
            builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().setup_r_disabled();
        }
        Delivery::Cooperative => {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        Delivery::Plain => {}
    }
    if sqpoll {
        builder.setup_sqpoll(SQPOLL_IDLE_MS);
    }
    if polled {
        builder.setup_iopoll();
    }
    builder.build(options.entries)
}

fn register_buffers(raw: &IoUring, arenas: &[Arc<Arena>]) -> io::Result<()> {
    if arenas.is_empty() {
        return Ok(());
    }
    let all: Vec<libc::iovec> = arenas
        .iter()
        .map(|arena| libc::iovec { iov_base: arena.as_ptr().cast(), iov_len: arena.len() })
        .collect();
    // SAFETY: the engine keeps the arenas, which stay where they are, until the ring has gone.
    unsafe { raw.submitter().register_buffers(&all) }
}

/// An empty table of files; its size is limited by the number of descriptors that may be open.
fn register_table(raw: &IoUring) -> io::Result<u32> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let size = limit.unwrap_or(FILES).min(FILES) as u32;
    if raw.submitter().register_files_sparse(size).is_err() {
        // Before 5.19.
        raw.submitter().register_files(&vec![-1; size as usize])?;
    }
    Ok(size)
}
