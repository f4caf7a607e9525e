//! What TAB lists, how much of it at once, and how it goes into the line.

use crate::common::Qemu;
use crate::common::terminal::{CTRL_C, TAB, Terminal};

const LEFT: &str = "\x1b[D";
const BACK_TAB: &str = "\x1b[Z";

/// A prompt that knows the commands.
fn prompt(qemu: &Qemu) -> Terminal {
    let mut terminal = qemu.prompt();
    // Their names are asked for in the background of the first prompt; they are there once this has its reply.
    terminal.enter("query-name");
    terminal
}

/// Types `line` and TAB.
fn tab(terminal: &mut Terminal, line: &str) {
    terminal.keys(line);
    terminal.wait(line, |screen| screen.ends_with(line.trim_end()));
    terminal.keys(TAB);
}

fn last(screen: &str) -> &str {
    screen.lines().last().unwrap_or_default()
}

#[test]
fn more_than_a_screenful_is_asked_about_and_shown_a_screenful_at_a_time() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    terminal.keys(TAB);
    let screen = terminal.wait_for_text("possibilities? (y or n)");
    assert!(last(&screen).starts_with("Display all "), "{screen}");
    terminal.keys("n");
    let screen = terminal.wait_for_prompt();
    assert!(!screen.contains("Display all"), "{screen}");

    tab(&mut terminal, ":help ");
    terminal.wait_for_text("Display all ");
    terminal.keys("y");
    let first = terminal.wait_for_line("--More--");
    assert_eq!(first.lines().count(), 24, "{first}");
    // Enter shows a row more, the space bar a screenful.
    terminal.keys("\r");
    let second = terminal.wait("the next row", |screen| {
        screen != first && last(screen) == "--More--"
    });
    assert_eq!(
        first.lines().skip(1).take(22).collect::<Vec<_>>(),
        second.lines().take(22).collect::<Vec<_>>()
    );
    terminal.keys(" ");
    terminal.wait("the next page", |screen| {
        screen != second && last(screen).starts_with("--More--") || screen.ends_with("(QEMU) :help")
    });
    terminal.keys("q");
    terminal.wait_for_line("(QEMU) :help");
    terminal.cancel();
    terminal.assert_answer("query-name", "{}");
}

#[test]
fn ctrl_c_ends_a_long_list_and_the_line_stays() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    tab(&mut terminal, ":help ");
    terminal.wait_for_text("Display all ");
    terminal.keys("y");
    terminal.wait_for_line("--More--");
    terminal.keys(CTRL_C);
    terminal.wait_for_line("(QEMU) :help");
    terminal.keys("stop\r");
    terminal.wait_for_text("stop");
    terminal.wait_for_prompt();
}

#[test]
fn a_list_has_columns_although_a_candidate_has_a_note() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    tab(&mut terminal, "blockdev-add driver=");
    let screen = terminal.wait("the list", |screen| {
        screen.contains("null-co") && screen.ends_with("(QEMU) blockdev-add driver=")
    });
    let row = screen.lines().find(|line| line.contains("null-co"));
    let names = row.expect("a row").split_whitespace().count();
    assert!(names > 2, "{screen}");
}

#[test]
fn tab_walks_through_the_candidates_in_both_directions() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    tab(&mut terminal, "query-migrate");
    let screen = terminal.wait_for_text("query-migrate-parameters");
    terminal.wait_for_line("(QEMU) query-migrate");
    // QEMU before 6 has one more.
    if screen.contains("query-migrate-cache-size") {
        terminal.keys(TAB);
    }
    terminal.keys(TAB);
    terminal.keys(TAB);
    terminal.wait_for_line("(QEMU) query-migrate-capabilities");
    terminal.keys(TAB);
    terminal.wait_for_line("(QEMU) query-migrate-parameters");
    terminal.keys(BACK_TAB);
    terminal.wait_for_line("(QEMU) query-migrate-capabilities");
    // After the last one comes what was typed, and then the first again.
    terminal.keys(TAB);
    terminal.keys(TAB);
    terminal.wait_for_line("(QEMU) query-migrate");
    terminal.keys(BACK_TAB);
    terminal.wait_for_line("(QEMU) query-migrate-parameters");
    // What is typed next belongs to the candidate.
    terminal.keys("\r");
    let screen = terminal.wait_for_prompt();
    assert!(screen.contains("announce-initial"), "{screen}");
}

