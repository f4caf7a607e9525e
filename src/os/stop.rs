//! The signals that stop us.

use std::future::pending;
use std::io;

use super::signals::{SIGHUP, SIGINT, SIGTERM, Signal};

/// SIGINT, SIGTERM and SIGHUP, which no longer end the process by themselves.
pub struct StopSignals {
    interrupt: Signal,
    /// SIGTERM and SIGHUP, unless those go on ending the process at once.
    end: Option<[Signal; 2]>,
}

/// What a signal stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT, as Ctrl-C sends it: what is going on.
    Interrupt,
    /// SIGTERM or SIGHUP: the program.
    End,
}

impl StopSignals {
    /// Takes all of them.
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

    /// Takes SIGINT alone.
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

    /// Resolves when one has come since the last time.
    pub async fn recv(&mut self) -> StopSignal {
        tokio::select! {
            () = self.interrupt.recv() => StopSignal::Interrupt,
            () = end(&mut self.end) => StopSignal::End,
        }
    }

    /// Resolves when SIGINT has come since the last time.
    pub async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }

    /// Resolves when SIGTERM or SIGHUP has come since the last time.
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
