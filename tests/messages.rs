//! `--verbose` and `--log`, and the secrets that they must not show.

use std::fs;

use serde_json::Value;

use crate::common::fake::Fake;
use crate::common::log::Log;
use crate::common::{Qemu, mode, scratch, text};

#[test]
fn verbose_shows_each_message_on_standard_error() {
    let outcome = Qemu::start().qmpsh(&["-v", "query-name"]);
    outcome.assert_status(0).assert_stdout("{}\n");
    let stderr = outcome.stderr();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 5, "{outcome}");
    assert!(lines[0].starts_with("<- {\"QMP\": "), "{outcome}");
    assert!(
        lines[1].starts_with("-> {\"execute\":\"qmp_capabilities\""),
        "{outcome}"
    );
    assert!(
        lines[3].starts_with("-> {\"execute\":\"query-name\""),
        "{outcome}"
    );
    assert!(lines[4].starts_with("<- {\"return\": {}"), "{outcome}");
}

#[test]
fn the_log_has_every_message_as_a_json_line_and_is_private_to_its_owner() {
    let qemu = Qemu::start();
    let log = qemu.log();
    for _ in 0..2 {
        qemu.qmpsh(&["-l", log.path(), "query-name"])
            .assert_status(0);
    }
    assert_eq!(mode(log.path().as_ref()), 0o600);
    let lines = log.entries();
    assert_eq!(lines.len(), 10);
    let dirs: Vec<&Value> = lines[..5].iter().map(|line| &line["dir"]).collect();
    assert_eq!(dirs, ["recv", "send", "recv", "send", "recv"]);
    assert_eq!(lines[3]["msg"]["execute"], "query-name");
    for line in &lines {
        let time = line["time"].as_str().expect("a time");
        chrono::DateTime::parse_from_rfc3339(time).expect(time);
    }
}

#[test]
fn the_log_is_json_lines_whatever_the_server_sends() {
    let fake = Fake::replying_with("{\"return\": nonsense\x1b\n \"\n\"\r\n}");
    let directory = scratch();
    let log = Log::at(directory.path().join("log"));
    let outcome = fake.qmpsh(&["-l", log.path(), "a"]);
    outcome.assert_fails(3, "nonsense");
    assert!(log.entries().len() >= 4);
}

#[test]
fn a_log_that_cannot_be_written_is_an_error() {
    let outcome = Qemu::start().qmpsh(&["-l", "/no/such/log", "query-name"]);
    outcome
        .assert_fails(1, "cannot log to /no/such/log")
        .assert_stdout("");
}

#[test]
fn secrets_appear_neither_in_the_log_nor_among_verbose_messages() {
    let qemu = Qemu::start();
    let log = qemu.directory.path().join("log");
    let path = text(&log);
    let script = r#"
        object-add qom-type=secret id=s data=hunter2
        object-add data=hunter2 qom-type=secret id=t
        {"execute": "object-add", "arguments": {"qom-type": "secret", "id": "u", "data": "hunter2"}}
        {"execute": "object-add", "arguments": {"qom-type": "secret", "id": "v", "d\u0061ta": "hunter2"}}
        {"execute": "object-add", "arguments": {"qom-type": "s\u0065cret", "id": "w", "data": "hunter2"}}
        {"execute": "x", "arguments": {"p\u0061ssword": "hunter2"}}
        transaction( x password=hunter2 )
        object-add qom-type=secret id=x props.data=hunter2
        set_password protocol=vnc password='hunter2'
        set_password protocol=vnc password=hunter2 &
        change-vnc-password password=hunter2
    "#;
    let mut leaked = Vec::new();
    for line in script.lines().filter(|line| !line.trim().is_empty()) {
        let outcome = qemu.script(&["-k", "-v", "-l", path], line);
        let messages = outcome.stderr();
        let mut messages = messages.lines().filter(|said| !said.starts_with("qmpsh:"));
        if messages.any(|said| said.contains("hunter2")) {
            leaked.push(format!("shown: {line}"));
        }
        let logged = fs::read_to_string(&log).expect("the log");
        if logged.contains("hunter2") {
            leaked.push(format!("logged: {line}"));
        }
        fs::remove_file(&log).expect("the log");
    }
    assert!(leaked.is_empty(), "{leaked:#?}");
}

/// The error quotes the line, and goes where the messages go.
#[test]
fn a_secret_line_that_fails_is_not_quoted_with_its_secret() {
    let qemu = Qemu::start();
    let line = "object-add qom-type=secret id=s data=hunter2";
    let outcome = qemu.script(&["-v"], format!("{line}\n{line}\n"));
    outcome.assert_status(1);
    assert!(!outcome.stderr().contains("hunter2"), "{outcome}");
}
