"""docs/performance.md out of the records that tools/bench stores.

The goals are those of the project's design; each is a function of one driver's results. Where a goal is not
met, the page says by how much: nothing in it is written by hand.
"""

import statistics

# Speed goals hold on this driver; the others must be correct, and their figures are printed.
GOAL_DRIVER = "lavapipe-25.0"
# A discrete device with goals of its own, should its results be there.
DISCRETE = "H200"
# Two threads that exchange a cache line faster than this sit on near cores.
NEAR_NS = 250
# "Costs no CPU": a clock of the bench's own and the launcher's going to rest, once, are all that may be there.
IDLE_MS_PER_S = 0.1


# The io bench with each engine.
IO = ("io", "io-threads")
# Benches whose goals depend on the floor.
FLOORED = ("latency-256", "latency-65536", "throughput-64")
VERDICT = {True: " (met)", False: " (missed)", None: ""}
ELSEWHERE = (
    "Goals that no bench measures: that no slot is lost or done twice is tested by `tests/runtime_soak.rs` with ten "
    "million; with a thousand million (`RINGFENCE_SOAK=1000000000 cargo test --release --test runtime_soak`, lavapipe 25.0, "
    "2026-11-20) 3,728,656 workers took over from each other in 155 s. That scan's lines are those of grep is tested by "
    "`tests/scan_real.rs`. Why many words are slower than few is told in docs/scan.md.\n\n"
    "The page of commit 21f1646 was of a faster machine (aho-corasick on one thread: 0.614 GB/s for 96 literals): there "
    "lavapipe 25.0 scanned 2.88 GB/s, completed 23.7 M slots/s with 64 in flight, and a CRITICAL slot's p99 was 17 us.\n"
)


class Results:
    """The results of one driver by bench."""

    def __init__(self, records):
        self.records = {record["bench"]: record for record in records}

    def get(self, bench, *path):
        """A figure, or None when the bench gave none."""
        value = (self.records.get(bench) or {}).get("result")
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def case(self, patterns, key):
        """A figure of the scan bench for so many patterns."""
        for case in self.get("scan", "cases") or []:
            if case.get("patterns") == patterns:
                return case.get(key)
        return None

    def read(self, source, bytes_, depth, key):
        """A figure of the io bench for one kind of read."""
        for case in self.get("io", "cases") or []:
            if (case.get("source"), case.get("bytes"), case.get("depth")) == (source, bytes_, depth):
                return case.get(key)
        return None

    def crowd(self, n):
        """Slots a second of the sharing bench with so many tenants."""
        for crowd in self.get("sharing", "tenants") or []:
            if crowd.get("n") == n:
                return crowd.get("slots_per_s")
        return None

    def behind(self):
        """How much longer a read takes that the kernel asks for, one at a time from the page cache."""
        gpu, raw = (self.read("page_cache", 4096, 1, key) for key in ("gpu_p50_ns", "raw_p50_ns"))
        return None if gpu is None or raw is None else gpu - raw

    def near(self, bench):
        return is_near(self.get(bench, "floor_p50_ns"))

    def near_read(self, source, bytes_, depth):
        return is_near(self.read(source, bytes_, depth, "floor_p50_ns"))


def is_near(floor):
    return floor is not None and floor < NEAR_NS


def cores(near):
    return "near cores" if near else "far cores"


