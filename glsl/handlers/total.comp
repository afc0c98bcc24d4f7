// TOTAL: the sum, modulo 2^64, of the words in a2 bytes from byte a1 of resource a0 on, taken a3 times. Twin:
// tests/handlers.rs.
//
// A wide handler: the lanes take words side by side, and it gives way between steps.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

const uint TOTAL_STEP = 32;

#pragma ringfence total(memory: read, offset: u32, bytes: u32, times: u32)
Outcome total() {
    uvec4 source = record_of(argument(0));
    uint offset = argument(1);
    uint bytes = argument(2);
    if (!grants(source, RESOURCE_READ)) return bad_operand(0);
    if ((offset & 3) != 0 || offset > bytes_of(source)) return bad_operand(1);
    if ((bytes & 3) != 0 || bytes > bytes_of(source) - offset) return bad_operand(2);
    Words words = Words(address_plus(source.xy, offset));
    uint count = bytes / 4;
    uint round = 0;
    uint first = 0;
    uint lo = 0;
    uint hi = 0;
    if (goes_on()) {
        round = saved(0);
        first = saved(1);
        lo = saved_lane(0);
        hi = saved_lane(1);
    }
    uint turns = 0;
    bool left = round < argument(3) && count != 0;
    bool stays = true;
    while (left && stays) {
        uint i = first + gl_SubgroupInvocationID;
        if (i < count) {
            uint carry;
            lo = uaddCarry(lo, words.at[i], carry);
            hi += carry;
        }
        first += gl_SubgroupSize;
        if (first >= count) {
            first = 0;
            round += 1;
            left = round < argument(3);
        }
        turns += 1;
        if (turns == TOTAL_STEP && left) {
            stays = step(turns);
            turns = 0;
        }
    }
    if (!stays) {
        save(0, round);
        save(1, first);
        save_lane(0, lo);
        save_lane(1, hi);
        return give_way();
    }
    // Of 16 bits, so that no sum of them is more than 32.
    uint a = subgroupAdd(lo & 0xFFFF);
    uint b = subgroupAdd(lo >> 16) + (a >> 16);
    return done_long((a & 0xFFFF) | b << 16, subgroupAdd(hi) + (b >> 16));
}

WIDE_HANDLER(9, total)
