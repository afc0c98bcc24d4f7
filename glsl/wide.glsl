// Wide opcodes: a whole subgroup works on one slot. The module's families say which there are.
#ifndef WIDE_GLSL
#define WIDE_GLSL

#include "op/scan.glsl"
#include "op/crc32c.glsl"
#include "op/sum_words.glsl"
#include "op/copy_range.glsl"

// Calls the handler of a slot, with all lanes. It has an area from when it begins, so that it can always give way; where
// there is none, it does not begin yet.
Outcome call_wide(uint op, uint slot, bool again) {
    uint area = NO_AREA;
    if (again) area = area_of(slot);
    again = area != NO_AREA;
    if (!again) {
        if (gl_SubgroupInvocationID == 0) area = take_area();
        area = subgroupBroadcastFirst(area);
    }
    Outcome o = Outcome(PENDING_READY, 0, 0, 0);
    if (area != NO_AREA) {
        uint base = slot * SLOT_WORDS + ARG0_WORD;
        uvec4 a = uvec4(slots[base], slots[base + 1], slots[base + 2], slots[base + 3]);
        mailbox.again = again ? 1 : 0;
        mailbox.level = executed_level;
        mailbox.budget = budget;
        mailbox.area = save_word(area);
        o = call_handler(op, slot, a, false, true);
        budget = subgroupBroadcastFirst(mailbox.budget);
        o = Outcome(subgroupBroadcastFirst(o.fault), subgroupBroadcastFirst(o.detail), subgroupBroadcastFirst(o.lo),
                    subgroupBroadcastFirst(o.hi));
        if (o.fault != PENDING_READY) give_area_back(area);
    }
    if (o.fault == PENDING_READY) leave_with(slot, area);
    // Up to the first step, and after the last.
    charge(HANDLER_TURNS);
    return o;
}

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
