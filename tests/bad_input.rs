//! Whatever goes wrong is reported in a sentence, with the right exit status, and never as a panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::common::fake::{Fake, event, failure, success};
use crate::common::run::assert_harmless;
use crate::common::{Qemu, kill, qmpsh, scratch, text, wait_for};

#[test]
fn the_reason_of_a_shutdown_is_shown_harmlessly() {
    let mut first = true;
    let fake = Fake::start(move |peer| {
        if !std::mem::take(&mut first) {
            return peer.wait_for_end();
        }
        peer.greet();
        peer.command();
        peer.send(event("SHUTDOWN", &json!({"reason": "\x1b]0;x\x07"})));
    });
    let mut running = fake.running(&["-k", "--reconnect"]);
    running.send("a");
    let status = wait_for("the end to be known", || {
        running.send(":status");
        running.try_line().filter(|line| line.contains("shut down"))
    });
    assert!(
        status.contains(r"QEMU shut down (\\u{1b}]0;x\\u{7})"),
        "{status}"
    );
}

#[test]
fn an_absurdly_long_time_limit_is_a_usage_error() {
    for args in [
        &["-n", "-t", "1e19", "stop"][..],
        &["-n", "--repeat", "2", "--interval", "1e19", "stop"],
        &["-n", "--reconnect=1e19", "stop"],
        &["-n", "--connect-timeout", "4e9", "stop"],
    ] {
        let outcome = qmpsh(args, "");
        outcome
            .assert_status(2)
            .assert_says("expected a number of seconds");
    }
    qmpsh(&["-n", "-e", ":set timeout 1e19"], "").assert_fails(2, "neither a number of seconds");
}

#[test]
fn a_key_of_very_many_segments_is_an_error() {
    let line = format!("c {}a=1\n", "a.".repeat(1 << 20));
    qmpsh(&["-n"], line).assert_fails(2, "the key has more than 1024 segments");
}

#[test]
fn invalid_utf_8_is_an_error_of_its_line() {
    let qemu = Qemu::start();
    let script = b"query-name\nquery-\xff\xfename\nquery-name\n";
    let outcome = qemu.script(&[], script);
    outcome.assert_fails(2, "line 2: byte 7 of the line is not UTF-8");
    outcome.assert_stdout("{}\n");
    let outcome = qemu.script(&["-k"], script);
    outcome
        .assert_fails(2, "line 2: ")
        .assert_stdout("{}\n{}\n");
}

#[test]
fn a_null_byte_causes_no_panic() {
    let qemu = Qemu::start();
    qemu.script(&["-k"], "query\0name\na=\0\nb c=\0\n\0\n")
        .assert_status(2);
    qemu.script(&[], "getfd fdname=a <a\0b\n")
        .assert_fails(2, "cannot pass");
}

#[test]
fn a_line_of_10_mb_is_sent() {
    let fake = Fake::answering(|command| {
        let text = command["arguments"]["text"].as_str().expect("a string");
        success(command, json!(text.len()))
    });
    let long = "x y ".repeat(10 << 18);
    for line in [
        format!("echo text='{long}'\n"),
        format!("{{'execute': 'echo', 'arguments': {{'text': '{long}'}}}}\n"),
    ] {
        let outcome = fake.script(&[], line);
        outcome.assert_status(0);
        assert!(outcome.stdout().contains("10485760"), "{outcome}");
    }
}

#[test]
fn a_line_of_10_mb_of_nonsense_is_an_error_in_a_few_lines() {
    let qemu = Qemu::start();
    for nonsense in ["= ", "[", "a\u{1b}", "'\"", "{\"a\":", "\u{301}"] {
        let line = nonsense.repeat((10 << 20) / nonsense.len());
        let outcome = qemu.script(&["-n"], format!("query-status {line}\n"));
        outcome.assert_fails(2, "line 1: ");
        assert!(
            outcome.stderr().len() < 2000,
            "{} bytes",
            outcome.stderr().len()
        );
    }
}

