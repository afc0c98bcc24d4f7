// Wide operations of users: what they may do beyond lane ones is to give way, and to publish slots.
#ifndef USERS_WIDE_GLSL
#define USERS_WIDE_GLSL

// What is left of the budget when slots are published: for that, and up to the handler's next step and the one behind it.
const uint PUBLISH_COST = 6 * HANDLER_TURNS + 3 * LOOPS;

// Publishes what the lanes have said. Whether there are some that the handler has to be told of: where nothing could be
// published, it is to be called later.
bool publish_for_handler(uint slot) {
    bool mine = mailbox.y0 != 0;
#ifdef WITH_TENANTS
    // All lanes publish for the one slot, and so for its tenant.
    uint own = tenant;
    tenant = subgroupBroadcastFirst(tenant);
#endif
    uint child = reserve_child(mine, slot);
    bool got = child != NO_SLOT;
    publish_child(got, slot, child,
                  Child(mailbox.y1, uvec4(mailbox.y2, mailbox.y3, mailbox.y4, mailbox.y5),
                        uvec4(mailbox.y6, mailbox.y7, mailbox.y8, mailbox.y9),
                        uvec4(mailbox.y10, mailbox.y11, mailbox.y12, mailbox.y13)));
#ifdef WITH_TENANTS
    tenant = own;
#endif
    mailbox.published = got ? 1 : 0;
    return subgroupAny(got) || !subgroupAny(mine);
}

// Calls the handler of a slot, with all lanes. It has an area from when it begins, so that it can always give way; where
// there is none, it does not begin yet.
Outcome call_wide(uint op, uint slot, bool again) {
    uint area = NO_AREA;
    if (again) area = area_of(slot);
    again = area != NO_AREA;
    if (!again) {
        if (gl_SubgroupInvocationID == 0) area = take_area();
        area = subgroupBroadcastFirst(area);
    }
    Outcome o = Outcome(PENDING_READY, 0, 0, 0);
    if (area != NO_AREA) {
        uint base = slot * SLOT_WORDS + ARG0_WORD;
        uvec4 a = uvec4(slots[base], slots[base + 1], slots[base + 2], slots[base + 3]);
        is_answered = subgroupBroadcastFirst(is_answered);
        was_answered = subgroupBroadcastFirst(was_answered);
        mailbox.published = 0;
        bool more = false;
        do {
            fill_mailbox(op, slot, a, false);
            mailbox.again = again ? 1 : 0;
            mailbox.level = executed_level;
            mailbox.budget = budget;
            mailbox.area = save_word(area);
            atomicAdd(mailbox.call_wide, 1);
            budget = subgroupBroadcastFirst(mailbox.budget);
            o = mailed_outcome();
            o = Outcome(subgroupBroadcastFirst(o.fault), subgroupBroadcastFirst(o.detail), subgroupBroadcastFirst(o.lo),
                        subgroupBroadcastFirst(o.hi));
            if (WITH_PUBLISHERS) {
                more = false;
                if (o.fault == HANDLER_PUBLISHES) {
                    o = depth_of(slot) == CHILD_DEPTHS || push.children == 0 ? bad_operand(DETAIL_DEPTH)
                                                                            : Outcome(PENDING_READY, 0, 0, 0);
                    // With little left of the budget nothing is published, and the handler is called by another worker.
                    if (o.fault == PENDING_READY && budget >= PUBLISH_COST) more = publish_for_handler(slot);
                    charge(2 * HANDLER_TURNS + LOOPS);
                    again = true;
                    is_answered = false;
                }
            }
        } while (more);
        // Fault codes have 8 bits, and above them there are but these.
        if (o.fault != HANDLER_LEAVES && o.fault != HANDLER_ASKS) o.fault &= 0xFF;
        bool asks = o.fault == HANDLER_ASKS;
        if (asks) o = Outcome(FAULT_IO_ERROR, NO_STORAGE, 0, 0);
        if (WITH_IO) {
            if (asks) {
                // Before it may be another worker's.
                leave_with(slot, area);
                o = ask_for_handlers(gl_SubgroupInvocationID == 0, slot);
                o = Outcome(subgroupBroadcastFirst(o.fault), subgroupBroadcastFirst(o.detail), 0, 0);
            }
        }
        if (o.fault <= 0xFF) give_area_back(area);
    }
    if (o.fault == PENDING_READY) leave_with(slot, area);
    // Up to the first step, and after the last.
    charge(HANDLER_TURNS);
    return o;
}

#endif
