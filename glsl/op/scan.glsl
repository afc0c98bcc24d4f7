// OP_SCAN: walks a chunk of text through a byte automaton, four streams a lane. Twin: src/twin/scan.rs,
// which also says what the table, the streams and the carries are.
//
// A wide opcode: the whole subgroup works on one slot. Two streams a lane hide the latency of the
// table's loads. The fast loop takes 16 bytes of both streams a turn and holds nothing but the walk;
// it is left, by all lanes together, when some lane has come to a match (DESIGN facts 10, 21): the row
// that matches lead to keeps a stream until the end of the turn, so that no byte is looked at for it.
// Matches go into the slot's own buffer, whose cursor is a register: one subgroup is one slot.
#include "range.glsl"

struct Scan {
    Words text;   // the chunk, from its first word
    Turns turns;  // the same, 16 bytes at a time
    Words table;
    Words found;  // carries, then matches
    uint capacity;
    uint matches;
    uint carries;
    uint slot;
    uint area;    // where it saves what it has, when it gives way
};

#ifdef WITHOUT_TURNS
const uint GO_ON = 0;
#endif

// Turns of the fast loop, and bytes of the tail's, in a step: some half a microsecond on a CPU driver.
const uint SCAN_STEP = 4;
const uint SCAN_TAIL_STEP = 16;

// The four streams of a lane. Each reads [at, limit), and behind `end` only while a line of its own is
// undecided.
struct Streams {
    uvec4 at;
    uvec4 end;
    uvec4 limit;
    uvec4 state;
};

bool scan_live(Streams s, int i) { return s.at[i] < s.limit[i] && (s.at[i] < s.end[i] || s.state[i] > SCAN_START); }

// Takes the lowest bit of each lane's `mask`, bit k for the position at + k, and appends it.
void scan_report_lowest(inout Scan scan, inout uint mask, uint at) {
    uvec4 who = subgroupBallot(mask != 0);
    uint index = scan.matches + subgroupBallotExclusiveBitCount(who);
    if (mask != 0 && index < scan.capacity) scan.found.at[SCAN_CARRY_WORDS + index] = at + findLSB(mask);
    scan.matches += subgroupBallotBitCount(who);
    mask &= mask - 1;
}

// Appends the matches of up to four bytes from `at` on. Nearly always it is one of one lane.
void scan_report(inout Scan scan, uint mask, uint at) {
    scan_report_lowest(scan, mask, at);
    if (subgroupAny(mask != 0)) {
        scan_report_lowest(scan, mask, at);
        scan_report_lowest(scan, mask, at);
        scan_report_lowest(scan, mask, at);
    }
}

// One byte. A match is bit k of `mask`, and the stream goes on where its line is skipped.
void scan_mark(Scan scan, inout uint state, uint byte, uint k, inout uint mask) {
    uint next = scan.table.at[state + byte];
    bool matched = next == SCAN_MATCHED;
    mask |= matched ? 1u << k : 0;
    state = !matched ? next : byte == 10 ? SCAN_START : SCAN_SKIP;
}

// Finds the matches of a turn. `ahead` has the streams' states behind it, SCAN_MATCHED where the turn
// has some; those are walked again, a word at a time, each lane by itself.
void scan_resolve(inout Scan scan, inout Streams s, uvec4 ahead) {
    uint left = 0; // bytes of the turn behind those that were walked
    while (subgroupAny(any(equal(ahead, uvec4(SCAN_MATCHED))))) {
        bvec4 matched = equal(ahead, uvec4(SCAN_MATCHED));
        int i = matched.x ? 0 : matched.y ? 1 : matched.z ? 2 : 3;
        uint mask = 0;
        uint at = s.at[i] + left;
        if (any(matched)) {
            uint word = scan.text.at[at >> 2];
            uint state = s.state[i];
            scan_mark(scan, state, word & 0xFF, 0, mask);
            scan_mark(scan, state, word >> 8 & 0xFF, 1, mask);
            scan_mark(scan, state, word >> 16 & 0xFF, 2, mask);
            scan_mark(scan, state, word >> 24, 3, mask);
            s.state[i] = state;
            left = (left + 4) % SCAN_TURN_BYTES;
            if (left == 0) ahead[i] = state;
        }
        if (subgroupAny(mask != 0)) scan_report(scan, mask, at);
        charge(1);
    }
    s.state = ahead;
    s.at += SCAN_TURN_BYTES;
}

