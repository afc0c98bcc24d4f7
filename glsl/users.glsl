// Operations of users: how they are called. The linker puts them behind the adds to the mailbox's first words.
#ifndef USERS_GLSL
#define USERS_GLSL

#include "mailbox.glsl"

// They are none of the sixteen around PRINTF; those that no handler was linked for stay unknown.
bool is_user_op(uint op) { return op > OP_BATCH_FENCE && op < SYSTEM_MASK && (op >> 4) != OP_PRINTF >> 4; }

// What is known of the handler of an opcode.
uint traits_of(uint op) {
    mailbox.op = op;
    mailbox.x0 = 0;
    atomicAdd(mailbox.traits, 1);
    return mailbox.x0;
}

// What a claim can cost at most if all lanes call different handlers; and one of packed slots, if all of their operations
// do. The latter is more than most of what a worker has, so that such a claim is put back where it does not fit.
const uint HANDLERS_COST = HANDLER_TURNS * gl_WorkGroupSize.x;
const uint PACKED_COST = LANE_CLAIM_COST + PACKED_MAX_OPS * HANDLERS_COST + PACKED_TURNS * LOOPS;

// How the lane's slot came to be executed: it left before; and it was answered since then, or ever.
bool goes_on;
bool is_answered;
bool was_answered;

void fill_mailbox(uint op, uint slot, uvec4 a, bool inner) {
    mailbox.op = op;
    mailbox.slot = slot;
    mailbox.inner = inner ? 1 : 0;
    mailbox.a0 = a.x;
    mailbox.a1 = a.y;
    mailbox.a2 = a.z;
    mailbox.a3 = a.w;
    mailbox.window_begin = window_begin();
    mailbox.window_end = window_end();
#ifdef WITH_TENANTS
    mailbox.tenant = tenant;
#else
    mailbox.tenant = 0;
#endif
    mailbox.answered = 0;
    mailbox.answer_fault = 0;
    mailbox.answer_bytes = 0;
    if (WITH_IO) {
        mailbox.answered = is_answered ? 1 : 0;
        if (was_answered) {
            mailbox.answer_fault = io_answer_fault(slot);
            mailbox.answer_bytes = io_answer_bytes(slot);
        }
    }
    mailbox.fault = FAULT_UNKNOWN_OPCODE;
    mailbox.detail = 0;
    mailbox.lo = 0;
    mailbox.hi = 0;
}

Outcome mailed_outcome() { return Outcome(mailbox.fault, mailbox.detail & 0xFFFF, mailbox.lo, mailbox.hi); }

// `inner`: an operation of a packed slot. An opcode whose handler is wide is unknown here.
Outcome call_lane(uint op, uint slot, uvec4 a, bool inner) {
    fill_mailbox(op, slot, a, inner);
    mailbox.again = goes_on ? 1 : 0;
    mailbox.area = saved_word(slot, 0);
    atomicAdd(mailbox.call_lane, 1);
    Outcome o = mailed_outcome();
    bool asks = o.fault == HANDLER_ASKS;
    // Fault codes have 8 bits, and above them there is but one thing that it may say.
    if (!asks) o.fault &= 0xFF;
    // Operations of packed slots come one after the other, and wait for nothing.
    else if (inner) o = Outcome(FAULT_UNKNOWN_OPCODE, 0, 0, 0);
    else if (!WITH_IO) o = Outcome(FAULT_IO_ERROR, NO_STORAGE, 0, 0);
    return o;
}

#endif
