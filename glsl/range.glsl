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

#endif
