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
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_GOOGLE_include_directive : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;

#include "options.glsl"
#include "memory.glsl"
#include "queue.glsl"
#include "continuation.glsl"
#include "io.glsl"
#include "execute.glsl"

// What a claim may cost at most; a worker that has less left leaves before it claims.
const uint FAMILIES = WITH_CHILDREN ? FAMILY_CLAIM_COST : 0;
const uint LANES = LANE_CLAIM_COST + (WITH_LANE_HANDLERS ? HANDLERS_COST : 0);
const uint WIDE = WITH_SCAN ? SCAN_CLAIM_COST : WITH_RANGE ? RANGE_CLAIM_COST : 0;
const uint RESERVE = (LANES > WIDE ? LANES : WIDE) + FAMILIES;

#include "claim.glsl"
#include "family.glsl"
#include "turns.glsl"
#include "wide.glsl"
#include "op/load_sum.glsl"
#include "op/transfer.glsl"
#include "children.glsl"
#include "op/unfold.glsl"
#include "users_wide.glsl"

// Why a slot is not executed; fault 0 where it is.
Outcome refusal(uint slot, uint op) {
    Outcome o = done(0);
    if (slots[slot * SLOT_WORDS + PRIORITY_WORD] >= PRIORITY_LEVELS) o = bad_operand(DETAIL_PRIORITY);
#ifdef WITH_TENANTS
    else o = tenant_refusal(op);
#endif
    if (o.fault == 0 && (used & LEVELS_CANCEL) != 0 && load_relaxed_submission(cancel_word(root_of(slot))) != 0)
        o = Outcome(FAULT_CANCELLED, 0, 0, 0);
    if (WITH_CHILDREN) {
        // The host knows nothing of children: it answers none, and none ends it.
        bool hosts = op == OP_SHUTDOWN || is_transfer(op);
        if (o.fault == 0 && hosts && is_child(slot)) o = Outcome(FAULT_UNKNOWN_OPCODE, 0, 0, 0);
    }
    return o;
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
            o = refusal(slot, OP_BATCH_FENCE);
            if (o.fault == 0) o = op_batch_fence(broken, slots[slot * SLOT_WORDS + ARG0_WORD + 1]);
        }
        uint executed = subgroupBallotBitCount(subgroupBallot(whole && o.fault == 0));
        collect(METRICS_BASE + OP_BATCH_FENCE, executed);
        complete(whole, slot, o);
    }
}

