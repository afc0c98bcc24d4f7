// How many workgroups run side by side: each says that it is there, and stays until as many are there
// as were dispatched, or its turns are spent. Workgroups that do not fit start when others have left,
// and never see them (DESIGN fact 4).
#version 460
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;

layout(set = 0, binding = 0, std430) nonprivate buffer State {
    uint there; // now
    uint most;  // at any time
};

layout(push_constant) uniform Push {
    uint turns;  // below the loop limit
    uint groups; // as dispatched
} push;

const int SCOPE = gl_ScopeQueueFamily;

void main() {
    if (subgroupElect()) {
        uint now = atomicAdd(there, 1, SCOPE, 0, gl_SemanticsRelaxed) + 1;
        atomicMax(most, now, SCOPE, 0, gl_SemanticsRelaxed);
    }
    uint turns = push.turns;
    bool go = true;
    while (go) {
        // Several loads a turn make it last longer, within the same loop limit.
        uint seen = atomicLoad(most, SCOPE, 0, gl_SemanticsRelaxed);
        seen = max(seen, atomicLoad(most, SCOPE, 0, gl_SemanticsRelaxed));
        seen = max(seen, atomicLoad(most, SCOPE, 0, gl_SemanticsRelaxed));
        seen = max(seen, atomicLoad(most, SCOPE, 0, gl_SemanticsRelaxed));
        seen = subgroupBroadcastFirst(max(seen, atomicLoad(most, SCOPE, 0, gl_SemanticsRelaxed)));
        turns--;
        go = turns != 0 && seen < push.groups;
    }
    if (subgroupElect())
        atomicAdd(there, 0xFFFFFFFFu, SCOPE, 0, gl_SemanticsRelaxed);
}
