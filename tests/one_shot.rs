//! One command, one reply, one exit status.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::common::fake::{Fake, failure, success};
use crate::common::run::{closed, run_to};
use crate::common::{Qemu, command, in_shell, qmpsh, run, scratch, wait_for};

#[test]
fn a_command_prints_the_value_it_returns() {
    let outcome = Qemu::start().qmpsh(&["query-status"]);
    outcome.assert_status(0);
    assert_eq!(outcome.json()[0]["running"], true, "{outcome}");
}

#[test]
fn the_address_may_stand_before_options_and_command() {
    let qemu = Qemu::start();
    let socket = qemu.address();
    for args in [
        &[socket, "-p", "query-status"][..],
        &["-p", socket, "query-status"],
        &["-p", &format!("unix:{socket}"), "query-status"],
        &["-o", "pretty", "-c", socket, "query-status"],
    ] {
        let outcome = qmpsh(args, "");
        outcome.assert_status(0);
        assert!(
            outcome.stdout().contains("\n  \"running\": true"),
            "{outcome}"
        );
    }
}

#[test]
fn an_option_after_the_command_is_an_error_that_says_so() {
    let qemu = Qemu::start();
    let socket = qemu.address();
    for option in ["-p", "--pretty", "--log=x"] {
        let with_connect = qemu.qmpsh(&["query-status", option]);
        with_connect.assert_fails(2, "go before it");
        let with_address = qmpsh(&[socket, "query-status", option], "");
        with_address.assert_fails(2, option).assert_stdout("");
    }
}

#[test]
fn one_connection_is_made_and_none_for_a_command_that_cannot_run() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let fake = Fake::start(move |peer| {
        count.fetch_add(1, Ordering::Relaxed);
        peer.greet();
        while let Some(command) = peer.command() {
            peer.send(success(&command, json!({})));
        }
    });
    for (refused, status) in [
        (&["--tls-creds", "/", "stop"][..], 2),
        (&["--schema", "/", "stop"], 1),
        (&["--log", "/", "stop"], 1),
        (&["--dry-run", "stop", "a"], 2),
        (&["--listen", "stop"], 2),
    ] {
        fake.qmpsh(refused).assert_status(status);
    }
    fake.qmpsh(&["stop"]).assert_stdout("{}\n");
    drop(fake);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[test]
fn every_argument_is_a_word_that_needs_no_second_layer_of_quotes() {
    let command = ["getfd", "fdname=a b", "x= ", "y={'z': [1, 'two']}"];
    let outcome = qmpsh(&[&["-n"], &command[..]].concat(), "");
    outcome.assert_status(0).assert_stdout(
        "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"a b\",\"x\":\" \",\"y\":{\"z\":[1,\"two\"]}}}\n",
    );
}

#[test]
fn a_command_that_fails_names_class_and_description() {
    let outcome = Qemu::start().qmpsh(&["no-such-command"]);
    outcome
        .assert_fails(
            1,
            "CommandNotFound: The command no-such-command has not been found",
        )
        .assert_stdout("");
}

#[test]
fn a_command_in_place_of_the_address_gets_a_suggestion() {
    let home = scratch();
    let with_socket = |args: &[&str]| {
        let mut command = command(home.path());
        command.env("QMP_SOCKET", "/no/where").args(args);
        run(command, b"")
    };
    for (args, line) in [
        (&["device_del", "id=x"][..], "device_del id=x"),
        (
            &[":wait", "STOP", "--timeout", "1"],
            ":wait STOP --timeout 1",
        ),
    ] {
        let say = format!("use --execute '{line}'");
        with_socket(args).assert_fails(2, &say);
    }
}

