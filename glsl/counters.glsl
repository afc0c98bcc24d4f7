// Counters of the control buffer. What a claim adds to them is collected, a counter a lane, and then added by all
// lanes at once: on CPU drivers an atomic costs as much for one lane as for all, and a claim has half a dozen.
#ifndef COUNTERS_GLSL
#define COUNTERS_GLSL

#ifdef WITH_TENANTS
#include "tenants.glsl"

// The first lane of a ballot; of an empty one some lane, for shuffles whose result is not used.
uint first_of(uvec4 who) { return min(subgroupBallotFindLSB(who), gl_SubgroupSize - 1); }
#endif

// The lane's counter and what is to be added to it, of the first `collected` lanes.
uint counter;
uint addition;
uint collected;

// Adds what was collected; the whole subgroup calls it, as all that is below.
void add_collected() {
    if (gl_SubgroupInvocationID < collected && addition != 0)
        atomicAdd(control[counter], addition, SCOPE, 0, gl_SemanticsRelaxed);
    collected = 0;
}

// Of fewer than gl_SubgroupSize that were collected before.
void collect(uint word, uint n) {
    if (gl_SubgroupInvocationID == collected) {
        counter = word;
        addition = n;
    }
    collected += 1;
}

// Slots that have ended, `ended` in all. Nothing but claims was collected before.
void collect_outcomes(bool mine, uint ended, Outcome o) {
    uint faults = subgroupBallotBitCount(subgroupBallot(mine && o.fault != 0));
    collect(DONE_COUNT, ended - faults);
    collect(FAULT_COUNT, faults);
#ifdef WITH_TENANTS
    uvec4 who = subgroupBallot(mine);
    uint first = first_of(who);
    uint word = tenant_table_word(FAIRNESS_BASE, tenant);
    // Most claims are one tenant's.
    bool same = subgroupAll(!mine || tenant == subgroupShuffle(tenant, first));
    uint shared_word = subgroupShuffle(word, first);
    collect(shared_word, same && shared_word != NO_WORD ? ended : 0);
    if (mine && word != NO_WORD && !same) atomicAdd(control[word], 1, SCOPE, 0, gl_SemanticsRelaxed);
#else
    collect(TENANT_FAIRNESS_BASE, ended);
#endif
}

// Executions of this turn, for each opcode that occurs.
void collect_executions(bool executed, uint op) {
    uint index = min(op, METRICS_WORDS - 1);
    uvec4 left = subgroupBallot(executed);
    while (any(notEqual(left, uvec4(0)))) {
        if (collected == gl_SubgroupSize) add_collected();
        uint first = subgroupShuffle(index, subgroupBallotFindLSB(left));
        uvec4 same = subgroupBallot(executed && index == first);
        collect(METRICS_BASE + first, subgroupBallotBitCount(same));
        left &= ~same;
        charge(1);
    }
}

#endif
