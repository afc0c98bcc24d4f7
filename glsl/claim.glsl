// From polling to a claim: which level is served, from which of its queues, and how many of its slots.
//
// Host and other workers write between the loads of two lanes, where a driver makes one for each. Whatever
// decides where the subgroup goes is the first lane's: were some lanes to leave, the others would claim for
// all, and lose what those were to serve.
#ifndef CLAIM_GLSL
#define CLAIM_GLSL

#include "levels.glsl"

// COMMAND_LEVELS as the last look found it: the levels that ever had work, and whether slots are to be cancelled.
uint used;

// What may be claimed: entries of one queue, one for each of the first lanes.
struct Found {
    uint level;
    uint queue;   // SUBMISSION, or a ready queue
    uint head;    // position of the first
    uint entry;   // the lane's
    uint count;   // how many are there
};

const uint SUBMISSION = 0xFFFFFFFF;

// What was claimed: for each lane an entry, the batch's number, and the tenant whose it is; and how many there are.
struct Claim {
    bool mine;
    uint entry;
    uint batch;
    uint tenant;
    uint count;
};

uint entry_word(uint level, uint position) {
    return COMMAND_WORDS + (SUBMISSION_WORDS << push.queue_shift) * level + SUBMISSION_WORDS * in_queue(position);
}

// Where the position of the next claim from a queue lies, in `state`.
uint head_word(uint level, uint queue) {
    return queue == SUBMISSION ? STATE_HEADS + level : STATE_READY_HEADS + queue;
}

// How many lanes from the first on are not `absent`.
uint run_length(bool absent) {
    uvec4 holes = subgroupBallot(absent);
    return any(notEqual(holes, uvec4(0))) ? subgroupBallotFindLSB(holes) : gl_SubgroupSize;
}

#ifdef WITH_TENANTS
#include "lists.glsl"

bool submission_waits(uint level) { return list_waits(level); }
#else
bool submission_waits(uint level) {
    uint head = load_relaxed_state(STATE_HEADS + level);
    return (load_relaxed_submission(entry_word(level, head)) >> LAP_SHIFT) == lap_of(head);
}
#endif

// The entries at the head of one of a level's queues.
Found look(uint level, uint queue) {
    uint head = subgroupBroadcastFirst(load_relaxed_state(head_word(level, queue)));
    uint position = head + gl_SubgroupInvocationID;
    uint entry;
    if (WITH_TURNS && queue != SUBMISSION) entry = load_relaxed_state(ready_word(queue, position));
    else entry = load_relaxed_submission(entry_word(level, position));
    return Found(level, queue, head, entry, run_length((entry >> LAP_SHIFT) != lap_of(position)));
}

// What a look at all levels found.
struct Waiting {
    uint levels; // a bit for each level that has work
    uint ready;  // those that have some of it in ready queues
    bool stay;   // it is not time to leave
    bool told;   // the host has something to say, of tenants
};

// A lane for each level; with fewer lanes than levels, the first have another.
uint levels_where(bool waits, bool other) {
    uint levels = subgroupBallot(waits).x;
    if (gl_SubgroupSize < PRIORITY_LEVELS) levels |= subgroupBallot(other).x << gl_SubgroupSize;
    return levels;
}

bool in_levels(uint level) { return submission_waits(min(level, PRIORITY_LEVELS - 1)) && level < PRIORITY_LEVELS; }

bool in_ready(uint level, bool room) { return level < PRIORITY_LEVELS && ready_waits(level, room); }

// The level that was served last. Its entries are loaded with every look: most find them there.
uint served;

bool looks_at_all() {
#ifdef WITH_TENANTS
    return true;
#else
    return (used & ALL_LEVELS & ~(1u << served)) != 0;
#endif
}

