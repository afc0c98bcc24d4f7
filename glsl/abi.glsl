// The constants that host and kernel share. Written by tools/spirv from src/protocol/abi.rs:
// change them there.
#ifndef RINGFENCE_ABI
#define RINGFENCE_ABI

// slot
const uint SLOT_WORDS = 16u;
const uint STATUS_WORD = 0u;
const uint OPCODE_WORD = 1u;
const uint TENANT_WORD = 2u;
const uint PRIORITY_WORD = 3u;
const uint ARG0_WORD = 4u;
const uint ARGS_PER_SLOT = 12u;
const uint MAX_RING_SLOTS = 0x0FFFFFFFu;
const uint MAX_ENCODED_RING_SLOTS = 0x00100000u;
const uint MIN_LIVE_RING_SLOTS = 16u;
const uint STATUS_EMPTY = 0u;
const uint STATUS_PUBLISHED = 1u;
const uint STATUS_CLAIMED = 2u;
const uint STATUS_DONE = 3u;
const uint STATUS_WAIT_IO = 4u;
const uint STATUS_YIELD = 5u;
const uint STATUS_REQUEUE = 6u;
const uint STATUS_FAULT = 7u;
const uint PRIORITY_CRITICAL = 0u;
const uint PRIORITY_HIGH = 1u;
const uint PRIORITY_NORMAL = 2u;
const uint PRIORITY_LOW = 3u;
const uint PRIORITY_IDLE = 4u;
const uint PRIORITY_LEVELS = 5u;

// control
const uint SHUTDOWN = 0u;
const uint DONE_COUNT = 1u;
const uint TENANT_BASE = 2u;
const uint DEFAULT_TENANT_TABLE = 3u;
const uint DEFAULT_TENANT_COUNT = 29u;
const uint TENANT_QUOTA_BASE = 32u;
const uint TENANT_FAIRNESS_BASE = 64u;
const uint TENANT_FAIRNESS_WORDS = 32u;
const uint METRICS_BASE = 96u;
const uint METRICS_WORDS = 32u;
const uint EPOCH = 128u;
const uint PRIORITY_OFFSETS_BASE = 129u;
const uint PRIORITY_OFFSETS_WORDS = 6u;
const uint PRIORITY_STARVATION_COUNTER = 135u;
const uint STARVATION_PERIOD = 16u;
const uint PRIORITY_FAIRNESS_BASE = 136u;
const uint TENANT_COUNT = 141u;
const uint LIMIT_BASE = 142u;
const uint QUOTA_BASE = 143u;
const uint FAIRNESS_BASE = 144u;
const uint FAULT_COUNT = 145u;
const uint OBSERVABLE_BASE = 160u;
const uint CONTROL_MIN_WORDS = 160u;
const uint MAX_ENCODED_OBSERVABLE_SLOTS = 0x00100000u;

// opcode
const uint OP_NOP = 0u;
const uint OP_STORE_U32 = 1u;
const uint OP_ATOMIC_ADD = 2u;
const uint OP_LOAD_U32 = 3u;
const uint OP_COMPARE_SWAP = 4u;
const uint OP_MEMCPY = 5u;
const uint OP_DFA_STEP = 6u;
const uint OP_BATCH_FENCE = 7u;
const uint OP_LOAD_MISS = 65533u;
const uint OP_PRINTF = 65534u;
const uint OP_PACKED_SLOT = 0x80000001u;
const uint OP_SCAN = 0x80000010u;
const uint OP_CRC32C = 0x80000011u;
const uint OP_SUM_WORDS = 0x80000012u;
const uint OP_COPY_RANGE = 0x80000013u;
const uint OP_STORE_RANGE = 0x80000020u;
const uint OP_IO_FENCE = 0x80000021u;
const uint OP_LOAD_SUM = 0x80000022u;
const uint OP_UNFOLD = 0x80000030u;
const uint OP_SHUTDOWN = 0xFFFFFFFFu;
const uint SYSTEM_MASK = 0x80000000u;
const uint MEMCPY_MAX_WORDS = 4096u;
const uint DFA_ROW_WORDS = 256u;
const uint PACKED_MAX_OPS = 23u;
const uint UNFOLD_MAX = 0x00100000u;
const uint UNFOLD_FAN_SHIFT = 24u;
const uint UNFOLD_TURN = 64u;

