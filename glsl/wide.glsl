// Wide opcodes: a whole subgroup works on one slot. The module's families say which there are.
#ifndef WIDE_GLSL
#define WIDE_GLSL

#include "op/scan.glsl"
#include "op/crc32c.glsl"
#include "op/sum_words.glsl"
#include "op/copy_range.glsl"

Outcome call_wide(uint op, uint slot, bool again);

bool is_wide_op(uint op) {
    return (WITH_SCAN && op == OP_SCAN) || (WITH_CRC32C && op == OP_CRC32C) || (WITH_SUM_WORDS && op == OP_SUM_WORDS) ||
           (WITH_COPY_RANGE && op == OP_COPY_RANGE);
}

// Executes the first lane's slot, which was published as wide, by all lanes together; `again`: it gave way before.
Outcome execute_wide(uint op, uint slot, bool again) {
    slot = subgroupBroadcastFirst(slot);
    op = subgroupBroadcastFirst(op);
    Outcome o = Outcome(FAULT_UNKNOWN_OPCODE, 0, 0, 0);
    bool user = true;
    if (WITH_CRC32C && op == OP_CRC32C) {
        o = op_crc32c(slot, again);
        user = false;
    }
    if (WITH_SUM_WORDS && op == OP_SUM_WORDS) {
        o = op_sum_words(slot, again);
        user = false;
    }
    if (WITH_COPY_RANGE && op == OP_COPY_RANGE) {
        o = op_copy_range(slot, again);
        user = false;
    }
    if (WITH_SCAN && op == OP_SCAN) {
        o = op_scan(slot, again);
        user = false;
    }
    if (WITH_WIDE_HANDLERS && user) o = call_wide(op, slot, again);
    return o;
}

#endif
