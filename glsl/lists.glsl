// Several tenants in one kernel: whose slots are claimed next (PROTOCOL section 2).
//
// Each tenant has a submission queue for each level, and its id comes from the queue. The host announces what it
// publishes, tenant and level and how many; whoever takes an announcement adds it to what the tenant has waiting
// there, and enters it in the level's list if nothing was. A list is a ring of tenants that have work, so
// that finding the next takes no walk over all of them. A worker takes tenants from the head, one a lane, claims
// from their queues, and puts those that have more at the tail: deficit round robin (Shreedhar and Varghese,
// 1995), with a quantum for each lane's share of the claim that is the tenant's part of the largest weight.
//
// A tenant is in a list once at most, or with one worker: what is known of it there, how much is claimed and its
// deficit, has one writer at a time. What it has waiting, and its credits, are changed by read-modify-writes: of the
// one that finds nothing waiting there is one, and so is of the one that leaves nothing.
#ifndef LISTS_GLSL
#define LISTS_GLSL

uint tenant_shift(uint t) { return t == 0 ? push.queue_shift : push.tenant_shift; }

// Where the entry of a position of a tenant's queue lies, in `submission`.
uint tenant_entry(uint t, uint level, uint position) {
    uint shift = tenant_shift(t);
    uint queue = t == 0 ? COMMAND_WORDS + (SUBMISSION_WORDS << shift) * level
                        : tenant_record(push.tenants) +
                              (SUBMISSION_WORDS << shift) * (PRIORITY_LEVELS * (t - 1) + level);
    return queue + SUBMISSION_WORDS * (position & ((1u << shift) - 1));
}

uint tenant_lap(uint t, uint position) { return ((position >> tenant_shift(t)) + 1) & LAP_MASK; }

// Behind what slots save, and whose they are.
uint tenants_begin() {
    return STATE_BATCHES + (READY_WORDS << push.queue_shift) * READY_QUEUES + (2 + SAVED_WORDS) * push.slot_count +
           SAVE_AREAS * SAVE_WORDS * (1 + gl_SubgroupSize);
}

// What the device knows of a tenant at a level, in `state`.
uint tenant_state(uint t, uint level) {
    return tenants_begin() + TENANT_STATE_WORDS * t + TENANT_LEVEL_WORDS * level;
}

// The list of a level: an entry is lap | tenant.
uint list_word(uint level, uint position) {
    return tenants_begin() + TENANT_STATE_WORDS * push.tenants + (level << push.list_shift) +
           (position & ((1u << push.list_shift) - 1));
}

uint list_lap(uint position) { return ((position >> push.list_shift) + 1) & LAP_MASK; }

bool list_waits(uint level) {
    uint head = load_relaxed_state(STATE_LISTED_HEADS + level);
    return (load_relaxed_state(list_word(level, head)) >> LAP_SHIFT) == list_lap(head);
}

uint add_state(uint i, uint n) { return atomicAdd(state[i], n, SCOPE, 0, gl_SemanticsRelaxed); }

uint exchange_state(uint i, uint value) {
    return atomicExchange(state[i], value, SCOPE, 0, gl_SemanticsRelaxed);
}

// Between what was read and written of tenants and the read-modify-writes and list entries by which they go from one
// worker to another. One for all of a step: some drivers make every acquire and every release a full fence.
void hand_over() {
    memoryBarrier(SCOPE, gl_StorageSemanticsBuffer,
                  gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable | gl_SemanticsMakeVisible);
}

// After hand_over().
void put_in_list(bool mine, uint t, uint level) {
    uvec4 who = subgroupBallot(mine);
    uint first = first_of(who);
    uint position = 0;
    // Most are of one level, and one addition is the cheaper (DESIGN fact 25).
    if (subgroupAll(!mine || level == subgroupShuffle(level, first))) {
        if (gl_SubgroupInvocationID == first)
            position = add_state(STATE_LISTED_TAILS + level, subgroupBallotBitCount(who));
        position = subgroupShuffle(position, first) + subgroupBallotExclusiveBitCount(who);
    } else if (mine) {
        position = add_state(STATE_LISTED_TAILS + level, 1);
    }
    if (mine) {
        atomicStore(state[list_word(level, position)], list_lap(position) << LAP_SHIFT | t, SCOPE, 0,
                    gl_SemanticsRelaxed);
    }
}

