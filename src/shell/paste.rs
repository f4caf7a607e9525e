//! Text that comes faster than anyone types: pasted into a terminal that does not say so.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::terminal::Terminal;

/// So many bytes of a line are drawn in colours however fast they come: even keys typed in haste may come two at
/// a time, and drawing a short line is cheap.
const SHORT: usize = 200;

/// When so much time has passed since the last character, it was the last one of a paste.
const PAUSE: Duration = Duration::from_millis(100);

/// Knows whether text is being pasted. Drawing a long line in colours for each character of it would take many
/// megabytes of output, so such text is drawn plain, and the line once more at the end.
pub(super) struct Paste {
    terminal: Terminal,
    runtime: Handle,
    goes_on: Cell<bool>,
    last: Arc<Mutex<Instant>>,
    /// The line is to be drawn once more.
    repaints: Arc<AtomicBool>,
}

impl Paste {
    pub fn new(terminal: Terminal, runtime: Handle) -> Self {
        Self {
            terminal,
            runtime,
            goes_on: Cell::new(false),
            last: Arc::new(Mutex::new(Instant::now())),
            repaints: Arc::default(),
        }
    }

    /// Takes note of a character that was added to `line`; whether it is part of a long paste.
    pub fn character(&self, line: &str) -> bool {
        // rustyline reads ahead, so what is left of a paste may be in its buffer alone.
        let follows = self.goes_on.get() && self.last.lock().elapsed() < PAUSE;
        let goes_on = line.len() > SHORT && (follows || has_input());
        self.goes_on.set(goes_on);
        *self.last.lock() = Instant::now();
        if goes_on && !self.repaints.swap(true, Ordering::Relaxed) {
            let (terminal, last) = (self.terminal.clone(), self.last.clone());
            let repaints = self.repaints.clone();
            self.runtime.spawn(async move {
                loop {
                    let passed = last.lock().elapsed();
                    match PAUSE.checked_sub(passed) {
                        Some(rest) => sleep(rest).await,
                        None => break,
                    }
                }
                repaints.store(false, Ordering::Relaxed);
                terminal.repaint();
            });
        }
        goes_on
    }

    /// Whether the last character was part of a long paste that goes on.
    pub fn goes_on(&self) -> bool {
        self.goes_on.get() && self.last.lock().elapsed() < PAUSE
    }
}

/// Whether there are keys that nobody has read.
fn has_input() -> bool {
    let stdin = io::stdin();
    let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO).is_ok_and(|count| count > 0)
}
