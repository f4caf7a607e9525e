//! What is said after an error: the nearest right names, and the keys that are missing.

use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::common::fake::{Fake, failure_of, success};
use crate::common::log::Log;
use crate::common::told::Told;
use crate::common::{Outcome, Qemu, scratch};

/// Asserts that the command failed and that this is one of the lines after the error.
#[track_caller]
fn assert_helps(outcome: &Outcome, help: &str) {
    outcome.assert_fails(1, "");
    let line = format!("help: {help}");
    let found = outcome.stderr().lines().any(|said| said == line);
    assert!(found, "no `{line}` in\n{outcome}");
}

#[track_caller]
fn assert_no_help(outcome: &Outcome) {
    outcome.assert_fails(1, "");
    assert!(!outcome.stderr().contains("help:"), "{outcome}");
}

#[test]
fn an_unknown_command_gets_the_nearest_one() {
    let qemu = Qemu::start();
    let near = if Told::by(&qemu).has("query-stats") {
        "`query-statsu`; did you mean `query-stats` or `query-status`?"
    } else {
        "`query-statsu`; did you mean `query-status`?"
    };
    for (line, help) in [
        ("query-statsu", near),
        ("device-add", "`device-add`; did you mean `device_add`?"),
        (
            "System_Reset",
            "`System_Reset`; did you mean `system_reset`?",
        ),
        ("{\"execute\": \"quitt\"}", "`quitt`; did you mean `quit`?"),
        (
            ":oob migrate-paus",
            "`migrate-paus`; did you mean `migrate-pause`?",
        ),
    ] {
        let help = format!("there is no command {help}");
        assert_helps(&qemu.qmpsh(&["-e", line]), &help);
    }
    assert_helps(&qemu.qmpsh(&["status"]), "`:status` is a built-in");
    assert_no_help(&qemu.qmpsh(&["xyzzy"]));
    assert_no_help(&qemu.qmpsh(&["query-xyzzy"]));
}

#[test]
fn an_unknown_key_gets_the_nearest_one_with_its_whole_path() {
    let qemu = Qemu::start();
    for (line, help) in [
        (
            "block-dirty-bitmap-add nod=x name=y",
            "`nod`; did you mean `node`?",
        ),
        (
            "blockdev-add driver=raw file.driver=file file.filenam=x",
            "`file.filenam`; did you mean `file.filename`?",
        ),
        (
            "blockdev-add driver=raw file={'driver': 'raw', 'file': {'driver': 'null-co', 'siz': 1}}",
            "`file.file.siz`; did you mean `file.file.size`?",
        ),
        (
            "migrate-set-capabilities capabilities.0.capability=events capabilities.0.stat=on",
            "`capabilities.0.stat`; did you mean `capabilities.0.state`?",
        ),
    ] {
        let help = format!("there is no argument {help}");
        assert_helps(&qemu.qmpsh(&["-e", line]), &help);
    }
    let far = "query-named-block-nodes xyzzy=1";
    assert_no_help(&qemu.qmpsh(&["-e", far]));
}

#[test]
fn a_key_that_goes_with_another_value_of_the_tag_says_which() {
    let qemu = Qemu::start();
    let line = "object-add qom-type=memory-backend-ram id=m mem-path=/x";
    let outcome = qemu.qmpsh(&["-e", line]);
    if Told::by(&qemu).has_argument("object-add", "props") {
        // Its schema has no properties of objects.
        outcome.assert_fails(1, "Property 'memory-backend-ram.mem-path' not found");
        assert_no_help(&outcome);
    } else {
        let help = "`mem-path` is only accepted with qom-type=memory-backend-file";
        assert_helps(&outcome, help);
    }
}

#[test]
fn an_unknown_value_of_an_enumeration_gets_the_nearest_one() {
    let qemu = Qemu::start();
    for (line, help) in [
        (
            "watchdog-set-action action=shutdwn",
            "`action` cannot be `shutdwn`; did you mean `shutdown`?",
        ),
        (
            "blockdev-add driver=qcow3",
            "`driver` cannot be `qcow3`; did you mean `qcow` or `qcow2`?",
        ),
        (
            "blockdev-add driver=raw file.driver=nullco",
            "`file.driver` cannot be `nullco`; did you mean `null-co`?",
        ),
    ] {
        assert_helps(&qemu.qmpsh(&["-e", line]), help);
    }
    // Nothing is near, but the values are few.
    let outcome = qemu.qmpsh(&["watchdog-set-action", "action=xyzzy"]);
    outcome.assert_fails(1, "help: `action` cannot be `xyzzy`, only `reset`, ");
    assert_no_help(&qemu.qmpsh(&["blockdev-add", "driver=xyzzy"]));
}

