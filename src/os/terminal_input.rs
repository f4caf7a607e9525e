//! What comes from the terminal that is standard output: keys, and its answers.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, tcgetpgrp, ttyname};
use tokio::time::timeout;

use super::keys::read_keys;

/// The input of the terminal. It is opened anew, so that only our own reads are non-blocking: other processes share the
/// descriptors that we inherited.
pub struct TerminalInput {
    file: File,
}

/// A terminal without echo that passes on each key at once. Dropping this restores its mode.
pub struct Quiet {
    terminal: File,
    found: Termios,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // If the terminal is gone, its mode does not matter.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.found);
    }
}

impl TerminalInput {
    /// # Errors
    ///
    /// Standard output is no terminal, or one that another process reads now.
    pub fn open() -> io::Result<Self> {
        let stdout = io::stdout();
        if tcgetpgrp(&stdout)? != getpgrp() {
            return Err(io::Error::other("the terminal is another process's"));
        }
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(ttyname(&stdout)?)?;
        Ok(Self { file })
    }

    /// Ends the echo, and the wait for the end of a line.
    ///
    /// # Errors
    ///
    /// The terminal is gone.
    pub fn quiet(&self) -> io::Result<Quiet> {
        let terminal = self.file.try_clone()?;
        let found = tcgetattr(&terminal)?;
        let mut mode = found.clone();
        mode.local_flags -= LocalFlags::ECHO | LocalFlags::ICANON;
        tcsetattr(&terminal, SetArg::TCSANOW, &mode)?;
        Ok(Quiet { terminal, found })
    }

    /// Whether there is input that nobody has read. Without an end of line, one sees it only while the terminal is
    /// [`Quiet`].
    pub fn is_waiting(&self) -> bool {
        let mut ready = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::ZERO).is_ok_and(|count| count > 0)
    }

    /// Gives `take` what comes, until that returns true, or for at most `limit`, or until the terminal is gone.
    ///
    /// # Errors
    ///
    /// The system is out of descriptors or threads.
    pub async fn read_until(
        &self,
        limit: Duration,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> io::Result<()> {
        let (stopped, stop) = io::pipe()?;
        let mut keys = read_keys(&self.file, stopped)?;
        let reading = async {
            while let Some(bytes) = keys.recv().await {
                if take(&bytes) {
                    return;
                }
            }
        };
        let _ = timeout(limit, reading).await;
        drop(stop);
        // What the thread has read meanwhile.
        while let Some(bytes) = keys.recv().await {
            take(&bytes);
        }
        Ok(())
    }
}
