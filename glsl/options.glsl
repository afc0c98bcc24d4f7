// What a kernel has. All of it is compiled into one module, and each runtime cuts out of that what it was not asked for
// (src/kernel/cut.rs): some drivers pay for code that they never come to, even where a specialization constant says so
// (DESIGN fact 10). So these are specialization constants of booleans, which the cutter sets, and takes out with all that
// they rule out.
#ifndef OPTIONS_GLSL
#define OPTIONS_GLSL

#include "abi.glsl"

layout(constant_id = SPEC_STORE_U32) const bool WITH_STORE_U32 = true;
layout(constant_id = SPEC_ATOMIC_ADD) const bool WITH_ATOMIC_ADD = true;
layout(constant_id = SPEC_LOAD_U32) const bool WITH_LOAD_U32 = true;
layout(constant_id = SPEC_COMPARE_SWAP) const bool WITH_COMPARE_SWAP = true;
layout(constant_id = SPEC_MEMCPY) const bool WITH_MEMCPY = true;
layout(constant_id = SPEC_DFA_STEP) const bool WITH_DFA_STEP = true;
layout(constant_id = SPEC_PRINTF) const bool WITH_PRINTF = true;
layout(constant_id = SPEC_PACKED_SLOT) const bool WITH_PACKED_SLOT = true;
layout(constant_id = SPEC_SCAN) const bool WITH_SCAN = true;
layout(constant_id = SPEC_CRC32C) const bool WITH_CRC32C = true;
layout(constant_id = SPEC_SUM_WORDS) const bool WITH_SUM_WORDS = true;
layout(constant_id = SPEC_COPY_RANGE) const bool WITH_COPY_RANGE = true;
// LOAD_MISS, STORE_RANGE and IO_FENCE.
layout(constant_id = SPEC_IO) const bool WITH_IO = true;
layout(constant_id = SPEC_LOAD_SUM) const bool WITH_LOAD_SUM = true;
layout(constant_id = SPEC_UNFOLD) const bool WITH_UNFOLD = true;
layout(constant_id = SPEC_LANE_HANDLERS) const bool WITH_LANE_HANDLERS = true;
layout(constant_id = SPEC_WIDE_HANDLERS) const bool WITH_WIDE_HANDLERS = true;
// Wide ones among them that publish slots.
layout(constant_id = SPEC_PUBLISHERS) const bool WITH_PUBLISHERS = true;
// The device has integers of 64 bits.
layout(constant_id = SPEC_INT64) const bool WITH_INT64 = true;

const bool WITH_RANGE = WITH_CRC32C || WITH_SUM_WORDS || WITH_COPY_RANGE || WITH_LOAD_SUM;
const bool WITH_WIDE = WITH_SCAN || WITH_CRC32C || WITH_SUM_WORDS || WITH_COPY_RANGE || WITH_WIDE_HANDLERS;
// Slots that publish others.
const bool WITH_CHILDREN = WITH_UNFOLD || WITH_PUBLISHERS;
// Slots that are taken up again.
const bool WITH_TURNS = WITH_IO || WITH_WIDE || WITH_CHILDREN || WITH_LANE_HANDLERS;

#endif
