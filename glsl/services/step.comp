// A service for wide handlers: charges the turns in x0, and says in x0 whether to go on: 0, or another number.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "service.glsl"
#include "claim.glsl"
#include "family.glsl"
#include "turns.glsl"

void main() {
    budget = mailbox.budget;
    executed_level = mailbox.level;
    charge(mailbox.x0);
    mailbox.budget = budget;
    uint next = next_step(mailbox.slot);
    // The next step, and the way out.
    if (next == GO_ON && budget < 2 * HANDLER_TURNS + LOOPS) next = GIVE_WAY;
    mailbox.x0 = next;
}
