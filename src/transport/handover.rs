//! Connections to a server that we started ourselves: nothing is dialled, a connected socket is handed over.

use std::fmt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::error::{END, StreamEnd};
use crate::os::child::Child;

/// Where whoever starts a server leaves a connection to it. A clone is the same place.
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
    /// The server's pid; none if a wrapper runs it.
    pub pid: Option<i32>,
    pub child: Child,
}

impl Handover {
    /// Leaves a connection. It replaces one that nobody took.
    pub fn put(&self, stream: UnixStream, process: Process) {
        *self.place.handed.lock() = Some((stream, process));
        self.place.put.notify_one();
    }

    /// Waits for a connection. Cancelling loses nothing.
    pub(super) async fn take(&self) -> (UnixStream, Process) {
        loop {
            let put = self.place.put.notified();
            if let Some(handed) = self.place.handed.lock().take() {
                return handed;
            }
            put.await;
        }
    }
}

impl Process {
    /// How it ended, if it has, or does within a moment.
    pub(super) async fn end(&self) -> Option<StreamEnd> {
        Some(StreamEnd::Program {
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
