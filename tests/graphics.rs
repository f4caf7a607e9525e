//! `:screen` on terminals with graphics of their own, and how they are asked.

use crate::common::picture::Picture;
use crate::common::terminal::{CTRL_C, HAS_KITTY, HAS_SIXEL, NO_GRAPHICS, Terminal};
use crate::common::{Qemu, wait_for};
use crate::screen::{dump, idle};

/// `:screen` at the prompt of a terminal that answers so.
fn shown(qemu: &Qemu, answer: &str) -> Terminal {
    let mut terminal = qemu.prompt();
    terminal.keys(":screen\r");
    terminal.answer(answer);
    terminal.wait_for_prompt();
    terminal
}

/// A stopped VM, with nothing on its display yet.
fn blank() -> Qemu {
    Qemu::with_args(&["-machine", "q35", "-device", "VGA", "-S"])
}

#[test]
fn kitty_shows_the_picture_as_it_is() {
    let qemu = idle();
    let terminal = shown(&qemu, HAS_KITTY);
    assert!(Picture::in_kitty(&terminal.output()) == dump(&qemu));
    assert!(!terminal.output().contains('▀'));
}

#[test]
fn sixels_show_the_picture_in_colours_of_whole_percents() {
    let qemu = idle();
    let terminal = shown(&qemu, HAS_SIXEL);
    assert!(Picture::in_sixels(&terminal.output()).off(&dump(&qemu)) <= 2);
    assert!(!terminal.output().contains('▀'));
}

#[test]
fn a_picture_larger_than_the_terminal_is_scaled_down() {
    let qemu = idle();
    let mut terminal = qemu.prompt();
    terminal.resize(12, 40);
    terminal.keys(":screen\r");
    terminal.answer(HAS_SIXEL);
    terminal.wait("the prompt after the picture", |screen| {
        terminal.output().contains("\x1b\\\r\n") && screen.ends_with("(QEMU)")
    });
    // Cells of 10 by 20 pixels, and two rows for the line and the prompt.
    let (shown, whole) = (Picture::in_sixels(&terminal.output()), dump(&qemu));
    assert_eq!((shown.width, shown.height()), (360, 200));
    let lit = |picture: &Picture| {
        let lit = picture.pixels.iter().filter(|pixel| **pixel != [0; 3]);
        lit.count() as f64 / picture.pixels.len() as f64
    };
    assert!(lit(&shown) > lit(&whole) && lit(&shown) < 5.0 * lit(&whole));
}

#[test]
fn a_terminal_is_asked_once() {
    let qemu = blank();
    let mut terminal = shown(&qemu, HAS_SIXEL);
    for count in 2..4 {
        terminal.keys(":screen\r");
        terminal.wait("another picture", |_| {
            terminal.output().matches("\x1bP0;1;0q").count() == count
        });
        terminal.wait_for_prompt();
    }
    assert_eq!(terminal.output().matches("\x1b[c").count(), 1);
}

#[test]
fn what_is_typed_while_a_terminal_is_asked_is_there_afterwards() {
    let qemu = blank();
    let (mut terminal, log) = qemu.logged_prompt();
    terminal.keys(":screen\r");
    terminal.wait_for_question();
    let (one, two) = HAS_SIXEL.split_at(4);
    terminal.keys(&format!("query-namex\x7f\rquery-{one}"));
    terminal.keys(&format!("{two}versio"));
    log.wait_for("query-name");
    terminal.wait("the beginning of a line", |screen| {
        screen.contains("(QEMU) query-name\n") && screen.ends_with("(QEMU) query-versio")
    });
    terminal.keys("n\r");
    terminal.wait_for_text("\"major\"");
    terminal.wait_for_prompt();
    // It can be recalled.
    terminal.keys("\x1b[A\x1b[A");
    terminal.wait_for_line("(QEMU) query-name");
}

#[test]
fn an_answer_that_comes_late_is_no_line_and_counts_for_the_next_picture() {
    for answer in [HAS_KITTY, HAS_SIXEL] {
        let qemu = blank();
        let mut terminal = qemu.prompt();
        terminal.keys(":screen\r");
        terminal.wait_for_question();
        // Without an answer there are half blocks.
        terminal.wait("the picture", |screen| {
            screen.contains('▀') && screen.ends_with("(QEMU)")
        });
        terminal.keys("query-");
        terminal.wait_for_line("(QEMU) query-");
        for part in answer.as_bytes().chunks(5) {
            terminal.keys(str::from_utf8(part).expect("ASCII"));
        }
        terminal.keys("name");
        terminal.wait_for_line("(QEMU) query-name");
        terminal.cancel();
        terminal.keys(":screen\r");
        let control = if answer == HAS_KITTY {
            "\x1b_Ga=T"
        } else {
            "\x1bP0;1;0q"
        };
        terminal.wait("the picture", |_| terminal.output().contains(control));
    }
}

#[test]
fn ctrl_c_ends_the_wait_for_an_answer() {
    let qemu = blank();
    let mut terminal = qemu.prompt();
    terminal.keys(":screen\r");
    terminal.wait_for_question();
    terminal.keys(CTRL_C);
    terminal.wait("the mark", |screen| screen.contains("\n^C\n"));
    terminal.wait_for_prompt();
    terminal.keys(NO_GRAPHICS);
    terminal.assert_answer("query-version", "\"major\"");
    assert!(!terminal.screen().contains("64;1"));
}

#[test]
fn a_dumb_terminal_is_not_asked() {
    let qemu = blank();
    let home = qemu.directory.path();
    let mut terminal = Terminal::start_with(home, &[qemu.address()], &[("TERM", "dumb")]);
    terminal.wait_for_prompt();
    terminal.keys(":screen\r");
    terminal.wait_for_text("a picture needs a terminal with colours");
    assert!(!terminal.output().contains("\x1b[c"));
}

#[test]
fn one_line_asks_the_terminal_too_and_restores_its_mode() {
    let qemu = idle();
    let mut shell = Terminal::command("sh", qemu.directory.path());
    let qmpsh = env!("CARGO_BIN_EXE_qmpsh");
    let script = format!(
        "stty -g >before; {qmpsh} {} :screen; stty -g >after; echo done",
        qemu.address()
    );
    shell.args(["-c", &script]);
    let mut terminal = Terminal::run(shell);
    terminal.answer(HAS_SIXEL);
    terminal.wait_for_text("done");
    assert!(Picture::in_sixels(&terminal.output()).off(&dump(&qemu)) <= 2);
    let file = |name| std::fs::read_to_string(qemu.directory.path().join(name)).ok();
    wait_for("the mode", || file("after").filter(|mode| !mode.is_empty()));
    assert_eq!(file("before"), file("after"));
    // The answer was not echoed.
    assert!(!terminal.screen().contains("62;4"));
}
