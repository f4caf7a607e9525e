//! Long values and help at the prompt, in the user's pager.

use serde_json::json;

use crate::common::fake::{Fake, success};
use crate::common::stty::Between;
use crate::common::terminal::{CTRL_C, Terminal};
use crate::common::{Qemu, kill, scratch, wait_for};

/// A server whose replies have as many lines as the command has characters, times ten.
fn long() -> Fake {
    Fake::answering(|command| {
        let length = command["execute"].as_str().map_or(0, str::len) * 10;
        let lines: Vec<_> = (0..length).map(|n| format!("line {n}")).collect();
        success(command, json!(lines))
    })
}

fn prompt(fake: &Fake, pager: &str) -> (tempfile::TempDir, Terminal) {
    let home = scratch();
    let terminal = Terminal::start_with(home.path(), &[fake.address()], &[("PAGER", pager)]);
    terminal.wait_for_prompt();
    (home, terminal)
}

#[test]
fn a_long_value_is_shown_in_the_pager_and_a_short_one_is_not() {
    let fake = long();
    let (_home, mut terminal) = prompt(&fake, "less -RFX");
    let screen = terminal.enter("stop");
    assert!(screen.contains("line 39"), "{screen}");
    terminal.keys("query-commands\r");
    terminal.wait_for_line(":");
    let screen = terminal.screen();
    assert!(
        screen.contains("line 20") && !screen.contains("line 30"),
        "{screen}"
    );
    // Ctrl-C is for the pager.
    terminal.keys(CTRL_C);
    // It drops the keys that came before it was done with that.
    wait_for("the end of the list", || {
        terminal.keys("G");
        terminal.screen().contains("line 139").then_some(())
    });
    terminal.keys("q");
    terminal.wait_for_prompt();
    terminal.assert_answer(":set pager off", "(QEMU)");
    terminal.assert_answer("query-commands", "line 139");
    terminal.leave();
}

#[test]
fn a_pager_that_does_not_exist_and_one_that_reads_nothing_lose_nothing_else() {
    let fake = long();
    let (_home, mut terminal) = prompt(&fake, "no-such-pager");
    terminal.assert_answer("query-commands", "line 139");
    terminal.leave();
    let (_home, mut terminal) = prompt(&fake, "true");
    terminal.enter("query-commands");
    terminal.assert_answer(":status", "connected");
    terminal.leave();
}

#[test]
fn the_terminal_is_as_it_was_when_the_shell_is_ended_while_the_pager_has_it() {
    let fake = long();
    let directory = scratch();
    let mut command = Between::script(
        directory.path(),
        r#"sh -c 'echo $$ >pid; exec "$0" "$@"' "$@"; echo $? >status"#,
    );
    command.arg(fake.address());
    command.env("PAGER", "less -RX");
    let mut terminal = Between::run(command, directory.path());
    terminal.wait_for_prompt();
    terminal.keys("query-commands\r");
    terminal.wait_for_line(":");
    kill(terminal.qmpsh_pid(), "TERM");
    terminal.assert_restored();
}

#[test]
fn without_a_pager_on_this_machine_long_text_is_shown_as_it_is() {
    let qemu = Qemu::start();
    let home = scratch();
    let mut command = Terminal::command(env!("CARGO_BIN_EXE_qmpsh"), home.path());
    command.env_remove("PAGER");
    command.env("PATH", home.path());
    command.arg(qemu.address());
    let mut terminal = Terminal::run(command);
    terminal.wait_for_prompt();
    terminal.enter("help");
    let output = terminal.output();
    assert!(output.contains("query-status"), "{output}");
    assert!(!output.contains("not found"), "{output}");
}