#[test]
fn the_report_of_a_failure_is_short_even_if_the_line_is_long() {
    let fake =
        Fake::answering(|command| failure(command, &format!("{} is unknown", command["execute"])));
    let outcome = fake.script(&[], "x".repeat(1 << 20));
    outcome.assert_fails(1, "GenericError: ");
    assert!(
        outcome.stderr().len() < 5000,
        "{} bytes",
        outcome.stderr().len()
    );
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    let outcome = qmpsh(&["--nope"], "");
    outcome.assert_status(2).assert_says("--nope");
    let outcome = qmpsh(&["-t", "soon", "vm.sock"], "");
    outcome
        .assert_status(2)
        .assert_says("expected a number of seconds");
}

#[test]
fn a_key_given_twice_on_the_command_line_is_shown_with_a_caret() {
    let outcome = qmpsh(&["-n", "-c", "x", "stop", "id=1", "id=2"], "");
    outcome.assert_fails(2, "`id` is set twice\n  stop id=1 id=2\n            ^^\n");
}

#[test]
fn a_server_that_dies_during_a_command_leaves_its_outcome_unknown() {
    let fake = Fake::start(|peer| {
        peer.greet();
        peer.command();
    });
    let outcome = fake.qmpsh(&["stop"]);
    outcome
        .assert_fails(3, "the outcome of `stop` is unknown")
        .assert_stdout("");
    let outcome = fake.script(&["-k"], "stop\ncont\nstop\n");
    outcome
        .assert_fails(3, "line 1: `stop`: ")
        .assert_says("line 2: `cont`: ");
}

#[test]
fn a_qemu_that_is_killed_leaves_the_outcome_of_its_command_unknown() {
    let mut qemu = Qemu::start();
    let mut running = qemu.running(&[]);
    running.send("query-name");
    assert_eq!(running.line(), "{}");
    kill(qemu.pid(), "STOP");
    running.send("stop");
    qemu.kill();
    let (status, stderr) = running.wait();
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("line 2: `stop`: "), "{stderr}");
}

#[test]
fn an_end_in_the_middle_of_a_message_is_quoted() {
    let fake = Fake::replying_with("{\"return\": {\"half\x1b");
    let outcome = fake.qmpsh(&["stop"]);
    outcome.assert_fails(3, "in the middle of a message: `{");
    outcome.assert_says("the outcome of `stop` is unknown: ");
    outcome.assert_says("half\\x1b`");
}

#[test]
fn garbage_in_the_middle_of_a_session_is_quoted() {
    for garbage in [
        "\x1b[2Jhello\r\n",
        "{\"a\x1b\": 1}\r\n",
        "{]\r\n",
        "{\"\u{9b}\": }",
        "}",
    ] {
        let outcome = Fake::replying_with(garbage).qmpsh(&["stop"]);
        outcome.assert_fails(3, "something that is not a QMP message: `");
    }
    let outcome = Fake::replying_with(b"{\"return\": \"\xff\xfe\"}").qmpsh(&["stop"]);
    outcome.assert_fails(3, "\\xff\\xfe");
}

#[test]
fn an_error_without_an_id_belongs_to_the_command_in_flight() {
    let fake = Fake::replying_with(
        "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n",
    );
    let outcome = fake.qmpsh(&["stop"]);
    outcome.assert_fails(1, "GenericError: JSON parse error");
}

#[test]
fn an_error_without_class_is_still_a_failure() {
    let fake =
        Fake::saying(|command| json!({"error": "odd\u{1b}", "id": command["id"]}).to_string());
    fake.qmpsh(&["stop"]).assert_fails(1, "odd");
}

