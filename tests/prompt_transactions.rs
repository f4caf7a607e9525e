//! Transactions typed at the prompt, line by line.

use crate::common::Qemu;
use crate::common::terminal::{CTRL_D, UP};

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
fn a_wrong_line_is_refused_and_the_transaction_goes_on() {
    let qemu = with_a_disk();
    let mut terminal = qemu.prompt();
    terminal.enter("transaction(");
    terminal.enter("block-dirty-bitmap-add node=disk name=one");
    let screen =
        terminal.assert_answer("block-dirty-bitmap-add node=disk node=disk", "is set twice");
    assert!(screen.ends_with("TRANS>"), "{screen}");
    // What was refused can be recalled and put right.
    terminal.keys(UP);
    terminal.wait_for_line("TRANS> block-dirty-bitmap-add node=disk node=disk");
    terminal.keys(&"\x7f".repeat("node=disk".len()));
    terminal.keys("name=two\r");
    terminal.wait("the next action", |screen| {
        screen.ends_with("node=disk name=two\nTRANS>")
    });
    let screen = terminal.enter(")");
    assert!(screen.ends_with("TRANS> )\n{}\n(QEMU)"), "{screen}");
    let nodes = qemu.control("query-named-block-nodes");
    for name in ["one", "two"] {
        assert!(nodes.stdout().contains(&format!("\"{name}\"")), "{nodes}");
    }
}

#[test]
fn undo_takes_back_the_last_action() {
    let qemu = with_a_disk();
    let mut terminal = qemu.prompt();
    terminal.assert_answer(":undo", "no transaction is being typed");
    terminal.enter("transaction(");
    terminal.assert_answer(":undo", "the transaction has no actions");
    terminal.enter("block-dirty-bitmap-add node=disk name=one");
    terminal.enter("block-dirty-bitmap-add node=disk name=two");
    let screen = terminal.assert_answer(
        ":undo",
        "taken back: block-dirty-bitmap-add node=disk name=two",
    );
    assert!(screen.ends_with("TRANS>"), "{screen}");
    terminal.enter(")");
    let nodes = qemu.control("query-named-block-nodes");
    assert!(nodes.stdout().contains("\"one\""), "{nodes}");
    assert!(!nodes.stdout().contains("\"two\""), "{nodes}");
}

#[test]
fn a_transaction_is_one_entry_of_the_history_and_edited_as_one() {
    let qemu = with_a_disk();
    let mut terminal = qemu.prompt();
    for line in [
        "query-name",
        "transaction(",
        "block-dirty-bitmap-add node=disk name=one",
        "block-dirty-bitmap-add node=disk",
        ":undo",
        "block-dirty-bitmap-add node=disk name=two",
        ")",
    ] {
        terminal.enter(line);
    }
    terminal.leave();
    let mut terminal = qemu.prompt();
    terminal.keys(UP);
    terminal.wait("the whole transaction", |screen| {
        screen.ends_with(
            "(QEMU) transaction(\nblock-dirty-bitmap-add node=disk name=one\n\
             block-dirty-bitmap-add node=disk name=two\n)",
        )
    });
    // A row up, to the end of the last action.
    terminal.keys(&format!("{UP}\x05-more{UP}\x05-more\r"));
    terminal.wait_for_text("\n)\n{}\n(QEMU)");
    let nodes = qemu.control("query-named-block-nodes");
    for name in ["one-more", "two-more"] {
        assert!(nodes.stdout().contains(&format!("\"{name}\"")), "{nodes}");
    }
    terminal.keys(&format!("{UP}\x01"));
    terminal.wait_for_text("name=two-more\n)");
    terminal.cancel();
    terminal.leave();
}

#[test]
fn ctrl_d_leaves_a_transaction_and_not_the_shell() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("transaction(");
    terminal.enter("abort");
    terminal.keys(CTRL_D);
    terminal.wait_for_text("nothing was sent");
    terminal.wait_for_prompt();
    terminal.keys(UP);
    terminal.wait("the block", |screen| {
        screen.ends_with("(QEMU) transaction(\nabort")
    });
    terminal.cancel();
    terminal.leave();
}

#[test]
fn help_explains_a_transaction_as_it_is_written() {
    let qemu = Qemu::start();
    for topic in ["transaction(", "transaction"] {
        let help = qemu.qmpsh(&["help", topic]);
        assert!(help.stdout().contains("opens a block"), "{help}");
        assert!(help.stdout().contains("actions"), "{help}");
    }
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