def goals(r):
    """(goal, bench, measured, limit, unit, whether more is better) for one driver; figures may be None."""

    def scaled(value, factor, plus=0):
        return None if value is None else value * factor + plus

    rows = []
    for ring in (256, 65536):
        bench = f"latency-{ring}"
        floor = r.get(bench, "floor_p50_ns")
        near = r.near(bench)
        rows += [
            (f"publish to seen, p50, ring of {ring:,} (0.25 us + 1.5 floors)", bench, r.get(bench, "p50_ns"),
             scaled(floor, 1.5, 250), "ns", False),
            (f"publish to seen, p99, ring of {ring:,} (0.5 us + 1.8 floors)", bench, r.get(bench, "p99_ns"),
             scaled(floor, 1.8, 500), "ns", False),
            (f"times below epoch mode, ring of {ring:,} ({cores(near)})", bench, r.get(bench, "submit_ratio"),
             120 if near else 70, "x", True),
            (f"open loop at {r.get(bench, 'open_loop', 'rate') or 20000:,}/s, p99, ring of {ring:,}",
             bench, r.get(bench, "open_loop", "p99_ns"), 50_000, "ns", False),
        ]
    near = r.near("throughput-64")
    many, past, alone = (cores(r.near_read(*read)) for read in (
        ("page_cache", 4096, 64), ("direct", 4096, 64), ("page_cache", 4096, 1)))
    rows += [
        (f"verified slots with 64 in flight ({cores(near)})", "throughput-64", r.get("throughput-64", "slots_per_s"),
         25e6 if near else 12e6, "slots/s", True),
        ("first verified slot, warm", "startup", r.get("startup", "warm_ms"), 60, "ms", False),
        ("stop of a busy runtime, worst", "startup", r.get("startup", "stop_worst_ms"), 5, "ms", False),
        ("processor time while idle", "startup", r.get("startup", "idle_cpu_ms_per_s"), IDLE_MS_PER_S, "ms/s", False),
        ("scan, 96 literals", "scan", r.case(96, "slots_gbps"), 2, "GB/s", True),
        ("scan, 96 literals, of the bare kernel", "scan",
         ratio(r.case(96, "slots_gbps"), r.case(96, "bare_gbps")), 0.9, "x", True),
        ("scan, 2,500 words, of 96 literals", "scan",
         ratio(r.case(2500, "slots_gbps"), r.case(96, "slots_gbps")), 0.6, "x", True),
        ("scan, 2,500 words, of aho-corasick on one thread", "scan",
         ratio(r.case(2500, "slots_gbps"), r.case(2500, "aho_corasick_gbps")), 4, "x", True),
        (f"4 KiB reads asked for by the kernel, 64 at a time, page cache, of io_uring alone ({many})", "io",
         r.read("page_cache", 4096, 64, "ratio"), 0.95, "x", True),
        (f"the same past the page cache ({past})", "io", r.read("direct", 4096, 64, "ratio"), 0.95, "x", True),
        (f"the same one at a time, page cache, p50 above io_uring alone ({alone})", "io", r.behind(), 1500, "ns", False),
        ("streaming, of io_uring alone: chunks that arrive", "io", r.get("io", "stream", "ratio"), 0.95, "x", True),
        ("the same: chunks that are summed", "io", r.get("io", "stream", "summed", "ratio"), 0.95, "x", True),
        ("bytes of storage that the processor copies", "io", r.get("io", "cpu_copied_bytes"), 0, "bytes", False),
        ("a CRITICAL slot beside a flood of scans, p99", "sharing", r.get("sharing", "beside", "p99_ns"), 25_000, "ns",
         False),
        ("share of a tenant, off its weight's at most", "sharing", r.get("sharing", "shares_worst_percent"), 5, "%",
         False),
        ("slots with 64 tenants, of those with one", "sharing", ratio(r.crowd(64), r.crowd(1)), 0.8, "x", True),
    ]
    return rows


def discrete_goals(r):
    """As `goals`, for a device across PCIe."""
    return [
        ("publish to seen, p50, ring of 256", "latency-256", r.get("latency-256", "p50_ns"), 2000, "ns", False),
        ("verified slots with 4,096 in flight", "throughput-4096", r.get("throughput-4096", "slots_per_s"), 20e6,
         "slots/s", True),
    ]


def is_discrete(r):
    return DISCRETE in str(r.get("latency-256", "device"))


def ratio(a, b):
    return a / b if a is not None and b else None


def show(value, unit):
    """A figure with its unit, at three significant digits."""
    if value is None:
        return "-"
    if unit == "ns":
        return f"{digits(value / 1000)} us"
    if unit == "slots/s":
        return f"{digits(value / 1e6)} M/s"
    if unit == "x":
        return f"{digits(value)}x"
    return f"{digits(value)} {unit}"


