// Families: slots, the slots that they have published, and when they end. children.glsl publishes them, and says
// why no family waits for ever.
//
// Children lie in slots of their own, behind the host's, a pool for each depth: depth 1 for those that the host's
// slots publish, and so on to CHILD_DEPTHS. What is kept of each slot's family, FAMILY_WORDS words, has one writer
// at a time, but for the count of what is left and the first fault, which read-modify-writes change.
#ifndef FAMILY_GLSL
#define FAMILY_GLSL

uint first_child() { return push.slot_count - CHILD_DEPTHS * push.children; }

bool is_child(uint slot) { return WITH_CHILDREN && slot >= first_child(); }

// 0 for the host's.
uint depth_of(uint slot) { return is_child(slot) ? 1 + (slot - first_child()) / push.children : 0; }

// The maps of the pools, a bit for each slot that is taken, lie behind all else in `state`.
uint pools_begin() {
#ifdef WITH_TENANTS
    return list_word(PRIORITY_LEVELS, 0);
#else
    return slot_tenant(0);
#endif
}

// What is kept of a slot's family; behind the maps.
uint family_word(uint slot, uint i) {
    return pools_begin() + CHILD_DEPTHS * push.children / 32 + FAMILY_WORDS * slot + i;
}

// The slot by which a slot is cancelled.
uint root_of(uint slot) { return is_child(slot) ? state[family_word(slot, FAMILY_ROOT)] : slot; }

// Read-modify-writes by which what is known of a family goes from one worker to another.
uint add_family(uint slot, uint n) {
    return atomicAdd(state[family_word(slot, FAMILY_LEFT)], n, SCOPE, gl_StorageSemanticsBuffer,
                     gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable | gl_SemanticsMakeVisible);
}

// Whether a slot that left before has begun a family, which it ends with.
bool has_family(uint slot) { return push.children != 0 && load_relaxed_state(family_word(slot, FAMILY_LEFT)) != 0; }

void begin_children(bool mine, uint slot) {
    if (mine) {
        state[family_word(slot, FAMILY_FAULT)] = 0;
        atomicStore(state[family_word(slot, FAMILY_LEFT)], 1u, SCOPE, 0, gl_SemanticsRelaxed);
    }
}

#ifdef WITH_TENANTS
// How many slots of a pool the lane's tenant has.
uint children_word(uint pool) { return tenant_state(tenant, 0) + TENANT_CHILDREN + pool; }
#endif

// Gives the slots of children that have ended back, and tells their parents; true for the last of a parent, which
// ends with it.
bool leave_family(bool mine, uint slot, Outcome o, uint parent) {
    bool last = false;
    release_effects();
    if (mine) {
        uint pool = depth_of(slot) - 1;
        uint bit = slot - first_child() - pool * push.children;
        if (o.fault != 0)
            atomicCompSwap(state[family_word(parent, FAMILY_FAULT)], 0u, o.fault << 16 | o.detail, SCOPE, 0,
                           gl_SemanticsRelaxed, 0, gl_SemanticsRelaxed);
#ifdef WITH_TENANTS
        if (tenant != 0) add_state(children_word(pool), 0u - 1);
#endif
        slots[slot * SLOT_WORDS + STATUS_WORD] = STATUS_EMPTY;
        atomicAnd(state[pools_begin() + (pool * push.children + bit) / 32], ~(1u << (bit & 31)), SCOPE,
                  gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease | gl_SemanticsMakeAvailable | gl_SemanticsMakeVisible);
        last = add_family(parent, 0u - 1) == 1;
    }
    return last;
}

// How a slot ends all of whose children have: as its own part did, or as the first child that faulted.
Outcome family_outcome(uint slot) {
    uint own = state[family_word(slot, FAMILY_OUTCOME)];
    uint fault = own != 0 ? own : load_relaxed_state(family_word(slot, FAMILY_FAULT));
    return fault != 0 ? Outcome(fault >> 16, fault & 0xFFFF, 0, 0)
                      : Outcome(0, 0, state[family_word(slot, FAMILY_OUTCOME + 1)],
                                state[family_word(slot, FAMILY_OUTCOME + 2)]);
}

// The own part of parents has ended; true for those whose children have all done so before.
bool own_part_ends(bool mine, uint slot, uint batch, Outcome o) {
    bool last = false;
    if (mine) {
        state[family_word(slot, FAMILY_OUTCOME)] = o.fault << 16 | o.detail;
        state[family_word(slot, FAMILY_OUTCOME + 1)] = o.lo;
        state[family_word(slot, FAMILY_OUTCOME + 2)] = o.hi;
        state[family_word(slot, FAMILY_BATCH)] = batch;
        last = add_family(slot, 0u - 1) == 1;
    }
    return last;
}

#endif
