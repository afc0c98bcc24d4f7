// TOPK: the a5 largest of the floats in a2 bytes from byte a1 of resource a0 on, into resource a3 from byte a4 on; the
// result is how many there are. Of each two words: its index in the range, and itself, the largest first. Twin:
// tests/real_handlers/topk.rs.
//
// The order is total: -0 is less than +0, of equal floats the first comes first, and what is not a number is left out.
//
// A wide handler. The list of the largest so far lies over the lanes, TOPK_LANE entries in each, so that it takes
// TOPK_MOST whatever the size of the subgroup; what goes in behind those that are asked for is of no account. The lanes
// take four floats each side by side, and few turns have one that belongs into the list: after n floats one of n / a5.
// Each of these takes a turn of its own, in which all that come behind it move on by one place. It gives way between
// turns, and saves where the listed ones lie; it reads them again afterwards.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

const uint TOPK_MOST = 32;
const uint TOPK_LANE = 8;
const uint TOPK_FLOATS = 4;
const uint TOPK_STEP = 16;

// Unsigned integers in the order of floats; 0, which is below all, for none.
uint key_of(uint bits) {
    uint key = bits ^ (uint(int(bits) >> 31) | 0x80000000);
    return (bits & 0x7FFFFFFF) > 0x7F800000 ? 0 : key;
}

uint bits_of(uint key) { return (key & 0x80000000) != 0 ? key & 0x7FFFFFFF : ~key; }

uvec4 keys_of(uvec4 bits) { return uvec4(key_of(bits.x), key_of(bits.y), key_of(bits.z), key_of(bits.w)); }

// A lane's part of the list: keys, the largest first, and where they lie.
struct Part {
    uvec4 keys_0;
    uvec4 keys_1;
    uvec4 places_0;
    uvec4 places_1;
};

uint component(uvec4 v, uint i) { return i < 2 ? (i == 0 ? v.x : v.y) : (i == 2 ? v.z : v.w); }

// The list with one more; of those with its key it is the last.
Part with(Part part, uint key, uint place) {
    // Behind the last of the lane before.
    uint lane_before = max(gl_SubgroupInvocationID, 1) - 1;
    uint before_key = subgroupShuffle(part.keys_1.w, lane_before);
    uint before_place = subgroupShuffle(part.places_1.w, lane_before);
    if (gl_SubgroupInvocationID == 0) before_key = 0xFFFFFFFF;
    uvec4 shifted_keys_0 = uvec4(before_key, part.keys_0.xyz);
    uvec4 shifted_keys_1 = uvec4(part.keys_0.w, part.keys_1.xyz);
    uvec4 shifted_places_0 = uvec4(before_place, part.places_0.xyz);
    uvec4 shifted_places_1 = uvec4(part.places_0.w, part.places_1.xyz);
    uvec4 keys = uvec4(key);
    uvec4 places = uvec4(place);
    bvec4 stay_0 = greaterThanEqual(part.keys_0, keys);
    bvec4 stay_1 = greaterThanEqual(part.keys_1, keys);
    bvec4 here_0 = greaterThanEqual(shifted_keys_0, keys);
    bvec4 here_1 = greaterThanEqual(shifted_keys_1, keys);
    return Part(mix(mix(shifted_keys_0, keys, here_0), part.keys_0, stay_0),
                mix(mix(shifted_keys_1, keys, here_1), part.keys_1, stay_1),
                mix(mix(shifted_places_0, places, here_0), part.places_0, stay_0),
                mix(mix(shifted_places_1, places, here_1), part.places_1, stay_1));
}

// The key that one must be above to be listed.
uint least(Part part, uint k) {
    uint i = (k - 1) % TOPK_LANE;
    return subgroupShuffle(i < 4 ? component(part.keys_0, i) : component(part.keys_1, i - 4), (k - 1) / TOPK_LANE);
}

// The keys of this lane's floats from `first` on.
uvec4 keys_at(uvec2 address, uint first, uint count) {
    uint i = first + TOPK_FLOATS * gl_SubgroupInvocationID;
    uvec2 from = address_plus(address, 4 * i);
    if (i < count && count - i >= TOPK_FLOATS) return keys_of(Turns(from).at[0]);
    uvec4 keys = uvec4(0);
    Words words = Words(from);
    if (i < count) keys.x = key_of(words.at[0]);
    if (i < count && count - i > 1) keys.y = key_of(words.at[1]);
    if (i < count && count - i > 2) keys.z = key_of(words.at[2]);
    return keys;
}

// What lies at `place` of the range; at the end of it lies nothing.
uint key_again(uvec2 address, uint place, uint count) {
    uint key = 0;
    if (place < count) key = key_of(Words(address).at[place]);
    return key;
}

// Writes entry `i` of the lane's part, if it is one of the first k.
void put(Words to, uint k, uint i, uint key, uint place, inout uint written) {
    uint at = TOPK_LANE * gl_SubgroupInvocationID + i;
    if (at < k && key != 0) {
        to.at[2 * at] = place;
        to.at[2 * at + 1] = bits_of(key);
        written += 1;
    }
}