// Enters tenants in a list that had nothing waiting, and now do.
void enlist(bool mine, uint t, uint level) {
    if (subgroupAny(mine)) {
        // What the worker that had it last left is for the next one that has.
        hand_over();
        put_in_list(mine, t, level);
    }
}

// Enters tenants again that were taken out of a list, unless another worker does; it has seen then what this one has.
void release_held(bool mine, uint t, uint level) {
    bool enters = false;
    if (mine) {
        uint before = atomicAnd(state[tenant_state(t, level) + TENANT_WAITING], ~WAITING_HELD, SCOPE, 0, gl_SemanticsRelaxed);
        enters = before > WAITING_HELD;
    }
    enlist(enters, t, level);
}

bool is_paused(uint flags) { return (flags & (TENANT_PAUSED | TENANT_REVOKED)) == TENANT_PAUSED; }

uint announce_word(uint position) { return announcements_begin() + ANNOUNCE_WORDS * in_queue(position); }

bool announced() {
    uint head = load_relaxed_state(STATE_ANNOUNCED);
    return (load_relaxed_submission(announce_word(head)) >> LAP_SHIFT) == lap_of(head);
}

// Takes announcements, one a lane.
void take_announcements() {
    uint head = subgroupBroadcastFirst(load_relaxed_state(STATE_ANNOUNCED));
    uint position = head + gl_SubgroupInvocationID;
    uint lap = lap_of(position);
    uint first = load_relaxed_submission(announce_word(position));
    uint second = load_relaxed_submission(announce_word(position) + 1);
    uint count = run_length((first >> LAP_SHIFT) != lap || (second >> LAP_SHIFT) != lap);
    bool won = false;
    if (gl_SubgroupInvocationID == 0 && count != 0)
        won = atomicCompSwap(state[STATE_ANNOUNCED], head, head + count, SCOPE, 0, gl_SemanticsRelaxed, 0,
                             gl_SemanticsRelaxed) == head;
    count = subgroupBroadcastFirst(won) ? count : 0;
    uint t = first & ANNOUNCE_TENANT_MASK;
    uint level = (first >> ANNOUNCE_LEVEL_SHIFT) & 7;
    bool mine = gl_SubgroupInvocationID < count && t < push.tenants && level < PRIORITY_LEVELS;
    bool enters = false;
    if (mine) {
        enters = add_state(tenant_state(t, level) + TENANT_WAITING, second & ((1u << LAP_SHIFT) - 1)) == 0;
        if ((load_relaxed_state(STATE_THROTTLED) >> level & 1) != 0)
            atomicAnd(state[STATE_THROTTLED], ~(1u << level), SCOPE, 0, gl_SemanticsRelaxed);
    }
    enlist(enters, t, level);
}

// The host has changed what tenants may do: those that were paused, and have work, are entered in the lists again.
// True if this worker did, which takes many loop turns.
bool reconsider() {
    uint asked = subgroupBroadcastFirst(load_relaxed_submission(COMMAND_RECONSIDER));
    uint before = subgroupBroadcastFirst(load_relaxed_state(STATE_RECONSIDERED));
    bool won = false;
    if (gl_SubgroupInvocationID == 0 && asked != before)
        won = atomicCompSwap(state[STATE_RECONSIDERED], before, asked, SCOPE, 0, gl_SemanticsRelaxed, 0,
                             gl_SemanticsRelaxed) == before;
    uint n = subgroupBroadcastFirst(won) ? push.tenants * PRIORITY_LEVELS : 0;
    if (n != 0) hand_over();
    uint i = 0;
    while (i < n) {
        uint mine = min(i + gl_SubgroupInvocationID, n - 1);
        uint t = mine / PRIORITY_LEVELS;
        uint level = mine % PRIORITY_LEVELS;
        bool goes = !is_paused(tenant_record_word(t, TENANT_FLAGS));
        release_held(goes && i + gl_SubgroupInvocationID < n, t, level);
        i += gl_SubgroupSize;
        charge(1);
    }
    return n != 0;
}

