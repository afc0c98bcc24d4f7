// Wide opcodes: a whole subgroup works on one slot. The module's families say which there are.
#ifndef WIDE_GLSL
#define WIDE_GLSL

#ifdef WITH_SCAN
#include "op/scan.glsl"
#endif

#ifdef WITH_RANGE
#include "op/crc32c.glsl"
#include "op/sum_words.glsl"
#include "op/copy_range.glsl"
#endif

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

// Executes the first lane's slot, for which is_wide_op() holds, by all lanes together; `again`: it gave way before.
Outcome execute_wide(uint op, uint slot, bool again) {
    slot = subgroupBroadcastFirst(slot);
#ifdef WITH_RANGE
    op = subgroupBroadcastFirst(op);
    if (op == OP_CRC32C) return op_crc32c(slot, again);
    if (op == OP_SUM_WORDS) return op_sum_words(slot, again);
    if (op == OP_COPY_RANGE) return op_copy_range(slot, again);
#endif
#ifdef WITH_SCAN
    return op_scan(slot, again);
#else
    return Outcome(FAULT_UNKNOWN_OPCODE, 0, 0, 0);
#endif
}

#endif
