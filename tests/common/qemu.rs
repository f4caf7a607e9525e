//! A real QEMU in a directory of its own.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::log::Log;
use super::process::Killed;
use super::run::{Outcome, qmpsh, run};
use super::running::Running;
use super::sockets::{answers, listens};
use super::terminal::Terminal;
use super::{scratch, text, wait_for};
use crate::common::command;

/// A running QEMU. It is killed, and its directory removed, when this is dropped.
pub struct Qemu {
    process: Killed,
    /// The monitor that tests connect to.
    pub socket: PathBuf,
    /// A second monitor, to make things happen without qmpsh.
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
        Self::spawn(&qemu(), args, Vec::new())
    }

    /// A machine without any devices, with a name.
    pub fn named(name: &str) -> Self {
        Self::with_args(&["-machine", "none", "-name", name])
    }

    /// The same with `program` as QEMU.
    pub fn of_program(program: &str, args: &[&str]) -> Self {
        Self::spawn(program, args, Vec::new())
    }

    /// The same with descriptors that it inherits under the numbers they have.
    pub fn with_descriptors(args: &[&str], descriptors: Vec<OwnedFd>) -> Self {
        Self::spawn(&qemu(), args, descriptors)
    }

    fn spawn(program: &str, args: &[&str], descriptors: Vec<OwnedFd>) -> Self {
        let directory = scratch();
        let has_descriptors = !descriptors.is_empty();
        let mut qemu = Self {
            process: spawn(program, directory.path(), args, descriptors),
            socket: directory.path().join(SOCKET),
            control: directory.path().join(CONTROL),
            directory,
        };
        wait_for("QEMU's monitors", || {
            (listens(&qemu.socket) && listens(&qemu.control)).then_some(())
        });
        // Once in a few hundred starts, QEMU 7.2 greets its first client but never answers it. It does answer the next.
        if qemu.answers_soon() {
            return qemu;
        }
        // Once in thousands of starts, QEMU 5.2 answers nobody.
        if !has_descriptors {
            qemu.process.end();
            qemu.process = spawn(program, qemu.directory.path(), args, Vec::new());
        }
        for monitor in [&qemu.socket, &qemu.control] {
            wait_for("QEMU's answer", || answers(monitor).then_some(()));
        }
        qemu
    }

    /// Whether the monitors answer within the first attempts, each of which may take a second.
    fn answers_soon(&self) -> bool {
        let answers = |monitor: &&PathBuf| (0..ATTEMPTS).any(|_| answers(monitor));
        [&self.socket, &self.control].iter().all(answers)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The path of the monitor.
    pub fn address(&self) -> &str {
        text(&self.socket)
    }

    /// The address of a monitor at a TCP port of 127.0.0.1, which QEMU chose.
    pub fn tcp_address(&self) -> String {
        let chardevs = self.control("query-chardev").stdout();
        let (_, from) = chardevs.split_once("127.0.0.1:").expect("a port");
        let (port, _) = from.split_once(',').expect("options after it");
        format!("127.0.0.1:{port}")
    }

    /// Runs `qmpsh ARGS` against the monitor.
    pub fn qmpsh(&self, args: &[&str]) -> Outcome {
        self.script(args, "")
    }

    /// Runs `qmpsh ARGS` against the monitor, with `input` on standard input.
    pub fn script(&self, args: &[&str], input: impl AsRef<[u8]>) -> Outcome {
        qmpsh(&[&["--connect", self.address()], args].concat(), input)
    }

    /// Runs a command through the second monitor.
    pub fn control(&self, line: &str) -> Outcome {
        let outcome = qmpsh(&["--connect", text(&self.control), "-e", line], "");
        outcome.assert_status(0);
        outcome
    }

    /// Starts `qmpsh ARGS` against the monitor, to talk to it while it runs.
    pub fn running(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// `qmpsh ARGS` against the monitor.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(self.directory.path());
        command.args(["--connect", self.address()]).args(args);
        command
    }

    /// qmpsh at its first prompt.
    pub fn prompt(&self) -> Terminal {
        self.prompt_with(&[])
    }

    /// `qmpsh OPTIONS` at its first prompt.
    pub fn prompt_with(&self, options: &[&str]) -> Terminal {
        Terminal::prompt(
            self.directory.path(),
            &[options, &[self.address()]].concat(),
        )
    }

    /// qmpsh at its first prompt, and its log.
    pub fn logged_prompt(&self) -> (Terminal, Log) {
        let log = self.log();
        (self.prompt_with(&["--log", log.path()]), log)
    }

    /// An interactive `sh`, whose prompt is `$`, and in it qmpsh at its first prompt.
    pub fn prompt_in_a_shell(&self) -> Terminal {
        let mut shell = Terminal::command("sh", self.directory.path());
        shell.arg("-i");
        shell.env("PS1", "$ ");
        let mut terminal = Terminal::run(shell);
        terminal.wait_for_line("$");
        let qmpsh = env!("CARGO_BIN_EXE_qmpsh");
        terminal.keys(&format!("{qmpsh} {}\r", self.address()));
        terminal.wait_for_prompt();
        terminal
    }

    /// A log in QEMU's directory, for one qmpsh.
    pub fn log(&self) -> Log {
        Log::at(self.directory.path().join("messages"))
    }

    /// Kills QEMU and starts another on the same paths, with these options besides those that every test needs.
    /// It is not waited for.
    pub fn restart_with(&mut self, args: &[&str]) {
        self.kill();
        self.process = spawn(&qemu(), self.directory.path(), args, Vec::new());
    }

    /// Kills QEMU with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        self.process.end();
    }

    /// Whether QEMU has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }
}

