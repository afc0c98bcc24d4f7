//! Metrics: the text by the grammar of OpenMetrics 1.0, and HTTP by those who send what they like.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use ringfence::observe::{
    LevelSnapshot, ObserveError, ObserveOptions, Observer, Snapshot, TenantSnapshot, TenantState, VERSION,
};

use ringfence::runtime::{Mode, Runtime};

use super::rig::{PATIENCE, wait_for};

const REQUEST: &str = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

/// Names that have to be escaped, and the text of each in the metrics.
const NAMES: [(&str, &str); 4] = [
    ("system", "system"),
    ("a\"b", "a\\\"b"),
    ("back\\slash\nline", "back\\\\slash\\nline"),
    ("ü, {}#=1", "ü, {}#=1"),
];

fn snapshot() -> Snapshot {
    let tenant = |(id, (name, _)): (u32, &(&str, &str))| TenantSnapshot {
        id,
        name: (*name).into(),
        weight: 3,
        state: if id == 1 { TenantState::Paused } else { TenantState::Running },
        published: 1000 * u64::from(id) + 10,
        done: 7 * u64::from(id),
        faults: u64::from(id),
        throttled: 5 << (20 * id),
        credits_left: (id > 0).then_some(4),
        credits_limit: (id > 0).then_some(100),
        cap: (id == 3).then_some(64),
        cpu_copied_bytes: 1 << 40,
        ..TenantSnapshot::default()
    };
    Snapshot {
        version: VERSION,
        program: "a \"test\"\\".into(),
        mode: "live".into(),
        uptime_ns: 1_500_000_000,
        levels: std::array::from_fn(|level| LevelSnapshot {
            name: ringfence::observe::LEVEL_NAMES[level].into(),
            slots: 16,
            in_use: level as u32,
            claims: 11,
        }),
        tenants: (0..).zip(&NAMES).map(tenant).collect(),
        ..Snapshot::default()
    }
    .with_totals()
}

fn observer() -> (Observer, SocketAddr) {
    let options = ObserveOptions { metrics: Some(([127, 0, 0, 1], 0).into()), ..ObserveOptions::default() };
    let observer = Observer::new(&options, || Some(snapshot())).expect("a port");
    let address = observer.metrics().expect("an address");
    (observer, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.set_write_timeout(Some(PATIENCE)).expect("an option");
    stream
}

/// All that comes back; none when the connection broke.
fn exchange(address: SocketAddr, request: &[u8]) -> Option<String> {
    let mut stream = connect(address);
    // Of a request that is too long the rest may not be taken.
    let _ = stream.write_all(request);
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok().map(|_| reply)
}

fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").expect("a head").1
}

/// A family: its type, and its samples by their labels.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: BTreeMap<Vec<(String, String)>, f64>,
}

/// Reads the text by the grammar, strictly.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let lines = text.strip_suffix("# EOF\n").expect("the end mark, and nothing behind it").lines();
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut told = BTreeSet::new();
    for line in lines {
        if let Some(about) = line.strip_prefix("# ") {
            let (what, rest) = about.split_once(' ').expect("a keyword");
            let (name, value) = rest.split_once(' ').expect("a name");
            assert!(is_name(name) && !value.is_empty(), "{line}");
            if name != current {
                assert!(!families.contains_key(name), "families stand together: {line}");
                name.clone_into(&mut current);
            }
            let family = families.entry(name.to_owned()).or_default();
            assert!(
                family.samples.is_empty() && told.insert((name, what)),
                "before its samples, once: {line}"
            );
            match what {
                "TYPE" => value.clone_into(&mut family.kind),
                "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                "HELP" => {}
                _ => panic!("{line}"),
            }
            continue;
        }
        let (name, rest) = line.split_at(line.find(['{', ' ']).expect("a name and a value"));
        let family = families.get_mut(&current).expect("a family");
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            "gauge" => "",
            kind => panic!("{kind}: {line}"),
        };
        assert_eq!(name, format!("{current}{suffix}"), "{line}");
        let (labels, value) = labels(rest);
        let value = value.strip_prefix(' ').expect("one blank");
        assert!(
            value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'),
            "no time, no exemplar: {line}"
        );
        let value = value.parse().expect("a number");
        assert!(family.samples.insert(labels, value).is_none(), "twice: {line}");
    }
    assert!(families.values().all(|family| !family.kind.is_empty()), "{families:?}");
    families
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The labels at the start of `text`, sorted and unescaped, and what follows them.
fn labels(text: &str) -> (Vec<(String, String)>, &str) {
    let Some(mut text) = text.strip_prefix('{') else { return (Vec::new(), text) };
    let mut labels = Vec::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("a label");
        assert!(is_name(name), "{name}");
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next().expect("an end of the value") {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next().expect("an escaped character").1 {
                    'n' => '\n',
                    c @ ('"' | '\\') => c,
                    c => panic!("\\{c} is no escape"),
                }),
                (_, c) => value.push(c),
            }
        };
        labels.push((name.to_owned(), value));
        text = &rest[end..];
        if let Some(rest) = text.strip_prefix('}') {
            labels.sort();
            return (labels, rest);
        }
        text = text.strip_prefix(',').expect("a comma");
    }
}

