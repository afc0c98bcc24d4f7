// OP_SCAN: walks a chunk of text through a byte automaton, two streams a lane. Twin: src/twin/scan.rs,
// which also says what the table, the streams and the carries are.
//
// A wide opcode: the whole subgroup works on one slot. Two streams a lane hide the latency of the
// table's loads. The fast loop takes 16 bytes of both streams a turn and holds nothing but the walk;
// it is left, by all lanes together, when some lane has something to report (DESIGN facts 10, 21).
// Matches go into the slot's own buffer, whose cursor is a register: one subgroup is one slot.

// The same memory as Words, 16 bytes at a time; it is aligned like single words.
layout(buffer_reference, std430, buffer_reference_align = 4) nonprivate readonly buffer Turns { uvec4 at[]; };

struct Scan {
    Words text;   // the chunk, from its first word
    Turns turns;  // the same, 16 bytes at a time
    Words table;
    Words found;  // carries, then matches
    uint capacity;
    uint matches;
    uint carries;
};

// One stream: reads [at, limit), and behind `end` only while a line of its own is undecided.
struct Stream {
    uint at;
    uint end;
    uint limit;
    uint state;
};

bool scan_live(Stream s) { return s.at < s.limit && (s.at < s.end || s.state > SCAN_START); }

void scan_append(Scan scan, inout uint index, uint mask, uint at, uint k) {
    if ((mask >> k & 1) != 0) {
        if (index < scan.capacity) scan.found.at[SCAN_CARRY_WORDS + index] = at + k;
        index += 1;
    }
}

// Appends, for each lane and each set bit k of `mask`, the position at + k.
void scan_report(inout Scan scan, uint mask, uint at) {
    uint n = bitCount(mask);
    uint index = scan.matches + subgroupExclusiveAdd(n);
    scan.matches += subgroupAdd(n);
    scan_append(scan, index, mask, at, 0);
    scan_append(scan, index, mask, at, 1);
    scan_append(scan, index, mask, at, 2);
    scan_append(scan, index, mask, at, 3);
}

void scan_byte(Scan scan, inout Stream s, uint base, uint word, uint k, inout uint mask) {
    if (s.at == base + k && scan_live(s)) {
        uint entry = scan.table.at[s.state + (word >> (8 * k) & 0xFF)];
        mask |= (entry >> 31) << k;
        s.state = entry & ~SCAN_REPORT;
        s.at += 1;
    }
}

// The bytes of one word that a stream may still read, with every rule looked at for each of them.
uint scan_word(Scan scan, inout Stream s) {
    uint base = s.at & ~3u;
    uint word = scan.text.at[base >> 2];
    uint mask = 0;
    scan_byte(scan, s, base, word, 0, mask);
    scan_byte(scan, s, base, word, 1, mask);
    scan_byte(scan, s, base, word, 2, mask);
    scan_byte(scan, s, base, word, 3, mask);
    return mask;
}

// One byte of a stream in the fast loop: the next state, and the flag gathered in `seen`.
uint scan_step(Scan scan, uint state, uint byte, inout uint seen) {
    uint entry = scan.table.at[state + byte];
    seen |= entry;
    return entry & ~SCAN_REPORT;
}

// Four bytes of both streams, interleaved: the loads of one hide those of the other.
void scan_pair(Scan scan, uint wa, uint wb, inout uint sa, inout uint sb, inout uint seen_a, inout uint seen_b) {
    sa = scan_step(scan, sa, wa & 0xFF, seen_a);
    sb = scan_step(scan, sb, wb & 0xFF, seen_b);
    sa = scan_step(scan, sa, wa >> 8 & 0xFF, seen_a);
    sb = scan_step(scan, sb, wb >> 8 & 0xFF, seen_b);
    sa = scan_step(scan, sa, wa >> 16 & 0xFF, seen_a);
    sb = scan_step(scan, sb, wb >> 16 & 0xFF, seen_b);
    sa = scan_step(scan, sa, wa >> 24, seen_a);
    sb = scan_step(scan, sb, wb >> 24, seen_b);
}

