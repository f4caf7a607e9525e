//! Signals that a task waits for.

use std::io;

use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

pub use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

/// A signal that no longer does what it would by itself.
#[derive(Debug)]
pub struct Signal {
    /// Gets a byte each time it comes.
    came: UnixStream,
    handler: SigId,
}

impl Signal {
    /// Follows the signal `number` from now on.
    ///
    /// # Errors
    ///
    /// It cannot be handled.
    pub fn new(number: i32) -> io::Result<Self> {
        let (came, comes) = std::os::unix::net::UnixStream::pair()?;
        came.set_nonblocking(true)?;
        Ok(Self {
            came: UnixStream::from_std(came)?,
            handler: pipe::register(number, comes)?,
        })
    }

    /// Resolves when it has come since the last time.
    pub async fn recv(&mut self) {
        // Both ends are ours: it cannot fail.
        let _ = self.came.read(&mut [0; 64]).await;
    }

    /// Forgets that it has come.
    pub fn forget(&mut self) {
        while let Ok(1..) = self.came.try_read(&mut [0; 64]) {}
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        unregister(self.handler);
    }
}
