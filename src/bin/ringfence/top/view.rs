//! What is shown, as a widget: the same on a terminal, in a test and in text.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table, Widget};
use ringfence::observe::{LEVEL_NAMES, Snapshot, TenantState};

use super::figures::{bytes, count, or_dash, rate, time};
use super::rates::{Rates, Seen};

/// Lines above the tables, a gap among them.
const HEAD: u16 = 5;
/// The levels, their heading and a gap.
const LEVELS: u16 = LEVEL_NAMES.len() as u16 + 2;
/// The last line: keys, or what is amiss.
const FOOT: u16 = 1;

/// The state of the view.
pub struct View {
    seen: Option<Seen>,
    amiss: Option<String>,
    colours: bool,
    /// The first tenant shown.
    first: usize,
    /// Tenants that the last rendering had room for.
    room: usize,
}

/// What a style is for.
#[derive(Clone, Copy)]
enum Tone {
    Title,
    Heading,
    Quiet,
    Warn,
    Bad,
}

impl View {
    /// Nothing yet.
    pub fn new(colours: bool) -> Self {
        Self { seen: None, amiss: None, colours, first: 0, room: 0 }
    }

    /// What is to be shown from now on.
    pub fn show(&mut self, seen: Seen) {
        self.seen = Some(seen);
        self.amiss = None;
    }

    /// What is amiss, until there is something new to show.
    pub fn tell(&mut self, amiss: String) {
        self.amiss = Some(amiss);
    }

    /// Moves through the tenants.
    pub fn scroll(&mut self, by: isize) {
        self.first = self.first.saturating_add_signed(by);
        self.keep_within();
    }

    /// A page of tenants.
    pub fn page(&self) -> isize {
        self.room.max(1) as isize
    }

    fn tenants(&self) -> usize {
        self.seen.as_ref().map_or(0, |seen| seen.snapshot.tenants.len())
    }

    fn keep_within(&mut self) {
        self.first = self.first.min(self.tenants().saturating_sub(self.room.max(1)));
    }

    /// All of it as lines of text, without colours, keys or trailing blanks.
    pub fn text(seen: &Seen, columns: u16) -> String {
        let mut view = Self::new(false);
        let tenants = u16::try_from(seen.snapshot.tenants.len()).unwrap_or(u16::MAX);
        let area = Rect::new(0, 0, columns, (HEAD + LEVELS + 1).saturating_add(tenants));
        view.show(seen.clone());
        let mut buffer = Buffer::empty(area);
        view.body(area, &mut buffer);
        let row = |row: &[ratatui::buffer::Cell]| {
            let text: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            text.trim_end().to_owned()
        };
        buffer.content.chunks(columns.into()).map(row).collect::<Vec<_>>().join("\n")
    }

    fn style(&self, tone: Tone) -> Style {
        let (modifier, colour) = match tone {
            Tone::Title => (Modifier::REVERSED, None),
            Tone::Heading => (Modifier::BOLD, Some(Color::Cyan)),
            Tone::Quiet => (Modifier::DIM, None),
            Tone::Warn => (Modifier::empty(), Some(Color::Yellow)),
            Tone::Bad => (Modifier::BOLD, Some(Color::Red)),
        };
        let style = Style::new().add_modifier(modifier);
        match colour.filter(|_| self.colours) {
            Some(colour) => style.fg(colour),
            None => style,
        }
    }

    fn body(&mut self, area: Rect, buffer: &mut Buffer) {
        let [head, levels, tenants] =
            Layout::vertical([Constraint::Length(HEAD), Constraint::Length(LEVELS), Constraint::Min(0)])
                .areas(area);
        // One line is the heading's.
        self.room = tenants.height.saturating_sub(1).into();
        self.keep_within();
        let Some(seen) = &self.seen else {
            let process = Span::styled("no snapshot yet", self.style(Tone::Quiet));
            process.render(head, buffer);
            return;
        };
        self.head(seen, head, buffer);
        self.levels(seen, levels, buffer);
        self.tenant_table(seen, tenants, buffer);
    }

    fn head(&self, Seen { snapshot, rates }: &Seen, area: Rect, buffer: &mut Buffer) {
        let title = format!(
            "{} (process {}), {} mode, up {}",
            plain(&snapshot.program),
            snapshot.pid,
            plain(&snapshot.mode),
            time(Duration::from_nanos(snapshot.uptime_ns))
        );
        let device = format!("{}, {}", plain(&snapshot.device), plain(&snapshot.driver));
        let faults = self.faults(snapshot.faults, rates.as_ref().map(|rates| rates.faults_per_s));
        let of = |what, value, per_s: fn(&Rates) -> f64| {
            Span::raw(format!("{what} {}   ", with_rate(value, rates.as_ref().map(per_s))))
        };
        let lines = [
            Line::styled(format!("{title:<width$}", width = area.width.into()), self.style(Tone::Title)),
            Line::styled(device, self.style(Tone::Quiet)),
            Line::from(vec![
                Span::raw(format!(
                    "slots {} of {}   ",
                    count(snapshot.outstanding),
                    count(snapshot.slots.into())
                )),
                Span::raw(format!("workers {}   ", snapshot.workers)),
                of("dispatches", snapshot.dispatches, |rates| rates.dispatches_per_s),
                Span::raw(format!("throttled {}   ", count(snapshot.throttled))),
                Span::raw(format!("copied {}", bytes(snapshot.cpu_copied_bytes))),
            ]),
            Line::from(vec![
                of("published", snapshot.published, |rates| rates.published_per_s),
                of("ended", snapshot.ended, |rates| rates.ended_per_s),
                faults,
            ]),
        ];
        for (line, row) in lines.into_iter().zip(area.rows()) {
            line.render(row, buffer);
        }
    }

