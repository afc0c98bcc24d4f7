// PACKED_SLOT: the shape of PROTOCOL section 5. Twin: src/twin/packed_slot.rs.
//
// A lane's slot is a sequence of operations: one for a plain slot, `n` for a packed one. Both run
// through the same loop of execute.glsl, so that each handler stands in the kernel once.
struct Packed {
    uint base;  // word of the slot's first argument
    uint n;     // inner operations
    uint total; // argument words
    uint area;  // word of the argument area, counted from base
};

uint packed_byte(uint base, uint k) { return (slots[base + (k >> 2)] >> ((k & 3) * 8)) & 0xFF; }

Packed packed_open(uint base) {
    uint n = packed_byte(base, 0);
    return Packed(base, n, packed_byte(base, 1), (2 + 2 * n + 3) / 4);
}

// Opcodes that may stand inside: the lane-sized built-ins and the lane handlers of users.
bool packed_opcode(uint op) { return op != OP_BATCH_FENCE; }

// Looks at the whole shape before anything runs. 0 fits; else BAD_PACKED with its detail.
Outcome packed_check(bool mine, Packed p) {
    Outcome o = done(0);
    if (mine && (p.n > PACKED_MAX_OPS || p.area + p.total > ARGS_PER_SLOT))
        o = Outcome(FAULT_BAD_PACKED, DETAIL_PACKED_HEADER, 0, 0);
    uint i = 0;
    uint before = 0;
    while (subgroupAny(mine && o.fault == 0 && i < p.n)) {
        if (mine && o.fault == 0 && i < p.n) {
            uint start = packed_byte(p.base, 3 + 2 * i);
            if (start < before || start > p.total || !packed_opcode(packed_byte(p.base, 2 + 2 * i)))
                o = Outcome(FAULT_BAD_PACKED, i, 0, 0);
            before = start;
            i += 1;
        }
        charge(1);
    }
    return o;
}

uint packed_op(Packed p, uint i) { return packed_byte(p.base, 2 + 2 * i); }

// Up to four arguments of inner operation `i`; those it was not given are zero.
uvec4 packed_args(Packed p, uint i) {
    uint start = packed_byte(p.base, 3 + 2 * i);
    uint end = i + 1 < p.n ? packed_byte(p.base, 5 + 2 * i) : p.total;
    uint at = p.base + p.area + start;
    uvec4 a = uvec4(0);
    if (start < end) a.x = slots[at];
    if (start + 1 < end) a.y = slots[at + 1];
    if (start + 2 < end) a.z = slots[at + 2];
    if (start + 3 < end) a.w = slots[at + 3];
    return a;
}
