//! Connecting to what is no QMP server, and to servers that are in no state to answer.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use crate::common::fake::{Fake, GREETING, event, success};
use crate::common::sockets::{Port, hold, leave_socket, listens, nearly_full};
use crate::common::{Outcome, Qemu, qmpsh, scratch, text, wait_for};

/// A path that ends in `name`, and its directory.
fn path(name: &str) -> (TempDir, PathBuf) {
    let directory = scratch();
    let path = directory.path().join(name);
    (directory, path)
}

fn connect(address: &str) -> Outcome {
    qmpsh(
        &["--connect-timeout", "1", "-c", address, "query-status"],
        "",
    )
}

#[test]
fn connecting_to_a_missing_socket_fails() {
    let (_directory, socket) = path("none.sock");
    connect(text(&socket)).assert_fails(3, "the socket does not exist");
}

#[test]
fn connecting_to_a_socket_without_a_server_fails() {
    let (_directory, socket) = path("left.sock");
    leave_socket(&socket);
    connect(text(&socket)).assert_fails(3, "nothing serves this socket");
}

#[test]
fn connecting_to_a_directory_fails() {
    let (directory, _) = path("");
    connect(text(directory.path())).assert_fails(3, "it is a directory");
}

#[test]
fn connecting_to_a_regular_file_fails() {
    let (_directory, file) = path("file");
    std::fs::write(&file, "x").expect("a file of ours");
    connect(text(&file)).assert_fails(3, "it is a file, not a socket");
}

#[test]
fn connecting_to_a_path_too_long_for_a_socket_fails() {
    connect(&format!("/{}", "x".repeat(200))).assert_fails(3, "cannot connect to /xxx");
}

#[test]
fn connecting_to_a_closed_tcp_port_fails() {
    connect(&Port::reserve().address()).assert_fails(3, "nothing listens there");
}

#[test]
fn connecting_to_an_unknown_host_fails() {
    connect("no-such-host.invalid:4444").assert_fails(3, "no-such-host.invalid:4444");
}

#[test]
fn what_qemu_had_left_to_send_to_a_client_before_us_is_skipped() {
    for rest in [
        ": null, \"type\": \"bool\"}], \"meta-type\": \"object\"}], \"id\": 7}\r\n",
        "{\"name\": \"x\"}]}\r\n{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}\r\n",
        "{\"return\": {}, \"id\": 0}\r\n",
    ] {
        let fake = Fake::start(move |peer| {
            peer.send(rest);
            peer.echo();
        });
        fake.qmpsh(&["query-status"]).assert_status(0);
    }
}

#[test]
fn connecting_to_a_server_that_closes_at_once_fails() {
    let fake = Fake::start(|_| {});
    fake.qmpsh(&["query-status"])
        .assert_fails(3, "sent no QMP greeting: ");
}

#[test]
fn connecting_to_a_server_that_closes_instead_of_negotiating_fails() {
    let fake = Fake::start(|peer| {
        peer.send(GREETING);
        peer.line();
    });
    fake.qmpsh(&["query-status"])
        .assert_fails(3, "closed the connection");
}

#[test]
fn connecting_to_a_server_that_refuses_to_negotiate_fails() {
    let fake = Fake::start(|peer| {
        peer.send(GREETING);
        peer.line();
        peer.send("{\"error\": {\"class\": \"GenericError\", \"desc\": \"not\\u001b today\"}}");
        peer.wait_for_end();
    });
    fake.qmpsh(&["query-status"])
        .assert_fails(3, "GenericError: not");
}

#[test]
fn connecting_to_a_server_with_a_full_backlog_waits_as_long_as_allowed() {
    let (_directory, socket) = path("full.sock");
    let _listener = nearly_full(&socket);
    let _first = UnixStream::connect(&socket).expect("room for one");
    connect(text(&socket)).assert_fails(3, "did not accept the connection within 1 second");
}

#[test]
fn an_invalid_address_is_a_usage_error() {
    for address in ["host:port", "tcp:x", "unix:", "::1"] {
        connect(address).assert_fails(2, "is not an address");
    }
}

