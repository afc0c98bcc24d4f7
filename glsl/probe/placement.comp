// What it costs to read memory where it is: sums words, or copies them, as SUM_WORDS and COPY_RANGE do. Each
// workgroup is one subgroup and has a stripe of its own.
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;

layout(set = 0, binding = 0, std430) nonprivate buffer Sums { uint sums[]; }; // one for each stripe

layout(buffer_reference, std430, buffer_reference_align = 16) nonprivate readonly buffer Turns { uvec4 at[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) nonprivate buffer TurnsOut { uvec4 at[]; };

layout(push_constant) uniform Push {
    uvec2 from;
    uvec2 to;
    uint stripe; // the first workgroup's
    uint turns;  // of 16 bytes, in a stripe
    uint copies; // instead of summing
} push;

void main() {
    uint stripe = push.stripe + gl_WorkGroupID.x;
    Turns turns = Turns(push.from);
    TurnsOut turns_out = TurnsOut(push.to);
    uint first = stripe * push.turns;
    uint end = first + push.turns;
    uvec4 sum = uvec4(0);
    while (first < end) {
        uint i = first + gl_SubgroupInvocationID;
        if (i < end) {
            if (push.copies != 0) turns_out.at[i] = turns.at[i];
            else sum += turns.at[i];
        }
        first += gl_SubgroupSize;
    }
    uint all = subgroupAdd(sum.x + sum.y + sum.z + sum.w);
    if (subgroupElect() && push.copies == 0) sums[stripe] = all;
}