// One byte of a stream, with every rule looked at.
void scan_byte(inout Scan scan, inout Streams s, int i) {
    uint mask = 0;
    uint at = s.at[i];
    if (scan_live(s, i)) {
        scan_mark(scan, s.state[i], scan.text.at[at >> 2] >> (8 * (at & 3)) & 0xFF, 0, mask);
        s.at[i] += 1;
    }
    if (subgroupAny(mask != 0)) scan_report_lowest(scan, mask, at);
}

// What comes after a step; without other work there is none that a scan would give way to.
uint scan_step_ends(inout Scan scan) {
#ifndef WITHOUT_TURNS
    return after_step(scan.slot, scan.area);
#else
    return GO_ON;
#endif
}

// Byte by byte until all streams are done: the ends of their pieces, and the lines that go on behind.
uint scan_tail(inout Scan scan, inout Streams s) {
    uint next = GO_ON;
    uint step = 0;
    while (next == GO_ON && subgroupAny(scan_live(s, 0) || scan_live(s, 1) || scan_live(s, 2) || scan_live(s, 3))) {
        scan_byte(scan, s, 0);
        scan_byte(scan, s, 1);
        scan_byte(scan, s, 2);
        scan_byte(scan, s, 3);
        step += 1;
        if (step % SCAN_TAIL_STEP == 0) next = scan_step_ends(scan);
        charge(1);
    }
    return next;
}

// One byte of each stream in the fast loop: four chains of loads, each of which hides the others.
void scan_bytes(Scan scan, uvec4 bytes, inout uvec4 state) {
    state.x = scan.table.at[state.x + bytes.x];
    state.y = scan.table.at[state.y + bytes.y];
    state.z = scan.table.at[state.z + bytes.z];
    state.w = scan.table.at[state.w + bytes.w];
}

void scan_word(Scan scan, uvec4 words, inout uvec4 state) {
    scan_bytes(scan, words & 0xFF, state);
    scan_bytes(scan, words >> 8 & 0xFF, state);
    scan_bytes(scan, words >> 16 & 0xFF, state);
    scan_bytes(scan, words >> 24, state);
}

// The first `turns` turns of 16 bytes pass no stream's end, and are walked by the fast loop.
uint scan_walk(inout Scan scan, inout Streams s, bool walks, bool parallel, inout uint turns) {
    uint next = GO_ON;
    while (turns != 0 && next == GO_ON) {
        uvec4 n = s.at / SCAN_TURN_BYTES; // with turns to walk, streams begin at whole ones
        uint walked = 0;
        uvec4 ahead = s.state;
        bool hit = false;
        while (turns != 0 && !hit && next == GO_ON) {
            ahead = s.state;
            if (walks) {
                uvec4 a = scan.turns.at[n.x + walked];
                uvec4 b = scan.turns.at[n.y + walked];
                uvec4 c = scan.turns.at[n.z + walked];
                uvec4 d = scan.turns.at[n.w + walked];
                scan_word(scan, uvec4(a.x, b.x, c.x, d.x), ahead);
                scan_word(scan, uvec4(a.y, b.y, c.y, d.y), ahead);
                scan_word(scan, uvec4(a.z, b.z, c.z, d.z), ahead);
                scan_word(scan, uvec4(a.w, b.w, c.w, d.w), ahead);
            }
            if (!parallel) ahead.yzw = uvec3(SCAN_SKIP);
            hit = subgroupAny(any(equal(ahead, uvec4(SCAN_MATCHED))));
            if (!hit) {
                s.state = ahead;
                walked += 1;
            }
            turns -= 1;
            if (turns % SCAN_STEP == 0) next = scan_step_ends(scan);
            charge(1);
        }
        s.at += SCAN_TURN_BYTES * walked;
        if (hit) scan_resolve(scan, s, ahead);
        charge(3); // this turn, and the last look of each of the two loops inside
    }
    if (next == GO_ON) next = scan_tail(scan, s);
    return next;
}