// fault
const uint FAULT_UNKNOWN_OPCODE = 1u;
const uint FAULT_BAD_OPERAND = 2u;
const uint FAULT_UNAUTHORIZED = 3u;
const uint FAULT_BAD_PACKED = 4u;
const uint FAULT_OUT_OF_CREDITS = 5u;
const uint FAULT_IO_ERROR = 6u;
const uint FAULT_CANCELLED = 7u;
const uint FAULT_DEVICE_LOST = 8u;
const uint DETAIL_PRIORITY = 15u;
const uint DETAIL_DEPTH = 14u;
const uint DETAIL_PACKED_HEADER = 65535u;
const uint FAULT_USER_BASE = 128u;
const uint FAULT_USER_LAST = 255u;

// debug_log
const uint CURSOR_WORD = 0u;
const uint RECORDS_BASE = 1u;
const uint RECORD_WORDS = 4u;
const uint STAMP_WORDS = 1u;
const uint RECORD_CAPACITY = 64u;
const uint STAMP_NUMBER = 0x9E3779B9u;
const uint STAMP_SEED = 0x7F4A7C15u;
const uint STAMP_MIX = 0x85EBCA6Bu;

// io
const uint IO_SLOT_WORDS = 8u;
const uint IO_SLOT_COUNT = 64u;
const uint IO_OP_TYPE = 0u;
const uint IO_SRC_HANDLE = 1u;
const uint IO_DST_HANDLE = 2u;
const uint IO_OFFSET_LO = 3u;
const uint IO_OFFSET_HI = 4u;
const uint IO_BYTE_COUNT = 5u;
const uint IO_STATUS = 6u;
const uint IO_TAG = 7u;
const uint IO_READ = 1u;
const uint IO_WRITE = 2u;
const uint IO_FENCE = 3u;
const uint IO_UNATTENDED = 8u;
const uint IO_REQUEST_SLOT_SHIFT = 8u;
const uint IO_ANSWER_WORDS = 2u;
const uint IO_STATUS_OK = 16u;
const uint IO_STATUS_ERROR = 17u;

// scan
const uint SCAN_ROW_WORDS = 272u;
const uint SCAN_SKIP = 0u;
const uint SCAN_START = 272u;
const uint SCAN_MATCHED = 544u;
const uint SCAN_STREAMS_PER_LANE = 4u;
const uint SCAN_PIECE_ALIGN = 16u;
const uint SCAN_TURN_BYTES = 16u;
const uint SCAN_STREAM_SLACK = 64u;
const uint SCAN_PIECE_MAX = 16384u;
const uint SCAN_CLAIM_COST = 37120u;
const uint SCAN_SERIAL_MAX = 49152u;
const uint SCAN_CARRY_WORDS = 512u;
const uint SCAN_PARALLEL = 0u;
const uint SCAN_SERIAL = 1u;

// range
const uint RANGE_TURN_BYTES = 16u;
const uint RANGE_MAX_BYTES = 0x00080000u;
const uint LOAD_SUM_TURN_BYTES = 0x00020000u;
const uint LOAD_SUM_FACTOR = 0x0019660Du;
const uint LOAD_SUM_SUMMAND = 0x3C6EF35Fu;
const uint RANGE_CLAIM_COST = 10752u;
const uint CRC32C_POLYNOMIAL = 0x82F63B78u;

