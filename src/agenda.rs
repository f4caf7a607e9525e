//! What goes on besides the lines that a user gives: listeners and timers, each with a line of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::failure::Failure;

/// Every listener and timer there is.
#[derive(Default)]
pub struct Agenda {
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    last_id: u64,
    list: Vec<Entry>,
}

/// A listener or a timer.
struct Entry {
    id: u64,
    kind: Kind,
    /// The line it runs.
    line: String,
    runs: Arc<AtomicU64>,
    task: AbortHandle,
}

/// When a line is run.
pub enum Kind {
    /// Whenever an event comes that is like this.
    Listener(String),
    /// Every so often, or once after so long; the length can be changed.
    Timer {
        interval: watch::Sender<Duration>,
        once: bool,
    },
}

/// One row of a list.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub id: u64,
    /// What makes the line run, as it was given.
    pub when: String,
    pub line: String,
    pub runs: u64,
}

/// What came of a line that a listener or timer ran.
pub struct Report {
    /// Who ran it, as `timer 1`.
    pub origin: String,
    pub line: String,
    pub result: Result<Said, Failure>,
}

/// What a line says that nobody waits for.
pub enum Said {
    /// Text to print, possibly empty.
    Text(String),
    /// The end of the run.
    Quit,
}

impl Agenda {
    /// Adds an entry; `start` starts its task, given its id and the counter of its runs.
    pub fn add(
        &self,
        kind: Kind,
        line: &str,
        start: impl FnOnce(u64, Arc<AtomicU64>) -> AbortHandle,
    ) -> u64 {
        let mut entries = self.entries();
        entries.last_id += 1;
        let id = entries.last_id;
        let runs = Arc::<AtomicU64>::default();
        let entry = Entry {
            id,
            kind,
            line: line.to_owned(),
            runs: runs.clone(),
            task: start(id, runs),
        };
        entries.list.push(entry);
        id
    }

    /// Ends the entry of this id, if it is there and of the kind that `is` wants.
    pub fn remove(&self, id: u64, is: impl Fn(&Kind) -> bool) -> bool {
        let mut entries = self.entries();
        let mut all = entries.list.iter();
        let Some(at) = all.position(|entry| entry.id == id && is(&entry.kind)) else {
            return false;
        };
        entries.list.remove(at).task.abort();
        true
    }

    /// Removes an entry whose task has come to its end by itself.
    pub fn finish(&self, id: u64) {
        self.entries().list.retain(|entry| entry.id != id);
    }

    /// Sets the length of the timer of this id, if there is one.
    pub fn change(&self, id: u64, length: Duration) -> bool {
        let entries = self.entries();
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
        let entries = self.entries();
        let mut kinds = entries.list.iter().map(|entry| &entry.kind);
        kinds.any(|kind| matches!(kind, Kind::Timer { once: true, .. }))
    }

    /// The entries of the kind that `when` has words for.
    pub fn list(&self, when: impl Fn(&Kind) -> Option<String>) -> Vec<Row> {
        let entries = self.entries();
        let row = |entry: &Entry| {
            Some(Row {
                id: entry.id,
                when: when(&entry.kind)?,
                line: entry.line.clone(),
                runs: entry.runs.load(Ordering::Relaxed),
            })
        };
        entries.list.iter().filter_map(row).collect()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().expect("no holder of this lock panics")
    }
}
