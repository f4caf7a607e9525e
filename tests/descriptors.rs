//! File descriptors that travel with a command.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

use crate::common::sockets::hold;
use crate::common::{Outcome, Qemu, command, in_shell, qmpsh, run};

/// A QEMU, and another client of it: when the last one goes, QEMU drops the descriptors it was passed.
fn qemu() -> (Qemu, UnixStream) {
    let qemu = Qemu::start();
    let other = hold(&qemu.control);
    (qemu, other)
}

/// Writes a file in QEMU's directory.
fn file(qemu: &Qemu, name: &str) -> PathBuf {
    let path = qemu.directory.path().join(name);
    std::fs::write(&path, name).expect("a file of ours");
    path
}

/// The sets of descriptors QEMU holds.
fn sets(qemu: &Qemu) -> Vec<Value> {
    let outcome = qemu.qmpsh(&["query-fdsets"]);
    let sets = outcome.assert_status(0).json().remove(0);
    sets.as_array().expect("a list of sets").clone()
}

/// The file that descriptor `fd` of QEMU leads to, and whether it may be written.
fn file_of(qemu: &Qemu, fd: &Value) -> (PathBuf, bool) {
    let path = format!("/proc/{}/fd/{fd}", qemu.pid());
    let path = std::fs::read_link(path).expect("QEMU's descriptor");
    (path, flags(qemu, fd) & 3 == 2)
}

/// The flags of descriptor `fd` of QEMU, as `open(2)` has them.
fn flags(qemu: &Qemu, fd: &Value) -> u32 {
    let info = format!("/proc/{}/fdinfo/{fd}", qemu.pid());
    let info = std::fs::read_to_string(info).expect("QEMU's descriptor");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    u32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal")
}

/// Runs a shell line in QEMU's directory; in it, `$0` is qmpsh and `$1` QEMU's socket.
fn shell(qemu: &Qemu, line: &str) -> Outcome {
    let mut qmpsh = command(qemu.directory.path());
    qmpsh.arg(&qemu.socket).current_dir(qemu.directory.path());
    run(in_shell(line, &qmpsh), b"")
}

#[test]
fn a_file_is_passed_for_reading() {
    let (qemu, _other) = qemu();
    let path = file(&qemu, "read me");
    let passed = format!("<{}", path.display());
    let outcome = qemu.qmpsh(&["add-fd", "fdset-id=1", &passed]);
    let fd = outcome.assert_status(0).json()[0]["fd"].clone();
    assert_eq!(sets(&qemu)[0]["fds"][0]["fd"], fd);
    assert_eq!(file_of(&qemu, &fd), (path, false));
}

#[test]
fn a_file_is_passed_for_reading_and_writing() {
    let (qemu, _other) = qemu();
    let path = file(&qemu, "write me");
    let line = format!("add-fd fdset-id=1 <>\"{}\"", path.display());
    let outcome = qemu.qmpsh(&["-e", &line]);
    let fd = outcome.assert_status(0).json()[0]["fd"].clone();
    assert_eq!(file_of(&qemu, &fd), (path, true));
}

#[test]
fn an_inherited_descriptor_is_passed() {
    let (qemu, _other) = qemu();
    let path = file(&qemu, "mine");
    let line = "exec \"$0\" -c \"$1\" add-fd fdset-id=1 '<&9' 9<mine";
    let fd = shell(&qemu, line).assert_status(0).json()[0]["fd"].clone();
    assert_eq!(file_of(&qemu, &fd), (path, false));
}

#[test]
fn passing_a_descriptor_that_was_not_inherited_is_an_error() {
    let (qemu, _other) = qemu();
    for fd in ["<&99", "<&-1", "<&99999999"] {
        let outcome = qemu.qmpsh(&["add-fd", "fdset-id=1", fd]);
        outcome.assert_fails(2, fd);
    }
    assert!(sets(&qemu).is_empty());
}

