//! However qmpsh ends, the terminal is as it was before.

mod common;

use std::path::Path;

use common::terminal::{CTRL_C, CTRL_D, Terminal};
use common::{Qemu, kill, wait_for};

/// Runs qmpsh between two `stty -g`, and leaves its process id, its status and what `stty` said in
/// files. `sh` is not interactive, so it leaves the terminal as qmpsh left it.
const SCRIPT: &str = r#"
    stty -g >before
    sh -c 'echo $$ >pid.new && mv pid.new pid && exec "$0" "$@"' "$@"
    echo $? >status
    stty -g >after
    echo "the end"
"#;

struct Run {
    terminal: Terminal,
    qemu: Qemu,
}

impl Run {
    fn start() -> Self {
        let qemu = Qemu::start();
        let mut shell = Terminal::command("sh", qemu.directory.path());
        shell.args(["-c", SCRIPT, "sh", env!("CARGO_BIN_EXE_qmpsh")]);
        shell.arg(&qemu.socket);
        let terminal = Terminal::run(shell);
        terminal.wait_for_prompt();
        Self { terminal, qemu }
    }

    fn type_half_a_line(&mut self) {
        self.terminal.keys("query-sta");
        self.terminal.wait_for_line("(QEMU) query-sta");
        // What the test is about: now it is another.
        let now = tty(&self.terminal);
        assert_ne!(now.as_deref(), Some(&*self.file("before")));
    }

    fn signal(&self, name: &str) {
        let pid = self.file("pid").parse().expect("a process id");
        kill(pid, name);
    }

    fn file(&self, name: &str) -> String {
        let path = self.qemu.directory.path().join(name);
        let text = std::fs::read_to_string(&path);
        text.unwrap_or_else(|error| panic!("{name}: {error}"))
            .trim()
            .to_owned()
    }

    /// Waits for the end, asserts that the terminal is as it was, and returns the exit status.
    #[track_caller]
    fn ends_restored(mut self) -> i32 {
        self.terminal.wait_for_end();
        // On a line of its own: the shell behind us does not write into ours.
        let screen = self.terminal.wait_for_line("the end");
        assert_eq!(self.file("after"), self.file("before"), "{screen}");
        let output = self.terminal.output();
        assert_eq!(
            output.matches("\x1b[?2004h").count(),
            output.matches("\x1b[?2004l").count(),
            "bracketed paste is off again: {output:?}"
        );
        assert!(!self.qemu.has_ended());
        self.file("status").parse().expect("a status")
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
        run.terminal.wait_for_end();
        assert_eq!(run.file("after"), run.file("before"));
        assert_eq!(run.file("status"), (128 + number).to_string());
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
    run.terminal.keys(CTRL_C);
    run.terminal.wait_for_prompt();
    run.terminal.keys(CTRL_D);
    assert_eq!(run.ends_restored(), 0);
}

#[test]
fn closing_the_terminal_ends_qmpsh_and_not_qemu() {
    let mut run = Run::start();
    run.type_half_a_line();
    let pid = run.file("pid");
    let stat = Path::new("/proc").join(pid).join("stat");
    drop(run.terminal);
    wait_for("the end of qmpsh", || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        // Nobody may be there to reap it.
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    assert!(!run.qemu.has_ended());
}