#[test]
fn a_monitor_that_another_client_holds_is_explained() {
    let qemu = Qemu::start();
    let _holder = hold(&qemu.socket);
    let outcome = connect(qemu.address());
    // That is this process.
    let who = format!(
        "another client uses this monitor (pid {}, `",
        std::process::id()
    );
    outcome.assert_fails(3, &format!("within 1 second: {who}"));
}

#[test]
fn a_server_that_accepts_and_does_not_greet_is_not_said_to_be_held_by_us() {
    let fake = Fake::start(|peer| peer.wait_for_end());
    // It is explained after two seconds.
    let outcome = fake.qmpsh(&["--connect-timeout", "3", "query-status"]);
    outcome.assert_fails(3, "is silent: another client may be using this monitor");
}

#[test]
fn a_path_with_control_characters_is_shown_harmlessly() {
    connect("/no/\x1b[31m.sock").assert_fails(3, "the socket does not exist");
}

#[test]
fn a_greeting_that_is_no_qmp_is_quoted_harmlessly() {
    let fake = Fake::greeting_with("SSH-2.0-\x1b[31m\x07\u{9b}\r\n");
    let outcome = fake.qmpsh(&["query-status"]);
    outcome.assert_fails(3, "not a QMP message: `SSH-2.0-\\x1b[31m\\x07");
}

#[test]
fn a_greeting_may_lack_capabilities_and_package_or_make_them_null() {
    for greeting in [
        r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}}}}"#,
        r#"{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": null}, "capabilities": null}}"#,
    ] {
        let fake = Fake::start(move |peer| {
            peer.send(format!("{greeting}\r\n"));
            let negotiation = peer.command();
            let negotiation = negotiation.expect("a negotiation");
            assert_eq!(negotiation["execute"], "qmp_capabilities");
            assert_eq!(negotiation.get("arguments"), None);
            peer.send("{\"return\": {}}\r\n");
            let Some(command) = peer.command() else {
                return;
            };
            peer.send(success(&command, json!("done")));
        });
        let outcome = fake.qmpsh(&["query-status"]);
        outcome.assert_status(0).assert_stdout("\"done\"\n");
    }
}

#[test]
fn a_server_may_answer_what_has_no_id_with_the_id_null() {
    let fake = Fake::start(|peer| {
        peer.send(format!("{GREETING}\r\n"));
        if peer.command().is_some() {
            peer.send("{\"return\": {}, \"id\": null}\r\n");
        }
        // Nor does it know the id of what it cannot read.
        if peer.command().is_some() {
            let error = json!({"class": "GenericError", "desc": "JSON parse error"});
            peer.send(json!({"error": error, "id": null}).to_string() + "\r\n");
        }
    });
    let outcome = fake.qmpsh(&["query-status"]);
    outcome.assert_fails(1, "JSON parse error");
}

#[test]
fn a_first_message_other_than_a_greeting_is_refused() {
    let fake = Fake::greeting_with(event("STOP", &json!({})));
    fake.qmpsh(&["query-status"])
        .assert_fails(3, "not a greeting");
    let fake = Fake::greeting_with("{\"QMP\": {}}\r\n");
    fake.qmpsh(&["query-status"])
        .assert_fails(3, "QMP message: `{");
}

#[test]
fn other_monitors_of_qemu_are_recognized() {
    let directory = scratch();
    let hmp = directory.path().join("hmp");
    let vnc = directory.path().join("vnc");
    let monitor = format!("unix:{},server=on,wait=off", text(&hmp));
    let display = format!("unix:{}", text(&vnc));
    let _qemu = Qemu::with_args(&["-machine", "none", "-monitor", &monitor, "-vnc", &display]);
    wait_for("its sockets", || {
        (listens(&hmp) && listens(&vnc)).then_some(())
    });
    connect(text(&hmp)).assert_fails(3, "this is a human monitor");
    connect(text(&vnc)).assert_fails(3, "this is a VNC server");
}

#[test]
fn a_missing_address_is_a_usage_error() {
    qmpsh(&["-e", "query-status"], "").assert_fails(2, "no address given");
}
