// LOAD_SUM: what LOAD_MISS does, and then the sum, modulo 2^32, of the words that arrived; what is missing
// of the last word counts as zero. The high half of the result: how many bytes fewer came than were asked
// for. Held against files by tests/load_sum.rs.
//
// Asked for by op/transfer.glsl. Here the slots that were answered are summed, one after the other, each by the
// whole subgroup: a claim takes several slots, but its lanes read side by side. What is more than a claim
// may take waits in the ready queue while other slots are served, with the bytes summed so far, and their
// sum, as its saved words.
#include "sum_words.glsl"

// The whole subgroup calls it; if `again`, the slots of `mine` have saved words.
Outcome op_load_sum(bool mine, uint slot, bool again) {
    uvec2 address = uvec2(0);
    uint arrived = 0;
    uint summed = 0;
    uint sum = 0;
    Outcome o = done(0);
    if (mine) {
        uint base = slot * SLOT_WORDS + ARG0_WORD;
        o = io_answer(slot);
        uint handle = slots[base + 5];
        uint offset = slots[base + 6];
        uvec4 source = lane_record_of(handle);
        // The host has checked the range before it read; since then the memory may have been given back.
        bool there = grants(source, RESOURCE_READ) && offset <= bytes_of(source) && o.lo <= bytes_of(source) - offset;
        if (o.fault == 0 && !there) o = bad_operand(5);
        if (o.fault == 0) {
            address = address_plus(source.xy, offset);
            arrived = o.lo;
        }
        if (again) {
            summed = load_relaxed_state(saved_word(slot, 0));
            sum = load_relaxed_state(saved_word(slot, 1));
        }
    }
    uint room = LOAD_SUM_TURN_BYTES;
    bool left = summed < arrived;
    while (subgroupAny(left && room != 0)) {
        uint first = subgroupBallotFindLSB(subgroupBallot(left));
        uint bytes = min(subgroupShuffle(arrived - summed, first), room);
        uint at = subgroupShuffle(summed, first);
        uvec2 begin = address_plus(subgroupShuffle(address, first), at);
        uint part = sum_range(begin, bytes);
        // The end of a file may lie within a word.
        uint rest = bytes & 3;
        if (rest != 0) part += Words(address_plus(begin, bytes - rest)).at[0] & ((1u << (8 * rest)) - 1);
        if (gl_SubgroupInvocationID == first) {
            sum += part;
            summed += bytes;
            left = summed < arrived;
        }
        // Whole turns: what goes on later begins at a word.
        room = (room - bytes) & ~(RANGE_TURN_BYTES - 1);
        charge(1);
    }
    if (!mine || o.fault != 0) return o;
    if (!left) {
        uint asked = slots[slot * SLOT_WORDS + ARG0_WORD + 4];
        return Outcome(0, 0, sum, asked == 0 ? 0 : asked - arrived);
    }
    atomicStore(state[saved_word(slot, 0)], summed, SCOPE, 0, gl_SemanticsRelaxed);
    atomicStore(state[saved_word(slot, 1)], sum, SCOPE, 0, gl_SemanticsRelaxed);
    return Outcome(PENDING_READY, 0, 0, 0);
}
