//! `:watch`: values that are shown in place.

use serde_json::json;

use crate::common::fake::{Fake, success};
use crate::common::stty::Between;
use crate::common::terminal::CTRL_C;
use crate::common::{Qemu, kill, scratch, text};

/// A server whose counter grows by 2048 with each query.
fn counting() -> Fake {
    let mut count = 0;
    Fake::answering(move |command| {
        count += 2048;
        let disk = json!({"device": "disk0", "stats": {"rd_bytes": count, "wr_bytes": 0}});
        let other = json!({"device": "disk1", "stats": {"rd_bytes": 5, "wr_bytes": 0}});
        success(command, json!([disk, other]))
    })
}

#[test]
fn a_table_is_redrawn_in_place_with_rates_and_only_what_changed_is_written() {
    let fake = counting();
    let mut terminal = fake.prompt();
    terminal.keys(":watch 50ms query-blockstats\r");
    // Ten rates make a whole line.
    terminal.wait("ten rates", |screen| {
        let (_, line) = screen.split_once("KiB/s ").unwrap_or_default();
        line.chars().take_while(|c| matches!(c, '▁'..='█')).count() == 10
    });
    let before = terminal.output();
    terminal.wait("more of them", |_| {
        terminal.output().len() > before.len() + 2000
    });
    let screen = terminal.screen();
    assert_eq!(screen.matches("disk0").count(), 1, "{screen}");
    assert!(screen.contains("disk1"), "{screen}");
    let redraws = terminal.output()[before.len()..].to_owned();
    // The other disk and the titles stay as they are.
    assert!(
        !redraws.contains("disk1") && !redraws.contains("device"),
        "{redraws:?}"
    );
    terminal.keys("q");
    let screen = terminal.wait_for_prompt();
    // The last values stay.
    assert!(
        screen.contains("disk0") && screen.contains(":watch 50ms"),
        "{screen}"
    );
    terminal.leave();
}

#[test]
fn what_a_filter_gives_is_shown_as_plain_text() {
    let fake = counting();
    let mut terminal = fake.prompt();
    terminal.keys(":watch 50ms query-blockstats | .[1]\r");
    terminal.wait_for_text("\"device\": \"disk1\"");
    terminal.keys("q");
    terminal.wait_for_prompt();
    terminal.leave();
}

#[test]
fn what_was_on_the_screen_before_stays_when_the_values_are_longer_than_the_screen() {
    let nodes: Vec<_> = (0..100)
        .map(|n| json!({"node-name": format!("node{n}")}))
        .collect();
    let fake = Fake::answering(move |command| success(command, json!(nodes)));
    let mut terminal = fake.prompt();
    terminal.enter(":set confirm on");
    terminal.keys(":watch 50ms query-named-block-nodes\r");
    let screen = terminal.wait_for_text("… 80 more lines");
    assert!(
        screen.contains("node19") && !screen.contains("node21"),
        "{screen}"
    );
    terminal.keys(CTRL_C);
    terminal.wait_for_prompt();
    terminal.leave();
    assert_eq!(terminal.output().matches("node19").count(), 1);
}

#[test]
fn a_failure_is_shown_and_the_watching_goes_on() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys(":watch 50ms query-status\r");
    terminal.wait_for_text("running");
    qemu.kill();
    terminal.wait_for_text("not connected");
    qemu.restart_with(&["-machine", "none"]);
    terminal.wait("the VM again", |screen| {
        screen.contains("running") && !screen.contains("not connected:")
    });
    terminal.keys("q");
    terminal.wait_for_prompt();
}

#[test]
fn the_terminal_is_as_it_was_however_the_watching_ends() {
    for how in ["q", CTRL_C, "TERM", "HUP"] {
        let directory = scratch();
        let qemu = Qemu::start();
        let mut terminal = Between::start(directory.path(), [qemu.address()]);
        terminal.wait_for_prompt();
        terminal.keys(":watch 50ms query-status\r");
        terminal.wait_for_text("running");
        match how {
            "TERM" | "HUP" => kill(terminal.qmpsh_pid(), how),
            key => {
                terminal.keys(key);
                terminal.wait_for_prompt();
                terminal.keys("\x04");
            }
        }
        terminal.assert_restored();
        assert!(
            terminal.output().rfind("\x1b[?25h") > terminal.output().rfind("\x1b[?25l"),
            "{how}"
        );
    }
}

