//! Signals that a task can wait for.

use std::io;

use nix::sys::signal::SigSet;
use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

pub use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

/// A signal that we handle.
#[derive(Debug)]
pub struct Signal {
    /// Receives a byte for each signal.
    came: UnixStream,
    handler: SigId,
}

impl Signal {
    /// Handles the signal `number` from now on, even if our parent had blocked it.
    ///
    /// # Errors
    ///
    /// The signal cannot be handled.
    pub fn new(number: i32) -> io::Result<Self> {
        let (came, comes) = std::os::unix::net::UnixStream::pair()?;
        came.set_nonblocking(true)?;
        let handler = pipe::register(number, comes)?;
        let blocked = nix::sys::signal::Signal::try_from(number)?;
        SigSet::from(blocked).thread_unblock()?;
        Ok(Self {
            came: UnixStream::from_std(came)?,
            handler,
        })
    }

    /// Resolves when the signal comes, or if it has come since the last call.
    pub async fn recv(&mut self) {
        // Both ends are ours, so this cannot fail.
        let _ = self.came.read(&mut [0; 64]).await;
    }

    /// Forgets a signal that has come.
    pub fn forget(&mut self) {
        while let Ok(1..) = self.came.try_read(&mut [0; 64]) {}
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        unregister(self.handler);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::{Signal::SIGUSR1, raise};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_signal_is_received_or_forgotten_even_if_it_was_blocked() {
        let set = SigSet::from(SIGUSR1);
        set.thread_block().expect("a mask");
        let mut signal = Signal::new(SIGUSR1 as i32).expect("a handler");
        for _ in 0..2 {
            raise(SIGUSR1).expect("a signal");
            raise(SIGUSR1).expect("a signal");
            let came = timeout(Duration::from_secs(60), signal.recv()).await;
            came.expect("it came");
        }
        raise(SIGUSR1).expect("a signal");
        signal.came.readable().await.expect("a byte");
        signal.forget();
        let again = timeout(Duration::from_millis(50), signal.recv()).await;
        assert!(again.is_err());
    }
}
