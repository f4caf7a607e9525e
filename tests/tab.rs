//! TAB, hints and colours in a real terminal, on a real QEMU.

use std::time::{Duration, Instant};

use crate::common::terminal::{CTRL_C, TAB, Terminal};
use crate::common::told::Told;
use crate::common::{Qemu, kill, wait_for};

/// A prompt that knows the schema by now.
pub fn prompt(qemu: &Qemu) -> Terminal {
    at_schema(qemu.prompt())
}

fn at_schema(mut terminal: Terminal) -> Terminal {
    // A hint can only come from the schema, and comes with a key.
    terminal.keys("device_del ");
    wait_for("a hint", || {
        // No more keys than are shown: on a busy machine they would come faster than they are read.
        terminal.keys("x");
        terminal.wait_for_text("device_del x");
        terminal.keys("\x7f");
        terminal.wait("the line without the key", |screen| {
            screen.ends_with("device_del")
        });
        terminal.screen_with_hints().ends_with("id=").then_some(())
    });
    terminal.cancel();
    terminal
}

/// Types `line` and TAB; the screen once it shows `what`.
fn tab(terminal: &mut Terminal, line: &str, what: &str) -> String {
    terminal.keys(line);
    terminal.wait(line, |screen| screen.ends_with(line.trim_end()));
    terminal.keys(TAB);
    terminal.wait_for_text(what)
}

#[test]
fn the_properties_of_a_device_type_complete() {
    let qemu = Qemu::q35();
    let mut terminal = prompt(&qemu);
    let line = "device_add driver=virtio-net-pci id=123 ma";
    tab(
        &mut terminal,
        line,
        "(QEMU) device_add driver=virtio-net-pci id=123 mac=",
    );
    // Only the user knows the value, but is told of what kind it is.
    terminal.keys(TAB);
    terminal.wait("the kind of value", |_| {
        terminal
            .screen_with_hints()
            .contains("mac=  str: Ethernet 6-byte MAC Address")
    });
    terminal.keys("x csu");
    terminal.keys(TAB);
    terminal.wait_for_text("mac=x csum=");
    terminal.keys("o");
    terminal.keys(TAB);
    terminal.wait_for_text("off");
}

#[test]
fn the_ids_of_plugged_in_devices_complete() {
    let qemu = Qemu::q35();
    let mut terminal = prompt(&qemu);
    qemu.control("device_add driver=virtio-rng-pci id=rng7 bus=port0");
    tab(
        &mut terminal,
        "device_del id=rn",
        "(QEMU) device_del id=rng7",
    );
    terminal.keys("\r");
    terminal.wait_for_text("{}");
}

#[test]
fn qom_paths_complete_level_by_level() {
    let qemu = Qemu::q35();
    let mut terminal = prompt(&qemu);
    tab(
        &mut terminal,
        "qom-get path=/machine/per",
        "peripheral-anon",
    );
    terminal.wait_for_line("(QEMU) qom-get path=/machine/peripheral");
    terminal.keys("/po");
    terminal.keys(TAB);
    terminal.wait_for_line("(QEMU) qom-get path=/machine/peripheral/port0");
    terminal.keys(" property=hotpl");
    terminal.keys(TAB);
    terminal.wait_for_text("hotpluggable");
}

#[test]
fn values_listed_by_the_schema_complete() {
    let qemu = Qemu::start();
    // Some schemas have no properties of objects, but one argument for all of them.
    let property = if Told::by(&qemu).has_argument("object-add", "props") {
        "props="
    } else {
        "prealloc="
    };
    let mut terminal = prompt(&qemu);
    for (line, what) in [
        ("blockdev-add driver=qcow2 file.driver=nul", "null-co"),
        ("watchdog-set-action action=", "shutdown"),
        (
            "migrate-set-capabilities capabilities.0.capability=",
            "xbzrle",
        ),
        (
            "transaction( blockdev-snapshot-sync ",
            "snapshot-node-name=",
        ),
        ("object-add qom-type=memory-backend-ram ", property),
        ("blockdev-add {'driver", "blockdev-add {'driver"),
    ] {
        tab(&mut terminal, line, what);
        terminal.cancel();
    }
}

#[test]
fn names_that_contain_the_typed_letters_are_found_when_none_starts_with_them() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    tab(&mut terminal, "status", "query-status");
    terminal.wait_for_line("(QEMU) status");
    terminal.cancel();
    tab(&mut terminal, "versio", "(QEMU) query-version");
}

#[test]
fn a_value_that_needs_quotes_gets_them() {
    let qemu = Qemu::start();
    std::fs::write(qemu.directory.path().join("my disk.img"), "").expect("a file");
    let mut terminal = prompt(&qemu);
    let line = "blockdev-add driver=file node-name=n filename=my";
    tab(&mut terminal, line, "filename=\"my disk.img\"");
    terminal.keys("\r");
    terminal.wait_for_text("{}");
}

