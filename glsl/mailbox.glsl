// Between the kernel and the handlers that are linked into it. Both see a buffer here, so that no compiler moves or drops
// an access; the linker (src/kernel/link.rs) makes variables of the invocation's own of it, and a call of the add.
#ifndef MAILBOX_GLSL
#define MAILBOX_GLSL

layout(set = 0, binding = BIND_MAILBOX, std430) buffer Mailbox {
    uint call;
    uint op;
    uint slot;
    uint a0;
    uint a1;
    uint a2;
    uint a3;
    uint window_begin;
    uint window_end;
    uint fault;
    uint detail;
    uint lo;
    uint hi;
} mailbox;

#endif
