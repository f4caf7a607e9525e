//! How replies, errors and jobs look at the prompt.

use serde_json::json;

use crate::common::fake::{Fake, failure, success};
use crate::common::terminal::Terminal;
use crate::common::{Qemu, scratch, wait_for};

/// A prompt on a server that answers the command `text` with this string, and refuses the command `refused`.
fn prompt(text: &str) -> (Fake, Terminal) {
    let text = text.to_owned();
    let fake = Fake::answering(move |command| match command["execute"].as_str() {
        // QEMU spells everything but ASCII so.
        Some("text") => {
            let escaped: String = text
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect();
            let id = &command["id"];
            format!(r#"{{"return": "{escaped}", "id": {id}}}"#)
        }
        Some("refused") => failure(command, "no such thing"),
        _ => success(command, json!({})),
    });
    let terminal = fake.prompt();
    (fake, terminal)
}

#[test]
fn characters_are_shown_as_they_are_unless_they_are_harmful() {
    let (_fake, mut terminal) = prompt("é 漢 \u{1b}[31m \u{202e}");
    terminal.assert_answer("text", "\"é 漢 \\u001b[31m \\u202e\"");
    assert!(!terminal.output().contains("\x1b[31m \u{202e}"));
}

#[test]
fn a_string_of_several_lines_is_shown_as_text() {
    let (_fake, mut terminal) = prompt("first\r\n  \"second\"\n\u{1b}[31mthird\n");
    let screen = terminal.enter("text");
    assert!(
        screen.contains("\nfirst\n  \"second\"\n\\u{1b}[31mthird\n(QEMU)"),
        "{screen}"
    );
    // JSON stays as it came.
    terminal.enter(":set output json");
    terminal.assert_answer("text", "\"\\u0066\\u0069");
}

#[test]
fn an_error_is_red_and_its_help_is_not() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("stpo");
    assert!(terminal.is_red("CommandNotFound: The command stpo has not been found"));
    assert!(!terminal.is_red("did you mean"));
    terminal.enter("device_del id");
    assert!(terminal.is_red("expected KEY=VALUE, found `id`"));
}

#[test]
fn a_long_error_is_broken_between_words() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    let screen = terminal.enter(":wait");
    let usage = screen.lines().position(|row| row.starts_with("usage: "));
    let rows: Vec<&str> = screen.lines().skip(usage.expect("the usage")).collect();
    assert_eq!(rows.len(), 3, "{screen}");
    let words = "[--or|--fail NAME[,NAME…] [KEY[=VALUE]…]]… [--timeout SECS] [| FILTER]";
    assert!(rows[..2].join(" ").ends_with(words), "{screen}");
    assert!(terminal.is_red("usage: :wait") && terminal.is_red("[| FILTER]"));
    // What is quoted keeps its columns, so that the carets stand below it.
    let screen = terminal.enter("query-status  x");
    assert!(
        screen.contains("\n  query-status  x\n                ^\n"),
        "{screen}"
    );
}

#[test]
fn without_colours_nothing_has_one() {
    let qemu = Qemu::start();
    let environment = [("NO_COLOR", "1")];
    let home = scratch();
    let mut terminal = Terminal::start_with(home.path(), &[qemu.address()], &environment);
    terminal.wait_for_prompt();
    terminal.enter("stpo");
    terminal.enter("query-name");
    terminal.keys("stop x");
    terminal.wait_for_line("(QEMU) stop x");
    assert!(!terminal.has_color());
}

#[test]
fn nothing_is_shown_in_yellow_or_white() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("query-status");
    terminal.enter("stop");
    terminal.wait_for_text("STOP");
    terminal.keys("set_link name=x up=true x=5");
    terminal.wait_for_text("x=5");
    let output = terminal.output();
    for color in ["33m", "37m", "1;33m", "1;37m"] {
        assert!(!output.contains(&format!("\x1b[{color}")), "{color}");
    }
}

#[test]
fn a_job_that_is_ready_is_at_100_percent_and_says_what_completes_it() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    // Nothing to copy: its length is 0.
    terminal.enter("blockdev-add driver=null-co node-name=a size=0");
    terminal.enter("blockdev-add driver=null-co node-name=b size=0");
    terminal.enter("blockdev-mirror job-id=m device=a target=b sync=full");
    let next = "job `m` is ready; `:job complete m` switches to the target";
    terminal.wait_for_text(next);
    wait_for("100 %", || {
        let screen = terminal.enter(":jobs");
        screen.contains("100%").then_some(())
    });
    terminal.enter(":job complete m");
    terminal.wait_for_text("BLOCK_JOB_COMPLETED");
}

#[test]
fn after_the_launched_vm_has_stopped_a_line_says_how_to_start_it_again() {
    let home = scratch();
    let qemu = crate::common::qemu::qemu();
    let args = [
        "--launch", "--", &qemu, "-machine", "none", "-display", "none",
    ];
    let mut terminal = Terminal::prompt(home.path(), &args);
    terminal.keys(":vm stop\r");
    terminal.wait_for_text("Connection lost");
    terminal.wait_for_prompt();
    terminal.keys("query-status\r");
    terminal.wait_for_text("`:vm restart` starts the VM again");
    terminal.leave_the_vm();
}