// Polls until some level has work or it is time to leave. The loop is small on purpose: some drivers execute
// all of a loop's body on each turn (DESIGN fact 10). `f` is what the level that was served last has.
Waiting poll(out Found f) {
    Waiting w = Waiting(0, 0, true, false);
    uint other = gl_SubgroupInvocationID + gl_SubgroupSize;
    bool polling = true;
    while (polling) {
        used = subgroupBroadcastFirst(load_relaxed_submission(COMMAND_LEVELS));
        w.levels = 0;
        // Most programs have one level, and need no look at the others.
        if (looks_at_all()) {
            bool more = gl_SubgroupSize < PRIORITY_LEVELS && in_levels(other);
            w.levels = levels_where(in_levels(gl_SubgroupInvocationID), more);
        }
        if (WITH_TURNS) {
            bool room = false;
            if (WITH_IO) room = io_has_room();
            w.ready = levels_where(in_ready(gl_SubgroupInvocationID, room),
                                   gl_SubgroupSize < PRIORITY_LEVELS && in_ready(other, room));
            w.levels |= w.ready;
        }
#ifdef WITH_TENANTS
        w.told = subgroupBroadcastFirst(announced() || load_relaxed_submission(COMMAND_RECONSIDER) !=
                                                           load_relaxed_state(STATE_RECONSIDERED));
        f = Found(PRIORITY_LEVELS, SUBMISSION, 0, 0, 0); // lists are looked at when a level was chosen
#else
        f = look(served, SUBMISSION);
        if (f.count != 0) w.levels |= 1u << served;
#endif
        uint draining = 0;
        if (w.levels == 0) draining = subgroupBroadcastFirst(load_relaxed_state(STATE_DRAINING));
        uint run = subgroupBroadcastFirst(load_relaxed_submission(COMMAND_RUN));
        w.stay = run != 0 && draining != DRAINED && budget >= RESERVE + LOOPS &&
                 (w.levels != 0 || w.told || (push.flags & FLAG_DRAIN) == 0 || draining != 0);
        polling = w.stay && w.levels == 0 && !w.told && draining == 0;
        charge(1);
    }
    return w;
}

// The kind of queue that the last claim at each level was made from, two bits for each: each kind has its turn.
// 0 submission, 1 ready, 2 asking. Were it one for all levels, claims at one would decide whose turn it is at another.
uint kinds_before;

// The queue of a level that has its turn; the first lane's look is what counts.
uint turn_of(uint level) {
    uint waiting = (submission_waits(level) ? 1 : 0) | (queue_waits(level) ? 2 : 0);
    if (WITH_IO) {
        if (io_has_room() && queue_waits(READY_ASKING + level)) waiting |= 4;
    }
    uint at = 2 * level;
    uint behind = waiting & ~((2u << (kinds_before >> at & 3)) - 1);
    uint kind = subgroupBroadcastFirst(findLSB(behind != 0 ? behind : waiting | 1));
    kinds_before = (kinds_before & ~(3u << at)) | kind << at;
    return kind == 0 ? SUBMISSION : kind == 1 ? level : READY_ASKING + level;
}

// What is to be claimed, and how much of it at most: what `f` is, if only that level has work.
Found choose(Waiting w, Found f, out uint most) {
    most = gl_SubgroupSize;
    if (w.levels != 1u << f.level || w.ready != 0) {
        Pick pick = pick_level(w.levels);
        most = subgroupBroadcastFirst(pick.most);
        served = subgroupBroadcastFirst(pick.level);
        uint queue = SUBMISSION;
        if (WITH_TURNS) queue = turn_of(served);
        f = Found(served, queue, 0, 0, 0);
#ifdef WITH_TENANTS
        if (queue != SUBMISSION)
#endif
            f = look(served, queue);
    }
    return f;
}

uint second_word(Found f) {
    uint position = f.head + gl_SubgroupInvocationID;
    if (WITH_TURNS && f.queue != SUBMISSION) return load_relaxed_state(ready_word(f.queue, position) + 1);
    return load_relaxed_submission(entry_word(f.level, position) + 1);
}

// Takes at most `most` of the entries that `f` found, in their order, with one compare-and-swap. An entry's
// second word may arrive after the first; then the run ends before it. What was written before they were published is
// visible after it.
Claim claim(Found f, uint waiting, uint most) {
    uint second = second_word(f);
    uint count = min(f.count, run_length((second >> LAP_SHIFT) != lap_of(f.head + gl_SubgroupInvocationID)));
    count = min(count, most);
    if (WITH_WIDE) {
        // A wide slot is claimed alone: a run ends before it, or is it.
        uint narrow = run_length((f.entry & ENTRY_WIDE) != 0);
        count = min(count, max(narrow, 1));
    }
    bool won = false;
    bool take = gl_SubgroupInvocationID == 0 && count != 0;
    // With one level there are no rules.
    if ((used & ALL_LEVELS) != 1u << f.level) take = take && reserve_turns(f.level, waiting, count);
    if (take)
        won = atomicCompSwap(state[head_word(f.level, f.queue)], f.head, f.head + count, SCOPE, 0,
                             gl_SemanticsRelaxed, 0, gl_SemanticsRelaxed) == f.head;
    count = subgroupBroadcastFirst(won) ? count : 0;
    acquire_published();
    return Claim(gl_SubgroupInvocationID < count, f.entry, second & ((1u << LAP_SHIFT) - 1), 0, count);
}

#endif
