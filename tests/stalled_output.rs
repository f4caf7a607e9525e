//! Blocked standard output, standard error or logs do not keep a script, or a VM that it launched, from ending.

use std::fs;
use std::io::PipeReader;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::common::process::{Killed, exists, wait_for_end_of};
use crate::common::qemu::BARE;
use crate::common::sockets::listens;
use crate::common::terminal::Terminal;
use crate::common::{Qemu, command, kill, qemu, qmpsh, run, scratch, text, wait_for};

/// How long qmpsh may take to end. It needs less than a second, but the machine may be busy.
const LIMIT: Duration = Duration::from_secs(10);

/// A script whose output nobody reads, until this is dropped.
struct Stalled {
    process: Killed,
    _output: PipeReader,
}

impl Stalled {
    /// Runs `command` with a pipe that nobody reads for standard output, and for standard error, too.
    fn run(mut command: Command) -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let errors = writer.try_clone().expect("a descriptor to spare");
        command.stdin(Stdio::null()).stdout(writer).stderr(errors);
        Self {
            process: Killed::spawn(command),
            _output: reader,
        }
    }

    /// Waits until it waits for room in the pipe.
    fn wait_until_full(&self) {
        let state = format!("/proc/{}/wchan", self.process.id());
        wait_for("a full pipe", || {
            let function = fs::read_to_string(&state).ok()?;
            function.contains("pipe_w").then_some(())
        });
    }

    /// Sends the signal, and asserts that it ends soon, with this status, or by the signal.
    #[track_caller]
    fn ends_by(mut self, signal: &str, status: Option<i32>) {
        let start = Instant::now();
        kill(self.process.id(), signal);
        let ended = wait_for("the end of qmpsh", || {
            self.process.try_wait().expect("ours")
        });
        assert!(start.elapsed() < LIMIT, "{signal}: {:?}", start.elapsed());
        assert_eq!(ended.code(), status, "{signal}");
    }
}

/// `qmpsh --launch OPTIONS` with the lines and a QEMU that writes its pid to a file.
fn launch(home: &Path, options: &[&str], lines: &[&str]) -> Command {
    let mut command = command(home);
    command.arg("--launch").args(options);
    for line in lines {
        command.args(["-e", line]);
    }
    let pidfile = home.join("pid");
    command.arg("--").arg(qemu()).args(BARE);
    command.args(["-pidfile", text(&pidfile)]);
    command
}

/// The pid of that QEMU.
fn launched(home: &Path) -> u32 {
    wait_for("a pid", || {
        fs::read_to_string(home.join("pid"))
            .ok()?
            .trim()
            .parse()
            .ok()
    })
}

/// Lines that print more than a pipe takes, over and over.
const MUCH: [&str; 2] = ["query-qmp-schema", "query-qmp-schema"];

#[test]
fn signals_end_a_script_and_its_vm_while_nobody_reads_its_output() {
    for signal in ["TERM", "HUP", "INT"] {
        let home = scratch();
        let log = home.path().join("log");
        let stalled = Stalled::run(launch(home.path(), &["-l", text(&log)], &MUCH));
        let pid = launched(home.path());
        stalled.wait_until_full();
        stalled.ends_by(signal, Some(130));
        assert!(!exists(pid), "SIG{signal}");
        let log = fs::read_to_string(&log).expect("the log");
        assert!(log.contains(r#""execute":"quit""#), "SIG{signal}");
    }
}

#[test]
fn signals_end_a_script_and_its_vm_while_nobody_reads_what_it_says() {
    let home = scratch();
    let lines: Vec<_> = std::iter::repeat_n("no-such-command", 3000).collect();
    let stalled = Stalled::run(launch(home.path(), &["-k"], &lines));
    let pid = launched(home.path());
    stalled.wait_until_full();
    stalled.ends_by("TERM", Some(130));
    assert!(!exists(pid));
}

#[test]
fn a_vm_that_does_not_end_is_killed_while_nobody_reads_the_output() {
    let home = scratch();
    let options = ["--shutdown-timeout", "0.5"];
    let stalled = Stalled::run(launch(home.path(), &options, &MUCH));
    let pid = launched(home.path());
    stalled.wait_until_full();
    kill(pid, "STOP");
    stalled.ends_by("TERM", Some(130));
    wait_for_end_of(pid);
}

#[test]
fn signals_end_a_script_without_a_vm_while_nobody_reads_its_output() {
    for (signal, status) in [("TERM", None), ("HUP", None), ("INT", Some(130))] {
        let qemu = Qemu::start();
        let stalled = Stalled::run(qemu.command(&["-e", MUCH[0], "-e", MUCH[1]]));
        stalled.wait_until_full();
        stalled.ends_by(signal, status);
    }
}

#[test]
fn signals_end_a_script_that_listens_while_nobody_reads_its_output() {
    let directory = scratch();
    let path = directory.path().join("sock");
    let mut command = command(directory.path());
    command.args(["--listen", text(&path), "-e", MUCH[0], "-e", MUCH[1]]);
    let stalled = Stalled::run(command);
    wait_for("the socket", || listens(&path).then_some(()));
    let chardev = format!("socket,id=c,path={},server=off", path.display());
    let options = ["-chardev", &chardev, "-qmp", "chardev:c"];
    let _qemu = crate::common::qemu::bare_qemu(&options, Vec::new());
    stalled.wait_until_full();
    stalled.ends_by("TERM", Some(130));
    assert!(!path.exists());
}

#[test]
fn a_fifo_that_nobody_reads_is_no_log() {
    let home = scratch();
    let fifo = home.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO of ours");
    let outcome = run(
        launch(home.path(), &["-l", text(&fifo)], &["query-name"]),
        b"",
    );
    outcome.assert_fails(1, "cannot log to");
    let outcome = qmpsh(&["-c", "x.sock", "-l", text(&fifo), "query-name"], "");
    outcome.assert_fails(1, "nobody reads");
}

#[test]
fn a_log_that_takes_nothing_more_keeps_neither_a_script_nor_the_prompt() {
    let home = scratch();
    let fifo = home.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).expect("a FIFO of ours");
    let mut options = fs::OpenOptions::new();
    // It is open for reading, and never read.
    let _reader = options
        .read(true)
        .write(true)
        .open(&fifo)
        .expect("a FIFO of ours");
    let start = Instant::now();
    let lines = ["query-qmp-schema", "query-name"];
    let outcome = run(launch(home.path(), &["-l", text(&fifo)], &lines), b"");
    outcome
        .assert_status(0)
        .assert_says("writing to the log is blocked");
    let qemu = Qemu::start();
    for signal in ["TERM", "HUP"] {
        let mut terminal = Terminal::start(home.path(), &["-l", text(&fifo), qemu.address()]);
        terminal.wait_for_prompt();
        // Nor does the terminal.
        terminal.fill();
        kill(terminal.pid(), signal);
        assert_ne!(terminal.wait_for_end(), 0);
    }
    assert!(start.elapsed() < LIMIT * 3, "{:?}", start.elapsed());
}
