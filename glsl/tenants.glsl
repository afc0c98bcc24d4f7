// What the kernel knows of tenants, and what they may do (PROTOCOL section 2).
//
// The host has a record for each tenant, in memory that it alone writes: whether its slots are executed, its
// window, its opcodes, its quantum. The tables in the control buffer, mask and credits and what has ended, are the
// protocol's; the system tenant may overwrite them and their bases, so nothing is read there without a look.
#ifndef TENANTS_GLSL
#define TENANTS_GLSL

const uint NO_WORD = 0xFFFFFFFF;

// A credit limit that is none.
const uint UNLIMITED = 0xFFFFFFFF;

// Announcements lie behind the words that cancel slots, and the records behind them, in `submission`.
uint announcements_begin() { return cancel_word(push.slot_count); }

uint tenant_record(uint t) {
    return announcements_begin() + (ANNOUNCE_WORDS << push.queue_shift) + TENANT_RECORD_WORDS * t;
}

uint tenant_record_word(uint t, uint i) { return load_relaxed_submission(tenant_record(t) + i); }

// A word of one of the tenants' tables in the control buffer, whose base is a word that the system tenant may
// have overwritten; `otherwise` where it leads out of the buffer.
uint tenant_table(uint base_word, uint t, uint otherwise) {
    uint base = load_relaxed_control(base_word);
    bool inside = t < push.tenants && base < push.control_words && t < push.control_words - base;
    return inside ? load_relaxed_control(base + t) : otherwise;
}

uint tenant_table_word(uint base_word, uint t) {
    uint base = load_relaxed_control(base_word);
    bool inside = base < push.control_words && t < push.control_words - base;
    return inside ? base + t : NO_WORD;
}

// Whether slots of a tenant are executed at all: else they end as UNAUTHORIZED.
bool tenant_admitted(uint t, uint flags) {
    return (flags & (TENANT_ADMITTED | TENANT_REVOKED)) == TENANT_ADMITTED && tenant_table(TENANT_BASE, t, 0) != 0;
}

// Whether a tenant may use an opcode, by the bits of its record.
bool may_use(uint opcodes, uint op) {
    uint bit = op < 8                   ? op
               : op == OP_LOAD_MISS     ? 8
               : op == OP_PRINTF        ? 9
               : op == OP_PACKED_SLOT   ? 10
               : op == OP_SCAN          ? 11
               : op == OP_CRC32C        ? 12
               : op == OP_SUM_WORDS     ? 13
               : op == OP_COPY_RANGE    ? 14
               : op == OP_STORE_RANGE   ? 15
               : op == OP_IO_FENCE      ? 16
               : op == OP_LOAD_SUM      ? 17
               : op == OP_UNFOLD        ? 18
                                        : OPCODES_OTHER;
    return (opcodes >> bit & 1) != 0;
}

// What the lane's tenant may do: its window and its opcodes. The system tenant may do all.
void enter_tenant(uint t) {
    tenant = t;
    window = uvec2(0, push.control_words);
    opcodes = 0xFFFFFFFF;
    if (t != 0) {
        uint end = min(tenant_record_word(t, TENANT_WINDOW_END), push.control_words);
        window = uvec2(min(max(tenant_record_word(t, TENANT_WINDOW), OBSERVABLE_BASE), end), end);
        opcodes = tenant_record_word(t, TENANT_OPCODES);
    }
}

// Why a tenant's slot is not executed; fault 0 where it is.
Outcome tenant_refusal(uint op) {
    Outcome o = done(0);
    if (!tenant_admitted(tenant, tenant_record_word(tenant, TENANT_FLAGS)) || !may_use(opcodes, op) ||
        (op == OP_SHUTDOWN && tenant != 0))
        o = Outcome(FAULT_UNAUTHORIZED, 0, 0, 0);
    else if (tenant != 0 && tenant_table(LIMIT_BASE, tenant, 0) == 0)
        o = Outcome(FAULT_OUT_OF_CREDITS, 0, 0, 0);
    return o;
}

#endif