// live
const uint LAP_SHIFT = 24u;
const uint LAP_MASK = 255u;
const uint ENTRY_SLOT_MASK = 0x000FFFFFu;
const uint ENTRY_WIDE = 0x00800000u;
const uint ENTRY_RESUMED = 0x00400000u;
const uint ENTRY_FIRST = 0x00200000u;
const uint SUBMISSION_WORDS = 2u;
const uint COMPLETION_WORDS = 2u;
const uint COMPLETION_LONG_WORDS = 2u;
const uint COMPLETION_KIND_SHIFT = 20u;
const uint COMPLETION_SHORT = 0u;
const uint COMPLETION_LONG = 1u;
const uint COMPLETION_FAULT = 2u;
const uint COMPLETION_REFRESH_LAPS = 128u;
const uint COMMAND_RUN = 0u;
const uint COMMAND_IO_ANSWERED = 1u;
const uint COMMAND_RECONSIDER = 2u;
const uint COMMAND_LEVELS = 3u;
const uint LEVELS_CANCEL = 0x80000000u;
const uint COMMAND_CLOSED_AT = 4u;
const uint COMMAND_WORDS = 16u;
const uint HEARTBEAT_WORDS = 16u;
const uint MAX_WORKERS = 256u;
const uint STATE_HEADS = 0u;
const uint STATE_TAIL = 16u;
const uint STATE_DRAINING = 32u;
const uint STATE_IO_ASKED = 48u;
const uint STATE_READY_HEADS = 80u;
const uint STATE_READY_TAILS = 96u;
const uint STATE_TURNS = 112u;
const uint STATE_LISTED_HEADS = 128u;
const uint STATE_LISTED_TAILS = 144u;
const uint STATE_ANNOUNCED = 160u;
const uint STATE_REFILLS = 176u;
const uint STATE_THROTTLED = 177u;
const uint STATE_RECONSIDERED = 178u;
const uint STATE_SAVES = 179u;
const uint STATE_WIDE = 181u;
const uint STATE_BATCHES = 192u;
const uint READY_QUEUES = 10u;
const uint READY_ASKING = 5u;
const uint READY_WORDS = 2u;
const uint SAVED_WORDS = 4u;
const uint SAVE_AREAS = 64u;
const uint SAVE_WORDS = 8u;
const uint ANNOUNCE_WORDS = 2u;
const uint ANNOUNCE_LEVEL_SHIFT = 20u;
const uint ANNOUNCE_TENANT_MASK = 1023u;
const uint MAX_TENANTS = 1024u;
const uint TENANT_RECORD_WORDS = 16u;
const uint TENANT_FLAGS = 0u;
const uint TENANT_WINDOW = 1u;
const uint TENANT_WINDOW_END = 2u;
const uint TENANT_OPCODES = 3u;
const uint TENANT_QUANTUM = 4u;
const uint TENANT_MOST = 5u;
const uint ONE_CLAIM = 0x00010000u;
const uint TENANT_ADMITTED = 1u;
const uint TENANT_PAUSED = 2u;
const uint TENANT_REVOKED = 4u;
const uint OPCODES_OTHER = 31u;
const uint TENANT_STATE_WORDS = 32u;
const uint TENANT_LEVEL_WORDS = 4u;
const uint TENANT_WAITING = 0u;
const uint TENANT_CLAIMED = 1u;
const uint TENANT_DEFICIT = 2u;
const uint WAITING_OWES = 0x40000000u;
const uint WAITING_HELD = 0x80000000u;
const uint TENANT_REFILLED = 20u;
const uint TENANT_DEBTS = 21u;
const uint TENANT_CHILDREN = 26u;
const uint TENANT_PENDING = 30u;
const uint WIDE_VISITS = 64u;
const uint CHILD_DEPTHS = 4u;
const uint CHILD_TRIES = 8u;
const uint FAMILY_WORDS = 8u;
const uint FAMILY_LEFT = 0u;
const uint FAMILY_FAULT = 1u;
const uint FAMILY_OUTCOME = 2u;
const uint FAMILY_BATCH = 5u;
const uint FAMILY_PARENT = 6u;
const uint FAMILY_ROOT = 7u;
const uint TENANT_SET_VECTORS = 8u;
const uint BATCH_COMPLETE = 0x80000000u;
const uint BATCH_BROKEN = 0xC0000000u;
const uint RESOURCE_WORDS = 4u;
const uint MAX_RESOURCES = 4096u;
const uint RESOURCE_READ = 1u;
const uint RESOURCE_WRITE = 2u;
const uint RESOURCE_SCAN = 4u;
const uint FLAG_DRAIN = 1u;
const uint FLAG_STORAGE = 2u;
const uint LANE_CLAIM_COST = 12800u;
const uint FAMILY_CLAIM_COST = 6144u;
const uint HANDLER_TURNS = 128u;
const uint HANDLER_CONTRACT = 1u;
const uint HANDLER_LANE = 1u;
const uint HANDLER_WIDE = 2u;
const uint HANDLER_LEAVES = 257u;
const uint PACKED_TURNS = 53u;

// binding
const uint BIND_CONTROL = 0u;
const uint BIND_SLOTS = 1u;
const uint BIND_SUBMISSION = 2u;
const uint BIND_COMPLETION = 3u;
const uint BIND_STATE = 4u;
const uint BIND_DEBUG_LOG = 5u;
const uint BIND_RESOURCES = 6u;
const uint BINDING_COUNT = 7u;
const uint BIND_MAILBOX = 31u;

// spec
const uint SPEC_SUBGROUP_SIZE = 0u;
const uint SPEC_LOOPS = 1u;

#endif
