// UNFOLD: publishes slots of one opcode whose arguments are an arithmetic progression. Twin: src/twin/unfold.rs.
//
// a0 is their opcode, a1 how many, and above it the fan-out; a2 the number of the first; a3 to a7 the arguments that
// number 0 would have, and a8 to a11 what each of the first four grows by from one to the next. With a fan-out, more
// than that many are left to as many parts, slots of this opcode with a range of the numbers each, unless they
// would be the deepest.

// The whole subgroup calls it; `again` lanes left for the ready queue before.
Outcome op_unfold(bool mine, uint slot, bool again) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    uint op = 0;
    uint count = 0;
    uint fan = 0;
    uint next = 0;
    uvec4 step = uvec4(0);
    Outcome o = done(0);
    uint depth = mine ? depth_of(slot) : 0;
    begin_children(mine && !again, slot);
    if (mine) {
        op = slots[base];
        count = slots[base + 1] & ((1u << UNFOLD_FAN_SHIFT) - 1);
        fan = slots[base + 1] >> UNFOLD_FAN_SHIFT;
        next = again ? state[saved_word(slot, 0)] : 0;
        step = uvec4(slots[base + 8], slots[base + 9], slots[base + 10], slots[base + 11]);
        if (count > UNFOLD_MAX || fan == 1) o = bad_operand(1);
        else if (count != 0 && depth == CHILD_DEPTHS) o = bad_operand(DETAIL_DEPTH);
    }
    bool splits = fan != 0 && count > fan && depth + 2 <= CHILD_DEPTHS;
    uint n = o.fault != 0 ? 0 : splits ? fan : count;
    bool publishes = mine && next < n;
    uint turn = 0;
    while (subgroupAny(publishes) && turn < UNFOLD_TURN) {
        Child c = Child(op, uvec4(0), uvec4(0), uvec4(0));
        if (publishes) {
            uint first = slots[base + 2];
            if (splits) {
                uint begin = count * next / fan;
                uint end = count * (next + 1) / fan;
                c.op = OP_UNFOLD;
                c.a = uvec4(op, (end - begin) | fan << UNFOLD_FAN_SHIFT, first + begin, slots[base + 3]);
                c.b = uvec4(slots[base + 4], slots[base + 5], slots[base + 6], slots[base + 7]);
                c.c = step;
            } else {
                uint number = first + next;
                c.a = uvec4(slots[base + 3], slots[base + 4], slots[base + 5], slots[base + 6]) + number * step;
                c.b.x = slots[base + 7];
            }
        }
        bool published = publish_child(publishes, slot, c);
        if (published) next += 1;
        publishes = published && next < n;
        turn += 1;
        charge(2); // and the last look of take_child's loop
    }
    if (mine) {
        state[saved_word(slot, 0)] = next;
        if (o.fault == 0) o = next < n ? Outcome(PENDING_READY, 0, 0, 0) : done(count);
    }
    return o;
}
