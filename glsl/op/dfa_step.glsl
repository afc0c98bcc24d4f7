// DFA_STEP: next = table[a0 * 256 + a1], table by handle a2; left in observable[a3 - 1] too when a3 is
// not 0. Twin: src/twin/dfa_step.rs.
Outcome op_dfa_step(uvec4 a) {
    uvec4 table = lane_record_of(a.z);
    if (table.z < DFA_ROW_WORDS) return bad_operand(2);
    if (a.x >= table.z / DFA_ROW_WORDS) return bad_operand(0);
    if (a.y > 255) return bad_operand(1);
    if (a.w != 0 && !in_observables(a.w - 1)) return bad_operand(3);
    uint next = Words(table.xy).at[a.x * DFA_ROW_WORDS + a.y];
    if (a.w != 0) atomicStore(control[OBSERVABLE_BASE + a.w - 1], next, SCOPE, 0, gl_SemanticsRelaxed);
    return done(next);
}
