//! `:has`: what this QEMU has, at the prompt and in scripts.

use crate::common::Qemu;

#[test]
fn the_exit_status_tells_what_this_qemu_has_and_nothing_is_printed() {
    let qemu = Qemu::start();
    for (line, status) in [
        (":has blockdev-add", 0),
        (":has blockdev-add driver node-name", 0),
        (":has blockdev-add driver=raw file", 0),
        (":has blockdev-add driver=null-co size", 0),
        (":has migrate uri", 0),
        (":has frobnicate", 1),
        (":has migrate frobnicate", 1),
        (":has blockdev-add driver=frobnicate", 1),
        (":has blockdev-add driver=null-co filename", 1),
        (":has stop deprecated", 1),
    ] {
        let outcome = qemu.qmpsh(&["-e", line]);
        outcome.assert_status(status).assert_stdout("");
        assert_eq!(outcome.stderr(), "", "{line}");
    }
    let outcome = qemu.qmpsh(&[":has", "migrate", "uri"]);
    outcome.assert_status(0).assert_stdout("");
}

#[test]
fn what_a_qemu_does_not_have_ends_a_script_like_any_failure() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], ":has frobnicate\nstop\n");
    outcome.assert_status(1).assert_stdout("");
    let outcome = qemu.script(&["-k"], ":has frobnicate\nstop\n");
    outcome.assert_status(1).assert_stdout("{}\n");
    qemu.script(&[], ":has\n")
        .assert_fails(2, "usage: :has COMMAND");
    qemu.script(&[], ":has stop &\n")
        .assert_fails(2, "background");
}

#[test]
fn the_prompt_answers_in_words() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys(":has migrate uri\r");
    terminal.wait_for_text("\nyes");
    terminal.keys(":has migrate frobnicate\r");
    terminal.wait_for_text("no: `migrate` does not have `frobnicate`");
    terminal.keys(":has migr\t");
    terminal.wait_for_text(":has migrate");
}
