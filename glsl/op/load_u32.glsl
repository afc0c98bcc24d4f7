// LOAD_U32: observable[a1] = control[a0]. Twin: src/twin/load_u32.rs.
Outcome op_load_u32(uvec4 a) {
    if (!in_window(a.x)) return bad_operand(0);
    if (!in_observables(a.y)) return bad_operand(1);
    uint value = load_relaxed_control(a.x);
    atomicStore(control[OBSERVABLE_BASE + a.y], value, SCOPE, 0, gl_SemanticsRelaxed);
    return done(value);
}
