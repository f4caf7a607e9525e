//! What tables and trees look like. `tests/screens` keeps it as text, made from the replies in `tests/replies`;
//! `QMPSH_GENERATE=1 cargo test --test all screens::` writes it anew.

use std::path::Path;

use qmpsh::render::{Layout, records};
use serde_json::{Value, json};

use crate::common::fake::{Fake, failure, success};
use crate::common::qmpsh;
use crate::generated::check;

/// The commands whose replies are shown as tables.
const LISTS: [&str; 8] = [
    "query-block",
    "query-blockstats",
    "query-chardev",
    "query-cpus-fast",
    "query-memory-devices",
    "query-named-block-nodes",
    "query-pci",
    "query-stats",
];

/// What a q35 answered to a command.
pub fn reply(command: &str) -> Option<String> {
    let path = format!("tests/replies/{command}.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(path).ok()
}

/// A server that answers as the q35 did.
pub fn q35() -> Fake {
    Fake::answering(|command| {
        let name = command["execute"].as_str().unwrap_or_default();
        let value = reply(name).map(|reply| serde_json::from_str(&reply).expect("JSON"));
        match (name, value) {
            // The reply for each path.
            ("qom-list", Some(Value::Object(mut all))) => {
                let path = command["arguments"]["path"].as_str().expect("a path");
                match all.remove(path) {
                    Some(value) => success(command, value),
                    None => failure(command, "no such object"),
                }
            }
            (_, Some(value)) => success(command, value),
            (_, None) => failure(command, "not recorded"),
        }
    })
}

#[test]
fn tables_are_as_they_are_kept() {
    for width in [80, 120] {
        let mut screen = String::new();
        for command in LISTS {
            let layout = Layout {
                width: Some(width),
                color: false,
            };
            let reply = reply(command).expect("a recorded reply");
            let table = records(&reply, layout).expect("a table");
            for line in table.lines() {
                assert!(line.chars().count() <= width, "{line}");
            }
            screen.push_str(&format!("(QEMU) {command}\n{table}\n"));
        }
        check(&format!("tests/screens/tables-{width}.txt"), &screen);
    }
}

#[test]
fn trees_are_as_they_are_kept() {
    let fake = q35();
    for (name, lines) in [
        ("tree-qom", &[":tree", ":tree /machine/peripheral/usb/"][..]),
        ("tree-block", &[":tree block"]),
        ("tree-pci", &[":tree pci"]),
    ] {
        let mut terminal = fake.prompt();
        terminal.resize(150, 80);
        let mut kept = String::new();
        for line in lines {
            terminal.clear();
            terminal.enter(line);
            // Branches are dimmed as hints are, and a hint may still stand after the line.
            let screen = terminal.screen_with_hints();
            let (_, after) = screen
                .rsplit_once(&format!("(QEMU) {line}"))
                .expect("the line");
            let (tree, _) = after.rsplit_once("\n(QEMU)").expect("a prompt");
            kept.push_str(&format!("(QEMU) {line}\n"));
            kept.extend(tree.lines().skip(1).map(|row| format!("{row}\n")));
        }
        check(&format!("tests/screens/{name}.txt"), &kept);
    }
}

#[test]
fn a_terminal_gets_tables_that_fit_its_width() {
    let fake = q35();
    let mut terminal = fake.prompt();
    terminal.enter(":set output table");
    let screen = terminal.enter("query-memory-devices");
    assert!(
        screen.contains("dimm2  dimm  /objects/mem2  0x108000000   64 MiB"),
        "{screen}"
    );
    terminal.resize(24, 40);
    terminal.clear();
    let screen = terminal.enter("query-chardev");
    assert!(screen.contains("unix:qm…"), "{screen}");
    assert!(
        screen.lines().all(|line| line.chars().count() <= 40),
        "{screen}"
    );
    terminal.leave();
}

#[test]
fn in_a_pipe_a_table_is_as_wide_as_it_needs_to_be() {
    let outcome = q35().qmpsh(&["-o", "table", "query-block"]);
    outcome.assert_status(0);
    let table = outcome.stdout();
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(
        table.contains("/machine/peripheral/disk0/virtio-backend"),
        "{table}"
    );
    assert!(!table.contains("not shown"), "{table}");
}

#[test]
fn what_is_no_list_of_objects_is_printed_as_with_auto() {
    let fake = Fake::answering(|command| success(command, json!({"a": [1, 2]})));
    let outcome = fake.qmpsh(&["-o", "table", "query-status"]);
    outcome.assert_status(0).assert_stdout("{\"a\":[1,2]}\n");
    let outcome = qmpsh(&["-n", "-o", "table", "stop"], "");
    outcome
        .assert_status(0)
        .assert_stdout("{\"execute\":\"stop\"}\n");
}
