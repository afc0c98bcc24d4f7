// Wide opcodes: a whole subgroup works on one slot. The module's families say which there are.
#ifndef WIDE_GLSL
#define WIDE_GLSL

#ifdef WITH_SCAN
#include "op/scan.glsl"
const uint WIDE_SCAN_COST = SCAN_CLAIM_COST;
#else
const uint WIDE_SCAN_COST = 0;
#endif

#ifdef WITH_RANGE
#include "op/crc32c.glsl"
#include "op/sum_words.glsl"
#include "op/copy_range.glsl"
const uint WIDE_RANGE_COST = RANGE_CLAIM_COST;
#else
const uint WIDE_RANGE_COST = 0;
#endif

// Loop turns that the dearest of them can cost.
const uint WIDE_CLAIM_COST = max(WIDE_SCAN_COST, WIDE_RANGE_COST);

bool is_wide_op(uint op) {
    bool wide = false;
#ifdef WITH_SCAN
    wide = op == OP_SCAN;
#endif
#ifdef WITH_RANGE
    wide = wide || op == OP_CRC32C || op == OP_SUM_WORDS || op == OP_COPY_RANGE;
#endif
    return wide;
}

// Executes the first lane's slot, for which is_wide_op() holds, by all lanes together.
Outcome execute_wide(uint op, uint slot) {
    slot = subgroupBroadcastFirst(slot);
#ifdef WITH_RANGE
    op = subgroupBroadcastFirst(op);
    if (op == OP_CRC32C) return op_crc32c(slot);
    if (op == OP_SUM_WORDS) return op_sum_words(slot);
    if (op == OP_COPY_RANGE) return op_copy_range(slot);
#endif
#ifdef WITH_SCAN
    return op_scan(slot);
#else
    return Outcome(FAULT_UNKNOWN_OPCODE, 0, 0, 0);
#endif
}

#endif
