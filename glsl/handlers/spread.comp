// SPREAD: publishes a0 slots of opcode a1, of which number i has the arguments a2 + i * a4, a3 + i * a5, and a6 to a11.
// Twin: tests/handlers_leave.rs.
//
// A wide handler that publishes slots: each lane every so manieth, and what was not published once more.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

#pragma ringfence spread(count: u32, op: u32, a: u32, b: u32, a_step: u32, b_step: u32)
Outcome spread() {
    uint number = gl_SubgroupInvocationID;
    if (goes_on()) number = saved_lane(0);
    if (published()) number += gl_SubgroupSize;
    save_lane(0, number);
    bool left = number < argument(0);
    if (!subgroupAny(left)) return done(argument(0));
    if (!step(0)) return give_way();
    uvec4 a = uvec4(argument(2) + number * argument(4), argument(3) + number * argument(5), argument(6), argument(7));
    return publish(left, argument(1), a, uvec4(argument(8), argument(9), argument(10), argument(11)), uvec4(0));
}

WIDE_HANDLER(13, spread)
