//! What is typed while a line runs is there for the next one, as it was typed.

use crate::common::process::status;
use crate::common::stty::Between;
use crate::common::terminal::{CTRL_C, CTRL_D, CTRL_Z, Terminal};
use crate::common::{Qemu, kill, wait_for};

/// A prompt that waits for a reply, which QEMU gives when it is continued.
fn waiting(qemu: &Qemu) -> Terminal {
    let (mut terminal, log) = qemu.logged_prompt();
    // By its reply, QEMU has answered all that qmpsh asks for its banner and for TAB.
    terminal.enter("query-version");
    kill(qemu.pid(), "STOP");
    terminal.keys("query-uuid\r");
    log.wait_for("query-uuid");
    terminal
}

#[test]
fn a_line_longer_than_the_kernel_keeps_is_complete() {
    let qemu = Qemu::start();
    let mut terminal = waiting(&qemu);
    let id = format!("first{}last", "x".repeat(6000));
    terminal.keys(&format!("{{'execute': 'query-name', 'id': '{id}'}}\r"));
    kill(qemu.pid(), "CONT");
    terminal.wait("the reply", |_| terminal.output().contains("\"return\""));
    let sent = qemu.log().sent();
    assert!(sent.iter().any(|message| message["id"] == *id));
}

#[test]
fn keys_are_kept_as_they_were_typed() {
    let qemu = Qemu::named("keys");
    let mut terminal = waiting(&qemu);
    terminal.keys(&format!("xquery-nameq\x7f\x01{CTRL_D}\r"));
    kill(qemu.pid(), "CONT");
    terminal.wait_for_text("\"name\": \"keys\"");
    let screen = terminal.wait_for_prompt();
    assert!(screen.contains("(QEMU) query-name\n"), "{screen}");
    assert!(!screen.contains("xquery"), "no echo: {screen}");
}

#[test]
fn ctrl_c_stops_waiting_and_is_shown() {
    let qemu = Qemu::start();
    let mut terminal = waiting(&qemu);
    terminal.keys(CTRL_C);
    terminal.wait_for_text("\n^C\nno longer waiting for `query-uuid`");
    kill(qemu.pid(), "CONT");
}

#[test]
fn the_terminal_is_restored_while_a_line_that_runs_is_suspended() {
    let qemu = Qemu::start();
    let mut terminal = Between::start(qemu.directory.path(), [qemu.address()]);
    terminal.wait_for_prompt();
    terminal.enter("query-version");
    kill(qemu.pid(), "STOP");
    terminal.keys("query-uuid\r");
    terminal.wait("the line taken", |_| terminal.cursor().1 == 0);
    let pid = terminal.qmpsh_pid();
    terminal.keys(CTRL_Z);
    wait_for("a stopped process", || {
        status(pid, "State").filter(|state| state.starts_with('T'))
    });
    assert_eq!(mode(pid), terminal.file("before"));
    kill(pid, "CONT");
    kill(terminal.pid(), "CONT");
    kill(qemu.pid(), "CONT");
    terminal.wait_for_text("\"UUID\": ");
    terminal.wait_for_prompt();
    terminal.keys(CTRL_D);
    terminal.assert_restored();
}

/// What `stty -g` says of the terminal of a process.
fn mode(pid: u32) -> String {
    let terminal = format!("/proc/{pid}/fd/0");
    let mut command = std::process::Command::new("stty");
    command.args(["-F", &terminal, "-g"]);
    let output = command.output().expect("stty");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
