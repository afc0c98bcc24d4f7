//! Both transfer engines, on files of all kinds: each case runs with io_uring and with threads,
//! through the page cache and past it.

mod cached;
mod limits;
mod odd_files;
#[path = "../support/process.rs"]
mod process;
mod random;
mod rig;
