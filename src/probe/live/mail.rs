//! The buffers that messages and answers lie in, laid out as `glsl/probe/live.comp` says.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::probe::lanes::mapped;
use crate::vulkan::{Buffer, Gpu, Result, Role, fence};

/// Messages under way at most.
pub(super) const ENTRIES: u32 = 16;
const ENTRY_WORDS: u32 = 32;
const PAYLOAD: u32 = 16;
const PAYLOAD_WORDS: u32 = 16;
const WORDS: u64 = (ENTRY_WORDS * (1 + ENTRIES)) as u64;
/// Words of the kernel's own state.
pub(super) const STATE_WORDS: u64 = 8;

/// Whether other messages are under way.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Any = 0,
    /// None other is under way.
    Alone = 1,
}

/// What the kernel is to do besides answering.
#[derive(Clone, Copy)]
pub(super) enum Command {
    Nothing = 0,
    Leave = 1,
    /// Each lane stores a vector of four equal words, a new one each turn.
    Stream = 2,
}

pub(super) struct Mail {
    pub(super) inbox: Buffer,
    pub(super) outbox: Buffer,
    pub(super) cells: Buffer,
    pub(super) state: Buffer,
    /// A copy of `state` for the host.
    pub(super) state_copy: Buffer,
}

impl Mail {
    pub(super) fn new(gpu: &Arc<Gpu>) -> Result<Self> {
        let buffer = |role, words: u64, label| Buffer::new(gpu, role, words * 4, label);
        let lanes = gpu.info().subgroup_size;
        let mail = Self {
            inbox: buffer(Role::HostToDevice, WORDS, "probe: inbox")?,
            outbox: buffer(Role::DeviceToHost, WORDS, "probe: outbox")?,
            cells: buffer(Role::DeviceToHost, u64::from(lanes * 4), "probe: cells")?,
            state: buffer(Role::DeviceLocal, STATE_WORDS, "probe: state")?,
            state_copy: buffer(Role::DeviceToHost, STATE_WORDS, "probe: state copy")?,
        };
        for buffer in [&mail.inbox, &mail.outbox, &mail.cells, &mail.state_copy] {
            mapped(buffer)?;
        }
        Ok(mail)
    }

    /// Stores payload, then flag, with the fence that publication is to use.
    pub(super) fn publish(&self, message: u32, kind: Kind) {
        let at = entry(message);
        word(&self.inbox, at + 1).store(kind as u32, Relaxed);
        for i in 0..PAYLOAD_WORDS {
            word(&self.inbox, at + PAYLOAD + i).store(payload(message, i), Relaxed);
        }
        fence::publish(self.inbox.is_write_combined());
        self.flag(message);
    }

    /// Stores the flag alone.
    pub(super) fn flag(&self, message: u32) {
        word(&self.inbox, entry(message)).store(message, Release);
    }

    pub(super) fn is_answered(&self, message: u32) -> bool {
        word(&self.outbox, entry(message)).load(Acquire) == message
    }

    pub(super) fn result_is_right(&self, message: u32) -> bool {
        let at = entry(message) + PAYLOAD;
        (0..PAYLOAD_WORDS).all(|i| word(&self.outbox, at + i).load(Relaxed) == !payload(message, i))
    }

    /// The vector of a lane, all of it at one instant; None where the host has no such load.
    pub(super) fn vector(&self, lane: u32) -> Option<[u32; 4]> {
        let at = 4 * lane as usize;
        self.cells.words()?.get(at..at + 4).and_then(load_at_once)
    }

    pub(super) fn heartbeat(&self) -> u32 {
        word(&self.outbox, 0).load(Acquire)
    }

    pub(super) fn command(&self, command: Command) {
        word(&self.inbox, 0).store(command as u32, Release);
        // Nothing follows that would push it out of a write-combining buffer.
        fence::publish(self.inbox.is_write_combined());
    }
}

fn entry(message: u32) -> u32 {
    ENTRY_WORDS * (1 + message % ENTRIES)
}

fn payload(message: u32, i: u32) -> u32 {
    message.wrapping_mul(0x9E37_79B1).wrapping_add(i.wrapping_mul(0x85EB_CA6B))
}

/// A word of a buffer that was found to be mapped, at an index below its size; a word that nobody
/// reads otherwise.
fn word(buffer: &Buffer, index: u32) -> &AtomicU32 {
    static NOWHERE: AtomicU32 = AtomicU32::new(0);
    buffer.words().and_then(|words| words.get(index as usize)).unwrap_or(&NOWHERE)
}

/// Loads four words, aligned to 16 bytes, in one access.
#[cfg(target_arch = "x86_64")]
fn load_at_once(words: &[AtomicU32]) -> Option<[u32; 4]> {
    use std::arch::x86_64::{__m128i, _mm_setzero_si128, _mm_storeu_si128};

    let pointer = words.as_ptr();
    if words.len() != 4 || !pointer.cast::<__m128i>().is_aligned() || !is_x86_feature_detected!("avx") {
        return None; // only processors with AVX promise that 16 bytes are read at one instant
    }
    let mut out = [0; 4];
    // SAFETY: reads the 16 bytes of `words`, aligned. Assembly, since the device may write them
    // meanwhile: to the compiler it is as if another thread had read them atomically.
    unsafe {
        let mut loaded = _mm_setzero_si128();
        std::arch::asm!("movdqa {x}, [{p}]", x = inout(xmm_reg) loaded, p = in(reg) pointer,
            options(nostack, preserves_flags, readonly));
        _mm_storeu_si128(out.as_mut_ptr().cast(), loaded);
    }
    Some(out)
}

/// Loads four words in one access: nothing that every processor of this kind can do.
#[cfg(not(target_arch = "x86_64"))]
fn load_at_once(_words: &[AtomicU32]) -> Option<[u32; 4]> {
    None
}
