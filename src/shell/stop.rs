//! What stops the shell, or stops it waiting.

use std::io;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::failure::Status;
use crate::os::stop::{StopSignal, StopSignals};

/// The sources of requests to stop.
pub(super) struct Stops {
    pub signals: StopSignals,
    /// Notified when the line of a listener or timer quits the shell.
    pub quit: Arc<Notify>,
}

/// What to stop.
pub(super) enum Stop {
    /// Ctrl-C while no line is being edited: stop waiting.
    Waiting,
    /// Exit the shell with this status.
    Shell(Status),
}

impl Stops {
    /// # Errors
    ///
    /// The signal handlers cannot be installed.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            signals: StopSignals::all()?,
            quit: Arc::default(),
        })
    }

    /// Waits for a request to stop.
    pub async fn stop(&mut self) -> Stop {
        tokio::select! {
            signal = self.signals.recv() => match signal {
                StopSignal::Interrupt => Stop::Waiting,
                StopSignal::End => Stop::Shell(Status::Interrupted),
            },
            () = self.quit.notified() => Stop::Shell(Status::Success),
        }
    }

    /// Waits for what ends the reading of a line. A Ctrl-C does so only if the kernel edits the line: otherwise,
    /// it is a key of the editor's.
    pub async fn while_reading(&mut self, by_kernel: bool) -> Stop {
        match by_kernel {
            true => self.stop().await,
            false => Stop::Shell(self.leave().await),
        }
    }

    /// Waits for a request to exit the shell, and returns the exit status.
    pub async fn leave(&mut self) -> Status {
        tokio::select! {
            () = self.signals.ended() => Status::Interrupted,
            () = self.quit.notified() => Status::Success,
        }
    }
}
