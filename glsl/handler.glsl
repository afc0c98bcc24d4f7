// The contract of handlers: what an operation of a user's sees, and how it ends. A handler is a function that takes
// nothing and returns an Outcome, and stands in a compute shader of its own, with its opcode:
//
//     #version 460
//     #extension GL_GOOGLE_include_directive : require
//     #include "handler.glsl"
//     #pragma ringfence twice(x: u32)
//     Outcome twice() { return done(2 * argument(0)); }
//     LANE_HANDLER(8, twice)
//
// The pragma names it and its arguments for people and for the wrappers in Rust; compilers ignore it.
//
// A lane handler works on a slot, or on an operation of a packed slot, for each lane. It may be called by some lanes
// of a subgroup only, side by side with others' operations, so it must not use operations of the subgroup whose outcome
// depends on lanes that do not call it. Its loops must not make more than HANDLER_TURNS turns in all: a turn that all
// lanes make together counts once, another once for each lane, and each with one more for every loop inside.
//
// A wide handler works on one slot with a whole subgroup: all lanes call it, and all must take the same way through it.
// It may run for as long as it likes, if it asks step() at least every HANDLER_TURNS turns, and then once a microsecond
// or so, whether to go on; where it is not to, it saves what it has, and leaves by give_way(). Some worker calls it again
// later: goes_on() is true then, and what it saved is there.
//
// Loops are to be left by all lanes together (`while (subgroupAny(more)) { if (more) ... }`), since two drivers get
// values wrong that are made in a loop which lanes leave at different turns (DESIGN fact 21). A handler must not use
// barriers; lanes that do not call it would never arrive. Variables outside functions do not last from one call to the
// next.
#ifndef HANDLER_GLSL
#define HANDLER_GLSL
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#pragma use_vulkan_memory_model

#define WITH_MAILBOX
#include "memory.glsl"
#include "range.glsl"

layout(local_size_x_id = 0) in;

// Argument 0 to 11 of a slot; of an operation in a packed slot 0 to 3. What it does not have is 0.
uint argument(uint i) {
    if (i == 0) return mailbox.a0;
    if (i == 1) return mailbox.a1;
    if (i == 2) return mailbox.a2;
    if (i == 3) return mailbox.a3;
    return mailbox.inner == 0 && i < ARGS_PER_SLOT ? slots[mailbox.slot * SLOT_WORDS + ARG0_WORD + i] : 0;
}

// The operation's opcode; its tenant, and its level.
uint opcode() { return mailbox.op; }
uint tenant_id() { return mailbox.tenant; }
uint level() { return mailbox.level; }

// A fault, with a code from FAULT_USER_BASE to FAULT_USER_LAST.
Outcome user_fault(uint code, uint detail) {
    return Outcome(clamp(code, FAULT_USER_BASE, FAULT_USER_LAST), detail & 0xFFFF, 0, 0);
}

// The operation is well, with 64 bits.
Outcome done_long(uint lo, uint hi) { return Outcome(0, 0, lo, hi); }

// A record in the debug log of the slot's tenant: a format's id and what it is given. Returns how many were written. A
// wide handler lets one lane call it.
uint print(uint format, uint a, uint b, uint c) {
    mailbox.x0 = format;
    mailbox.x1 = a;
    mailbox.x2 = b;
    mailbox.x3 = c;
    atomicAdd(mailbox.print, 1);
    return mailbox.x0;
}

// Asking for storage. A handler that ends with what one of these returns is called again when the host has answered:
// answered() is true then, and answer() has the bytes that arrived, or the fault that it may end with. `file` and `memory`
// are handles of the slot's tenant, `offset` and `at` bytes into them. With nothing to ask for, and in packed slots, the
// fault is another's; without storage it is IO_ERROR, ENOSYS.
//
// What it is to know then it saves before: a lane handler by keep(), a wide one by save(). Where the host has no room for
// more requests, it is called again without an answer, and asks again.
Outcome ask(uint kind, uint file, uvec2 offset, uint bytes, uint memory, uint at) {
    mailbox.asks = 1;
    mailbox.y0 = kind;
    mailbox.y1 = file;
    mailbox.y2 = offset.x;
    mailbox.y3 = offset.y;
    mailbox.y4 = bytes;
    mailbox.y5 = memory;
    mailbox.y6 = at;
    return Outcome(HANDLER_ASKS, 0, 0, 0);
}
Outcome read_file(uint file, uvec2 offset, uint bytes, uint memory, uint at) {
    return ask(IO_READ, file, offset, bytes, memory, at);
}
Outcome write_file(uint file, uvec2 offset, uint bytes, uint memory, uint at) {
    return ask(IO_WRITE, file, offset, bytes, memory, at);
}
bool answered() { return mailbox.answered != 0; }
Outcome answer() {
    uint fault = mailbox.answer_fault;
    return fault == 0 ? done(mailbox.answer_bytes) : Outcome(fault >> 16, fault & 0xFFFF, 0, 0);
}