def digits(value):
    """Three significant digits, and never an exponent for what is large."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"


def met(measured, limit, more):
    """True, False, or None where a figure is missing."""
    if measured is None or limit is None:
        return None
    return measured >= limit if more else measured <= limit


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def middle(runs):
    """Of each figure the one in the middle of these runs (the lower of two), each by itself."""
    first = runs[0]
    if isinstance(first, dict):
        return {key: middle([run[key] for run in runs]) for key in first}
    if isinstance(first, list) and all(len(run) == len(first) for run in runs):
        return [middle(list(entries)) for entries in zip(*runs)]
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return statistics.median_low(runs)
    return first


def page(records):
    by_driver = {}
    for record in records:
        by_driver.setdefault(record["driver"], []).append(record)
    drivers = {name: Results(found) for name, found in sorted(by_driver.items())}
    parts = [
        "# Performance\n\n"
        "Written by `tools/bench`; change the program, not this page. Each figure is the middle one of its "
        "bench's runs, by itself (in records of before 2026-11-23: of the run in the middle). \"Floor\" is what two host threads take to exchange one cache line in the same "
        "run; it depends on which cores they got. How each bench measures is told by "
        "`ringfence bench --help`.\n",
        goals_section(drivers),
        *figures(drivers),
        losses(drivers),
        origin(records),
    ]
    return "\n".join(parts)


def goals_section(drivers):
    text = cpu_goals({name: r for name, r in drivers.items() if not is_discrete(r)})
    for name, result in drivers.items():
        if is_discrete(result):
            rows = [[goal, bench, f"{'>=' if more else '<='} {show(limit, unit)}",
                     show(measured, unit) + VERDICT[met(measured, limit, more)]]
                    for goal, bench, measured, limit, unit, more in discrete_goals(result)]
            text += f"\nFor the {DISCRETE}:\n\n" + table(["goal", "bench", "limit", name], rows)
    return "## Goals\n\n" + text + "\n" + ELSEWHERE


def cpu_goals(drivers):
    if not drivers:
        return ""
    names = list(drivers)
    columns = {name: goals(result) for name, result in drivers.items()}
    rows = []
    for index in range(max(map(len, columns.values()))):
        first = columns.get(GOAL_DRIVER, columns[names[0]])[index]
        goal, bench, _, limit, unit, more = first
        cells = [goal, bench, f"{'>=' if more else '<='} {show(limit, unit)}"]
        for name in names:
            _, _, measured, limit, unit, more = columns[name][index]
            verdict = VERDICT[met(measured, limit, more)] if name == GOAL_DRIVER else ""
            cells.append(show(measured, unit) + verdict)
        rows.append(cells)
    return (
        f"The goals are set for {GOAL_DRIVER}; a limit in floors is worked out with the floor of its own run "
        f"({floors(drivers.get(GOAL_DRIVER))}). The commands of the benches are at the end.\n\n"
        + table(["goal", "bench", "limit", *names], rows)
    )


def floors(r):
    """The floors of the goals' benches, in words."""
    found = [f"{bench} {show(r.get(bench, 'floor_p50_ns'), 'ns')}, {cores(r.near(bench))}"
             for bench in FLOORED if r and r.get(bench, "floor_p50_ns") is not None]
    return "; ".join(found) or "not measured"


