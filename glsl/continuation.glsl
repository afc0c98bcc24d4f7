// Slots that are taken up again: one that cannot go on leaves its worker, which serves others, and is
// continued later by any worker.
//
// An operation says so by the fault of its outcome. PENDING_ANSWER: the host was asked for something,
// and publishes the slot's entry again, marked ENTRY_RESUMED, when it has answered. PENDING_READY: the
// slot goes into a ready queue of its level, and is executed anew when its turn comes; PENDING_ROOM: the same,
// once the ring of IO requests has room. In all cases nobody holds the slot meanwhile, so what an operation is
// to know later lies in memory: SAVED_WORDS words for each slot, saved_word(), which are undefined until the
// slot writes them.
//
// The ready queues are bounded queues like the others, but from device to device, in device-local memory:
// two words an entry, lap | slot and lap | batch. A slot is in one queue at most, so none can overflow.
#ifndef CONTINUATION_GLSL
#define CONTINUATION_GLSL

// Above all fault codes, which have 8 bits.
const uint PENDING_ANSWER = 0x100;
const uint PENDING_READY = 0x101;
const uint PENDING_ROOM = 0x102;

uint ready_word(uint queue, uint position) {
    return STATE_BATCHES + push.slot_count + (READY_WORDS << push.queue_shift) * queue +
           READY_WORDS * in_queue(position);
}

bool queue_waits(uint queue) {
    return load_relaxed_state(STATE_READY_HEADS + queue) != load_relaxed_state(STATE_READY_TAILS + queue);
}

// Whether slots of a level go on; `room`: the ring of IO requests has some.
bool ready_waits(uint level, bool room) {
    bool waits = queue_waits(level);
    if (WITH_IO) waits = waits || (room && queue_waits(READY_ASKING + level));
    return waits;
}

// Word `i` of what a slot has saved, in `state`.
uint saved_word(uint slot, uint i) {
    return STATE_BATCHES + push.slot_count + (READY_WORDS << push.queue_shift) * READY_QUEUES + SAVED_WORDS * slot + i;
}

// Where it is kept whose slot a slot in a ready queue is.
uint slot_tenant(uint slot) {
    return saved_word(push.slot_count, 0) + SAVE_AREAS * SAVE_WORDS * (1 + gl_SubgroupSize) + slot;
}

// Puts the slots of the lanes in `mine` into a ready queue, by the entries that they were claimed with,
// which come back with the same flags; the whole subgroup calls it.
void push_ready(bool mine, uint queue, uint entry, uint batch) {
    release_effects();
    uvec4 who = subgroupBallot(mine);
    uint base = 0;
    if (gl_SubgroupInvocationID == 0)
        base = atomicAdd(state[STATE_READY_TAILS + queue], subgroupBallotBitCount(who), SCOPE, 0, gl_SemanticsRelaxed);
    base = subgroupBroadcastFirst(base);
    if (mine) {
        uint position = base + subgroupBallotExclusiveBitCount(who);
        uint tag = lap_of(position) << LAP_SHIFT;
        atomicStore(state[ready_word(queue, position) + 1], tag | batch, SCOPE, 0, gl_SemanticsRelaxed);
        atomicStore(state[ready_word(queue, position)], tag | (entry & ((1u << LAP_SHIFT) - 1)), SCOPE, 0, gl_SemanticsRelaxed);
    }
}

#endif