// It has left before: to give way, to ask, or to publish.
bool goes_on() { return mailbox.again != 0; }

// SAVED_WORDS words of a lane handler's slot, undefined until it keeps them.
void keep(uint i, uint value) { state[mailbox.area + i] = value; }
uint kept(uint i) { return state[mailbox.area + i]; }

// Of wide handlers only, from here on.

// Whether to go on, after `turns` turns since the last call, or since it began; the same for all lanes.
bool step(uint turns) {
    mailbox.x0 = turns;
    atomicAdd(mailbox.step, 1);
    return subgroupBroadcastFirst(mailbox.x0) == 0;
}

// SAVE_WORDS words for all lanes, which have the same, and as many for each lane. They are undefined until it saves them.
void save(uint i, uint value) {
    if (gl_SubgroupInvocationID == 0) state[mailbox.area + i] = value;
}
uint saved(uint i) { return subgroupBroadcastFirst(state[mailbox.area + i]); }
void save_lane(uint i, uint value) { state[mailbox.area + SAVE_WORDS * (1 + gl_SubgroupInvocationID) + i] = value; }
uint saved_lane(uint i) { return state[mailbox.area + SAVE_WORDS * (1 + gl_SubgroupInvocationID) + i]; }

// Publishes a slot for each lane in `mine`, of the handler's tenant and level, with an opcode and twelve arguments. A
// handler that ends with what this returns is called again: goes_on() is true then, and published() says of each lane
// whether its slot was; where there was no room, or little left of the budget, it was not, and it may try again. What it is
// to know then it saves before. It counts for 2 * HANDLER_TURNS turns: ask step() between two.
//
// The slot ends when the handler and all that it published have, with its outcome, or else with the first fault of
// theirs. Slots that are published may publish others, CHILD_DEPTHS deep in all.
Outcome publish(bool mine, uint op, uvec4 a, uvec4 b, uvec4 c) {
    mailbox.publishes = 1;
    mailbox.y0 = mine ? 1 : 0;
    mailbox.y1 = op;
    mailbox.y2 = a.x;
    mailbox.y3 = a.y;
    mailbox.y4 = a.z;
    mailbox.y5 = a.w;
    mailbox.y6 = b.x;
    mailbox.y7 = b.y;
    mailbox.y8 = b.z;
    mailbox.y9 = b.w;
    mailbox.y10 = c.x;
    mailbox.y11 = c.y;
    mailbox.y12 = c.z;
    mailbox.y13 = c.w;
    return Outcome(HANDLER_PUBLISHES, 0, 0, 0);
}
bool published() { return mailbox.published != 0; }

// It is to be called again, after step() was false. If the slot was cancelled, it is not.
Outcome give_way() { return Outcome(HANDLER_LEAVES, 0, 0, 0); }

#define HANDLER_ENDS(f)                \
    {                                  \
        Outcome ended = f();           \
        mailbox.fault = ended.fault;   \
        mailbox.detail = ended.detail; \
        mailbox.lo = ended.lo;         \
        mailbox.hi = ended.hi;         \
    }

#define LANE_HANDLER(code, f)                \
    void main() {                            \
        mailbox.contract = HANDLER_CONTRACT; \
        mailbox.opcode = code;               \
        mailbox.width = HANDLER_LANE;        \
        HANDLER_ENDS(f)                      \
    }

#define WIDE_HANDLER(code, f)                \
    void main() {                            \
        mailbox.contract = HANDLER_CONTRACT; \
        mailbox.opcode = code;               \
        mailbox.width = HANDLER_WIDE;        \
        HANDLER_ENDS(f)                      \
    }

#endif
