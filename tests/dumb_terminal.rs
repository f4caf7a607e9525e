//! The prompt on a dumb terminal (`TERM=dumb`), where the kernel edits the lines.

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
