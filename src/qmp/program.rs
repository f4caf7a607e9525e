//! A program whose standard input and output speak QMP: `exec:ssh host socat - /run/vm.sock`.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Change, Lost, Tell};
use crate::sys;

/// How long a program that has closed its output may take to end.
const END: Duration = Duration::from_secs(1);

/// A line longer than this is shown in pieces.
const LINE: u64 = 4 << 10;

/// A running program. Dropping it asks it to end.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    /// The first word of its command line.
    name: String,
    /// Hands on what it says on standard error.
    errors: JoinHandle<()>,
}

impl Program {
    /// Runs `line` as QEMU runs an `exec:` of its own: by `sh -c`. What it says on standard error goes
    /// to `tell`, a line at a time, with its name before it.
    pub fn start(line: &str, tell: Option<Tell>) -> io::Result<Self> {
        let mut command = std::process::Command::new("/bin/sh");
        command
            .args(["-c", line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ctrl-C stops our waiting, not what the connection goes through.
        sys::tie(&mut command, Vec::new(), Signal::SIGTERM);
        let mut child = Command::from(command).spawn()?;
        let name = line.split_whitespace().next().unwrap_or(line).to_owned();
        let stderr = child.stderr.take().expect("it was piped");
        let errors = tokio::spawn(hand_on(stderr, name.clone(), tell));
        Ok(Self {
            child,
            name,
            errors,
        })
    }

    /// Its standard input and output, once.
    pub fn take_pipes(&mut self) -> (ChildStdin, ChildStdout) {
        let stdin = self.child.stdin.take().expect("they are taken once");
        let stdout = self.child.stdout.take().expect("they are taken once");
        (stdin, stdout)
    }

    /// How it ended, once its output has.
    pub async fn end(&mut self) -> Option<Lost> {
        let status = timeout(END, self.child.wait()).await.ok()?.ok()?;
        // What it said explains its status, so that comes first. Others may hold its standard error.
        let _ = timeout(END, &mut self.errors).await;
        Some(Lost::Program {
            name: self.name.clone(),
            how: describe_exit(status),
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.errors.abort();
        // Not there any more once it was waited for. Its group is its own.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

/// How a process ended, in words that go behind its name.
pub fn describe_exit(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {number}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

async fn hand_on(stderr: ChildStderr, name: String, tell: Option<Tell>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut stderr).take(LINE).read_until(b'\n', &mut line).await {
        if let Some(tell) = &tell {
            let text = String::from_utf8_lossy(&line);
            tell(Change::Said(format!("{name}: {}", text.trim_end())));
        }
        line.clear();
    }
}
