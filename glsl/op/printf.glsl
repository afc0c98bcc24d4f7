// PRINTF: a record of format id a0 and arguments a1..a3 in the debug log; the result is the number of
// records written so far. Twin: src/twin/printf.rs.
//
// The log is a ring; a record counts once its stamp, a check over its number and its words, is there.
uint debug_stamp(uint number, uvec4 w) {
    uint h = number * STAMP_NUMBER + STAMP_SEED;
    return stamp_mix(h, w) | 1u;
}

Outcome op_printf(uvec4 a) {
    uint log = 0;
#ifdef WITH_TENANTS
    // Each tenant has a log of its own, so that none can overwrite another's records.
    log = tenant * (RECORDS_BASE + ((RECORD_WORDS + STAMP_WORDS) << push.log_shift));
#endif
    uint number = atomicAdd(debug_log[log + CURSOR_WORD], RECORD_WORDS, SCOPE, 0, gl_SemanticsRelaxed) / RECORD_WORDS;
    uint capacity = 1u << push.log_shift;
    uint index = number & (capacity - 1);
    uint at = log + RECORDS_BASE + RECORD_WORDS * index;
    atomicStore(debug_log[at], a.x, SCOPE, 0, gl_SemanticsRelaxed);
    atomicStore(debug_log[at + 1], a.y, SCOPE, 0, gl_SemanticsRelaxed);
    atomicStore(debug_log[at + 2], a.z, SCOPE, 0, gl_SemanticsRelaxed);
    atomicStore(debug_log[at + 3], a.w, SCOPE, 0, gl_SemanticsRelaxed);
    atomicStore(debug_log[log + RECORDS_BASE + RECORD_WORDS * capacity + index], debug_stamp(number, a), SCOPE, 0,
                gl_SemanticsRelaxed);
    return done(number + 1);
}
