//! Connections to a server that we started: instead of connecting to an address, we are handed a
//! connected socket.

use std::fmt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::error::{END, StreamEnd};
use crate::os::child::Child;

/// Where the code that starts a server leaves a connection to it. Clones share the place.
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
    /// The program's name.
    pub name: String,
    /// The server's pid, or `None` if a wrapper runs it.
    pub pid: Option<i32>,
    /// The process that we started.
    pub child: Child,
}

impl Handover {
    /// Leaves a connection, in place of one that was not taken.
    pub fn put(&self, stream: UnixStream, process: Process) {
        *self.place.handed.lock() = Some((stream, process));
        self.place.put.notify_one();
    }

    /// Waits for a connection. Cancel safe.
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
    /// How the process ended, if it has ended or does so shortly.
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