// Takes up to `wanted` credits of a tenant, and returns how many it had. The system tenant needs none.
uint take_credits(uint t, uint wanted) {
    uint limit = t == 0 ? UNLIMITED : tenant_table(LIMIT_BASE, t, 0);
    uint word = tenant_table_word(QUOTA_BASE, t);
    uint granted = wanted;
    // Only the system tenant can have written more.
    if (limit != UNLIMITED) limit = min(limit, 0x7FFFFFFF);
    // A limit of 0 is a fault, for which nothing is spent.
    if (limit != UNLIMITED && limit != 0 && word != NO_WORD) {
        uint refills = load_relaxed_state(STATE_REFILLS);
        uint refilled = tenant_state(t, 0) + TENANT_REFILLED;
        if (load_relaxed_state(refilled) != refills && exchange_state(refilled, refills) != refills)
            atomicStore(control[word], limit, SCOPE, 0, gl_SemanticsRelaxed);
        uint had = atomicAdd(control[word], 0u - wanted, SCOPE, 0, gl_SemanticsRelaxed);
        // Workers that serve other levels may have taken the last ones meanwhile.
        granted = had > 0x7FFFFFFF ? 0 : min(had, wanted);
        if (granted != wanted) atomicAdd(control[word], wanted - granted, SCOPE, 0, gl_SemanticsRelaxed);
    }
    return granted;
}

void give_credits_back(uint t, uint n) {
    uint limit = t == 0 ? UNLIMITED : tenant_table(LIMIT_BASE, t, 0);
    uint word = tenant_table_word(QUOTA_BASE, t);
    if (n != 0 && limit != UNLIMITED && limit != 0 && word != NO_WORD)
        atomicAdd(control[word], n, SCOPE, 0, gl_SemanticsRelaxed);
}

// Counts that a tenant was passed over, in a table behind the one of what has ended.
void count_throttled(uint t) {
    uint word = tenant_table_word(FAIRNESS_BASE, t);
    if (word < push.control_words - min(push.tenants, push.control_words))
        atomicAdd(control[word + push.tenants], 1, SCOPE, 0, gl_SemanticsRelaxed);
}

// Visits that found nothing but tenants without credits, one after the other, in tenants.
uint fruitless;

// Claims of a level that children of a tenant had, and that its quanta have not paid for.
uint debt_word(uint t, uint level) { return tenant_state(t, 0) + TENANT_DEBTS + level; }

// Who owes that many publishes no more before a visit has paid for some; then it is in the list, too.
const uint MOST_OWED = 32;

// Whether a tenant of the level has wide slots: beside one the others get no more in a round than it, one. That it is
// with another worker for a moment must not give them more, and so it counts for some visits.
bool beside_wide(uint level, bool wide) {
    bool beside = false;
    if (WITH_WIDE) {
        bool here = subgroupAny(wide);
        uint left = subgroupBroadcastFirst(load_relaxed_state(STATE_WIDE + level));
        uint next = here ? WIDE_VISITS : left - min(left, 1);
        if (next != left && gl_SubgroupInvocationID == 0)
            atomicStore(state[STATE_WIDE + level], next, SCOPE, 0, gl_SemanticsRelaxed);
        beside = here || left != 0;
    }
    return beside;
}

