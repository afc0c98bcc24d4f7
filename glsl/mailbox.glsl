// Between the kernel and what is linked into it: handlers, and the services that handlers ask for. All see a buffer here,
// so that no compiler moves or drops an access; the linker (src/kernel/link.rs) makes variables of the invocation's own of
// it, and calls of the adds to the first words. `tests/kernel_link.rs` holds the order against the linker's.
#ifndef MAILBOX_GLSL
#define MAILBOX_GLSL

layout(set = 0, binding = BIND_MAILBOX, std430) buffer Mailbox {
    // Calls.
    uint call_lane;    // the lane handler of `op`
    uint call_wide;    // the wide one
    uint step;         // a service: glsl/services/
    uint print;
    uint widths;       // whether the handler of `op` is wide, into x0
    // What a handler declares: constants, which the linker reads and takes out.
    uint contract;     // HANDLER_CONTRACT
    uint opcode;       // unless its user gives it another
    uint width;        // HANDLER_LANE or HANDLER_WIDE
    // What it is called for.
    uint op;
    uint slot;
    uint inner;        // not 0: an operation of a packed slot
    uint again;        // not 0: it gave way before
    uint a0;
    uint a1;
    uint a2;
    uint a3;
    uint window_begin;
    uint window_end;
    uint tenant;
    uint level;
    uint budget;
    uint area;         // where it saves what it has, in `state`
    // How it ends.
    uint fault;
    uint detail;
    uint lo;
    uint hi;
    // What services are given, and give.
    uint x0;
    uint x1;
    uint x2;
    uint x3;
} mailbox;

#endif
