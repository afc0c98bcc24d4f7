//! The view on terminals of all sizes.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ringfence::observe::{LevelSnapshot, TenantSnapshot};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn tenant(id: u32) -> TenantSnapshot {
    TenantSnapshot {
        id,
        name: if id == 0 { "system".into() } else { format!("tenant-{id}") },
        weight: 1 + id,
        state: [TenantState::Running, TenantState::Paused, TenantState::Revoked][id as usize % 3],
        published: 2_000_000 + u64::from(id),
        done: 1_000_000,
        faults: u64::from(id % 2),
        throttled: 77,
        credits_left: (id > 0).then_some(55_555),
        ..TenantSnapshot::default()
    }
}

fn snapshot(tenants: u32, seconds: u64) -> Snapshot {
    Snapshot {
        version: 1,
        pid: 4321,
        program: "ringfence bench sharing".into(),
        device: "llvmpipe (LLVM 15.0.6, 256 bits)".into(),
        driver: "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)".into(),
        mode: "live".into(),
        workers: 3,
        uptime_ns: seconds * SECOND,
        dispatches: 16 * seconds,
        slots: 256,
        levels: std::array::from_fn(|level| LevelSnapshot {
            name: LEVEL_NAMES[level].into(),
            slots: [16, 16, 192, 16, 16][level],
            in_use: if level == 2 { 5 } else { 0 },
            claims: level as u64 * 1000 * seconds,
        }),
        tenants: (0..tenants).map(tenant).collect(),
        ..Snapshot::default()
    }
    .with_totals()
}

/// The second of two snapshots, one second apart.
fn seen(tenants: u32) -> Seen {
    let before = snapshot(tenants, 3723);
    let mut now = snapshot(tenants, 3724);
    now.tenants.iter_mut().for_each(|tenant| tenant.done += 1234);
    Seen::after(Some(&before), now.with_totals())
}

fn render(view: &mut View, columns: u16, rows: u16) -> (String, Buffer) {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal");
    terminal.draw(|frame| frame.render_widget(view, frame.area())).expect("it draws");
    let buffer = terminal.backend().buffer().clone();
    let lines = buffer.content.chunks(columns.max(1).into());
    let line = |line: &[ratatui::buffer::Cell]| line.iter().map(|cell| cell.symbol()).collect::<String>();
    (lines.map(line).collect::<Vec<_>>().join("\n"), buffer)
}

