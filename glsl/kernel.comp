// The resident kernel: takes slots from the submission queue while it runs, and answers them.
//
// One subgroup is one worker, one worker is one workgroup, and any worker serves any slot. Nothing here
// waits for another worker. A worker ends when the host lowers COMMAND_RUN, when its budget of loop
// turns is spent, or, in epoch mode, when there is nothing to claim; the next one goes on where it ended.
#version 460
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#ifdef WITH_INT64
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#extension GL_GOOGLE_include_directive : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;

#include "memory.glsl"
#include "queue.glsl"
#include "execute.glsl"

#ifdef WITH_IO
#include "continuation.glsl"
#include "io.glsl"
#include "op/load_sum.glsl"
#include "op/transfer.glsl"
#endif

#if defined(WITH_SCAN) || defined(WITH_RANGE)
#define WITH_WIDE
#include "wide.glsl"
#endif

// What a claim may cost at most; a worker that has less left leaves before it claims.
#ifdef WITH_WIDE
const uint RESERVE = max(LANE_CLAIM_COST, WIDE_CLAIM_COST);
#else
const uint RESERVE = LANE_CLAIM_COST;
#endif

// Position of the first entry that may be there, each lane's entry, and how many of them are there.
struct Found {
    uint head;
    uint entry;
    uint count;
    bool stay;
    bool ready; // they are in the ready queue, not in the submission queue
};

uint entry_word(uint position) { return COMMAND_WORDS + SUBMISSION_WORDS * in_queue(position); }

// How many lanes from the first on are not `absent`.
uint run_length(bool absent) {
    uvec4 holes = subgroupBallot(absent);
    return any(notEqual(holes, uvec4(0))) ? subgroupBallotFindLSB(holes) : gl_SubgroupSize;
}

// Polls until an entry is there or it is time to leave. The loop is small on purpose: some drivers
// execute all of a loop's body on each turn (DESIGN fact 10).
//
// Host and other workers write between the loads of two lanes, where a driver makes one for each. Whatever
// decides where the subgroup goes is the first lane's: were some lanes to leave, the others would claim for
// all, and lose what those were to serve.
Found poll() {
    Found f = Found(0, 0, 0, true, false);
    bool polling = true;
    while (polling) {
        f.ready = false;
        f.head = subgroupBroadcastFirst(load_relaxed_state(STATE_HEAD));
        uint position = f.head + gl_SubgroupInvocationID;
        f.entry = load_relaxed_submission(entry_word(position));
        f.count = run_length((f.entry >> LAP_SHIFT) != lap_of(position));
#ifdef WITH_IO
        // Slots that wait here, most of them for room in the request ring, as soon as it has some.
        if (f.count == 0) {
            uint ready = subgroupBroadcastFirst(load_relaxed_state(STATE_READY_HEAD));
            if (ready != subgroupBroadcastFirst(load_relaxed_state(STATE_READY_TAIL)) &&
                subgroupBroadcastFirst(io_room(load_relaxed_state(STATE_IO_ASKED), io_answered())) != 0) {
                f.head = ready;
                position = f.head + gl_SubgroupInvocationID;
                f.entry = load_relaxed_state(ready_word(position));
                f.count = run_length((f.entry >> LAP_SHIFT) != lap_of(position));
                f.ready = true;
            }
        }
#endif
        uint draining = subgroupBroadcastFirst(load_relaxed_state(STATE_DRAINING));
        uint run = subgroupBroadcastFirst(load_relaxed_submission(COMMAND_RUN));
        f.stay = run != 0 && draining != DRAINED && budget >= RESERVE + LOOPS &&
                 (f.count != 0 || (push.flags & FLAG_DRAIN) == 0 || draining != 0);
        polling = f.stay && f.count == 0 && draining == 0;
        charge(1);
    }
    return f;
}

uint second_word(Found f) {
    uint position = f.head + gl_SubgroupInvocationID;
#ifdef WITH_IO
    if (f.ready) return load_relaxed_state(ready_word(position) + 1);
#endif
    return load_relaxed_submission(entry_word(position) + 1);
}

