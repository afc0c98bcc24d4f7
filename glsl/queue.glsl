// The completion queue, written by the device alone (PROTOCOL section 9).
//
// An entry is two words, and two more for a large result in an array behind, each with the lap of its
// position, so that one read in part is never taken for whole. The long words are also brought up to
// date every COMPLETION_REFRESH_LAPS laps, before their old laps could come round again.
#ifndef QUEUE_GLSL
#define QUEUE_GLSL

#include "counters.glsl"

uint lap_of(uint position) { return ((position >> push.queue_shift) + 1) & LAP_MASK; }

uint in_queue(uint position) { return position & ((1u << push.queue_shift) - 1); }

// Delivers the outcomes of the lanes in `mine`; the whole subgroup calls it. The slot is the host's again
// as soon as its completion is there, so that its status word comes first. Returns how many there are.
uint deliver(bool mine, uint slot, Outcome o) {
    if (mine && o.fault != 0) slots[slot * SLOT_WORDS + STATUS_WORD] = STATUS_FAULT;
    release_effects();
    uvec4 who = subgroupBallot(mine);
    uint base = 0;
    if (gl_SubgroupInvocationID == 0)
        base = atomicAdd(state[STATE_TAIL], subgroupBallotBitCount(who), SCOPE, 0, gl_SemanticsRelaxed);
    base = subgroupBroadcastFirst(base);
    if (mine) {
        uint position = base + subgroupBallotExclusiveBitCount(who);
        uint at = HEARTBEAT_WORDS * MAX_WORKERS + COMPLETION_WORDS * in_queue(position);
        uint lap = lap_of(position);
        uint tag = lap << LAP_SHIFT;
        bool small = o.hi == 0 && (o.lo >> LAP_SHIFT) == 0;
        uint kind = o.fault != 0 ? COMPLETION_FAULT : small ? COMPLETION_SHORT : COMPLETION_LONG;
        uint second = o.fault != 0 ? (o.fault << 16) | o.detail : o.lo & 0xFFFFFF;
        store_relaxed_completion(at, tag | (kind << COMPLETION_KIND_SHIFT) | slot);
        store_relaxed_completion(at + 1, tag | second);
        if (kind == COMPLETION_LONG || lap % COMPLETION_REFRESH_LAPS == 0) {
            uint entries = HEARTBEAT_WORDS * MAX_WORKERS + (COMPLETION_WORDS << push.queue_shift);
            uint behind = entries + COMPLETION_LONG_WORDS * in_queue(position);
            store_relaxed_completion(behind, tag | (o.lo >> 24) | ((o.hi & 0xFFFF) << 8));
            store_relaxed_completion(behind + 1, tag | (o.hi >> 16));
        }
    }
    return subgroupBallotBitCount(who);
}

// The same, and counts them.
void complete(bool mine, uint slot, Outcome o) {
    uint ended = deliver(mine, slot, o);
    collect_outcomes(mine, ended, o);
    add_collected();
}

#endif