def figures(drivers):
    latency = [
        [name, f"{ring:,}", *(show(r.get(f"latency-{ring}", key), "ns") for key in
                              ("p50_ns", "p99_ns", "p999_ns", "submit_p50_ns", "floor_p50_ns")),
         *(show(r.get(f"latency-{ring}", "open_loop", key), "ns") for key in ("p50_ns", "p99_ns", "p999_ns"))]
        for name, r in drivers.items() for ring in (256, 65536)
    ]
    yield "## Latency\n\nOne slot at a time, publish to seen and checked.\n\n" + table(
        ["driver", "ring", "p50", "p99", "p99.9", "epoch mode p50", "floor p50", "open loop p50", "p99", "p99.9"],
        latency)
    throughput = [
        [name, f"{n:,}", show(r.get(f"throughput-{n}", "slots_per_s"), "slots/s"),
         r.get(f"throughput-{n}", "dispatches") if r.get(f"throughput-{n}") else "-",
         show(r.get(f"throughput-{n}", "floor_p50_ns"), "ns")]
        for name, r in drivers.items() for n in (1, 64, 4096)
    ]
    yield "## Throughput\n\nSlots completed and verified. Dispatches are those of the whole run.\n\n" + table(
        ["driver", "in flight", "slots", "dispatches", "floor p50"], throughput)
    scan = [
        [name, case.get("patterns"), case.get("workers"),
         *(show(case.get(key), "GB/s") for key in ("slots_gbps", "bare_gbps", "aho_corasick_gbps"))]
        for name, r in drivers.items() for case in r.get("scan", "cases") or []
    ]
    yield "## Scan\n\nText in memory. \"Bare\" is one dispatch of the same automaton without slots.\n\n" + table(
        ["driver", "patterns", "workers", "through slots", "bare", "aho-corasick, one thread"], scan)
    reads = [
        [name, r.get(bench, "engine"), case.get("source"), f"{case.get('bytes'):,}", case.get("depth"),
         show(case.get("gpu_iops"), "slots/s"), show(case.get("raw_iops"), "slots/s"), show(case.get("ratio"), "x"),
         show(case.get("gpu_p50_ns"), "ns"), show(case.get("raw_p50_ns"), "ns"), show(case.get("floor_p50_ns"), "ns")]
        for name, r in drivers.items() for bench in IO for case in r.get(bench, "cases") or []
    ]
    yield (
        "## Storage\n\nRandom reads that the kernel asks for and sums, against io_uring alone, whose reads the host "
        "sums. The time of the kernel's reads is that of a slot of 16, from its publication until its result was seen, "
        "divided by 16; that of io_uring's from the submission until the completion was seen.\n\n"
        + table(["driver", "engine", "source", "bytes", "at a time", "reads/s", "io_uring alone", "ratio", "p50",
                 "io_uring alone", "floor p50"], reads)
        + "\nStreaming from the page cache: chunks that arrive, of which the first words are summed, and chunks of which "
        "all is.\n\n"
        + table(["driver", "engine", "chunk", "at a time", "arriving", "io_uring alone", "`read`", "ratio",
                 "summed", "io_uring alone", "`read`", "ratio"],
                [[name, r.get(bench, "engine"), f"{r.get(bench, 'stream', 'chunk_bytes'):,}",
                  r.get(bench, "stream", "depth"),
                  *(show(r.get(bench, "stream", *part, key), unit) for part in ((), ("summed",))
                    for key, unit in (("gbps", "GB/s"), ("raw_gbps", "GB/s"), ("read_gbps", "GB/s"), ("ratio", "x")))]
                 for name, r in drivers.items() for bench in IO if r.get(bench, "stream")])
    )
    sharing = [
        [name, *(show(r.get("sharing", who, key), "ns") for who in ("alone", "beside") for key in ("p50_ns", "p99_ns")),
         show(r.get("sharing", "flood", "gbps"), "GB/s"),
         ", ".join(f"{share['weight']}: {100 * share['share']:.1f} %" for share in r.get("sharing", "shares") or []) or "-",
         *(show(r.crowd(n), "slots/s") for n in (1, 8, 64)), show(r.get("sharing", "floor_p50_ns"), "ns")]
        for name, r in drivers.items()
    ]
    yield (
        "## Sharing\n\nA CRITICAL slot of one tenant's every 100 us, alone and beside another's flood of LOW scans of "
        "192 KiB; what tenants with work get of the claims, by their weights; slots with 1, 8 and 64 tenants, 64 in "
        "flight in all.\n\n"
        + table(["driver", "alone p50", "p99", "beside the flood p50", "p99", "the flood", "shares by weight", "1 tenant",
                 "8", "64", "floor p50"], sharing)
    )
    handlers = [
        [name, *(show(r.get("handlers", what, key), "GB/s")
                 for what, key in (("xxh64", "gbps"), ("xxh64", "xxhash_rust_gbps"), ("topk", "gbps"),
                                   ("topk", "itertools_gbps"))),
         *(show(r.get("handlers", "lookup", key), "slots/s") for key in ("per_s", "hashbrown_per_s")),
         *(show(r.get("handlers", "dispatch", key), "slots/s")
           for key in ("handler_per_s", "built_in_per_s", "without_handlers_per_s"))]
        for name, r in drivers.items()
    ]
    yield (
        "## Handlers\n\nOperations of users', 64 slots in flight, every result verified: xxHash64 of ranges of 64 KiB and the "
        "16 largest of as many numbers, a subgroup a slot, and look-ups among 100,000 keys, a lane each; beside each what a "
        "crate does on one thread (xxhash-rust, itertools, hashbrown). Then a store by a handler, by the built-in "
        "STORE_U32 of the same kernel, and by that of a kernel without handlers.\n\n"
        + table(["driver", "xxHash64", "crate", "16 largest", "crate", "look-ups", "crate", "store by a handler",
                 "built in", "without handlers"], handlers)
    )
    kernels = [
        [name, f"{kernel['opcodes']}", f"{kernel['bytes']:,}", f"{kernel['loops']}", show(kernel["p50_ns"], "ns"),
         show(kernel["slots_per_s"], "slots/s")]
        for name, r in drivers.items() for kernel in r.get("cut", "kernels") or []
    ]
    yield (
        "## What opcodes cost that nobody submits\n\nStores and loads, one and 64 in flight, in three kernels by turns: one "
        "that was cut to these two opcodes (and the three that every kernel has), one with all that a lane executes by "
        "itself, which is what runtimes have that do not say otherwise, and one with everything but storage.\n\n"
        + table(["driver", "opcodes", "bytes", "loops", "p50", "64 in flight"], kernels)
    )
    startup = [[name, *(show(r.get("startup", key), "ms")
                        for key in ("cold_ms", "warm_ms", "stop_ms", "stop_worst_ms")),
                show(r.get("startup", "idle_cpu_ms_per_s"), "ms/s")]
               for name, r in drivers.items()]
    yield (
        "## Start, stop and rest\n\n"
        "Process start to the first verified slot; cold is with the driver's cache empty. Stop is from the begin of "
        "a busy runtime's drop until all slots have ended and the device is gone. Idle is the processor time of the "
        "whole process while no dispatch is in flight.\n\n"
        + table(["driver", "start, cold", "start, warm", "stop, median", "stop, worst", "idle"], startup)
    )


