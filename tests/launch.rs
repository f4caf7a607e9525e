//! `--launch`: VMs that qmpsh starts itself, and ends.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use qmpsh::vm::{ConsoleDevice, KillOnDrop, Monitor, Plan, Vm};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::process::{Killed, descriptors, exists, memory, spawn, wait_for_end_of};
use crate::common::qemu::{BARE, beside_qemu};
use crate::common::run::{closed, run_to, through};
use crate::common::running::Running;
use crate::common::stty::Between;
use crate::common::terminal::{CTRL_C, CTRL_D, Terminal};
use crate::common::{
    Outcome, command, in_shell, kill, mode, qemu, qmpsh, run, scratch, text, wait_for,
};

/// A home for one qmpsh, with a place for its temporary files.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        let directory = scratch();
        fs::create_dir(directory.path().join("tmp")).expect("a directory of ours");
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `qmpsh --launch OPTIONS -- QEMU` with a machine without any devices, and `more` options for QEMU.
    fn command(&self, options: &[&str], more: &[&str]) -> Command {
        let mut command = command(self.directory.path());
        command.env("TMPDIR", self.path("tmp"));
        command.arg("--launch").args(options).arg("--").arg(qemu());
        command.args(BARE).args(more);
        command
    }

    fn launch(&self, options: &[&str]) -> Outcome {
        run(self.command(options, &[]), b"")
    }

    fn running(&self, options: &[&str]) -> Running {
        Running::start(self.command(options, &[]))
    }

    /// The same in a terminal, with the prompt there.
    fn terminal(&self, options: &[&str]) -> Terminal {
        let mut shell = Terminal::command(env!("CARGO_BIN_EXE_qmpsh"), self.directory.path());
        shell.env("TMPDIR", self.path("tmp"));
        shell.arg("--launch");
        shell.args(options);
        shell.arg("--");
        shell.arg(qemu());
        shell.args(BARE);
        let terminal = Terminal::run(shell);
        terminal.wait_for_prompt();
        terminal
    }

    /// Asserts that qmpsh has left no temporary files.
    #[track_caller]
    fn assert_empty(&self) {
        let left: Vec<_> = fs::read_dir(self.path("tmp"))
            .expect("ours")
            .flatten()
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// The process that `:vm` in a script speaks of.
fn pid_in(line: &str) -> u32 {
    let vm: Value = serde_json::from_str(line).expect("JSON");
    let pid = vm["pid"].as_u64().expect("a pid");
    u32::try_from(pid).expect("a pid")
}

/// The process of a run's VM.
fn pid_of(running: &mut Running) -> u32 {
    running.send(":vm");
    pid_in(&running.line())
}

fn pid_on(terminal: &mut Terminal) -> u32 {
    terminal.enter(":vm");
    pid_shown(&terminal.unwrapped())
}

/// The process that `:vm` speaks of in a terminal.
fn pid_shown(text: &str) -> u32 {
    let (_, from) = text.split_once("running, pid ").expect("a pid");
    let (pid, _) = from.split_once(',').expect("and for how long");
    pid.parse().expect("a number")
}

#[test]
fn launch_gives_a_prompt_and_leaving_it_shuts_the_vm_down() {
    let home = Home::new();
    let mut terminal = home.terminal(&[]);
    terminal.assert_answer("query-status", "\"running\"");
    let pid = pid_on(&mut terminal);
    assert!(exists(pid));
    terminal.leave_the_vm();
    terminal.wait_for_text("the VM has shut down");
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(!exists(pid));
    home.assert_empty();
}

#[test]
fn without_a_qemu_named_the_one_for_this_machine_is_launched() {
    for more in [&[][..], &["--", "-S"]] {
        let args = ["--launch", "-e", "query-status", "-e", ":vm"];
        let outcome = qmpsh(&[&args[..], more].concat(), "");
        outcome.assert_status(0);
        let running = outcome.lines()[0].contains("\"running\": true");
        assert_eq!(running, more.is_empty(), "{outcome}");
        let expected = format!("qemu-system-{} -display none", std::env::consts::ARCH);
        assert!(outcome.stdout().contains(&expected), "{outcome}");
    }
}

#[test]
fn commands_lines_files_and_standard_input_work_with_launch() {
    let home = Home::new();
    home.launch(&["query-version"]).assert_status(0);
    let outcome = home.launch(&["-e", "stop", "-e", "query-status"]);
    assert_eq!(outcome.assert_status(0).json()[1]["running"], false);
    let file = home.path("script");
    fs::write(&file, "stop\ncont\n").expect("a file of ours");
    home.launch(&["-f", text(&file)]).assert_stdout("{}\n{}\n");
    run(home.command(&[], &[]), b"stop\ncont\n").assert_stdout("{}\n{}\n");
    // A failure is that of the command, and the VM is gone all the same.
    home.launch(&["no-such-command"])
        .assert_fails(1, "no-such-command");
    home.assert_empty();
}

#[test]
fn a_launch_that_fails_shows_status_command_and_output() {
    let home = Home::new();
    let outcome = run(home.command(&["query-status"], &["-no-such-option"]), b"");
    outcome.assert_fails(3, "ended with exit status 1");
    outcome.assert_says("-machine none -no-such-option");
    outcome.assert_says("-no-such-option: invalid option");
    for monitor in ["none", text(&home.path("m"))] {
        let options = ["--monitor", monitor];
        let outcome = run(
            home.command(&options, &["-no-such-option"]),
            b":vm log -f\n",
        );
        outcome.assert_says("ended with exit status 1");
        let said = outcome.stdout() + &outcome.stderr();
        assert!(
            said.contains("-no-such-option: invalid option"),
            "{outcome}"
        );
    }
    home.assert_empty();
    let outcome = qmpsh(&["--launch", "stop", "--", "no-such-qemu"], "");
    outcome.assert_fails(3, "cannot run `no-such-qemu`");
}

#[test]
fn a_launch_that_fails_at_the_prompt_says_so_and_leaves_no_prompt() {
    let home = Home::new();
    let mut shell = Terminal::command(env!("CARGO_BIN_EXE_qmpsh"), home.directory.path());
    shell.args(["--launch", "--", &qemu(), "-no-such-option"]);
    let mut terminal = Terminal::run(shell);
    assert_eq!(terminal.wait_for_end(), 3);
    terminal.wait_for_text("invalid option");
}

#[test]
fn a_storage_daemon_is_launched_also_if_its_name_has_a_suffix() {
    let home = Home::new();
    let program = home.path("qemu-storage-daemon-1.0");
    let link = Command::new("sh")
        .args(["-c", r#"ln -s "$(command -v "$0")" "$1""#])
        .args([beside_qemu("qemu-storage-daemon"), program.clone()])
        .status();
    assert!(link.expect("sh runs").success());
    let mut daemon = command(home.directory.path());
    daemon.args(["--launch", "query-chardev", "--", text(&program)]);
    let outcome = run(daemon, b"");
    assert!(outcome.assert_status(0).json()[0].is_array(), "{outcome}");
}

#[test]
fn leaving_asks_the_vm_to_quit() {
    let home = Home::new();
    let log = home.path("log");
    let log = text(&log);
    home.launch(&["-l", log, "query-status"]).assert_status(0);
    let log = fs::read_to_string(log).expect("the log");
    assert!(log.contains("\"quit\""), "{log}");
}

#[test]
fn a_vm_that_does_not_end_is_killed_and_the_user_is_told() {
    let home = Home::new();
    let mut running = home.running(&["--shutdown-timeout", "0.3"]);
    let pid = pid_of(&mut running);
    kill(pid, "STOP");
    running.close();
    let (status, stderr) = running.wait();
    assert!(
        stderr.contains("did not shut down within 0.3 s and was killed (SIGKILL)"),
        "{stderr}"
    );
    assert_eq!(status.code(), Some(1));
    assert!(!exists(pid));
    home.assert_empty();
}

#[test]
fn a_script_fails_if_its_vm_dies_of_a_signal() {
    let home = Home::new();
    let mut running = home.running(&[]);
    let pid = pid_of(&mut running);
    kill(pid, "SEGV");
    wait_for_end_of(pid);
    running.close();
    let (status, stderr) = running.wait();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert_eq!(
        stderr.matches("was killed by SIGSEGV").count(),
        1,
        "{stderr}"
    );
}

#[test]
fn a_vm_that_crashed_counts_even_if_it_was_restarted() {
    let home = Home::new();
    let mut running = home.running(&["-k"]);
    let pid = pid_of(&mut running);
    kill(pid, "SEGV");
    running.wait_for_complaint("was killed by SIGSEGV");
    running.send(":vm restart");
    assert_ne!(pid_of(&mut running), pid);
    running.close();
    assert_eq!(running.wait().0.code(), Some(1));
}

#[test]
fn the_exit_status_of_a_vm_that_ends_by_itself_counts() {
    for (code, status) in [("0", 0), ("7", 1)] {
        let script = format!("exit {code}");
        let options = ["--launch", "--monitor", "none", ":vm", "log", "-f"];
        let outcome = qmpsh(&[&options[..], &["--", "sh", "-c", &script]].concat(), "");
        outcome.assert_status(status);
        outcome.assert_says(&format!("sh ended with exit status {code}"));
    }
}

#[test]
fn a_vm_that_fails_while_it_shuts_down_counts() {
    let home = Home::new();
    let wrapper = home.path("wrapper");
    fs::write(&wrapper, "\"$@\"\nexit 7\n").expect("a file of ours");
    let wrapper = format!("sh {}", wrapper.display());
    let options = ["--wrapper", &wrapper, "-e", "query-name"];
    let outcome = home.launch(&options);
    outcome.assert_fails(1, "ended with exit status 7");
    let outcome = home.launch(&[&options[..], &["-e", ":vm stop"]].concat());
    outcome.assert_fails(1, "`:vm stop`: ");
    assert_eq!(
        outcome.stderr().matches("exit status 7").count(),
        1,
        "{outcome}"
    );
}

#[test]
fn a_vm_that_ends_as_it_should_is_a_success() {
    let home = Home::new();
    for lines in [
        &["quit"][..],
        &[":vm stop"],
        &[":vm stop --hard"],
        &[":vm restart", ":vm restart"],
    ] {
        let options: Vec<&str> = lines.iter().flat_map(|line| ["-e", line]).collect();
        home.launch(&options).assert_status(0);
    }
    // Without a monitor, it is told by a signal, and QEMU takes that well.
    home.launch(&["--monitor", "none", ":vm"]).assert_status(0);
    let mut running = home.running(&[]);
    let pid = pid_of(&mut running);
    kill(pid, "TERM");
    wait_for_end_of(pid);
    running.close();
    let (status, stderr) = running.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

#[test]
fn the_prompt_ends_with_a_failure_if_its_vm_crashed() {
    let home = Home::new();
    let mut terminal = home.terminal(&[]);
    let pid = pid_on(&mut terminal);
    kill(pid, "ABRT");
    terminal.wait_for_text("was killed by SIGABRT");
    terminal.leave_the_vm();
    assert_eq!(terminal.wait_for_end(), 1);
}

#[test]
fn the_end_of_the_vm_is_noticed_even_if_its_signal_was_blocked() {
    let home = Home::new();
    let launch = home.command(&["query-name"], &[]);
    let mut running = Running::start(through(&["env", "--block-signal=CHLD"], &launch));
    assert_eq!(running.line(), "{}");
    assert!(running.wait().0.success());
}

#[test]
fn a_signal_during_a_slow_shutdown_kills_the_vm() {
    let home = Home::new();
    let mut running = home.running(&[]);
    let pid = pid_of(&mut running);
    kill(pid, "STOP");
    kill(running.pid(), "TERM");
    // Only a signal that comes while it waits for the VM has that effect, so it is sent until one does.
    wait_for("the end of qmpsh", || {
        if exists(pid) {
            kill(running.pid(), "TERM");
        }
        (!exists(pid)).then_some(())
    });
    let (_, stderr) = running.wait();
    assert!(stderr.contains("the VM was killed (SIGKILL)"), "{stderr}");
    home.assert_empty();
}

#[test]
fn no_signal_to_a_script_leaves_an_orphan() {
    for signal in ["TERM", "HUP", "INT"] {
        let home = Home::new();
        let mut running = home.running(&[]);
        let pid = pid_of(&mut running);
        kill(running.pid(), signal);
        let (status, _) = running.wait();
        assert_eq!(status.code(), Some(130), "SIG{signal}");
        assert!(!exists(pid), "SIG{signal}");
        home.assert_empty();
    }
}

#[test]
fn no_signal_to_the_prompt_leaves_an_orphan() {
    for signal in ["TERM", "HUP"] {
        let home = Home::new();
        let mut terminal = home.terminal(&[]);
        let pid = pid_on(&mut terminal);
        terminal.keys("query-st");
        kill(terminal.pid(), signal);
        terminal.wait_for_end();
        assert!(!exists(pid), "SIG{signal}");
        home.assert_empty();
    }
}

#[test]
fn a_shell_that_is_killed_leaves_no_orphan_whatever_the_vm_does() {
    for state in ["CONT", "STOP"] {
        let home = Home::new();
        let mut running = home.running(&[]);
        let pid = pid_of(&mut running);
        kill(pid, state);
        kill(running.pid(), "KILL");
        running.wait();
        wait_for_end_of(pid);
    }
}

#[test]
fn the_next_launch_removes_what_a_killed_shell_has_left() {
    let home = Home::new();
    let mut alive = home.running(&[]);
    pid_of(&mut alive);
    let left = || fs::read_dir(home.path("tmp")).expect("ours").count();
    for signal in ["KILL", "QUIT", "ABRT"] {
        let mut running = home.running(&["--console"]);
        pid_of(&mut running);
        kill(running.pid(), signal);
        running.wait();
        assert_eq!(left(), 2);
        home.launch(&["query-status"]).assert_status(0);
        assert_eq!(left(), 1);
    }
    alive.send(":vm log");
    alive.close();
    let (status, stderr) = alive.wait();
    assert!(status.success(), "{stderr}");
    home.assert_empty();
}

#[test]
fn a_terminal_that_is_closed_leaves_no_orphan() {
    let home = Home::new();
    // Close-on-exec from the start: whoever inherited it would keep the terminal open.
    let ours = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(ours).expect("a pty");
    grantpt(&master)
        .and_then(|()| unlockpt(&master))
        .expect("it is ours");
    let slave = ptsname_r(&master).expect("its other end");
    let terminal = open(&*slave, ours, Mode::empty()).expect("its other end");
    let slave = || terminal.try_clone().expect("a descriptor to spare");
    let mut command = Command::new("setsid");
    command.args([
        "--ctty",
        "--wait",
        env!("CARGO_BIN_EXE_qmpsh"),
        "--launch",
        "--console",
    ]);
    command.args(["--", &qemu()]).args(BARE);
    command
        .env("TMPDIR", home.path("tmp"))
        .env("HOME", home.directory.path())
        .env("TERM", "xterm");
    command.stdin(slave()).stdout(slave()).stderr(slave());
    let mut shell = spawn(&mut command).expect("qmpsh starts");
    drop(command);
    drop(terminal);
    let master = fs::File::from(OwnedFd::from(master));
    let mut output = Vec::new();
    let mut read_until = |text: &str| {
        while !String::from_utf8_lossy(&output).contains(text) {
            let mut piece = [0; 1024];
            let length = (&master).read(&mut piece).expect("the terminal is open");
            output.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&output).into_owned()
    };
    read_until("(QEMU");
    writeln!(&master, ":vm\r").expect("the terminal takes keys");
    let pid = pid_shown(&read_until("log  "));
    drop(master);
    shell.wait().expect("it is our child");
    assert!(!exists(pid));
    home.assert_empty();
}

#[test]
fn a_panic_leaves_no_orphan() {
    let home = Home::new();
    let plan = Plan {
        words: [&qemu()[..]]
            .iter()
            .chain(&BARE)
            .map(OsString::from)
            .collect(),
        wrapper: Vec::new(),
        monitor: Monitor::Pair,
        passed: Vec::new(),
        name: None,
        console: Some(ConsoleDevice::Serial),
        console_log_limit: 0,
        log_dir: None,
        temp_dir: Some(home.path("tmp")),
        shutdown_timeout: Duration::from_secs(30),
    };
    let (sender, pid) = std::sync::mpsc::channel();
    let crash = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let vm = Arc::new(Vm::new(plan).expect("a directory"));
            let _elsewhere = Box::leak(Box::new(vm.clone()));
            let _end = KillOnDrop(vm.clone());
            vm.start().expect("QEMU starts");
            sender
                .send(vm.describe().pid.expect("it runs").cast_unsigned())
                .expect("somebody asks");
            panic!("what a crash of the shell is");
        });
    });
    let pid = pid.recv().expect("a VM");
    assert!(crash.join().is_err());
    assert!(!exists(pid));
    home.assert_empty();
}

