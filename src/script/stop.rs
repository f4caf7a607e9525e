use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end a script.
pub(super) struct Stop {
    interrupt: Signal,
    /// Those that otherwise end the process at once, where there is something left to do.
    others: Option<[Signal; 2]>,
}

impl Stop {
    /// The signals of a script; with `orderly`, also those that it has to outlive for a while.
    pub fn new(orderly: bool) -> io::Result<Self> {
        let others = match orderly {
            true => Some([
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ]),
            false => None,
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            others,
        })
    }

    /// Resolves when one has come.
    pub async fn wait(&mut self) {
        let Some([terminate, hang_up]) = &mut self.others else {
            self.interrupt.recv().await;
            return;
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}
