// COPY_RANGE: a4 bytes from byte a1 of resource a0 on, to byte a3 of resource a2 on; the result is a4.
// Twin: src/twin/copy_range.rs.
//
// A wide opcode: the lanes copy 16 bytes each, side by side. They do so in no order, so that the two
// ranges must not overlap.
#include "range.glsl"

// Turns that slots write.
layout(buffer_reference, std430, buffer_reference_align = 4) nonprivate buffer TurnsOut { uvec4 at[]; };

// Whether b lies less than `bytes` behind a.
bool reaches(uvec2 a, uvec2 b, uint bytes) {
    uint borrow;
    uint low = usubBorrow(b.x, a.x, borrow);
    return b.y - a.y - borrow == 0 && low < bytes;
}

// Turns of the loop in a step.
const uint COPY_STEP = 32;

Outcome op_copy_range(uint slot, bool again) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    uvec4 source = record_of(slots[base]);
    uint source_at = slots[base + 1];
    uvec4 destination = record_of(slots[base + 2]);
    uint destination_at = slots[base + 3];
    uint bytes = slots[base + 4];
    if (!grants(source, RESOURCE_READ)) return bad_operand(0);
    if ((source_at & 3) != 0 || source_at > bytes_of(source)) return bad_operand(1);
    if (!grants(destination, RESOURCE_WRITE)) return bad_operand(2);
    if ((destination_at & 3) != 0 || destination_at > bytes_of(destination)) return bad_operand(3);
    if ((bytes & 3) != 0 || exceeds(source, source_at, bytes) || exceeds(destination, destination_at, bytes))
        return bad_operand(4);
    // By address, since two handles may name the same memory.
    uvec2 from = address_plus(source.xy, source_at);
    uvec2 to = address_plus(destination.xy, destination_at);
    if (reaches(from, to, bytes) || reaches(to, from, bytes)) return bad_operand(3);

    // Each from the address: SwiftShader dies of a cast between two references.
    Turns turns = Turns(from);
    TurnsOut turns_out = TurnsOut(to);
    Words words = Words(from);
    Words words_out = Words(to);
    uint whole = bytes / RANGE_TURN_BYTES;
    uint first = 0;
    uint area;
    uint next = GO_ON;
    if (again) {
        area = area_of(slot);
        first = subgroupBroadcastFirst(state[saved_by_all(area, 0)]);
        give_area_back(area);
    }
    while (first < whole && next == GO_ON) {
        uint i = first + gl_SubgroupInvocationID;
        if (i < whole) turns_out.at[i] = turns.at[i];
        first += gl_SubgroupSize;
        if (first % (COPY_STEP * gl_SubgroupSize) == 0 && first < whole) next = after_step(slot, area);
        charge(1);
    }
    if (next != GO_ON) {
        if (next == GIVE_WAY && gl_SubgroupInvocationID == 0) state[saved_by_all(area, 0)] = first;
        return left_after(next);
    }
    // Up to three words behind the last turn, for one lane: there may be no more.
    uint word = 4 * whole;
    uint left = bytes / 4 - word;
    if (gl_SubgroupInvocationID == 0) {
        if (left > 0) words_out.at[word] = words.at[word];
        if (left > 1) words_out.at[word + 1] = words.at[word + 1];
        if (left > 2) words_out.at[word + 2] = words.at[word + 2];
    }
    return done(bytes);
}
