// LOOKUP: the value of the key a1 | a2 << 32 in the table a0; a user's fault where the table has no such key. Twin:
// tests/real_handlers/lookup.rs; table.rs beside it makes tables.
//
// A lane handler. The table has a power of two of places, four words each: key and value. A key lies in the place that
// its hash names, or in one of the next LOOKUP_PROBES - 1, behind the last comes the first; those between its hash's
// place and its own are taken. Before the places there are four words: places - 1, the hash's seed, and the key of free
// places, low word first, which no entry has.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

// What makes tables makes none in which a key takes more.
const uint LOOKUP_PROBES = 32;
const uint HEADER_WORDS = 4;
const uint PLACE_WORDS = 4;
const uint FAULT_NO_KEY = FAULT_USER_BASE;

// MurmurHash3's last mix, of both words.
uint hash_of(uvec2 key, uint seed) {
    uint h = key.x * 0xCC9E2D51 ^ (key.y + seed) * 0x1B873593;
    h = (h ^ h >> 16) * 0x85EBCA6B;
    h = (h ^ h >> 13) * 0xC2B2AE35;
    return h ^ h >> 16;
}

#pragma ringfence lookup(table: read, key_low: u32, key_high: u32)
Outcome lookup() {
    uvec4 source = lane_record_of(argument(0));
    uvec2 key = uvec2(argument(1), argument(2));
    bool well = grants(source, RESOURCE_READ) && source.z >= HEADER_WORDS + PLACE_WORDS;
    uint last = 0;
    uint place = 0;
    uvec2 free = uvec2(0);
    bool found = false;
    bool looks = false;
    if (well) {
        uvec4 header = Turns(source.xy).at[0];
        last = header.x;
        well = last <= (source.z - HEADER_WORDS) / PLACE_WORDS - 1 && (last & (last + 1)) == 0;
        place = hash_of(key, header.y) & last;
        free = header.zw;
        looks = well && key != free;
    }
    uvec2 value = uvec2(0);
    uint probes = 0;
    while (subgroupAny(looks)) {
        if (looks) {
            uvec4 entry = Turns(source.xy).at[1 + place];
            found = entry.xy == key;
            value = entry.zw;
            place = (place + 1) & last;
            probes += 1;
            looks = !found && entry.xy != free && probes < LOOKUP_PROBES;
        }
    }
    if (!well) return bad_operand(0);
    if (!found) return user_fault(FAULT_NO_KEY, 0);
    return done_long(value.x, value.y);
}

LANE_HANDLER(18, lookup)