// Word by word until both streams are done, or have reached `limit_a` and `limit_b`: ends of pieces,
// lines that go on behind them, and turns with something to report.
void scan_slow(inout Scan scan, inout Stream a, inout Stream b, uint limit_a, uint limit_b) {
    uint own_a = a.limit;
    uint own_b = b.limit;
    a.limit = limit_a;
    b.limit = limit_b;
    while (subgroupAny(scan_live(a) || scan_live(b))) {
        uint ma = 0;
        uint mb = 0;
        uint base_a = a.at & ~3u;
        uint base_b = b.at & ~3u;
        if (scan_live(a)) ma = scan_word(scan, a);
        if (scan_live(b)) mb = scan_word(scan, b);
        if (subgroupAny((ma | mb) != 0)) {
            scan_report(scan, ma, base_a);
            scan_report(scan, mb, base_b);
        }
        charge(1);
    }
    a.limit = own_a;
    b.limit = own_b;
}

// The first `turns` turns of 16 bytes pass no stream's end, and are walked by the fast loop. A turn in
// which some lane has something to report is walked again, word by word; so is all that follows.
void scan_walk(inout Scan scan, inout Stream a, inout Stream b, bool walks, bool pair, uint turns) {
    bool hit = true;
    while (hit) {
        uint na = a.at / SCAN_TURN_BYTES; // with turns to walk, streams begin at whole ones
        uint nb = b.at / SCAN_TURN_BYTES;
        uint wa = na;
        uint wb = nb;
        uint sa = a.state;
        uint sb = b.state;
        hit = false;
        while (turns != 0 && !hit) {
            uint seen_a = 0;
            uint seen_b = 0;
            uint ka = sa;
            uint kb = sb;
            if (walks) {
                uvec4 ta = scan.turns.at[wa];
                uvec4 tb = scan.turns.at[wb];
                scan_pair(scan, ta.x, tb.x, ka, kb, seen_a, seen_b);
                scan_pair(scan, ta.y, tb.y, ka, kb, seen_a, seen_b);
                scan_pair(scan, ta.z, tb.z, ka, kb, seen_a, seen_b);
                scan_pair(scan, ta.w, tb.w, ka, kb, seen_a, seen_b);
            }
            hit = subgroupAny(((seen_a | (pair ? seen_b : 0)) & SCAN_REPORT) != 0);
            if (!hit) {
                sa = ka;
                sb = pair ? kb : SCAN_SKIP;
                wa += 1;
                wb += 1;
            }
            turns -= 1;
            charge(1);
        }
        a.at += SCAN_TURN_BYTES * (wa - na);
        b.at += SCAN_TURN_BYTES * (wb - nb);
        a.state = sa;
        b.state = sb;
        scan_slow(scan, a, b, hit ? a.at + SCAN_TURN_BYTES : a.limit, hit ? b.at + SCAN_TURN_BYTES : b.limit);
        charge(3); // this turn, and the last look of each of the two loops inside
    }
}

void scan_carry(inout Scan scan, Stream s) {
    bool undecided = s.state > SCAN_START;
    uvec4 who = subgroupBallot(undecided);
    uint index = scan.carries + subgroupBallotExclusiveBitCount(who);
    if (undecided && 2 * index + 1 < SCAN_CARRY_WORDS) {
        scan.found.at[2 * index] = s.at;
        scan.found.at[2 * index + 1] = s.state;
    }
    scan.carries += subgroupBallotBitCount(who);
}

Stream scan_stream(Scan scan, uint index, uint piece, uint len, uint state) {
    uint begin = min(index * piece, len);
    bool starts = begin > 0 && (scan.text.at[(begin - 1) >> 2] >> 24) == 10; // pieces begin at words
    return Stream(begin, min(begin + piece, len), min(begin + 2 * piece + SCAN_STREAM_SLACK, len),
                  index == 0 ? state : starts ? SCAN_START : SCAN_SKIP);
}

uvec2 address_plus(uvec2 address, uint bytes) {
    uint carry;
    uint low = uaddCarry(address.x, bytes, carry);
    return uvec2(low, address.y + carry);
}

