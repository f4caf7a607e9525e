//! A program whose standard input and output speak QMP: `exec:ssh host socat - /run/vm.sock`.

use std::io;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender, pipe};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Change, Lost, Tell};
use crate::os::child::Child;

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
    /// to `tell`, a line at a time, with its name before it. Its standard input and output come along.
    pub fn start(line: &str, tell: Option<Tell>) -> io::Result<(Self, Sender, Receiver)> {
        let (stdin, its_stdin) = pipe()?;
        let (its_stdout, stdout) = pipe()?;
        let (its_stderr, stderr) = pipe()?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .stdin(its_stdin.into_blocking_fd()?)
            .stdout(its_stdout.into_blocking_fd()?)
            .stderr(its_stderr.into_blocking_fd()?);
        // Ctrl-C stops our waiting, not what the connection goes through.
        let child = Child::start(command, Vec::new(), Signal::SIGTERM)?;
        let name = line.split_whitespace().next().unwrap_or(line).to_owned();
        let errors = tokio::spawn(hand_on(stderr, name.clone(), tell));
        let program = Self {
            child,
            name,
            errors,
        };
        Ok((program, stdin, stdout))
    }

    /// How it ended, once its output has.
    pub async fn end(&mut self) -> Option<Lost> {
        let ended = self.child.wait_within(END).await?;
        // What it said explains its status, so that comes first. Others may hold its standard error.
        let _ = timeout(END, &mut self.errors).await;
        Some(Lost::Program {
            name: self.name.clone(),
            ended,
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.errors.abort();
        self.child.signal(Signal::SIGTERM);
    }
}

async fn hand_on(stderr: Receiver, name: String, tell: Option<Tell>) {
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
