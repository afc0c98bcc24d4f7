// XXH64: the xxHash64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) of a2 bytes from byte a1 of resource a0 on, with
// the seed a3 | a4 << 32. Twin: tests/real_handlers/xxh64.rs.
//
// A wide handler, with integers of two words: a device need not have others. Stripes of 32 bytes go into four
// accumulators, 8 bytes into each, and none before the stripe ahead of it: so four lanes work, and the others do the
// same as those. It gives way between turns.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

// Low word, high word.
const uvec2 PRIME_1 = uvec2(0x85EBCA87, 0x9E3779B1);
const uvec2 PRIME_2 = uvec2(0x27D4EB4F, 0xC2B2AE3D);
const uvec2 PRIME_3 = uvec2(0x9E3779F9, 0x165667B1);
const uvec2 PRIME_4 = uvec2(0xC2B2AE63, 0x85EBCA77);
const uvec2 PRIME_5 = uvec2(0x165667C5, 0x27D4EB2F);

// Stripes that a turn of the loop takes, and turns in a step.
const uint TURN_STRIPES = 4;
const uint XXH64_STEP = 8;

// The same memory as Words, 8 bytes at a time; it is aligned like single words.
layout(buffer_reference, std430, buffer_reference_align = 4) nonprivate readonly buffer Pairs { uvec2 at[]; };

uvec2 add(uvec2 a, uvec2 b) {
    uint carry;
    uint low = uaddCarry(a.x, b.x, carry);
    return uvec2(low, a.y + b.y + carry);
}

uvec2 multiply(uvec2 a, uvec2 b) {
    uint low;
    uint high;
    umulExtended(a.x, b.x, high, low);
    return uvec2(low, high + a.x * b.y + a.y * b.x);
}

// By 1 to 31 bits.
uvec2 rotate(uvec2 a, uint bits) { return a << bits | a.yx >> (32 - bits); }

uvec2 round_of(uvec2 accumulator, uvec2 lane) {
    return multiply(rotate(add(accumulator, multiply(lane, PRIME_2)), 31), PRIME_1);
}

uvec2 merge(uvec2 hash, uvec2 accumulator) {
    return add(multiply(hash ^ round_of(uvec2(0), accumulator), PRIME_1), PRIME_4);
}

uvec2 avalanche(uvec2 hash) {
    hash.x ^= hash.y >> 1; // by 33 bits
    hash = multiply(hash, PRIME_2);
    hash ^= uvec2(hash.x >> 29 | hash.y << 3, hash.y >> 29);
    hash = multiply(hash, PRIME_3);
    hash.x ^= hash.y;
    return hash;
}

// A range that begins at any byte: from its first word on, with the bits before it. No word behind its last byte is
// read.
struct Range {
    uvec2 address;
    uint shift;
};

// Two neighbouring words, from bit `shift` on.
uint joined(uint low, uint high, uint shift) { return low >> shift | high << 1 << (31 - shift); }

// The 4 bytes from word `i` of the range on; the 8, where `i` is even.
uint word_at(Range range, uint i) {
    Words words = Words(range.address);
    return joined(words.at[i], words.at[i + min(range.shift, 1)], range.shift);
}

uvec2 pair_at(Range range, uint i) {
    uvec2 pair = Pairs(range.address).at[i / 2];
    uint behind = 0;
    if (range.shift != 0) behind = Words(range.address).at[i + 2];
    return uvec2(joined(pair.x, pair.y, range.shift), joined(pair.y, behind, range.shift));
}

uint byte_at(Range range, uint i) {
    uint at = i + range.shift / 8;
    return Words(range.address).at[at / 4] >> (8 * (at & 3)) & 0xFF;
}

uvec2 accumulator_of(uint which, uvec2 seed) {
    if (which == 0) return add(add(seed, PRIME_1), PRIME_2);
    if (which == 1) return add(seed, PRIME_2);
    if (which == 2) return seed;
    return add(seed, uvec2(~PRIME_1.x + 1, ~PRIME_1.y)); // less PRIME_1, whose low word is not 0
}

#pragma ringfence xxh64(memory: read, offset: u32, bytes: u32, seed_low: u32, seed_high: u32)
Outcome xxh64() {
    uvec4 source = record_of(argument(0));
    uint offset = argument(1);
    uint bytes = argument(2);
    uvec2 seed = uvec2(argument(3), argument(4));
    // Fewer lanes than accumulators: no device that is known.
    if (gl_SubgroupSize < 4) return user_fault(FAULT_USER_BASE, gl_SubgroupSize);
    if (!grants(source, RESOURCE_READ)) return bad_operand(0);
    if (offset > bytes_of(source)) return bad_operand(1);
    if (bytes > bytes_of(source) - offset) return bad_operand(2);
    Range range = Range(address_plus(source.xy, offset & ~3u), 8 * (offset & 3));

    uint which = gl_SubgroupInvocationID & 3;
    uint stripes = bytes / 32;
    uint stripe = 0;
    uvec2 accumulator = accumulator_of(which, seed);
    if (goes_on()) {
        stripe = saved(0);
        accumulator = uvec2(saved_lane(0), saved_lane(1));
    }
    uint turns = 0;
    bool stays = true;
    while (stripe < stripes && stays) {
        uint i = 8 * stripe + 2 * which;
        accumulator = round_of(accumulator, pair_at(range, i));
        // The last turn may have fewer.
        if (stripes - stripe >= TURN_STRIPES) {
            accumulator = round_of(accumulator, pair_at(range, i + 8));
            accumulator = round_of(accumulator, pair_at(range, i + 16));
            accumulator = round_of(accumulator, pair_at(range, i + 24));
            stripe += TURN_STRIPES - 1;
        }
        stripe += 1;
        turns += 1;
        if (turns == XXH64_STEP && stripe < stripes) {
            stays = step(turns);
            turns = 0;
        }
    }
    if (!stays) {
        save(0, stripe);
        save_lane(0, accumulator.x);
        save_lane(1, accumulator.y);
        return give_way();
    }

    uvec2 hash = add(seed, PRIME_5);
    if (stripes != 0) {
        uvec2 first = subgroupShuffle(accumulator, 0);
        uvec2 second = subgroupShuffle(accumulator, 1);
        uvec2 third = subgroupShuffle(accumulator, 2);
        uvec2 fourth = subgroupShuffle(accumulator, 3);
        hash = add(add(rotate(first, 1), rotate(second, 7)), add(rotate(third, 12), rotate(fourth, 18)));
        hash = merge(merge(merge(merge(hash, first), second), third), fourth);
    }
    hash = add(hash, uvec2(bytes, 0));
    // Less than a stripe is left: ten turns at most.
    uint at = 32 * stripes;
    while (bytes - at >= 8) {
        hash ^= round_of(uvec2(0), pair_at(range, at / 4));
        hash = add(multiply(rotate(hash, 27), PRIME_1), PRIME_4);
        at += 8;
    }
    if (bytes - at >= 4) {
        hash ^= multiply(uvec2(word_at(range, at / 4), 0), PRIME_1);
        hash = add(multiply(rotate(hash, 23), PRIME_2), PRIME_3);
        at += 4;
    }
    while (at < bytes) {
        hash ^= multiply(uvec2(byte_at(range, at), 0), PRIME_5);
        hash = multiply(rotate(hash, 11), PRIME_1);
        at += 1;
    }
    hash = avalanche(hash);
    return done_long(hash.x, hash.y);
}

WIDE_HANDLER(16, xxh64)
