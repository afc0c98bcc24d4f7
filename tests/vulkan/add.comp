// The shader of tests/vulkan.rs. After a change here:
// glslc --target-env=vulkan1.2 -O add.comp -o add.spv
#version 460
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#pragma use_vulkan_memory_model
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint ADD = 0;
layout(set = 0, binding = 0, std430) buffer B { uint words[]; } b;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer R { uint words[]; };
layout(push_constant) uniform P { uvec2 other; uint n; } p;
void main() {
    uint i = gl_GlobalInvocationID.x;
    if (i < p.n) b.words[i] = R(p.other).words[i] + ADD;
    if (i == p.n) b.words[i] = gl_SubgroupSize;
}