/// How often to ask a QEMU that does not answer, for a second each time, before another is started.
const ATTEMPTS: usize = 30;

/// The names of QEMU's monitors in its directory.
const SOCKET: &str = "qmp.sock";
const CONTROL: &str = "control.sock";

fn spawn(program: &str, directory: &Path, args: &[&str], descriptors: Vec<OwnedFd>) -> Killed {
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
    qmpsh::os::sys::tie(&mut command, descriptors, Signal::SIGKILL);
    Killed::spawn(command)
}

/// A QEMU with a machine without any devices, and without the monitors that other tests need. It inherits
/// `descriptors` under the numbers they have.
pub fn bare_qemu(args: &[&str], descriptors: Vec<OwnedFd>) -> Killed {
    let mut command = Command::new(qemu());
    command.args(BARE).args(args).stdin(Stdio::null());
    qmpsh::os::sys::tie(&mut command, descriptors, Signal::SIGKILL);
    Killed::spawn(command)
}

/// QEMU's options for a machine without any devices.
pub const BARE: [&str; 5] = ["-display", "none", "-nodefaults", "-machine", "none"];

/// A q35 that stands still, with qtest at `socket`. Other options may follow.
pub fn with_qtest(socket: &Path, args: &[&str]) -> Killed {
    let server = format!("unix:{},server=on,wait=off", socket.display());
    let mut command = Command::new(qemu());
    command
        .args(["-display", "none", "-nodefaults", "-machine", "q35", "-S"])
        .args(["-qtest", &server, "-qtest-log", "none"])
        .args(args)
        .stdin(Stdio::null());
    qmpsh::os::sys::tie(&mut command, Vec::new(), Signal::SIGKILL);
    let qemu = Killed::spawn(command);
    wait_for("qtest", || listens(socket).then_some(()));
    qemu
}

/// A qemu-storage-daemon whose monitor is at `socket`.
pub fn storage_daemon(socket: &Path) -> Killed {
    let monitor = format!("socket,id=m,server=on,wait=off,path={}", socket.display());
    let mut command = Command::new(beside_qemu("qemu-storage-daemon"));
    command
        .args(["--chardev", &monitor, "--monitor", "chardev=m"])
        .stdin(Stdio::null());
    qmpsh::os::sys::tie(&mut command, Vec::new(), Signal::SIGKILL);
    let daemon = Killed::spawn(command);
    wait_for("the daemon's monitor", || listens(socket).then_some(()));
    wait_for("the daemon's answer", || answers(socket).then_some(()));
    daemon
}

/// Another program of the QEMU that tests use: the one in the same directory under the same suffix, such as
/// `/opt/qemu-img-10.0` beside `/opt/qemu-system-x86_64-10.0`, or the system's if there is none.
pub fn beside_qemu(program: &str) -> PathBuf {
    let qemu = PathBuf::from(qemu());
    let name = qemu.file_name().and_then(|name| name.to_str());
    let suffix = name.and_then(|name| name.strip_prefix("qemu-system-x86_64"));
    let beside = qemu.with_file_name(format!("{program}{}", suffix.unwrap_or_default()));
    if beside.exists() {
        beside
    } else {
        program.into()
    }
}

/// Whether QEMU starts with these options.
pub fn takes(options: &[&str]) -> bool {
    let mut command = Command::new(qemu());
    command.args(BARE).args(options).args(["-monitor", "stdio"]);
    run(command, b"quit\n").status() == Some(0)
}

/// The QEMU that tests use.
pub fn qemu() -> String {
    std::env::var("QMPSH_TEST_QEMU").unwrap_or_else(|_| "qemu-system-x86_64".to_owned())
}
