// LOAD_MISS, STORE_RANGE and IO_FENCE: bytes from a file to memory and back, and the wait for all that was
// asked before. What they move is held against the files themselves, by tests/storage.rs.
//
// The host checks what is asked, since it alone knows files and memory by their handles; its fault is the
// slot's. A prefetch is done when it was asked, whatever becomes of it.
bool is_transfer(uint op) { return op == OP_LOAD_MISS || op == OP_STORE_RANGE || op == OP_IO_FENCE; }

// The whole subgroup calls it; `answered` lanes were resumed by the host.
Outcome op_transfer(bool mine, uint op, uint slot, bool answered) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    Request r = Request(IO_FENCE, slot, 0, 0, uvec2(0), 0, 0);
    bool prefetch = false;
    if (mine && op != OP_IO_FENCE) {
        prefetch = op == OP_LOAD_MISS && slots[base + 1] != 0;
        r.kind = op == OP_STORE_RANGE ? IO_WRITE : prefetch ? IO_READ | IO_UNATTENDED : IO_READ;
        r.file = slots[base];
        r.offset = uvec2(slots[base + 2], slots[base + 3]);
        r.bytes = slots[base + 4];
        r.memory = slots[base + 5];
        r.memory_at = slots[base + 6];
    }
    bool asked = io_request(mine && !answered, r);
    if (mine && answered) return io_answer(slot);
    return !asked ? Outcome(PENDING_READY, 0, 0, 0) : prefetch ? done(0) : Outcome(PENDING_ANSWER, 0, 0, 0);
}
