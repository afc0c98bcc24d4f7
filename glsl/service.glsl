// What the kernel does for handlers when they ask: shaders of their own, linked in where a handler calls them by adding to
// a word of the mailbox. A service sees the kernel's buffers, and of its variables what the mailbox has.
#ifndef SERVICE_GLSL
#define SERVICE_GLSL
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;

#include "options.glsl"
#include "memory.glsl"
#include "mailbox.glsl"
#include "queue.glsl"
#include "op/shutdown.glsl"
#include "continuation.glsl"
#include "io.glsl"
// Nothing is claimed here.
const uint RESERVE = 0;

#endif
