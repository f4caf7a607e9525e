//! What ends the wait for something, or the shell.

use std::io;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::failure::Status;
use crate::os::stop::{StopSignal, StopSignals};

/// What can stop the shell, or what it waits for.
pub(super) struct Stops {
    pub signals: StopSignals,
    /// Told when a line of a listener or a timer ends the shell.
    pub quit: Arc<Notify>,
}

/// What is stopped.
pub(super) enum Stop {
    /// Ctrl-C, while no line is edited: the waiting for whatever it is.
    Waiting,
    Shell(Status),
}

impl Stops {
    /// # Errors
    ///
    /// A signal cannot be handled.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            signals: StopSignals::all()?,
            quit: Arc::default(),
        })
    }

    /// Resolves when something is to be stopped.
    pub async fn stop(&mut self) -> Stop {
        tokio::select! {
            signal = self.signals.recv() => match signal {
                StopSignal::Interrupt => Stop::Waiting,
                StopSignal::End => Stop::Shell(Status::Interrupted),
            },
            () = self.quit.notified() => Stop::Shell(Status::Success),
        }
    }

    /// Resolves when the shell is to end, with its status.
    pub async fn leave(&mut self) -> Status {
        tokio::select! {
            () = self.signals.ended() => Status::Interrupted,
            () = self.quit.notified() => Status::Success,
        }
    }
}
