// STORE_U32: control[a1] = a0. Twin: src/twin/store_u32.rs.
Outcome op_store_u32(uvec4 a) {
    if (!in_window(a.y)) return bad_operand(1);
    atomicStore(control[a.y], a.x, SCOPE, 0, gl_SemanticsRelaxed);
    return done(0);
}
