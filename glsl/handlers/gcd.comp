// GCD: the greatest common divisor of a0 and a1, by Euclid's algorithm. Twin: tests/handlers.rs.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

#pragma ringfence gcd(a: u32, b: u32)
Outcome gcd() {
    uint a = argument(0);
    uint b = argument(1);
    // At most 47 turns a lane: Fibonacci's numbers take the most (Lame, 1844).
    while (subgroupAny(b != 0)) {
        if (b != 0) {
            uint rest = a % b;
            a = b;
            b = rest;
        }
    }
    return done(a);
}

LANE_HANDLER(8, gcd)
