//! A run of qmpsh that a test talks to while it lasts.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use super::process::Killed;
use super::{DEADLINE, command, wait_for};

/// A qmpsh with pipes for its input and output. It is killed when this is dropped.
pub struct Running {
    process: Killed,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    /// Starts `qmpsh ARGS` in this home.
    pub fn qmpsh(home: &Path, args: &[&str]) -> Self {
        let mut command = command(home);
        command.args(args);
        Self::start(command)
    }

    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Killed::spawn(command);
        let stdout = lines_of(process.stdout.take().expect("it was piped"));
        let stderr = lines_of(process.stderr.take().expect("it was piped"));
        Self {
            stdin: process.stdin.take(),
            process,
            stdout,
            stderr,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Gives it a line to run.
    pub fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("input is not closed yet");
        writeln!(stdin, "{line}").expect("qmpsh reads");
    }

    /// The next line it prints, if it is there already.
    pub fn try_line(&self) -> Option<String> {
        self.stdout.try_recv().ok()
    }

    /// The next line on its standard error, if it is there already.
    pub fn try_complaint(&self) -> Option<String> {
        self.stderr.try_recv().ok()
    }

    /// Waits for a line on its standard error that says `part`.
    #[track_caller]
    pub fn wait_for_complaint(&self, part: &str) -> String {
        wait_for(part, || {
            self.try_complaint().filter(|line| line.contains(part))
        })
    }

    /// Closes its input.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// The next line it prints.
    pub fn line(&self) -> String {
        self.stdout
            .recv_timeout(DEADLINE)
            .expect("qmpsh prints a line")
    }

    /// Waits until it has ended; its status, and what it said on standard error that was not taken before.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = wait_for("qmpsh to end", || {
            self.process.try_wait().expect("it is our child")
        });
        let stderr = self.stderr.iter().map(|line| line + "\n").collect();
        (status, stderr)
    }
}

/// A pipe's lines, as they come.
fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe).split(b'\n');
        while let Some(Ok(line)) = pipe.next() {
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    lines
}
