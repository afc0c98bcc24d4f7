//! Every constant that the host and the kernel share, defined once.
//!
//! `abi!` turns a table into public Rust constants and into a list that `tools/spirv` renders as
//! `glsl/abi.glsl`. The build script reads this same file and refuses to build while the GLSL
//! beside it says something else, so the two sides cannot drift apart.
//!
//! This file stands alone on purpose: `build.rs` includes it as a module of its own.

macro_rules! abi {
    ($list:ident: $($(#[$meta:meta])* $name:ident = $value:expr;)*) => {
        $($(#[$meta])* pub const $name: u32 = $value;)*
        /// The constants of this table by name, in order, for the renderer of `glsl/abi.glsl`.
        pub const $list: &[(&str, u32)] = &[$((stringify!($name), $name)),*];
    };
}

/// Slot layout: 16 words, 64 bytes, one cache line (PROTOCOL section 1).
pub mod slot {
    abi! { ABI:
        /// Words in a slot.
        SLOT_WORDS = 16;
        /// Life-cycle state.
        STATUS_WORD = 0;
        /// Opcode.
        OPCODE_WORD = 1;
        /// Tenant id; advisory.
        TENANT_WORD = 2;
        /// Priority level, 0..=4.
        PRIORITY_WORD = 3;
        /// First of the argument words.
        ARG0_WORD = 4;
        /// Argument words in a slot.
        ARGS_PER_SLOT = 12;
        /// Largest ring that an index in words can address.
        MAX_RING_SLOTS = u32::MAX / 16;
        /// Largest ring that the allocating encoder builds.
        MAX_ENCODED_RING_SLOTS = 1_048_576;
        /// Smallest live ring.
        MIN_LIVE_RING_SLOTS = 16;
        /// Free.
        STATUS_EMPTY = 0;
        /// Handed to the device.
        STATUS_PUBLISHED = 1;
        /// One worker won it.
        STATUS_CLAIMED = 2;
        /// Executed.
        STATUS_DONE = 3;
        /// Waits for an IO answer.
        STATUS_WAIT_IO = 4;
        /// Its turn is spent.
        STATUS_YIELD = 5;
        /// Put back: no credits.
        STATUS_REQUEUE = 6;
        /// Refused or failed.
        STATUS_FAULT = 7;
        /// Priority levels, highest first.
        PRIORITY_CRITICAL = 0;
        /// Second level.
        PRIORITY_HIGH = 1;
        /// The default level.
        PRIORITY_NORMAL = 2;
        /// Fourth level.
        PRIORITY_LOW = 3;
        /// Last level.
        PRIORITY_IDLE = 4;
        /// Number of levels.
        PRIORITY_LEVELS = 5;
    }
}

/// Control buffer word indices (PROTOCOL section 2).
pub mod control {
    abi! { ABI:
        /// Non-zero: workers take no new slot and leave.
        SHUTDOWN = 0;
        /// Slots that reached DONE.
        DONE_COUNT = 1;
        /// Word index of the mask table.
        TENANT_BASE = 2;
        /// Where the mask table lies by default.
        DEFAULT_TENANT_TABLE = 3;
        /// Entries of the default mask table.
        DEFAULT_TENANT_COUNT = 29;
        /// Credits left per tenant.
        TENANT_QUOTA_BASE = 32;
        /// Slots ended per tenant.
        TENANT_FAIRNESS_BASE = 64;
        /// Entries of the fairness table.
        TENANT_FAIRNESS_WORDS = 32;
        /// Executions per opcode.
        METRICS_BASE = 96;
        /// Entries of the metrics table.
        METRICS_WORDS = 32;
        /// Completed batch fences.
        EPOCH = 128;
        /// Partition of the slab by level, with end sentinel.
        PRIORITY_OFFSETS_BASE = 129;
        /// Entries of the partition.
        PRIORITY_OFFSETS_WORDS = 6;
        /// Claims at CRITICAL or HIGH since the last claim below them.
        PRIORITY_STARVATION_COUNTER = 135;
        /// Work that is passed over gets at least one in so many claims.
        STARVATION_PERIOD = 16;
        /// Claims per priority.
        PRIORITY_FAIRNESS_BASE = 136;
        /// Entries of the tenant tables.
        TENANT_COUNT = 141;
        /// Word index of the limits.
        LIMIT_BASE = 142;
        /// Word index of the credits.
        QUOTA_BASE = 143;
        /// Word index of the fairness table.
        FAIRNESS_BASE = 144;
        /// Slots that ended in FAULT.
        FAULT_COUNT = 145;
        /// Result words, addressable by slots.
        OBSERVABLE_BASE = 160;
        /// Words of the fixed part.
        CONTROL_MIN_WORDS = 160;
        /// Most observables that the encoder accepts.
        MAX_ENCODED_OBSERVABLE_SLOTS = 1_048_576;
    }
}

/// Opcodes (PROTOCOL section 3).
pub mod opcode {
    abi! { ABI:
        /// Nothing.
        OP_NOP = 0;
        /// `control[a1] = a0`.
        OP_STORE_U32 = 1;
        /// `control[a1] += a0`.
        OP_ATOMIC_ADD = 2;
        /// `observable[a1] = control[a0]`.
        OP_LOAD_U32 = 3;
        /// Compare and swap on a control word.
        OP_COMPARE_SWAP = 4;
        /// Copy of control words.
        OP_MEMCPY = 5;
        /// One step of a byte automaton.
        OP_DFA_STEP = 6;
        /// Completes when its batch has ended.
        OP_BATCH_FENCE = 7;
        /// Asks for bytes.
        OP_LOAD_MISS = 0x0000_FFFD;
        /// Appends a debug record.
        OP_PRINTF = 0x0000_FFFE;
        /// Several inner ops.
        OP_PACKED_SLOT = 0x8000_0001;
        /// Scans a chunk of text with an automaton; a wide opcode.
        OP_SCAN = 0x8000_0010;
        /// CRC32C of a range of bytes; a wide opcode.
        OP_CRC32C = 0x8000_0011;
        /// Sum of a range of words; a wide opcode.
        OP_SUM_WORDS = 0x8000_0012;
        /// Copies a range of words; a wide opcode.
        OP_COPY_RANGE = 0x8000_0013;
        /// Writes a range of memory to a file.
        OP_STORE_RANGE = 0x8000_0020;
        /// Completes when all IO asked before it was answered.
        OP_IO_FENCE = 0x8000_0021;
        /// Asks for bytes, and sums their words once they are there.
        OP_LOAD_SUM = 0x8000_0022;
        /// Publishes slots, and ends when they have.
        OP_UNFOLD = 0x8000_0030;
        /// Drains, then stops the workers.
        OP_SHUTDOWN = 0xFFFF_FFFF;
        /// Opcodes with this bit belong to the system.
        SYSTEM_MASK = 0x8000_0000;
        /// Most words that one MEMCPY moves.
        MEMCPY_MAX_WORDS = 4096;
        /// Entries of a DFA_STEP row.
        DFA_ROW_WORDS = 256;
        /// Most inner ops of a packed slot.
        PACKED_MAX_OPS = 23;
        /// Most slots that an UNFOLD publishes, those of its parts included.
        UNFOLD_MAX = 1_048_576;
        /// Where the fan-out is in a1 of UNFOLD, above the count.
        UNFOLD_FAN_SHIFT = 24;
        /// Slots that an UNFOLD publishes at most before it gives way.
        UNFOLD_TURN = 64;
    }
}

/// Fault codes (PROTOCOL section 1).
pub mod fault {
    abi! { ABI:
        /// No handler.
        FAULT_UNKNOWN_OPCODE = 1;
        /// An operand is out of range; the detail says which argument.
        FAULT_BAD_OPERAND = 2;
        /// Not this tenant's to do.
        FAULT_UNAUTHORIZED = 3;
        /// Malformed packed slot; the detail says which inner op.
        FAULT_BAD_PACKED = 4;
        /// The tenant's limit is 0.
        FAULT_OUT_OF_CREDITS = 5;
        /// The detail is an errno.
        FAULT_IO_ERROR = 6;
        /// Ended before it ran.
        FAULT_CANCELLED = 7;
        /// The device is gone.
        FAULT_DEVICE_LOST = 8;
        /// Detail of BAD_OPERAND: the priority word is above 4.
        DETAIL_PRIORITY = 15;
        /// Detail of BAD_OPERAND: a slot so deep may publish none.
        DETAIL_DEPTH = 14;
        /// Detail of BAD_PACKED: the counts in the header do not fit.
        DETAIL_PACKED_HEADER = 0xFFFF;
        /// First code of user handlers.
        FAULT_USER_BASE = 128;
        /// Last code of user handlers.
        FAULT_USER_LAST = 255;
    }
}

/// Debug log layout (PROTOCOL section 4).
pub mod debug_log {
    abi! { ABI:
        /// Words reserved since the start.
        CURSOR_WORD = 0;
        /// First record.
        RECORDS_BASE = 1;
        /// Words of a record.
        RECORD_WORDS = 4;
        /// Words of a record's stamp, behind all records.
        STAMP_WORDS = 1;
        /// Records by default.
        RECORD_CAPACITY = 64;
        /// Multiplier of a record's number in its stamp.
        STAMP_NUMBER = 0x9E37_79B9;
        /// Added to that.
        STAMP_SEED = 0x7F4A_7C15;
        /// Multiplier of each word in a stamp.
        STAMP_MIX = 0x85EB_CA6B;
    }
}

/// IO queue layout (PROTOCOL section 7).
pub mod io {
    abi! { ABI:
        /// Words of an entry.
        IO_SLOT_WORDS = 8;
        /// Entries by default, and the most.
        IO_SLOT_COUNT = 64;
        /// What is asked for.
        IO_OP_TYPE = 0;
        /// Source capability.
        IO_SRC_HANDLE = 1;
        /// Destination capability.
        IO_DST_HANDLE = 2;
        /// Byte offset into the source, low half.
        IO_OFFSET_LO = 3;
        /// Byte offset into the source, high half.
        IO_OFFSET_HI = 4;
        /// Bytes asked for; on completion what arrived, or the errno.
        IO_BYTE_COUNT = 5;
        /// Slot states, OK or ERROR.
        IO_STATUS = 6;
        /// Caller's tag.
        IO_TAG = 7;
        /// Read.
        IO_READ = 1;
        /// Write.
        IO_WRITE = 2;
        /// Fence.
        IO_FENCE = 3;
        /// Set in the type of a live request that no slot waits for.
        IO_UNATTENDED = 8;
        /// Where the slot that waits lies in the first word of a live request, above the type.
        IO_REQUEST_SLOT_SHIFT = 8;
        /// Words of an answer to a live request: fault code and detail or 0, bytes.
        IO_ANSWER_WORDS = 2;
        /// Ended well.
        IO_STATUS_OK = 0x10;
        /// Ended with an errno.
        IO_STATUS_ERROR = 0x11;
    }
}

/// The live queues (PROTOCOL section 9); `protocol::live` encodes and decodes them.
pub mod live {
    abi! { ABI:
        /// Bits of a queue word below its lap.
        LAP_SHIFT = 24;
        /// The lap itself.
        LAP_MASK = 0xFF;
        /// Slot index in the first word of an entry.
        ENTRY_SLOT_MASK = 0x000F_FFFF;
        /// The slot takes a whole subgroup.
        ENTRY_WIDE = 0x0080_0000;
        /// The slot was claimed before, and is resumed with the host's answer.
        ENTRY_RESUMED = 0x0040_0000;
        /// The device has published the slot, and it was not claimed before.
        ENTRY_FIRST = 0x0020_0000;
        /// Words of a submission entry: lap | wide | slot, lap | batch.
        SUBMISSION_WORDS = 2;
        /// Words of a completion entry: lap | kind | slot, lap | 24 bits.
        COMPLETION_WORDS = 2;
        /// Words that an entry has besides, in an array behind all entries, for results of more than 24
        /// bits: lap | 24 bits, lap | 16 bits. Apart, so that eight short ones share a cache line.
        COMPLETION_LONG_WORDS = 2;
        /// Where the kind of a completion lies in its first word.
        COMPLETION_KIND_SHIFT = 20;
        /// DONE with a result below 2^24, in the second word; the long words are not read.
        COMPLETION_SHORT = 0;
        /// DONE with a 64-bit result in 24 + 24 + 16 bits.
        COMPLETION_LONG = 1;
        /// FAULT: the second word holds the code (8 bits) above the detail (16).
        COMPLETION_FAULT = 2;
        /// Every so many laps all four words are written, so that no word is ever 256 laps old.
        COMPLETION_REFRESH_LAPS = 128;
        /// Host to device: non-zero while workers are to stay.
        COMMAND_RUN = 0;
        /// Host to device: IO requests answered so far.
        COMMAND_IO_ANSWERED = 1;
        /// Host to device: how often the host has changed what tenants may do.
        COMMAND_RECONSIDER = 2;
        /// Host to device: a bit for each level that ever had a slot, and LEVELS_CANCEL.
        COMMAND_LEVELS = 3;
        /// The host wants slots cancelled.
        LEVELS_CANCEL = 0x8000_0000;
        /// Host to device, before SHUTDOWN: how many slots are published in all, it and those with it included.
        COMMAND_CLOSED_AT = 4;
        /// Words of the command line; the submission queues follow.
        COMMAND_WORDS = 16;
        /// Words of a worker's heartbeat line: beats, slot held plus one.
        HEARTBEAT_WORDS = 16;
        /// Workers that have a heartbeat of their own.
        MAX_WORKERS = 256;
        /// Device-local state: position of the next claim from each level's submission queue.
        STATE_HEADS = 0;
        /// Device-local state: completions reserved so far.
        STATE_TAIL = 16;
        /// Device-local state: slot of a SHUTDOWN that drains, plus one.
        STATE_DRAINING = 32;
        /// Device-local state: IO requests made so far.
        STATE_IO_ASKED = 48;
        /// Device-local state: position of the next claim from each ready queue.
        STATE_READY_HEADS = 80;
        /// Device-local state: entries put into each ready queue so far.
        STATE_READY_TAILS = 96;
        /// Device-local state: claims below HIGH since the last one at LOW (low half) and at IDLE (high half).
        STATE_TURNS = 112;
        /// Device-local state: position of the next tenant to be taken from each level's list.
        STATE_LISTED_HEADS = 128;
        /// Device-local state: tenants put into each level's list so far.
        STATE_LISTED_TAILS = 144;
        /// Device-local state: position of the next announcement.
        STATE_ANNOUNCED = 160;
        /// Device-local state: how often all tenants were given credits.
        STATE_REFILLS = 176;
        /// Device-local state: a bit for each level that has nothing but tenants without credits.
        STATE_THROTTLED = 177;
        /// Device-local state: what COMMAND_RECONSIDER was when the lists were last made anew.
        STATE_RECONSIDERED = 178;
        /// Device-local state: which areas for jobs that give way are taken, a bit each.
        STATE_SAVES = 179;
        /// Device-local state: for each level, visits for which a wide slot that was seen there still counts.
        STATE_WIDE = 181;
        /// Device-local state: a counter for each slot that can be a batch's fence; the ready queues follow.
        STATE_BATCHES = 192;
        /// Ready queues: for each level one of slots that go on, and one of slots that wait for room in the
        /// request ring.
        READY_QUEUES = 10;
        /// The first of the latter.
        READY_ASKING = 5;
        /// Words of an entry of a ready queue: lap | flags | slot, lap | batch. Behind them, what slots save.
        READY_WORDS = 2;
        /// Words that a slot may save from one turn to the next.
        SAVED_WORDS = 4;
        /// Areas for what long jobs save when they give way.
        SAVE_AREAS = 64;
        /// Words of an area for all lanes together, and for each lane.
        SAVE_WORDS = 8;
        /// Words of an announcement, host to device: lap | level | tenant, lap | how many entries it published.
        ANNOUNCE_WORDS = 2;
        /// Where the level is in the first.
        ANNOUNCE_LEVEL_SHIFT = 20;
        /// And the tenant.
        ANNOUNCE_TENANT_MASK = 1023;
        /// Tenants at most, the system's own included.
        MAX_TENANTS = 1024;
        /// Words of a tenant's record, host to device.
        TENANT_RECORD_WORDS = 16;
        /// Record: TENANT_ADMITTED, TENANT_PAUSED, TENANT_REVOKED.
        TENANT_FLAGS = 0;
        /// Record: first word of its window of the control buffer.
        TENANT_WINDOW = 1;
        /// Record: one past the last.
        TENANT_WINDOW_END = 2;
        /// Record: a bit for each opcode that it may use, see `protocol::tenant`.
        TENANT_OPCODES = 3;
        /// Record: its part of the largest weight, as a part of ONE_CLAIM.
        TENANT_QUANTUM = 4;
        /// Record: how many slots of its own may go on at a time; at each depth as many that the device has published.
        TENANT_MOST = 5;
        /// One claim, in quanta and deficits.
        ONE_CLAIM = 65_536;
        /// Flag: its slots are executed, if the mask table says so too.
        TENANT_ADMITTED = 1;
        /// Flag: nothing of it is claimed.
        TENANT_PAUSED = 2;
        /// Flag: its slots end as UNAUTHORIZED.
        TENANT_REVOKED = 4;
        /// Bit of the opcodes that have none of their own.
        OPCODES_OTHER = 31;
        /// Words of what the device knows of a tenant: those of each level, and one more.
        TENANT_STATE_WORDS = 32;
        /// Those of a level, one of them spare.
        TENANT_LEVEL_WORDS = 4;
        /// Entries announced and not claimed, and WAITING_OWES and WAITING_HELD. It is in the level's list, or with a
        /// worker, while this is other than 0, but for WAITING_HELD.
        TENANT_WAITING = 0;
        /// Entries claimed so far.
        TENANT_CLAIMED = 1;
        /// What it may claim beyond its quantum, in parts of ONE_CLAIM.
        TENANT_DEFICIT = 2;
        /// Flag: its children have claimed more than it may owe; visits are to pay for some.
        WAITING_OWES = 1 << 30;
        /// Flag: it is paused, and in no list.
        WAITING_HELD = 1 << 31;
        /// Behind the levels: STATE_REFILLS when it was last given credits.
        TENANT_REFILLED = 20;
        /// Claims of each level that slots published by the device had, and that it has not paid with its quanta.
        TENANT_DEBTS = 21;
        /// Slots of its own that the device has published and that have not ended, at each depth.
        TENANT_CHILDREN = 26;
        /// Slots of its own, the host's, that were claimed and are to go on.
        TENANT_PENDING = 30;
        /// For so many visits of a list the other tenants claim as slowly as one that has wide slots.
        WIDE_VISITS = 64;
        /// How deep slots that publish slots may be nested: the host's are at depth 0, and the deepest publish none.
        CHILD_DEPTHS = 4;
        /// Words of the map of a depth's slots that a search for a free one looks at, at most.
        CHILD_TRIES = 8;
        /// Words that are kept of each slot of its family, where the device publishes slots.
        FAMILY_WORDS = 8;
        /// Its own part, if that has not ended, and its children that have not.
        FAMILY_LEFT = 0;
        /// The first fault of a child, code above detail, or 0.
        FAMILY_FAULT = 1;
        /// How its own part ended: code above detail or 0, and the result's halves.
        FAMILY_OUTCOME = 2;
        /// The batch that it was published with.
        FAMILY_BATCH = 5;
        /// The slot that has published it.
        FAMILY_PARENT = 6;
        /// The host's slot that all began with.
        FAMILY_ROOT = 7;
        /// Vectors of a resource's set of tenants.
        TENANT_SET_VECTORS = 8;
        /// Batch counter when all has ended and the fence was good.
        BATCH_COMPLETE = 0x8000_0000;
        /// Batch counter when all has ended and the fence named another count.
        BATCH_BROKEN = 0xC000_0000;
        /// Words of a resource record: address low, address high, words, kind.
        RESOURCE_WORDS = 4;
        /// Records of the resource table.
        MAX_RESOURCES = 4096;
        /// A table or arena that slots read.
        RESOURCE_READ = 1;
        /// An arena that slots write.
        RESOURCE_WRITE = 2;
        /// A table whose entries were checked: each leads to a row of it.
        RESOURCE_SCAN = 4;
        /// Leave as soon as nothing is there to claim (epoch mode).
        FLAG_DRAIN = 1;
        /// The host answers IO requests.
        FLAG_STORAGE = 2;
        /// Loop turns that the dearest claim of lane-sized slots can cost: three copies of 4,096 words in
        /// packed slots of 23 operations, with a turn of the metrics for each lane of lavapipe's eight.
        LANE_CLAIM_COST = 12_800;
        /// Loop turns that slots which publish slots, and the ends of families, add to the dearest claim: for each of eight
        /// lanes an UNFOLD that gets one slot a turn, each after all tries; and the ends of a chain of parents.
        FAMILY_CLAIM_COST = 6_144;
        /// Loop turns that a handler of a user's may make at most.
        HANDLER_TURNS = 128;
        /// What handlers and the linker agree upon: raised when the mailbox, or what glsl/handler.glsl includes, changes.
        HANDLER_CONTRACT = 2;
        /// A handler of which each lane has a slot of its own.
        HANDLER_LANE = 1;
        /// A handler of which a whole subgroup has one slot.
        HANDLER_WIDE = 2;
        /// In the place of a fault code: it is to be called again. PENDING_READY of glsl/continuation.glsl.
        HANDLER_LEAVES = 0x101;
        /// Fault of a handler's outcome that is none: it asks the host for storage, and goes on with the answer.
        HANDLER_ASKS = 0x103;
        /// The same: it publishes slots, and goes on.
        HANDLER_PUBLISHES = 0x104;
        /// What the kernel is told of an opcode: bits. Its handler is wide;
        TRAIT_WIDE = 1;
        /// and publishes slots.
        TRAIT_PUBLISHES = 2;
        /// Errno of a handler that asks for storage where there is none: ENOSYS.
        NO_STORAGE = 38;
        /// Turns in which the operations of a claim's packed slots are executed at most: before a first copy 23, between a
        /// first and a second 16, then 9 and 2, as the operations' words leave room; and the copies.
        PACKED_TURNS = 53;
    }
}

/// Descriptor bindings of the kernel, all in set 0.
pub mod binding {
    abi! { ABI:
        /// Control buffer.
        BIND_CONTROL = 0;
        /// Slab of slots.
        BIND_SLOTS = 1;
        /// Commands, submission queue, batch counts.
        BIND_SUBMISSION = 2;
        /// Heartbeats and completion queue.
        BIND_COMPLETION = 3;
        /// Device-local cursors and batch counters.
        BIND_STATE = 4;
        /// Debug log.
        BIND_DEBUG_LOG = 5;
        /// Resource table.
        BIND_RESOURCES = 6;
        /// Number of bindings.
        BINDING_COUNT = 7;
        /// Of modules that handlers are linked into or from, and of no module that a device gets: see glsl/mailbox.glsl.
        BIND_MAILBOX = 31;
    }
}

/// Specialization constants of the kernel.
pub mod spec {
    abi! { ABI:
        /// Workgroup size, the device's subgroup size.
        SPEC_SUBGROUP_SIZE = 0;
        /// Loops in the module, which each pass is charged with.
        SPEC_LOOPS = 1;
        // Booleans that are set when a kernel is cut, from here on (`glsl/options.glsl`).
        /// Whether it has STORE_U32.
        SPEC_STORE_U32 = 16;
        /// Whether it has ATOMIC_ADD.
        SPEC_ATOMIC_ADD = 17;
        /// Whether it has LOAD_U32.
        SPEC_LOAD_U32 = 18;
        /// Whether it has COMPARE_SWAP.
        SPEC_COMPARE_SWAP = 19;
        /// Whether it has MEMCPY.
        SPEC_MEMCPY = 20;
        /// Whether it has DFA_STEP.
        SPEC_DFA_STEP = 21;
        /// Whether it has PRINTF.
        SPEC_PRINTF = 22;
        /// Whether it has PACKED_SLOT.
        SPEC_PACKED_SLOT = 23;
        /// Whether it has SCAN.
        SPEC_SCAN = 24;
        /// Whether it has CRC32C.
        SPEC_CRC32C = 25;
        /// Whether it has SUM_WORDS.
        SPEC_SUM_WORDS = 26;
        /// Whether it has COPY_RANGE.
        SPEC_COPY_RANGE = 27;
        /// Whether it has opcodes that ask the host for storage.
        SPEC_IO = 28;
        /// Whether LOAD_SUM is among them.
        SPEC_LOAD_SUM = 29;
        /// Whether it has UNFOLD.
        SPEC_UNFOLD = 30;
        /// Whether users' operations of a lane can be linked in.
        SPEC_LANE_HANDLERS = 31;
        /// The same of wide ones.
        SPEC_WIDE_HANDLERS = 32;
        /// Whether it may use 64-bit integers.
        SPEC_INT64 = 33;
        /// Whether users' operations can publish slots.
        SPEC_PUBLISHERS = 34;
    }
}

/// Text scan: table, streams and match buffer of `OP_SCAN` (docs/scan.md).
pub mod scan {
    abi! { ABI:
        /// Words from a state's row to the next: one for each byte value, and one cache line more. Rows at a
        /// power of two would share a few sets of every cache.
        SCAN_ROW_WORDS = 272;
        /// Row of the state that waits for the next line feed.
        SCAN_SKIP = 0;
        /// Row of the state at the start of a line; only a line feed leads there.
        SCAN_START = 272;
        /// Row that every transition leads to on which a line's match is found; it leads only to itself.
        SCAN_MATCHED = 544;
        /// Streams that a lane interleaves.
        SCAN_STREAMS_PER_LANE = 4;
        /// A stream's piece is a multiple of this many bytes.
        SCAN_PIECE_ALIGN = 16;
        /// Bytes of each stream that a turn of the fast loop takes. Carries stand at multiples of it.
        SCAN_TURN_BYTES = 16;
        /// A stream reads at most two pieces and this many bytes more.
        SCAN_STREAM_SLACK = 64;
        /// Largest piece: a chunk has at most this many bytes for each stream.
        SCAN_PIECE_MAX = 16_384;
        /// Loop turns that the dearest scan slot can cost: of a piece, twenty for each fast turn, if all
        /// streams of a lane match in all of them; of what a stream reads behind it, one for each byte.
        SCAN_CLAIM_COST = 37_120;
        /// Most bytes that a serial slot reads.
        SCAN_SERIAL_MAX = 49_152;
        /// Words of the carry area at the head of a match buffer, two for each carry.
        SCAN_CARRY_WORDS = 512;
        /// Value of a8: all lanes, each stream at its own piece.
        SCAN_PARALLEL = 0;
        /// Value of a8: one stream that continues a carry.
        SCAN_SERIAL = 1;
    }
}

/// The wide opcodes on ranges of resources.
pub mod range {
    abi! { ABI:
        /// Bytes of each lane that a turn of a wide opcode's loop takes.
        RANGE_TURN_BYTES = 16;
        /// Most bytes that a slot of OP_CRC32C, OP_SUM_WORDS or OP_COPY_RANGE takes.
        RANGE_MAX_BYTES = 524_288;
        /// Most bytes that a claim of OP_LOAD_SUMs sums, of all its slots together; the rest waits for its next turn.
        LOAD_SUM_TURN_BYTES = 131_072;
        /// The generator by which OP_LOAD_SUM draws blocks: x = x * factor + summand, modulo 2^32 (Numerical
        /// Recipes).
        LOAD_SUM_FACTOR = 1_664_525;
        /// See there.
        LOAD_SUM_SUMMAND = 1_013_904_223;
        /// Loop turns that the dearest of them can cost on a subgroup of four lanes or more: one for each 64
        /// bytes; of a sum, besides, one for each 256 and three for each 4,096; of a CRC 18 for what is left of
        /// words and turns, and ten for each of the 14 bits of the number of turns and each of the two levels of
        /// the tree.
        RANGE_CLAIM_COST = 10_752;
        /// The polynomial of CRC32C (Castagnoli), x^31 at bit 0 as all of its values.
        CRC32C_POLYNOMIAL = 0x82F6_3B78;
    }
}

/// Every table, by the section it renders as.
pub const TABLES: &[(&str, &[(&str, u32)])] = &[
    ("slot", slot::ABI),
    ("control", control::ABI),
    ("opcode", opcode::ABI),
    ("fault", fault::ABI),
    ("debug_log", debug_log::ABI),
    ("io", io::ABI),
    ("scan", scan::ABI),
    ("range", range::ABI),
    ("live", live::ABI),
    ("binding", binding::ABI),
    ("spec", spec::ABI),
];