#[test]
fn the_options_for_launch_have_their_own_heading() {
    let help = qmpsh(&["--help"], "").assert_status(0).stdout();
    let (all, launching) = help.split_once("Options for --launch:").expect("a heading");
    for option in ["--execute", "--timeout", "--reconnect", "--help"] {
        assert!(
            all.contains(&format!("{option} "))
                || all.contains(&format!("{option}\n"))
                || all.contains(&format!("{option}[")),
            "{option}: {help}"
        );
    }
    assert!(
        launching.contains("--wrapper") && !launching.contains("--execute"),
        "{help}"
    );
}

#[test]
fn the_address_may_come_from_the_environment() {
    let qemu = Qemu::start();
    let mut command = command(qemu.directory.path());
    command
        .env("QMP_SOCKET", &qemu.socket)
        .args(["-e", "query-status"]);
    let outcome = run(command, b"");
    assert_eq!(outcome.assert_status(0).json()[0]["running"], true);
}

#[test]
fn a_dry_run_needs_no_connection_and_sends_nothing() {
    let outcome = qmpsh(&["-n", "-e", "stop"], "");
    outcome
        .assert_status(0)
        .assert_stdout("{\"execute\":\"stop\"}\n");
    let qemu = Qemu::start();
    qemu.qmpsh(&["-n", "stop"]).assert_status(0);
    assert_eq!(qemu.qmpsh(&["query-status"]).json()[0]["running"], true);
}

#[test]
fn the_envelope_is_printed_on_request_for_failures_too() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["--envelope", "stop"]);
    outcome.assert_status(0).assert_stdout("{\"return\": {}}\n");
    let outcome = qemu.qmpsh(&["--envelope", "nope"]);
    outcome.assert_status(1);
    assert_eq!(outcome.json()[0]["error"]["class"], "CommandNotFound");
}

#[test]
fn each_format_prints_a_value_its_way() {
    let qemu = Qemu::start();
    let name = |format: &str| {
        let command = [
            "-o",
            format,
            "human-monitor-command",
            "command-line=info name",
        ];
        qemu.qmpsh(&["-e", "query-status"]).assert_status(0);
        qemu.qmpsh(&command).assert_status(0).stdout()
    };
    let status = |format: &str| {
        let outcome = qemu.qmpsh(&["-o", format, "query-status"]);
        outcome.assert_status(0).stdout()
    };
    assert!(status("pretty").starts_with("{\n  \"status\": "));
    assert_eq!(status("json").lines().count(), 1);
    assert_eq!(status("raw"), status("json"));
    assert_eq!(status("auto"), status("json"));
    let version = |format: &str| {
        let command = [
            "-o",
            format,
            "human-monitor-command",
            "command-line=info version",
        ];
        qemu.qmpsh(&command).assert_status(0).stdout()
    };
    assert_eq!(name("json"), "\"\"\n");
    assert!(
        version("raw").starts_with(char::is_numeric),
        "{}",
        version("raw")
    );
    assert!(version("raw").ends_with("\r\n"), "{:?}", version("raw"));
    assert!(version("json").starts_with('"'), "{}", version("json"));
}

#[test]
fn a_whole_message_is_sent_as_typed_and_its_id_is_shown() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["{\"execute\": \"stop\"}"]);
    outcome.assert_status(0).assert_stdout("{}\n");
    for id in ["7", "\"mine\"", "null", "[1, {\"a\": true}]", "-1", "1.5"] {
        let message = format!("{{\"execute\": \"query-status\", \"id\": {id}}}");
        let outcome = qemu.qmpsh(&["-t", "30", &message]);
        let reply = outcome.assert_status(0).json().remove(0);
        let expected: serde_json::Value = serde_json::from_str(id).expect("valid JSON");
        assert_eq!(reply["id"], expected, "{outcome}");
        assert_eq!(reply["return"]["running"], false, "{outcome}");
    }
}

/// QEMU reads `1.0` and answers `1`, and it rounds what no 64-bit integer holds.
#[test]
fn an_id_that_qemu_spells_another_way_still_finds_its_reply() {
    let qemu = Qemu::start();
    for id in ["1.0", "1e3", "184467440737095516150"] {
        let message = format!("{{\"execute\": \"query-status\", \"id\": {id}}}");
        qemu.qmpsh(&["-t", "5", &message]).assert_status(0);
    }
}

