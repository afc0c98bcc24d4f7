// ATOMIC_ADD: control[a1] += a0; the result is the value before. Twin: src/twin/atomic_add.rs.
Outcome op_atomic_add(uvec4 a) {
    if (!in_window(a.y)) return bad_operand(1);
    return done(atomicAdd(control[a.y], a.x, SCOPE, 0, gl_SemanticsRelaxed));
}
