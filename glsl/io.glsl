// Asking the host for IO, for any opcode: io_request, then PENDING_ANSWER, then io_answer.
//
//     if (!answered) {
//         bool asked = io_request(mine, Request(...));
//         return asked ? Outcome(PENDING_ANSWER, 0, 0, 0) : Outcome(PENDING_READY, 0, 0, 0);
//     }
//     return io_answer(slot);
//
// Requests go through a ring of IO_SLOT_COUNT entries in memory near the host, which takes them in the
// order of their positions. A request holds its place until it is answered: what was asked less what was
// answered, which the host counts in COMMAND_IO_ANSWERED, is never more than the ring has. A full ring
// therefore delays slots, by way of the ready queue, and loses none. The last word of an entry is a check
// over the others and the position; until it matches, the entry is not there (PROTOCOL section 7).
//
// Answers, two words for each slot of the slab, lie behind the batch counts in memory near the device,
// and are written before the slot's entry is published again.
#ifndef IO_GLSL
#define IO_GLSL

struct Request {
    uint kind;       // IO_READ, IO_WRITE, IO_FENCE; with IO_UNATTENDED no slot waits for the answer
    uint slot;       // to be resumed
    uint file;       // handle of a file
    uint memory;     // handle of memory
    uvec2 offset;    // into the file, in bytes
    uint bytes;      // how many; 0 for all of the file
    uint memory_at;  // into the memory, in bytes
};

uint io_stamp(uint position, uvec4 a, uvec3 b) {
    uint h = position * STAMP_NUMBER + STAMP_SEED;
    h = stamp_mix(h, a);
    h = stamp_mix(h, b.x);
    h = stamp_mix(h, b.y);
    return stamp_mix(h, b.z) | 1u;
}

uint io_request_word(uint position) {
    return HEARTBEAT_WORDS * MAX_WORKERS + ((COMPLETION_WORDS + COMPLETION_LONG_WORDS) << push.queue_shift) +
           IO_SLOT_WORDS * (position % IO_SLOT_COUNT);
}

// How many requests may be made after `asked`, when `answered` have been answered.
uint io_room(uint asked, uint answered) { return IO_SLOT_COUNT - min(asked - answered, IO_SLOT_COUNT); }

uint io_answered() { return load_relaxed_submission(COMMAND_IO_ANSWERED); }

bool io_has_room() { return io_room(load_relaxed_state(STATE_IO_ASKED), io_answered()) != 0; }

// What the first lane last saw of COMMAND_IO_ANSWERED, which is far away, and only grows.
uint io_seen;

// Asks the host, for the lanes in `mine`; the whole subgroup calls it. False where the ring was full.
// From here on another worker may have the slot, unless the request is unattended.
bool io_request(bool mine, Request r) {
    uvec4 who = subgroupBallot(mine);
    uint first = 0;
    uint granted = 0;
    if (gl_SubgroupInvocationID == 0) {
        first = load_relaxed_state(STATE_IO_ASKED);
        uint wanted = subgroupBallotBitCount(who);
        if (io_room(first, io_seen) < wanted) io_seen = io_answered();
        granted = min(io_room(first, io_seen), wanted);
        if (granted != 0 && atomicCompSwap(state[STATE_IO_ASKED], first, first + granted, SCOPE, 0,
                                           gl_SemanticsRelaxed, 0, gl_SemanticsRelaxed) != first)
            granted = 0;
    }
    first = subgroupBroadcastFirst(first);
    granted = subgroupBroadcastFirst(granted);
    uint rank = subgroupBallotExclusiveBitCount(who);
    bool asked = mine && rank < granted;
    if (asked && (r.kind & IO_UNATTENDED) == 0) slots[r.slot * SLOT_WORDS + STATUS_WORD] = STATUS_WAIT_IO;
    // What the slot's data depend on, and what is to be written back, is there before the request.
    release_effects();
    if (asked) {
        uint position = first + rank;
        uint at = io_request_word(position);
        uvec4 a = uvec4(r.kind | r.slot << IO_REQUEST_SLOT_SHIFT, r.file, r.memory, r.offset.x);
        uvec3 b = uvec3(r.offset.y, r.bytes, r.memory_at);
        store_relaxed_completion(at, a.x);
        store_relaxed_completion(at + 1, a.y);
        store_relaxed_completion(at + 2, a.z);
        store_relaxed_completion(at + 3, a.w);
        store_relaxed_completion(at + 4, b.x);
        store_relaxed_completion(at + 5, b.y);
        store_relaxed_completion(at + 6, b.z);
        store_relaxed_completion(at + 7, io_stamp(position, a, b));
    }
    return asked;
}

// What the host answered to the request of a slot that was resumed: a fault and its detail, or 0; and bytes that arrived.
uint io_answer_word(uint slot, uint i) {
    uint answers = COMMAND_WORDS + (SUBMISSION_WORDS << push.queue_shift) * PRIORITY_LEVELS + push.slot_count;
    return submission[answers + IO_ANSWER_WORDS * slot + i];
}

uint io_answer_fault(uint slot) { return io_answer_word(slot, 0); }
uint io_answer_bytes(uint slot) { return io_answer_word(slot, 1); }

Outcome io_answer(uint slot) {
    uint fault = io_answer_fault(slot);
    return fault == 0 ? done(io_answer_bytes(slot)) : Outcome(fault >> 16, fault & 0xFFFF, 0, 0);
}

#endif
