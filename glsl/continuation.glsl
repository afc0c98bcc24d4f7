// Slots that are taken up again: one that cannot go on leaves its worker, which serves others, and is
// continued later by any worker.
//
// An operation says so by the fault of its outcome. PENDING_ANSWER: the host was asked for something,
// and publishes the slot's entry again, marked ENTRY_RESUMED, when it has answered. PENDING_READY: the
// slot goes into the ready queue and is executed anew once the queue is looked at. In both cases nobody holds
// the slot meanwhile, so what an operation is to know later lies in memory: SAVED_WORDS words for each
// slot, saved_word(), which are undefined until the slot writes them.
//
// The ready queue is a bounded queue like the others, but from device to device, in device-local memory:
// two words an entry, lap | slot and lap | batch. A slot is in one queue at most, so none can overflow.
#ifndef CONTINUATION_GLSL
#define CONTINUATION_GLSL

// Above all fault codes, which have 8 bits.
const uint PENDING_ANSWER = 0x100;
const uint PENDING_READY = 0x101;

uint ready_word(uint position) { return STATE_BATCHES + push.slot_count + READY_WORDS * in_queue(position); }

// Word `i` of what a slot has saved, in `state`.
uint saved_word(uint slot, uint i) {
    return STATE_BATCHES + push.slot_count + (READY_WORDS << push.queue_shift) + SAVED_WORDS * slot + i;
}

// Puts the slots of the lanes in `mine` into the ready queue, by the entries that they were claimed with,
// which come back with the same flags; the whole subgroup calls it.
void push_ready(bool mine, uint entry, uint batch) {
    release_effects();
    uvec4 who = subgroupBallot(mine);
    uint base = 0;
    if (gl_SubgroupInvocationID == 0)
        base = atomicAdd(state[STATE_READY_TAIL], subgroupBallotBitCount(who), SCOPE, 0, gl_SemanticsRelaxed);
    base = subgroupBroadcastFirst(base);
    if (mine) {
        uint position = base + subgroupBallotExclusiveBitCount(who);
        uint tag = lap_of(position) << LAP_SHIFT;
        atomicStore(state[ready_word(position) + 1], tag | batch, SCOPE, 0, gl_SemanticsRelaxed);
        atomicStore(state[ready_word(position)], tag | (entry & ((1u << LAP_SHIFT) - 1)), SCOPE, 0, gl_SemanticsRelaxed);
    }
}

#endif