// Executes the claimed entries, one a lane, and delivers what ended. Counters follow the completions:
// they are never ahead of them, and the host does not wait for them.
// They came by a queue of `level`; `again` says that they were claimed before, and left.
void serve(Claim c, uint level, bool again) {
    uint entry = c.entry;
    uint batch = c.batch;
    if (WITH_CHILDREN) {
        // A child's first turn comes by way of a ready queue, too.
        again = again && (entry & ENTRY_FIRST) == 0;
        entry &= ~ENTRY_FIRST;
    }
    bool resumed = (entry & ENTRY_RESUMED) != 0;
    uint slot = entry & ENTRY_SLOT_MASK;
    bool mine = c.mine && slot < push.slot_count;
    uint base = slot * SLOT_WORDS;
    uint op = OP_NOP;
    Outcome o = done(0);
#ifdef WITH_TENANTS
    enter_tenant(mine ? c.tenant : 0);
#endif
    if (mine) {
        op = slots[base + OPCODE_WORD];
        o = refusal(slot, op);
    }
#ifdef WITH_TENANTS
    // The host keeps to a tenant's cap. Were it not to, no more slots than that would be begun. One that is taken up
    // by another worker may be counted off before it was counted: below 0 for a moment.
    bool before = again || resumed;
    bool capped = WITH_TURNS && mine && tenant != 0;
    if (WITH_CHILDREN) capped = capped && !is_child(slot);
    if (capped && !before && o.fault == 0 &&
        int(load_relaxed_state(tenant_state(tenant, 0) + TENANT_PENDING)) >= int(tenant_record_word(tenant, TENANT_MOST)))
        o = Outcome(FAULT_UNAUTHORIZED, 0, 0, 0);
#endif
    bool admitted = mine && o.fault == 0;
    bool claimed = mine && o.detail != DETAIL_PRIORITY && !again && !resumed;
    bool fence = mine && op == OP_BATCH_FENCE && batch == slot + 1; // its batch decides when it ends
    bool alone = admitted && op == OP_BATCH_FENCE && !fence;
    bool drains = false;
    bool lanes = admitted && op != OP_BATCH_FENCE && op != OP_SHUTDOWN;
    bool wide = WITH_WIDE && lanes && (entry & ENTRY_WIDE) != 0 &&
                (is_wide_op(op) || (WITH_WIDE_HANDLERS && is_user_op(op)));
    // It gave way, and is not to go on.
    bool abandons = WITH_WIDE && mine && (again || resumed) && (entry & ENTRY_WIDE) != 0 && !wide;
    bool transfers = lanes && is_transfer(op);
    bool parent = false;
    if (WITH_CHILDREN && mine) {
        // What it began it ends, whatever kernel runs by then.
        if (again || resumed) parent = has_family(slot);
        else parent = o.fault == 0 && is_parent(op);
    }
    bool unfolding = WITH_UNFOLD && lanes && parent && op == OP_UNFOLD;
    lanes = lanes && !unfolding && !wide && !transfers;
    uint has = (lanes ? HAS_LANES : 0) | (WITH_PACKED_SLOT && lanes && op == OP_PACKED_SLOT ? HAS_PACKED : 0) |
               (WITH_MEMCPY && lanes && op == OP_MEMCPY ? HAS_COPIES : 0) | (wide ? HAS_WIDE : 0) |
               (transfers ? HAS_TRANSFERS : 0) |
               (mine && (op == OP_BATCH_FENCE || op == OP_SHUTDOWN) ? HAS_MARKS : 0) |
               (mine && batch != 0 ? HAS_BATCHES : 0) | (abandons ? HAS_ABANDONED : 0) | (parent ? HAS_PARENTS : 0);
#ifdef WITH_TENANTS
    has |= capped && before ? HAS_PENDING : 0;
#endif
    has = subgroupOr(has);
    executed_level = level;

    if (WITH_LANE_HANDLERS && WITH_PACKED_SLOT) {
        // The next worker has its whole budget before it.
        if ((has & HAS_PACKED) != 0 && budget < PACKED_COST + FAMILIES) {
            has = (has & ~HAS_LANES) | HAS_PUT_BACK;
            if (lanes) o = Outcome(PENDING_READY, 0, 0, 0);
            budget = 0;
        }
    }
    if (WITH_LANE_HANDLERS || WITH_WIDE_HANDLERS) {
        goes_on = again || resumed;
        is_answered = resumed && !again;
        was_answered = resumed;
    }
    if (WITH_PUBLISHERS) {
        if ((has & HAS_PARENTS) != 0) begin_children(parent && wide && !again && !resumed, slot);
    }
    if (WITH_WIDE) {
        if ((has & HAS_WIDE) != 0) {
            Outcome ended = execute_wide(op, slot, subgroupBroadcastFirst(again || resumed));
            if (wide) o = ended;
        }
        if ((has & HAS_ABANDONED) != 0) {
            uint area = area_of(subgroupBroadcastFirst(slot));
            if (area != NO_AREA) give_area_back(area);
        }
    }
    if (WITH_IO) {
        if ((has & HAS_TRANSFERS) != 0) {
            Outcome moved = op_transfer(transfers, op, slot, resumed, again);
            if (transfers) o = moved;
        }
    }
    if (WITH_UNFOLD) {
        if ((has & HAS_PARENTS) != 0) {
            Outcome unfolded = op_unfold(unfolding, slot, again);
            if (unfolding) o = unfolded;
        }
    }
    if ((has & HAS_LANES) != 0) {
        Outcome ended = execute_lanes(lanes, slot, op, has);
        if (lanes) o = ended;
        if (WITH_LANE_HANDLERS && WITH_IO) {
            bool asks = lanes && o.fault == HANDLER_ASKS;
            if (subgroupAny(asks)) {
                Outcome asked = ask_for_handlers(asks, slot);
                if (asks) o = asked;
                has |= HAS_TRANSFERS;
            }
        }
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

    if (WITH_TURNS) {
        if ((has & (HAS_TRANSFERS | HAS_WIDE | HAS_PARENTS | HAS_PENDING | HAS_PUT_BACK)) != 0) {
            bool ready = mine && o.fault == PENDING_READY;
            bool pending = ready || (WITH_IO && mine && o.fault == PENDING_ANSWER);
            bool asking = WITH_IO && mine && o.fault == PENDING_ROOM;
#ifdef WITH_TENANTS
            if (ready || asking) atomicStore(state[slot_tenant(slot)], tenant, SCOPE, 0, gl_SemanticsRelaxed);
            bool left = pending || asking;
            if (capped && left != before) add_state(tenant_state(tenant, 0) + TENANT_PENDING, left ? 1 : 0u - 1);
#endif
            if (subgroupAny(ready)) push_ready(ready, level, entry, batch);
            if (WITH_IO) {
                if (subgroupAny(asking)) push_ready(asking, READY_ASKING + level, entry, batch);
            }
            mine = mine && !pending && !asking;
        }
    }
    if (WITH_CHILDREN) {
        if ((has & HAS_PARENTS) != 0) {
            bool last = own_part_ends(mine && parent, slot, batch, o);
            if (mine && parent && last) o = family_outcome(slot);
            mine = mine && (!parent || last);
        }
    }
    bool ends = mine && !fence && !drains;
    uint claims = subgroupBallotBitCount(subgroupBallot(claimed));
    bool more = false;
    do {
        // The last child to end ends its parent.
        bool child = false;
        if (WITH_CHILDREN) {
            child = ends && is_child(slot);
            more = subgroupAny(child);
        }
        uint ended = deliver(ends && !child, slot, o);
        if (WITH_CHILDREN) ended = subgroupBallotBitCount(subgroupBallot(ends));
        collect(PRIORITY_FAIRNESS_BASE + level, claims);
        claims = 0;
        collect_outcomes(ends, ended, o);
        collect_executions(ends && o.fault == 0 && op != OP_PACKED_SLOT, op);
        add_collected();
        if ((has & HAS_BATCHES) != 0) count_batches(mine, batch, amount);
        if (more) {
            uint above = child ? state[family_word(slot, FAMILY_PARENT)] : slot;
            ends = leave_family(child, slot, o, above);
            if (ends) {
                slot = above;
                op = slots[slot * SLOT_WORDS + OPCODE_WORD];
                o = family_outcome(slot);
                batch = state[family_word(slot, FAMILY_BATCH)];
                amount = 1;
            }
            mine = ends;
            has |= HAS_BATCHES;
            more = subgroupAny(ends);
        }
        if (WITH_CHILDREN) charge(3); // and the last looks of the loops that count
    } while (more);
}

// Completes a SHUTDOWN once every other slot has ended.
void finish_draining() {
    uint slot = load_relaxed_state(STATE_DRAINING);
    bool last = load_relaxed_state(STATE_TAIL) + 1 == load_relaxed_submission(COMMAND_CLOSED_AT);
    bool won = false;
    if (last && slot != 0 && slot != DRAINED && gl_SubgroupInvocationID == 0)
        won = atomicCompSwap(state[STATE_DRAINING], slot, DRAINED, SCOPE, 0, gl_SemanticsRelaxed, 0,
                             gl_SemanticsRelaxed) == slot;
    if (subgroupAny(won)) {
#ifdef WITH_TENANTS
        enter_tenant(0);
#endif
        if (won) atomicStore(control[SHUTDOWN], 1u, SCOPE, 0, gl_SemanticsRelaxed);
        collect(METRICS_BASE + METRICS_WORDS - 1, subgroupBallotBitCount(subgroupBallot(won))); // OP_SHUTDOWN
        complete(won, slot - 1, done(0));
    }
}

void main() {
    uint beat = HEARTBEAT_WORDS * (gl_WorkGroupID.x % MAX_WORKERS);
    uint beats = subgroupBroadcastFirst(completion[beat]);
    if (gl_SubgroupInvocationID == 0) store_relaxed_completion(beat, beats + 1);
    budget = push.loop_budget;
    collected = 0;
    if (WITH_IO) io_seen = io_answered();
    // Each worker begins with another kind: where a slot that goes on takes all of a budget, no other kind had its turn
    // if they all began with the same.
    kinds_before = beats % 3 * 0x155;
    served = PRIORITY_NORMAL;
    seek_from = 0;
#ifdef WITH_TENANTS
    starved = 0;
    lacks_credits = false;
    published = 0;
    fruitless = 0;
    visits = 0;
    if (gl_WorkGroupID.x == 0) refill();
#endif
    bool stay = true;
    while (stay) {
        charge(LOOPS);
        Found f;
        Waiting w = poll(f);
        stay = w.stay;
#ifdef WITH_TENANTS
        if (stay && w.told) {
            take_announcements();
            // What is left of the budget may not be enough for a claim.
            if (reconsider()) w.levels = 0;
        }
#endif
        if (stay && w.levels != 0) {
            uint most;
            Claim c;
#ifdef WITH_TENANTS
            w.levels = with_credits(w.levels, w.ready);
            f = choose(w, f, most);
            if (f.queue == SUBMISSION) {
                c = visit(f.level, w.levels, most);
            } else {
                c = claim(f, w.levels, most);
                if (WITH_TURNS && c.mine) c.tenant = load_relaxed_state(slot_tenant(f.entry & ENTRY_SLOT_MASK));
            }
#else
            f = choose(w, f, most);
            c = claim(f, w.levels, most);
#endif
            if (c.count != 0) {
                serve(c, f.level, f.queue != SUBMISSION);
#ifdef WITH_TENANTS
                if (WITH_CHILDREN) refill_parents(f.level, w.levels, c.count);
#endif
            }
        } else if (stay) {
            finish_draining();
        }
    }
}