#[test]
fn a_word_is_completed_whole_when_the_cursor_is_in_it() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    terminal.keys("query-vextra");
    terminal.wait_for_line("(QEMU) query-vextra");
    for _ in 0.."xtra".len() {
        terminal.keys(LEFT);
    }
    terminal.keys(TAB);
    let screen = terminal.wait("the list or the word", |screen| {
        screen.contains("query-version")
    });
    // More than one command may start so; the rest of the word stays until one is chosen.
    if screen.ends_with("query-vextra") {
        terminal.keys(TAB);
    }
    terminal.wait("no rest of the word", |screen| {
        !last(screen).contains("xtra")
    });
    terminal.cancel();
    terminal.keys("device_add drivextra=x id=y");
    terminal.wait_for_line("(QEMU) device_add drivextra=x id=y");
    for _ in 0.."extra=x id=y".len() {
        terminal.keys(LEFT);
    }
    terminal.keys(TAB);
    terminal.wait_for_line("(QEMU) device_add driver=x id=y");
    terminal.keys("e1000");
    terminal.wait_for_line("(QEMU) device_add driver=e1000x id=y");
}

#[test]
fn a_list_comes_at_once_although_more_keys_wait() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    terminal.keys(&format!("query-migrate{TAB}-x"));
    let screen = terminal.wait_for_line("(QEMU) query-migrate-x");
    assert!(screen.contains("query-migrate-parameters"), "{screen}");
}

#[test]
fn a_list_below_a_line_of_several_rows_leaves_it_whole() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    terminal.clear();
    let value = "x".repeat(200);
    let line = format!("blockdev-add node-name={value} driver=null-");
    terminal.keys(&line);
    terminal.wait("the line", |_| terminal.unwrapped().ends_with(&line));
    terminal.keys(TAB);
    terminal.wait("the list", |screen| screen.contains("null-aio  null-co"));
    terminal.wait("the line", |_| {
        terminal.unwrapped() == format!("null-aio  null-co\n(QEMU) {line}")
    });
}

#[test]
fn buses_and_network_backends_complete() {
    let qemu = Qemu::with_args(&[
        "-machine",
        "q35",
        "-device",
        "pcie-root-port,id=port0",
        "-netdev",
        "socket,id=net7,listen=127.0.0.1:0",
        "-device",
        "virtio-scsi-pci,id=disks,bus=pcie.0",
    ]);
    let mut terminal = prompt(&qemu);
    tab(&mut terminal, "device_add driver=virtio-net-pci bus=por");
    terminal.wait_for_line("(QEMU) device_add driver=virtio-net-pci bus=port0");
    tab(&mut terminal, "netdev=ne");
    terminal.wait_for_line("(QEMU) device_add driver=virtio-net-pci bus=port0 netdev=net7");
    terminal.cancel();
    // It does not take devices while the VM runs.
    tab(&mut terminal, "device_add driver=virtio-net-pci bus=");
    terminal.wait("the buses", |_| {
        let screen = terminal.screen_with_hints();
        let bus = screen.lines().find(|line| line.starts_with("pcie.0 "));
        bus.is_some_and(|line| line.contains("PCIE, no hotplug")) && !screen.contains("disks.0")
    });
    terminal.cancel();
    for (typed, rest) in [
        // An alias.
        ("device_add driver=virtio-blk bus=por", "t0"),
        // A type of another bus.
        ("device_add driver=scsi-hd bus=", "disks.0"),
        ("netdev_del id=ne", "t7"),
        ("set_link name=ne", "t7"),
    ] {
        tab(&mut terminal, typed);
        terminal.wait_for_line(&format!("(QEMU) {typed}{rest}"));
        terminal.cancel();
    }
}

#[test]
fn values_of_an_event_complete_from_what_the_vm_has() {
    let qemu = Qemu::q35();
    let mut terminal = prompt(&qemu);
    tab(&mut terminal, ":wait DEVICE_DELETED device=po");
    terminal.wait_for_line("(QEMU) :wait DEVICE_DELETED device=port0");
}

#[test]
fn options_and_numbers_of_built_ins_complete() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    tab(&mut terminal, ":wait STOP --ti");
    terminal.wait_for_line("(QEMU) :wait STOP --timeout");
    terminal.cancel();
    // Nothing else can follow.
    tab(&mut terminal, ":wait STOP ");
    terminal.wait_for_text("--timeout");
    terminal.cancel();
    terminal.enter(":after 500 stop");
    terminal.enter(":on STOP do cont");
    tab(&mut terminal, ":cancel ");
    terminal.wait_for_line("(QEMU) :cancel 1");
    terminal.cancel();
    tab(&mut terminal, ":off ");
    terminal.wait_for_line("(QEMU) :off 2");
}