#pragma ringfence topk(memory: read, offset: u32, bytes: u32, list: write, list_offset: u32, k: u32)
Outcome topk() {
    uvec4 source = record_of(argument(0));
    uint offset = argument(1);
    uint bytes = argument(2);
    uvec4 list = record_of(argument(3));
    uint list_offset = argument(4);
    uint k = argument(5);
    if (!grants(source, RESOURCE_READ)) return bad_operand(0);
    if ((offset & 3) != 0 || offset > bytes_of(source)) return bad_operand(1);
    if ((bytes & 3) != 0 || bytes > bytes_of(source) - offset) return bad_operand(2);
    if (!grants(list, RESOURCE_WRITE)) return bad_operand(3);
    if ((list_offset & 3) != 0 || list_offset > bytes_of(list)) return bad_operand(4);
    if (k > TOPK_MOST || 8 * k > bytes_of(list) - list_offset) return bad_operand(5);
    // Fewer lanes than hold TOPK_MOST: no device that is known.
    if (gl_SubgroupSize * TOPK_LANE < TOPK_MOST) return user_fault(FAULT_USER_BASE, gl_SubgroupSize);
    if (k == 0) return done(0);

    uvec2 address = address_plus(source.xy, offset);
    uint count = bytes / 4;
    // Where none lies.
    Part part = Part(uvec4(0), uvec4(0), uvec4(count), uvec4(count));
    uint first = 0; // of those in `keys`
    uint next = 0;  // behind those that have been looked at
    if (goes_on()) {
        next = saved(0);
        first = next;
        part.places_0 = uvec4(saved_lane(0), saved_lane(1), saved_lane(2), saved_lane(3));
        part.places_1 = uvec4(saved_lane(4), saved_lane(5), saved_lane(6), saved_lane(7));
        part.keys_0 = uvec4(key_again(address, part.places_0.x, count), key_again(address, part.places_0.y, count),
                            key_again(address, part.places_0.z, count), key_again(address, part.places_0.w, count));
        part.keys_1 = uvec4(key_again(address, part.places_1.x, count), key_again(address, part.places_1.y, count),
                            key_again(address, part.places_1.z, count), key_again(address, part.places_1.w, count));
    }
    uint above = least(part, k);
    uvec4 keys = uvec4(0);
    bool pending = false; // some of `keys` is above
    uint turns = 0;
    bool left = first < count;
    bool stays = true;
    while (left && stays) {
        if (pending) {
            // In the order in which they lie: the first lane's first. Lanes before it have none.
            bvec4 waits = greaterThan(keys, uvec4(above));
            uint lane = subgroupBallotFindLSB(subgroupBallot(any(waits)));
            uint mine = waits.x ? 0 : waits.y ? 1 : waits.z ? 2 : 3;
            uint place = first + TOPK_FLOATS * lane + subgroupShuffle(mine, lane);
            part = with(part, subgroupShuffle(component(keys, mine), lane), place);
            above = least(part, k);
            next = place + 1;
            if (gl_SubgroupInvocationID == lane) keys = mix(keys, uvec4(0), equal(uvec4(mine), uvec4(0, 1, 2, 3)));
        } else {
            keys = keys_at(address, first, count);
        }
        pending = subgroupAny(any(greaterThan(keys, uvec4(above))));
        if (!pending) {
            first += min(TOPK_FLOATS * gl_SubgroupSize, count - first);
            next = first;
            left = first < count;
        }
        turns += 1;
        if (turns == TOPK_STEP && left) {
            stays = step(turns);
            turns = 0;
        }
    }
    if (!stays) {
        save(0, next);
        save_lane(0, part.places_0.x);
        save_lane(1, part.places_0.y);
        save_lane(2, part.places_0.z);
        save_lane(3, part.places_0.w);
        save_lane(4, part.places_1.x);
        save_lane(5, part.places_1.y);
        save_lane(6, part.places_1.z);
        save_lane(7, part.places_1.w);
        return give_way();
    }

    Words to = Words(address_plus(list.xy, list_offset));
    uint written = 0;
    put(to, k, 0, part.keys_0.x, part.places_0.x, written);
    put(to, k, 1, part.keys_0.y, part.places_0.y, written);
    put(to, k, 2, part.keys_0.z, part.places_0.z, written);
    put(to, k, 3, part.keys_0.w, part.places_0.w, written);
    put(to, k, 4, part.keys_1.x, part.places_1.x, written);
    put(to, k, 5, part.keys_1.y, part.places_1.y, written);
    put(to, k, 6, part.keys_1.z, part.places_1.z, written);
    put(to, k, 7, part.keys_1.w, part.places_1.w, written);
    return done(subgroupAdd(written));
}

WIDE_HANDLER(17, topk)
