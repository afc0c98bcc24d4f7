// Ranges of the memory behind a handle, as wide opcodes name them.
#ifndef RANGE_GLSL
#define RANGE_GLSL

// The same memory as Words, 16 bytes at a time; it is aligned like single words.
layout(buffer_reference, std430, buffer_reference_align = 4) nonprivate readonly buffer Turns { uvec4 at[]; };

uvec2 address_plus(uvec2 address, uint bytes) {
    uint carry;
    uint low = uaddCarry(address.x, bytes, carry);
    return uvec2(low, address.y + carry);
}

// The record of a handle, the same for all lanes even if its owner revokes it meanwhile.
uvec4 record_of(uint handle) { return subgroupBroadcastFirst(lane_record_of(handle)); }

bool grants(uvec4 record, uint right) { return record.z != 0 && (record.w & right) != 0; }

// Bytes of a resource that an offset of 32 bits reaches, in whole words.
uint bytes_of(uvec4 record) { return 4 * min(record.z, 0x3FFFFFFFu); }

// `bytes` from `offset` on, which is not behind the end, are too many for one slot or for the resource.
bool exceeds(uvec4 record, uint offset, uint bytes) {
    return bytes > RANGE_MAX_BYTES || bytes > bytes_of(record) - offset;
}

#endif
