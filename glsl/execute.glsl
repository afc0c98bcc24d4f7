// One claim, executed: lane-sized slots side by side.
#ifndef EXECUTE_GLSL
#define EXECUTE_GLSL

#include "op/nop.glsl"
#include "op/store_u32.glsl"
#include "op/atomic_add.glsl"
#include "op/load_u32.glsl"
#include "op/compare_swap.glsl"
#include "op/memcpy.glsl"
#include "op/dfa_step.glsl"
#include "op/batch_fence.glsl"
#include "op/printf.glsl"
#include "op/packed_slot.glsl"
#include "op/shutdown.glsl"

#include "users.glsl"

// One operation of a lane. All lanes call it; those without one pass `mine` false. `copies` says that some
// lane may copy, `inner` that the lane's slot is packed.
Outcome execute_op(bool mine, uint op, uint slot, uvec4 a, bool copies, bool inner) {
    Outcome o = Outcome(FAULT_UNKNOWN_OPCODE, 0, 0, 0);
#ifdef WITH_TENANTS
    // Of operations inside packed slots only this one knows.
    if (mine && !may_use(opcodes, op)) {
        o = Outcome(FAULT_UNAUTHORIZED, 0, 0, 0);
        mine = false;
    }
#endif
    if (WITH_MEMCPY) {
        if (copies && subgroupAny(mine && op == OP_MEMCPY)) {
            Outcome copied = op_memcpy(mine && op == OP_MEMCPY, a);
            if (mine && op == OP_MEMCPY) o = copied;
        }
    }
    if (mine) {
        switch (op) {
        case OP_NOP: o = op_nop(); break;
        case OP_STORE_U32: if (WITH_STORE_U32) o = op_store_u32(a); break;
        case OP_ATOMIC_ADD: if (WITH_ATOMIC_ADD) o = op_atomic_add(a); break;
        case OP_LOAD_U32: if (WITH_LOAD_U32) o = op_load_u32(a); break;
        case OP_COMPARE_SWAP: if (WITH_COMPARE_SWAP) o = op_compare_swap(a); break;
        case OP_DFA_STEP: if (WITH_DFA_STEP) o = op_dfa_step(a); break;
        case OP_PRINTF: if (WITH_PRINTF) o = op_printf(a); break;
        }
    }
    if (WITH_LANE_HANDLERS) {
        bool calls = mine && is_user_op(op);
        if (subgroupAny(calls)) {
            if (calls) o = call_lane(op, slot, a, inner);
            // Different ones are called one after the other.
            uvec4 who = subgroupBallot(calls);
            bool one = subgroupAll(!calls || op == subgroupShuffle(op, subgroupBallotFindLSB(who)));
            charge(HANDLER_TURNS * (one ? 1 : subgroupBallotBitCount(who)));
        }
    }
    return o;
}

// What a turn of the loop below costs: itself, and the last looks of the loops inside it, those of
// op_memcpy and of collect_executions.
const uint EXECUTE_TURN = 3;

// What some lane of a claim has, found by one reduction: on CPU drivers each costs some 8 ns, and a claim
// would ask a dozen times.
const uint HAS_LANES = 1;     // lane-sized slots
const uint HAS_PACKED = 2;    // packed slots among them
const uint HAS_COPIES = 4;    // plain MEMCPYs among them
const uint HAS_WIDE = 8;      // the one wide slot
const uint HAS_TRANSFERS = 16;
const uint HAS_MARKS = 32;    // fences and SHUTDOWN
const uint HAS_BATCHES = 64; // slots of batches
const uint HAS_PARENTS = 128; // slots that publish others
const uint HAS_PENDING = 256; // slots of tenants that go on
const uint HAS_ABANDONED = 512; // a wide slot that gave way and does not go on
const uint HAS_PUT_BACK = 1024; // packed slots that may cost more than the worker has left

// Executes the slot of each lane in `mine` up to its end, packed slots operation by operation. The
// operations inside packed slots are counted here, plain ones by the caller.
Outcome execute_lanes(bool mine, uint slot, uint op, uint has) {
    uint base = slot * SLOT_WORDS;
    uvec4 a = uvec4(0);
    Outcome o = done(0);
    bool packed = WITH_PACKED_SLOT && mine && op == OP_PACKED_SLOT;
    if (mine) {
        a = uvec4(slots[base + ARG0_WORD], slots[base + ARG0_WORD + 1], slots[base + ARG0_WORD + 2],
                  slots[base + ARG0_WORD + 3]);
    }
    uint n = mine ? 1 : 0;
    Packed p = Packed(0, 0, 0, 0);
    bool some_packed = WITH_PACKED_SLOT && (has & HAS_PACKED) != 0;
    bool some_copies = (WITH_PACKED_SLOT || WITH_MEMCPY) && (has & (HAS_PACKED | HAS_COPIES)) != 0;
    if (some_packed) {
        if (packed) p = packed_open(base + ARG0_WORD);
        Outcome shape = packed_check(packed, p);
        if (packed) {
            n = shape.fault == 0 ? p.n : 0;
            o = shape;
        }
    }
    uint i = 0;
    bool more;
    do {
        bool turns = i < n;
        if (packed && turns) {
            op = packed_op(p, i);
            a = packed_args(p, i);
        }
        // A copy waits until every lane has come to one or has ended. Else copies at different turns of
        // packed slots would add up over the lanes, beyond what a claim may cost.
        if (some_copies) {
            bool copies = turns && op == OP_MEMCPY && a.z != 0;
            if (subgroupAny(turns && !copies)) turns = turns && !copies;
        }
        Outcome ended = execute_op(turns, op, slot, a, some_copies, packed);
        if (some_packed) {
            collect_executions(packed && turns && ended.fault == 0, op);
            add_collected();
        }
        if (turns) {
            i += 1;
            if (!packed) {
                o = ended;
            } else if (ended.fault != 0) {
                o = Outcome(ended.fault, i - 1, 0, 0);
                n = i;
            } else {
                o = done(i);
            }
        }
        more = some_copies && subgroupAny(i < n);
        charge(EXECUTE_TURN);
        // The last looks of the handlers' loops. Those of the first turn were charged by the pass.
        if (WITH_LANE_HANDLERS && more) charge(LOOPS);
    } while (more);
    return o;
}

#endif
