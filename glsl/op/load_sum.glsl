// LOAD_SUM: what LOAD_MISS does, and then the sum, modulo 2^32, of the words that arrived, or of the first a10 bytes
// of these, unless a10 is 0; what is missing of the last word counts as zero. a7 more times it then asks again, for a4 bytes at a block that it draws itself:
// of a8 blocks, by a generator that a9 seeds. The result is the sum of all; its high half, how many bytes fewer
// came than were asked for the last time, after which it asks no more. Twin: src/twin/load_sum.rs.
//
// Here the slots that were answered are summed, one after the other, each by the whole subgroup: a claim takes
// several slots, but its lanes read side by side. What is more than a claim may take waits in the ready queue
// while other slots are served. op/transfer.glsl asks.
#include "sum_words.glsl"

// What a slot saves: the bytes of the last answer that are summed, the sum, how many blocks it has drawn, and the
// state of the generator.
const uint SAVED_SUMMED = 0;
const uint SAVED_SUM = 1;
const uint SAVED_DRAWS = 2;
const uint SAVED_DRAWN = 3;

// In SAVED_SUMMED: the last answer is done with, and the next request has found the ring full.
const uint TO_BE_ASKED = 0xFFFFFFFF;

// An outcome, unless the slot asks again, at `offset`.
struct LoadSum {
    Outcome outcome;
    bool asks;
    uvec2 offset;
};

uint saved(uint slot, uint i) { return load_relaxed_state(saved_word(slot, i)); }

void save(uint slot, uint i, uint value) {
    atomicStore(state[saved_word(slot, i)], value, SCOPE, 0, gl_SemanticsRelaxed);
}

// Before the first request.
void load_sum_begin(uint slot) {
    save(slot, SAVED_SUM, 0);
    save(slot, SAVED_DRAWS, 0);
    save(slot, SAVED_DRAWN, slots[slot * SLOT_WORDS + ARG0_WORD + 9]);
}

// Where the block of `bytes` bytes is that `drawn` stands for: the high bits, which are the more random ones, of the a8
// blocks.
uvec2 drawn_offset(uint base, uint bytes, uint drawn) {
    uint block, rest, hi, lo;
    umulExtended(drawn, slots[base + 8], block, rest);
    umulExtended(block, bytes, hi, lo);
    return uvec2(lo, hi);
}

// The whole subgroup calls it; the slots of `mine` asked what `asked` says, were answered, and if `again` have been here
// since.
LoadSum op_load_sum(bool mine, uint slot, bool again, Request asked) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    uvec2 address = uvec2(0);
    uint arrived = 0;
    uint counted = 0;
    uint summed = 0;
    uint sum = 0;
    LoadSum r = LoadSum(done(0), false, uvec2(0));
    if (mine && again) summed = saved(slot, SAVED_SUMMED);
    r.asks = mine && summed == TO_BE_ASKED;
    if (r.asks) r.offset = drawn_offset(base, asked.bytes, saved(slot, SAVED_DRAWN));
    mine = mine && !r.asks;
    if (mine) {
        r.outcome = io_answer(slot);
        uvec4 memory = lane_record_of(asked.memory);
        uint at = asked.memory_at;
        // The host has checked the range before it read; since then the memory may have been given back.
        bool there = grants(memory, RESOURCE_READ) && at <= bytes_of(memory) && r.outcome.lo <= bytes_of(memory) - at;
        if (r.outcome.fault == 0 && !there) r.outcome = bad_operand(5);
        if (r.outcome.fault == 0) {
            address = address_plus(memory.xy, at);
            arrived = r.outcome.lo;
            uint most = slots[base + 10];
            counted = most == 0 ? arrived : min(arrived, most);
        }
        sum = saved(slot, SAVED_SUM);
    }
    uint room = LOAD_SUM_TURN_BYTES;
    bool left = mine && summed < counted;
    while (subgroupAny(left && room != 0)) {
        uint first = subgroupBallotFindLSB(subgroupBallot(left));
        uint bytes = min(subgroupShuffle(counted - summed, first), room);
        uvec2 begin = address_plus(subgroupShuffle(address, first), subgroupShuffle(summed, first));
        uint part = sum_range(begin, bytes);
        // The end of a file may lie within a word.
        uint rest = bytes & 3;
        if (rest != 0) part += Words(address_plus(begin, bytes - rest)).at[0] & ((1u << (8 * rest)) - 1);
        if (gl_SubgroupInvocationID == first) {
            sum += part;
            summed += bytes;
            left = summed < counted;
        }
        // Whole turns: what goes on later begins at a word.
        room = (room - bytes) & ~(RANGE_TURN_BYTES - 1);
        charge(2); // with the last look of the loop in sum_range()
    }
    if (!mine || r.outcome.fault != 0) return r;
    uint missing = asked.bytes == 0 ? 0 : asked.bytes - arrived;
    uint draws = saved(slot, SAVED_DRAWS);
    r.asks = !left && missing == 0 && draws < slots[base + 7];
    r.outcome = left ? Outcome(PENDING_READY, 0, 0, 0) : Outcome(0, 0, sum, missing);
    if (left || r.asks) save(slot, SAVED_SUM, sum);
    if (left) save(slot, SAVED_SUMMED, summed);
    if (r.asks) {
        // All of it before the request, with which another worker may have the slot.
        uint drawn = saved(slot, SAVED_DRAWN) * LOAD_SUM_FACTOR + LOAD_SUM_SUMMAND;
        r.offset = drawn_offset(base, asked.bytes, drawn);
        save(slot, SAVED_DRAWN, drawn);
        save(slot, SAVED_DRAWS, draws + 1);
    }
    return r;
}

// The ring had no room for the request of a slot that asks.
void load_sum_waits(uint slot) { save(slot, SAVED_SUMMED, TO_BE_ASKED); }