#[test]
fn keys_that_are_missing_are_named_all_at_once() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["block-dirty-bitmap-add"]);
    assert_helps(&outcome, "`node` and `name` are missing");
    assert_helps(
        &outcome,
        "`help block-dirty-bitmap-add` lists all its arguments",
    );
    let outcome = qemu.qmpsh(&["blockdev-add", "driver=raw", "file.driver=file"]);
    assert_helps(&outcome, "`file.filename` is missing");
    // What was misspelt is not missing as well.
    let outcome = qemu.qmpsh(&["device_add", "drive=virtio-rng-pci"]);
    assert_helps(
        &outcome,
        "there is no argument `drive`; did you mean `driver`?",
    );
    assert!(
        !outcome.stderr().contains("help: `driver` is missing"),
        "{outcome}"
    );
}

#[test]
fn a_device_type_and_its_properties_get_the_nearest_ones() {
    let qemu = Qemu::q35();
    let add = |rest: &str| qemu.qmpsh(&["-e", &format!("device_add bus=port0 {rest}")]);
    assert_helps(
        &add("driver=virtio-rng-pc"),
        "`driver` cannot be `virtio-rng-pc`; did you mean `virtio-rng-pci`?",
    );
    assert_helps(
        &add("driver=virtio-rng-pci max-byte=1"),
        "there is no argument `max-byte`; did you mean `max-bytes`?",
    );
    assert_no_help(&add("driver=virtio-rng-pci xyzzy=1"));
    assert_no_help(&add("driver=xyzzy"));
}

#[test]
fn a_property_of_an_object_gets_the_nearest_one() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["qom-get", "path=/machine", "property=tpe"]);
    assert_helps(&outcome, "`property` cannot be `tpe`; did you mean `type`?");
}

#[test]
fn actions_of_a_transaction_are_checked_one_by_one() {
    let qemu = Qemu::start();
    let script = "transaction(\n\
                  block-dirty-bitmap-add node=a name=b\n\
                  block-dirty-bitmap-add nod=a name=b\n\
                  )\n";
    let outcome = qemu.script(&[], script);
    assert_helps(
        &outcome,
        "in action 2: there is no argument `nod`; did you mean `node`?",
    );
    let outcome = qemu.qmpsh(&["-e", "transaction( blockdev-snapshot-sinc )"]);
    assert_helps(
        &outcome,
        "in action 1: `type` cannot be `blockdev-snapshot-sinc`; did you mean `blockdev-snapshot-sync`?",
    );
}

#[test]
fn in_a_script_each_error_has_its_help_and_replies_keep_their_order() {
    let qemu = Qemu::start();
    let script = "query-statu\nquery-status\nstpo\nquery-status &\nblockdev-add driver=rw\n";
    let outcome = qemu.script(&["-k"], script);
    let stderr = outcome.assert_fails(1, "line 1: ").stderr();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 6, "{outcome}");
    for (error, help) in [
        ("line 1: `query-statu`", "`query-status`?"),
        ("line 3: `stpo`", "`stop`?"),
        ("line 5: `blockdev-add driver=rw`", "`raw`?"),
    ] {
        let at = lines.iter().position(|line| line.contains(error));
        let at = at.unwrap_or_else(|| panic!("no {error}: {outcome}"));
        assert!(lines[at + 1].ends_with(help), "{outcome}");
    }
    assert_eq!(outcome.json().len(), 2, "{outcome}");
}

#[test]
fn a_command_in_the_background_has_its_help_too() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "watchdog-set-action action=rest &\n");
    assert_helps(&outcome, "`action` cannot be `rest`; did you mean `reset`?");
}

