// SUM_WORDS: the sum, modulo 2^32, of the words in a2 bytes from byte a1 of resource a0 on.
// Twin: src/twin/sum_words.rs.
//
// A wide opcode: the lanes take 16 bytes each, side by side.
#ifndef SUM_WORDS_GLSL
#define SUM_WORDS_GLSL

#include "range.glsl"

// Turns of RANGE_TURN_BYTES in 64 bytes, and those of a block whose lines are touched at once: 4 KiB.
const uint TURNS_OF_LINE = 4;
const uint TOUCHED_TURNS = 256;

// The same memory in words of 64 bits, of which CPU drivers load as many at once as of 32. It is aligned to 8.
layout(buffer_reference, std430, buffer_reference_align = 8) nonprivate readonly buffer Longs { u64vec2 at[]; };

// Turn `i` behind an address.
uvec4 turn_at(uvec2 address, uint i) {
    if (WITH_INT64) {
        if ((address.x & 7) == 0) {
            u64vec2 halves = Longs(address).at[i];
            return uvec4(unpackUint2x32(halves.x), unpackUint2x32(halves.y));
        }
    }
    return Turns(address).at[i];
}

// Adds turn `i`, if it lies below `end`, but for its word that was added when its line was touched.
void add_turn(uvec2 address, uint i, uint end, inout uvec4 sum) {
    if (i < end) {
        uvec4 turn = turn_at(address, i);
        if (i % TURNS_OF_LINE == 0) turn.x = 0;
        sum += turn;
    }
}

// How far a sum has come: turns summed, turns whose lines were touched, and the lane's part.
struct Sum {
    uint first;
    uint touched;
    uvec4 parts;
};

// Goes on with a sum of `whole` turns. With `gives_way`, the slot may give way after each block.
uint sum_turns(uvec2 address, uint whole, inout Sum s, bool gives_way, uint slot, out uint area) {
    // Each reference from the address: SwiftShader dies of a cast between two.
    Words words = Words(address);
    uvec4 sum = s.parts;
    // One word of each cache line is read ahead, a line a lane: what another core or storage has written comes in side
    // by side then, while the block before is summed. Those words are left out below.
    uint touched = s.touched;
    uint first = s.first;
    uint next = GO_ON;
    area = NO_AREA;
    while (first < whole && next == GO_ON) {
        uint end = min(touched + TOUCHED_TURNS, whole);
        while (touched < end) {
            uint i = touched + TURNS_OF_LINE * gl_SubgroupInvocationID;
            if (i < end) sum.x += words.at[4 * i];
            touched += TURNS_OF_LINE * gl_SubgroupSize;
            charge(1);
        }
        touched = end;
        end = touched < whole ? touched - TOUCHED_TURNS : whole;
        while (first < end) {
            // Several in a turn of the loop, which costs something by itself.
            uint i = first + gl_SubgroupInvocationID;
            add_turn(address, i, end, sum);
            add_turn(address, i + gl_SubgroupSize, end, sum);
            add_turn(address, i + 2 * gl_SubgroupSize, end, sum);
            add_turn(address, i + 3 * gl_SubgroupSize, end, sum);
            first += 4 * gl_SubgroupSize;
            charge(1);
        }
        first = end;
        if (gives_way && first < whole) next = after_step(slot, area);
        charge(3); // with the last looks of the loops inside
    }
    s = Sum(first, touched, sum);
    return next;
}

// The sum of all lanes' parts, and of the up to three words behind the last turn.
uint sum_ends(uvec2 address, uint bytes, Sum s) {
    Words words = Words(address);
    uvec4 sum = s.parts;
    uint whole = bytes / RANGE_TURN_BYTES;
    // Up to three words behind the last turn, for one lane: there may be no more.
    uint word = 4 * whole;
    uint left = bytes / 4 - word;
    if (gl_SubgroupInvocationID == 0) {
        if (left > 0) sum.x += words.at[word];
        if (left > 1) sum.y += words.at[word + 1];
        if (left > 2) sum.z += words.at[word + 2];
    }
    return subgroupAdd(sum.x + sum.y + sum.z + sum.w);
}

// The sum of the whole words in `bytes` bytes from an address on.
uint sum_range(uvec2 address, uint bytes) {
    Sum s = Sum(0, 0, uvec4(0));
    uint area;
    sum_turns(address, bytes / RANGE_TURN_BYTES, s, false, 0, area);
    return sum_ends(address, bytes, s);
}

Outcome op_sum_words(uint slot, bool again) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    uvec4 source = record_of(slots[base]);
    uint offset = slots[base + 1];
    uint bytes = slots[base + 2];
    if (!grants(source, RESOURCE_READ)) return bad_operand(0);
    if ((offset & 3) != 0 || offset > bytes_of(source)) return bad_operand(1);
    if ((bytes & 3) != 0 || exceeds(source, offset, bytes)) return bad_operand(2);
    uvec2 address = address_plus(source.xy, offset);
    Sum s = Sum(0, 0, uvec4(0));
    uint area;
    if (again) {
        area = area_of(slot);
        s.first = subgroupBroadcastFirst(state[saved_by_all(area, 0)]);
        s.touched = subgroupBroadcastFirst(state[saved_by_all(area, 1)]);
        s.parts = uvec4(state[saved_by_lane(area, 0)], 0, 0, 0);
        give_area_back(area);
    }
    uint next = sum_turns(address, bytes / RANGE_TURN_BYTES, s, true, slot, area);
    if (next == GIVE_WAY) {
        if (gl_SubgroupInvocationID == 0) {
            state[saved_by_all(area, 0)] = s.first;
            state[saved_by_all(area, 1)] = s.touched;
        }
        state[saved_by_lane(area, 0)] = s.parts.x + s.parts.y + s.parts.z + s.parts.w;
    }
    return next == GO_ON ? done(sum_ends(address, bytes, s)) : left_after(next);
}

#endif
