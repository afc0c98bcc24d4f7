// STORE: control[a1] = a0, as STORE_U32 does it, so that `ringfence bench handlers` can tell what it costs to be a
// handler.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

#pragma ringfence store(value: u32, word: u32)
Outcome store() {
    uint at = argument(1);
    if (!in_window(at)) return bad_operand(1);
    atomicStore(control[at], argument(0), SCOPE, 0, gl_SemanticsRelaxed);
    return done(0);
}

LANE_HANDLER(19, store)
