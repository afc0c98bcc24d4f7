// LOAD_U32: observable[a1] = control[a0]. Twin: src/twin/load_u32.rs.
Outcome op_load_u32(uvec4 a) {
    if (a.x >= push.control_words) return bad_operand(0);
    if (a.y >= push.control_words - OBSERVABLE_BASE) return bad_operand(1);
    uint value = load_relaxed_control(a.x);
    atomicStore(control[OBSERVABLE_BASE + a.y], value, SCOPE, 0, gl_SemanticsRelaxed);
    return done(value);
}
