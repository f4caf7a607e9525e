//! A run of qmpsh that a test talks to while it lasts.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use super::{DEADLINE, wait_for};

/// A qmpsh with pipes for its input and output. It is killed when this is dropped.
pub struct Running {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("qmpsh starts");
        let output = BufReader::new(process.stdout.take().expect("it was piped"));
        let mut errors = process.stderr.take().expect("it was piped");
        let (sender, stdout) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            stdin: process.stdin.take(),
            process,
            stdout,
            stderr: Some(stderr),
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

    /// Waits until it has ended; its status, and what it said on standard error.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = wait_for("qmpsh to end", || {
            self.process.try_wait().expect("it is our child")
        });
        let stderr = self.stderr.take().expect("it is asked for once");
        (status, stderr.join().expect("the reader does not panic"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
