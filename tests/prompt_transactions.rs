//! Transactions typed at the prompt, line by line.

use crate::common::Qemu;

/// A QEMU with a block node, `disk`.
fn with_a_disk() -> Qemu {
    Qemu::with_args(&["-machine", "none", "-blockdev", "null-co,node-name=disk"])
}

#[test]
fn the_lines_of_a_transaction_are_sent_as_one_command() {
    let qemu = with_a_disk();
    let (mut terminal, log) = qemu.logged_prompt();
    let screen = terminal.enter("transaction(");
    assert!(screen.ends_with("(QEMU) transaction(\nTRANS>"), "{screen}");
    let screen = terminal.enter("block-dirty-bitmap-add node=disk name=one");
    assert!(screen.ends_with("TRANS>"), "{screen}");
    terminal.enter("block-dirty-bitmap-add node=disk name=two");
    assert!(!log.has("transaction"), "{}", log.text());
    let screen = terminal.enter(")");
    assert!(screen.ends_with("TRANS> )\n{}\n(QEMU)"), "{screen}");
    let nodes = qemu.control("query-named-block-nodes");
    for name in ["one", "two"] {
        assert!(nodes.stdout().contains(&format!("\"{name}\"")), "{nodes}");
    }
}

#[test]
fn a_transaction_with_a_wrong_line_is_not_sent() {
    let qemu = with_a_disk();
    let (mut terminal, log) = qemu.logged_prompt();
    terminal.enter("transaction(");
    terminal.enter("block-dirty-bitmap-add node=disk name=one");
    let screen = terminal.enter("block-dirty-bitmap-add node=disk node=disk");
    assert!(screen.ends_with("TRANS>"), "{screen}");
    let screen = terminal.assert_answer(")", "the transaction was not sent");
    assert!(screen.ends_with("(QEMU)"), "{screen}");
    // The next line is one like any other.
    terminal.assert_answer("query-status", "\"running\"");
    assert!(!log.has("transaction"), "{}", log.text());
}

#[test]
fn ctrl_c_leaves_a_transaction_and_nothing_is_sent() {
    let qemu = with_a_disk();
    let (mut terminal, log) = qemu.logged_prompt();
    terminal.enter("transaction(");
    terminal.enter("block-dirty-bitmap-add node=disk name=one");
    let screen = terminal.cancel();
    assert!(screen.contains("nothing was sent"), "{screen}");
    terminal.assert_answer("query-status", "\"running\"");
    assert!(!log.has("transaction"), "{}", log.text());
}

#[test]
fn leaving_during_a_transaction_says_that_nothing_was_sent() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("transaction(");
    terminal.enter("abort");
    terminal.leave();
    terminal.wait_for_text("nothing was sent");
}
