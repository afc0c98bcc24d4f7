// How many steps of 3n + 1 or n / 2 lead from a number to 1, at most `most`: a lane each.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

#pragma ringfence collatz(n: u32, most: u32)
Outcome collatz() {
    uint n = argument(0);
    // The turns of all lanes together are bounded, however far apart they are.
    uint most = min(argument(1), HANDLER_TURNS - 1);
    if (n == 0) return bad_operand(0);
    uint steps = 0;
    while (subgroupAny(n != 1 && steps < most)) {
        if (n != 1 && steps < most) {
            n = (n & 1) == 0 ? n / 2 : 3 * n + 1;
            steps += 1;
        }
    }
    return n == 1 ? done(steps) : user_fault(FAULT_USER_BASE, steps);
}

LANE_HANDLER(8, collatz)
