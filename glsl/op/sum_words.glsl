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

// Turns that a lane sums in one of the loop's, which costs something by itself.
const uint TURNS_AT_ONCE = 4;

// The same memory in words of 64 bits, of which CPU drivers load as many at once as of 32. It is aligned to 8.
layout(buffer_reference, std430, buffer_reference_align = 8) nonprivate readonly buffer Longs { u64vec2 at[]; };

// Words in front of the first turn, so that turns are aligned to 8 where they are loaded in words of 64 bits.
uint words_before(uvec2 address, uint bytes) { return WITH_INT64 && (address.x & 4) != 0 && bytes >= 4 ? 1 : 0; }

// Turn `i` of the lane's, less the bits of its first word that are not in `kept`: as sums of which the low halves are
// sums of words.
void add_longs(Longs mine, uint i, uint64_t kept, inout uint64_t all, inout uint64_t high) {
    u64vec2 turn = mine.at[i * gl_SubgroupSize];
    turn.x &= kept;
    all += turn.x + turn.y;
    high += (turn.x >> 32) + (turn.y >> 32);
}

void add_words(Turns mine, uint i, uint kept, inout uvec4 sum) {
    uvec4 turn = mine.at[i * gl_SubgroupSize];
    turn.x &= kept;
    sum += turn;
}

// The lane's part of `groups` times TURNS_AT_ONCE turns of each lane, from an address on that begins a line, but for
// the words that were added when their lines were touched. No turn is tested by itself, and no word is taken out of 64
// bits: lavapipe, which loads lane by lane, would take longer for that than for the loads.
uint sum_groups(uvec2 address, uint groups) {
    uvec2 mine = address_plus(address, RANGE_TURN_BYTES * gl_SubgroupInvocationID);
    // In subgroups of a line's turns or more, the same lanes have the first turn of a line each time.
    bool begins = gl_SubgroupInvocationID % TURNS_OF_LINE == 0;
    if (WITH_INT64) {
        Longs longs = Longs(mine);
        uint64_t kept = begins ? 0xFFFFFFFF00000000UL : 0xFFFFFFFFFFFFFFFFUL;
        uint64_t all = 0;
        uint64_t high = 0;
        for (uint i = 0; i < groups * TURNS_AT_ONCE; i += TURNS_AT_ONCE) {
            add_longs(longs, i, kept, all, high);
            add_longs(longs, i + 1, kept, all, high);
            add_longs(longs, i + 2, kept, all, high);
            add_longs(longs, i + 3, kept, all, high);
            charge(1);
        }
        return uint(all) + uint(high);
    }
    Turns turns = Turns(mine);
    uint kept = begins ? 0 : 0xFFFFFFFF;
    uvec4 sum = uvec4(0);
    for (uint i = 0; i < groups * TURNS_AT_ONCE; i += TURNS_AT_ONCE) {
        add_words(turns, i, kept, sum);
        add_words(turns, i + 1, kept, sum);
        add_words(turns, i + 2, kept, sum);
        add_words(turns, i + 3, kept, sum);
        charge(1);
    }
    return sum.x + sum.y + sum.z + sum.w;
}

// How far a sum has come: turns summed, turns whose lines were touched, and the lane's part.
struct Sum {
    uint first;
    uint touched;
    uint part;
};

// Goes on with a sum of `whole` turns. With `gives_way`, the slot may give way after each block.
uint sum_turns(uvec2 address, uint whole, inout Sum s, bool gives_way, uint slot, out uint area) {
    // Each reference from the address: SwiftShader dies of a cast between two.
    Words words = Words(address);
    Turns turns = Turns(address);
    uint sum = s.part;
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
            if (i < end) sum += words.at[4 * i];
            touched += TURNS_OF_LINE * gl_SubgroupSize;
            charge(1);
        }
        touched = end;
        end = touched < whole ? touched - TOUCHED_TURNS : whole;
        uint groups = gl_SubgroupSize < TURNS_OF_LINE ? 0 : (end - first) / (TURNS_AT_ONCE * gl_SubgroupSize);
        sum += sum_groups(address_plus(address, RANGE_TURN_BYTES * first), groups);
        first += groups * TURNS_AT_ONCE * gl_SubgroupSize;
        while (first < end) {
            uint i = first + gl_SubgroupInvocationID;
            if (i < end) {
                uvec4 turn = turns.at[i];
                if (i % TURNS_OF_LINE == 0) turn.x = 0;
                sum += turn.x + turn.y + turn.z + turn.w;
            }
            first += gl_SubgroupSize;
            charge(1);
        }
        first = end;
        if (gives_way && first < whole) next = after_step(slot, area);
        charge(4); // with the last looks of the loops inside
    }
    s = Sum(first, touched, sum);
    return next;
}

// The sum of the lanes' parts, and of what lies in `bytes` bytes before and behind the turns.
uint sum_ends(uvec2 address, uint bytes, uint before, uint whole, uint part) {
    Words words = Words(address);
    // Up to three words behind the last turn, for one lane: there may be no more.
    uint word = before + 4 * whole;
    uint left = bytes / 4 - word;
    if (gl_SubgroupInvocationID == 0) {
        if (before != 0) part += words.at[0];
        if (left > 0) part += words.at[word];
        if (left > 1) part += words.at[word + 1];
        if (left > 2) part += words.at[word + 2];
    }
    return subgroupAdd(part);
}

// The sum of the whole words in `bytes` bytes from an address on.
uint sum_range(uvec2 address, uint bytes) {
    uint before = words_before(address, bytes);
    uint whole = (bytes - 4 * before) / RANGE_TURN_BYTES;
    Sum s = Sum(0, 0, 0);
    uint area;
    sum_turns(address_plus(address, 4 * before), whole, s, false, 0, area);
    return sum_ends(address, bytes, before, whole, s.part);
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
    uint before = words_before(address, bytes);
    uint whole = (bytes - 4 * before) / RANGE_TURN_BYTES;
    Sum s = Sum(0, 0, 0);
    uint area;
    if (again) {
        area = area_of(slot);
        s.first = subgroupBroadcastFirst(state[saved_by_all(area, 0)]);
        s.touched = subgroupBroadcastFirst(state[saved_by_all(area, 1)]);
        s.part = state[saved_by_lane(area, 0)];
        give_area_back(area);
    }
    uint next = sum_turns(address_plus(address, 4 * before), whole, s, true, slot, area);
    if (next == GIVE_WAY) {
        if (gl_SubgroupInvocationID == 0) {
            state[saved_by_all(area, 0)] = s.first;
            state[saved_by_all(area, 1)] = s.touched;
        }
        state[saved_by_lane(area, 0)] = s.part;
    }
    return next == GO_ON ? done(sum_ends(address, bytes, before, whole, s.part)) : left_after(next);
}

#endif
