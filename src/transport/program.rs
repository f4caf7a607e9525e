//! A program whose standard input and output are the stream: `exec:ssh host socat - /run/vm.sock`.

use std::io;
use std::process::Command;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender, pipe};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::error::{END, StreamEnd};
use crate::os::child::{Bond, Child};

/// A line longer than this is shown in pieces.
const LINE: u64 = 4 << 10;

/// Receives a line that a program writes for the user, without its line break. Must not block.
pub type Say = Arc<dyn Fn(String) + Send + Sync>;

/// A running program. Dropping it asks it to end, and has it killed if it does not.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// The first word of its command line.
    name: String,
    /// The task that passes on its standard error.
    errors: JoinHandle<()>,
}

impl Program {
    /// Runs `line` with `sh -c`, as QEMU does for its own `exec:`, and returns its standard input
    /// and output. Each line of its standard error goes to `say`, preceded by the program's name.
    pub fn start(line: &str, say: Say) -> io::Result<(Self, Sender, Receiver)> {
        let (stdin, its_stdin) = pipe()?;
        let (its_stdout, stdout) = pipe()?;
        let (its_stderr, stderr) = pipe()?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", line])
            .stdin(its_stdin.into_blocking_fd()?)
            .stdout(its_stdout.into_blocking_fd()?)
            .stderr(its_stderr.into_blocking_fd()?);
        // It gets its own session, so that Ctrl-C ends our waiting but not the connection.
        let child = Child::start(command, Vec::new(), Bond::EndGroup)?;
        let name = line.split_whitespace().next().unwrap_or(line).to_owned();
        let errors = tokio::spawn(pass_on(stderr, name.clone(), say));
        let program = Self {
            child,
            name,
            errors,
        };
        Ok((program, stdin, stdout))
    }

    /// How the program ended, after its output has.
    pub async fn end(&mut self) -> Option<StreamEnd> {
        let ended = self.child.wait_within(END).await?;
        // Show its last words first, because they explain its status. Do not wait for long: another
        // process may still hold its standard error.
        let _ = timeout(END, &mut self.errors).await;
        Some(StreamEnd::Program {
            name: self.name.clone(),
            ended,
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.errors.abort();
        self.child.end();
    }
}

async fn pass_on(stderr: Receiver, name: String, say: Say) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut stderr).take(LINE).read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        say(format!("{name}: {}", text.trim_end()));
        line.clear();
    }
}