#[test]
fn hints_name_required_and_optional_arguments() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    terminal.keys("device_add");
    terminal.wait_for_hints("(QEMU) device_add driver= [bus= id=]");
    terminal.keys(" driver=x ");
    terminal.wait_for_hints("(QEMU) device_add driver=x [bus= id=]");
    terminal.keys("id=a bus=b");
    terminal.wait_for_hints("(QEMU) device_add driver=x id=a bus=b");
    // What is hinted is not sent.
    terminal.cancel();
    terminal.keys("query-kvm\r");
    terminal.wait_for_text("present");
}

#[test]
fn tab_returns_at_once_while_the_vm_is_stopped_and_typing_goes_on() {
    let qemu = Qemu::q35();
    let usual = [("QMPSH_PATIENCE", "0.3")];
    let terminal = Terminal::start_with(qemu.directory.path(), &[qemu.address()], &usual);
    terminal.wait_for_prompt();
    let mut terminal = at_schema(terminal);
    kill(qemu.pid(), "STOP");
    terminal.keys("device_del id=");
    terminal.wait("the line", |screen| screen.ends_with("device_del id="));
    let start = Instant::now();
    // The second one finds the first unanswered, and does not wait.
    terminal.keys(TAB);
    terminal.keys(TAB);
    terminal.keys("port");
    terminal.wait("what is typed on", |screen| {
        screen.ends_with("device_del id=port")
    });
    // 400 ms and what a loaded machine may add.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    // What needs no question completes all the same.
    terminal.cancel();
    tab(
        &mut terminal,
        "watchdog-set-action act",
        "(QEMU) watchdog-set-action action=",
    );
    terminal.cancel();
    kill(qemu.pid(), "CONT");
    let screen = terminal.assert_answer("query-kvm", "present");
    assert!(!screen.contains("late reply"), "{screen}");
    tab(
        &mut terminal,
        "device_del id=po",
        "(QEMU) device_del id=port0",
    );
}

#[test]
fn an_unknown_command_or_key_is_red_and_a_known_one_is_not() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    terminal.keys("query-stotus x");
    terminal.wait("red", |_| terminal.is_red("query-stotus"));
    terminal.cancel();
    terminal.keys("device_add drivor=x id=y");
    terminal.wait("the line", |screen| screen.ends_with("id=y"));
    terminal.cancel();
    terminal.keys("device_del nope=x id=y");
    terminal.wait("red", |_| terminal.is_red("nope"));
    assert!(!terminal.is_red("device_del nope"));
    assert!(!terminal.is_red("id=y"));
}

#[test]
fn tab_completes_a_unique_command_and_adds_a_space() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    // The names are asked for in the background of the first prompt; they are there once this has its reply.
    let screen = terminal.enter("query-name");
    terminal.keys("query-statu");
    terminal.keys(TAB);
    terminal.wait_for_line("(QEMU) query-status");
    let row = u16::try_from(screen.lines().count() - 1).expect("24 rows");
    let after_the_space = "(QEMU ●) query-status ".chars().count();
    terminal.wait_for_cursor(row, u16::try_from(after_the_space).expect("80 columns"));
}

#[test]
fn tab_lists_the_commands_that_start_with_what_is_typed() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    terminal.keys("query-migrate");
    terminal.keys(TAB);
    let screen = terminal.wait("the list", |screen| {
        screen.contains("query-migrate-parameters") && screen.ends_with("(QEMU) query-migrate")
    });
    let words: Vec<&str> = screen.split_whitespace().collect();
    for name in [
        "query-migrate",
        "query-migrate-capabilities",
        "query-migrate-parameters",
    ] {
        assert!(words.contains(&name), "{name} in\n{screen}");
    }
    assert!(!words.contains(&"query-status"), "{screen}");
}

#[test]
fn ctrl_c_leaves_the_question_whether_to_list_very_many_commands() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter("query-name");
    terminal.keys(TAB);
    // That may list them at once, ask first, or stop after a screenful.
    let listed = terminal.wait("a list or a question", |screen| {
        let last = screen.lines().last().unwrap_or_default();
        last.starts_with("Display all")
            || last.starts_with("--More--")
            || screen.lines().count() > 20 && last == "(QEMU)"
    });
    terminal.keys(CTRL_C);
    terminal.wait("a new prompt", |screen| {
        screen != listed && screen.ends_with("(QEMU)")
    });
    terminal.assert_answer(":set confirm", "confirm  on");
}

#[test]
fn tab_completes_built_ins() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys(":stat");
    terminal.keys(TAB);
    terminal.wait_for_line("(QEMU) :status");
    terminal.wait_for_cursor(1, 17);
    terminal.cancel();
    terminal.keys(":");
    terminal.keys(TAB);
    let screen = terminal.wait("the list", |screen| screen.contains(":quit"));
    // The list is longer than the screen.
    for name in [":on", ":set", ":vm"] {
        assert!(screen.contains(name), "{name} in\n{screen}");
    }
}

#[test]
fn tab_completes_the_words_of_set() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.keys(":set con");
    terminal.keys(TAB);
    terminal.wait_for_cursor(1, 22);
    terminal.wait_for_line("(QEMU) :set confirm");
    terminal.keys("of");
    terminal.keys(TAB);
    terminal.wait_for_line("(QEMU) :set confirm off");
    terminal.keys("\r");
    terminal.wait_for_prompt();
    terminal.assert_answer(":set confirm", "confirm  off");
}
