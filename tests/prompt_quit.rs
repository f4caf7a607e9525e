//! The command `quit` at the prompt, which ends the VM and is asked about first.

use crate::common::terminal::{CTRL_C, CTRL_D};
use crate::common::{Qemu, wait_for};

#[test]
fn a_quit_that_is_not_confirmed_keeps_the_vm() {
    let mut qemu = Qemu::start();
    let (mut terminal, log) = qemu.logged_prompt();
    for line in ["quit", "{\"execute\":\"quit\"}"] {
        for answer in ["\r", "n\r", "quit\r", "maybe y\r", CTRL_C, CTRL_D] {
            terminal.keys(line);
            terminal.wait_for_line(&format!("(QEMU) {line}"));
            terminal.keys("\r");
            terminal.wait("the question", |screen| {
                let last = screen.lines().last();
                last.is_some_and(|last| last.contains("VM") && last.ends_with("[y/N]"))
            });
            terminal.keys(answer);
            terminal.wait_for_prompt();
            terminal.clear();
        }
    }
    terminal.assert_answer("query-status", "\"running\"");
    assert!(!log.has("quit"), "{}", log.text());
    assert!(!qemu.has_ended());
}

#[test]
fn a_quit_that_is_confirmed_ends_the_vm() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys("quit\r");
    terminal.wait("the question", |screen| screen.ends_with("[y/N]"));
    terminal.keys("y\r");
    wait_for("the end of QEMU", || qemu.has_ended().then_some(()));
    let screen = terminal.wait_for_text("Connection lost");
    assert!(screen.contains(" SHUTDOWN "), "{screen}");
    // The shell goes on.
    terminal.wait_for_prompt();
    terminal.assert_answer(":set confirm", "confirm  on");
}

#[test]
fn with_confirm_off_quit_asks_nothing() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter(":set confirm off");
    terminal.keys("quit\r");
    wait_for("the end of QEMU", || qemu.has_ended().then_some(()));
    let screen = terminal.wait_for_text("Connection lost");
    assert!(!screen.contains("[y/N]"), "{screen}");
}

#[test]
fn quit_does_not_ask_when_there_is_no_vm() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    qemu.kill();
    terminal.wait_for_text("Connection lost");
    terminal.keys("quit\r");
    let screen = terminal.wait("an answer", |screen| {
        screen.contains("[y/N]") || screen.contains("not connected")
    });
    assert!(!screen.contains("[y/N]"), "{screen}");
}