#[test]
fn ctrl_c_does_not_reach_the_vm() {
    let home = Home::new();
    let mut terminal = home.terminal(&[]);
    let pid = pid_on(&mut terminal);
    kill(pid, "STOP");
    terminal.keys("query-status\r");
    terminal.wait("the line taken", |_| terminal.cursor().1 == 0);
    terminal.keys(CTRL_C);
    terminal.wait_for_text("no longer waiting");
    terminal.wait_for_prompt();
    kill(pid, "CONT");
    terminal.wait_for_text("late reply to `query-status`");
    terminal.enter("query-version");
    assert_eq!(pid_on(&mut terminal), pid);
}

#[test]
fn a_vm_that_dies_of_a_signal_is_reported_with_signal_and_command() {
    let home = Home::new();
    let mut terminal = home.terminal(&["--name", "doomed"]);
    let pid = pid_on(&mut terminal);
    kill(pid, "SEGV");
    terminal.wait_for_text("was killed by SIGSEGV");
    terminal.wait_for_text("guest=doomed");
    terminal.wait("the prompt, without a connection", |screen| {
        !screen.contains("●")
    });
    terminal.enter(":vm");
    terminal.wait_for_text("state     was killed by SIGSEGV");
    // And one that we kill ourselves is not.
    terminal.enter(":vm restart");
    terminal.enter(":vm stop --hard");
    terminal.wait_for_text("the VM was killed (SIGKILL)");
    assert!(!terminal.output().contains("was killed by SIGKILL:"));
    assert!(
        !terminal
            .output()
            .contains("was killed by SIGKILL\r\ncommand")
    );
    terminal.leave_the_vm();
    terminal.wait_for_end();
    home.assert_empty();
}

