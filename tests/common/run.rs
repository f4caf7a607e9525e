//! Runs of qmpsh that end by themselves.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::process::{kill, spawn};
use super::{DEADLINE, scratch};

/// How many seconds completion and the like wait for an answer: the machine may be busy.
pub const PATIENCE: (&str, &str) = ("QMPSH_PATIENCE", "10");

/// The qmpsh under test, in an environment that no user's settings reach.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qmpsh"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("TERM", "xterm-256color")
        .env(PATIENCE.0, PATIENCE.1);
    command
}

/// A script that finds the qmpsh under test, to run in `directory`.
pub fn script(path: &Path, directory: &Path) -> Command {
    let qmpsh = Path::new(env!("CARGO_BIN_EXE_qmpsh"));
    let programs = qmpsh.parent().expect("it is in a directory");
    let path_before = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(path);
    command
        .current_dir(directory)
        .env("PATH", format!("{}:{path_before}", programs.display()))
        .env("HOME", directory);
    command
}

/// Runs qmpsh to its end, with `input` on standard input.
pub fn qmpsh(args: &[&str], input: impl AsRef<[u8]>) -> Outcome {
    let home = scratch();
    let mut command = command(home.path());
    command.args(args);
    run(command, input.as_ref())
}

/// `command`, run by a shell: `line` is a line in which `$0` is its program and `$@` are its arguments.
pub fn in_shell(line: &str, command: &Command) -> Command {
    through(&["sh", "-c", line], command)
}

/// `command`, run by `wrapper`, which gets it as its last arguments, in the environment that `command` has.
pub fn through(wrapper: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(wrapper[0]);
    wrapped.args(&wrapper[1..]).arg(command.get_program());
    wrapped.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        wrapped.env(name, value.expect("none is taken away"));
    }
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    wrapped
}

/// Runs a command to its end, with `input` on standard input.
pub fn run(mut command: Command, input: &[u8]) -> Outcome {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    run_to(command, input)
}

/// Standard output or standard error that is closed at the other end.
pub fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Runs a command to its end, with its output wherever it was told to go.
pub fn run_to(mut command: Command, input: &[u8]) -> Outcome {
    command.stdin(Stdio::piped());
    finish(command, input)
}

/// Runs a command to its end with `stdin` as its standard input.
pub fn run_on(mut command: Command, stdin: impl Into<Stdio>) -> Outcome {
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(command, b"")
}

fn finish(mut command: Command, input: &[u8]) -> Outcome {
    let mut process = spawn(&mut command).expect("qmpsh starts");
    let stdin = process.stdin.take();
    let input = input.to_vec();
    // From a thread: qmpsh may print before it has read everything, or end without reading at all.
    let writer = std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&input);
        }
    });
    let pid = process.id();
    let (done, wait) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let output = process.wait_with_output().expect("qmpsh is our child");
        let _ = done.send(());
        output
    });
    if wait.recv_timeout(DEADLINE).is_err() {
        kill(pid, "KILL");
        panic!("qmpsh did not end: {command:?}");
    }
    let output = waiter.join().expect("the waiter does not panic");
    writer.join().expect("the writer does not panic");
    Outcome { output }
}

/// How a run of qmpsh ended, and what it said.
pub struct Outcome {
    output: Output,
}

impl Outcome {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Standard output's lines.
    pub fn lines(&self) -> Vec<String> {
        self.stdout().lines().map(str::to_owned).collect()
    }

    pub fn status(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// Standard output's lines, each as JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{self}"))
        };
        self.stdout().lines().map(parse).collect()
    }

    #[track_caller]
    pub fn assert_status(&self, status: i32) -> &Self {
        assert_eq!(self.status(), Some(status), "{self}");
        self
    }

    #[track_caller]
    pub fn assert_stdout(&self, expected: &str) -> &Self {
        assert_eq!(self.stdout(), expected, "{self}");
        self
    }

    /// Asserts that it ended with this status and a sentence that says `part`, not with a panic, and
    /// that nothing on standard error could do a terminal harm.
    #[track_caller]
    pub fn assert_fails(&self, status: i32, part: &str) -> &Self {
        let stderr = self.stderr();
        assert!(!stderr.contains("panicked"), "{self}");
        assert_harmless(&stderr);
        assert!(stderr.starts_with("qmpsh: "), "{self}");
        self.assert_status(status).assert_says(part)
    }

    /// Asserts that standard error says `part`.
    #[track_caller]
    pub fn assert_says(&self, part: &str) -> &Self {
        assert!(self.stderr().contains(part), "no `{part}` in\n{self}");
        self
    }
}

/// Asserts that nothing in `text` could do a terminal harm.
#[track_caller]
pub fn assert_harmless(text: &str) {
    let harmful = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(harmful), "{text:?}");
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.output.status,
            self.stdout(),
            self.stderr()
        )
    }
}
