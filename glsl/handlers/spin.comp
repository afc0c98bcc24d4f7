// SPIN: as many turns as a handler may make, one of them to be looked at last; the result is how many it made.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

#pragma ringfence spin()
Outcome spin() {
    uint n = 0;
    while (subgroupAny(n < HANDLER_TURNS - 1)) {
        if (n < HANDLER_TURNS - 1) n += 1;
    }
    return done(n);
}

LANE_HANDLER(11, spin)
