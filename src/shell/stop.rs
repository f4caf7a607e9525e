//! What ends the wait for something, or the shell.

use std::io;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::failure::Status;
use crate::os::signals::{SIGHUP, SIGINT, SIGTERM, Signal};

/// The signals that concern the shell.
pub(super) struct Signals {
    pub interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    /// A line that nobody waits for says so.
    pub quit: Arc<Notify>,
}

/// What a signal stops.
pub(super) enum Stop {
    /// Ctrl-C, while no line is edited: the waiting for whatever it is.
    Waiting,
    Shell(Status),
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: Signal::new(SIGINT)?,
            terminate: Signal::new(SIGTERM)?,
            hang_up: Signal::new(SIGHUP)?,
            quit: Arc::default(),
        })
    }

    /// Told to stop something, and what.
    pub async fn stop(&mut self) -> Stop {
        tokio::select! {
            () = self.interrupt.recv() => Stop::Waiting,
            () = self.terminate.recv() => Stop::Shell(Status::Interrupted),
            () = self.hang_up.recv() => Stop::Shell(Status::Interrupted),
            () = self.quit.notified() => Stop::Shell(Status::Success),
        }
    }

    /// Told to end, and with which status.
    pub async fn leave(&mut self) -> Status {
        tokio::select! {
            () = self.terminate.recv() => Status::Interrupted,
            () = self.hang_up.recv() => Status::Interrupted,
            () = self.quit.notified() => Status::Success,
        }
    }
}
