//! Lives of tenants at random, against a model: who they are, what they publish, what becomes of it, and what is left
//! in memory.
//!
//! RINGFENCE_LIVES=N sets how many tenants each run opens; `RINGFENCE_LIVES=20000 cargo test --release --test tenants
//! lives` takes some minutes on each driver.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ringfence::descriptor::{BatchDescriptor, EncodeSlot as _, PackedOpDescriptor, SlotDescriptor};
use ringfence::protocol::abi::opcode::*;
use ringfence::protocol::{
    CONTROL_MIN_WORDS, DONE_COUNT, EPOCH, FAIRNESS_BASE, FAULT_COUNT, METRICS_BASE, OBSERVABLE_BASE,
    PRIORITY_FAIRNESS_BASE, PRIORITY_WORD, QUOTA_BASE, TENANT_WORD, try_read_debug_log,
};
use ringfence::runtime::{
    Batch, Job, Mode, Outcome, Resource, Ring, Runtime, RuntimeError, SlotWords, SubmitError, Tenant, Tenants,
};

use crate::model::{Effect, OUT_OF_CREDITS, Rights, TABLE_WORDS, UNAUTHORIZED, bad_operand, execute};
use crate::support::{MODES, PATIENCE, Random, assert_silent, builder};

const OBSERVABLES: u32 = 32;
const CAP: u32 = 32;
const RECORDS: u32 = 16;

#[derive(Clone, Copy, Debug)]
struct Setup {
    mode: Mode,
    workers: u32,
    tenants: u32,
    lives: u64,
    wide: bool,
    seed: u64,
}

/// A slot on its way.
#[derive(Debug)]
struct Sent {
    words: SlotWords,
    effect: Effect,
    /// Its tenant was revoked since.
    refused: bool,
    /// And has been paused since before it was published: it was never executed.
    held: bool,
}

enum Handle {
    /// Jobs and their slots in `Life::sent`, those of a batch until each was seen to end.
    Job(usize, Job),
    Batch(Vec<Option<usize>>, Batch),
}

/// A tenant, from its opening until all that it has published was seen to end.
struct Life {
    id: u32,
    tenant: Option<Tenant>,
    rights: Rights,
    cap: usize,
    credits: Option<u32>,
    paused: bool,
    revoked: bool,
    sent: BTreeMap<usize, Sent>,
    next: usize,
    handles: Vec<Handle>,
    ring: Option<Ring>,
    /// Words that slots on their way read or write.
    busy: BTreeSet<u32>,
    done: u64,
    faults: u64,
    records: u64,
}

struct Run {
    setup: Setup,
    runtime: Runtime,
    random: Random,
    _tables: [Resource; 2],
    handles: [u32; 2],
    lives: Vec<Life>,
    /// The words of the control buffer that slots may name, as far as no slot on its way does.
    memory: Vec<u32>,
    /// What the counters must be.
    done: u64,
    faults: u64,
    metrics: [u64; 32],
    claims: [u64; 5],
    fences: u64,
    opened: u64,
    checked: u64,
    kinds: BTreeMap<&'static str, u64>,
}

