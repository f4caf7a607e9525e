//! The test environment: a real QEMU in a directory of its own, qmpsh run against it, and what both said.
#![allow(dead_code, reason = "every test binary uses a part of it")]

pub mod fake;
pub mod guest;
pub mod running;
pub mod terminal;
pub mod told;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use nix::unistd::Pid;
use tempfile::TempDir;

/// How long anything may take before a test gives up. Generous: the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for `condition`, or fails with `what` did not happen.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running QEMU. It is killed, and its directory removed, when this is dropped.
pub struct Qemu {
    process: Child,
    /// The monitor that tests connect to.
    pub socket: PathBuf,
    /// A second monitor, to make things happen behind qmpsh's back.
    pub control: PathBuf,
    pub directory: TempDir,
}

impl Qemu {
    /// A machine without any devices.
    pub fn start() -> Self {
        Self::with_args(&["-machine", "none"])
    }

    /// A q35 with a port for hotplug named `port0`.
    pub fn q35() -> Self {
        Self::with_args(&["-machine", "q35", "-device", "pcie-root-port,id=port0"])
    }

    /// QEMU with these options besides those that every test needs.
    pub fn with_args(args: &[&str]) -> Self {
        Self::of_program(&qemu(), args)
    }

    /// The same with `program` as QEMU.
    pub fn of_program(program: &str, args: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let qemu = Self {
            process: spawn(program, directory.path(), args),
            socket: directory.path().join(SOCKET),
            control: directory.path().join(CONTROL),
            directory,
        };
        wait_for("QEMU's monitors", || {
            (listens(&qemu.socket) && listens(&qemu.control)).then_some(())
        });
        // Once in some hundred starts, QEMU 7.2 greets its first client and never answers it; the next
        // one it does.
        for monitor in [&qemu.socket, &qemu.control] {
            wait_for("QEMU's answer", || answers(monitor).then_some(()));
        }
        qemu
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Runs `qmpsh ARGS` against the monitor.
    pub fn qmpsh(&self, args: &[&str]) -> Outcome {
        self.script(args, "")
    }

    /// Runs `qmpsh ARGS` against the monitor, with `input` on standard input.
    pub fn script(&self, args: &[&str], input: impl AsRef<[u8]>) -> Outcome {
        let socket = self.socket.to_str().expect("a path of ours");
        let all: Vec<&str> = ["--connect", socket].iter().chain(args).copied().collect();
        qmpsh(&all, input)
    }

    /// Runs a command through the second monitor.
    pub fn control(&self, line: &str) -> Outcome {
        let control = self.control.to_str().expect("a path of ours");
        let outcome = qmpsh(&["--connect", control, "-e", line], "");
        outcome.assert_status(0);
        outcome
    }

    /// Starts `qmpsh ARGS` against the monitor, to talk to it while it runs.
    pub fn running(&self, args: &[&str]) -> running::Running {
        let mut command = command(self.directory.path());
        command.arg("--connect").arg(&self.socket).args(args);
        running::Running::start(command)
    }

    /// Kills QEMU and starts another on the same paths, with these options besides those that every test needs.
    /// It is not waited for.
    pub fn restart_with(&mut self, args: &[&str]) {
        self.kill();
        self.process = spawn(&qemu(), self.directory.path(), args);
    }

    /// Kills QEMU with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Whether QEMU has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The names of QEMU's monitors in its directory.
const SOCKET: &str = "qmp.sock";
const CONTROL: &str = "control.sock";

fn spawn(program: &str, directory: &Path, args: &[&str]) -> Child {
    let monitor =
        |name: &str| format!("unix:{},server=on,wait=off", directory.join(name).display());
    let mut command = Command::new(program);
    command
        .args(["-display", "none", "-nodefaults", "-accel", "tcg"])
        .args(["-qmp", &monitor(SOCKET), "-qmp", &monitor(CONTROL)])
        .args(args)
        .current_dir(directory)
        .stdin(Stdio::null());
    // Whatever happens to the test, it ends with it.
    qmpsh::os::sys::tie(&mut command, Vec::new(), Signal::SIGKILL);
    command.spawn().unwrap_or_else(|error| {
        panic!("cannot start {program}: {error}; run tests/setup, or name one in QMPSH_TEST_QEMU")
    })
}

/// A running qemu-storage-daemon. It is killed when this is dropped.
pub struct StorageDaemon {
    process: Child,
}

impl StorageDaemon {
    /// Starts one whose monitor is at `socket`.
    pub fn start(socket: &Path) -> Self {
        let monitor = format!("socket,id=m,server=on,wait=off,path={}", socket.display());
        let process = Command::new("qemu-storage-daemon")
            .args(["--chardev", &monitor, "--monitor", "chardev=m"])
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("qemu-storage-daemon starts; run tests/setup");
        let daemon = Self { process };
        wait_for("the daemon's monitor", || listens(socket).then_some(()));
        wait_for("the daemon's answer", || answers(socket).then_some(()));
        daemon
    }
}

impl Drop for StorageDaemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The QEMU that tests use.
pub fn qemu() -> String {
    std::env::var("QMPSH_TEST_QEMU").unwrap_or_else(|_| "qemu-system-x86_64".to_owned())
}

/// The qmpsh under test, in an environment that no user's settings reach.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qmpsh"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("TERM", "xterm-256color");
    command
}

/// Runs qmpsh to its end, with `input` on standard input.
pub fn qmpsh(args: &[&str], input: impl AsRef<[u8]>) -> Outcome {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = command(home.path());
    command.args(args);
    run(command, input.as_ref())
}

/// Runs a command to its end, with `input` on standard input.
pub fn run(mut command: Command, input: &[u8]) -> Outcome {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    run_to(command, input)
}

/// Leaves a socket at `path` that nobody serves. Nobody ever did: a listener that is dropped may live on for a moment
/// in a child that another test is just starting.
pub fn leave_socket(path: &Path) {
    let socket = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    );
    let address = UnixAddr::new(path).expect("a short path");
    bind(socket.expect("a socket").as_raw_fd(), &address).expect("a path of ours");
}

