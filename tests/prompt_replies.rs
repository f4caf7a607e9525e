//! Replies that keep the prompt waiting, that come late, or that never come.

use crate::common::log::Log;
use crate::common::terminal::{CTRL_C, Terminal};
use crate::common::{Qemu, kill};

/// qmpsh at a prompt where this line was entered, which QEMU has not answered yet, and its log. QEMU is stopped.
fn unanswered(qemu: &Qemu, line: &str) -> (Terminal, Log) {
    let (mut terminal, log) = qemu.logged_prompt();
    // By its reply, QEMU has answered all that qmpsh asks for its banner and for TAB.
    terminal.enter("query-version");
    kill(qemu.pid(), "STOP");
    terminal.keys(&format!("{line}\r"));
    log.wait_for(line.trim_end_matches(" &"));
    (terminal, log)
}

#[test]
fn ctrl_c_stops_waiting_and_the_late_reply_is_not_taken_for_another() {
    let qemu = Qemu::named("late");
    let (mut terminal, log) = unanswered(&qemu, "query-uuid");
    terminal.keys(CTRL_C);
    terminal.wait("no longer waiting", |screen| {
        screen.contains("no longer waiting for `query-uuid`") && screen.ends_with("(QEMU)")
    });
    terminal.keys("query-status\r");
    log.wait_for("query-status");
    kill(qemu.pid(), "CONT");
    terminal.wait("both replies", |screen| {
        screen.contains("\"running\"") && screen.ends_with("(QEMU)")
    });
    let screen = terminal.unwrapped();
    let late = screen
        .lines()
        .find(|line| line.ends_with("0000-000000000000\"}}"));
    assert!(
        late.is_some_and(|line| line.starts_with("late reply to `query-uuid`: ")),
        "{screen}"
    );
    assert!(screen.contains("  \"status\": "), "{screen}");
    assert!(!screen.contains("  \"UUID\": "), "{screen}");
    terminal.assert_answer("query-name", "  \"name\": \"late\"");
}

#[test]
fn a_late_reply_comes_above_the_line_being_edited() {
    let qemu = Qemu::start();
    let (mut terminal, _) = unanswered(&qemu, "query-uuid");
    terminal.keys(CTRL_C);
    terminal.wait("the prompt", |screen| {
        screen.contains("no longer waiting") && screen.ends_with("(QEMU)")
    });
    terminal.type_line("query-sta");
    kill(qemu.pid(), "CONT");
    terminal.wait("the late reply", |screen| {
        screen.contains("late reply to `query-uuid`") && screen.ends_with("\n(QEMU) query-sta")
    });
}

#[test]
fn a_reply_in_the_background_comes_above_the_line_being_edited() {
    let qemu = Qemu::start();
    let (mut terminal, _) = unanswered(&qemu, "query-uuid &");
    terminal.type_line("query-sta");
    kill(qemu.pid(), "CONT");
    terminal.wait("the reply", |screen| {
        screen.contains("0000-000000000000") && screen.ends_with("\n(QEMU) query-sta")
    });
    terminal.keys("tus\r");
    terminal.wait_for_text("\"running\"");
}

#[test]
fn an_abandoned_command_is_reported_when_qemu_ends() {
    let mut qemu = Qemu::start();
    let (mut terminal, _) = unanswered(&qemu, "stop");
    terminal.keys(CTRL_C);
    terminal.wait_for_text("no longer waiting for `stop`");
    qemu.kill();
    terminal.wait_for_text("the outcome of `stop` is unknown");
}

#[test]
fn a_line_typed_while_a_command_runs_is_the_next_one() {
    let qemu = Qemu::named("patient");
    let (mut terminal, _) = unanswered(&qemu, "query-uuid");
    terminal.keys("query-name\r");
    kill(qemu.pid(), "CONT");
    terminal.wait_for_text("  \"UUID\": ");
    terminal.wait_for_text("  \"name\": \"patient\"");
    terminal.wait_for_prompt();
}

#[test]
fn the_outcome_of_a_command_that_qemu_died_during_is_unknown() {
    let mut qemu = Qemu::start();
    let (mut terminal, _) = unanswered(&qemu, "query-uuid");
    qemu.kill();
    terminal.wait_for_text("the outcome of `query-uuid` is unknown");
    terminal.wait_for_prompt();
    terminal.keys("query-uuid\r");
    terminal.wait_for_text("not connected");
}
