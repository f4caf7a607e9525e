//! What a server, a guest, a file or another process wrote never reaches the terminal as it came.

use std::time::Duration;

use serde_json::{Value, json};

use crate::common::fake::{Fake, event, failure_of, success};
use crate::common::terminal::{CTRL_C, TAB, Terminal};
use crate::common::{Outcome, qmpsh, wait_for};

/// A text that would set the clipboard, colour what follows, turn it around, hide it, and begin lines of its own.
const HOSTILE: &str = "evil\u{1b}]52;c;aGk=\u{7}\u{9b}31m\u{7f}\u{202e}\u{2066}\u{200b}\u{2028}\u{ad}\u{e0001}\r\n(QEMU) forged";

/// Asserts that nothing of [`HOSTILE`] that does harm is in the output of a program.
#[track_caller]
fn assert_harmless(output: &str) {
    let signs = [
        "\u{1b}]52",
        "\u{9b}",
        "\u{7f}",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{2028}",
        "\u{ad}",
        "\u{e0001}",
        "\n(QEMU) forged",
        "\r(QEMU) forged",
    ];
    for sign in signs {
        assert!(!output.contains(sign), "{sign:?} in {output:?}");
    }
}

/// A schema in which every name is hostile.
fn schema() -> Value {
    json!([
        {"meta-type": "command", "name": "query-qmp-schema", "arg-type": "none", "ret-type": "none"},
        {"meta-type": "command", "name": "harm", "arg-type": "harm-arg", "ret-type": "none"},
        {"meta-type": "command", "name": format!("x{HOSTILE}"), "arg-type": "harm-arg", "ret-type": "none"},
        {"meta-type": "event", "name": format!("EVENT{HOSTILE}"), "arg-type": "harm-arg"},
        {"meta-type": "object", "name": "none", "members": []},
        {"meta-type": "object", "name": "harm-arg", "members": [
            {"name": format!("key{HOSTILE}"), "type": "str"},
            {"name": format!("option{HOSTILE}"), "type": "str", "default": null},
            {"name": "choice", "type": "choice", "default": null}]},
        {"meta-type": "enum", "name": "choice", "values": [format!("one{HOSTILE}"), format!("two{HOSTILE}"), "three"]},
        {"meta-type": "builtin", "name": "str", "json-type": "string"},
    ])
}

/// A server that says nothing harmless.
fn fake() -> Fake {
    Fake::answering(|command| match command["execute"].as_str() {
        Some("query-qmp-schema") => success(command, schema()),
        Some("query-name") => success(command, json!({"name": HOSTILE})),
        Some("query-status") => success(command, json!({"status": "running"})),
        Some("query-version") => success(command, json!({HOSTILE: [HOSTILE]})),
        Some("qom-list") => success(
            command,
            json!([{"name": HOSTILE, "type": "child<x>"}, {"name": format!("a{HOSTILE}"), "type": "child<y>"}]),
        ),
        Some("text") => success(command, json!(HOSTILE)),
        Some("query-jobs") => success(
            command,
            json!([{"id": HOSTILE, "type": HOSTILE, "status": HOSTILE, "current-progress": 1, "total-progress": 2,
                    "error": HOSTILE}]),
        ),
        Some("query-block-jobs") => success(command, json!([])),
        Some("stop") => {
            event(
                HOSTILE,
                &json!({HOSTILE: HOSTILE, "deep": {HOSTILE: [HOSTILE]}}),
            )
                // A string alone is shown as text, whose lines are its own.
                + &success(command, json!([HOSTILE]))
        }
        _ => failure_of(HOSTILE, command, HOSTILE),
    })
}

#[track_caller]
fn answered(terminal: &mut Terminal, line: &str) {
    terminal.enter(line);
    assert_harmless(&terminal.output());
}

#[test]
fn hostile_names_and_values_reach_no_terminal() {
    let fake = fake();
    let mut terminal = fake.prompt();
    // The schema is known as soon as there is a hint.
    terminal.keys("harm ");
    terminal.wait("a hint", |_| {
        terminal.screen_with_hints().contains("harm …")
    });
    assert_harmless(&terminal.output());
    terminal.keys(CTRL_C);
    terminal.wait_for_prompt();
    for line in [
        "query-version",
        "stop",
        "query-nope",
        ":jobs",
        ":events",
        ":status",
        "help",
        "help harm",
        "help forged",
        "harm choic=1",
        ":wait NOTHING --timeout 0",
    ] {
        answered(&mut terminal, line);
    }
    for line in [
        "x",
        "harm ",
        "harm choice=",
        ":wait EV",
        "help x",
        "qom-list path=/",
    ] {
        terminal.keys(line);
        terminal.wait(line, |screen| screen.ends_with(line.trim_end()));
        for _ in 0..3 {
            terminal.keys(TAB);
        }
        // What is inserted is drawn, too.
        terminal.keys("#done");
        terminal.wait("the end", |_| {
            let screen = terminal.screen_with_hints();
            screen
                .lines()
                .last()
                .is_some_and(|line| line.contains("#done"))
        });
        assert_harmless(&terminal.output());
        terminal.keys(CTRL_C);
        terminal.wait_for_prompt();
    }
}