#[test]
fn a_wrapper_runs_qemu_and_does_not_survive_qmpsh_either() {
    let home = Home::new();
    let trace = home.path("trace");
    let wrapper = format!("strace -f -o {}", trace.display());
    let outcome = home.launch(&["--wrapper", &wrapper, "query-status"]);
    assert_eq!(outcome.assert_status(0).json()[0]["running"], true);
    let text = fs::read_to_string(&trace).expect("a trace");
    assert!(text.contains("execve(") && text.contains("exited with 0"));
    home.assert_empty();

    let mut running = home.running(&["--wrapper", &wrapper]);
    let strace = pid_of(&mut running);
    let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children"));
    let qemu: u32 = children
        .expect("its children")
        .trim()
        .parse()
        .expect("one of them");
    kill(running.pid(), "KILL");
    running.wait();
    wait_for_end_of(strace);
    wait_for_end_of(qemu);
}

#[test]
fn a_monitor_at_a_path_is_private_to_its_owner_and_removed_at_the_end() {
    let home = Home::new();
    let path = home.path("monitor");
    let address = text(&path);
    let mut terminal = home.terminal(&["--monitor", address]);
    assert_eq!(mode(&path), 0o600);
    // Others may use it while we do not.
    terminal.enter(":disconnect");
    let outcome = qmpsh(&[address, "query-status"], "");
    assert_eq!(
        outcome.assert_status(0).json()[0]["running"],
        true,
        "{outcome}"
    );
    terminal.enter(":connect");
    let pid = pid_on(&mut terminal);
    terminal.leave_the_vm();
    terminal.wait_for_end();
    assert!(!exists(pid));
    assert!(!path.exists());
    home.assert_empty();
}

