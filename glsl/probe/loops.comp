// Does a loop make as many turns as it should? lavapipe of Mesa 22.3 ends it silently after 65,535
// (DESIGN fact 2). This is the only loop of the module, and uniform, so that a turn counts once.
#version 460

layout(local_size_x_id = 0) in;

layout(set = 0, binding = 0, std430) readonly buffer Steps { uint steps[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Answer { uint answer[]; };

layout(push_constant) uniform Push { uint turns; } push;

void main() {
    uint turns = 0;
    uint x = 1;
    // All steps are 1, which no compiler can know.
    while (turns < push.turns) {
        turns += steps[x >> 26];
        x = x * 1664525 + 1013904223;
    }
    if (gl_LocalInvocationIndex == 0)
        answer[0] = turns;
}
