//! Connections to servers that we started ourselves: there is nothing to dial, a socket is handed over.

use std::fmt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::Lost;
use crate::os::child::Child;

/// How long a process that has closed its monitor may take to end.
const END: Duration = Duration::from_secs(1);

/// Where who starts a server leaves a connection to it, for who wants one. A clone is the same place.
#[derive(Clone, Default)]
pub struct Handover {
    place: Arc<Place>,
}

#[derive(Default)]
struct Place {
    handed: Mutex<Option<(UnixStream, Process)>>,
    put: Notify,
}

/// The process at the other end.
#[derive(Debug, Clone)]
pub struct Process {
    pub name: String,
    /// Unless something stands between it and us.
    pub pid: Option<i32>,
    pub child: Child,
}

impl Handover {
    /// Leaves a connection, in place of one that nobody took.
    pub fn put(&self, stream: UnixStream, process: Process) {
        let mut handed = self.place.handed.lock().expect("no holder panics");
        *handed = Some((stream, process));
        self.place.put.notify_one();
    }

    /// The connection, as soon as there is one. Cancelling it loses nothing.
    pub(super) async fn take(&self) -> (UnixStream, Process) {
        loop {
            let put = self.place.put.notified();
            if let Some(handed) = self.place.handed.lock().expect("no holder panics").take() {
                return handed;
            }
            put.await;
        }
    }
}

impl Process {
    /// How it ended, if it has, or is about to.
    pub(super) async fn end(&self) -> Option<Lost> {
        Some(Lost::Program {
            name: self.name.clone(),
            ended: self.child.wait_within(END).await?,
        })
    }
}

impl PartialEq for Handover {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.place, &other.place)
    }
}

impl Eq for Handover {}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handover")
    }
}
