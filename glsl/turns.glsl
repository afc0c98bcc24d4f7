// Long jobs give way: a wide operation asks from step to step, about once a microsecond, whether work at a higher
// level waits, or whether it is to end. If so it saves where it is and leaves for the ready queue; any worker takes
// it up again there.
//
// What it saves lies in one of SAVE_AREAS areas, the number of which is kept with the slot: SAVE_WORDS words for
// all lanes, and as many for each lane. Without a free area it does not give way.
#ifndef TURNS_GLSL
#define TURNS_GLSL

// The level of the slot that is executed.
uint executed_level;

uint save_word(uint area) {
    return saved_word(push.slot_count, 0) + SAVE_WORDS * (1 + gl_SubgroupSize) * area;
}

// Word `i` of what all lanes save, and of what this one does.
uint saved_by_all(uint area, uint i) { return save_word(area) + i; }
uint saved_by_lane(uint area, uint i) { return save_word(area) + SAVE_WORDS * (1 + gl_SubgroupInvocationID) + i; }

const uint NO_AREA = 0xFFFFFFFF;

// An area, or NO_AREA; the first lane's.
uint take_area() {
    uint area = NO_AREA;
    uint word = load_relaxed_state(STATE_SAVES);
    if (word == 0xFFFFFFFF) {
        area = 32;
        word = load_relaxed_state(STATE_SAVES + 1);
    } else {
        area = 0;
    }
    uint bit = findLSB(~word);
    bool won = word != 0xFFFFFFFF &&
               atomicCompSwap(state[STATE_SAVES + area / 32], word, word | 1u << bit, SCOPE, 0, gl_SemanticsRelaxed, 0,
                              gl_SemanticsRelaxed) == word;
    return won ? area + bit : NO_AREA;
}

void give_area_back(uint area) {
    release_effects();
    if (gl_SubgroupInvocationID == 0)
        atomicAnd(state[STATE_SAVES + area / 32], ~(1u << (area & 31)), SCOPE, 0, gl_SemanticsRelaxed);
}

// How an operation is to go on after a step, by the same answer for all lanes.
const uint GO_ON = 0;
const uint GIVE_WAY = 1;
const uint END = 2; // it was cancelled

uint next_step(uint slot) {
    bool told = load_relaxed_submission(COMMAND_RUN) == 0;
    bool higher = in_levels(gl_SubgroupInvocationID) && gl_SubgroupInvocationID < executed_level;
#ifdef WITH_TENANTS
    // Announcements that nobody has taken; so many that not all are seen may hide some of a higher level.
    uint head = load_relaxed_state(STATE_ANNOUNCED);
    uint position = head + gl_SubgroupInvocationID;
    uint word = load_relaxed_submission(announce_word(position));
    bool there = (word >> LAP_SHIFT) == lap_of(position);
    higher = higher || (there && (((word >> ANNOUNCE_LEVEL_SHIFT) & 7) < executed_level ||
                                  gl_SubgroupInvocationID == gl_SubgroupSize - 1));
#endif
    bool cancelled = false;
    if ((load_relaxed_submission(COMMAND_LEVELS) & LEVELS_CANCEL) != 0) cancelled = load_relaxed_submission(cancel_word(root_of(slot))) != 0;
    return subgroupBroadcastFirst(cancelled) ? END : subgroupAny(higher || told) ? GIVE_WAY : GO_ON;
}

// The slot's area, for when it is taken up again; the first lane writes it.
void leave_with(uint slot, uint area) {
    if (gl_SubgroupInvocationID == 0) {
        state[saved_word(slot, 0)] = area;
        slots[slot * SLOT_WORDS + STATUS_WORD] = STATUS_YIELD;
    }
}

uint after_step(uint slot, out uint area) {
    area = NO_AREA;
    uint next = next_step(slot);
    if (next == GIVE_WAY) {
        if (gl_SubgroupInvocationID == 0) area = take_area();
        area = subgroupBroadcastFirst(area);
        if (area != NO_AREA) leave_with(slot, area);
        else next = GO_ON;
    }
    return next;
}

// The outcome of an operation that did not go on.
Outcome left_after(uint next) { return Outcome(next == END ? FAULT_CANCELLED : PENDING_READY, 0, 0, 0); }

// The area that a slot left when it gave way.
uint area_of(uint slot) { return subgroupBroadcastFirst(state[saved_word(slot, 0)]); }

#endif
