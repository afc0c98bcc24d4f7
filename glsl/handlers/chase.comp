// CHASE: follows a4 offsets through the file a0, from the one at byte a3 on: each is a word of the file, and where the
// next is read. The words arrive at byte a2 of memory a1. Twin: tests/handlers_leave.rs.
//
// A lane handler that asks for storage: what it is to know then it keeps.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "handler.glsl"

const uint SHORT = FAULT_USER_BASE;

#pragma ringfence chase(file: file, memory: write, at: u32, first: u32, hops: u32)
Outcome chase() {
    uint offset = argument(3);
    uint left = argument(4);
    if (goes_on()) {
        offset = kept(0);
        left = kept(1);
    }
    if (answered()) {
        Outcome read = answer();
        if (read.fault != 0) return read;
        if (read.lo != 4) return user_fault(SHORT, read.lo);
        uvec4 memory = lane_record_of(argument(1));
        uint at = argument(2);
        if (!grants(memory, RESOURCE_READ) || (at & 3) != 0 || at >= bytes_of(memory)) return bad_operand(1);
        offset = Words(address_plus(memory.xy, at)).at[0];
        left -= 1;
    }
    if (left == 0) return done(offset);
    keep(0, offset);
    keep(1, left);
    return read_file(argument(0), uvec2(offset, 0), 4, argument(1), argument(2));
}

LANE_HANDLER(11, chase)
