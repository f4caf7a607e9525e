//! What goes on besides the lines that a user enters: listeners and timers, each with a line of its own.

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
    /// Takes the lines of new entries, for whoever runs them.
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
    /// The task that runs it, once there is one.
    task: Option<AbortHandle>,
}

/// When a line is run, as lists show it.
pub enum Kind {
    /// Whenever an event comes that is like this.
    Listener(String),
    /// Every so often, or once after so long; the length can be changed.
    Timer {
        interval: watch::Sender<Duration>,
        once: bool,
    },
}

/// A line of the agenda, for whoever runs it.
pub struct Scheduled {
    pub id: u64,
    pub trigger: Trigger,
    pub line: Line,
    /// The line as it is shown.
    pub text: String,
    /// Counts the runs.
    pub runs: Arc<AtomicU64>,
}

/// What makes a line run.
pub enum Trigger {
    /// Each of these events.
    Events(Listener),
    /// Time: again and again, or once.
    Time {
        interval: watch::Receiver<Duration>,
        once: bool,
    },
}

/// One row of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub id: u64,
    /// What makes the line run.
    pub when: String,
    pub line: String,
    pub runs: u64,
}

/// What came of a line that a listener or timer ran.
pub struct Report {
    /// Who ran it, as `timer 1`.
    pub origin: String,
    pub line: String,
    /// What it was run on.
    pub target: Target,
    pub outcome: Outcome,
}

impl Agenda {
    /// An empty agenda, and where the lines of its entries come out to be run.
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
        // Nobody left to run it is the end of the program.
        let _ = self.scheduled.send(Scheduled {
            id,
            trigger,
            line,
            text: text.to_owned(),
            runs,
        });
        id
    }

    /// Notes the task that runs an entry's line; it ends with the entry.
    pub fn attach(&self, id: u64, task: AbortHandle) {
        let mut entries = self.entries.lock();
        match entries.list.iter_mut().find(|entry| entry.id == id) {
            Some(entry) => entry.task = Some(task),
            None => task.abort(),
        }
    }

    /// Ends the entry of this id, if it is there and of the kind that `is` wants.
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

    /// Removes an entry whose task ends by itself.
    pub fn finish(&self, id: u64) {
        self.entries.lock().list.retain(|entry| entry.id != id);
    }

    /// Sets the length of the timer of this id, if there is one.
    pub fn change(&self, id: u64, length: Duration) -> bool {
        let entries = self.entries.lock();
        let mut found = entries.list.iter().filter(|entry| entry.id == id);
        found.any(|entry| match &entry.kind {
            Kind::Timer { interval, .. } => {
                interval.send_replace(length);
                true
            }
            Kind::Listener(_) => false,
        })
    }

    /// Whether there is a line still to be run once.
    pub fn has_due(&self) -> bool {
        let entries = self.entries.lock();
        let mut kinds = entries.list.iter().map(|entry| &entry.kind);
        kinds.any(|kind| matches!(kind, Kind::Timer { once: true, .. }))
    }

    /// The entries of the kind that `when` has words for.
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
