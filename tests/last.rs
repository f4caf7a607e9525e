//! `:last`, `:assert`, `:until`, `:time`, and filters as conditions of `:wait`.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::common::fake::{Fake, event, failure, success};
use crate::common::{Qemu, qmpsh};

/// Counts its commands; `fail` fails, `go` causes three events.
fn counting() -> Fake {
    Fake::start(|peer| {
        peer.greet();
        let count = AtomicU64::new(0);
        while let Some(command) = peer.command() {
            let n = count.fetch_add(1, Ordering::Relaxed);
            peer.send(match command["execute"].as_str() {
                Some("fail") => failure(&command, "no"),
                _ => success(
                    &command,
                    json!({"n": n, "all": [{"name": "a"}, {"name": "b"}]}),
                ),
            });
            if command["execute"] == "go" {
                for k in 0..3 {
                    peer.send(event("DONE", &json!({"k": k})));
                }
            }
        }
    })
}

#[test]
fn the_last_value_is_shown_and_filtered_without_asking_again() {
    let counting = counting();
    let script = "q | .n\n:last | .all[].name\n:last | .n\nq | .n\n:let x = :last | .n\n:set output\n:last | .n\n";
    let outcome = counting.script(&[], script);
    outcome
        .assert_status(0)
        .assert_stdout("0\n\"a\"\n\"b\"\n0\n1\n{\"output\":\"auto\"}\n1\n");
    let outcome = counting.script(
        &["-k"],
        "q | .n\nfail\n:last | .n\n:wait DONE --timeout 0\n:last | .n\n",
    );
    outcome.assert_stdout("0\n0\n0\n");
    let outcome = counting.script(&[], "go | empty\n:wait DONE\n:last | .data.k\n");
    assert_eq!(
        outcome.assert_status(0).lines().last().map(String::as_str),
        Some("0")
    );
    let outcome = counting.script(&[], ":last\n");
    outcome.assert_fails(1, "there is no value yet");
}

#[test]
fn an_assertion_is_the_exit_status_and_says_what_there_was() {
    let counting = counting();
    for filter in [
        ".n == 0",
        "'.n == 0'",
        ".n < 5 and (.all | length > 1)",
        ".all | .[0].name == \"a\"",
        ".all[] | select(.name == \"a\")",
        ".n as $x | $x >= $y",
    ] {
        let script = format!(":let y = 0\nq | empty\n:assert {filter}\n");
        let script = script
            .replace("0\nq", "q | 0\nq")
            .replace("n == 0", "n == 1");
        let outcome = counting.script(&[], script);
        outcome.assert_status(0).assert_stdout("");
    }
    let outcome = counting.script(&[], "q | .n\n:assert .n > 0\nq | .n\n");
    outcome.assert_stdout("0\n").assert_fails(
        1,
        "`.n > 0` is not true; the last value is {\"all\":[{\"name\":\"a\"}",
    );
    let outcome = counting.qmpsh(&["-e", "q | empty", "-e", ":assert empty"]);
    outcome.assert_fails(1, "`empty` is not true");
    let outcome = counting.script(&[], "q | empty\n:assert .n.x\n");
    outcome.assert_fails(1, "cannot index 0 with \"x\"");
    counting
        .script(&[], "q\n:assert\n")
        .assert_fails(2, "usage: :assert FILTER");
    let outcome = counting.script(&[], ":assert .n\n");
    outcome.assert_fails(1, "there is no value yet");
}

#[test]
fn a_command_is_sent_until_the_filter_is_true_and_that_is_printed() {
    let counting = counting();
    let outcome = counting.script(&[], ":until --every 0 q | .n | select(. > 3)\n:last | .n\n");
    outcome.assert_status(0).assert_stdout("4\n4\n");
    let outcome = counting.script(&[], ":until --every 0.01 --timeout 0.3 q x=1 | .n < 0\n");
    outcome.assert_fails(
        4,
        "`q x=1 | .n < 0` has not become true, its last output is false, within",
    );
    let outcome = counting.script(&["-t", "0.3"], ":until q | .n < 0\n");
    outcome.assert_fails(4, "has not become true");
    counting
        .script(&[], ":until fail | .n\n")
        .assert_fails(1, "GenericError: no");
    counting
        .script(&[], ":until q | .n.x\n")
        .assert_fails(1, "cannot index");
    for line in [":until q", ":until", ":until :status | .x"] {
        counting.script(&[], format!("{line}\n")).assert_status(2);
    }
}

#[test]
fn an_event_ends_a_wait_if_the_filter_is_true_on_it() {
    let counting = counting();
    let script = "go | empty\n:wait DONE --timeout 20 | (.data.k > 0)\n:wait DONE | true\n";
    let outcome = counting.script(&["-o", "raw"], script);
    let events: Vec<_> = outcome.assert_status(0).json();
    assert_eq!(events.len(), 2, "{outcome}");
    // Those on which it is false are left for other waits.
    assert_eq!(events[0]["data"]["k"], 1);
    assert_eq!(events[1]["data"]["k"], 0);
    let outcome = counting.script(&[], "go | empty\n:wait DONE --timeout 0.2 | .data.k == 5\n");
    outcome.assert_fails(4, "no event `DONE`");
    let outcome = counting.script(&[], "go | empty\n:wait DONE | .data.k.x\n");
    outcome.assert_fails(1, "cannot index 0 with \"x\"");
}

#[test]
fn filters_of_these_lines_are_checked_before_the_first_line_is_run() {
    for line in [
        ":last | nme",
        ":assert nme",
        ":until q | nme",
        ":wait STOP | nme",
        "q | nme",
        ":every 1s q | nme",
    ] {
        let outcome = qmpsh(&["-c", "/nowhere", "-e", "stop", "-e", line], "");
        outcome.assert_fails(2, "jq has no function `nme/0`");
        outcome.assert_says("^^^");
    }
    let outcome = qmpsh(
        &[
            "-c",
            "/nowhere",
            "-e",
            ":let n = q | .n",
            "-e",
            ":assert $m",
        ],
        "",
    );
    outcome.assert_fails(2, "there is no variable `$m`");
}

#[test]
fn a_line_s_time_is_told_beside_what_it_shows() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], ":time query-status | .running\n");
    outcome.assert_status(0).assert_stdout("true\n");
    outcome.assert_says("`query-status | .running` took ");
    let outcome = qemu.script(&["-n"], ":time query-status\n");
    outcome
        .assert_status(0)
        .assert_stdout("{\"execute\":\"query-status\"}\n");
}
