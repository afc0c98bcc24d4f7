//! What `run` prints: an object with `--json`, else a table.

use std::fmt;

use ringfence::observe::TenantSnapshot;
use ringfence::protocol::{
    DONE_COUNT, DebugLog, EPOCH, FAULT_COUNT, Fault, FaultCode, METRICS_BASE, METRICS_WORDS, OBSERVABLE_BASE,
};
use ringfence::runtime::{BatchCompletion, Completion, Mode};
use serde::{Serialize, Serializer};

#[derive(Serialize)]
pub struct Report {
    pub mode: Mode,
    pub driver: String,
    pub batches: Vec<BatchReport>,
    pub tenants: Vec<TenantReport>,
    pub control: Control,
    pub debug_log: Log,
}

#[derive(Serialize)]
pub struct BatchReport {
    /// The tenant that published it.
    tenant: String,
    /// The fence's result; none when the batch was not published or its fence failed.
    epoch: Option<u64>,
    slots: Vec<SlotReport>,
}

impl BatchReport {
    pub fn new(tenant: String, ended: &BatchCompletion) -> Self {
        Self {
            tenant,
            epoch: ended.fence.result(),
            slots: ended.slots.iter().map(|slot| SlotReport::new(*slot)).collect(),
        }
    }

    /// A batch that came after the kernel's end.
    pub fn cancelled(tenant: String, slots: usize) -> Self {
        let fault = Fault::new(FaultCode::Cancelled, 0);
        Self { tenant, epoch: None, slots: (0..slots).map(|_| SlotReport::Fault(fault)).collect() }
    }
}

/// How a slot ended.
enum SlotReport {
    Done(u64),
    Fault(Fault),
}

impl SlotReport {
    fn new(completion: Completion) -> Self {
        match (completion.result(), completion.fault()) {
            (_, Some((code, detail))) => Self::Fault(Fault::new(code, detail)),
            (result, None) => Self::Done(result.unwrap_or_default()),
        }
    }
}

/// Of each pair `result` and `fault` with `detail`, the one that does not apply is null.
impl Serialize for SlotReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields {
            status: &'static str,
            result: Option<u64>,
            fault: Option<String>,
            detail: Option<u16>,
        }
        match self {
            Self::Done(result) => Fields { status: "DONE", result: Some(*result), fault: None, detail: None },
            Self::Fault(Fault { code, detail }) => {
                Fields { status: "FAULT", result: None, fault: Some(code.to_string()), detail: Some(*detail) }
            }
        }
        .serialize(serializer)
    }
}

/// A tenant once all batches have ended.
#[derive(Serialize)]
pub struct TenantReport {
    id: u32,
    name: String,
    published: u64,
    done: u64,
    faults: u64,
    throttled: u64,
    window: Window,
    debug_log: Log,
}

/// A tenant's words of the control buffer.
#[derive(Serialize)]
struct Window {
    first: u32,
    words: Vec<u32>,
}

impl TenantReport {
    pub fn new(counters: Option<&TenantSnapshot>, first: u32, words: &[u32], debug_log: Log) -> Self {
        let TenantSnapshot { id, name, published, done, faults, throttled, .. } =
            counters.cloned().unwrap_or_default();
        let window = Window { first, words: words.to_vec() };
        Self { id, name, published, done, faults, throttled, window, debug_log }
    }
}

/// The counters of the control buffer, and its observables.
#[derive(Serialize)]
pub struct Control {
    done_count: u32,
    fault_count: u32,
    epoch: u32,
    metrics: Vec<u32>,
    observables: Vec<u32>,
}

impl Control {
    /// From the words of a control buffer.
    pub fn new(words: &[u32]) -> Self {
        let word = |index: u32| words.get(index as usize).copied().unwrap_or_default();
        Self {
            done_count: word(DONE_COUNT),
            fault_count: word(FAULT_COUNT),
            epoch: word(EPOCH),
            metrics: (0..METRICS_WORDS).map(|op| word(METRICS_BASE + op)).collect(),
            observables: words.iter().skip(OBSERVABLE_BASE as usize).copied().collect(),
        }
    }
}

#[derive(Serialize)]
pub struct Log {
    records: Vec<LogRecord>,
    lost: u64,
}

#[derive(Serialize)]
struct LogRecord {
    fmt_id: u32,
    args: [u32; 3],
}

impl Log {
    pub fn new(log: &DebugLog) -> Self {
        let records = log.records.iter().map(|r| LogRecord { fmt_id: r.fmt_id, args: r.args }).collect();
        Self { records, lost: log.lost }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} mode on {}\n", self.mode, self.driver)?;
        writeln!(f, "batch  slot  status result")?;
        for (index, batch) in self.batches.iter().enumerate() {
            if !self.tenants.is_empty() {
                writeln!(f, "{:>5}  of {}", index + 1, batch.tenant)?;
            }
            for (slot, report) in batch.slots.iter().enumerate() {
                write!(f, "{:>5} {slot:>5}  ", index + 1)?;
                match report {
                    SlotReport::Done(result) => writeln!(f, "DONE   {result}")?,
                    SlotReport::Fault(fault) => writeln!(f, "FAULT  {fault}")?,
                }
            }
            match batch.epoch {
                Some(epoch) => writeln!(f, "{:>5} fence  DONE   epoch {epoch}", index + 1)?,
                None => writeln!(f, "{:>5} fence  did not complete", index + 1)?,
            }
        }
        self.control.fmt(f)?;
        self.debug_log.fmt(f)?;
        self.tenants.iter().try_for_each(|tenant| tenant.fmt(f))
    }
}

impl fmt::Display for TenantReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, published, done, faults, throttled, window, debug_log } = self;
        writeln!(
            f,
            "\ntenant {id}, {name}: {published} published, {done} done, {faults} faults, {throttled} throttled"
        )?;
        words(f, &format!("words of its window, from {} on,", window.first), &window.words)?;
        debug_log.fmt(f)
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} done, {} faults, epoch {}", self.done_count, self.fault_count, self.epoch)?;
        words(f, "executions by opcode", &self.metrics)?;
        words(f, "observables", &self.observables)
    }
}

/// The words that are not zero, by their index.
fn words(f: &mut fmt::Formatter<'_>, name: &str, words: &[u32]) -> fmt::Result {
    write!(f, "{name} that are not 0:")?;
    let mut shown = words.iter().enumerate().filter(|(_, word)| **word != 0).peekable();
    if shown.peek().is_none() {
        write!(f, " none")?;
    }
    for (index, word) in shown {
        write!(f, " [{index}]={word}")?;
    }
    writeln!(f)
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.records.is_empty() || self.lost > 0 {
            writeln!(f, "debug log, {} records lost:", self.lost)?;
        }
        for LogRecord { fmt_id, args: [a, b, c] } in &self.records {
            writeln!(f, "  format {fmt_id}: {a} {b} {c}")?;
        }
        Ok(())
    }
}
