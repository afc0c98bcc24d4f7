// The contract of handlers: what an operation of a user's sees, and how it ends. A handler is a function that takes nothing
// and returns an Outcome, and stands in a compute shader of its own:
//
//     #version 460
//     #extension GL_GOOGLE_include_directive : require
//     #include "handler.glsl"
//     Outcome twice() { return done(2 * argument(0)); }
//     LANE_HANDLER(twice)
//
// It may be called by some lanes of a subgroup only, side by side with others' operations, so it must not use barriers,
// nor operations of the subgroup whose outcome depends on lanes that do not call it. Its loops must not make more
// than HANDLER_TURNS turns in all, each turn of a lane counted; they are to be left by all lanes together
// (`while (subgroupAny(more)) { if (more) ... }`), since two drivers get values wrong that are made in a loop which lanes
// leave at different turns (DESIGN fact 21). It has no memory of its own beyond its call.
#ifndef HANDLER_GLSL
#define HANDLER_GLSL
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#pragma use_vulkan_memory_model

#define WITH_MAILBOX
#include "memory.glsl"

layout(local_size_x_id = 0) in;

// Argument 0 to 3; what the slot, or the operation of a packed slot, does not have is 0.
uint argument(uint i) { return i == 0 ? mailbox.a0 : i == 1 ? mailbox.a1 : i == 2 ? mailbox.a2 : mailbox.a3; }

// The operation's opcode.
uint opcode() { return mailbox.op; }

// A fault, with a code from FAULT_USER_BASE on.
Outcome user_fault(uint code, uint detail) { return Outcome(code, detail & 0xFFFF, 0, 0); }

// The operation is well, with 64 bits.
Outcome done_long(uint lo, uint hi) { return Outcome(0, 0, lo, hi); }

#define LANE_HANDLER(f)               \
    void main() {                     \
        Outcome ended = f();          \
        mailbox.fault = ended.fault;  \
        mailbox.detail = ended.detail; \
        mailbox.lo = ended.lo;        \
        mailbox.hi = ended.hi;        \
    }

#endif