    fn faults(&self, faults: u64, per_s: Option<f64>) -> Span<'static> {
        let style = match (faults, per_s) {
            (0, _) => Style::new(),
            (_, Some(rate)) if rate > 0.0 => self.style(Tone::Bad),
            _ => self.style(Tone::Warn),
        };
        Span::styled(format!("faults {}", with_rate(faults, per_s)), style)
    }

    fn levels(&self, Seen { snapshot, rates }: &Seen, area: Rect, buffer: &mut Buffer) {
        let row = |(index, level): (usize, &ringfence::observe::LevelSnapshot)| {
            Row::new([
                left(&level.name),
                right(count(level.slots.into())),
                right(count(level.in_use.into())),
                right(count(level.claims)),
                right(or_dash(rates.as_ref().map(|rates| rate(rates.levels[index])))),
            ])
        };
        let widths = [NAME, NUMBER, NUMBER, NUMBER, NUMBER];
        let heading = self.heading("LEVEL", ["SLOTS", "IN USE", "CLAIMS", "CLAIM/S"]);
        Table::new(snapshot.levels.iter().enumerate().map(row), widths).header(heading).render(area, buffer);
    }

    fn tenant_table(&self, seen: &Seen, area: Rect, buffer: &mut Buffer) {
        let rows = (0..seen.snapshot.tenants.len()).skip(self.first).take(self.room);
        let rows = rows.map(|index| self.tenant(&seen.snapshot, seen.rates.as_ref(), index));
        let widths = [
            NAME,
            Constraint::Length(4),
            Constraint::Length(7),
            Constraint::Length(6),
            NUMBER,
            NUMBER,
            NUMBER,
            NUMBER,
            NUMBER,
            NUMBER,
        ];
        let columns = ["ID", "STATE", "WEIGHT", "QUEUED", "ENDED", "ENDED/S", "FAULTS", "THROTTL", "CREDITS"];
        Table::new(rows, widths).header(self.heading("TENANT", columns)).render(area, buffer);
    }

    fn tenant(&self, snapshot: &Snapshot, rates: Option<&Rates>, index: usize) -> Row<'static> {
        let tenant = &snapshot.tenants[index];
        let ended = rates.and_then(|rates| rates.tenants.get(index).copied().flatten());
        let state = match tenant.state {
            TenantState::Running => Style::new(),
            TenantState::Paused => self.style(Tone::Warn),
            TenantState::Revoked => self.style(Tone::Bad),
            TenantState::Gone => self.style(Tone::Quiet),
        };
        let faults = if tenant.faults > 0 { self.style(Tone::Warn) } else { Style::new() };
        Row::new([
            left(&tenant.name),
            right(tenant.id.to_string()),
            right(tenant.state.name().to_owned()).style(state),
            right(tenant.weight.to_string()),
            right(count(tenant.outstanding)),
            right(count(tenant.ended)),
            right(or_dash(ended.map(rate))),
            right(count(tenant.faults)).style(faults),
            right(count(tenant.throttled)),
            right(or_dash(tenant.credits_left.map(count))),
        ])
    }

    fn heading<const N: usize>(&self, first: &str, others: [&str; N]) -> Row<'static> {
        let cells = std::iter::once(left(first)).chain(others.map(|name| right(name.to_owned())));
        Row::new(cells).style(self.style(Tone::Heading))
    }

    fn foot(&self) -> Line<'static> {
        let failed = self.seen.as_ref().and_then(|seen| seen.snapshot.error.as_deref());
        if let Some(amiss) = self.amiss.as_deref().or(failed) {
            return Line::styled(plain(amiss), self.style(Tone::Bad));
        }
        let (from, all) = (self.first, self.tenants());
        let until = all.min(from + self.room);
        let which = match until.saturating_sub(from) {
            shown if shown == all => String::new(),
            0 => format!("   {all} tenants"),
            _ => format!("   tenants {} to {until} of {all}: arrows, pages", from + 1),
        };
        Line::styled(format!("q quits{which}"), self.style(Tone::Quiet))
    }
}

impl Widget for &mut View {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let [body, foot] = Layout::vertical([Constraint::Min(0), Constraint::Length(FOOT)]).areas(area);
        self.body(body, buffer);
        self.foot().render(foot, buffer);
    }
}

/// Columns of a name: what is left, up to these.
const NAME: Constraint = Constraint::Max(32);
/// Columns of a number and its heading.
const NUMBER: Constraint = Constraint::Length(7);

fn left(text: &str) -> Cell<'static> {
    Cell::from(plain(text))
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

fn with_rate(value: u64, per_s: Option<f64>) -> String {
    match per_s {
        Some(per_s) => format!("{} ({}/s)", count(value), rate(per_s)),
        None => count(value),
    }
}

/// Text of another process's, without what would move the cursor or break the line.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
