//! However qmpsh ends, the terminal is as it was before.

use std::path::Path;

use crate::common::process::wait_for_end_of;
use crate::common::stty::Between;
use crate::common::terminal::{CTRL_D, Terminal};
use crate::common::{Qemu, kill};

struct Run {
    terminal: Between,
    qemu: Qemu,
}

impl Run {
    fn start() -> Self {
        let qemu = Qemu::start();
        let terminal = Between::start(qemu.directory.path(), [qemu.address()]);
        terminal.wait_for_prompt();
        Self { terminal, qemu }
    }

    fn type_half_a_line(&mut self) {
        self.terminal.type_line("query-sta");
        // What the test is about: now it is another.
        let now = tty(&self.terminal);
        assert_ne!(now.as_deref(), Some(&*self.terminal.file("before")));
    }

    fn signal(&self, name: &str) {
        kill(self.terminal.qmpsh_pid(), name);
    }

    /// Waits for the end, asserts that the terminal is as it was, and returns the exit status.
    #[track_caller]
    fn ends_restored(mut self) -> i32 {
        self.terminal.assert_restored();
        let output = self.terminal.output();
        assert_eq!(
            output.matches("\x1b[?2004h").count(),
            output.matches("\x1b[?2004l").count(),
            "bracketed paste is off again: {output:?}"
        );
        assert!(!self.qemu.has_ended());
        self.terminal.file("status").parse().expect("a status")
    }
}

/// What `stty -g` says of the terminal while qmpsh is in it.
fn tty(terminal: &Terminal) -> Option<String> {
    let stdin = format!("/proc/{}/fd/0", terminal.pid());
    let output = std::process::Command::new("stty")
        .args(["-F", Path::new(&stdin).to_str()?, "-g"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned())
}

#[test]
fn the_terminal_is_restored_after_quit() {
    let mut run = Run::start();
    run.terminal.keys(":quit\r");
    assert_eq!(run.ends_restored(), 0);
}

#[test]
fn the_terminal_is_restored_after_ctrl_d() {
    let mut run = Run::start();
    run.terminal.keys(CTRL_D);
    assert_eq!(run.ends_restored(), 0);
}

#[test]
fn the_terminal_is_restored_after_sigterm_while_a_line_is_typed() {
    let mut run = Run::start();
    run.type_half_a_line();
    run.signal("TERM");
    assert_ne!(run.ends_restored(), 0);
}

#[test]
fn the_terminal_is_restored_after_sighup_while_a_line_is_typed() {
    let mut run = Run::start();
    run.type_half_a_line();
    run.signal("HUP");
    assert_ne!(run.ends_restored(), 0);
}

#[test]
fn the_terminal_is_restored_after_signals_that_abort() {
    for (signal, number) in [("QUIT", 3), ("ABRT", 6)] {
        let mut run = Run::start();
        run.type_half_a_line();
        run.signal(signal);
        run.terminal.assert_restored();
        assert_eq!(run.terminal.file("status"), (128 + number).to_string());
    }
}

#[test]
fn the_terminal_is_restored_after_sigterm_while_a_question_is_asked() {
    let mut run = Run::start();
    run.terminal.keys("quit\r");
    run.terminal
        .wait("the question", |screen| screen.ends_with("[y/N]"));
    run.signal("TERM");
    assert_ne!(run.ends_restored(), 0);
}

#[test]
fn the_terminal_is_restored_after_sigterm_while_a_command_is_pending() {
    let mut run = Run::start();
    run.terminal.enter("query-version");
    kill(run.qemu.pid(), "STOP");
    run.terminal.keys("query-status\r");
    run.terminal
        .wait("the line taken", |_| run.terminal.cursor().1 == 0);
    run.signal("TERM");
    assert_ne!(run.ends_restored(), 0);
}

#[test]
fn the_terminal_is_restored_after_leaving_a_line_with_ctrl_c_first() {
    let mut run = Run::start();
    run.type_half_a_line();
    run.terminal.cancel();
    run.terminal.keys(CTRL_D);
    assert_eq!(run.ends_restored(), 0);
}

#[test]
fn closing_the_terminal_ends_qmpsh_and_not_qemu() {
    let mut run = Run::start();
    run.type_half_a_line();
    let pid = run.terminal.qmpsh_pid();
    drop(run.terminal);
    wait_for_end_of(pid);
    assert!(!run.qemu.has_ended());
}
