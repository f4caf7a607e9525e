//! TAB inside filters: keys that the schema or an earlier value tells, and variables.

use crate::common::Qemu;
use crate::common::terminal::{TAB, Terminal};
use crate::tab::prompt;

/// Types `begun`, presses TAB, and waits until the line is `line`; then empties it.
#[track_caller]
fn completes(terminal: &mut Terminal, begun: &str, line: &str) {
    terminal.type_line(begun);
    terminal.keys(TAB);
    terminal.wait_for_line(&format!("(QEMU) {line}"));
    terminal.cancel();
}

#[test]
fn keys_that_only_a_value_tells_are_those_that_the_command_returned_last() {
    let qemu = Qemu::with_args(&["-machine", "q35", "-S"]);
    let mut terminal = prompt(&qemu);
    let line = "qom-get path=/machine property=rtc-time | .tm_m";
    // Nothing is known of `any` before.
    terminal.type_line(line);
    terminal.keys(TAB);
    terminal.keys("o");
    terminal.wait_for_line(&format!("(QEMU) {line}o"));
    terminal.cancel();
    terminal.enter("qom-get path=/machine property=rtc-time");
    completes(
        &mut terminal,
        &line.replace("tm_m", "tm_md"),
        &line.replace("tm_m", "tm_mday"),
    );
    // The schema needs no value.
    completes(
        &mut terminal,
        "query-version | .qemu.maj",
        "query-version | .qemu.major",
    );
}

#[test]
fn filters_on_the_last_value_complete_its_keys() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    terminal.enter("query-version");
    completes(&mut terminal, ":last | .qe", ":last | .qemu");
    completes(&mut terminal, ":assert .qemu.mi", ":assert .qemu.mi");
    completes(&mut terminal, ":assert .qemu.min", ":assert .qemu.minor");
    completes(
        &mut terminal,
        ":assert [.qemu | .maj",
        ":assert [.qemu | .major",
    );
    completes(
        &mut terminal,
        ":until --every 1 query-status | .runn",
        ":until --every 1 query-status | .running",
    );
    completes(
        &mut terminal,
        ":watch query-status | .runn",
        ":watch query-status | .running",
    );
    // What a built-in lists has keys as well.
    terminal.enter(":status");
    completes(&mut terminal, ":status | .addr", ":status | .address");
}

#[test]
fn filters_of_waits_complete_the_keys_of_the_event() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    for (begun, line) in [
        (":wait SHUTDOWN | .da", ":wait SHUTDOWN | .data"),
        (":wait SHUTDOWN | .data.gu", ":wait SHUTDOWN | .data.guest"),
        (
            ":wait STOP,JOB_STATUS_CHANGE --timeout 5 | .data.st",
            ":wait STOP,JOB_STATUS_CHANGE --timeout 5 | .data.status",
        ),
        (
            ":wait STOP | .timestamp.sec",
            ":wait STOP | .timestamp.seconds",
        ),
    ] {
        completes(&mut terminal, begun, line);
    }
}

#[test]
fn variables_complete_with_their_keys() {
    let qemu = Qemu::start();
    let mut terminal = prompt(&qemu);
    terminal.enter(":let before = query-version");
    for (begun, line) in [
        ("query-status | $bef", "query-status | $before"),
        (
            "query-status | .status == $before.pack",
            "query-status | .status == $before.package",
        ),
        (
            "query-version | .qemu as $parts | $par",
            "query-version | .qemu as $parts | $parts",
        ),
        (
            "query-version | .qemu as $parts | $parts.maj",
            "query-version | .qemu as $parts | $parts.major",
        ),
        (
            "query-version | .qemu as $parts | .pack",
            "query-version | .qemu as $parts | .package",
        ),
    ] {
        completes(&mut terminal, begun, line);
    }
}
