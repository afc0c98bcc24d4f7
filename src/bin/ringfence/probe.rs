//! `ringfence probe`: measures a device afresh and prints what was found.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use ringfence::io::arena::Arena;
use ringfence::io::transfer::{Description, TransferOptions, open_transfer};
use ringfence::probe::{Litmus, Placement, PlacementReport, Probe, ProbeReport};
use ringfence::vulkan::{Gpu, OpenOptions};
use serde::Serialize;

use crate::common::Global;

/// Measure what this device and driver really do, and which mode follows from it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Measure where data from storage is read best, also where it is near the device anyway.
    #[arg(long)]
    placement: bool,
}

/// What is printed: the device's report, and how storage would be served beside it.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    probe: &'a ProbeReport,
    storage: Storage,
}

/// The engine that this system gives for transfers, how its memory is the device's, and what both have to
/// do without.
#[derive(Serialize)]
struct Storage {
    engine: &'static str,
    /// `imported`, or `copied` by the CPU.
    memory: &'static str,
    /// Whether imported memory is near the device.
    device_local: Option<bool>,
    notes: Vec<String>,
}

impl Storage {
    fn look(gpu: &Gpu) -> Self {
        let opened =
            Arena::new(1 << 20).and_then(|arena| open_transfer(&TransferOptions::default(), &[arena]));
        let (engine, mut notes) = match opened {
            Ok(opened) => {
                let Description { name, notes } = opened.describe().clone();
                (name, notes)
            }
            Err(error) => ("none", vec![format!("no engine could be opened: {error}")]),
        };
        let device_local = gpu.info().import_device_local;
        let memory = if device_local.is_some() { "imported" } else { "copied" };
        let refused = "memory is not imported: the driver refuses the host's, and the CPU copies";
        let missing =
            "memory is not imported: the device has no VK_EXT_external_memory_host, and the CPU copies";
        match (gpu.info().import_alignment, device_local) {
            (_, Some(_)) => {}
            (Some(_), None) => notes.push(refused.to_owned()),
            (None, None) => notes.push(missing.to_owned()),
        }
        Self { engine, memory, device_local, notes }
    }

    fn memory(&self) -> &'static str {
        match self.device_local {
            Some(true) => "imported, device-local",
            Some(false) => "imported, across a bus",
            None => "copied by the CPU",
        }
    }
}

/// Runs the probe. The exit code is 0 whatever the mode.
///
/// # Errors
/// No device, one that lacks a feature, one that is lost; standard output that can't be written.
pub fn run(global: &Global, args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let gpu = Gpu::open(&OpenOptions { device: global.device.clone(), ..OpenOptions::default() })?;
    let mut report = Probe::run(&gpu)?;
    if args.placement && report.placement.is_none() {
        report.placement = Probe::placement(&gpu)?;
    }
    let report = Report { probe: &report, storage: Storage::look(&gpu) };
    let mut out = std::io::stdout().lock();
    if global.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print(&mut out, &report)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(out: &mut impl Write, all: &Report<'_>) -> std::io::Result<()> {
    let report = all.probe;
    let (lanes, live) = (&report.lanes, &report.live);
    let litmus = |litmus: Litmus| format!("{} of {}", litmus.violations, litmus.trials);
    let lines = [
        ("device", report.device.clone()),
        ("driver", format!("{} {}", report.driver, report.driver_info)),
        ("subgroup size", lanes.subgroup_size.to_string()),
        ("workgroup is one subgroup", yes(lanes.one_full_subgroup)),
        ("workers side by side", report.workers.to_string()),
        ("loop limit", report.loop_limit.map_or("none".into(), |limit| format!("{limit} turns"))),
        ("values survive divergent loops", yes(report.divergent_loops_work())),
        ("values survive uniform loops", yes(lanes.uniform_wrong == 0)),
        ("host's stores seen while running", format!("{} of {}", live.seen_by_device, live.one_at_a_time)),
        ("answers seen while running", format!("{} of {}", live.seen_by_host, live.one_at_a_time)),
        ("payloads later than their flag", litmus(live.host_to_device)),
        ("results later than their completion", litmus(live.device_to_host)),
        ("vectors seen in part", litmus(live.torn_vectors)),
        ("round trip, p50", microseconds(live.round_trip_p50_ns)),
        ("round trip, p99", microseconds(live.round_trip_p99_ns)),
        ("submission, p50", microseconds(report.submit_p50_ns)),
        ("storage engine", all.storage.engine.to_owned()),
        ("storage memory", all.storage.memory().to_owned()),
        ("data from storage", placement(report.placement.as_ref())),
        ("probe took", format!("{} ms", report.elapsed_ms)),
        ("mode", format!("{}: {}", report.mode, report.why)),
    ];
    for (name, value) in lines {
        writeln!(out, "{name:<36} {}", value.trim_end())?;
    }
    for note in &all.storage.notes {
        writeln!(out, "{:<36} {note}", "")?;
    }
    if !report.conclusive {
        eprintln!("ringfence: another run may find otherwise: the machine was busy or validation on");
    }
    Ok(())
}

fn placement(measured: Option<&PlacementReport>) -> String {
    let Some(measured) = measured else { return "in place: it is near the device".into() };
    let choice = match measured.choice {
        Placement::InPlace => "in place",
        Placement::Copied => "copied near the device",
    };
    let pays = match measured.pays_from {
        None => "never pays".into(),
        Some(1) => "pays at once".into(),
        Some(passes) => format!("pays from {passes} passes on"),
    };
    let rate =
        |bytes: u64| format!("{}.{:02} GB/s", bytes / 1_000_000_000, bytes % 1_000_000_000 / 10_000_000);
    format!(
        "{choice}: {} there, {} with a copy and one pass, {} for each more; a copy {pays}",
        rate(measured.in_place),
        rate(measured.copied),
        rate(measured.again)
    )
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.into()
}

fn microseconds(ns: u64) -> String {
    format!("{}.{:02} us", ns / 1000, ns % 1000 / 10)
}
