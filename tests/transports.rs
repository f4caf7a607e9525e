//! The ways to a server other than a socket's path: `exec:` and `fd:`.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::common::fake::{Fake, success};
use crate::common::process::wait_for_end_of;
use crate::common::run::run_on;
use crate::common::running::Running;
use crate::common::terminal::{CTRL_C, Terminal};
use crate::common::{Outcome, Qemu, command, in_shell, kill, qmpsh, run, scratch, wait_for};

/// An `exec:` address that leads to QEMU's monitor.
fn through_socat(qemu: &Qemu) -> String {
    format!("exec:socat - UNIX-CONNECT:{}", qemu.socket.display())
}

/// Runs `qmpsh ARGS` with a connection to the monitor as its descriptor 9.
fn inheriting(qemu: &Qemu, args: &[&str]) -> Outcome {
    let stream = UnixStream::connect(&qemu.socket).expect("QEMU's monitor");
    let mut qmpsh = command(qemu.directory.path());
    qmpsh.args(args);
    let shell = in_shell("exec \"$0\" \"$@\" 9<&0 </dev/null", &qmpsh);
    run_on(shell, OwnedFd::from(stream))
}

#[test]
fn qemu_is_reached_through_a_program() {
    let qemu = Qemu::start();
    let outcome = qmpsh(&[&through_socat(&qemu), "query-status"], "");
    assert_eq!(outcome.assert_status(0).json()[0]["status"], "running");
    let script = "query-status\nstop\nquery-status\n".repeat(50);
    let outcome = qmpsh(
        &["-c", &through_socat(&qemu), "-k", "--events", "stdout"],
        script,
    );
    assert_eq!(outcome.assert_status(0).lines().len(), 151, "{outcome}");
}

#[test]
fn the_messages_of_a_program_are_shown_with_its_name_and_its_exit_status() {
    let outcome = qmpsh(&["exec:ls /nonexistent; exit 7", "query-status"], "");
    outcome.assert_fails(3, "qmpsh: ls: ls: cannot access '/nonexistent'");
    outcome.assert_says("`ls` ended with exit status 7");
    let outcome = qmpsh(&["exec:kill -9 $$", "query-status"], "");
    outcome.assert_fails(3, "`kill` was killed by SIGKILL");
    let outcome = qmpsh(&["exec:no-such-program x", "query-status"], "");
    outcome.assert_fails(3, "`no-such-program` ended with exit status 127");
}

#[test]
fn the_messages_of_a_program_never_reach_the_terminal_raw() {
    let outcome = qmpsh(&["exec:printf '\\033[31mred\\n' >&2", "query-status"], "");
    outcome.assert_fails(3, "printf: \\u{1b}[31mred");
}

#[test]
fn the_exit_status_of_a_program_is_reported_when_the_connection_ends() {
    let qemu = Qemu::start();
    let address = format!("{}; exit 5", through_socat(&qemu));
    let outcome = qmpsh(&[&address], "quit\nquery-status\n");
    outcome
        .assert_fails(3, "`socat` ended with exit status 5")
        .assert_stdout("{}\n");
}

#[test]
fn a_program_ends_with_qmpsh() {
    let directory = scratch();
    let pid = directory.path().join("pid");
    // It says nothing, and would run for a long time.
    let address = format!(
        "exec:echo $$ >{0}.new; mv {0}.new {0}; exec sleep 600",
        pid.display()
    );
    let outcome = qmpsh(&[&address, "--connect-timeout", "0.2"], "");
    outcome.assert_fails(3, "no greeting");
    let pid = std::fs::read_to_string(pid).expect("the program ran");
    wait_for_end_of(pid.trim().parse().expect("a process id"));
}

#[test]
fn ctrl_c_does_not_reach_a_program() {
    let qemu = Qemu::start();
    let mut terminal = Terminal::prompt(qemu.directory.path(), &[&through_socat(&qemu)]);
    kill(qemu.pid(), "STOP");
    terminal.keys("query-status\r");
    terminal.wait("the line taken", |_| terminal.cursor().1 == 0);
    terminal.keys(CTRL_C);
    terminal.wait_for_text("no longer waiting");
    terminal.wait_for_prompt();
    kill(qemu.pid(), "CONT");
    terminal.wait_for_text("late reply to `query-status`");
    terminal.enter("query-version");
    terminal.wait_for_text("\"micro\"");
}

#[test]
fn an_inherited_socket_is_used_and_carries_descriptors() {
    let qemu = Qemu::start();
    let outcome = inheriting(&qemu, &["fd:9", "query-status"]);
    assert_eq!(outcome.assert_status(0).json()[0]["status"], "running");
    let outcome = inheriting(&qemu, &["fd:9", "add-fd", "fdset-id=4", "</dev/null"]);
    assert_eq!(outcome.assert_status(0).json()[0]["fdset-id"], 4);
}

#[test]
fn an_inherited_socket_is_used_only_once() {
    let qemu = Qemu::start();
    let outcome = inheriting(
        &qemu,
        &["-c", "fd:9", "-e", "query-status", "-e", ":connect"],
    );
    outcome.assert_fails(
        3,
        "fd:9: no such descriptor was inherited, or it has been used already",
    );
}

