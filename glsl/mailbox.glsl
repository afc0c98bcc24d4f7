// Between the kernel and what is linked into it: handlers, and the services that handlers ask for. All see a buffer here,
// so that no compiler moves or drops an access; the linker (src/kernel/link.rs) makes variables of the invocation's own of
// it, and calls of the adds to the first words. A test of src/kernel/link/mailbox.rs holds the order against the linker's.
#ifndef MAILBOX_GLSL
#define MAILBOX_GLSL

layout(set = 0, binding = BIND_MAILBOX, std430) buffer Mailbox {
    // Calls.
    uint call_lane;    // the lane handler of `op`
    uint call_wide;    // the wide one
    uint step;         // a service: glsl/services/
    uint print;
    uint traits;       // what is known of the handler of `op`, into x0: TRAIT_*
    // What a handler declares: constants, which the linker reads and takes out.
    uint contract;     // HANDLER_CONTRACT
    uint opcode;       // unless its user gives it another
    uint width;        // HANDLER_LANE or HANDLER_WIDE
    uint asks;         // it asks for storage
    uint publishes;    // it publishes slots
    // What it is called for.
    uint op;
    uint slot;
    uint inner;        // not 0: an operation of a packed slot
    uint again;        // not 0: it has left before
    uint answered;     // not 0: since then it got an answer
    uint answer_fault; // what became of the last request: fault and detail, or 0
    uint answer_bytes; // bytes that arrived
    uint published;    // not 0: since then the lane's slot was published
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
    // What it asks for: kind, file, offset, bytes, memory, place in the memory; or what it publishes: whether the lane
    // does, opcode, arguments.
    uint y0;
    uint y1;
    uint y2;
    uint y3;
    uint y4;
    uint y5;
    uint y6;
    uint y7;
    uint y8;
    uint y9;
    uint y10;
    uint y11;
    uint y12;
    uint y13;
} mailbox;

#endif
