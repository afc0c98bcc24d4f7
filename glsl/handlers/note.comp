// NOTE: control[a0] = a1 if a0 is in the tenant's window; result the word before, and the opcode above it. With an a2 it
// is a fault of the user's, of that detail.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

#pragma ringfence note(word: u32, value: u32, fault: u32)
Outcome note() {
    uint at = argument(0);
    if (argument(2) != 0) return user_fault(FAULT_USER_BASE + 1, argument(2));
    if (!in_window(at)) return bad_operand(0);
    uint before = control[at];
    control[at] = argument(1);
    return done_long(before, opcode());
}

LANE_HANDLER(0x7FFFFFFF, note)