#[test]
fn a_message_over_64_mib_is_an_error_before_all_of_it_has_come() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let fake = Fake::start(move |peer| {
        peer.greet();
        peer.command();
        let piece = [b'x'; 1 << 16];
        peer.send("{\"return\": \"");
        while peer.send(piece) {
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    fake.qmpsh(&["stop"])
        .assert_fails(3, "a message of more than 64 MiB");
    drop(fake);
    // Beyond what qmpsh has read, there is only what the kernel buffers.
    assert!(sent.load(Ordering::Relaxed) < 72 << 20);
}

#[test]
fn a_message_of_50_mb_is_printed() {
    let fake = Fake::answering(|command| success(command, json!("x".repeat(50 << 20))));
    let outcome = fake.qmpsh(&["-o", "json", "big"]);
    assert_eq!(outcome.assert_status(0).stdout().len(), (50 << 20) + 3);
}

#[test]
fn nesting_is_bounded_in_both_directions() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let reply = move |depth| {
        Fake::saying(move |command| {
            format!(
                "{{\"return\": {}, \"id\": {}}}\r\n",
                deep(depth),
                command["id"]
            )
        })
    };
    reply(100_000)
        .qmpsh(&["a"])
        .assert_fails(3, "nested more than 1024 deep");
    for format in ["json", "pretty", "raw"] {
        reply(1000).qmpsh(&["-o", format, "a"]).assert_status(0);
    }
    let outcome = qmpsh(&["-n"], format!("a b={}\n", deep(100_000)));
    outcome.assert_fails(2, "nested more than 1024 deep");
    qmpsh(&["-n"], format!("a b={}\n", deep(1000))).assert_status(0);
}

#[test]
fn control_characters_from_the_server_never_reach_standard_error() {
    let nasty = "a\u{1b}]0;title\u{7}b\u{9b}31mc\u{7f}d\re";
    let fake = Fake::answering(move |command| {
        let event = event("E\u{1b}", &json!({"x": nasty, "\u{9b}": nasty}));
        event + &failure(command, nasty)
    });
    let outcome = fake.qmpsh(&["-v", "--events", "stderr", "stop"]);
    outcome.assert_status(1).assert_says("title");
    assert_harmless(&outcome.stderr());
}

#[test]
fn control_characters_in_values_are_escaped_unless_raw_is_asked_for() {
    let nasty = "a\u{1b}[31m\u{9b}\u{7f}\n";
    let fake = Fake::answering(move |command| success(command, json!(nasty)));
    for format in ["json", "pretty", "auto"] {
        let outcome = fake.qmpsh(&["-o", format, "a"]);
        assert_harmless(&outcome.stdout());
        assert_eq!(outcome.assert_status(0).json()[0], nasty);
    }
    fake.qmpsh(&["-o", "raw", "a"]).assert_stdout(nasty);
}

/// A script may be made from somebody else's text.
#[test]
fn control_characters_of_a_line_never_reach_standard_error() {
    let fake = Fake::answering(|command| failure(command, "no"));
    for line in [
        "a\u{1b}[31m",
        "a b\u{1b}=1 b\u{1b}=2",
        "a \u{1b}",
        ":\u{1b}",
        ":help \u{1b}",
        ":set \u{1b} \u{1b}",
        ":connect \u{1b}:x",
        "a b={\u{1b}}",
        "a b={'\u{1b}': 1, '\u{1b}': 2}",
        "a b={'c': \u{9b}}",
        "a b='\u{1b}'x",
        "a b.=\u{1b}",
        "a <\u{1b}",
        "a <&\u{1b}",
        "a b=[\u{1b}",
    ] {
        let outcome = fake.script(&["-k"], line);
        assert_ne!(outcome.status(), Some(0), "{outcome}");
        let status = outcome.status().expect("no signal");
        outcome.assert_fails(status, "line 1: ");
    }
    let fake = Fake::start(|peer| {
        peer.greet();
        peer.wait_for_end();
    });
    let outcome = fake.script(&["-t", "0.2"], "a\u{1b}[31m");
    outcome.assert_fails(4, "no reply");
}

#[test]
fn an_unsolicited_reply_is_shown_and_does_no_harm() {
    let fake = Fake::saying(|command| {
        "{\"return\": \"\u{9b}\", \"id\": \"nobody\"}\r\n".to_owned() + &success(command, json!(1))
    });
    let outcome = fake.script(&[], "a\nb\n");
    outcome
        .assert_fails(0, "late reply")
        .assert_stdout("1\n1\n");
}

#[test]
fn a_script_file_and_lines_to_execute_exclude_each_other() {
    let outcome = qmpsh(&["-c", "x", "-f", "y", "-e", "z"], "");
    outcome.assert_status(2).assert_says("cannot be used with");
    let outcome = qmpsh(&["-c", "x", "-e", "z", "stop"], "");
    outcome.assert_fails(2, "`stop` is already a command");
}

#[test]
fn a_directory_given_as_a_script_is_an_error() {
    let directory = scratch();
    let outcome = qmpsh(&["-n", "-f", text(directory.path())], "");
    outcome.assert_fails(1, "directory");
}