#[test]
fn the_text_keeps_to_the_grammar_and_adds_up() {
    let (_observer, address) = observer();
    let reply = exchange(address, REQUEST.as_bytes()).expect("a reply");
    let head = reply.split("\r\n\r\n").next().expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let kind = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.lines().any(|line| line == kind), "{head}");
    for (_, escaped) in NAMES {
        assert!(reply.contains(&format!("name=\"{escaped}\"")), "{escaped}");
    }
    let families = parse(body(&reply));
    let wanted = snapshot();
    let total = |name: &str| families[name].samples[&Vec::new()];
    for (what, value) in [
        ("slots_published", wanted.published),
        ("slots_ended", wanted.ended),
        ("slots_done", wanted.done),
        ("slots_faulted", wanted.faults),
        ("slots_throttled", wanted.throttled),
        ("cpu_copied_bytes", wanted.cpu_copied_bytes),
        ("slots_outstanding", wanted.outstanding),
    ] {
        let tenants = &families[&format!("ringfence_tenant_{what}")].samples;
        assert_eq!(total(&format!("ringfence_{what}")), value as f64, "{what}");
        assert_eq!(tenants.values().sum::<f64>(), value as f64, "the tenants' {what}");
        let names: BTreeSet<_> = tenants.keys().map(|labels| labels[0].1.as_str()).collect();
        assert_eq!(names, NAMES.iter().map(|(name, _)| *name).collect(), "{what}");
    }
    let sum = |name: &str| families[name].samples.values().sum::<f64>();
    assert_eq!(sum("ringfence_level_slots_claimed"), 55.0);
    assert_eq!(sum("ringfence_level_slots_in_use"), 10.0);
    assert_eq!(sum("ringfence_uptime_seconds"), 1.5);
    assert_eq!(
        families["ringfence_tenant_slots_outstanding_limit"].samples.len(),
        1,
        "only where there is one"
    );
    assert_eq!(families["ringfence_tenant_credits"].samples.len(), 3);
    assert_eq!(families["ringfence_runtime"].kind, "info");
    assert_eq!(total("ringfence_up"), 1.0);
}

#[test]
fn bad_requests_leave_the_others_alone() {
    let (observer, address) = observer();
    let good = || {
        let reply = exchange(address, REQUEST.as_bytes()).expect("a reply");
        assert!(reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("# EOF\n"), "{reply}");
    };
    let endless = "x".repeat(1 << 20);
    let cases: [(&str, &str); 6] = [
        ("snapshot\n", "400"),
        ("\0\0\0\0", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("DELETE /metrics HTTP/1.1\r\n\r\n", "405"),
        (&format!("GET /metrics HTTP/1.1\r\nX: {endless}"), "431"),
        (&format!("GET /{endless}"), "431"),
    ];
    for (request, status) in cases {
        let name = &request[..request.len().min(30)];
        match exchange(address, request.as_bytes()) {
            Some(reply) => assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {reply}"),
            // A reset may take the reply from those who go on sending behind it.
            None => assert_eq!(status, "431", "{name}"),
        }
        good();
    }
    // More than are let in at once: nothing, or half a request.
    let idle: Vec<_> = (0..40).map(|_| connect(address)).collect();
    good();
    let mut half: Vec<_> = (0..40).map(|_| connect(address)).collect();
    half.iter_mut().for_each(|stream| drop(stream.write_all(&REQUEST.as_bytes()[..20])));
    good();
    drop((idle, half));
    good();
    std::thread::scope(|scope| (0..100).for_each(|_| drop(scope.spawn(good))));
    drop(observer);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_port_in_use_is_refused() {
    let (_observer, address) = observer();
    let options = ObserveOptions { metrics: Some(address), ..ObserveOptions::default() };
    let error = Observer::new(&options, || None).expect_err("it is taken");
    assert!(matches!(&error, ObserveError::Metrics { address: at, .. } if *at == address), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_runtime_that_has_gone_is_told() {
    let options = ObserveOptions { metrics: Some(([127, 0, 0, 1], 0).into()), ..ObserveOptions::default() };
    let observer = Observer::new(&options, || None).expect("a port");
    let reply = exchange(observer.metrics().expect("an address"), REQUEST.as_bytes()).expect("a reply");
    assert!(reply.starts_with("HTTP/1.1 503 ") && reply.contains("has ended"), "{reply}");
}

#[test]
fn an_observer_does_not_keep_its_runtime() {
    let runtime = Runtime::builder().mode(Mode::Epoch).build().expect("a runtime");
    let options = ObserveOptions { metrics: Some(([127, 0, 0, 1], 0).into()), ..ObserveOptions::default() };
    let observer = runtime.observe(&options).expect("a port");
    let address = observer.metrics().expect("an address");
    let reply = exchange(address, REQUEST.as_bytes()).expect("a reply");
    assert_eq!(parse(body(&reply))["ringfence_slots"].samples[&Vec::new()], 256.0);
    drop(runtime);
    wait_for("the end", || {
        exchange(address, REQUEST.as_bytes())
            .is_some_and(|reply| reply.starts_with("HTTP/1.1 503 "))
            .then_some(())
    });
}
