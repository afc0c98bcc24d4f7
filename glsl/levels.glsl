// Which priority level is served next (PROTOCOL section 2, starvation).
//
// The highest level that has work is, but for two rules. While work at CRITICAL or HIGH and work below both
// wait, work below gets at least one in STARVATION_PERIOD claims. Of those, each level that waits gets at
// least one in as many. A level that has its turn by a rule takes one slot; a claim of several slots takes no
// more than the rules have left. There is no lock: what a claim takes is reserved by one compare-and-swap on
// the count that the rule goes by, before the slots are claimed. A claim that another worker then wins has
// reserved for nothing, and lower levels have their turn so much sooner.
#ifndef LEVELS_GLSL
#define LEVELS_GLSL

// Levels as bits of a mask.
const uint HIGH_LEVELS = 1u << PRIORITY_CRITICAL | 1u << PRIORITY_HIGH;
const uint ALL_LEVELS = (1u << PRIORITY_LEVELS) - 1;
const uint LOW_BIT = 1u << PRIORITY_LOW;
const uint IDLE_BIT = 1u << PRIORITY_IDLE;

// Claims that a waiting level may be passed over. LOW stands one short, so that both may be due at once.
const uint PASSED_OVER = STARVATION_PERIOD - 1;
const uint LOW_PASSED_OVER = PASSED_OVER - 1;

// A level, and how many of its slots may be claimed at once.
struct Pick {
    uint level;
    uint most;
};

// STATE_TURNS: claims below HIGH since the last one at LOW in the low half, at IDLE in the high half.
uint low_passed(uint turns) { return turns & 0xFFFF; }
uint idle_passed(uint turns) { return turns >> 16; }

// The level to be served while those in `waiting`, which are more than one, have work, by the first lane. What
// it reads others may change meanwhile: reserve_turns() decides.
Pick pick_level(uint waiting) {
    uint high = waiting & HIGH_LEVELS;
    uint low = waiting & ~HIGH_LEVELS;
    Pick pick = Pick(findLSB(waiting), gl_SubgroupSize);
    if (low != 0) {
        uint since = load_relaxed_control(PRIORITY_STARVATION_COUNTER);
        if (high != 0 && since < PASSED_OVER) {
            pick.most = PASSED_OVER - since;
        } else {
            uint turns = load_relaxed_state(STATE_TURNS);
            uint idle_left = PASSED_OVER - min(idle_passed(turns), PASSED_OVER);
            uint low_left = LOW_PASSED_OVER - min(low_passed(turns), LOW_PASSED_OVER);
            pick.level = findLSB(low);
            if ((low & IDLE_BIT) != 0 && pick.level != PRIORITY_IDLE) {
                pick.most = idle_left;
                if (idle_left == 0) pick = Pick(PRIORITY_IDLE, 1);
            }
            if ((low & LOW_BIT) != 0 && pick.level < PRIORITY_LOW) {
                pick.most = min(pick.most, low_left);
                if (low_left == 0) pick = Pick(PRIORITY_LOW, 1);
            }
            if (high != 0) pick.most = 1;
        }
    }
    return pick;
}

// Reserves `count` claims at a level, by the first lane; false where another worker was there first.
bool reserve_turns(uint level, uint waiting, uint count) {
    uint high = waiting & HIGH_LEVELS;
    uint low = waiting & ~HIGH_LEVELS;
    uint since = load_relaxed_control(PRIORITY_STARVATION_COUNTER);
    bool reserved = true;
    if (level <= PRIORITY_HIGH) {
        reserved = low == 0 || since + count <= PASSED_OVER;
        if (reserved)
            reserved = atomicCompSwap(control[PRIORITY_STARVATION_COUNTER], since, since + count, SCOPE, 0,
                                      gl_SemanticsRelaxed, 0, gl_SemanticsRelaxed) == since;
    } else {
        if (low != 1u << level) {
            uint turns = load_relaxed_state(STATE_TURNS);
            // A level that is due is never refused: both may be, when one had none that could be claimed for a while.
            bool due = (level == PRIORITY_LOW && low_passed(turns) >= LOW_PASSED_OVER) ||
                       (level == PRIORITY_IDLE && idle_passed(turns) >= LOW_PASSED_OVER);
            uint passed_low = level == PRIORITY_LOW ? 0 : low_passed(turns) + ((low & LOW_BIT) != 0 ? count : 0);
            uint passed_idle = level == PRIORITY_IDLE ? 0 : idle_passed(turns) + ((low & IDLE_BIT) != 0 ? count : 0);
            reserved = due || (passed_low <= PASSED_OVER && passed_idle <= PASSED_OVER);
            uint next = min(passed_low, PASSED_OVER) | min(passed_idle, PASSED_OVER) << 16;
            if (reserved)
                reserved = atomicCompSwap(state[STATE_TURNS], turns, next, SCOPE, 0, gl_SemanticsRelaxed, 0,
                                          gl_SemanticsRelaxed) == turns;
        }
        if (reserved && since != 0)
            atomicStore(control[PRIORITY_STARVATION_COUNTER], 0u, SCOPE, 0, gl_SemanticsRelaxed);
    }
    return reserved;
}

#endif