void scan_carry(inout Scan scan, Streams s, int i) {
    bool undecided = s.state[i] > SCAN_START;
    uvec4 who = subgroupBallot(undecided);
    uint index = scan.carries + subgroupBallotExclusiveBitCount(who);
    if (undecided && 2 * index + 1 < SCAN_CARRY_WORDS) {
        scan.found.at[2 * index] = s.at[i];
        scan.found.at[2 * index + 1] = s.state[i];
    }
    scan.carries += subgroupBallotBitCount(who);
}

uint scan_first_state(Scan scan, uint begin) {
    bool starts = begin > 0 && (scan.text.at[(begin - 1) >> 2] >> 24) == 10; // pieces begin at words
    return starts ? SCAN_START : SCAN_SKIP;
}

// The streams of a lane lie a subgroup apart, so that the lanes read next to each other.
Streams scan_streams(Scan scan, uint piece, uint len, uint state) {
    uvec4 index = gl_SubgroupInvocationID + gl_SubgroupSize * uvec4(0, 1, 2, 3);
    Streams s;
    s.at = min(index * piece, uvec4(len));
    s.end = min(s.at + piece, uvec4(len));
    s.limit = min(s.at + 2 * piece + SCAN_STREAM_SLACK, uvec4(len));
    s.state = uvec4(scan_first_state(scan, s.at.x), scan_first_state(scan, s.at.y),
                    scan_first_state(scan, s.at.z), scan_first_state(scan, s.at.w));
    if (index.x == 0) s.state.x = state;
    return s;
}

#ifndef WITHOUT_TURNS
void scan_save(Scan scan, Streams s, uint turns) {
    if (gl_SubgroupInvocationID == 0) {
        state[saved_by_all(scan.area, 0)] = turns;
        state[saved_by_all(scan.area, 1)] = scan.matches;
    }
    state[saved_by_lane(scan.area, 0)] = s.at.x;
    state[saved_by_lane(scan.area, 1)] = s.at.y;
    state[saved_by_lane(scan.area, 2)] = s.at.z;
    state[saved_by_lane(scan.area, 3)] = s.at.w;
    state[saved_by_lane(scan.area, 4)] = s.state.x;
    state[saved_by_lane(scan.area, 5)] = s.state.y;
    state[saved_by_lane(scan.area, 6)] = s.state.z;
    state[saved_by_lane(scan.area, 7)] = s.state.w;
}

void scan_restore(inout Scan scan, inout Streams s, inout uint turns) {
    uint area = area_of(scan.slot);
    turns = subgroupBroadcastFirst(state[saved_by_all(area, 0)]);
    scan.matches = subgroupBroadcastFirst(state[saved_by_all(area, 1)]);
    s.at = uvec4(state[saved_by_lane(area, 0)], state[saved_by_lane(area, 1)], state[saved_by_lane(area, 2)],
                 state[saved_by_lane(area, 3)]);
    s.state = uvec4(state[saved_by_lane(area, 4)], state[saved_by_lane(area, 5)], state[saved_by_lane(area, 6)],
                    state[saved_by_lane(area, 7)]);
    give_area_back(area);
}
#endif

