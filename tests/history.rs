//! What the prompt remembers from one run to the next, and what it must not.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::common::terminal::{CTRL_C, DOWN, RIGHT, Terminal, UP};
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
fn lines_with_secrets_are_recalled_in_the_session_and_never_kept() {
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
        terminal.keys(UP);
        terminal.wait_for_line(&format!("(QEMU) {line}"));
        terminal.cancel();
    }
    // Nor kept when they come several at once, or as an action of a transaction.
    terminal.paste("query-kvm\nset_password protocol=vnc password=hunter2");
    terminal.wait("both lines", |screen| screen.ends_with("password=hunter2"));
    terminal.keys("\r");
    terminal.wait_for_prompt();
    terminal.enter("transaction(");
    terminal.enter("object-add qom-type=secret id=t data=hunter2");
    terminal.cancel();
    // Nobody is shown one unasked.
    terminal.keys("set_pass");
    terminal.wait_for_line("(QEMU) set_pass");
    assert!(!terminal.screen_with_hints().ends_with("hunter2"));
    terminal.cancel();
    terminal.leave();
    let kept = remembered(home);
    assert!(kept.contains("query-name"), "{kept}");
    assert!(!kept.contains("hunter2"), "{kept}");
    let mut terminal = qemu.prompt();
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) query-name");
}

#[test]
fn up_searches_by_what_is_typed_and_down_returns_to_it() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    for line in ["query-name", "help stop", "query-kvm", "help cont"] {
        terminal.enter(line);
    }
    terminal.clear();
    terminal.keys("query-");
    for (key, line) in [
        (UP, "query-kvm"),
        (UP, "query-name"),
        (UP, "query-name"),
        (DOWN, "query-kvm"),
        (DOWN, "query-"),
    ] {
        terminal.keys(key);
        terminal.wait_for_line(&format!("(QEMU) {line}"));
    }
    terminal.keys("\x15");
    // With nothing typed, every line.
    for line in ["help cont", "query-kvm", "help stop"] {
        terminal.keys(UP);
        terminal.wait_for_line(&format!("(QEMU) {line}"));
    }
}

#[test]
fn the_rest_of_the_newest_matching_line_is_accepted_with_right() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    terminal.enter("query-kvm");
    terminal.keys("quer");
    terminal.wait_for_hints("(QEMU) query-kvm");
    terminal.wait_for_line("(QEMU) quer");
    terminal.keys(RIGHT);
    terminal.wait_for_line("(QEMU) query-kvm");
    terminal.keys("\x15query-n");
    terminal.wait_for_hints("(QEMU) query-name");
    // Enter takes only what was typed.
    terminal.keys("\r");
    terminal.wait_for_text("(QEMU) query-n\nCommandNotFound");
}

#[test]
fn alt_dot_inserts_the_last_words_of_older_lines() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("help stop");
    terminal.enter("qom-list path='/a b'");
    terminal.keys("x y=1 \x1b.");
    terminal.wait_for_line("(QEMU) x y=1 path='/a b'");
    terminal.keys("\x1b.");
    terminal.wait_for_line("(QEMU) x y=1 stop");
}

#[test]
fn ctrl_x_ctrl_e_edits_the_line_or_the_block_in_a_program() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let editor = home.join("editor");
    std::fs::write(&editor, "#!/bin/sh\nsed -i s/nmae/name/ \"$2\"\n").expect("a file");
    std::fs::set_permissions(&editor, PermissionsExt::from_mode(0o755)).expect("it is ours");
    let editor = format!("{} --wait", editor.display());
    let mut terminal = Terminal::start_with(
        home,
        &[qemu.address()],
        &[("VISUAL", ""), ("EDITOR", &editor)],
    );
    terminal.wait_for_prompt();
    terminal.type_line("query-nmae");
    terminal.keys("\x18\x05");
    terminal.wait_for_line("(QEMU) query-name");
    terminal.keys("\r");
    terminal.wait_for_text("{}\n");
    terminal.wait_for_prompt();
    terminal.enter("transaction(");
    terminal.enter("abort");
    terminal.keys("nmae\x18\x05");
    terminal.wait("the block", |screen| {
        screen.ends_with("TRANS> transaction(\nabort\nname")
    });
    terminal.keys("\r");
    terminal.wait("the block replaced", |screen| screen.ends_with("\nTRANS>"));
    terminal.keys(CTRL_C);
    terminal.wait_for_prompt();
    terminal.keys(UP);
    terminal.wait("one block", |screen| {
        screen.ends_with("(QEMU) transaction(\nabort\nname")
    });
}

