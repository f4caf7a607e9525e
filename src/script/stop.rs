use std::io;

use crate::os::signals::{SIGHUP, SIGINT, SIGTERM, Signal};

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
            true => Some([Signal::new(SIGTERM)?, Signal::new(SIGHUP)?]),
            false => None,
        };
        Ok(Self {
            interrupt: Signal::new(SIGINT)?,
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
            () = self.interrupt.recv() => {}
            () = terminate.recv() => {}
            () = hang_up.recv() => {}
        }
    }
}