#[test]
fn on_a_busy_vm_nothing_is_erased_that_is_not_drawn_in_the_same_redraw() {
    // Reads a sector with the BIOS, for ever.
    const CODE: [u8; 16] = [
        0xb8, 0x01, 0x02, // again: mov ax, 0x0201
        0xbb, 0x00, 0x80, // mov bx, 0x8000
        0xb9, 0x02, 0x00, // mov cx, 2
        0xba, 0x80, 0x00, // mov dx, 0x80
        0xcd, 0x13, // int 0x13
        0xeb, 0xf0, // jmp again
    ];
    const BEGIN: &str = "\x1b[?2026h\x1b[?25l";
    const END: &str = "\x1b[?25h\x1b[?2026l";
    let directory = scratch();
    let disk = directory.path().join("disk");
    let mut sectors = vec![0; 1 << 20];
    sectors[..CODE.len()].copy_from_slice(&CODE);
    sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&disk, sectors).expect("a file of ours");
    let drive = format!("file={},format=raw", text(&disk));
    let qemu = Qemu::with_args(&["-machine", "pc", "-drive", &drive]);
    let mut terminal = qemu.prompt();
    terminal.keys(":watch 50ms query-blockstats\r");
    terminal.wait_for_text("iB/s ");
    let before = terminal.output().len();
    let redraws = || terminal.output()[before..].matches(END).count();
    terminal.wait("redraws", |_| redraws() > 20);
    let output = terminal.output()[before..].to_owned();
    let (_, output) = output.split_once(END).expect("the end of a redraw");
    let (output, _) = output.rsplit_once(END).expect("the end of the last one");
    for redraw in output.split(END) {
        let redraw = redraw.strip_prefix(BEGIN).expect("nothing between redraws");
        assert!(!redraw.contains("\x1b[J"), "{redraw:?}");
        let mut parts: Vec<&str> = redraw.split("\x1b[K\r\n").collect();
        // The end only moves the cursor.
        let end = parts.pop().expect("at least one part");
        assert!(moves_end(end) == end.len(), "{redraw:?}");
        for part in parts {
            assert!(
                moves_end(part) < part.len(),
                "a row only erased: {redraw:?}"
            );
        }
    }
    terminal.keys("q");
    terminal.wait_for_prompt();
}

/// Where the movements of the cursor end that a text starts with.
fn moves_end(text: &str) -> usize {
    let mut rest = text;
    while let Some(after) = rest.strip_prefix("\x1b[")
        && let Some((count, after)) = after.split_once(['A', 'B'])
        && count.bytes().all(|byte| byte.is_ascii_digit())
    {
        rest = after;
    }
    text.len() - rest.len()
}

#[test]
fn what_built_ins_draw_is_shown_as_they_draw_it() {
    let qemu = Qemu::with_args(&["-machine", "q35", "-device", "VGA", "-S"]);
    let mut terminal = qemu.prompt();
    terminal.keys(":watch 50ms :tree pci\r");
    let screen = terminal.wait_for_text("VGA");
    assert!(!screen.contains("u{1b}"), "{screen}");
    terminal.keys("q");
    terminal.wait_for_prompt();
    terminal.keys(":watch 50ms :screen\r");
    terminal.wait("the picture", |_| terminal.half_blocks().len() == 22);
    terminal.keys("q");
    terminal.wait_for_prompt();
}

#[test]
fn outside_of_the_prompt_there_is_nothing_to_watch_on() {
    let qemu = Qemu::start();
    qemu.qmpsh(&[":watch", "query-status"])
        .assert_fails(2, "works only at the prompt");
    qemu.qmpsh(&[":watch", "5"])
        .assert_fails(2, "usage: :watch [TIME] LINE");
}