// All of it is the same for the whole subgroup but the lanes' streams.
Outcome op_scan(uint slot) {
    uint base = slot * SLOT_WORDS + ARG0_WORD;
    uint offset = slots[base + 1];
    uint len = slots[base + 2];
    uint state = slots[base + 4];
    uint found_at = slots[base + 6];
    uint capacity = slots[base + 7];
    uint walk = slots[base + 8];
    uint first = slots[base + 9];
    uint last = slots[base + 10];

    uvec4 text = slots[base] < MAX_RESOURCES ? resources[slots[base]] : uvec4(0);
    uvec4 table = slots[base + 3] < MAX_RESOURCES ? resources[slots[base + 3]] : uvec4(0);
    uvec4 found = slots[base + 5] < MAX_RESOURCES ? resources[slots[base + 5]] : uvec4(0);
    if (text.z == 0) return bad_operand(0);
    if ((offset & 3) != 0 || offset >> 2 > text.z) return bad_operand(1);
    uint streams = SCAN_STREAMS_PER_LANE * gl_SubgroupSize;
    if (len > SCAN_PIECE_MAX * streams || (len + 3) >> 2 > text.z - (offset >> 2)) return bad_operand(2);
    if (table.z < 2 * SCAN_ROW_WORDS || (table.w & RESOURCE_SCAN) == 0) return bad_operand(3);
    if (state % SCAN_ROW_WORDS != 0 || state > table.z - SCAN_ROW_WORDS) return bad_operand(4);
    if ((found.w & RESOURCE_WRITE) == 0) return bad_operand(5);
    if (found_at > found.z || found.z - found_at < SCAN_CARRY_WORDS) return bad_operand(6);
    if (capacity > found.z - found_at - SCAN_CARRY_WORDS) return bad_operand(7);
    if (walk > SCAN_SERIAL) return bad_operand(8);
    if (walk == SCAN_SERIAL && last > len) return bad_operand(10);
    if (walk == SCAN_SERIAL && first > last) return bad_operand(9);

    Scan scan;
    scan.text = Words(address_plus(text.xy, offset));
    // From the address, not from `text`: SwiftShader dies of a cast between two references.
    scan.turns = Turns(address_plus(text.xy, offset));
    scan.table = Words(table.xy);
    scan.found = Words(address_plus(found.xy, 4 * found_at));
    scan.capacity = capacity;
    scan.matches = 0;
    scan.carries = 0;

    Stream a = Stream(0, 0, 0, SCAN_SKIP);
    Stream b = a;
    uint turns = 0;
    bool walks = true;
    if (walk == SCAN_SERIAL) {
        // One lane walks, and only its first stream: the other goes along in the fast loop and never
        // reports. Idle lanes are masked, since drivers that gather lane by lane are the faster the fewer
        // there are.
        uint limit = min(first + SCAN_SERIAL_MAX, last);
        walks = gl_SubgroupInvocationID == 0;
        if (walks) {
            a = Stream(first, limit, limit, state);
            b = Stream(first, 0, 0, SCAN_SKIP);
        }
        // Carries stand at whole turns, unless a producer forged one.
        if (first % SCAN_TURN_BYTES == 0) turns = (limit - first) / SCAN_TURN_BYTES;
    } else {
        uint piece = (len + streams - 1) / streams;
        piece = (piece + SCAN_PIECE_ALIGN - 1) / SCAN_PIECE_ALIGN * SCAN_PIECE_ALIGN;
        a = scan_stream(scan, gl_SubgroupInvocationID, piece, len, state);
        b = scan_stream(scan, gl_SubgroupInvocationID + gl_SubgroupSize, piece, len, state);
        turns = subgroupMin(min(a.end - a.at, b.end - b.at)) / SCAN_TURN_BYTES;
    }
    scan_walk(scan, a, b, walks, walk == SCAN_PARALLEL, turns);
    scan_carry(scan, a);
    scan_carry(scan, b);
    return Outcome(0, 0, scan.matches, scan.carries);
}