#[test]
fn a_monitor_may_be_at_a_tcp_port_and_there_may_be_none() {
    let home = Home::new();
    let outcome = home.launch(&[
        "--monitor",
        "127.0.0.1:0",
        "-e",
        "query-status",
        "-e",
        ":vm",
    ]);
    outcome.assert_status(0);
    let monitor = outcome.json()[1]["monitor"].to_string();
    assert!(monitor.starts_with("\"127.0.0.1:"), "{outcome}");
    assert!(!monitor.ends_with(":0\""), "{outcome}");
    let outcome = home.launch(&["--monitor", "none", ":vm"]);
    outcome.assert_status(0);
    assert_eq!(outcome.json()[0]["monitor"], "none", "{outcome}");
    let outcome = home.launch(&["--monitor", "none", "query-status"]);
    outcome.assert_fails(3, "not connected");
    home.assert_empty();
}

#[test]
fn a_monitor_path_that_is_in_use_is_refused() {
    let home = Home::new();
    let path = home.path("monitor");
    let _listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket of ours");
    let outcome = home.launch(&["--monitor", text(&path), "stop"]);
    outcome.assert_fails(3, "another process already listens there");
    assert!(path.exists());
    home.assert_empty();
}

#[test]
fn a_descriptor_is_passed_on_in_a_set() {
    let home = Home::new();
    let sets = |option: &str| {
        let launch = home.command(&["--add-fd", option, "query-fdsets"], &[]);
        let shell = in_shell("exec \"$0\" \"$@\" 9</dev/zero", &launch);
        run(shell, b"").assert_status(0).json().remove(0)
    };
    assert_eq!(sets("9")[0]["fdset-id"], 9);
    let set = sets("9,set=7,opaque=zero");
    assert_eq!(set[0]["fdset-id"], 7);
    assert_eq!(set[0]["fds"][0]["opaque"], "zero");
    home.launch(&["--add-fd", "777", "stop"])
        .assert_fails(2, "cannot pass descriptor 777 to QEMU");
    home.assert_empty();
}

