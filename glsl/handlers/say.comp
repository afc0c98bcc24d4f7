// SAY: a record of format a0, argument a1, the tenant and the last argument in the debug log; the result is the number of
// records so far.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

#pragma ringfence say(format: u32, what: u32)
Outcome say() { return done(print(argument(0), argument(1), tenant_id(), argument(11))); }

LANE_HANDLER(10, say)