#[test]
fn the_prompt_shows_the_help_below_the_error() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    let screen = terminal.enter("watchdog-set-action action=shutdwn");
    let rows: Vec<&str> = screen.lines().collect();
    let error = rows.iter().position(|row| row.starts_with("GenericError:"));
    let error = error.unwrap_or_else(|| panic!("no error on\n{screen}"));
    assert_eq!(
        rows[error + 1],
        "help: `action` cannot be `shutdwn`; did you mean `shutdown`?"
    );
    terminal.assert_answer(":conect", "did you mean `:connect`?");
    terminal.keys("stpo &\r");
    terminal.wait_for_text("help: there is no command `stpo`; did you mean `stop`?");
}

#[test]
fn a_built_in_without_its_colon_is_answered_with_the_line_that_works() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    for (line, help) in [
        ("set output json", "write `:set output json`"),
        ("wait STOP", "write `:wait STOP`"),
        ("every 2s query-status", "write `:every 2s query-status`"),
    ] {
        terminal.assert_answer(line, help);
    }
    // One that QEMU has is its own.
    let screen = terminal.enter("screendump x");
    assert!(!screen.contains("write `:screendump"), "{screen}");
}

#[test]
fn built_ins_and_settings_get_the_nearest_one() {
    let qemu = Qemu::start();
    for (line, says) in [
        (
            ":staus",
            "there is no built-in `:staus`; did you mean `:status`?",
        ),
        (
            ":xyzzy",
            "there is no built-in `:xyzzy`; `:help` lists them",
        ),
        (
            ":set outptu json",
            "there is no setting `outptu`; did you mean `output`?",
        ),
        (
            ":set timout",
            "there is no setting `timout`; did you mean `timeout`?",
        ),
        (
            ":set xyzzy 1",
            "there is no setting `xyzzy`; `:set` lists the settings",
        ),
    ] {
        qemu.qmpsh(&["-e", line]).assert_fails(2, says);
    }
}

/// What QEMU was asked while a line ran.
fn asked(qemu: &Qemu, line: &str) -> Vec<String> {
    let directory = scratch();
    let log = Log::at(directory.path().join("log"));
    qemu.qmpsh(&["-k", "-l", log.path(), "-e", line]);
    let mut commands = log.commands();
    commands.retain(|command| command != "qmp_capabilities");
    commands
}

#[test]
fn the_server_is_asked_only_about_names_and_only_once() {
    let qemu = Qemu::q35();
    let line = "device_del id=nobody";
    assert_eq!(
        asked(&qemu, line),
        ["device_del", "query-qmp-schema", "qom-list"]
    );
    assert_eq!(asked(&qemu, "query-status"), ["query-status"]);
    let line = "blockdev-add driver=file filename=/nonexistent node-name=x";
    assert_eq!(asked(&qemu, line), ["blockdev-add"]);
    assert_eq!(asked(&qemu, "stpo"), ["stpo", "query-qmp-schema"]);
    assert_eq!(
        asked(&qemu, "watchdog-set-action action=x"),
        ["watchdog-set-action", "query-qmp-schema"]
    );
    let line = "device_add driver=virtio-rng-pci bus=port0 max-byte=x";
    assert_eq!(asked(&qemu, line), ["device_add", "query-qmp-schema"]);
    let twice = asked(&qemu, "stpo\nstpo");
    assert_eq!(twice, ["stpo", "stpo", "query-qmp-schema"]);
}

/// QEMU words its errors differently from one version to another.
#[test]
fn errors_of_older_servers_are_understood() {
    let schema = json!([
        {"meta-type": "command", "name": "blockdev-add", "arg-type": "1", "ret-type": "0"},
        {"meta-type": "object", "name": "0", "members": []},
        {"meta-type": "object", "name": "1", "members": [
            {"name": "driver", "type": "2"}, {"name": "node-name", "type": "str", "default": null}]},
        {"meta-type": "enum", "name": "2", "values": ["file", "raw"]},
        {"meta-type": "builtin", "name": "str", "json-type": "string"},
    ]);
    let error = Arc::new(Mutex::new(("", "")));
    let shared = error.clone();
    let fake = Fake::answering(move |command| {
        if command["execute"] == "query-qmp-schema" {
            return success(command, schema.clone());
        }
        let (class, desc) = *shared.lock().expect("no holder of this lock panics");
        failure_of(class, command, desc)
    });
    for (class, desc, line, help) in [
        (
            "CommandNotFound",
            "The command blockdev-ad has not been found",
            "blockdev-ad",
            "there is no command `blockdev-ad`; did you mean `blockdev-add`?",
        ),
        (
            "GenericError",
            "Invalid parameter 'rw'",
            "blockdev-add driver=rw",
            "`driver` cannot be `rw`; did you mean `raw`?",
        ),
        (
            "GenericError",
            "Parameter 'nodename' is unexpected",
            "blockdev-add driver=raw nodename=x",
            "there is no argument `nodename`; did you mean `node-name`?",
        ),
        (
            "GenericError",
            "Parameter 'driver' is missing",
            "blockdev-add",
            "`driver` is missing",
        ),
    ] {
        *error.lock().expect("no holder of this lock panics") = (class, desc);
        assert_helps(&fake.qmpsh(&["-e", line]), help);
    }
}

