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
use parking_lot::Mutex;

use super::error::Error;
use super::plan::{Passed, Plan};
use crate::lang::mask_arguments;
use crate::os::child::{Bond, Child, Ended};

/// How often to poll for the end of a process when the runtime is not available.
const LOOK: Duration = Duration::from_millis(5);

/// A process that is running or has ended.
pub(super) struct Machine {
    name: String,
    /// Its command line, quoted for a shell, with its secrets masked.
    command: String,
    /// The words that contain secrets, and how they are shown.
    masked: Vec<(String, String)>,
    child: Child,
    started: Instant,
    our_part: Mutex<OurPart>,
    /// The user was told that it ended abnormally.
    told: AtomicBool,
}

/// What we did to end a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OurPart {
    Nothing,
    /// We asked for it over the monitor.
    Quit,
    Terminated,
    /// We killed it, as the user wanted.
    Killed,
    /// We killed it, because it took too long to end.
    GaveUp,
}

impl Machine {
    /// Starts the process. Its standard output and error go to `output`.
    ///
    /// # Errors
    ///
    /// The program cannot be run.
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
        let bond = match plan.wrapper.is_empty() {
            true => Bond::Kill,
            false => Bond::KillGroup,
        };
        let child = Child::start(command, inherited, bond).map_err(failed)?;
        Ok(Self {
            name: plan.program_name(),
            command: line,
            masked,
            child,
            started: Instant::now(),
            our_part: Mutex::new(OurPart::Nothing),
            told: AtomicBool::new(false),
        })
    }

    /// QEMU's file name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its command line, quoted for a shell.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Masks the secrets of the command line in what QEMU printed: QEMU quotes options that it refuses.
    pub fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, shown) in &self.masked {
            text = text.replace(word, shown);
        }
        text
    }

    /// Its process id; the wrapper's if there is one.
    pub fn pid(&self) -> i32 {
        self.child.pid().as_raw()
    }

    /// The child process.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Waits until it has ended.
    pub async fn wait(&self) -> Ended {
        self.child.wait().await
    }

    /// Whether it is still running.
    pub fn runs(&self) -> bool {
        self.child.ended().is_none()
    }

    /// Notes that we end it.
    pub fn set_our_part(&self, part: OurPart) {
        *self.our_part.lock() = part;
    }

    /// Whether we ended it.
    pub fn is_expected(&self) -> bool {
        *self.our_part.lock() != OurPart::Nothing
    }

    /// Whether it ended in another way than with success or as we asked.
    pub fn ended_abnormally(&self) -> bool {
        let Some(ended) = self.child.ended() else {
            return false;
        };
        match *self.our_part.lock() {
            OurPart::Nothing | OurPart::Quit => !ended.success(),
            OurPart::Terminated => !ended.success() && !ended.is_by(Signal::SIGTERM),
            OurPart::Killed => false,
            OurPart::GaveUp => true,
        }
    }

    /// Whether we killed it, as the user wanted.
    pub fn was_killed(&self) -> bool {
        *self.our_part.lock() == OurPart::Killed
    }

    /// Whether the user was not told yet. From now on, the user counts as told.
    pub fn is_untold(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// Its state in a few words, for the user.
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

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.set_our_part(OurPart::Terminated);
        self.child.signal(Signal::SIGTERM);
        // A stopped process handles SIGTERM only once it continues.
        self.child.signal(Signal::SIGCONT);
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.child.signal(Signal::SIGKILL);
    }

    /// Ends it without the runtime: sends SIGTERM, waits for at most `limit`, then sends SIGKILL.
    pub fn end_now(&self, limit: Duration) {
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

/// Quotes a word for a shell, if necessary.
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
    fn a_command_line_is_quoted_for_a_shell() {
        assert_eq!(quoted("-m"), "-m");
        assert_eq!(quoted("it's a name"), r"'it'\''s a name'");
        assert_eq!(quoted(""), "''");
    }
}