impl Run {
    fn new(setup: Setup) -> Self {
        let opcodes: &[u32] = if setup.wide { &[OP_SUM_WORDS] } else { &[] };
        let slots = 2 * CAP * setup.tenants.min(64);
        let runtime = builder(setup.mode)
            .workers(setup.workers)
            .tenants(setup.tenants)
            .tenant_slots(CAP)
            .tenant_words(8 * setup.tenants.max(16))
            .observables(OBSERVABLES)
            .debug_records(RECORDS)
            .level_slots([slots; 5])
            .opcodes(opcodes)
            .build()
            .expect("a runtime");
        let words: Vec<u32> = (0..TABLE_WORDS).collect();
        let tables = [0, 1].map(|odd| {
            let table = runtime.table(&words).expect("a table");
            let of = (0..setup.tenants).filter(|id| id % 2 == odd);
            table.set_tenants(Tenants::of(of).expect("ids"));
            table
        });
        let handles = [tables[0].handle(), tables[1].handle()];
        let memory = runtime.control().expect("a readback");
        let system = Life {
            id: 0,
            tenant: None,
            rights: Rights {
                window: OBSERVABLE_BASE..OBSERVABLE_BASE + OBSERVABLES,
                opcodes: None,
                no_credits: false,
                system: true,
                table: handles[0],
                sums: setup.wide,
            },
            cap: 256,
            credits: None,
            paused: false,
            revoked: false,
            sent: BTreeMap::new(),
            next: 0,
            handles: Vec::new(),
            ring: None,
            busy: BTreeSet::new(),
            done: 0,
            faults: 0,
            records: 0,
        };
        Self {
            setup,
            runtime,
            random: Random(setup.seed),
            _tables: tables,
            handles,
            lives: vec![system],
            memory,
            done: 0,
            faults: 0,
            metrics: [0; 32],
            claims: [0; 5],
            fences: 0,
            opened: 0,
            checked: 0,
            kinds: BTreeMap::new(),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.kinds.entry(what).or_default() += 1;
    }

    fn open(&mut self) {
        let window = [0, 1, 4, 8, 8, 12, 20][self.random.below(7) as usize];
        let credits = [None, None, None, Some(0), Some(1), Some(3), Some(50)][self.random.below(7) as usize];
        let opcodes: Option<BTreeSet<u32>> = (self.random.below(3) == 0).then(|| {
            let all = [
                OP_NOP,
                OP_STORE_U32,
                OP_ATOMIC_ADD,
                OP_LOAD_U32,
                OP_COMPARE_SWAP,
                OP_MEMCPY,
                OP_DFA_STEP,
                OP_PRINTF,
                OP_BATCH_FENCE,
                OP_PACKED_SLOT,
                OP_PACKED_SLOT,
                OP_SUM_WORDS,
                4660,
            ];
            all.into_iter().filter(|_| self.random.below(4) != 0).collect()
        });
        let cap = 1 + self.random.below(CAP);
        let weight = [1, 1, 2, 7, 100][self.random.below(5) as usize];
        let mut asked = self.runtime.tenant("life").window(window).weight(weight).slots(cap);
        if let Some(credits) = credits {
            asked = asked.credits(credits);
        }
        if let Some(set) = &opcodes {
            asked = asked.opcodes(&set.iter().copied().collect::<Vec<_>>());
        }
        let tenant = match asked.open() {
            Ok(tenant) => tenant,
            Err(RuntimeError::NoTenant { .. }) => {
                assert!(self.lives.len() >= self.setup.tenants as usize, "{:?}: there is room", self.setup);
                return self.count("no place");
            }
            Err(RuntimeError::NoWindow { .. }) => return self.count("no window"),
            Err(e) => panic!("{:?}: {e}", self.setup),
        };
        let id = tenant.id();
        let range = tenant.window();
        assert_eq!(range.len(), window as usize);
        let behind = CONTROL_MIN_WORDS + OBSERVABLES;
        assert!(range.start >= behind && range.end <= behind + 8 * self.setup.tenants.max(16));
        // Those who had the place or these words have ended; what they left is not for others.
        self.collect();
        for life in &self.lives {
            assert_ne!(life.id, id, "{:?}", self.setup);
            let apart = life.rights.window.end <= range.start || range.end <= life.rights.window.start;
            assert!(apart || range.is_empty(), "{:?}: {:?} {range:?}", self.setup, life.rights.window);
        }
        self.memory[range.start as usize..range.end as usize].fill(0);
        let sums = self.setup.wide;
        let table = self.handles[id as usize % 2];
        let rights =
            Rights { window: range, opcodes, no_credits: credits == Some(0), system: false, table, sums };
        self.lives.push(Life {
            id,
            tenant: Some(tenant),
            rights,
            cap: cap as usize,
            credits,
            paused: false,
            revoked: false,
            sent: BTreeMap::new(),
            next: 0,
            handles: Vec::new(),
            ring: None,
            busy: BTreeSet::new(),
            done: 0,
            faults: 0,
            records: 0,
        });
        self.opened += 1;
    }

    /// A word of a life's window, or about its edges, or anywhere.
    fn word(&mut self, life: usize) -> u32 {
        let std::ops::Range { start, end } = self.lives[life].rights.window.clone();
        let n = end - start;
        let inside = start + if n == 0 { 0 } else { self.random.below(n) };
        if self.lives[life].rights.system {
            return inside;
        }
        match self.random.below(24) {
            0 => start.wrapping_sub(1 + self.random.below(3)),
            1 => end + self.random.below(3),
            2 => [0, 2, 3, 142, 159, 160, 1 << 20, 1 << 31, u32::MAX - 160, u32::MAX]
                [self.random.below(10) as usize],
            3 => self.random.below(self.memory.len() as u32 + 4),
            _ => inside,
        }
    }

    fn observable(&mut self, life: usize) -> u32 {
        self.word(life).wrapping_sub(OBSERVABLE_BASE)
    }

    fn op(&mut self, life: usize) -> (u32, Vec<u32>) {
        let table = self.handles[usize::from(self.random.below(8) == 0) ^ (self.lives[life].id as usize % 2)];
        match self.random.below(9) {
            0 => (OP_NOP, vec![]),
            1 => (OP_STORE_U32, vec![self.random.next(), self.word(life)]),
            2 => (OP_ATOMIC_ADD, vec![self.random.next(), self.word(life)]),
            3 => (OP_LOAD_U32, vec![self.word(life), self.observable(life)]),
            4 => {
                let to = if self.random.below(2) == 0 { 0 } else { self.observable(life).wrapping_add(1) };
                let word = self.word(life);
                let there = self.memory.get(word as usize).copied().unwrap_or(0);
                let expected = if self.random.below(2) == 0 { there } else { self.random.next() };
                (OP_COMPARE_SWAP, vec![word, expected, self.random.next(), to])
            }
            5 => {
                let count = if self.lives[life].rights.system { 0 } else { self.random.below(8) };
                (OP_MEMCPY, vec![self.word(life), self.word(life), count])
            }
            6 | 7 => {
                let to = if self.random.below(2) == 0 { 0 } else { self.observable(life).wrapping_add(1) };
                (OP_DFA_STEP, vec![self.random.below(3), self.random.below(260), table, to])
            }
            _ => (8 + self.random.below(248), vec![self.random.next()]),
        }
    }

    /// A packed slot; some with bytes changed at random.
    fn packed(&mut self, life: usize) -> SlotWords {
        let forge = self.random.below(3) == 0 && !self.lives[life].rights.system;
        let inner = |(opcode, args): (u32, Vec<u32>)| {
            let lane = ringfence::descriptor::BuiltinOpcode::from_value(opcode);
            lane.map_or_else(
                || PackedOpDescriptor::new(ringfence::descriptor::SlotOpcode::Custom(opcode), &args),
                |builtin| PackedOpDescriptor::new(builtin, &args),
            )
        };
        let mut ops = Vec::new();
        let mut words = SlotDescriptor::packed(vec![]).encode().expect("an empty one");
        for _ in 0..self.random.below(6) {
            ops.push(inner(self.op(life)));
            // As many as fit.
            let Ok(more) = SlotDescriptor::packed(ops.clone()).encode() else { break };
            words = more;
        }
        if forge {
            // Half of them in the counts and starts.
            let bytes = [12, 48][self.random.below(2) as usize];
            let byte = self.random.below(bytes);
            let mask = 0xFF << (8 * (byte % 4));
            let word = &mut words[4 + byte as usize / 4];
            *word = *word & !mask | self.random.next() & mask;
        }
        words
    }

    fn slot(&mut self, life: usize) -> SlotWords {
        let (opcode, args) = match self.random.below(20) {
            0..=5 => (OP_PACKED_SLOT, vec![]),
            6 => (OP_PRINTF, vec![1000 + self.lives[life].id, self.random.next()]),
            7 => (OP_BATCH_FENCE, vec![self.random.below(8) / 7, self.random.next()]),
            8 if !self.lives[life].rights.system => (OP_SHUTDOWN, vec![]),
            9 => {
                let odd =
                    [4660, 0x7FFF_FFFF, OP_LOAD_MISS, OP_LOAD_SUM, OP_IO_FENCE, 0x8000_0014, OP_STORE_RANGE];
                (odd[self.random.below(7) as usize], vec![self.random.next()])
            }
            10 if self.setup.wide => {
                let most = 4 * TABLE_WORDS;
                let table = self.handles[self.random.below(2) as usize];
                (OP_SUM_WORDS, vec![table, self.random.below(most), self.random.below(most + 9) & !3])
            }
            _ => self.op(life),
        };
        let mut words = [0; 16];
        words[0] = 1;
        words[1] = opcode;
        words[4..4 + args.len()].copy_from_slice(&args);
        if opcode == OP_PACKED_SLOT {
            words = self.packed(life);
        }
        let mut priority = self.random.below(5);
        if self.random.below(24) == 0 {
            priority = [5, 6, 255, 1 << 31, u32::MAX][priority as usize];
        }
        words[PRIORITY_WORD as usize] = priority;
        words[TENANT_WORD as usize] = match self.random.below(3) {
            0 => self.random.below(self.setup.tenants),
            1 => self.random.next(),
            _ => 0,
        };
        words
    }

    /// A slot that shares no word with those on their way: its outcome is known, whatever the order.
    fn slot_apart(&mut self, life: usize) -> (SlotWords, Effect) {
        for _ in 0..4 {
            let words = self.slot(life);
            let of = &self.lives[life];
            let effect = execute(&words, &of.rights, &self.memory, false);
            if effect.touched.is_disjoint(&of.busy) {
                return (words, effect);
            }
        }
        let words = SlotDescriptor::nop().encode().expect("a slot");
        let effect = execute(&words, &self.lives[life].rights, &self.memory, false);
        (words, effect)
    }

    fn send(&mut self, life: usize, words: SlotWords, effect: Effect) -> usize {
        let of = &mut self.lives[life];
        of.busy.extend(&effect.touched);
        let held = of.paused;
        let number = of.next;
        of.next += 1;
        of.sent.insert(number, Sent { words, effect, refused: of.revoked, held });
        number
    }

    fn publish(&mut self, life: usize) {
        let of = &self.lives[life];
        if of.sent.len() >= 256 || of.tenant.is_none() && !of.rights.system {
            return;
        }
        let (words, effect) = self.slot_apart(life);
        let tenant = self.lives[life].tenant.as_ref();
        let job = tenant.map_or_else(|| self.runtime.try_submit(&words), |tenant| tenant.try_submit(&words));
        match job {
            Ok(job) => {
                assert!(!self.lives[life].revoked, "{:?}: a revoked tenant publishes", self.setup);
                let number = self.send(life, words, effect);
                self.lives[life].handles.push(Handle::Job(number, job));
            }
            Err(SubmitError::Runtime(RuntimeError::TenantFull { slots })) => {
                let of = &self.lives[life];
                assert_eq!(slots as usize, of.cap);
                assert!(of.sent.len() >= of.cap, "{:?}: {} of {}", self.setup, of.sent.len(), of.cap);
                self.count("full");
            }
            Err(SubmitError::Runtime(RuntimeError::Full { .. })) => self.count("level full"),
            Err(SubmitError::Runtime(RuntimeError::Revoked)) => {
                assert!(self.lives[life].revoked);
                self.count("revoked");
            }
            Err(e) => panic!("{:?}: {e}", self.setup),
        }
    }

    fn publish_batch(&mut self, life: usize) {
        let room = self.lives[life].cap.min(64).saturating_sub(self.lives[life].sent.len() + 1);
        if room == 0 || self.lives[life].revoked || self.lives[life].tenant.is_none() {
            return;
        }
        let count = 1 + self.random.below(room as u32);
        let mut slots = Vec::new();
        let mut numbers = Vec::new();
        for _ in 0..count {
            let word = self.word(life);
            let slot = match self.random.below(3) {
                0 => SlotDescriptor::nop(),
                1 => SlotDescriptor::store_u32(self.random.next(), word),
                _ => SlotDescriptor::atomic_add(self.random.next(), word),
            };
            let words = slot.encode().expect("a slot");
            let effect = execute(&words, &self.lives[life].rights, &self.memory, false);
            if effect.touched.is_disjoint(&self.lives[life].busy) {
                slots.push(slot);
                numbers.push(self.send(life, words, effect));
            }
        }
        let batch = BatchDescriptor::new(slots, self.random.next());
        let fence = batch.encode().expect("a batch").fence;
        let effect = execute(&fence, &self.lives[life].rights, &self.memory, true);
        let apart = effect.touched.is_disjoint(&self.lives[life].busy);
        let tenant = self.lives[life].tenant.as_ref();
        if apart && !numbers.is_empty() {
            match tenant.expect("it lives").submit_batch(&batch) {
                Ok(batch) => {
                    numbers.push(self.send(life, fence, effect));
                    let numbers = numbers.into_iter().map(Some).collect();
                    self.lives[life].handles.push(Handle::Batch(numbers, batch));
                    return self.count("batch");
                }
                // Rings and paused tenants hold the level.
                Err(SubmitError::Runtime(RuntimeError::Full { .. })) => self.count("no room for a batch"),
                Err(e) => panic!("{:?}: {e}", self.setup),
            }
        }
        // Its first word is taken, or there is no room: nothing was published.
        let of = &mut self.lives[life];
        for number in numbers {
            let sent = of.sent.remove(&number).expect("just sent");
            of.busy.retain(|word| !sent.effect.touched.contains(word));
        }
    }

    /// Several at once through a ring of the tenant's own, which may outlive it.
    fn publish_by_ring(&mut self, life: usize) {
        if self.lives[life].ring.is_none() {
            let Some(tenant) = &self.lives[life].tenant else { return };
            let ring = tenant.ring(CAP as usize).expect("a ring");
            self.lives[life].ring = Some(ring);
            self.count("ring");
        }
        for _ in 0..1 + self.random.below(12) {
            let (words, effect) = self.slot_apart(life);
            let number = self.lives[life].next as u64;
            let ring = self.lives[life].ring.as_mut().expect("just made");
            match ring.push(&words, number) {
                Ok(()) => drop(self.send(life, words, effect)),
                Err(
                    RuntimeError::TenantFull { .. }
                    | RuntimeError::RingFull { .. }
                    | RuntimeError::Full { .. },
                ) => {
                    break;
                }
                Err(RuntimeError::Revoked) => {
                    assert!(self.lives[life].revoked);
                    break;
                }
                Err(e) => panic!("{:?}: {e}", self.setup),
            }
        }
        self.flush(life);
    }

    fn flush(&mut self, life: usize) {
        let Some(ring) = self.lives[life].ring.as_mut() else { return };
        match ring.flush() {
            Ok(()) | Err(RuntimeError::TenantFull { .. }) => {}
            Err(e) => panic!("{:?}: {e}", self.setup),
        }
    }

    fn pause(&mut self, life: usize) {
        let of = &mut self.lives[life];
        if let Some(tenant) = &of.tenant {
            tenant.pause();
            // One that was revoked ends all the same.
            of.paused = !of.revoked;
        }
    }

    fn resume(&mut self, life: usize) {
        let of = &mut self.lives[life];
        if let Some(tenant) = &of.tenant {
            tenant.resume();
            of.paused = false;
            of.sent.values_mut().filter(|sent| !sent.refused).for_each(|sent| sent.held = false);
        }
    }

    fn revoke(&mut self, life: usize) {
        let of = &mut self.lives[life];
        if let Some(tenant) = &of.tenant {
            tenant.revoke();
            of.revoked = true;
            of.paused = false;
            of.sent.values_mut().for_each(|sent| sent.refused = true);
        }
    }

    fn drop_handle(&mut self, life: usize) {
        let of = &mut self.lives[life];
        if of.tenant.take().is_some() && of.paused {
            of.revoked = true;
            of.paused = false;
            of.sent.values_mut().for_each(|sent| sent.refused = true);
        }
    }

    /// Takes note of what has ended.
    fn collect(&mut self) {
        for life in 0..self.lives.len() {
            let mut ended = Vec::new();
            let of = &mut self.lives[life];
            of.handles.retain_mut(|handle| match handle {
                Handle::Job(number, job) => {
                    let end = job.try_wait();
                    end.inspect(|end| ended.push((*number, end.outcome))).is_none()
                }
                Handle::Batch(numbers, batch) => {
                    // Slots may end while their fence is held back.
                    let jobs = batch.jobs().iter().chain([batch.fence()]).zip(numbers.iter_mut());
                    jobs.for_each(|(job, number)| {
                        if let Some(end) = number.and_then(|_| job.try_wait()) {
                            ended.extend(number.take().map(|number| (number, end.outcome)));
                        }
                    });
                    numbers.iter().any(Option::is_some)
                }
            });
            if let Some(ring) = &mut of.ring {
                ring.reap(|number, outcome| ended.push((number as usize, outcome))).expect("well");
            }
            for (number, outcome) in ended {
                self.ended(life, number, outcome);
            }
        }
        let mut gone: Vec<usize> = Vec::new();
        for (index, of) in self.lives.iter_mut().enumerate() {
            if of.tenant.is_none() && of.id != 0 && of.sent.is_empty() {
                gone.push(index);
            }
        }
        for index in gone.into_iter().rev() {
            self.lives.swap_remove(index);
        }
    }

    fn ended(&mut self, life: usize, number: usize, outcome: Outcome) {
        let setup = self.setup;
        let of = &mut self.lives[life];
        let sent = of.sent.remove(&number).unwrap_or_else(|| panic!("{setup:?}: {number} ends twice"));
        let Sent { words, effect, refused, held } = sent;
        let what = || format!("{setup:?}, tenant {}: {words:?}, {refused} {held}: {outcome:?}", of.id);
        assert!(!(of.paused && held), "{}: ended while its tenant is paused", what());
        let alike = match (effect.outcome, outcome) {
            (Outcome::Done(_), Outcome::Done(_)) if effect.any_result => true,
            (wanted, outcome) => wanted == outcome,
        };
        let unlevelled = words[PRIORITY_WORD as usize] > 4;
        let executed = alike && (unlevelled || !(refused && held));
        let refusal = refused && !unlevelled && outcome == UNAUTHORIZED;
        assert!(executed || refusal, "{}, not {:?}", what(), effect.outcome);
        of.busy.retain(|word| !effect.touched.contains(word));
        if executed {
            for (word, value) in &effect.written {
                self.memory[*word as usize] = *value;
            }
            for opcode in &effect.executed {
                self.metrics[(*opcode).min(31) as usize] += 1;
            }
            of.records += u64::from(effect.records);
            self.fences += u64::from(effect.fences);
        }
        if !unlevelled {
            self.claims[words[PRIORITY_WORD as usize] as usize] += 1;
        }
        if matches!(outcome, Outcome::Done(_)) {
            of.done += 1;
            self.done += 1;
        } else {
            of.faults += 1;
            self.faults += 1;
        }
        self.checked += 1;
        let kind = match outcome {
            Outcome::Done(_) => "done",
            UNAUTHORIZED => "unauthorized",
            OUT_OF_CREDITS => "out of credits",
            outcome if outcome == bad_operand(15) => "no level",
            Outcome::Fault { code: 2, .. } => "bad operand",
            Outcome::Fault { code: 4, .. } => "bad packed",
            _ => "other fault",
        };
        self.count(kind);
    }

    /// Drives the device: waits for something of a tenant that is not paused.
    fn step(&mut self) {
        let begin = self.random.below(self.lives.len() as u32) as usize;
        let lives = (0..self.lives.len()).map(|i| (begin + i) % self.lives.len());
        let mut waits = lives.filter_map(|i| {
            let of = &self.lives[i];
            if of.paused { None } else { of.handles.last() }
        });
        match waits.next() {
            Some(Handle::Job(number, job)) => {
                let end = job.wait_timeout(PATIENCE).expect("well");
                assert!(end.is_some(), "{:?}: slot {number} does not end", self.setup);
            }
            Some(Handle::Batch(_, batch)) => {
                let end = batch.wait_timeout(PATIENCE).expect("well");
                assert!(end.is_some(), "{:?}: a batch does not end", self.setup);
            }
            None => {}
        }
        self.collect();
    }

    /// All has ended but what paused tenants have; then memory and counters are the model's.
    fn check(&mut self) {
        let begin = Instant::now();
        loop {
            self.step();
            (0..self.lives.len()).for_each(|life| self.flush(life));
            if self.lives.iter().all(|of| of.paused || of.sent.is_empty()) {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "{:?}: {}", self.setup, self.left());
        }
        // What paused tenants had claimed before ends with the dispatch.
        let control = self.runtime.control().expect("a readback");
        self.collect();
        let busy: BTreeSet<u32> = self.lives.iter().flat_map(|of| of.busy.iter().copied()).collect();
        let end = OBSERVABLE_BASE + OBSERVABLES + 8 * self.setup.tenants.max(16);
        for word in (OBSERVABLE_BASE..end).filter(|word| !busy.contains(word)) {
            assert_eq!(control[word as usize], self.memory[word as usize], "{:?}: word {word}", self.setup);
        }
        let count = |word: u32| u64::from(control[word as usize]);
        assert_eq!(count(DONE_COUNT), self.done, "{:?}", self.setup);
        assert_eq!(count(FAULT_COUNT), self.faults, "{:?}", self.setup);
        assert_eq!(count(EPOCH), self.fences, "{:?}", self.setup);
        let metrics: Vec<u64> = (METRICS_BASE..METRICS_BASE + 32).map(count).collect();
        assert_eq!(metrics, self.metrics, "{:?}", self.setup);
        let claims: Vec<u64> = (PRIORITY_FAIRNESS_BASE..PRIORITY_FAIRNESS_BASE + 5).map(count).collect();
        assert_eq!(claims, self.claims, "{:?}", self.setup);
        for of in &self.lives {
            let what = format!("{:?}: tenant {}", self.setup, of.id);
            assert_eq!(count(control[FAIRNESS_BASE as usize] + of.id), of.done + of.faults, "{what}");
            let left = control[control[QUOTA_BASE as usize] as usize + of.id as usize];
            assert!(of.credits.is_none_or(|credits| left <= credits), "{what}: {left} credits");
            if let Some(tenant) = &of.tenant {
                let stats = tenant.stats();
                assert_eq!((stats.done, stats.faults), (of.done, of.faults), "{what}");
                assert_eq!(stats.published, of.done + of.faults + u64::from(stats.outstanding), "{what}");
            }
            let log = of.tenant.as_ref().map_or_else(|| self.runtime.debug_log(), Tenant::debug_log);
            let bytes: Vec<u8> = log.iter().flat_map(|word| word.to_le_bytes()).collect();
            let log = try_read_debug_log(&bytes).expect("a log");
            if of.tenant.is_some() || of.id == 0 {
                assert_eq!(log.records.len() as u64 + log.lost, of.records, "{what}");
                assert!(log.records.iter().all(|record| record.fmt_id == 1000 + of.id), "{what}: {log:?}");
            }
        }
        self.count("checks");
    }

    fn left(&self) -> String {
        let lives = self.lives.iter().filter(|of| !of.sent.is_empty());
        let lives: Vec<_> = lives.map(|of| (of.id, of.paused, of.revoked, of.sent.len())).collect();
        format!("tenants, whether paused or revoked, and slots that have not ended: {lives:?}")
    }

    fn live(&mut self) {
        while self.opened < self.setup.lives {
            let life = self.random.below(self.lives.len() as u32) as usize;
            match self.random.below(100) {
                0..=9 => self.open(),
                10..=54 => (0..1 + self.random.below(4)).for_each(|_| self.publish(life)),
                55..=60 => self.publish_batch(life),
                61..=66 => self.publish_by_ring(life),
                67..=71 => self.pause(life),
                72..=76 => self.resume(life),
                77..=79 => self.revoke(life),
                80..=85 => self.drop_handle(life),
                86..=88 => self.flush(life),
                89..=97 => self.step(),
                98 => self.collect(),
                _ if self.random.below(6) == 0 => self.check(),
                _ => {}
            }
        }
        self.check();
        (0..self.lives.len()).for_each(|life| self.resume(life));
        self.check();
        assert!(self.lives.iter().all(|of| of.sent.is_empty()), "{}", self.left());
        self.lives.iter_mut().for_each(|of| of.ring = None);
        (0..self.lives.len()).for_each(|life| self.drop_handle(life));
        self.every_slot_is_free();
    }

    fn every_slot_is_free(&mut self) {
        let slots = 2 * CAP * self.setup.tenants.min(64);
        self.lives.clear();
        let mut ring = self.runtime.ring(5 * slots as usize).expect("a ring of the whole slab");
        for level in 0..5 {
            let mut words = SlotDescriptor::nop().encode().expect("a slot");
            words[PRIORITY_WORD as usize] = level;
            for slot in 0..slots {
                let pushed = ring.push(&words, 0);
                pushed.unwrap_or_else(|e| panic!("{:?}: {slot} of level {level}: {e}", self.setup));
            }
        }
        ring.flush().expect("open");
        while ring.in_flight() > 0 {
            assert!(ring.wait(PATIENCE, |_, _| ()).expect("well") > 0, "{:?}", self.setup);
        }
    }
}

fn live(setup: Setup) {
    let lives = std::env::var("RINGFENCE_LIVES").ok().and_then(|n| n.parse().ok()).unwrap_or(setup.lives);
    let seed = std::env::var("RINGFENCE_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(setup.seed);
    let begin = Instant::now();
    let mut run = Run::new(Setup { lives, seed, ..setup });
    run.live();
    let seconds = begin.elapsed().as_secs_f32();
    eprintln!("{:?}: {} slots in {seconds:.1} s: {:?}", run.setup, run.checked, run.kinds);
}

#[test]
fn lives_are_as_the_model_says() {
    for mode in MODES {
        for (workers, wide) in [(1, false), (2, false), (3, true)] {
            live(Setup {
                mode,
                workers,
                tenants: 17,
                lives: 300,
                wide,
                seed: 0x7E4A_4175 + u64::from(workers),
            });
        }
    }
    assert_silent();
}

#[test]
fn a_thousand_tenants_live_at_once() {
    for mode in MODES {
        live(Setup { mode, workers: 2, tenants: 1024, lives: 1200, wide: false, seed: 0x0400_7E4A });
    }
    assert_silent();
}