#[test]
fn what_there_is_room_for_is_shown() {
    let failed = |mut seen: Seen| {
        seen.snapshot.error = Some("the device was lost".into());
        seen
    };
    let named = |name: &str| {
        let mut seen = seen(3);
        seen.snapshot.tenants[2].name = name.into();
        seen
    };
    // Columns depend on the width.
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    /// What it is, what is to be seen, columns and rows, what the terminal shows, and what not.
    type Case = (&'static str, Option<Seen>, (u16, u16), &'static [&'static str], &'static [&'static str]);
    let whole: &[&str] = &[
        "ringfence bench sharing (process 4321), live mode, up 1:02:04",
        "llvmpipe (LLVM 15.0.6, 256 bits), llvmpipe Mesa 22.3.6 (LLVM 15.0.6)",
        "workers 3   dispatches 59584 (16/s)",
        "LEVEL",
        "CLAIM/S",
        "TENANT",
        "THROTTL CREDITS",
        "q quits",
    ];
    let cases: [Case; 14] = [
        ("nothing yet", None, (80, 24), &["no snapshot yet", "q quits"], &["TENANT"]),
        ("no tenants", Some(seen(0)), (80, 24), whole, &["system"]),
        ("one tenant", Some(seen(1)), (80, 24), whole, &["tenant-1", "tenants 1 to"]),
        (
            "one tenant's numbers",
            Some(seen(1)),
            (80, 24),
            &[
                "slots 999k of 256",
                "published 2.00M (0/s)   ended 1.00M (1234/s)   faults 0 (0/s)",
                "normal 192 5 7.45M 2000",
                "system 0 running 1 999k 1.00M 1234 0 77 -",
            ],
            &[],
        ),
        ("forty tenants", Some(seen(40)), (80, 24), whole, &["tenant-10 ", "tenant-39"]),
        ("which of them", Some(seen(40)), (80, 24), &["tenants 1 to 10 of 40", "tenant-9"], &[]),
        ("all of them", Some(seen(40)), (80, 60), &["tenant-39", "  55555"], &["tenants 1 to"]),
        ("states", Some(seen(3)), (80, 24), &["running", "paused", "revoked"], &[]),
        ("a failed runtime", Some(failed(seen(1))), (80, 24), &["the device was lost"], &["q quits"]),
        ("a name with a line", Some(named("a\nb\x1b[2Jc")), (80, 24), &["a\u{fffd}b\u{fffd}[2Jc"], &["\x1b"]),
        ("a long name", Some(named(&"x".repeat(500))), (80, 24), &["xxxx", "revoked"], &[]),
        ("a narrow terminal", Some(seen(40)), (30, 24), &["ringfence bench sharing"], &[]),
        ("a low terminal", Some(seen(40)), (80, 6), &["q quits"], &["tenant-1"]),
        ("a wide terminal", Some(seen(40)), (400, 100), whole, &["tenants 1 to"]),
    ];
    for (name, seen, (columns, rows), wanted, unwanted) in cases {
        let mut view = View::new(true);
        if let Some(seen) = seen {
            view.show(seen);
        }
        let (text, _) = render(&mut view, columns, rows);
        for phrase in wanted {
            let there = squeezed(&text).contains(&squeezed(phrase));
            assert!(there, "{name}: no {phrase:?} in\n{text}");
        }
        for phrase in unwanted {
            assert!(!text.contains(phrase), "{name}: {phrase:?} in\n{text}");
        }
    }
}

#[test]
fn no_terminal_is_too_small() {
    for columns in [0, 1, 2, 7, 20, 79, 80, 81, 500] {
        for rows in [0, 1, 2, 5, 6, 7, 12, 13, 14, 15, 24, 200] {
            for tenants in [0, 1, 40] {
                let mut view = View::new(true);
                view.show(seen(tenants));
                view.scroll(isize::MAX);
                render(&mut view, columns, rows);
                view.scroll(-view.page());
                render(&mut view, columns, rows);
            }
        }
    }
}

#[test]
fn tenants_scroll_within_their_number() {
    let mut view = View::new(true);
    view.show(seen(40));
    let rows = 24;
    // By how much, and which tenants are to be seen then. There is room for ten.
    let steps: [(isize, &str); 9] = [
        (0, "1 to 10"),
        (-1, "1 to 10"),
        (3, "4 to 13"),
        (10, "14 to 23"),
        (isize::MAX, "31 to 40"),
        (1, "31 to 40"),
        (-10, "21 to 30"),
        (isize::MIN, "1 to 10"),
        (1000, "31 to 40"),
    ];
    for (by, wanted) in steps {
        render(&mut view, 80, rows);
        view.scroll(by);
        let (text, _) = render(&mut view, 80, rows);
        assert!(text.contains(&format!("tenants {wanted} of 40")), "{by}: {text}");
    }
    assert_eq!(view.page(), 10);
    // Fewer tenants, and a larger terminal.
    view.show(seen(12));
    assert!(render(&mut view, 80, rows).0.contains("tenants 3 to 12 of 12"));
    assert!(render(&mut view, 80, 60).0.contains("system"));
}

#[test]
fn colours_are_left_out_where_none_are_wanted() {
    for colours in [true, false] {
        let mut view = View::new(colours);
        view.show(seen(5));
        view.tell("something is amiss".into());
        let (text, buffer) = render(&mut view, 80, 24);
        assert!(text.contains("something is amiss"));
        let coloured = buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(coloured, colours);
    }
}

#[test]
fn text_has_all_tenants_and_no_trailing_blanks() {
    let text = View::text(&seen(40), 120);
    assert!(text.contains("tenant-39") && !text.contains("q quits"));
    assert!(text.lines().all(|line| line.trim_end() == line));
    assert_eq!(text.lines().count(), usize::from(HEAD + LEVELS) + 41);
    assert_eq!(View::text(&seen(0), 120).lines().count(), usize::from(HEAD + LEVELS) + 1);
}