#[test]
fn a_descriptor_that_is_not_a_connected_socket_is_refused() {
    let home = scratch();
    for (address, why) in [
        ("fd:77", "no such descriptor was inherited"),
        ("fd:0", "it is not a socket"),
    ] {
        let mut command = command(home.path());
        command.args([address, "query-status"]);
        run(command, b"").assert_fails(3, why);
    }
    // Some of them are ours from the start: the runtime's own, a pair of sockets among them.
    for number in 3..12 {
        let outcome = qmpsh(&[&format!("fd:{number}"), "query-status"], "");
        outcome.assert_fails(3, "cannot connect to fd:");
    }
    qmpsh(&["fd:x", "query-status"], "").assert_fails(2, "not an address");
    qmpsh(&["exec:", "query-status"], "").assert_fails(2, "not an address");
}

#[test]
fn commands_that_pass_descriptors_are_refused_unsent_where_none_can_travel() {
    // It would answer anything.
    let server = Fake::answering(|command| {
        let name = command["execute"].as_str().expect("a command");
        assert_eq!(name, "query-version", "nothing else may be sent");
        success(command, serde_json::json!({}))
    });
    let address = format!("exec:socat - UNIX-CONNECT:{}", server.socket.display());
    let home = scratch();
    let fifo = home.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let script = format!(
        "add-fd fdset-id=1 </dev/null\nadd-fd\ngetfd fdname=a\nquery-version <{}\n\
         {{\"execute\": \"getfd\"}}\nquery-version\n",
        fifo.display()
    );
    let outcome = qmpsh(&["-k", "-c", &address], script);
    outcome.assert_fails(
        2,
        "`add-fd` passes a file descriptor, which a pipe to a program cannot carry",
    );
    assert_eq!(outcome.stderr().lines().count(), 5, "{outcome}");
    outcome.assert_stdout("{}\n");
}

/// How long until the kernel asks whether the peer of the TCP connection to this port of 127.0.0.1 is still there, in
/// hundredths of a second (`proc_net_tcp`; the timer 2 is that of keepalive).
fn keepalive(port: u16) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let peer = format!("0100007F:{port:04X}");
    let mut rows = table.lines().map(|row| row.split_whitespace());
    rows.find_map(|mut fields| {
        (fields.nth(2)? == peer && fields.next()? == "01").then_some(())?;
        let when = fields.nth(1)?.strip_prefix("02:")?;
        u64::from_str_radix(when, 16).ok()
    })
}

#[test]
fn the_kernel_asks_every_few_seconds_whether_a_tcp_peer_is_still_there() {
    let qemu = Qemu::with_args(&[
        "-machine",
        "none",
        "-qmp",
        "tcp:127.0.0.1:0,server=on,wait=off",
    ]);
    let address = qemu.tcp_address();
    let (_, port) = address.rsplit_once(':').expect("a port");
    let port = port.parse().expect("a number");
    let mut running = Running::qmpsh(qemu.directory.path(), &["-c", &address]);
    running.send("query-status");
    running.line();
    // The last message may not be confirmed yet.
    let due = wait_for("a timer", || keepalive(port));
    assert!(due <= 1000, "{due}");
}

/// An `exec:` address of a program that takes no request to end, and the file in which it puts its pid and that of a
/// child that takes none either.
fn stubborn(qemu: &Qemu) -> (String, std::path::PathBuf) {
    let pids = qemu.directory.path().join("pids");
    let socat = format!("socat - UNIX-CONNECT:{}", qemu.socket.display());
    let sleep = "while :; do sleep 0.1; done";
    let line = format!(
        "exec:trap '' TERM; echo $$ >{0}; sh -c 'echo $$ >>{0}; {sleep}' </dev/null >/dev/null & {socat}; {sleep}",
        pids.display()
    );
    (line, pids)
}

fn pids(file: &std::path::Path) -> Vec<u32> {
    wait_for("the pids", || {
        let text = std::fs::read_to_string(file).ok()?;
        let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() == 2).then_some(pids)
    })
}

#[test]
fn a_program_that_ignores_the_request_to_end_does_not_outlive_qmpsh() {
    for signal in [None, Some("KILL"), Some("TERM"), Some("INT"), Some("QUIT")] {
        let qemu = Qemu::start();
        let (address, file) = stubborn(&qemu);
        let mut running = Running::qmpsh(qemu.directory.path(), &["-c", &address]);
        running.send("query-status");
        running.line();
        let pids = pids(&file);
        match signal {
            None => running.close(),
            Some(signal) => kill(running.pid(), signal),
        }
        running.wait();
        for pid in pids {
            wait_for_end_of(pid);
        }
    }
}

#[test]
fn a_program_that_ignores_the_request_to_end_is_killed_when_it_is_disconnected() {
    let qemu = Qemu::start();
    let (address, file) = stubborn(&qemu);
    let mut running = Running::qmpsh(qemu.directory.path(), &["-c", &address]);
    running.send("query-status");
    running.line();
    let pids = pids(&file);
    running.send(":disconnect");
    for pid in pids {
        wait_for_end_of(pid);
    }
}
