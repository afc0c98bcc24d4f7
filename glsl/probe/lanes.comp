// What a subgroup looks like, and whether values survive a loop that its lanes leave at different turns.
//
// lavapipe of Mesa 22.3 and SwiftShader get the latter wrong: a value loaded inside such a loop and used
// after it is that of the last lane's turn in all other lanes (DESIGN fact 21). The kernel therefore
// leaves its loops uniformly; the third loop here is that form, and must be right everywhere.
#version 460
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_shader_subgroup_ballot : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;

layout(set = 0, binding = 0, std430) readonly buffer Table { uint table[]; };
layout(set = 0, binding = 1, std430) nonprivate buffer Ascending { uint ascending[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Answer { uint answer[]; };

const uint LANES = 128; // room for a subgroup in each part of the answer

void main() {
    uint lane = gl_SubgroupInvocationID;
    uint present = subgroupBallotBitCount(subgroupBallot(true));
    if (gl_SubgroupID == 0 && subgroupElect()) {
        answer[0] = gl_SubgroupSize;
        answer[1] = gl_NumSubgroups;
        answer[2] = present;
    }
    // `table` and `ascending` hold the same rising numbers; a lane looks for the first that is not
    // below its own bound, which is found after as many turns as the lane's number.
    uint bound = table[lane];

    uint i = 0;
    uint loaded;
    for (;;) {
        loaded = table[i++];
        if (loaded >= bound)
            break;
    }
    i = 0;
    uint atomic;
    for (;;) {
        atomic = atomicLoad(ascending[i++], gl_ScopeQueueFamily, 0, gl_SemanticsRelaxed);
        if (atomic >= bound)
            break;
    }
    i = 0;
    uint uniformly = 0;
    bool go = true;
    while (subgroupAny(go)) {
        if (go) {
            uniformly = table[i++];
            go = uniformly < bound;
        }
    }
    if (gl_SubgroupID == 0 && lane < LANES) {
        answer[LANES + lane] = loaded;
        answer[2 * LANES + lane] = atomic;
        answer[3 * LANES + lane] = uniformly;
    }
}
