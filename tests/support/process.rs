//! Tests that lower a limit of their process, and so need one of their own.

use std::process::Command;

/// Runs an ignored test of this program, by its path, in a process of its own.
pub fn child(test: &str) {
    let out = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .output()
        .expect("the test runs");
    let text = String::from_utf8_lossy(&out.stdout);
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}{errors}");
}

/// From here on this thread, and those that it starts, may not set up an io_uring: EPERM.
#[cfg(target_os = "linux")]
pub fn forbid_io_uring() {
    let (load, equal, give) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET,
    );
    let step = |code: u32, k: u32, jf: u8| libc::sock_filter { code: code as u16, jt: 0, jf, k };
    // The number of the system call is the first word that a filter sees.
    let mut steps = [
        step(load, 0, 0),
        step(equal, libc::SYS_io_uring_setup as u32, 1),
        step(give, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0),
        step(give, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the program outlives the call, which copies it; it concerns this process alone.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program)
    };
    assert_eq!(result, 0);
}

/// From here on this thread, and those that it starts, may lock so much memory and no more, even as root.
pub fn limit_locked_memory(current: u64, maximum: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Root may lock what it likes.
    let mut sets = rustix::thread::capabilities(None).expect("this thread's");
    sets.effective.remove(rustix::thread::CapabilitySet::IPC_LOCK);
    rustix::thread::set_capabilities(None, sets).expect("fewer are allowed");
    let limit = Rlimit { current: Some(current), maximum: Some(maximum) };
    setrlimit(Resource::Memlock, limit).expect("less is allowed");
}

/// From here on this process can open nothing more.
pub fn forbid_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum }).expect("less is allowed");
}
