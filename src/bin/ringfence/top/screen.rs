//! The terminal: entering and leaving it, keys and signals.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::feed::Update;
use super::view::View;

/// How long a key, a signal or a snapshot waits at most to be seen.
const TICK: Duration = Duration::from_millis(50);

/// Why the view was left.
pub enum Stopped {
    /// By a key.
    Asked,
    /// There is nothing more to see.
    Ended(String),
    /// By this signal.
    Signal(i32),
}

/// The terminal in raw mode, on its other screen. Its drop gives it back, also while a panic unwinds; the hook that
/// `try_init` sets does so before the panic's message.
struct Screen(DefaultTerminal);

impl Screen {
    fn enter() -> io::Result<Self> {
        // It may have got half-way.
        ratatui::try_init().map(Self).inspect_err(|_| ratatui::restore())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows what the feed tells until a key or a signal says enough.
pub fn show(feed: &Receiver<Update>, mut view: View) -> io::Result<Stopped> {
    let signal = Arc::new(AtomicUsize::new(0));
    for number in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register_usize(number, signal.clone(), number as usize)?;
    }
    let mut screen = Screen::enter()?;
    let mut stale = true;
    loop {
        match feed.try_recv() {
            Ok(Update::Seen(seen)) => {
                view.show(*seen);
                stale = true;
            }
            Ok(Update::Without(why)) => {
                view.tell(why);
                stale = true;
            }
            Ok(Update::Ended(why)) => return Ok(Stopped::Ended(why)),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                return Ok(Stopped::Ended("the thread that asks has ended".to_owned()));
            }
        }
        if std::mem::take(&mut stale) {
            screen.0.draw(|frame| frame.render_widget(&mut view, frame.area()))?;
        }
        if hung_up() {
            return Ok(Stopped::Signal(SIGHUP));
        }
        if event::poll(Duration::ZERO)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    if ends(&key) {
                        return Ok(Stopped::Asked);
                    }
                    stale = moves(&key, &mut view);
                }
                Event::Resize(..) => stale = true,
                _ => {}
            }
        }
        match signal.load(Ordering::Relaxed) {
            0 => {}
            number => return Ok(Stopped::Signal(number as i32)),
        }
    }
}

/// Waits for a key, or a tick; whether the terminal is gone. That signals only its own session, and reading events
/// from it would never end.
fn hung_up() -> bool {
    let output = io::stdout();
    let mut polled = [PollFd::new(&output, PollFlags::IN)];
    let tick = Timespec { tv_sec: 0, tv_nsec: TICK.as_nanos() as _ };
    poll(&mut polled, Some(&tick)).is_ok() && polled[0].revents().contains(PollFlags::HUP)
}

fn ends(key: &KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => true,
        // In raw mode it comes as a key.
        KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

/// Whether the key moved through the tenants.
fn moves(key: &KeyEvent, view: &mut View) -> bool {
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => view.scroll(-1),
        KeyCode::Down | KeyCode::Char('j') => view.scroll(1),
        KeyCode::PageUp => view.scroll(-view.page()),
        KeyCode::PageDown => view.scroll(view.page()),
        KeyCode::Home => view.scroll(isize::MIN),
        KeyCode::End => view.scroll(isize::MAX),
        _ => return false,
    }
    true
}