// Claims from the tenants at the head of a level's list, at most `most` slots. What was written before they were
// published is visible after it.
Claim visit(uint level, uint waiting, uint most) {
    uint lane = gl_SubgroupInvocationID;
    Claim v = Claim(false, 0, 0, 0, 0);
    uint head = subgroupBroadcastFirst(load_relaxed_state(STATE_LISTED_HEADS + level));
    uint listed = load_relaxed_state(list_word(level, head + lane));
    // What the workers that listed them left is there: nobody else changes it while they are at the head.
    acquire_published();
    uint found = run_length((listed >> LAP_SHIFT) != list_lap(head + lane));
    uint t = min(listed & ANNOUNCE_TENANT_MASK, push.tenants - 1);
    uint at = tenant_state(t, level);
    uint claimed = load_relaxed_state(at + TENANT_CLAIMED);
    uint waiting_word = load_relaxed_state(at + TENANT_WAITING);
    uint there = waiting_word & (WAITING_OWES - 1);
    bool wide = false;
    if (WITH_WIDE) {
        // A wide slot is claimed alone: a run of tenants ends before the first that has one next, or is it.
        wide = there != 0 && (load_relaxed_submission(tenant_entry(t, level, claimed)) & ENTRY_WIDE) != 0;
    }
    uint tenants = min(min(found, most), max(run_length(wide), 1));
    bool alone = subgroupBroadcastFirst(wide);
    uint room = min(gl_SubgroupSize, most);
    uint shift = tenants == 0 || beside_wide(level, wide && lane < found) ? 0 : min(findMSB(room / tenants), 5);
    bool won = false;
    if (lane == 0 && tenants != 0 && reserve_turns(level, waiting, tenants << shift))
        won = atomicCompSwap(state[STATE_LISTED_HEADS + level], head, head + tenants, SCOPE, 0, gl_SemanticsRelaxed,
                             0, gl_SemanticsRelaxed) == head;
    tenants = subgroupBroadcastFirst(won) ? tenants : 0;

    // The tenants are this worker's now; what was read of them before is what they have.
    bool own = lane < tenants;
    uint flags = tenant_record_word(t, TENANT_FLAGS);
    bool admitted = tenant_admitted(t, flags);
    bool paused = admitted && is_paused(flags);
    uint quantum = max(tenant_record_word(t, TENANT_QUANTUM), 1);
    uint deficit = load_relaxed_state(at + TENANT_DEFICIT) + (quantum << shift);
    uint may = own && !paused ? min(there, 1u << shift) : 0;
    bool in_sight = load_relaxed_state(STATE_LISTED_TAILS + level) - head <= tenants;
    uint owed = 0;
    if (WITH_CHILDREN && own) owed = load_relaxed_state(debt_word(t, level));
    // Where nobody may claim yet, and all are here, as many rounds at once as the nearest needs.
    uint next = ONE_CLAIM * (owed + min(may, 1));
    uint missing = next - min(deficit, next);
    uint rounds = subgroupMin(next == 0 ? 0xFFFFFFFF : admitted ? (missing + quantum - 1) / quantum : 0);
    if (subgroupBroadcastFirst(in_sight) && rounds != 0xFFFFFFFF) deficit += rounds * quantum;
    if (WITH_CHILDREN) {
        // What children have claimed is paid for first.
        uint paid = min(owed, deficit / ONE_CLAIM);
        if (paid != 0) atomicAdd(state[debt_word(t, level)], 0u - paid, SCOPE, 0, gl_SemanticsRelaxed);
        deficit -= paid * ONE_CLAIM;
        owed -= paid;
    }
    deficit = min(deficit, gl_SubgroupSize * ONE_CLAIM);
    uint wanted = admitted ? min(may, deficit / ONE_CLAIM) : may;
    uint granted = wanted;
    if (own && admitted && wanted != 0) granted = take_credits(t, wanted);
    bool throttled = own && wanted != 0 && granted == 0;

    // Each tenant has a block of 1 << shift lanes.
    uint block = lane >> shift;
    uint offset = lane & ((1u << shift) - 1);
    uint owner = min(block, gl_SubgroupSize - 1);
    v.tenant = subgroupShuffle(t, owner);
    uint position = subgroupShuffle(claimed, owner) + offset;
    uint grants = subgroupShuffle(granted, owner);
    v.mine = block < tenants && offset < grants;
    uint lap = tenant_lap(v.tenant, position);
    if (v.mine) {
        uint word = tenant_entry(v.tenant, level, position);
        v.entry = load_relaxed_submission(word);
        v.batch = load_relaxed_submission(word + 1);
    }
    bool absent = (v.entry >> LAP_SHIFT) != lap || (v.batch >> LAP_SHIFT) != lap;
    if (WITH_WIDE) absent = absent || ((v.entry & ENTRY_WIDE) != 0 && !alone);
    // A block ends before an entry that is not there or wide; blocks do not cross the words of a ballot.
    uvec4 ends = subgroupBallot(v.mine && absent);
    uint mask = shift == 5 ? 0xFFFFFFFF : (1u << (1u << shift)) - 1;
    uint first = block << shift;
    v.mine = v.mine && offset < min(findLSB((ends[(first >> 5) & 3] >> (first & 31)) & mask), 32u);
    v.batch &= (1u << LAP_SHIFT) - 1;
    uint mine_first = lane << shift;
    uint taken = own ? min(granted, min(findLSB((ends[(mine_first >> 5) & 3] >> (mine_first & 31)) & mask), 32u)) : 0;
    v.count = subgroupAdd(taken);

    if (own) {
        if (granted != taken && admitted) give_credits_back(t, granted - taken);
        atomicStore(state[at + TENANT_CLAIMED], claimed + taken, SCOPE, 0, gl_SemanticsRelaxed);
        bool empty = taken == there && owed == 0;
        uint left = empty || !admitted ? 0 : deficit - min(deficit, taken * ONE_CLAIM);
        atomicStore(state[at + TENANT_DEFICIT], left, SCOPE, 0, gl_SemanticsRelaxed);
        if (throttled) {
            uint slot = load_relaxed_submission(tenant_entry(t, level, claimed)) & ENTRY_SLOT_MASK;
            if (slot < push.slot_count) slots[slot * SLOT_WORDS + STATUS_WORD] = STATUS_REQUEUE;
            count_throttled(t);
        }
    }
    bool held = own && paused;
    uint less = taken;
    // A flag that this worker saw is still there: others only raise it.
    if (WITH_CHILDREN && (owed == 0 || !admitted)) less += waiting_word & WAITING_OWES;
    if (held) less -= WAITING_HELD;
    hand_over();
    bool more = false;
    if (own) more = add_state(at + TENANT_WAITING, 0u - less) != less;
    put_in_list(more && !held, t, level);
    if (subgroupAny(held)) {
        hand_over();
        // Unless the host has resumed it since this worker looked.
        bool goes = held && !is_paused(tenant_record_word(t, TENANT_FLAGS));
        release_held(goes, t, level);
    }

    // A level that has none but tenants without credits has no work, until something changes.
    bool dry = tenants != 0 && !subgroupAny(own && !throttled);
    fruitless = dry ? fruitless + tenants : 0;
    uint length = subgroupBroadcastFirst(load_relaxed_state(STATE_LISTED_TAILS + level)) - head;
    if (dry && fruitless >= length) {
        if (lane == 0) atomicOr(state[STATE_THROTTLED], 1u << level, SCOPE, 0, gl_SemanticsRelaxed);
        fruitless = 0;
    }
    return v;
}

// Gives all tenants their credits anew: when a dispatch begins, and when nobody who could be claimed from has any.
void refill() {
    if (gl_SubgroupInvocationID == 0) {
        atomicAdd(state[STATE_REFILLS], 1, SCOPE, 0, gl_SemanticsRelaxed);
        atomicStore(state[STATE_THROTTLED], 0u, SCOPE, 0, gl_SemanticsRelaxed);
    }
}

// Looks at lists so far.
uint visits;

// Of the levels that have work those that have some for which there are credits; slots that go on need none. If
// there is none, all tenants get credits.
uint with_credits(uint levels, uint ready) {
    visits += 1;
    // Now and then all are looked at: what a worker noted of a level may be out of date.
    uint dry = visits % 64 == 0 ? 0 : subgroupBroadcastFirst(load_relaxed_state(STATE_THROTTLED));
    uint some = (levels & ~dry) | ready;
    if (some == 0) refill();
    return some == 0 ? levels : some;
}

#endif