#[test]
fn a_whole_message_takes_a_descriptor_along() {
    let (qemu, _other) = qemu();
    let path = file(&qemu, "a");
    let message = "{\"execute\": \"add-fd\", \"arguments\": {\"fdset-id\": 4}}";
    let passed = format!("<{}", path.display());
    qemu.qmpsh(&[message, &passed]).assert_status(0);
    assert_eq!(sets(&qemu)[0]["fdset-id"], 4);
}

#[test]
fn a_named_descriptor_is_kept_and_closed() {
    let (qemu, _other) = qemu();
    let passed = format!("<{}", file(&qemu, "a").display());
    let script = format!("getfd fdname=a {passed}\nclosefd fdname=a\nclosefd fdname=a\n");
    let outcome = qemu.script(&[], script);
    outcome.assert_fails(1, "line 3").assert_stdout("{}\n{}\n");
}

#[test]
fn every_descriptor_of_a_pipelined_script_arrives() {
    let (qemu, _other) = qemu();
    let mut script = String::new();
    for number in 0..20 {
        let path = file(&qemu, &format!("file {number}"));
        script += &format!("add-fd fdset-id={number} <'{}'\n", path.display());
        script += &"query-version\n".repeat(number % 3);
    }
    qemu.script(&["-k"], script).assert_status(0);
    let mut sets = sets(&qemu);
    sets.sort_by_key(|set| set["fdset-id"].as_u64());
    assert_eq!(sets.len(), 20);
    for (number, set) in sets.iter().enumerate() {
        let (path, _) = file_of(&qemu, &set["fds"][0]["fd"]);
        assert!(path.ends_with(format!("file {number}")), "{path:?}");
    }
}

#[test]
fn tcp_carries_no_descriptors_and_nothing_is_sent() {
    let monitor = "tcp:127.0.0.1:0,server=on,wait=off";
    let qemu = Qemu::with_args(&["-machine", "none", "-qmp", monitor]);
    let address = qemu.tcp_address();
    let passed = format!("<{}", file(&qemu, "a").display());
    let _other = hold(&qemu.control);
    qmpsh(&[&address, "query-status"], "").assert_status(0);
    let outcome = qmpsh(&[&address, "add-fd", "fdset-id=1", &passed], "");
    outcome.assert_fails(2, "Unix socket");
    assert!(sets(&qemu).is_empty());
}

#[test]
fn a_file_that_is_missing_is_named_and_nothing_is_sent() {
    let (qemu, _other) = qemu();
    let outcome = qemu.qmpsh(&["add-fd", "fdset-id=1", "</no/such/file"]);
    outcome.assert_fails(1, "cannot pass `</no/such/file`: No such file");
    let outcome = qemu.script(&[], "add-fd fdset-id=1 <\n");
    outcome.assert_fails(2, "a path is missing");
    assert!(sets(&qemu).is_empty());
}

#[test]
fn a_fifo_does_not_hang_the_shell() {
    let (qemu, _other) = qemu();
    // It has no writer, so opening it for reading alone would wait for ever.
    let outcome = shell(
        &qemu,
        "mkfifo f && exec \"$0\" -c \"$1\" -e \"add-fd fdset-id=1 <>f\" -e \"add-fd fdset-id=2 <f\"",
    );
    outcome.assert_status(0);
    // A reader is still to wait for a writer, though.
    let non_blocking = |set: &Value| flags(&qemu, &set["fds"][0]["fd"]) & 0o4000 != 0;
    let sets = sets(&qemu);
    assert_eq!(sets.len(), 2);
    assert!(!sets.iter().any(non_blocking));
}

#[test]
fn a_missing_file_is_no_error_of_usage_and_is_not_made() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["-e", "getfd fdname=x <>/nowhere/file"]);
    outcome.assert_fails(1, "cannot pass `<>/nowhere/file`");
    outcome.assert_says("`<>` opens a file, but makes none");
    let outcome = qemu.qmpsh(&["-e", "getfd fdname=x </nowhere/file"]);
    outcome.assert_fails(1, "cannot pass `</nowhere/file`");
    assert!(!outcome.stderr().contains("makes none"), "{outcome}");
}
