//! The signals that stop us.

use std::future::pending;
use std::io;

use super::signals::{SIGHUP, SIGINT, SIGTERM, Signal};

/// SIGINT, SIGTERM and SIGHUP, which no longer end the process by themselves.
pub struct StopSignals {
    interrupt: Signal,
    /// SIGTERM and SIGHUP, unless they still end the process at once.
    end: Option<[Signal; 2]>,
}

/// What to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// What is running now (SIGINT, as sent by Ctrl-C).
    Interrupt,
    /// The program (SIGTERM or SIGHUP).
    End,
}

impl StopSignals {
    /// Handles all three.
    ///
    /// # Errors
    ///
    /// A signal cannot be handled.
    pub fn all() -> io::Result<Self> {
        Ok(Self {
            interrupt: Signal::new(SIGINT)?,
            end: Some([Signal::new(SIGTERM)?, Signal::new(SIGHUP)?]),
        })
    }

    /// Handles SIGINT only.
    ///
    /// # Errors
    ///
    /// The signal cannot be handled.
    pub fn interrupt_alone() -> io::Result<Self> {
        Ok(Self {
            interrupt: Signal::new(SIGINT)?,
            end: None,
        })
    }

    /// Resolves when one of them comes, or if it has come since the last call.
    pub async fn recv(&mut self) -> StopSignal {
        tokio::select! {
            () = self.interrupt.recv() => StopSignal::Interrupt,
            () = end(&mut self.end) => StopSignal::End,
        }
    }

    /// Resolves when SIGINT comes, or if it has come since the last call.
    pub async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }

    /// Resolves when SIGTERM or SIGHUP comes, or if it has come since the last call.
    pub async fn ended(&mut self) {
        end(&mut self.end).await;
    }

    /// Forgets a SIGINT that has come.
    pub fn forget_interrupt(&mut self) {
        self.interrupt.forget();
    }
}

async fn end(signals: &mut Option<[Signal; 2]>) {
    match signals {
        Some([terminate, hang_up]) => tokio::select! {
            () = terminate.recv() => {}
            () = hang_up.recv() => {}
        },
        None => pending().await,
    }
}
