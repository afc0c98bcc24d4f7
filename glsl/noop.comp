#version 460
// Stands in for the kernel until it arrives: writes one word.
#extension GL_GOOGLE_include_directive : require
#include "abi.glsl"

layout(local_size_x_id = SPEC_SUBGROUP_SIZE) in;

layout(constant_id = SPEC_LOOPS) const uint loops = 1;

layout(set = 0, binding = BIND_CONTROL) buffer Control { uint control[]; };

void main() {
    control[OBSERVABLE_BASE] = loops;
}
