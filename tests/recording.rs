//! `--replay` and `--mock`: a log of one VM, sent to another or served as if it were one.

use std::fs;
use std::path::Path;

use crate::common::running::Running;
use crate::common::sockets::listens;
use crate::common::{Qemu, qmpsh, scratch, text, wait_for};

/// Writes the log of these lines, as run on `qemu`.
fn record(qemu: &Qemu, log: &Path, lines: &[&str]) {
    let lines = lines.iter().flat_map(|line| ["-e", line]);
    let args: Vec<&str> = ["-k", "--log", text(log)]
        .into_iter()
        .chain(lines)
        .collect();
    qemu.qmpsh(&args);
}

const SESSION: [&str; 5] = [
    "query-name",
    "stop",
    "query-status",
    "object-add qom-type=iothread id=i",
    "no-such-command",
];

#[test]
fn a_recording_replayed_on_the_same_kind_of_vm_does_not_differ() {
    let home = scratch();
    let log = home.path().join("log");
    record(&Qemu::start(), &log, &SESSION);
    let outcome = Qemu::start().qmpsh(&["--replay", text(&log)]);
    outcome
        .assert_status(0)
        .assert_says("5 replies as recorded, 0 different, 0 commands left out");
    assert_eq!(outcome.stdout(), "");
}

#[test]
fn what_differs_in_a_replay_is_told() {
    let home = scratch();
    let log = home.path().join("log");
    record(&Qemu::named("one"), &log, &SESSION);
    let other = Qemu::with_args(&[
        "-machine",
        "none",
        "-name",
        "other",
        "-object",
        "iothread,id=i",
    ]);
    let outcome = other.qmpsh(&["--replay", text(&log)]);
    outcome
        .assert_status(1)
        .assert_says("3 replies as recorded, 2 different");
    let told = outcome.json();
    assert_eq!(told[0]["command"], "query-name");
    assert_eq!(told[0]["differs"][".name"][0], "one");
    assert_eq!(told[0]["differs"][".name"][1], "other");
    assert!(
        told[1]["differs"][".error"][1]["desc"].is_string(),
        "{outcome}"
    );
}

#[test]
fn what_is_to_be_ignored_is_not_compared() {
    let home = scratch();
    let log = home.path().join("log");
    record(&Qemu::named("one"), &log, &SESSION);
    let replay = |ignore: &[&str]| {
        let ignore = ignore.iter().flat_map(|path| ["--ignore", path]);
        let args: Vec<_> = ["--replay", text(&log)].into_iter().chain(ignore).collect();
        Qemu::named("other").qmpsh(&args)
    };
    replay(&[]).assert_status(1).assert_says(" 1 different");
    // One path fits no reply, and a comment is part of a filter.
    replay(&[".[5].size", ".name # as always"])
        .assert_status(0)
        .assert_says(" 0 different");
    replay(&[".name |"]).assert_fails(2, ".name |");
}

#[test]
fn a_recording_of_a_qemu_is_replayed_on_another_that_is_launched() {
    let home = scratch();
    let log = home.path().join("log");
    record(
        &Qemu::start(),
        &log,
        &["query-status", "stop", "cont", "query-kvm"],
    );
    let qemu = crate::common::qemu();
    let args = [
        "--replay",
        text(&log),
        "--launch",
        "--",
        &qemu,
        "-display",
        "none",
        "-machine",
        "none",
    ];
    qmpsh(&args, "")
        .assert_status(0)
        .assert_says("4 replies as recorded");
}

#[test]
fn a_command_with_a_masked_value_is_left_out_unless_it_is_supplied() {
    let home = scratch();
    let log = home.path().join("log");
    let line = "object-add qom-type=secret id=s data=geheim";
    record(&Qemu::start(), &log, &[line, "query-name"]);
    assert!(!fs::read_to_string(&log).expect("a log").contains("geheim"));
    let outcome = Qemu::start().qmpsh(&["--replay", text(&log)]);
    outcome.assert_status(0).assert_says("`data` was masked");
    outcome.assert_says("1 replies as recorded, 0 different, 1 commands left out");
    let supplied = ["--replay", text(&log), "--var", "data=geheim"];
    let outcome = Qemu::start().qmpsh(&supplied);
    outcome
        .assert_status(0)
        .assert_says("2 replies as recorded");
}

#[test]
fn a_recording_is_served_as_if_it_were_the_vm() {
    let home = scratch();
    let (log, socket) = (home.path().join("log"), home.path().join("mock.sock"));
    record(
        &Qemu::named("recorded"),
        &log,
        &[
            "query-status",
            "stop",
            "query-status",
            "query-name",
            "qom-get path=/machine property=type",
        ],
    );
    let mut mock = Running::qmpsh(
        home.path(),
        &["--mock", text(&log), "--serve", text(&socket)],
    );
    mock.close();
    wait_for("the mock", || listens(&socket).then_some(()));
    let lines = [
        "-e",
        "query-status",
        "-e",
        "stop",
        "-e",
        ":wait STOP",
        "-e",
        "query-status",
        "-e",
        "query-name",
    ];
    let outcome = qmpsh(&[&["-c", text(&socket)], &lines[..]].concat(), "");
    let values = outcome.assert_status(0).json();
    assert_eq!(values[0]["status"], "running");
    assert_eq!(values[2]["event"], "STOP");
    assert_eq!(values[3]["status"], "paused");
    assert_eq!(values[4]["name"], "recorded");
    let outcome = qmpsh(&["-c", text(&socket), "system_reset"], "");
    outcome.assert_status(1).assert_says("CommandNotFound");
    let other = qmpsh(
        &["-c", text(&socket), "qom-get", "path=/", "property=type"],
        "",
    );
    other.assert_status(1).assert_says("with these arguments");
    let mut shell = crate::serve::python("qmp-shell");
    shell.arg(&socket);
    let outcome = crate::common::run(shell, b"query-name\n");
    assert!(outcome.stdout().contains("recorded"), "{outcome}");
}

#[test]
fn a_file_that_is_no_log_is_told_with_its_line() {
    let home = scratch();
    let log = home.path().join("log");
    fs::write(&log, "\n{\"x\": 1}\n").expect("a file of ours");
    let outcome = qmpsh(&["--replay", text(&log), "-c", "none.sock"], "");
    outcome.assert_fails(1, "line 2");
}