#[test]
fn alt_enter_breaks_the_line() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys("query-name\x1b\rquery-kvm");
    terminal.wait("two rows", |screen| {
        screen.ends_with("(QEMU) query-name\nquery-kvm")
    });
    terminal.keys("\r");
    terminal.wait_for_text("> query-kvm\n");
    terminal.wait_for_prompt();
}

#[test]
fn escape_keeps_what_a_search_found() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    terminal.keys("\x12nam");
    terminal.wait_for_text("(reverse-i-search)`nam': query-name");
    terminal.keys("\x1b");
    terminal.wait_for_line("(QEMU) query-name");
    // It begins no Meta key.
    terminal.keys("\x05b");
    terminal.wait_for_line("(QEMU) query-nameb");
}

#[test]
fn escape_a_pause_and_a_key_are_a_meta_key() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("help stop");
    let escape = |terminal: &mut Terminal, key: &str| {
        terminal.keys("\x1b");
        // What this is about is a pause.
        std::thread::sleep(std::time::Duration::from_millis(800));
        terminal.keys(key);
    };
    terminal.type_line("one two three");
    escape(&mut terminal, "b");
    terminal.wait("the cursor at a word", |_| terminal.cursor().1 == 17);
    escape(&mut terminal, "d");
    terminal.wait_for_line("(QEMU) one two");
    terminal.keys("x");
    terminal.wait_for_line("(QEMU) one two x");
    escape(&mut terminal, "\x7f");
    terminal.wait_for_line("(QEMU) one two");
    escape(&mut terminal, ".");
    terminal.wait_for_line("(QEMU) one two stop");
    // A key without a meaning after Esc is not typed, and only the next key is meant.
    escape(&mut terminal, "q");
    terminal.keys("bf");
    terminal.wait_for_line("(QEMU) one two stopbf");
    escape(&mut terminal, CTRL_C);
    terminal.wait_for_prompt();
    terminal.type_line("b");
}

#[test]
fn words_and_motions_are_readlines() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    let (backward, forward, kill) = ("\x1bb", "\x1bf", "\x0b");
    for (keys, line) in [
        // Ctrl-W takes what stands between spaces, Alt-Backspace a word.
        ("one two/three\x17x".to_owned(), "one x"),
        ("one two/three\x1b\x7fx".to_owned(), "one two/x"),
        // Ctrl-A, Ctrl-E.
        ("one two\x01x\x05y".to_owned(), "xone twoy"),
        (format!("one two\x01{forward}{kill}x"), "onex"),
        (format!("one two{backward}\x1bu x"), "one TWO x"),
        (format!("one two{backward}\x1bc x"), "one Two x"),
        (format!("ONE TWO{backward}\x1bl x"), "ONE two x"),
        ("one two\x1bt x".to_owned(), "two one x"),
        // Ctrl-B, Ctrl-T.
        ("one tow\x02\x14 x".to_owned(), "one two x"),
        // Ctrl-Y gives back what Ctrl-U, Ctrl-W and Alt-d have taken.
        ("one two\x15x\x19".to_owned(), "xone two"),
        ("one two\x17x\x19".to_owned(), "one xtwo"),
        ("one two\x01\x1bdx\x19".to_owned(), "xone two"),
        // Ctrl-_ undoes.
        ("one two\x17\x1fx".to_owned(), "one twox"),
    ] {
        terminal.keys(&keys);
        terminal.wait_for_line(&format!("(QEMU) {line}"));
        terminal.cancel();
    }
}

#[test]
fn a_cancelled_line_shows_it() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys("query-name one\x1b[D\x1b[D");
    terminal.wait_for_line("(QEMU) query-name one");
    terminal.cancel();
    terminal.wait("^C", |screen| {
        screen.ends_with("(QEMU) query-name one^C\n(QEMU)")
    });
}

#[test]
fn keys_can_be_vis() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter(":set keys vi");
    terminal.assert_answer(":set keys", "keys  vi");
    terminal.keys("query-name help stop\x1b");
    // What this is about is a pause.
    std::thread::sleep(std::time::Duration::from_millis(800));
    terminal.keys("0dwdwdw");
    terminal.wait_for_line("(QEMU) help stop");
    terminal.cancel();
    terminal.assert_answer(":set keys nano", "neither `emacs` nor `vi`");
    terminal.enter(":set keys emacs");
    terminal.keys("xstop\x01\x04");
    terminal.wait_for_line("(QEMU) stop");
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
