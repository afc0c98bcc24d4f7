// CRC32C: of a2 bytes from byte a1 of resource a0 on, continuing the CRC a3 (0 to begin with).
// Twin: src/twin/crc32c.rs.
//
// A wide opcode. The register is a polynomial over GF(2), x^31 at bit 0; a message M takes register r to
// r * x^|M| + M * x^32, modulo P. So pieces can be worked on side by side: if all have b bits, two
// neighbours together are left * x^b + right, two pairs left * x^2b + right, and so on up a tree.
//
// The range is bytes up to a whole word, turns of 16 bytes, and bytes behind them. Each lane takes a run
// of turns, all runs of the same length: zeros stand before the first turn for those that are missing,
// which changes no register that is still 0. The register so far starts in the lane that has turn 0.
#include "range.glsl"

const uint CRC32C_ONE = 0x80000000;  // x^0
const uint CRC32C_TURN = 0x18B8EA18; // x^128 mod P

uint crc32c_times_x(uint a) { return (a >> 1) ^ (uint(-int(a & 1)) & CRC32C_POLYNOMIAL); }

// Adds x if the highest of `bits` is set, and goes on to the next bit and the next power.
void crc32c_term(inout uint sum, inout uint bits, inout uint x) {
    sum ^= uint(int(bits) >> 31) & x;
    bits <<= 1;
    x = crc32c_times_x(x);
}

void crc32c_terms(inout uint sum, inout uint bits, inout uint x) {
    crc32c_term(sum, bits, x);
    crc32c_term(sum, bits, x);
    crc32c_term(sum, bits, x);
    crc32c_term(sum, bits, x);
}

// a * x^32: without a loop or a branch, for all x are constants.
uint crc32c_word(uint a) {
    uint sum = 0;
    uint x = CRC32C_POLYNOMIAL;
    crc32c_terms(sum, a, x);
    crc32c_terms(sum, a, x);
    crc32c_terms(sum, a, x);
    crc32c_terms(sum, a, x);
    crc32c_terms(sum, a, x);
    crc32c_terms(sum, a, x);
    crc32c_terms(sum, a, x);
    crc32c_terms(sum, a, x);
    return sum;
}

// a = a * b, and b = b * b. Costs eight turns, and one more for the caller to charge.
void crc32c_multiply(inout uint a, inout uint b) {
    uint product = 0;
    uint square = 0;
    uint bits = b;
    uint x = b;
    uint i = 0;
    while (i < 8) {
        uint same = x;
        crc32c_terms(product, a, same);
        crc32c_terms(square, bits, x);
        i += 1;
        charge(1);
    }
    a = product;
    b = square;
}

// Bytes [at, end), one a turn; all lanes do the same.
uint crc32c_bytes(Words words, uint at, uint end, uint crc) {
    while (at < end) {
        crc ^= words.at[at >> 2] >> (8 * (at & 3)) & 0xFF;
        crc = crc32c_times_x(crc32c_times_x(crc32c_times_x(crc32c_times_x(crc))));
        crc = crc32c_times_x(crc32c_times_x(crc32c_times_x(crc32c_times_x(crc))));
        at += 1;
        charge(1);
    }
    return crc;
}

// Turns of the loop in a step.
const uint CRC32C_STEP = 4;

// `count` turns, which are not 0; `crc` is what comes before, and comes to be with them. They are done unless it
// returns something else than GO_ON.
uint crc32c_turns(Turns turns, uint count, inout uint crc_so_far, uint slot, bool again) {
    uint crc = crc_so_far;
    uint run = (count + gl_SubgroupSize - 1) / gl_SubgroupSize;
    int at = int(gl_SubgroupInvocationID * run) - int(run * gl_SubgroupSize - count);
    if (at > 0 || at + int(run) <= 0) crc = 0;
    uint i = 0;
    uint area;
    uint next = GO_ON;
    if (again) {
        area = area_of(slot);
        i = subgroupBroadcastFirst(state[saved_by_all(area, 0)]);
        crc = state[saved_by_lane(area, 0)];
        give_area_back(area);
    }
    while (i < run && next == GO_ON) {
        int turn = at + int(i);
        if (turn >= 0) {
            uvec4 words = turns.at[turn];
            crc = crc32c_word(crc ^ words.x);
            crc = crc32c_word(crc ^ words.y);
            crc = crc32c_word(crc ^ words.z);
            crc = crc32c_word(crc ^ words.w);
        }
        i += 1;
        if (i % CRC32C_STEP == 0 && i < run) next = after_step(slot, area);
        charge(1);
    }
    if (next == GIVE_WAY) {
        if (gl_SubgroupInvocationID == 0) state[saved_by_all(area, 0)] = i;
        state[saved_by_lane(area, 0)] = crc;
    }
    if (next != GO_ON) return next;

    uint power = CRC32C_ONE; // x^(128 * run), in the end
    uint square = CRC32C_TURN;
    while (run != 0) {
        uint product = power;
        crc32c_multiply(product, square);
        if ((run & 1) != 0) power = product;
        run >>= 1;
        charge(2); // this turn, and the last look of the loop inside
    }

    uint step = 1;
    while (step < gl_SubgroupSize) {
        uint other = subgroupShuffleXor(crc, step);
        bool is_left = (gl_SubgroupInvocationID & step) == 0;
        uint left = is_left ? crc : other;
        uint right = is_left ? other : crc;
        crc32c_multiply(left, power);
        crc = left ^ right;
        step <<= 1;
        charge(2);
    }
    crc_so_far = crc;
    return next;
}

Outcome op_crc32c(uint slot, bool again) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    uvec4 source = record_of(slots[base]);
    uint offset = slots[base + 1];
    uint bytes = slots[base + 2];
    if (!grants(source, RESOURCE_READ)) return bad_operand(0);
    if (offset > bytes_of(source)) return bad_operand(1);
    if (exceeds(source, offset, bytes)) return bad_operand(2);

    // From its first word on, so that all positions are small.
    uvec2 address = address_plus(source.xy, offset & ~3u);
    uint at = offset & 3;
    uint end = at + bytes;
    uint aligned = min((at + 3) & ~3u, end);
    uint count = (end - aligned) / RANGE_TURN_BYTES;
    uint crc = ~slots[base + 3];
    crc = crc32c_bytes(Words(address), at, aligned, crc);
    // From the address: SwiftShader dies of a cast between two references.
    uint next = GO_ON;
    if (count != 0) next = crc32c_turns(Turns(address_plus(address, aligned)), count, crc, slot, again);
    if (next != GO_ON) return left_after(next);
    crc = crc32c_bytes(Words(address), aligned + count * RANGE_TURN_BYTES, end, crc);
    return done(~crc);
}