// Takes the run of entries that `f` found, with one compare-and-swap. An entry's second word may
// arrive after the first; then the run ends before it.
uint claim(Found f, uint second) {
    uint count = min(f.count, run_length((second >> LAP_SHIFT) != lap_of(f.head + gl_SubgroupInvocationID)));
#ifdef WITH_WIDE
    // A wide slot is claimed alone: a run ends before it, or is it.
    uint narrow = run_length((f.entry & ENTRY_WIDE) != 0);
    count = min(count, max(narrow, 1));
#endif
    bool won = false;
    uint head = STATE_HEAD;
#ifdef WITH_IO
    if (f.ready) head = STATE_READY_HEAD;
#endif
    if (gl_SubgroupInvocationID == 0 && count != 0)
        won = atomicCompSwap(state[head], f.head, f.head + count, SCOPE, 0, gl_SemanticsRelaxed, 0,
                             gl_SemanticsRelaxed) == f.head;
    return subgroupBroadcastFirst(won) ? count : 0;
}

// Counts the ended slots of each batch, and completes the fences whose batch has ended.
void count_batches(bool mine, uint batch, uint amount) {
    bool left = mine && batch != 0;
    bool whole = false;
    bool broken = false;
    while (subgroupAny(left)) {
        uint first = subgroupBallotFindLSB(subgroupBallot(left));
        bool same = left && batch == subgroupShuffle(batch, first);
        uint sum = subgroupAdd(same ? amount : 0);
        if (gl_SubgroupInvocationID == first) {
            // Acquire and release: the fence's own completion follows those of the batch's slots.
            uint total = sum + atomicAdd(state[batch_counter(batch)], sum, SCOPE, gl_StorageSemanticsBuffer,
                                         gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable | gl_SemanticsMakeVisible);
            broken = total == BATCH_BROKEN;
            whole = broken || total == BATCH_COMPLETE;
        }
        left = left && !same;
        charge(1);
    }
    if (subgroupAny(whole)) {
        Outcome o = done(0);
        uint slot = batch - 1;
        if (whole) {
            atomicStore(state[batch_counter(batch)], 0u, SCOPE, 0, gl_SemanticsRelaxed);
            o = slots[slot * SLOT_WORDS + PRIORITY_WORD] < PRIORITY_LEVELS
                    ? op_batch_fence(broken, slots[slot * SLOT_WORDS + ARG0_WORD + 1])
                    : bad_operand(DETAIL_PRIORITY);
        }
        count_executions_of(whole && o.fault == 0, OP_BATCH_FENCE);
        complete(whole, slot, o);
    }
}

void count_claims(bool mine, uint level, uint l) {
    uint claims = subgroupBallotBitCount(subgroupBallot(mine && level == l));
    if (claims != 0 && gl_SubgroupInvocationID == 0)
        atomicAdd(control[PRIORITY_FAIRNESS_BASE + l], claims, SCOPE, 0, gl_SemanticsRelaxed);
}

#ifdef WITH_IO
void count_resumed(bool resumed) {
    uint count = subgroupBallotBitCount(subgroupBallot(resumed));
    if (count != 0 && gl_SubgroupInvocationID == 0)
        atomicAdd(state[STATE_RESUMED], count, SCOPE, 0, gl_SemanticsRelaxed);
}
#endif