#[test]
fn a_server_without_a_schema_still_knows_its_commands() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("query-commands") => success(command, json!([{"name": "guest-ping"}])),
        _ => failure_of("CommandNotFound", command, "no"),
    });
    assert_helps(
        &fake.qmpsh(&["guest-pin"]),
        "there is no command `guest-pin`; did you mean `guest-ping`?",
    );
    assert_no_help(&fake.qmpsh(&["guest-ping"]));
}

#[test]
fn a_server_that_falls_silent_costs_no_more_than_the_time_limit() {
    let fake = Fake::start(|peer| {
        peer.greet();
        if let Some(command) = peer.command() {
            peer.send(failure_of("CommandNotFound", &command, "no"));
        }
        peer.wait_for_end();
    });
    assert_no_help(&fake.qmpsh(&["-t", "0.2", "stpo"]));
}

#[test]
fn names_from_a_server_never_reach_the_terminal_raw() {
    let fake = Fake::answering(|command| {
        if command["execute"] == "query-qmp-schema" {
            let schema = json!([
                {"meta-type": "command", "name": "stop\u{9b}", "arg-type": "0", "ret-type": "0"},
                {"meta-type": "object", "name": "0", "members": []},
            ]);
            return success(command, schema);
        }
        failure_of("CommandNotFound", command, "no")
    });
    assert_helps(
        &fake.qmpsh(&["stop"]),
        "there is no command `stop`; did you mean `stop\\u{9b}`?",
    );
}

#[test]
fn secrets_are_not_repeated() {
    let qemu = Qemu::start();
    let line = "set_password protocol=vn password=hunter2";
    let outcome = qemu.qmpsh(&["-e", line]);
    assert!(!outcome.stderr().contains("hunter2"), "{outcome}");
    let told = Told::by(&qemu);
    if told.takes_strings("set_password", "protocol") {
        outcome.assert_fails(1, "Invalid parameter 'protocol'");
    } else {
        assert_helps(&outcome, "`protocol` cannot be `vn`; did you mean `vnc`?");
    }
}

#[test]
fn a_relative_file_that_qemu_cannot_open_is_said_to_be_in_qemus_directory() {
    let qemu = Qemu::start();
    let help = "help: `disk.img` is relative to the directory that QEMU runs in";
    let line = |name: &str| format!("blockdev-add driver=file node-name=n filename={name}");
    qemu.qmpsh(&["-e", &line("disk.img")]).assert_fails(1, help);
    let outcome = qemu.qmpsh(&["-e", &line("/nowhere/disk.img")]);
    outcome.assert_status(1);
    assert!(!outcome.stderr().contains("relative"), "{outcome}");
}

#[test]
fn a_key_that_belongs_further_down_is_told_with_its_whole_path() {
    let qemu = Qemu::start();
    assert_helps(
        &qemu.qmpsh(&["-e", "nbd-server-start addr.type=unix addr.path=/x"]),
        "there is no argument `addr.path`; did you mean `addr.data.path`?",
    );
    // Without the type, too.
    let outcome = qemu.qmpsh(&["-e", "nbd-server-start addr.path=/x"]);
    outcome.assert_says("`addr.path`; did you mean `addr.data.path`?");
    let line = "nbd-server-start addr.type=inet addr.port=1 addr.host=x";
    let outcome = qemu.qmpsh(&["-e", line]);
    outcome.assert_says("did you mean `addr.data.port`?");
    outcome.assert_says("did you mean `addr.data.host`?");
}
