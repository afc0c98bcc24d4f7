// BATCH_FENCE: completes when the slots of its batch have ended. Twin: src/twin/batch_fence.rs.
//
// Nobody waits for it. A batch's counter starts at 0; each of its slots adds 1 when it has ended, and
// the fence adds BATCH_COMPLETE less the count. Whoever brings the counter to BATCH_COMPLETE, the
// fence's worker or another, completes the fence and sets the counter back. A fence that names another
// count than the host announced aims at BATCH_BROKEN instead, and faults once the batch has ended. The
// batch's number is the slot index of its fence plus one; a fence by itself is a batch of nothing.
uint batch_counter(uint batch) { return STATE_BATCHES + batch - 1; }

// Where the host announced how many slots the batch has.
uint batch_count_word(uint batch) {
    return COMMAND_WORDS + (SUBMISSION_WORDS << push.queue_shift) * PRIORITY_LEVELS + batch - 1;
}

uint fence_amount(uint count, bool broken) { return (broken ? BATCH_BROKEN : BATCH_COMPLETE) - count; }

Outcome op_batch_fence(bool broken, uint tag) {
    if (broken) return bad_operand(0);
    uint first = max(window_begin(), OBSERVABLE_BASE);
    if (in_window(first)) atomicStore(control[first], tag, SCOPE, 0, gl_SemanticsRelaxed);
    return done(atomicAdd(control[EPOCH], 1, SCOPE, 0, gl_SemanticsRelaxed) + 1);
}
