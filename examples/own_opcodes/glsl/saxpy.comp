// out[i] = a * x[i] + y[i], for `count` numbers of single precision: a subgroup works on one slot, and gives way.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float at[]; };

// Turns between two looks whether to go on.
const uint STEP = 64;

#pragma ringfence saxpy(a: f32, x: read, y: read, out: write, count: u32)
Outcome saxpy() {
    float a = uintBitsToFloat(argument(0));
    uvec4 x = record_of(argument(1));
    uvec4 y = record_of(argument(2));
    uvec4 result = record_of(argument(3));
    uint count = argument(4);
    if (!grants(x, RESOURCE_READ)) return bad_operand(1);
    if (!grants(y, RESOURCE_READ)) return bad_operand(2);
    if (!grants(result, RESOURCE_WRITE)) return bad_operand(3);
    if (count > min(x.z, min(y.z, result.z))) return bad_operand(4);
    Floats xs = Floats(x.xy);
    Floats ys = Floats(y.xy);
    Floats results = Floats(result.xy);
    uint first = goes_on() ? saved(0) : 0;
    uint turns = 0;
    bool stays = true;
    while (first < count && stays) {
        uint i = first + gl_SubgroupInvocationID;
        if (i < count) {
            // As Rust does it: no fused operation.
            precise float product = a * xs.at[i];
            precise float sum = product + ys.at[i];
            results.at[i] = sum;
        }
        first += gl_SubgroupSize;
        turns += 1;
        if (turns == STEP && first < count) {
            stays = step(turns);
            turns = 0;
        }
    }
    if (!stays) {
        save(0, first);
        return give_way();
    }
    return done(count);
}

WIDE_HANDLER(9, saxpy)
