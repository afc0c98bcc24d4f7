//! A snapshot as OpenMetrics 1.0 text.
//!
//! One family of metrics for each counter, without labels for the total and with `tenant` and `name` for each
//! tenant; all of one snapshot, and so of one moment.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::snapshot::{LevelSnapshot, Snapshot, TenantSnapshot};

/// What HTTP calls it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text; none would mean that a name here is not one that OpenMetrics takes.
pub fn encode(snapshot: &Snapshot) -> Option<String> {
    let mut registry = Registry::with_prefix("ringfence");
    registry.register_collector(Box::new(Exposed(snapshot.clone())));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).ok()?;
    Some(text)
}

#[derive(Debug)]
struct Exposed(Snapshot);

/// A family: its name, its help, its values.
type Of<T, V> = (&'static str, &'static str, fn(&T) -> V);

/// Counters of the whole runtime that are sums of those of its tenants, and these.
const COUNTERS: [(Of<Snapshot, u64>, Of<TenantSnapshot, u64>); 6] = [
    (
        ("slots_published", "Slots published", |s| s.published),
        ("tenant_slots_published", "Slots published by a tenant", |t| t.published),
    ),
    (
        ("slots_ended", "Slots that have ended", |s| s.ended),
        ("tenant_slots_ended", "Slots of a tenant that have ended", |t| t.ended),
    ),
    (
        ("slots_done", "Slots that ended in DONE", |s| s.done),
        ("tenant_slots_done", "Slots of a tenant that ended in DONE", |t| t.done),
    ),
    (
        ("slots_faulted", "Slots that ended in FAULT", |s| s.faults),
        ("tenant_slots_faulted", "Slots of a tenant that ended in FAULT", |t| t.faults),
    ),
    (
        ("slots_throttled", "Slots put back for want of credits", |s| s.throttled),
        ("tenant_slots_throttled", "Slots of a tenant put back for want of credits", |t| t.throttled),
    ),
    (
        ("cpu_copied_bytes", "Bytes of transfers that the processor copied", |s| s.cpu_copied_bytes),
        ("tenant_cpu_copied_bytes", "Bytes of a tenant's transfers that the processor copied", |t| {
            t.cpu_copied_bytes
        }),
    ),
];

const GAUGES: [Of<Snapshot, u64>; 3] = [
    ("workers", "Workers of each dispatch", |s| s.workers.into()),
    ("slots", "Slots of the slab", |s| s.slots.into()),
    ("slots_outstanding", "Slots published that have not ended", |s| s.outstanding),
];

const LEVEL_GAUGES: [Of<LevelSnapshot, u64>; 2] = [
    ("level_slots", "Slots that a priority level may hold", |l| l.slots.into()),
    ("level_slots_in_use", "Slots of a priority level that are taken", |l| l.in_use.into()),
];

const TENANT_GAUGES: [Of<TenantSnapshot, Option<u64>>; 5] = [
    ("tenant_slots_outstanding", "Slots of a tenant that have not ended", |t| Some(t.outstanding)),
    ("tenant_slots_outstanding_limit", "Slots that a tenant may have outstanding", |t| t.cap),
    ("tenant_weight", "A tenant's share among those of a priority level", |t| Some(t.weight.into())),
    ("tenant_credits", "Claims that a tenant has left until the next refill", |t| t.credits_left),
    ("tenant_credits_limit", "Claims of a tenant between two refills", |t| t.credits_limit),
];

impl Collector for Exposed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let snapshot = &self.0;
        let about = [
            ("program", snapshot.program.as_str()),
            ("device", &snapshot.device),
            ("driver", &snapshot.driver),
            ("mode", &snapshot.mode),
        ];
        encoder
            .encode_descriptor("runtime", "What runs where", None, MetricType::Info)?
            .encode_info(&about.as_slice())?;
        let seconds = snapshot.uptime_ns as f64 / 1e9;
        let help = "Time from the building of the runtime to the moment of these values";
        ConstGauge::new(seconds).encode(encoder.encode_descriptor(
            "uptime",
            help,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?)?;
        let help = "Whether the runtime works; 0: the values are those from before it failed";
        gauge(
            encoder.encode_descriptor("up", help, None, MetricType::Gauge)?,
            snapshot.error.is_none().into(),
        )?;
        let help = "Dispatches handed to the queue";
        counter(
            encoder.encode_descriptor("dispatches", help, None, MetricType::Counter)?,
            snapshot.dispatches,
        )?;
        for (name, help, of) in GAUGES {
            gauge(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?, of(snapshot))?;
        }
        for (name, help, of) in LEVEL_GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for level in &snapshot.levels {
                gauge(family.encode_family(&[("level", level.name.as_str())])?, of(level))?;
            }
        }
        let help = "Slots claimed at a priority level";
        let mut family = encoder.encode_descriptor("level_slots_claimed", help, None, MetricType::Counter)?;
        for level in &snapshot.levels {
            counter(family.encode_family(&[("level", level.name.as_str())])?, level.claims)?;
        }
        for ((name, help, of), (tenant_name, tenant_help, of_tenant)) in COUNTERS {
            counter(encoder.encode_descriptor(name, help, None, MetricType::Counter)?, of(snapshot))?;
            let mut family =
                encoder.encode_descriptor(tenant_name, tenant_help, None, MetricType::Counter)?;
            for tenant in &snapshot.tenants {
                counter(family.encode_family(&labels(tenant))?, of_tenant(tenant))?;
            }
        }
        for (name, help, of) in TENANT_GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (tenant, value) in snapshot.tenants.iter().filter_map(|tenant| Some((tenant, of(tenant)?))) {
                gauge(family.encode_family(&labels(tenant))?, value)?;
            }
        }
        let help = "The state that a tenant is in";
        let mut family = encoder.encode_descriptor("tenant_state", help, None, MetricType::Gauge)?;
        for tenant in &snapshot.tenants {
            let [id, name] = labels(tenant);
            let state = ("state", tenant.state.name().to_owned());
            gauge(family.encode_family(&[id, name, state])?, 1)?;
        }
        Ok(())
    }
}

fn labels(tenant: &TenantSnapshot) -> [(&'static str, String); 2] {
    [("tenant", tenant.id.to_string()), ("name", tenant.name.clone())]
}

fn counter(encoder: MetricEncoder<'_>, value: u64) -> Result<(), Error> {
    ConstCounter::new(value).encode(encoder)
}

fn gauge(encoder: MetricEncoder<'_>, value: u64) -> Result<(), Error> {
    ConstGauge::new(value).encode(encoder)
}