// Executes the claimed entries, one a lane, and delivers what ended. Counters follow the completions:
// they are never ahead of them, and the host does not wait for them.
// `again` lanes were claimed before, and left.
void serve(bool mine, uint entry, uint batch, bool again) {
    acquire_published();
    uint slot = entry & ENTRY_SLOT_MASK;
    mine = mine && slot < push.slot_count;
    uint base = slot * SLOT_WORDS;
    uint op = OP_NOP;
    uint level = PRIORITY_NORMAL;
    if (mine) {
        op = slots[base + OPCODE_WORD];
        level = slots[base + PRIORITY_WORD];
    }
    bool claimed = mine && !again && (entry & ENTRY_RESUMED) == 0;
    bool admitted = mine && level < PRIORITY_LEVELS;
    bool fence = mine && op == OP_BATCH_FENCE && batch == slot + 1; // its batch decides when it ends
    bool alone = admitted && op == OP_BATCH_FENCE && !fence;
    bool drains = false;
    bool lanes = admitted && op != OP_BATCH_FENCE && op != OP_SHUTDOWN;
    bool wide = false;
    bool transfers = false;
#ifdef WITH_WIDE
    wide = lanes && is_wide_op(op) && (entry & ENTRY_WIDE) != 0;
#endif
#ifdef WITH_IO
    transfers = lanes && is_transfer(op);
#endif
    lanes = lanes && !wide && !transfers;
    uint has = (lanes ? HAS_LANES : 0) | (lanes && op == OP_PACKED_SLOT ? HAS_PACKED : 0) |
               (lanes && op == OP_MEMCPY ? HAS_COPIES : 0) | (wide ? HAS_WIDE : 0) |
               (transfers ? HAS_TRANSFERS : 0) |
               (mine && (op == OP_BATCH_FENCE || op == OP_SHUTDOWN) ? HAS_MARKS : 0) |
               (claimed && level != PRIORITY_NORMAL ? HAS_LEVELS : 0) | (mine && batch != 0 ? HAS_BATCHES : 0);
    has = subgroupOr(has);

    Outcome o = bad_operand(DETAIL_PRIORITY);
#ifdef WITH_WIDE
    if ((has & HAS_WIDE) != 0) o = execute_wide(op, slot);
#endif
#ifdef WITH_IO
    if ((has & HAS_TRANSFERS) != 0) {
        Outcome moved = op_transfer(transfers, op, slot, (entry & ENTRY_RESUMED) != 0, again);
        if (transfers) o = moved;
    }
#endif
    if ((has & HAS_LANES) != 0) {
        Outcome ended = execute_lanes(lanes, slot, op, has);
        if (lanes) o = ended;
    }
    uint amount = 1;
    if ((has & HAS_MARKS) != 0) {
        if (fence) {
            uint count = submission[batch_count_word(batch)];
            amount = fence_amount(count, !admitted || slots[base + ARG0_WORD] != count);
        }
        if (alone) o = op_batch_fence(slots[base + ARG0_WORD] != 0, slots[base + ARG0_WORD + 1]);
        if (admitted && op == OP_SHUTDOWN) {
            drains = op_shutdown(slot);
            o = done(0);
        }
    }

#ifdef WITH_IO
    if ((has & HAS_TRANSFERS) != 0) {
        count_resumed(mine && !again && (entry & ENTRY_RESUMED) != 0);
        bool ready = mine && o.fault == PENDING_READY;
        bool pending = ready || (mine && o.fault == PENDING_ANSWER);
        if (subgroupAny(ready)) push_ready(ready, entry, batch);
        mine = mine && !pending;
    }
#endif
    bool ends = mine && !fence && !drains;
    complete(ends, slot, o);
    count_executions(ends && o.fault == 0 && op != OP_PACKED_SLOT, op);
    count_claims(claimed, level, PRIORITY_NORMAL);
    if ((has & HAS_LEVELS) != 0) {
        count_claims(claimed, level, PRIORITY_CRITICAL);
        count_claims(claimed, level, PRIORITY_HIGH);
        count_claims(claimed, level, PRIORITY_LOW);
        count_claims(claimed, level, PRIORITY_IDLE);
    }
    if ((has & HAS_BATCHES) != 0) count_batches(mine, batch, amount);
}

// Completes a SHUTDOWN once every other claimed slot has ended.
void finish_draining() {
    uint slot = load_relaxed_state(STATE_DRAINING);
    uint ended = load_relaxed_state(STATE_TAIL) + load_relaxed_state(STATE_RESUMED);
    bool last = ended + 1 == load_relaxed_state(STATE_HEAD);
    bool won = false;
    if (last && slot != 0 && slot != DRAINED && gl_SubgroupInvocationID == 0)
        won = atomicCompSwap(state[STATE_DRAINING], slot, DRAINED, SCOPE, 0, gl_SemanticsRelaxed, 0,
                             gl_SemanticsRelaxed) == slot;
    if (subgroupAny(won)) {
        if (won) atomicStore(control[SHUTDOWN], 1u, SCOPE, 0, gl_SemanticsRelaxed);
        count_executions_of(won, OP_SHUTDOWN);
        complete(won, slot - 1, done(0));
    }
}

void main() {
    uint beat = HEARTBEAT_WORDS * (gl_WorkGroupID.x % MAX_WORKERS);
    if (gl_SubgroupInvocationID == 0) store_relaxed_completion(beat, completion[beat] + 1);
    budget = push.loop_budget;
#ifdef WITH_IO
    io_seen = io_answered();
#endif
    bool stay = true;
    while (stay) {
        charge(LOOPS);
        Found f = poll();
        stay = f.stay;
        if (stay && f.count != 0) {
            uint second = second_word(f);
            uint count = claim(f, second);
            if (count != 0)
                serve(gl_SubgroupInvocationID < count, f.entry, second & ((1u << LAP_SHIFT) - 1), f.ready);
        } else if (stay) {
            finish_draining();
        }
    }
}
