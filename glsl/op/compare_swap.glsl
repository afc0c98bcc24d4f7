// COMPARE_SWAP: if control[a0] == a1 then control[a0] = a2; the result is the value before, also left
// in observable[a3 - 1] when a3 is not 0. Twin: src/twin/compare_swap.rs.
Outcome op_compare_swap(uvec4 a) {
    if (!in_window(a.x)) return bad_operand(0);
    if (a.w != 0 && !in_observables(a.w - 1)) return bad_operand(3);
    uint before = atomicCompSwap(control[a.x], a.y, a.z, SCOPE, 0, gl_SemanticsRelaxed, 0, gl_SemanticsRelaxed);
    if (a.w != 0) atomicStore(control[OBSERVABLE_BASE + a.w - 1], before, SCOPE, 0, gl_SemanticsRelaxed);
    return done(before);
}
