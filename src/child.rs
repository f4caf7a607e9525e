//! Processes that we start.

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{self, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::signals::{SIGCHLD, Signal};

/// A process that we started as the first of its process group. A clone is the same process.
#[derive(Debug, Clone)]
pub struct Child {
    pid: Pid,
    ended: watch::Receiver<Option<Ended>>,
}

/// How a process has ended, in words that go behind its name.
#[derive(Debug, Clone, Copy)]
pub struct Ended(ExitStatus);

impl Child {
    /// Runs `command` and looks after it for as long as the runtime does.
    ///
    /// # Errors
    ///
    /// It cannot be run.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        // From before it runs: its end is not missed.
        let mut any_ended = Signal::new(SIGCHLD)?;
        let mut process = command.spawn()?;
        let pid = i32::try_from(process.id()).expect("the system counts in i32");
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            while let Ok(None) = process.try_wait() {
                any_ended.recv().await;
            }
            if let Ok(Some(status)) = process.try_wait() {
                tell.send_replace(Some(Ended(status)));
            }
        });
        Ok(Self {
            pid: Pid::from_raw(pid),
            ended,
        })
    }

    /// Also the number of its process group.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it has ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        *self.ended.borrow()
    }

    /// Resolves when it has ended.
    pub async fn end(&self) -> Ended {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await;
        ended
            .ok()
            .and_then(|ended| *ended)
            .unwrap_or(Ended(ExitStatus::default()))
    }

    /// How it has ended, if it does before long.
    pub async fn end_within(&self, limit: Duration) -> Option<Ended> {
        timeout(limit, self.end()).await.ok()
    }

    /// Sends a signal to its process group.
    pub fn signal(&self, signal: signal::Signal) {
        // Nobody else waits for it, so the number is its own until we know that it has ended.
        if self.ended().is_none() {
            let _ = killpg(self.pid, signal);
        }
    }
}

impl Ended {
    pub fn success(self) -> bool {
        self.0.success()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "ended with exit status {code}"),
            (None, Some(number)) => match signal::Signal::try_from(number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
            (None, None) => f.write_str("ended"),
        }
    }
}
