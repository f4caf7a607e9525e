//! Processes that we start.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{self, killpg};
use nix::unistd::Pid;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::os::signals::{SIGCHLD, Signal};
use crate::os::sys;

/// A process that we started in a session of its own. Clones refer to the same process.
#[derive(Debug, Clone)]
pub struct Child {
    pid: Pid,
    ended: watch::Receiver<Option<Ended>>,
}

/// What happens to a process when we end, for whatever reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// The kernel kills it. Its own children live on.
    Kill,
    /// Its whole process group is killed.
    KillGroup,
    /// Its whole process group gets SIGTERM, and SIGKILL if it still exists after [`GRACE`].
    EndGroup,
}

/// How long a process may take to end after SIGTERM.
pub const GRACE: Duration = Duration::from_secs(1);

/// How often to check whether a process group still exists.
const LOOK: Duration = Duration::from_millis(50);

/// How a process ended, if known. Displayed, it follows the process's name: "ended with exit status
/// 1".
#[derive(Debug, Clone, Copy, Default)]
pub struct Ended(Option<ExitStatus>);

/// The exit status of a shell that does not find the program.
const NOT_FOUND: i32 = 127;

impl Child {
    /// Runs `command`, which inherits `descriptors` ([`sys::tie`]). A task of the runtime waits for its end.
    ///
    /// # Errors
    ///
    /// The command cannot be run.
    pub fn start(mut command: Command, descriptors: Vec<OwnedFd>, bond: Bond) -> io::Result<Self> {
        let death = match bond {
            Bond::Kill | Bond::KillGroup => signal::Signal::SIGKILL,
            Bond::EndGroup => signal::Signal::SIGTERM,
        };
        sys::tie(&mut command, descriptors, death);
        // Handle the signal before the process starts, or we could miss its end.
        let mut any_ended = Signal::new(SIGCHLD)?;
        let mut process = command.spawn()?;
        let pid = i32::try_from(process.id()).expect("the system counts in i32");
        let group = Pid::from_raw(pid);
        let guard = guard(group, bond);
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = loop {
                match process.try_wait() {
                    Ok(None) => any_ended.recv().await,
                    status => break status.ok().flatten(),
                }
            };
            sender.send_replace(Some(Ended(status)));
            if let Some(mut guard) = guard {
                // The group's number is not reused as long as the group has a member.
                while group_exists(group) {
                    sleep(LOOK).await;
                }
                let _ = guard.kill();
                let _ = guard.wait();
            }
        });
        Ok(Self { pid: group, ended })
    }

    /// Its pid, which is also its process group and its session.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        *self.ended.borrow()
    }

    /// Resolves when it has ended.
    pub async fn wait(&self) -> Ended {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await;
        ended.ok().and_then(|ended| *ended).unwrap_or(Ended(None))
    }

    /// Waits for its end for at most `limit`.
    pub async fn wait_within(&self, limit: Duration) -> Option<Ended> {
        timeout(limit, self.wait()).await.ok()
    }

    /// Sends a signal to its process group.
    pub fn signal(&self, signal: signal::Signal) {
        // Only our task reaps the process, so its pid cannot be reused before we know that it has
        // ended.
        if self.ended().is_none() {
            let _ = killpg(self.pid, signal);
        }
    }

    /// Sends SIGTERM to its process group, and SIGKILL if the group still exists after [`GRACE`].
    pub fn end(&self) {
        self.signal(signal::Signal::SIGTERM);
        // A stopped process handles SIGTERM only once it continues.
        self.signal(signal::Signal::SIGCONT);
        let group = self.pid;
        // Without a runtime we are about to end, and the guard takes over.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let due = Instant::now() + GRACE;
                while group_exists(group) {
                    if Instant::now() >= due {
                        let _ = killpg(group, signal::Signal::SIGKILL);
                        return;
                    }
                    sleep(LOOK).await;
                }
            });
        }
    }
}

/// Whether a process group has a member.
fn group_exists(group: Pid) -> bool {
    killpg(group, None).is_ok()
}

/// Starts a shell that ends the process group `group` when we have ended, if `bond` asks for it.
///
/// The kernel's parent-death signal is not enough: it reaches only the process that we started, not its children, and
/// SIGTERM can be ignored.
fn guard(group: Pid, bond: Bond) -> Option<std::process::Child> {
    // The shell's standard input is closed when we end.
    let script = match bond {
        Bond::Kill => return None,
        Bond::KillGroup => format!("read -r _; kill -KILL -{group}"),
        Bond::EndGroup => format!(
            "read -r _; kill -TERM -{group}; kill -CONT -{group}
             for _ in 1 2 3 4 5 6 7 8 9 10; do
                 sleep {}; kill -0 -{group} || exit
             done
             kill -KILL -{group}",
            (GRACE / 10).as_secs_f64()
        ),
    };
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C at the terminal must not reach it.
        .process_group(0);
    command.spawn().ok()
}

impl From<Option<ExitStatus>> for Ended {
    fn from(status: Option<ExitStatus>) -> Self {
        Self(status)
    }
}

impl Ended {
    /// Whether a shell ended because it did not find the program.
    pub fn is_not_found(self) -> bool {
        self.0.and_then(|status| status.code()) == Some(NOT_FOUND)
    }

    pub fn success(self) -> bool {
        self.0.is_some_and(|status| status.success())
    }

    /// Whether this signal ended it. A shell reports a signal that ended its command as exit status 128 + N.
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
    use std::io::Read;

    use super::*;

    fn shell(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Child::start(command, Vec::new(), Bond::Kill).expect("a shell")
    }

    #[tokio::test]
    async fn children_that_end_together_are_all_noticed() {
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
    async fn a_process_that_ignores_being_asked_to_end_is_killed() {
        let mut child = Command::new("/bin/sh");
        child.args(["-c", "trap '' TERM; echo; while :; do sleep 0.01; done"]);
        let (mut reader, writer) = io::pipe().expect("a pipe");
        child.stdout(writer);
        let child = Child::start(child, Vec::new(), Bond::EndGroup).expect("a shell");
        reader.read_exact(&mut [0]).expect("it has set its trap");
        child.end();
        assert_eq!(child.wait().await.to_string(), "was killed by SIGKILL");
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
