//! Processes that we start.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{self, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::os::signals::{SIGCHLD, Signal};
use crate::os::sys;

/// A process that we started in a session of its own. A clone is the same process.
#[derive(Debug, Clone)]
pub struct Child {
    pid: Pid,
    ended: watch::Receiver<Option<Ended>>,
}

/// How a process has ended, if the system told. Displayed, it follows the process's name: "ended with exit status 1".
#[derive(Debug, Clone, Copy)]
pub struct Ended(Option<ExitStatus>);

impl Child {
    /// Runs `command`, tied to us ([`sys::tie`]). A task of the runtime waits for its end.
    ///
    /// # Errors
    ///
    /// It cannot be run.
    pub fn start(
        mut command: Command,
        descriptors: Vec<OwnedFd>,
        death: signal::Signal,
    ) -> io::Result<Self> {
        sys::tie(&mut command, descriptors, death);
        // Before it runs, or we could miss its end.
        let mut any_ended = Signal::new(SIGCHLD)?;
        let mut process = command.spawn()?;
        let pid = i32::try_from(process.id()).expect("the system counts in i32");
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = loop {
                match process.try_wait() {
                    Ok(None) => any_ended.recv().await,
                    status => break status.ok().flatten(),
                }
            };
            sender.send_replace(Some(Ended(status)));
        });
        Ok(Self {
            pid: Pid::from_raw(pid),
            ended,
        })
    }

    /// Its pid, which is also the number of its process group and its session.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it has ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        *self.ended.borrow()
    }

    /// Resolves when it has ended.
    pub async fn wait(&self) -> Ended {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await;
        ended.ok().and_then(|ended| *ended).unwrap_or(Ended(None))
    }

    /// How it has ended, if it ends within `limit`.
    pub async fn wait_within(&self, limit: Duration) -> Option<Ended> {
        timeout(limit, self.wait()).await.ok()
    }

    /// Sends a signal to its process group.
    pub fn signal(&self, signal: signal::Signal) {
        // Only our task waits for it, so no other process gets the pid before we know that this one has ended.
        if self.ended().is_none() {
            let _ = killpg(self.pid, signal);
        }
    }
}

impl Ended {
    pub fn success(self) -> bool {
        self.0.is_some_and(|status| status.success())
    }

    /// Whether that signal ended it, or a shell says that it ended what the shell ran.
    pub fn is_by(self, signal: signal::Signal) -> bool {
        let number = Some(signal as i32);
        let code = |status: ExitStatus| status.code().and_then(|code| code.checked_sub(128));
        self.0
            .is_some_and(|status| status.signal() == number || code(status) == number)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0.and_then(|status| status.code());
        let signal = self.0.and_then(|status| status.signal());
        match (code, signal) {
            (Some(code), _) => write!(f, "ended with exit status {code}"),
            (None, Some(number)) => match signal::Signal::try_from(number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
            (None, None) => f.write_str("ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Child::start(command, Vec::new(), signal::Signal::SIGKILL).expect("a shell")
    }

    #[tokio::test]
    async fn children_that_end_together_are_all_seen() {
        let children: Vec<_> = (0..20).map(|code| shell(&format!("exit {code}"))).collect();
        for (code, child) in children.iter().enumerate() {
            let ended = child.wait().await;
            assert_eq!(ended.to_string(), format!("ended with exit status {code}"));
            assert_eq!(ended.success(), code == 0);
            assert!(child.ended().is_some());
        }
    }

    #[tokio::test]
    async fn the_signal_that_ended_a_process_is_known_also_through_a_shell() {
        for script in ["kill -TERM $$", "sh -c 'kill -TERM $$'; exit $?"] {
            let ended = shell(script).wait().await;
            assert!(ended.is_by(signal::Signal::SIGTERM), "{script}");
            assert!(!ended.is_by(signal::Signal::SIGKILL) && !ended.success());
        }
    }

    #[tokio::test]
    async fn a_signal_reaches_the_whole_group() {
        let child = shell("sleep 1000; exit 3");
        assert!(child.wait_within(Duration::from_millis(10)).await.is_none());
        assert!(child.ended().is_none());
        child.signal(signal::Signal::SIGKILL);
        assert_eq!(child.wait().await.to_string(), "was killed by SIGKILL");
    }
}
