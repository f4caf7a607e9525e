//! The listeners and timers, each with the line that it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::outcome::Outcome;
use super::target::Target;
use crate::lang::Line;
use crate::qmp::Listener;

/// All listeners and timers.
pub struct Agenda {
    entries: Mutex<Entries>,
    /// Sends the lines of new entries to the task that runs them.
    scheduled: mpsc::UnboundedSender<Scheduled>,
}

#[derive(Default)]
struct Entries {
    last_id: u64,
    list: Vec<Entry>,
}

struct Entry {
    id: u64,
    kind: Kind,
    /// The line it runs, as lists show it.
    text: String,
    runs: Arc<AtomicU64>,
    /// The task that runs it, once it has been started.
    task: Option<AbortHandle>,
}

/// What runs a line, in the form in which lists show it.
pub enum Kind {
    /// Every event that fulfils this condition, given as the user typed it.
    Listener(String),
    /// A timer, once or repeatedly. Its pace can be changed through the channel.
    Timer {
        /// Sets the pace.
        pace: watch::Sender<Pace>,
        once: bool,
    },
}

impl Kind {
    /// When a timer runs its line, as `every 2 s`; `None` for a listener.
    pub fn schedule(&self) -> Option<String> {
        let Self::Timer { pace, once } = self else {
            return None;
        };
        let name = if *once { "after" } else { "every" };
        let Pace { interval, paused } = *pace.borrow();
        let paused = if paused { ", paused" } else { "" };
        Some(format!("{name} {} s{paused}", interval.as_secs_f64()))
    }
}

/// When a timer runs its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The time from one run to the next.
    pub interval: Duration,
    /// It does not run at all. After that, it begins with a whole interval.
    pub paused: bool,
}

/// A new entry, for the task that runs it.
pub struct Scheduled {
    pub id: u64,
    /// What makes the line run.
    pub trigger: Trigger,
    /// The line to run.
    pub line: Line,
    /// The line as it is shown.
    pub text: String,
    /// The counter of runs, incremented where the line is run.
    pub runs: Arc<AtomicU64>,
}

/// What makes a line run.
pub enum Trigger {
    /// Each event that arrives here, or only the first.
    Events { events: Listener, once: bool },
    /// Time: once after the interval, or at every interval.
    Time {
        pace: watch::Receiver<Pace>,
        once: bool,
    },
}

/// One row of a list of entries.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub id: u64,
    /// What makes the line run.
    pub when: String,
    /// The line as the user typed it.
    pub line: String,
    /// How many times the line has started to run.
    pub runs: u64,
}

/// The outcome of a line that a listener or timer ran.
pub struct Report {
    /// The listener or timer that ran it, as `timer 1`.
    pub origin: String,
    /// The line as the user typed it.
    pub line: String,
    /// The target it ran on.
    pub target: Target,
    pub outcome: Outcome,
}

impl Agenda {
    /// Creates an empty agenda. New entries arrive at the receiver, to be run.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Scheduled>) {
        let (sender, scheduled) = mpsc::unbounded_channel();
        let agenda = Self {
            entries: Mutex::default(),
            scheduled: sender,
        };
        (agenda, scheduled)
    }

    /// Adds an entry that runs `line`, shown as `text`, and returns its id.
    pub fn add(&self, kind: Kind, trigger: Trigger, line: Line, text: &str) -> u64 {
        let mut entries = self.entries.lock();
        entries.last_id += 1;
        let id = entries.last_id;
        let runs = Arc::<AtomicU64>::default();
        entries.list.push(Entry {
            id,
            kind,
            text: text.to_owned(),
            runs: runs.clone(),
            task: None,
        });
        // If the receiver is gone, the program is ending.
        let _ = self.scheduled.send(Scheduled {
            id,
            trigger,
            line,
            text: text.to_owned(),
            runs,
        });
        id
    }

    /// Registers the task that runs an entry's line; removing the entry aborts it. Aborts it now if the entry
    /// is gone.
    pub fn attach(&self, id: u64, task: AbortHandle) {
        let mut entries = self.entries.lock();
        match entries.list.iter_mut().find(|entry| entry.id == id) {
            Some(entry) => entry.task = Some(task),
            None => task.abort(),
        }
    }

    /// Removes the entry with this id and aborts its task, if its kind satisfies `is`. Returns whether it did.
    pub fn remove(&self, id: u64, is: impl Fn(&Kind) -> bool) -> bool {
        let mut entries = self.entries.lock();
        let mut all = entries.list.iter();
        let Some(at) = all.position(|entry| entry.id == id && is(&entry.kind)) else {
            return false;
        };
        if let Some(task) = entries.list.remove(at).task {
            task.abort();
        }
        true
    }

    /// Removes an entry without aborting its task, which is about to end.
    pub fn finish(&self, id: u64) {
        self.entries.lock().list.retain(|entry| entry.id != id);
    }

    /// Changes the pace of the timer with this id. Returns whether there is one.
    pub fn change(&self, id: u64, change: impl Fn(&mut Pace)) -> bool {
        let entries = self.entries.lock();
        let mut found = entries.list.iter().filter(|entry| entry.id == id);
        found.any(|entry| match &entry.kind {
            Kind::Timer { pace, .. } => {
                pace.send_modify(&change);
                true
            }
            Kind::Listener(_) => false,
        })
    }

    /// Whether a line of `:after` has still to run, and is not paused.
    pub fn has_due(&self) -> bool {
        let entries = self.entries.lock();
        let mut kinds = entries.list.iter().map(|entry| &entry.kind);
        kinds.any(|kind| match kind {
            Kind::Timer { pace, once } => *once && !pace.borrow().paused,
            Kind::Listener(_) => false,
        })
    }

    /// Lists the entries whose kind `when` describes.
    pub fn list(&self, when: impl Fn(&Kind) -> Option<String>) -> Vec<Row> {
        let entries = self.entries.lock();
        let row = |entry: &Entry| {
            Some(Row {
                id: entry.id,
                when: when(&entry.kind)?,
                line: entry.text.clone(),
                runs: entry.runs.load(Ordering::Relaxed),
            })
        };
        entries.list.iter().filter_map(row).collect()
    }
}
