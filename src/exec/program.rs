//! Runs the program of a tail where it cannot have the terminal.

use std::io::{self, Read, Write};
use std::process::Command;

use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;

use crate::context::{Outcome, Output, Piped};
use crate::os::child::{Bond, Child, Ended};

/// The most that is taken of what a program prints, in bytes.
const MOST: u64 = 64 << 20;

/// What a program prints to standard output and standard error, and how it ends.
struct Captured {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    ended: Ended,
}

/// Runs the program that the outcome is to be piped through, if it is, and returns what it prints.
pub(super) async fn in_background(outcome: Outcome) -> Outcome {
    let Output::Piped(piped) = outcome.output else {
        return outcome;
    };
    match capture(&piped).await {
        Err(error) => piped.cannot_run(&error).into(),
        Ok(Captured {
            stdout,
            stderr,
            ended,
        }) => Outcome {
            output: Output::Program { stdout, stderr },
            failure: piped.failure(ended),
        },
    }
}

async fn capture(piped: &Piped) -> io::Result<Captured> {
    let (input, mut feed) = io::pipe()?;
    let (stdout, printed) = io::pipe()?;
    let (stderr, complained) = io::pipe()?;
    let mut command = Command::new("sh");
    command
        .args(["-c", &piped.program])
        .stdin(input)
        .stdout(printed)
        .stderr(complained);
    let child = KilledOnDrop(Child::start(command, Vec::new(), Bond::Kill)?);
    let text = piped.text.clone();
    // It may end before it has read everything.
    let feeding = spawn_blocking(move || drop(feed.write_all(text.as_bytes())));
    let stdout = spawn_blocking(move || read(stdout));
    let stderr = spawn_blocking(move || read(stderr));
    let ended = child.0.wait().await;
    let _ = feeding.await;
    Ok(Captured {
        stdout: stdout.await.unwrap_or_default(),
        stderr: stderr.await.unwrap_or_default(),
        ended,
    })
}

fn read(from: io::PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is good.
    let _ = from.take(MOST).read_to_end(&mut bytes);
    bytes
}

/// A program that nobody waits for any more is killed.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGKILL);
    }
}
