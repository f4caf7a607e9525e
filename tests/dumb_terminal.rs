//! The prompt on a dumb terminal (`TERM=dumb`), where the kernel edits the lines.

use std::process::Command;

use crate::common::Qemu;
use crate::common::terminal::{CTRL_C, Terminal};

/// A dumb terminal, at the first prompt.
fn prompt(qemu: &Qemu) -> Terminal {
    let (home, args) = (qemu.directory.path(), [qemu.address()]);
    let terminal = Terminal::start_with(home, &args, &[("TERM", "dumb")]);
    terminal.wait_for_prompt();
    terminal
}

#[test]
fn a_dumb_terminal_will_do() {
    let qemu = Qemu::named("plain");
    let mut terminal = prompt(&qemu);
    terminal.keys("query-name\r");
    terminal.wait_for_text("\"name\": \"plain\"");
    terminal.wait_for_prompt();
    qemu.control("stop");
    terminal.wait_for_text(" STOP");
    terminal.keys("stpo\r");
    terminal.wait_for_text("did you mean `stop`?");
    terminal.keys("transaction(\r");
    terminal.wait_for_text("TRANS>");
    terminal.keys(":undo\r");
    terminal.wait_for_text("the transaction has no actions\nTRANS>");
    terminal.keys(")\r");
    terminal.wait_for_text("TRANS> )");
    terminal.wait_for_prompt();
    terminal.keys("quit\r");
    terminal.wait_for_text("Quit it? [y/N]");
    terminal.keys("n\r");
    terminal.wait_for_prompt();
    // It would show escape sequences as they are.
    assert!(!terminal.output().contains('\x1b'));
    terminal.leave();
}

#[test]
fn on_a_dumb_terminal_ctrl_c_clears_the_line_and_shows_a_new_prompt() {
    let qemu = Qemu::named("plain");
    let mut terminal = prompt(&qemu);
    let line_ending = |end: &str| {
        let end = end.to_owned();
        move |screen: &str| screen.trim_end().ends_with(&end)
    };
    terminal.keys("query-nonsense\x03");
    terminal.wait("a new prompt", line_ending("^C\n(QEMU)"));
    terminal.keys("query-name | .name\r");
    terminal.wait("the reply", line_ending("\n\"plain\"\n(QEMU)"));
    terminal.keys("transaction(\r");
    terminal.wait("the transaction", line_ending("TRANS>"));
    terminal.keys("\x03");
    let abandoned = "^C\ntransaction abandoned; nothing was sent\n(QEMU)";
    terminal.wait("the prompt after it", line_ending(abandoned));
    terminal.keys("quit\r");
    terminal.wait("the question", line_ending("[y/N]"));
    terminal.keys("\x03");
    terminal.wait("the prompt after the question", line_ending("^C\n(QEMU)"));
    terminal.keys("query-name | .name\r");
    terminal.wait("the reply", line_ending("\n\"plain\"\n(QEMU)"));
    terminal.leave();
}

#[test]
fn on_a_dumb_terminal_ctrl_c_cancels_all_rows_of_an_unclosed_line() {
    let qemu = Qemu::named("plain");
    let mut terminal = prompt(&qemu);
    assert_eq!(terminal.symbol(), Some('●'));
    for open in [
        "qom-list path='/a",
        "{\"execute\":",
        "qom-list path=[1,\r2,",
    ] {
        let prompts = terminal.screen().matches("(QEMU)").count();
        terminal.keys(&format!("{open}\r"));
        terminal.wait("the next row", |_| terminal.cursor().1 == 0);
        terminal.keys("more");
        terminal.wait_for_text("\nmore");
        terminal.keys(CTRL_C);
        terminal.wait("a new prompt", |screen| {
            screen.matches("(QEMU)").count() > prompts && screen.ends_with("(QEMU)")
        });
        terminal.keys("query-name | .name\r");
        terminal.wait("the reply", |screen| {
            screen.ends_with("(QEMU) query-name | .name\n\"plain\"\n(QEMU)")
        });
    }
    qemu.control("stop");
    terminal.wait_for_text(" STOP");
    terminal.keys("query-name | .name\r");
    terminal.wait_for_symbol('‖');
    terminal.leave();
}

#[test]
fn on_a_dumb_terminal_nothing_is_redrawn_or_paged() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let environment = [("TERM", "dumb"), ("PAGER", "sed s/^/paged/")];
    let mut terminal = Terminal::start_with(home, &[qemu.address()], &environment);
    let enter = |terminal: &mut Terminal, line: &str, answer: &str| {
        let before = terminal.output().len();
        terminal.keys(&format!("{line}\r"));
        terminal.wait(answer, |_| terminal.output()[before..].contains(answer));
    };
    terminal.wait_for_prompt();
    enter(
        &mut terminal,
        ":watch query-status",
        "`:every 2s LINE` shows it",
    );
    enter(&mut terminal, "help", "query-name");
    for node in ["a", "b"] {
        let line = format!("blockdev-add driver=null-co size=1G node-name={node}");
        enter(&mut terminal, &line, "{}");
    }
    let mirror = "blockdev-mirror job-id=m device=a target=b sync=full speed=1";
    enter(&mut terminal, mirror, "{}");
    enter(&mut terminal, ":job wait m --timeout 0.5", "within 0.5 s");
    let output = terminal.output();
    assert!(
        !output.contains('\x1b') && !output.contains("paged"),
        "{output:?}"
    );
}

#[test]
fn a_terminal_that_does_not_say_its_size_is_a_usual_one() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    let device = format!("/proc/{}/fd/0", terminal.pid());
    let size = ["-F", &device, "rows", "0", "cols", "0"];
    let set = Command::new("stty").args(size).status();
    assert!(set.expect("stty").success());
    terminal.keys(":xyzzy\r");
    terminal.wait_for_text("\nthere is no built-in `:xyzzy`; `:help` lists them\n");
}
