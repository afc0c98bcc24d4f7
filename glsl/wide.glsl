// Wide opcodes: a whole subgroup works on one slot. The module's families say which there are.
#ifndef WIDE_GLSL
#define WIDE_GLSL

#ifdef WITH_SCAN
#include "op/scan.glsl"
#endif

// Loop turns that the dearest of them can cost.
const uint WIDE_CLAIM_COST = SCAN_CLAIM_COST;

bool is_wide_op(uint op) { return op == OP_SCAN; }

// Executes the first lane's slot, for which is_wide_op() holds, by all lanes together.
Outcome execute_wide(uint op, uint slot) { return op_scan(subgroupBroadcastFirst(slot)); }

#endif