/// Runs qmpsh with its standard error on a terminal.
#[track_caller]
fn assert_fails_harmlessly(outcome: &Outcome) {
    assert_ne!(outcome.status(), Some(0), "{outcome}");
    assert_harmless(&outcome.stderr());
    assert_harmless(&outcome.stdout());
}

#[test]
fn hostile_arguments_are_not_echoed_raw() {
    for args in [
        &["--nope", HOSTILE][..],
        &[&format!("--{HOSTILE}")],
        &["-o", HOSTILE, "x"],
        &["-t", HOSTILE, "x"],
        &["-f", HOSTILE, "x"],
        &["-l", &format!("/nowhere/{HOSTILE}"), "/nowhere/socket", "x"],
        &["--schema", HOSTILE, "-n", "x"],
        &["/nowhere/socket", HOSTILE],
        &["-n", HOSTILE, "="],
        &[&format!("/nowhere/{HOSTILE}"), "stop"],
        &["--launch", "stop", "--", HOSTILE],
    ] {
        assert_fails_harmlessly(&qmpsh(args, ""));
    }
}

#[test]
fn of_a_text_nothing_but_its_line_breaks_reaches_the_terminal() {
    let fake = fake();
    let mut terminal = fake.prompt();
    terminal.enter("text");
    assert_harmless(&terminal.output().replace("\n(QEMU) forged", ""));
    terminal.leave();
}

#[test]
fn what_a_server_says_reaches_no_script_raw() {
    let fake = fake();
    for args in [
        &["query-version"][..],
        &["stop"],
        &["-v", "stop"],
        &["nope"],
        &["--events", "stdout", "stop"],
        &["--events", "stderr", "stop"],
        &[":jobs"],
        &[":status"],
        &["help", "harm"],
        &["-p", "query-version"],
        &["--envelope", "nope"],
    ] {
        let outcome = fake.qmpsh(args);
        assert_harmless(&outcome.stderr());
        // Line breaks of JSON are escaped by JSON itself.
        assert_harmless(&outcome.stdout());
    }
}

#[test]
fn lines_inside_lines_complete_however_deep() {
    let fake = fake();
    let mut terminal = fake.prompt();
    for inner in [":oob ", "help ", ":every 1s ", ":on X do "] {
        let line = inner.repeat(1250);
        terminal.paste(&line);
        terminal.keys(TAB);
        // The first may leave the question whether to list many candidates.
        wait_for("an empty line", || {
            terminal.keys(CTRL_C);
            std::thread::sleep(Duration::from_millis(200));
            terminal.screen().ends_with("(QEMU)").then_some(())
        });
        terminal.clear();
    }
    terminal.leave();
    // Lists that TAB showed would scroll the line away.
    let mut terminal = fake.prompt();
    for inner in [":oob ", "help "] {
        terminal.paste(&inner.repeat(1250));
        terminal.keys("\r");
        terminal.keys("query-status #next\r");
        // A prompt that is there may be the one before; but only a prompt clears the screen.
        terminal.wait_for_text("query-status #next");
        terminal.clear();
    }
    terminal.leave();
}

#[test]
fn a_paste_that_the_terminal_does_not_mark_is_drawn_in_few_bytes() {
    let fake = fake();
    let mut terminal = fake.prompt();
    let before = terminal.output().len();
    let text = "harm key=value-of-some-length ".repeat(270);
    terminal.keys(&text);
    terminal.keys("#end");
    terminal.wait_for_text("#end");
    // Drawn for each character anew it would be 30 MB and more.
    let drawn = terminal.output().len() - before;
    assert!(drawn < 2 << 20, "{drawn} bytes");
    terminal.keys("\x15");
    terminal.wait_for_prompt();
    terminal.leave();
}

#[test]
fn a_schema_of_very_deep_objects_is_no_trap() {
    let depth = 50_000;
    let mut entities = vec![
        json!({"meta-type": "command", "name": "c", "arg-type": "0", "ret-type": "0"}),
        json!({"meta-type": "builtin", "name": "str", "json-type": "string"}),
    ];
    entities.extend((0..depth).map(|at| {
        let below = if at + 1 == depth { "str".to_owned() } else { (at + 1).to_string() };
        json!({"meta-type": "object", "name": at.to_string(), "members": [{"name": "m", "type": below}]})
    }));
    asked_by_everything(Value::from(entities));
}

#[test]
fn a_member_without_a_name_whose_type_is_its_own_object_is_no_trap() {
    asked_by_everything(json!([
        {"meta-type": "command", "name": "c", "arg-type": "0", "ret-type": "0"},
        {"meta-type": "object", "name": "0", "members": [{"name": "", "type": "0"}]},
    ]));
}

/// Whatever reads a schema reads this one, and comes to an end.
fn asked_by_everything(schema: Value) {
    let fake = Fake::answering(move |command| match command["execute"].as_str() {
        Some("query-qmp-schema") => success(command, schema.clone()),
        _ => success(command, json!({})),
    });
    for args in [
        &["help", "z"][..],
        &["help", "c"],
        &["help"],
        &["c", "m.m.m=1"],
        &["c", "n=1"],
    ] {
        let outcome = fake.qmpsh(args);
        assert!(matches!(outcome.status(), Some(0..=2)), "{outcome}");
    }
}
