// MEMCPY: a2 words from control[a0..] to control[a1..], overlap as memmove; the result is a2.
// Twin: src/twin/memcpy.rs.
//
// The loop is left by all lanes together (DESIGN fact 21) and charges one turn for each pass.
Outcome op_memcpy(bool mine, uvec4 a) {
    Outcome o = done(a.z);
    if (a.z > MEMCPY_MAX_WORDS) o = bad_operand(2);
    if (!in_window(a.y, a.z)) o = bad_operand(1);
    if (!in_window(a.x, a.z)) o = bad_operand(0);
    uint count = mine && o.fault == 0 ? a.z : 0;
    bool backward = a.y > a.x;
    uint i = 0;
    while (subgroupAny(i < count)) {
        if (i < count) {
            uint k = backward ? count - 1 - i : i;
            uint value = load_relaxed_control(a.x + k);
            atomicStore(control[a.y + k], value, SCOPE, 0, gl_SemanticsRelaxed);
            i += 1;
        }
        charge(1);
    }
    return o;
}