// All of it is the same for the whole subgroup but the lanes' streams.
Outcome op_scan(uint slot, bool again) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    uint offset = slots[base + 1];
    uint len = slots[base + 2];
    uint state = slots[base + 4];
    uint found_at = slots[base + 6];
    uint capacity = slots[base + 7];
    uint walk = slots[base + 8];
    uint first = slots[base + 9];
    uint last = slots[base + 10];

    uvec4 text = record_of(slots[base]);
    uvec4 table = record_of(slots[base + 3]);
    uvec4 found = record_of(slots[base + 5]);
    if (text.z == 0) return bad_operand(0);
    if ((offset & 3) != 0 || offset >> 2 > text.z) return bad_operand(1);
    uint streams = SCAN_STREAMS_PER_LANE * gl_SubgroupSize;
    if (len > SCAN_PIECE_MAX * streams || (len + 3) >> 2 > text.z - (offset >> 2)) return bad_operand(2);
    if (table.z < 3 * SCAN_ROW_WORDS || (table.w & RESOURCE_SCAN) == 0) return bad_operand(3);
    if (state % SCAN_ROW_WORDS != 0 || state > table.z - SCAN_ROW_WORDS) return bad_operand(4);
    if ((found.w & RESOURCE_WRITE) == 0) return bad_operand(5);
    if (found_at > found.z || found.z - found_at < SCAN_CARRY_WORDS) return bad_operand(6);
    if (capacity > found.z - found_at - SCAN_CARRY_WORDS) return bad_operand(7);
    if (walk > SCAN_SERIAL) return bad_operand(8);
    if (walk == SCAN_SERIAL && last > len) return bad_operand(10);
    if (walk == SCAN_SERIAL && (first > last || first % SCAN_TURN_BYTES != 0)) return bad_operand(9);

    Scan scan;
    scan.text = Words(address_plus(text.xy, offset));
    // From the address, not from `text`: SwiftShader dies of a cast between two references.
    scan.turns = Turns(address_plus(text.xy, offset));
    scan.table = Words(table.xy);
    scan.found = Words(address_plus(found.xy, 4 * found_at));
    scan.capacity = capacity;
    scan.matches = 0;
    scan.carries = 0;
    scan.slot = slot;

    Streams s = Streams(uvec4(0), uvec4(0), uvec4(0), uvec4(SCAN_SKIP));
    uint turns = 0;
    bool walks = true;
    if (walk == SCAN_SERIAL) {
        // One lane walks, and only its first stream: the others go along in the fast loop and never
        // match. Idle lanes are masked, since drivers that gather lane by lane are the faster the fewer
        // there are.
        uint limit = min(first + SCAN_SERIAL_MAX, last);
        walks = gl_SubgroupInvocationID == 0;
        s.at = uvec4(first);
        if (walks) {
            s.end.x = limit;
            s.limit.x = limit;
            s.state.x = state;
        }
        turns = (limit - first) / SCAN_TURN_BYTES;
    } else {
        uint piece = (len + streams - 1) / streams;
        piece = (piece + SCAN_PIECE_ALIGN - 1) / SCAN_PIECE_ALIGN * SCAN_PIECE_ALIGN;
        s = scan_streams(scan, piece, len, state);
        uvec4 left = s.end - s.at;
        turns = subgroupMin(min(min(left.x, left.y), min(left.z, left.w))) / SCAN_TURN_BYTES;
    }
#ifndef WITHOUT_TURNS
    if (again) scan_restore(scan, s, turns);
    uint next = scan_walk(scan, s, walks, walk == SCAN_PARALLEL, turns);
    if (next == GIVE_WAY) scan_save(scan, s, turns);
    if (next != GO_ON) return left_after(next);
#else
    scan_walk(scan, s, walks, walk == SCAN_PARALLEL, turns);
#endif
    scan_carry(scan, s, 0);
    scan_carry(scan, s, 1);
    scan_carry(scan, s, 2);
    scan_carry(scan, s, 3);
    return Outcome(0, 0, scan.matches, scan.carries);
}