/// Standard output or standard error that is closed at the other end.
pub fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Runs a command to its end, with its output wherever it was told to go.
pub fn run_to(mut command: Command, input: &[u8]) -> Outcome {
    let mut process = command.stdin(Stdio::piped()).spawn().expect("qmpsh starts");
    let mut stdin = process.stdin.take().expect("it was piped");
    let input = input.to_vec();
    // From a thread: qmpsh may print before it has read everything, or end without reading at all.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
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

/// Sends a signal, named without its `SIG`.
pub fn kill(pid: u32, signal: &str) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("the kernel's pids fit"));
    let signal: Signal = format!("SIG{signal}").parse().expect("a signal's name");
    nix::sys::signal::kill(pid, signal)
        .unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
}

/// Whether a server listens at `path`. There is a file a moment before it does, and to try would take the
/// monitor from who comes next.
pub fn listens(path: &Path) -> bool {
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let path = path.to_str().expect("a path of ours");
    let mut sockets = sockets.lines().map(|line| line.split_whitespace());
    // The flag is __SO_ACCEPTCON.
    sockets.any(|mut fields| fields.nth(3) == Some("00010000") && fields.last() == Some(path))
}

/// Whether a QMP server greets at `path` and answers a command, each within a second.
pub fn answers(path: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(path) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let mut replies = BufReader::new(stream.try_clone().expect("a descriptor to spare"));
    let mut line = String::new();
    replies.read_line(&mut line).is_ok_and(|length| length > 0)
        && stream
            .write_all(b"{\"execute\":\"qmp_capabilities\"}\n")
            .is_ok()
        && replies.read_line(&mut line).is_ok_and(|length| length > 0)
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
        let harmful = |c: char| c.is_control() && c != '\n';
        assert!(!stderr.contains(harmful), "{stderr:?}");
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