def losses(drivers):
    lines = []
    for name, result in drivers.items():
        own = is_discrete(result)
        for goal, _, measured, limit, unit, more in discrete_goals(result) if own else goals(result):
            if met(measured, limit, more) is False:
                factor = limit / measured if more else measured / max(limit, 1)
                whose = "" if own or name == GOAL_DRIVER else " (no goal for this driver)"
                lines.append(f"- {name}: {goal}: {show(measured, unit)}, wanted {'>=' if more else '<='} "
                             f"{show(limit, unit)}; short by a factor of {factor:.2f}{whose}.")
        for case in result.get("scan", "cases") or []:
            ours, theirs = case.get("slots_gbps"), case.get("aho_corasick_gbps")
            if ours is not None and theirs is not None and ours < theirs:
                lines.append(f"- {name}: scanning for {case.get('patterns')} patterns is slower than the "
                             f"aho-corasick crate on one thread: {ours:.3g} against {theirs:.3g} GB/s.")
        for bench, record in result.records.items():
            if record.get("problem"):
                lines.append(f"- {name}: the bench {bench} did not finish: {record['problem']}.")
            elif bench.startswith("latency") and met(result.get(bench, "submit_ratio"), 1, True) is False:
                lines.append(f"- {name}: {bench}: live mode is slower than one submission per job.")
    absent = [goal for goal, _, measured, *_ in goals(drivers.get(GOAL_DRIVER, Results([]))) if measured is None]
    if absent:
        lines.append(f"- {GOAL_DRIVER}: not measured: {'; '.join(absent)}.")
    return "## Where it loses\n\n" + ("\n".join(lines) or "No goal was missed in these runs.") + "\n"


def origin(records):
    machines = sorted({f"{r['machine']}; {r['rustc']}" for r in records})
    rows = [[r["driver"], r["bench"], f"`{r['command']}`", (r.get("result") or {}).get("device", "-"),
             (r.get("result") or {}).get("driver", "-"), (r.get("result") or {}).get("mode", "-"),
             machines.index(f"{r['machine']}; {r['rustc']}") + 1, r["runs"], rounds(r), r["commit"], r["date"]]
            for r in records]
    listed = "\n".join(f"{number}. {machine}" for number, machine in enumerate(machines, 1))
    return ("## Where the figures come from\n\nEach command ran with VK_DRIVER_FILES naming the driver's manifest, as "
            "`tools/drivers` prints it. Machines:\n\n" + listed + "\n\n"
            + table(["driver", "bench", "command", "device", "as reported", "mode", "machine", "runs", "rounds used",
                     "commit", "date"], rows))


def rounds(record):
    """How many of its rounds a bench took, where it has any."""
    result = record.get("result") or {}
    return f"{result['rounds_used']} of {result['rounds']}" if "rounds_used" in result else "-"
