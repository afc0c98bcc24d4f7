// LOAD_MISS, STORE_RANGE, IO_FENCE, and the first half of LOAD_SUM: bytes from a file to memory and back, and
// the wait for all that was asked before. What they move is held against the files themselves, by tests/storage.rs.
//
// The host checks what is asked, since it alone knows files and memory by their handles; its fault is the
// slot's. A prefetch is done when it was asked, whatever becomes of it.
bool is_transfer(uint op) {
    bool transfer = op == OP_LOAD_MISS || op == OP_STORE_RANGE || op == OP_IO_FENCE || (WITH_LOAD_SUM && op == OP_LOAD_SUM);
    return WITH_IO && transfer && (push.flags & FLAG_STORAGE) != 0;
}

// The whole subgroup calls it; `answered` lanes were resumed by the host, and if `again` left for the ready
// queue since.
Outcome op_transfer(bool mine, uint op, uint slot, bool answered, bool again) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    Request r = Request(IO_FENCE, slot, 0, 0, uvec2(0), 0, 0);
    bool prefetch = false;
    if (mine && op != OP_IO_FENCE) {
        prefetch = op == OP_LOAD_MISS && slots[base + 1] != 0;
        r.kind = op == OP_STORE_RANGE ? IO_WRITE
                 : prefetch           ? IO_READ | IO_UNATTENDED
                                      : IO_READ;
        r.file = slots[base];
        r.offset = uvec2(slots[base + 2], slots[base + 3]);
        r.bytes = slots[base + 4];
        r.memory = slots[base + 5];
        r.memory_at = slots[base + 6];
    }
    bool unaligned = WITH_LOAD_SUM && op == OP_LOAD_SUM && (r.memory_at & 3) != 0;
    bool sums = WITH_LOAD_SUM && mine && answered && op == OP_LOAD_SUM;
    bool asks = mine && !answered && !unaligned;
    LoadSum sum = LoadSum(done(0), false, uvec2(0));
    if (WITH_LOAD_SUM) {
        if (subgroupAny(sums)) sum = op_load_sum(sums, slot, again, r);
        if (asks && op == OP_LOAD_SUM) load_sum_begin(slot);
    }
    if (sums && sum.asks) r.offset = sum.offset;
    asks = asks || (sums && sum.asks);
    bool asked = false;
    if (subgroupAny(asks)) asked = io_request(asks, r);
    if (sums && !sum.asks) return sum.outcome;
    if (sums && !asked) load_sum_waits(slot);
    if (mine && answered && !sums) return io_answer(slot);
    if (unaligned) return bad_operand(6);
    return !asked ? Outcome(PENDING_ROOM, 0, 0, 0) : prefetch ? done(0) : Outcome(PENDING_ANSWER, 0, 0, 0);
}

// Asks the host for what handlers have said, for the lanes in `mine`; the whole subgroup calls it. From here on another
// worker may have those slots whose outcome is pending.
Outcome ask_for_handlers(bool mine, uint slot) {
    bool storage = (push.flags & FLAG_STORAGE) != 0;
    // The host knows nothing of children, and answers none.
    bool may = mine && storage && !is_child(slot);
    bool asked = io_request(may, Request(mailbox.y0, slot, mailbox.y1, mailbox.y5, uvec2(mailbox.y2, mailbox.y3),
                                         mailbox.y4, mailbox.y6));
    return may ? Outcome(asked ? PENDING_ANSWER : PENDING_ROOM, 0, 0, 0)
               : storage ? Outcome(FAULT_UNKNOWN_OPCODE, 0, 0, 0) : Outcome(FAULT_IO_ERROR, NO_STORAGE, 0, 0);
}
