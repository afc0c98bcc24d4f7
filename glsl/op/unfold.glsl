// UNFOLD: publishes slots of one opcode whose arguments are an arithmetic progression. Twin: src/twin/unfold.rs.
//
// a0 is their opcode, a1 how many, and above it the fan-out; a2 the number of the first; a3 to a7 the arguments that
// number 0 would have, and a8 to a11 what each of the first four grows by from one to the next. With a fan-out, more
// than that many are left to as many parts, slots of this opcode with a range of the numbers each, unless they
// would be the deepest.

struct Unfold {
    uint op;
    uint count;
    uint fan;
    uint first;
    bool splits;
    uint n; // slots that it publishes itself
};

Unfold unfold_of(uint slot) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    Unfold u = Unfold(slots[base], slots[base + 1] & ((1u << UNFOLD_FAN_SHIFT) - 1),
                      slots[base + 1] >> UNFOLD_FAN_SHIFT, slots[base + 2], false, 0);
    u.splits = u.fan != 0 && u.count > u.fan && depth_of(slot) + 2 <= CHILD_DEPTHS;
    u.n = u.splits ? u.fan : u.count;
    return u;
}

// Number `i` of what a slot publishes.
Child unfold_child(Unfold u, uint slot, uint i) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    uvec4 args = uvec4(slots[base + 3], slots[base + 4], slots[base + 5], slots[base + 6]);
    uint fifth = slots[base + 7];
    uvec4 step = uvec4(slots[base + 8], slots[base + 9], slots[base + 10], slots[base + 11]);
    uint begin = u.count * i / max(u.fan, 1);
    uint end = u.count * (i + 1) / max(u.fan, 1);
    Child c = Child(u.op, args + (u.first + i) * step, uvec4(fifth, 0, 0, 0), uvec4(0));
    if (u.splits)
        c = Child(OP_UNFOLD, uvec4(u.op, (end - begin) | u.fan << UNFOLD_FAN_SHIFT, u.first + begin, args.x),
                  uvec4(args.yzw, fifth), step);
    return c;
}

// Publishes what a slot has left from number `next` on, a turn's worth at most, all lanes for the one slot. Returns
// how far it came.
uint unfold_turn(uint slot, uint next) {
    Unfold u = unfold_of(slot);
    uint end = min(u.n, next + UNFOLD_TURN);
    bool room = true;
    while (room && next < end) {
        uint child = reserve_child(gl_SubgroupInvocationID < end - next, slot);
        bool mine = child != NO_SLOT;
        uvec4 who = subgroupBallot(mine);
        uint i = next + subgroupBallotExclusiveBitCount(who);
        publish_child(mine, slot, child, unfold_child(u, slot, i));
        next += subgroupBallotBitCount(who);
        room = any(notEqual(who, uvec4(0)));
        charge(2); // and the last look of reserve_child's loop
    }
    return next;
}

// The whole subgroup calls it; `again` lanes left for the ready queue before.
Outcome op_unfold(bool mine, uint slot, bool again) {
    begin_children(mine && !again, slot);
    uint next = mine && again ? state[saved_word(slot, 0)] : 0;
    Outcome o = done(0);
    uint n = 0;
    if (mine) {
        Unfold u = unfold_of(slot);
        n = u.n;
        o = done(u.count);
        if (u.count > UNFOLD_MAX || u.fan == 1) o = bad_operand(1);
        else if (u.count != 0 && depth_of(slot) == CHILD_DEPTHS) o = bad_operand(DETAIL_DEPTH);
    }
    bool left = mine && o.fault == 0;
    while (subgroupAny(left)) {
        uint who = subgroupBallotFindLSB(subgroupBallot(left));
#ifdef WITH_TENANTS
        // All lanes publish for the one slot, and so for its tenant.
        uint own = tenant;
        tenant = subgroupShuffle(tenant, who);
#endif
        uint reached = unfold_turn(subgroupShuffle(slot, who), subgroupShuffle(next, who));
#ifdef WITH_TENANTS
        tenant = own;
#endif
        if (gl_SubgroupInvocationID == who) {
            next = reached;
            left = false;
        }
        charge(2); // and the last look of unfold_turn's loop
    }
    if (mine) {
        state[saved_word(slot, 0)] = next;
        if (o.fault == 0 && next < n) o = Outcome(PENDING_READY, 0, 0, 0);
    }
    return o;
}
