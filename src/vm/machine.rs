//! A QEMU process that we started.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::error::Error;
use super::plan::{Passed, Plan};
use crate::lang::mask_arguments;
use crate::os::child::{Child, Ended};

/// How often to look whether a process has ended, where nothing tells.
const LOOK: Duration = Duration::from_millis(5);

/// A process that runs, or has run.
pub(super) struct Machine {
    name: String,
    /// Its command line, so that a shell would read it, without its secrets.
    command: String,
    /// The words of it that have secrets, and how they are shown.
    masked: Vec<(String, String)>,
    child: Child,
    started: Instant,
    /// Its end is our doing.
    expected: AtomicBool,
    /// Keeps a wrapper's QEMU from outliving us.
    guard: Option<std::process::Child>,
}

impl Machine {
    /// Starts the process. What it prints goes to `output`.
    ///
    /// # Errors
    ///
    /// It cannot be run.
    pub fn start(plan: &Plan, passed: Passed, output: File) -> Result<Self, Error> {
        let mut command = plan.command(&passed);
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let shown = mask_arguments(&words);
        let line = shown.iter().map(|word| quoted(word)).collect::<Vec<_>>();
        let line = line.join(" ");
        let words = words.iter().map(|word| word.clone().into_owned());
        let masked = words.zip(shown).filter(|(word, shown)| word != shown);
        let masked = masked.collect();
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Error::NoProgram(program.clone()),
            _ => Error::Run {
                command: line.clone(),
                error,
            },
        };
        let errors = output.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut inherited: Vec<OwnedFd> = Vec::new();
        inherited.extend(
            [passed.monitor, passed.server, passed.console]
                .into_iter()
                .flatten(),
        );
        let child = Child::start(command, inherited, Signal::SIGKILL);
        let child = child.map_err(failed)?;
        let guard = match plan.wrapper.is_empty() {
            true => None,
            false => guard(child.pid()),
        };
        Ok(Self {
            name: plan.program_name(),
            command: line,
            masked,
            child,
            started: Instant::now(),
            expected: AtomicBool::new(false),
            guard,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn command(&self) -> &str {
        &self.command
    }

    /// What QEMU printed, without the secrets of its command line: it quotes the options that it does not take.
    pub fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, shown) in &self.masked {
            text = text.replace(word, shown);
        }
        text
    }

    pub fn pid(&self) -> i32 {
        self.child.pid().as_raw()
    }

    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Resolves when it has ended.
    pub async fn wait(&self) -> Ended {
        self.child.wait().await
    }

    pub fn runs(&self) -> bool {
        self.child.ended().is_none()
    }

    /// From now on, its end is expected.
    pub fn expect_end(&self) {
        self.expected.store(true, Ordering::Relaxed);
    }

    /// Whether its end is expected.
    pub fn is_expected(&self) -> bool {
        self.expected.load(Ordering::Relaxed)
    }

    /// Whether somebody should be told that it ended so.
    pub fn is_unexpected(&self, ended: Ended) -> bool {
        !self.is_expected() && !ended.success()
    }

    /// What it is doing, in a few words.
    pub fn describe(&self) -> String {
        match self.child.ended() {
            None => format!(
                "running, pid {}, for {} s",
                self.pid(),
                self.started.elapsed().as_secs()
            ),
            Some(ended) => ended.to_string(),
        }
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.child.signal(Signal::SIGTERM);
        // A process that is stopped takes no other signal.
        self.child.signal(Signal::SIGCONT);
    }

    pub fn kill(&self) {
        self.child.signal(Signal::SIGKILL);
    }

    /// Ends it without the runtime: asks, waits for as long as `limit`, kills.
    pub fn end_now(&self, limit: Duration) {
        self.expect_end();
        self.terminate();
        let due = Instant::now() + limit;
        while self.is_there() {
            if Instant::now() >= due {
                self.kill();
                let _ = waitpid(self.child.pid(), None);
                return;
            }
            sleep(LOOK);
        }
    }

    fn is_there(&self) -> bool {
        loop {
            match waitpid(self.child.pid(), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return true,
                Err(Errno::EINTR) => {}
                _ => return false,
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(guard) = &mut self.guard {
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }
}

/// Starts what kills the process group `group` when we are gone.
///
/// The kernel's parent-death signal reaches the wrapper alone, and not every wrapper takes its child along.
fn guard(group: Pid) -> Option<std::process::Child> {
    // Its standard input ends with us.
    let script = format!("read -r _; kill -KILL -{group}");
    let mut command = std::process::Command::new("/bin/sh");
    command
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().ok()
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_so_that_a_shell_reads_it() {
        assert_eq!(quoted("-m"), "-m");
        assert_eq!(quoted("it's a name"), r"'it'\''s a name'");
        assert_eq!(quoted(""), "''");
    }
}
