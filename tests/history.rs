//! What the prompt remembers from one run to the next, and what it must not.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::common::terminal::UP;
use crate::common::{Qemu, kill, mode};

fn history(home: &Path) -> PathBuf {
    home.join(".local/state/qmpsh/history")
}

fn remembered(home: &Path) -> String {
    std::fs::read_to_string(history(home)).expect("the history")
}

#[test]
fn the_history_is_private_to_its_owner() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    terminal.leave();
    assert!(remembered(home).contains("query-name"));
    assert_eq!(mode(&history(home)), 0o600);
    for directory in [".local", ".local/state", ".local/state/qmpsh"] {
        assert_eq!(mode(&home.join(directory)), 0o700, "{directory}");
    }
}

#[test]
fn a_history_that_others_could_read_is_made_private() {
    let qemu = Qemu::start();
    let path = history(qemu.directory.path());
    std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
    std::fs::write(&path, "query-kvm\n").expect("a file");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).expect("it is ours");
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    terminal.leave();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn the_next_run_recalls_the_lines_of_the_last() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    terminal.enter("query-nonsense a=1");
    terminal.leave();
    let mut terminal = qemu.prompt();
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) query-nonsense a=1");
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) query-name");
    terminal.keys("\r");
    terminal.wait_for_text("{}");
}

#[test]
fn a_line_of_several_rows_is_recalled_as_one() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys("qom-list path=[1,\r2]");
    terminal.wait("two rows", |screen| {
        screen.ends_with("(QEMU) qom-list path=[1,\n2]")
    });
    terminal.keys("\r");
    terminal.wait_for_prompt();
    terminal.leave();
    let mut terminal = qemu.prompt();
    terminal.keys(UP);
    terminal.wait("two rows", |screen| {
        screen.ends_with("(QEMU) qom-list path=[1,\n2]")
    });
}

#[test]
fn the_lines_of_a_killed_run_are_kept() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    kill(terminal.pid(), "KILL");
    terminal.wait_for_end();
    assert!(remembered(qemu.directory.path()).contains("query-name"));
}

#[test]
fn lines_with_secrets_are_neither_kept_nor_recalled() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    for line in [
        "set_password protocol=vnc password=hunter2",
        "object-add qom-type=secret id=s data=hunter2",
        "{\"execute\":\"change-vnc-password\",\"arguments\":{\"password\":\"hunter2\"}}",
        "set_password protocol=vnc password='hunter2' oops",
    ] {
        terminal.enter(line);
    }
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) query-name");
    terminal.cancel();
    // Nor when they come several at once, or as an action of a transaction.
    terminal.paste("query-kvm\nset_password protocol=vnc password=hunter2");
    terminal.wait("both lines", |screen| screen.ends_with("password=hunter2"));
    terminal.keys("\r");
    terminal.wait_for_prompt();
    terminal.enter("transaction(");
    terminal.enter("object-add qom-type=secret id=t data=hunter2");
    terminal.cancel();
    terminal.leave();
    let kept = remembered(home);
    assert!(kept.contains("query-name"), "{kept}");
    assert!(!kept.contains("hunter2"), "{kept}");
    let mut terminal = qemu.prompt();
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) transaction(");
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) query-name");
}

#[test]
fn answers_to_questions_are_not_kept() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys("quit\r");
    terminal.wait("the question", |screen| screen.ends_with("[y/N]"));
    terminal.keys("no, thank you\r");
    terminal.wait_for_prompt();
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) quit");
    terminal.cancel();
    terminal.leave();
    let kept = remembered(qemu.directory.path());
    assert!(!kept.contains("thank"), "{kept}");
}

#[test]
fn with_no_history_nothing_is_written() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt_with(&["--no-history"]);
    terminal.enter("query-name");
    // Within the run it is still recalled.
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) query-name");
    terminal.cancel();
    terminal.leave();
    assert!(!qemu.directory.path().join(".local").exists());
}

#[test]
fn the_prompt_works_even_if_no_history_can_be_written() {
    let qemu = Qemu::start();
    // A file where the directory should be stops root as well, unlike permissions.
    std::fs::write(qemu.directory.path().join(".local"), "").expect("a file");
    let mut terminal = qemu.prompt();
    terminal.assert_answer("query-kvm", "\"present\"");
    terminal.leave();
}