#[test]
fn a_message_is_sent_byte_for_byte() {
    let message = "{ \"execute\":  \"x\",\"arguments\": {\"n\": 1.50}, \"id\": 3 }";
    let fake = Fake::start(move |peer| {
        peer.greet();
        assert_eq!(peer.line().as_deref(), Some(message));
        peer.send("{\"return\": {}, \"id\": 3}\r\n");
    });
    fake.qmpsh(&[message]).assert_status(0);
}

#[test]
fn commands_go_out_of_band_both_ways() {
    let qemu = Qemu::start();
    let message = "{\"exec-oob\": \"migrate-pause\", \"id\": 1}";
    // Nothing migrates, and QEMU says so: the command was found, and allowed out of band.
    qemu.qmpsh(&[message])
        .assert_status(1)
        .assert_says("migrate-pause");
    qemu.qmpsh(&[":oob", "migrate-pause"])
        .assert_fails(1, "migrate-pause");
    qemu.qmpsh(&[":oob", "query-status"]).assert_fails(1, "OOB");
    qemu.qmpsh(&["--no-oob", ":oob", "migrate-pause"])
        .assert_fails(2, "out-of-band");
}

#[test]
fn the_command_quit_ends_qemu() {
    let mut qemu = Qemu::start();
    qemu.qmpsh(&["quit"]).assert_status(0).assert_stdout("{}\n");
    wait_for("QEMU to end", || qemu.has_ended().then_some(()));
}

#[test]
fn a_closed_standard_output_ends_the_run_quietly() {
    let qemu = Qemu::start();
    let repeat = ["--repeat", "0", "query-qmp-schema"];
    for args in [
        &["query-status"][..],
        &["query-qmp-schema"],
        &repeat,
        &[":help"],
    ] {
        let mut command = qemu.command(args);
        command.stdout(closed()).stderr(Stdio::piped());
        let outcome = run_to(command, b"");
        assert_eq!(outcome.assert_status(0).stderr(), "", "{args:?}");
    }
}

#[test]
fn a_closed_standard_error_leaves_the_exit_status_as_it_is() {
    let qemu = Qemu::start();
    for (args, status) in [
        (&["-v", "query-status"][..], 0),
        (&["--events", "stderr", "stop"], 0),
        (&[":disconnect"], 0),
        (&["nope"], 1),
        (&["stop", "a=1", "a=2"], 2),
        (&["-o", "table"], 2),
        (&["-e", ":connect /no/such.sock"], 3),
    ] {
        let mut command = qemu.command(args);
        command.stdout(Stdio::piped()).stderr(closed());
        run_to(command, b"").assert_status(status);
    }
}

#[test]
fn output_to_a_closed_standard_descriptor_does_not_reach_the_server() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("query-status") => success(command, json!({})),
        Some(_) => failure(command, "refused"),
        None => panic!("no command: {command}"),
    });
    let home = scratch();
    for (closed, line, status) in [
        ("<&- >&- 2>&-", "query-status", 0),
        ("<&- >&- 2>&-", "nope", 1),
        (">&-", "query-status", 0),
        ("2>&-", "nope", 1),
    ] {
        let mut qmpsh = command(home.path());
        qmpsh.args(["-v", "-c", fake.address(), line]);
        let shell = in_shell(&format!("exec \"$0\" \"$@\" {closed}"), &qmpsh);
        assert_eq!(run(shell, b"").status(), Some(status), "{closed} {line}");
    }
}

#[test]
fn a_built_in_in_one_word_with_its_arguments_is_told_how_to_write_it() {
    let qemu = Qemu::start();
    qemu.qmpsh(&[":job wait b"]).assert_fails(
        2,
        "leave out the quotes around it, or run it as a line: -e ':job wait b'",
    );
}
