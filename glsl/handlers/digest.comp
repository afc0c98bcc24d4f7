// DIGEST: the sum, modulo 2^32, of the words of the file a0 up to byte a4, read in pieces of a3 bytes to byte a2 of memory
// a1, and summed there a5 times each. Twin: tests/handlers_leave.rs.
//
// A wide handler that asks for storage, and gives way between steps of its sums.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

const uint DIGEST_STEP = 32;

#pragma ringfence digest(file: file, memory: write, at: u32, piece: u32, bytes: u32, times: u32)
Outcome digest() {
    uvec4 memory = record_of(argument(1));
    uint at = argument(2);
    if (!grants(memory, RESOURCE_READ) || (at & 3) != 0 || at >= bytes_of(memory)) return bad_operand(1);
    Words words = Words(address_plus(memory.xy, at));
    uint summed = 0;  // bytes of the file
    uint arrived = 0; // behind them, in memory
    uint round = 0;   // times that those were summed
    uint first = 0;   // words of this time
    uint sum = 0;
    if (goes_on()) {
        summed = saved(0);
        arrived = saved(1);
        round = saved(2);
        first = saved(3);
        sum = saved_lane(0);
    }
    bool ended = false;
    if (answered()) {
        Outcome read = answer();
        if (read.fault != 0) return read;
        arrived = read.lo & ~3u;
        ended = arrived == 0;
    }
    uint count = arrived / 4;
    uint turns = 0;
    bool left = arrived != 0;
    bool stays = true;
    while (left && stays) {
        uint i = first + gl_SubgroupInvocationID;
        if (i < count) sum += words.at[i];
        first += gl_SubgroupSize;
        if (first >= count) {
            first = 0;
            round += 1;
            left = round < argument(5);
        }
        turns += 1;
        if (turns == DIGEST_STEP && left) {
            stays = step(turns);
            turns = 0;
        }
    }
    if (stays) {
        summed += arrived;
        arrived = 0;
        round = 0;
    }
    save(0, summed);
    save(1, arrived);
    save(2, round);
    save(3, first);
    save_lane(0, sum);
    if (!stays) return give_way();
    if (ended || summed >= argument(4)) return done_long(subgroupAdd(sum), summed);
    return read_file(argument(0), uvec2(summed, 0), min(argument(3), argument(4) - summed), argument(1), at);
}

WIDE_HANDLER(12, digest)
