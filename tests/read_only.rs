//! The list of commands that change nothing, held against this QEMU's schema.

use std::fmt::Write;

use qmpsh::schema::{Type, is_read_only};

use crate::common::Qemu;
use crate::common::told::Told;

/// Commands that sound as if they changed nothing, but are not in the list. It says why.
const NOT_IN_THE_LIST: [&str; 8] = [
    "query-accelerators",
    "query-rx-filter",
    "x-query-profile",
    "x-query-virtio-queue-status",
    "ringbuf-read",
    "qom-list-types",
    "device-list-properties",
    "qom-list-properties",
];

#[test]
fn every_command_that_sounds_like_a_query_has_been_judged() {
    let told = Told::by(&Qemu::start());
    for (command, _) in &told.commands {
        let mut words = command.split(['-', '_']);
        let sounds = words.any(|word| matches!(word, "query" | "get" | "list" | "read" | "stats"));
        assert_eq!(
            is_read_only(command),
            sounds && !NOT_IN_THE_LIST.contains(&&**command) || command.starts_with("x-debug-"),
            "{command}"
        );
    }
}

#[test]
fn a_command_that_changes_nothing_returns_something() {
    let schema = Told::by(&Qemu::start()).schema();
    for (name, command) in schema.commands() {
        let returns_nothing = match schema.get(command.returns) {
            Type::Object(object) => object.members.is_empty(),
            _ => false,
        };
        assert!(!(returns_nothing && is_read_only(name)), "{name}");
    }
}

#[test]
fn what_changes_nothing_leaves_the_vm_as_it_was_and_sends_no_event() {
    let qemu = Qemu::q35();
    let schema = Told::by(&qemu).schema();
    let state = || qemu.control("qom-list path=/machine/peripheral").stdout();
    let before = state();
    let mut script = String::new();
    for (name, command) in schema.commands().filter(|(name, _)| is_read_only(name)) {
        let arguments = schema.object(command.arguments).expect("an object");
        if !arguments.members.iter().any(|member| member.required) {
            writeln!(script, "{name}").expect("a string takes all");
        }
    }
    writeln!(script, "query-status").expect("a string takes all");
    let outcome = qemu.script(&["-k", "--events", "stdout", "-o", "json"], &script);
    let printed = outcome.json();
    assert!(printed.len() > 30, "{outcome}");
    assert!(
        printed.iter().all(|value| value.get("event").is_none()),
        "{outcome}"
    );
    assert_eq!(printed[printed.len() - 1]["status"], "running", "{outcome}");
    assert_eq!(state(), before);
}
