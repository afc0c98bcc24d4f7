// Answers the host's messages while it runs: the litmus tests between host and device, and the round
// trip. One workgroup of one subgroup; dispatched several times in a row, each going on where the last
// one ended. Nothing here is promised by the Vulkan memory model (DESIGN fact 1), hence the test.
#version 460
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_shader_subgroup_ballot : require
#pragma use_vulkan_memory_model

layout(local_size_x_id = 0) in;

// Entries of ENTRY words: in `inbox` flag, kind and payload, in `outbox` completion and result. The
// first entry of each holds a word for the whole: command, heartbeat.
layout(set = 0, binding = 0, std430) nonprivate buffer Inbox { uint inbox[]; };
layout(set = 0, binding = 1, std430) nonprivate buffer Outbox { uint outbox[]; };
layout(set = 0, binding = 2, std430) nonprivate buffer Cells { uvec4 cells[]; };
layout(set = 0, binding = 3, std430) nonprivate buffer State {
    uint next;       // number of the message to come
    uint dispatch;   // number of this dispatch
    uint last;       // dispatch that took the last message
    uint late;       // messages whose payload came after their flag
    uint while_here; // messages sent alone that came while the dispatch that took them ran
    uint in_one;     // messages sent alone and taken by the same dispatch as the one before
};

layout(push_constant) uniform Push { uint turns; } push;

const uint ENTRY = 32;   // words
const uint ENTRIES = 16; // messages under way
const uint PAYLOAD = 16; // first payload word of an entry
const uint KIND_ALONE = 1;  // no other message is under way
const uint COMMAND_LEAVE = 1;
const uint COMMAND_STREAM = 2; // store vectors all the time

const int SCOPE = gl_ScopeQueueFamily;

uint payload_word(uint message, uint i) { return message * 0x9E3779B1u + i * 0x85EBCA6Bu; }

void main() {
    uint lane = gl_SubgroupInvocationID;
    uint message = next;
    uint here = dispatch + 1;
    uint taken_by = last;
    uint late_ones = 0;
    uint came = 0;
    uint same = 0;
    bool waited = false;
    if (subgroupElect())
        atomicStore(outbox[0], here, SCOPE, 0, gl_SemanticsRelaxed);

    uint turns = push.turns;
    bool go = true;
    while (go) {
        uint slot = message & (ENTRIES - 1);
        uint at = ENTRY * (1 + slot);
        uint command = subgroupBroadcastFirst(atomicLoad(inbox[0], SCOPE, 0, gl_SemanticsRelaxed));
        uint flag = subgroupBroadcastFirst(atomicLoad(inbox[at], SCOPE, 0, gl_SemanticsRelaxed));
        bool arrived = flag == message;
        if (arrived) {
            memoryBarrier(SCOPE, gl_StorageSemanticsBuffer, gl_SemanticsAcquire | gl_SemanticsMakeVisible);
            // The first four lanes take four words each.
            bool right = true;
            uint kind = inbox[at + 1];
            if (lane < 4) {
                uint i = 4 * lane;
                uint word = at + PAYLOAD + i;
                uvec4 p = uvec4(inbox[word], inbox[word + 1], inbox[word + 2], inbox[word + 3]);
                right = p.x == payload_word(message, i) && p.y == payload_word(message, i + 1) &&
                        p.z == payload_word(message, i + 2) && p.w == payload_word(message, i + 3);
                outbox[word] = ~payload_word(message, i);
                outbox[word + 1] = ~payload_word(message, i + 1);
                outbox[word + 2] = ~payload_word(message, i + 2);
                outbox[word + 3] = ~payload_word(message, i + 3);
            }
            late_ones += subgroupAll(right) ? 0 : 1;
            came += kind == KIND_ALONE && waited ? 1 : 0;
            same += kind == KIND_ALONE && taken_by == here ? 1 : 0;
            taken_by = here;
            memoryBarrier(SCOPE, gl_StorageSemanticsBuffer, gl_SemanticsRelease | gl_SemanticsMakeAvailable);
            if (subgroupElect())
                atomicStore(outbox[at], message, SCOPE, 0, gl_SemanticsRelaxed);
            message++;
        }
        if (command == COMMAND_STREAM)
            cells[lane] = uvec4(turns);
        waited = !arrived;
        turns--;
        go = turns != 0 && command != COMMAND_LEAVE;
    }
    if (subgroupElect()) {
        next = message;
        dispatch = here;
        last = taken_by;
        late += late_ones;
        while_here += came;
        in_one += same;
    }
}
