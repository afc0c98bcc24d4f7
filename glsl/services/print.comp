// A service for handlers: PRINTF of x0 to x3, for each lane that calls it; the result is in x0.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "service.glsl"
#include "op/printf.glsl"

void main() {
#ifdef WITH_TENANTS
    tenant = mailbox.tenant;
#endif
    mailbox.x0 = op_printf(uvec4(mailbox.x0, mailbox.x1, mailbox.x2, mailbox.x3)).lo;
}
