// SHUTDOWN: drain, then control[SHUTDOWN] = 1. Twin: src/twin/shutdown.rs.
//
// It leaves its slot in STATE_DRAINING. Workers go on until the queue is empty; when every slot that
// was claimed has ended but this one, whoever sees it sets the word and completes the slot. To its
// batch it counts as ended at once, since the batch's fence is among those that it waits for.
const uint DRAINED = 0xFFFFFFFFu;

// True for the slot that drains; another SHUTDOWN after it is done at once.
bool op_shutdown(uint slot) {
    return atomicCompSwap(state[STATE_DRAINING], 0, slot + 1, SCOPE, 0, gl_SemanticsRelaxed, 0,
                          gl_SemanticsRelaxed) == 0;
}