#[test]
fn the_name_and_the_log_directory_can_be_chosen() {
    let home = Home::new();
    let logs = home.path("tmp");
    let options = ["--name", "my vm", "--log-dir", text(&logs)];
    let more = ["-e", "query-name", "-e", ":vm log"];
    let outcome = run(
        home.command(&[&options[..], &more].concat(), &["-d", "guest_errors"]),
        b"",
    );
    assert_eq!(outcome.assert_status(0).lines()[0], r#"{"name": "my vm"}"#);
    let log = logs.join("my vm.log");
    assert_eq!(mode(&log), 0o600);
    fs::remove_file(log).expect("it is there");
    home.assert_empty();
}

#[test]
fn what_the_vm_prints_is_in_its_log_and_reaches_no_terminal_raw() {
    let home = Home::new();
    // A name that QEMU repeats.
    let warning = "\x1b[31mred";
    let command = home.command(&[":vm", "log"], &["-trace", warning]);
    let outcome = run(command, b"");
    assert!(outcome.stdout().contains("\\u{1b}[31mred"), "{outcome}");
    assert!(!outcome.stdout().contains('\x1b'), "{outcome}");
}

#[test]
fn what_is_added_to_the_command_line_makes_qemu_print_nothing() {
    let home = Home::new();
    let outcome = home.launch(&["--console", "-e", "query-status", "-e", ":vm log"]);
    assert_eq!(outcome.assert_status(0).lines().len(), 1, "{outcome}");
}

#[test]
fn the_end_of_a_long_log_is_shown_and_all_of_it_in_pieces() {
    const LINES: usize = 40_000;
    let home = Home::new();
    let line = "x".repeat(999) + "\n";
    fs::write(home.path("qemu.log"), line.repeat(LINES - 1)).expect("room");
    let mut command = command(home.directory.path());
    let logs = ["--log-dir", text(home.directory.path())];
    command.args(["--launch", "--monitor", "none"]).args(logs);
    command.args(["--", "sh", "-c", "echo the end; sleep 1000"]);
    let mut running = Running::start(command);
    let is_complete =
        || fs::read(home.path("qemu.log")).is_ok_and(|log| log.ends_with(b"the end\n"));
    wait_for("the last line", || is_complete().then_some(()));
    running.send(":vm log");
    let until_the_end = |running: &mut Running| {
        let mut count = 1;
        while running.line() != "the end" {
            count += 1;
        }
        count
    };
    let before = memory(running.pid(), "VmHWM");
    // So many fit into 64 KiB.
    assert_eq!(until_the_end(&mut running), 66);
    running.wait_for_complaint("bytes before this are left out; `:vm log --all` shows them");
    running.send(":vm log --all");
    assert_eq!(until_the_end(&mut running), LINES);
    running.send(":vm log --all -f");
    assert_eq!(until_the_end(&mut running), LINES);
    let grown = memory(running.pid(), "VmHWM").saturating_sub(before);
    assert!(grown < 4 << 10, "{grown} KiB more");
    // It goes on following, and can be interrupted.
    kill(running.pid(), "TERM");
    assert_eq!(running.wait().0.code(), Some(130));
}

#[test]
fn a_script_that_shows_a_long_log_can_be_interrupted() {
    let home = Home::new();
    let log = fs::File::create(home.path("qemu.log")).expect("a file of ours");
    log.set_len(40 << 30).expect("a file with a hole");
    let mut command = command(home.directory.path());
    let logs = ["--log-dir", text(home.directory.path())];
    command.args(["--launch", "--monitor", "none"]).args(logs);
    command.args(["-e", ":vm log --all", "--", "sleep", "1000"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = Killed::spawn(command);
    let mut stdout = process.stdout.take().expect("it was piped");
    stdout.read_exact(&mut [0]).expect("it shows something");
    let drain = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    kill(process.id(), "TERM");
    let ended = wait_for("the end of qmpsh", || process.try_wait().expect("ours"));
    assert_eq!(ended.code(), Some(130));
    drain.join().expect("no panic").expect("it reads");
}

#[test]
fn vm_log_follows_until_the_vm_ends_or_ctrl_c() {
    let home = Home::new();
    let mut terminal = home.terminal(&[]);
    terminal.keys(":vm log -f\r");
    terminal.wait("the line taken", |_| terminal.cursor().1 == 0);
    terminal.cancel();
    let pid = pid_on(&mut terminal);
    terminal.keys(":vm log -f\r");
    terminal.wait("the line taken", |_| terminal.cursor().1 == 0);
    // QEMU says who sent it this.
    kill(pid, "TERM");
    terminal.wait_for_text("terminating on signal 15");
    terminal.wait("the prompt", |screen| {
        screen
            .lines()
            .last()
            .is_some_and(|l| l.starts_with("(QEMU"))
    });
}

#[test]
fn a_script_that_follows_the_log_ends_when_its_reader_is_gone() {
    let home = Home::new();
    // Something that goes on printing, in QEMU's place.
    let talk = "while echo still here; do sleep 0.02; done";
    let options = ["--monitor", "none", "-e", ":vm log -f"];
    let mut command = command(home.directory.path());
    command
        .arg("--launch")
        .args(options)
        .args(["--", "sh", "-c", talk]);
    command.stdout(closed()).stderr(Stdio::piped());
    run_to(command, b"");
}

#[test]
fn the_vm_is_stopped_and_restarted_with_the_same_arguments() {
    let home = Home::new();
    let mut terminal = home.terminal(&["--name", "phoenix"]);
    let first = pid_on(&mut terminal);
    terminal.enter(":vm restart");
    assert!(!exists(first));
    terminal.assert_answer("query-name", "phoenix");
    terminal.enter(":vm stop");
    terminal.wait_for_text("the VM has shut down");
    terminal.enter("query-status");
    terminal.wait_for_text("not connected");
    terminal.enter(":vm");
    terminal.wait_for_text("state     ended with exit status 0");
    terminal.enter(":vm restart");
    terminal.assert_answer("query-status", "\"running\"");
    terminal.leave_the_vm();
    terminal.wait_for_end();
    home.assert_empty();
}

#[test]
fn the_monitor_of_a_launched_vm_cannot_be_given_up() {
    let home = Home::new();
    for line in [":disconnect", ":connect", ":connect /no/where"] {
        home.launch(&["-e", line])
            .assert_fails(2, "stays connected to the VM");
    }
    crate::common::Qemu::start()
        .qmpsh(&[":vm"])
        .assert_fails(2, "no VM was launched");
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    let outcome = qmpsh(&["--launch", "stop", "--", &qemu(), "-daemonize"], "");
    outcome.assert_fails(2, "-daemonize");
    for args in [
        &["--launch", "-c", "x", "stop"][..],
        &["--launch", "--monitor", "fd:3"],
        &["--launch", "--add-fd", "1"],
        &["x.sock", "--wrapper", "strace"],
        &["x.sock", "--console"],
        &["--launch", "-n", "stop"],
    ] {
        assert_eq!(qmpsh(args, "").status(), Some(2), "{args:?}");
    }
}

#[test]
fn two_hundred_restarts_leave_nothing_behind() {
    let home = Home::new();
    let mut running = home.running(&["--console"]);
    let shell = running.pid();
    let mut line = || {
        running.send(":vm");
        pid_in(&running.line())
    };
    let mut pids = vec![line()];
    let before = descriptors(shell);
    for _ in 0..10 {
        for _ in 0..20 {
            running.send(":vm restart");
        }
        running.send(":vm");
        pids.push(pid_in(&running.line()));
    }
    assert_eq!(pids.len(), 11);
    // The thread of the last console may be about to end.
    wait_for("as many descriptors as before", || {
        (descriptors(shell) == before).then_some(())
    });
    let tasks = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
    let children = tasks.expect("a process of ours");
    assert_eq!(children.split_whitespace().count(), 1, "{children}");
    running.close();
    let (status, stderr) = running.wait();
    assert!(status.success(), "{stderr}");
    for pid in pids {
        assert!(!exists(pid));
    }
    home.assert_empty();
}

#[test]
fn two_hundred_launches_in_a_row_leave_nothing_behind() {
    let home = Home::new();
    let script = r#"
        i=0
        while [ $i -lt 200 ]; do
            "$@" >>pids || exit 1
            i=$((i + 1))
        done
    "#;
    let mut shell = Between::script(home.directory.path(), script);
    shell.env("TMPDIR", home.path("tmp"));
    shell.args(["--launch", "--console", ":vm", "--"]);
    shell.arg(qemu());
    shell.args(BARE);
    let mut between = Between::run(shell, home.directory.path());
    between.assert_restored();
    let pids = between.file("pids");
    let pids: Vec<u32> = pids
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(pid_in)
        .collect();
    assert_eq!(pids.len(), 200);
    for pid in pids {
        assert!(!exists(pid));
    }
    home.assert_empty();
}

#[test]
fn leaving_a_launched_vm_asks_first() {
    let home = Home::new();
    let mut terminal = home.terminal(&[]);
    let pid = pid_on(&mut terminal);
    for leaving in [CTRL_D, ":quit\r"] {
        terminal.keys(leaving);
        terminal.wait_for_line("Leaving ends the VM. Leave? [y/N]");
        terminal.keys("n\r");
        terminal.wait_for_prompt();
        terminal.clear();
        assert!(exists(pid));
    }
    // A second Ctrl-D is an answer.
    terminal.keys(&format!("{CTRL_D}{CTRL_D}"));
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(!exists(pid));
    let mut terminal = home.terminal(&[]);
    let pid = pid_on(&mut terminal);
    terminal.enter(":set confirm off");
    terminal.keys(CTRL_D);
    assert_eq!(terminal.wait_for_end(), 0);
    assert!(!exists(pid));
    home.assert_empty();
}

#[test]
fn a_wait_for_the_vm_lasts_until_it_has_ended_and_fails_if_it_ended_abnormally() {
    let home = Home::new();
    let outcome = home.launch(&["-e", "quit", "-e", ":vm wait"]);
    outcome.assert_status(0).assert_says("the VM has shut down");
    let outcome = home.launch(&["-e", ":after 0 quit", "-e", ":vm wait --timeout 170"]);
    outcome.assert_status(0);
    let outcome = home.launch(&["-e", ":after 0 :vm stop --hard", "-e", ":vm wait"]);
    outcome.assert_status(0).assert_says("was killed (SIGKILL)");

    let mut running = home.running(&["-e", ":vm", "-e", ":vm wait"]);
    let pid = wait_for("the pid", || {
        let line = running.line();
        let (_, pid) = line.split_once("pid")?;
        let digits = |c: char| c.is_ascii_digit();
        pid.split(|c| !digits(c))
            .find(|part| !part.is_empty())?
            .parse()
            .ok()
    });
    kill(pid, "SEGV");
    let (status, stderr) = running.wait();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("was killed by SIGSEGV"), "{stderr}");
    home.assert_empty();
}

#[test]
fn a_wait_for_the_vm_has_a_time_limit() {
    let home = Home::new();
    home.launch(&[":vm", "wait", "--timeout", "0.2"])
        .assert_fails(4, "the VM has not ended within 0.2 s");
    home.launch(&["-t", "0.3", "-e", ":vm wait"])
        .assert_fails(4, "the VM has not ended within 0.3 s");
    home.launch(&["-e", "query-name", "-e", ":vm wait now"])
        .assert_fails(2, "usage: :vm")
        .assert_stdout("");
}

#[test]
fn a_log_directory_that_is_missing_is_made() {
    let home = Home::new();
    let logs = home.path("logs/of/today");
    home.launch(&["--name", "n", "--log-dir", text(&logs), "query-name"])
        .assert_status(0);
    assert!(logs.join("n.log").exists());
}

#[test]
fn a_launched_vm_has_no_agent_and_no_qtest_to_speak_to() {
    for options in [&["-N"][..], &["--dialect", "qga"], &["--dialect", "qtest"]] {
        let outcome = qmpsh(&[options, &["--launch", "query-status"]].concat(), "");
        outcome.assert_fails(2, "--launch");
    }
}
