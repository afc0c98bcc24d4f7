// The walk of OP_SCAN without the queues: each workgroup takes the slot of its own number, and leaves
// the result where the host reads it. `ringfence bench scan` holds the kernel against this.
#version 460
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_GOOGLE_include_directive : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;

#define WITHOUT_TURNS
#include "memory.glsl"
#include "op/scan.glsl"

void main() {
    budget = 0; // nobody asks what is left
    Outcome o = op_scan(gl_WorkGroupID.x, false);
    if (gl_SubgroupInvocationID == 0) {
        uint at = 4 * gl_WorkGroupID.x;
        completion[at] = o.fault;
        completion[at + 1] = o.detail;
        completion[at + 2] = o.lo;
        completion[at + 3] = o.hi;
    }
}
