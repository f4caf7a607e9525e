//! `:key` and `:type`.

use crate::common::{Qemu, text, wait_for};

/// The keys of each `send-key` in a log.
fn pressed(sent: &[serde_json::Value]) -> Vec<String> {
    let keys = sent
        .iter()
        .filter(|message| message["execute"] == "send-key");
    keys.map(|message| {
        let keys = message["arguments"]["keys"].as_array().expect("keys");
        let names = keys.iter().filter_map(|key| key["data"].as_str());
        names.collect::<Vec<_>>().join("-")
    })
    .collect()
}

#[test]
fn keys_reach_the_guest() {
    let directory = crate::common::scratch();
    let console = directory.path().join("console");
    let chardev = format!("file,id=c,path={}", text(&console));
    // Without a display, the firmware uses the serial line.
    let qemu = Qemu::with_args(&[
        "-machine",
        "q35,graphics=off",
        "-boot",
        "menu=on,splash-time=60000",
        "-chardev",
        &chardev,
        "-serial",
        "chardev:c",
    ]);
    let said = |what: &str| {
        let console = std::fs::read(&console).unwrap_or_default();
        String::from_utf8_lossy(&console).contains(what)
    };
    wait_for("the firmware's question", || {
        said("for boot menu").then_some(())
    });
    wait_for("the firmware's menu", || {
        qemu.qmpsh(&[":key", "esc"]).assert_status(0);
        said("Select boot device").then_some(())
    });
}

#[test]
fn a_text_is_typed_key_by_key() {
    let qemu = Qemu::q35();
    let log = qemu.log();
    let line = r#":type "aB 1!\n""#;
    qemu.qmpsh(&["--log", log.path(), "-e", line])
        .assert_status(0);
    assert_eq!(
        pressed(&log.sent()),
        ["a", "shift-b", "spc", "1", "shift-1", "ret"]
    );
}

#[test]
fn qemu_knows_the_keys_of_all_printable_characters() {
    let qemu = Qemu::q35();
    let all: String = (' '..='~').filter(|c| !matches!(c, '\'' | '\\')).collect();
    qemu.qmpsh(&["-e", &format!(":type '{all}'")])
        .assert_status(0);
    qemu.qmpsh(&["-e", r#":type "'\\""#]).assert_status(0);
    qemu.qmpsh(&["-e", ":key Ctrl-Alt-Del win enter pageup altgr-e"])
        .assert_status(0);
}

#[test]
fn what_no_key_types_and_keys_that_do_not_exist_are_errors() {
    let qemu = Qemu::q35();
    let log = qemu.log();
    qemu.qmpsh(&["--log", log.path(), "-e", ":type 'aé'"])
        .assert_fails(2, "`é` is not on a US keyboard; nothing was typed");
    assert!(pressed(&log.sent()).is_empty());
    qemu.qmpsh(&["-e", ":key ctrl-nokey"])
        .assert_fails(1, "nokey");
}
