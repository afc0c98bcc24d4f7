//! What can go wrong with a runtime, and what to do about it.

use crate::kernel::LinkError;
use crate::vulkan::VulkanError;

/// An error of the runtime. Cheap to clone: every waiter gets the same one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The device went away. Slots that had not ended are FAULT `DEVICE_LOST`.
    #[error("the device was lost ({0}); build a new runtime, and see the system log for the driver's reason")]
    DeviceLost(String),
    /// A dispatch neither ended nor answered for longer than the runtime's patience.
    #[error(
        "the kernel has not answered for {0:?}; the driver hangs: build a new runtime, with Mode::Epoch if it comes again"
    )]
    Stalled(std::time::Duration),
    /// A SHUTDOWN slot was submitted, or the runtime was dropped.
    #[error("the runtime is shut down and takes no more slots; build a new one")]
    ShutDown,
    /// No slot is free, and the caller asked not to wait.
    #[error(
        "all {slots} slots of priority level {level} are in use; wait for a job, or give the level more slots with RuntimeBuilder::slots or level_slots"
    )]
    Full {
        /// The priority level, 0 to 4.
        level: u32,
        /// Slots that it may hold.
        slots: u32,
    },
    /// A ring has as many slots in flight as it may.
    #[error("all {depth} slots of the ring are in flight; reap some, or make the ring deeper")]
    RingFull {
        /// Its depth.
        depth: usize,
    },
    /// A batch that can never fit.
    #[error(
        "a batch with {count} slots of priority level {level}, its fence among them if that is its own, does not fit into the {slots} that the level may hold; split it, or give the level more with RuntimeBuilder::slots or level_slots"
    )]
    BatchTooLarge {
        /// The priority level, 0 to 4.
        level: u32,
        /// Slots of the batch at that level, with its fence.
        count: u32,
        /// Slots that the level may hold.
        slots: u32,
    },
    /// An option of the builder is out of range.
    #[error("{option} = {value} is out of range; it takes {takes}")]
    BadOption {
        /// The option's name.
        option: &'static str,
        /// What was asked for.
        value: u64,
        /// What it accepts.
        takes: &'static str,
    },
    /// A handler that cannot be linked.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A table of OP_SCAN that leads out of itself.
    #[error(
        "entry {at} of the table is {entry:#x}, which is not the start of one of its {rows} rows, or leads out of the row for matches; build tables with scan::table"
    )]
    BadTable {
        /// Index of the entry, in words.
        at: usize,
        /// The entry.
        entry: u32,
        /// Whole rows of the table.
        rows: usize,
    },
    /// All places for tenants are taken.
    #[error(
        "all {most} places for tenants are taken; drop some and let their slots end, or build the runtime with more RuntimeBuilder::tenants"
    )]
    NoTenant {
        /// How many there are besides the system's.
        most: u32,
    },
    /// No words are left for a tenant's window.
    #[error(
        "no {words} words in one piece for a window; drop tenants, or build the runtime with more RuntimeBuilder::tenant_words"
    )]
    NoWindow {
        /// What was asked for.
        words: u32,
    },
    /// A tenant has as many slots on their way as it may.
    #[error(
        "the tenant has {slots} slots on their way, as many as it may; wait for a job, or open it with more TenantBuilder::slots"
    )]
    TenantFull {
        /// How many it may have.
        slots: u32,
    },
    /// The tenant was revoked.
    #[error("the tenant was revoked and takes no more slots; open another")]
    Revoked,
    /// The runtime was built without storage.
    #[error("this runtime serves no storage; build it with RuntimeBuilder::storage")]
    NoStorage,
    /// No memory of transfers is left.
    #[error(
        "no {bytes} bytes of memory for transfers in one piece, the largest has {left}; drop some, or build the runtime with more StorageOptions::memory_bytes"
    )]
    NoMemory {
        /// What was asked for.
        bytes: usize,
        /// Bytes that are free, in pieces.
        left: usize,
    },
    /// A driver ends loops so early that no claim fits.
    #[error(
        "{device} ends a worker's loops after {limit} turns, and a claim of a kernel of {loops} loops may need {least}; choose another device"
    )]
    LoopLimit {
        /// The device.
        device: String,
        /// Its limit.
        limit: u32,
        /// Loops of the kernel.
        loops: u32,
        /// Turns that a worker needs.
        least: u32,
    },
    /// A kernel whose operations publish slots, for a runtime without slots for these.
    #[error(
        "the kernel has operations that publish slots, and the runtime has no slots for those; build it with a kernel that publishes, or with UNFOLD"
    )]
    NoChildSlots,
    /// The resource table is full.
    #[error("all {0} resource handles are in use; drop tables or arenas first")]
    NoHandle(u32),
    /// Vulkan refused.
    #[error(transparent)]
    Vulkan(std::sync::Arc<VulkanError>),
    /// A host-side thread could not be started, or the like.
    #[error("{what}: {error}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        error: String,
    },
}

/// The errno of an error, EIO where it has none.
pub(crate) fn errno(error: &std::io::Error) -> u16 {
    const EIO: u16 = 5;
    error.raw_os_error().and_then(|errno| u16::try_from(errno).ok()).unwrap_or(EIO)
}

impl From<VulkanError> for RuntimeError {
    fn from(e: VulkanError) -> Self {
        match e {
            VulkanError::DeviceLost => Self::DeviceLost(e.to_string()),
            e => Self::Vulkan(std::sync::Arc::new(e)),
        }
    }
}
