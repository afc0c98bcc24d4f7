// Slots that publish slots, for any opcode: one submission unfolds into many, without the host.
//
//     begin_children(mine && !again, slot);        // the operation's first turn
//     uint child = reserve_child(mine, slot);
//     publish_child(mine && child != NO_SLOT, slot, child, Child(op, args...));
//     // where it is NO_SLOT: leave with PENDING_READY, and try again in the next turn
//
// and is_parent() knows the opcode. Several lanes may publish for one parent. A child has its parent's tenant and level. It is claimed by way of the level's
// ready queue, refused like any other slot, and costs its tenant a credit and a claim of its round. A parent ends
// when its own part and all of its children have, with its own outcome, or with the first fault among theirs; so
// its batch's fence, IO aside, covers all that came of it.
//
// A parent that finds no free slot in the pool, or whose tenant has as many as it may, holds nothing up: it goes through the ready queue, behind the children before it. No circle of parents can wait
// for each other: a slot waits only for slots one deeper to end, the deepest publish none and so end whenever
// they are claimed, and then so does each depth above. A tenant's cap counts at each depth for the same reason.
#ifndef CHILDREN_GLSL
#define CHILDREN_GLSL

// Whether slots of this opcode publish others.
bool is_parent(uint op) {
    bool publishes = WITH_UNFOLD && op == OP_UNFOLD;
    if (WITH_PUBLISHERS && is_user_op(op)) publishes = (traits_of(op) & TRAIT_PUBLISHES) != 0;
    return publishes && push.children != 0;
}

struct Child {
    uint op;
    uvec4 a;  // its arguments
    uvec4 b;
    uvec4 c;
};

const uint NO_SLOT = 0xFFFFFFFF;

// Where this worker's next search begins.
uint seek_from;

// A free slot of a pool, of depth `pool` + 1, for each lane in `mine`; NO_SLOT where none was seen.
uint take_child(bool mine, uint pool) {
    uint words = push.children / 32;
    uint child = NO_SLOT;
    uint tries = 0;
    while (subgroupAny(mine && child == NO_SLOT) && tries < CHILD_TRIES) {
        if (mine && child == NO_SLOT) {
            uint i = (seek_from + gl_SubgroupInvocationID + tries) % words;
            uint at = pools_begin() + pool * words + i;
            uint taken = load_relaxed_state(at);
            uint bit = findLSB(~taken);
            if (taken != 0xFFFFFFFF) {
                uint before = atomicOr(state[at], 1u << bit, SCOPE, gl_StorageSemanticsBuffer,
                                       gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable | gl_SemanticsMakeVisible);
                if ((before >> bit & 1) == 0) child = first_child() + pool * push.children + 32 * i + bit;
            }
        }
        tries += 1;
        charge(1);
    }
    if (subgroupAny(mine && child == NO_SLOT)) seek_from += tries;
    return child;
}

void write_arguments(uint at, uvec4 a) {
    slots[at] = a.x;
    slots[at + 1] = a.y;
    slots[at + 2] = a.z;
    slots[at + 3] = a.w;
}

#ifdef WITH_TENANTS
// Whether a slot of the claim lacked credits for what it would publish, and how many were published all the same.
bool lacks_credits;
uint published;

// Whether a tenant may have one more child: its share of the claims, its cap, and a credit.
bool admit_child(bool mine, uint pool) {
    // The system tenant's children are fair to others, too.
    bool may = mine && load_relaxed_state(debt_word(tenant, executed_level)) < MOST_OWED;
    bool enters = false;
    if (mine && !may) {
        uint word = tenant_state(tenant, executed_level) + TENANT_WAITING;
        enters = atomicOr(state[word], WAITING_OWES, SCOPE, 0, gl_SemanticsRelaxed) == 0;
    }
    enlist(enters, tenant, executed_level);
    bool throttled = false;
    if (may && tenant != 0) {
        may = add_state(children_word(pool), 1) < tenant_record_word(tenant, TENANT_MOST);
        bool pays = may && take_credits(tenant, 1) != 0;
        if (!pays) add_state(children_word(pool), 0u - 1);
        throttled = may && !pays;
        if (throttled) count_throttled(tenant);
        may = pays;
    }
    lacks_credits = lacks_credits || subgroupAny(throttled);
    return may;
}
#endif

#ifdef WITH_TENANTS
// Slots of claims, one after the other, that lacked credits and published nothing.
uint starved;

// Gives all tenants credits where nobody can be claimed from but tenants without, and parents that lack them.
void refill_parents(uint level, uint waiting, uint claimed) {
    starved = lacks_credits && published == 0 ? starved + claimed : 0;
    lacks_credits = false;
    published = 0;
    uint ready = load_relaxed_state(STATE_READY_TAILS + level) - load_relaxed_state(STATE_READY_HEADS + level);
    bool lists = submission_waits(level) && (load_relaxed_state(STATE_THROTTLED) >> level & 1) == 0;
    if (subgroupBroadcastFirst(starved > ready && waiting == 1u << level && !lists)) {
        refill();
        starved = 0;
    }
}
#endif

// A slot for a child of `parent`, which is not the deepest; the whole subgroup calls it. NO_SLOT where there is no room,
// now. Whoever gets one publishes it before the operation leaves.
uint reserve_child(bool mine, uint parent) {
    uint pool = mine ? depth_of(parent) : 0;
#ifdef WITH_TENANTS
    mine = admit_child(mine, pool);
#endif
    uint child = take_child(mine, pool);
#ifdef WITH_TENANTS
    if (mine && child == NO_SLOT && tenant != 0) {
        add_state(children_word(pool), 0u - 1);
        give_credits_back(tenant, 1);
    }
#endif
    return child;
}

// Publishes the slots that the lanes in `mine` have reserved for children of `parent`; the whole subgroup calls it.
void publish_child(bool mine, uint parent, uint child, Child c) {
    bool wide = false;
    if (mine) {
        uint base = child * SLOT_WORDS;
        slots[base + STATUS_WORD] = STATUS_PUBLISHED;
        slots[base + OPCODE_WORD] = c.op;
        slots[base + PRIORITY_WORD] = executed_level;
        write_arguments(base + ARG0_WORD, c.a);
        write_arguments(base + ARG0_WORD + 4, c.b);
        write_arguments(base + ARG0_WORD + 8, c.c);
        state[family_word(child, FAMILY_PARENT)] = parent;
        state[family_word(child, FAMILY_ROOT)] = root_of(parent);
        add_family(parent, 1);
#ifdef WITH_TENANTS
        slots[base + TENANT_WORD] = tenant;
        atomicStore(state[slot_tenant(child)], tenant, SCOPE, 0, gl_SemanticsRelaxed);
        atomicAdd(state[debt_word(tenant, executed_level)], 1, SCOPE, 0, gl_SemanticsRelaxed);
#else
        slots[base + TENANT_WORD] = 0;
#endif
        wide = is_wide_op(c.op);
        if (WITH_WIDE_HANDLERS && is_user_op(c.op)) wide = (traits_of(c.op) & TRAIT_WIDE) != 0;
    }
#ifdef WITH_TENANTS
    published += subgroupBallotBitCount(subgroupBallot(mine));
#endif
    push_ready(mine, executed_level, child | ENTRY_FIRST | (wide ? ENTRY_WIDE : 0), 0);
}

#endif
