// What the kernel sees: its bindings, its push constants, and the rules by which it touches them.
//
// Memory semantics. Words that another worker or the host reads while the kernel runs go through
// atomics. Everything else is plain, and ordered by the acquire after a claim and the release before
// a completion. The scope is always QueueFamily: the kernel runs on one queue family, and lavapipe of
// Mesa 22.3 turns a wider or Workgroup scope into a coroutine suspension (DESIGN fact 20). Towards
// the host no scope of the memory model reaches (fact 1): live mode rests on what the probe measured.

#ifndef MEMORY_GLSL
#define MEMORY_GLSL

#include "abi.glsl"

layout(constant_id = 1) const uint LOOPS = 1;

layout(set = 0, binding = 0, std430) nonprivate buffer Control { uint control[]; };
layout(set = 0, binding = 1, std430) nonprivate buffer Slots { uint slots[]; };
layout(set = 0, binding = 2, std430) nonprivate buffer Submission { uint submission[]; };
layout(set = 0, binding = 3, std430) nonprivate buffer Completion { uint completion[]; };
layout(set = 0, binding = 4, std430) nonprivate buffer State { uint state[]; };
layout(set = 0, binding = 5, std430) nonprivate buffer DebugLog { uint debug_log[]; };
layout(set = 0, binding = 6, std430) nonprivate readonly buffer Resources { uvec4 resources[]; }; // MAX_RESOURCES

layout(push_constant) uniform Push {
    uint flags;         // FLAG_*
    uint loop_budget;   // loop turns this worker may spend
    uint queue_shift;   // log2 of the entries of both queues
    uint slot_count;    // slots in the slab
    uint control_words; // words of the control buffer
    uint log_shift;     // log2 of the records of the debug log
    uint tenants;       // tenants, the system's own included
    uint tenant_shift;  // log2 of the entries of a tenant's queue at a level
    uint list_shift;    // log2 of the entries of a level's list of tenants
    uint children;      // slots of each depth for those that the device publishes, a multiple of 32; or 0
} push;

// What the lane's slot may name: words of the control buffer from the first to one before the last.
#ifdef WITH_TENANTS
uint tenant;   // whose slot it is
uvec2 window;
uint opcodes;  // bits of those that it may use
uint window_begin() { return window.x; }
uint window_end() { return window.y; }
#elif defined(WITH_MAILBOX)
#include "mailbox.glsl"
uint window_begin() { return mailbox.window_begin; }
uint window_end() { return mailbox.window_end; }
#else
uint window_begin() { return 0; }
uint window_end() { return push.control_words; }
#endif

bool in_window(uint word) { return word >= window_begin() && word < window_end(); }

// Whether `n` words from `word` on are in the window; none are anywhere up to its end.
bool in_window(uint word, uint n) {
    return word >= window_begin() && word <= window_end() && n <= window_end() - word;
}

bool in_observables(uint observable) {
    return observable < push.control_words - OBSERVABLE_BASE && in_window(OBSERVABLE_BASE + observable);
}

// A registered table or arena, by its address.
layout(buffer_reference, std430, buffer_reference_align = 4) nonprivate buffer Words { uint at[]; };

// Whether a tenant may use a resource. Behind the records there is a bit for each tenant, where there are several.
bool in_tenant_set(uint place, uint t) {
    return (resources[MAX_RESOURCES + TENANT_SET_VECTORS * place + (t >> 7)][t >> 5 & 3] >> (t & 31) & 1) != 0;
}

// The record that a lane's handle names: address, words, generation | rights. No words and no rights where
// there is none, or it is another generation's: the handle outlived what it named, and its place was lent
// anew; or it is not for the lane's tenant. A handle is an index below MAX_RESOURCES plus that many times the generation.
uvec4 lane_record_of(uint handle) {
    uint place = handle & (MAX_RESOURCES - 1);
    uvec4 record = resources[place];
    bool granted = (record.w ^ handle) < MAX_RESOURCES;
#ifdef WITH_TENANTS
    granted = granted && in_tenant_set(place, tenant);
#elif defined(WITH_MAILBOX)
    if (push.tenants > 1) granted = granted && in_tenant_set(place, mailbox.tenant);
#endif
    return granted ? record : uvec4(0);
}

const int SCOPE = gl_ScopeQueueFamily;

uint load_relaxed_state(uint i) { return atomicLoad(state[i], SCOPE, 0, gl_SemanticsRelaxed); }
uint load_relaxed_submission(uint i) { return atomicLoad(submission[i], SCOPE, 0, gl_SemanticsRelaxed); }
// Where the host says that a slot is to be cancelled, behind the answers to IO requests.
uint cancel_word(uint slot) {
    return COMMAND_WORDS + (SUBMISSION_WORDS << push.queue_shift) * PRIORITY_LEVELS +
           (1 + IO_ANSWER_WORDS) * push.slot_count + slot;
}

uint load_relaxed_control(uint i) { return atomicLoad(control[i], SCOPE, 0, gl_SemanticsRelaxed); }

void store_relaxed_completion(uint i, uint value) {
    atomicStore(completion[i], value, SCOPE, 0, gl_SemanticsRelaxed);
}

// After a claim: what was written before the entries were published is visible from here on.
void acquire_published() {
    memoryBarrier(SCOPE, gl_StorageSemanticsBuffer, gl_SemanticsAcquire | gl_SemanticsMakeVisible);
}

// Before a completion: what this worker wrote is available before anything it stores from here on.
void release_effects() {
    memoryBarrier(SCOPE, gl_StorageSemanticsBuffer, gl_SemanticsRelease | gl_SemanticsMakeAvailable);
}

// Takes words into a stamp, the check by which a reader knows that a record is whole.
uint stamp_mix(uint h, uint word) {
    h = (h ^ word) * STAMP_MIX;
    return h ^ (h >> 15);
}

uint stamp_mix(uint h, uvec4 w) { return stamp_mix(stamp_mix(stamp_mix(stamp_mix(h, w.x), w.y), w.z), w.w); }

// How an operation ended. `fault` is 0 for DONE.
struct Outcome {
    uint fault;
    uint detail;
    uint lo;
    uint hi;
};

Outcome done(uint result) { return Outcome(0, 0, result, 0); }
Outcome bad_operand(uint argument) { return Outcome(FAULT_BAD_OPERAND, argument, 0, 0); }

// Loop turns that this worker still has. One subgroup-uniform counter: lavapipe 22.3 counts the turns
// of all loops of a workgroup together and ends them silently at 65,535 (DESIGN fact 2). A loop of n
// turns counts n + 1 there, for the look that ends it, entered or not. Each turn is charged where it is
// taken; the one more of every loop by the turn of the loop around it, for all of them with LOOPS.
uint budget;

void charge(uint turns) { budget -= min(turns, budget); }

#endif
