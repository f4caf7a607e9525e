//! Scripts: from standard input, from a file, from `--execute`.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::fake::{Fake, event, failure, success};
use crate::common::run::run_to;
use crate::common::running::Running;
use crate::common::{Outcome, Qemu, command, in_shell, kill, qmpsh, run, scratch, text};

/// A temporary directory with a file in it.
fn file(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = scratch();
    let path = directory.path().join(name);
    fs::write(&path, content).expect("a file of ours");
    (directory, path)
}

fn names(outcome: &Outcome) -> Vec<String> {
    outcome
        .json()
        .iter()
        .map(|value| value.as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn each_line_prints_its_reply_on_a_line() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "stop\nquery-status\ncont\n");
    let replies = outcome.assert_status(0).json();
    assert_eq!(replies.len(), 3, "{outcome}");
    assert_eq!(replies[1]["running"], false, "{outcome}");
}

#[test]
fn comments_blank_lines_carriage_returns_and_a_missing_last_line_break_do_not_matter() {
    let script = "# first\r\n\r\n   \t\nstop # now\r\n  query-status a=b#c\n#last\ncont";
    let outcome = Fake::echo().script(&[], script);
    outcome.assert_status(0);
    assert_eq!(names(&outcome), ["stop", "query-status", "cont"]);
}

#[test]
fn a_command_goes_on_while_a_quote_or_bracket_is_open() {
    let script = "one a={'b': [1,\n 2],\n\n 'c': '#'}\ntwo a='x\ny' b=\"\n\"\r\nthree\n";
    let outcome = qmpsh(&["-n"], script);
    let sent = outcome.assert_status(0).json();
    assert_eq!(sent[0]["arguments"]["a"], json!({"b": [1, 2], "c": "#"}));
    assert_eq!(sent[1]["arguments"], json!({"a": "x\ny", "b": "\n"}));
    assert_eq!(sent[2]["execute"], "three");
}

#[test]
fn a_bracket_that_is_never_closed_names_the_line_that_opened_it() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "query-name\nstop a={'b': [\n\n1, 2\n");
    outcome.assert_fails(2, "line 2: `[` is never closed\n  stop a={'b': [");
    outcome.assert_stdout("{}\n");
    assert_eq!(qemu.qmpsh(&["query-status"]).json()[0]["running"], true);
}

#[test]
fn a_command_of_several_lines_fails_as_a_whole_if_one_is_unreadable() {
    let script = b"c arg={'a': 1,\n'b': '\xff',\n'c': 2}\nd\n";
    let outcome = Fake::echo().script(&["-k"], script);
    outcome.assert_fails(2, "line 2: byte 7 of the line is not UTF-8");
    assert_eq!(names(&outcome), ["d"], "{outcome}");
}

#[test]
fn a_large_reply_and_its_line_break_are_written_before_anything_else() {
    let fake = Fake::answering(|command| success(command, json!("x".repeat(20_000))));
    let home = scratch();
    let path = home.path().join("output");
    let file = std::fs::File::create(&path).expect("a file of ours");
    let mut command = command(home.path());
    command.arg("-v").arg("--connect").arg(&fake.socket);
    command.stdout(file.try_clone().expect("a descriptor"));
    command.stderr(file);
    run_to(command, b"a\nb\n").assert_status(0);
    let output = std::fs::read_to_string(path).expect("UTF-8");
    for line in output.lines() {
        let complete =
            line.starts_with("-> ") || line.starts_with("<- ") || line.starts_with("\"x");
        assert!(complete && (line.ends_with(['}', '"'])), "{line:.60}");
    }
}

#[test]
fn events_from_before_the_connection_ended_are_printed() {
    let fake = Fake::start(|peer| {
        peer.greet();
        peer.command();
        peer.send(event("SHUTDOWN", &json!({"reason": "guest-shutdown"})));
    });
    let outcome = fake.qmpsh(&["--events", "stdout", "a"]);
    outcome.assert_status(3);
    assert_eq!(outcome.json()[0]["event"], "SHUTDOWN", "{outcome}");
}

#[test]
fn events_come_while_a_built_in_waits_for_the_commands_before_it() {
    let (go, wait) = std::sync::mpsc::channel();
    let fake = Fake::start(move |peer| {
        peer.greet();
        let command = peer.command().expect("a command");
        peer.send(event("EARLY", &json!({})));
        let _ = wait.recv();
        peer.send(success(&command, json!("late")));
        peer.wait_for_end();
    });
    let mut running = fake.running(&["-k", "--events", "stdout"]);
    running.send("slow");
    running.send(":set");
    assert!(running.line().contains("EARLY"));
    go.send(()).expect("the server waits");
    assert_eq!(running.line(), "\"late\"");
    running.close();
    assert!(running.wait().0.success());
}

#[test]
fn messages_with_the_same_id_go_one_after_the_other() {
    let message = "{'execute': 'a', 'id': 'x'}\n";
    let outcome = Fake::echo().script(&["-k"], message.repeat(3));
    assert_eq!(outcome.assert_status(0).json().len(), 3, "{outcome}");
}

#[test]
fn an_id_given_by_the_user_never_clashes_with_ours() {
    let fake = Fake::start(|peer| {
        peer.greet();
        for command in peer.commands(3).into_iter().rev() {
            let name = command["execute"].clone();
            peer.send(success(&command, name));
        }
        peer.wait_for_end();
    });
    let script = "a\n{'execute': 'b', 'id': 1}\n{'execute': 'c', 'id': 2}\n";
    let outcome = fake.script(&["-k"], script);
    let lines = outcome.assert_status(0).json();
    let expected = [
        json!("a"),
        json!({"return": "b", "id": 1}),
        json!({"return": "c", "id": 2}),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_line_that_fails_stops_the_script_and_is_named() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "stop\nnope a=1\ncont\n");
    outcome.assert_stdout("{}\n");
    outcome.assert_fails(1, "qmpsh: line 2: `nope a=1`: CommandNotFound: ");
    assert_eq!(qemu.qmpsh(&["query-status"]).json()[0]["running"], false);
}

#[test]
fn a_script_that_keeps_going_runs_every_line_and_ends_with_the_failure() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&["-k"], "stop\nnope\nquery-status\n");
    outcome.assert_fails(1, "line 2: `nope`: CommandNotFound");
    assert_eq!(outcome.json()[1]["running"], false, "{outcome}");
}

#[test]
fn a_line_that_does_not_parse_is_shown_with_a_caret() {
    let qemu = Qemu::start();
    let script = "query-name\nstop a=1 b=2 a=3\ncont\n";
    let report = "line 2: `a` is set twice\n  stop a=1 b=2 a=3\n               ^\n";
    let outcome = qemu.script(&[], script);
    outcome.assert_fails(2, report).assert_stdout("{}\n");
    let outcome = qemu.script(&["-k"], script);
    outcome.assert_fails(2, report).assert_stdout("{}\n{}\n");
}

#[test]
fn the_worst_of_several_failures_is_the_exit_status() {
    let qemu = Qemu::start();
    qemu.script(&["-k"], "nope\na=b\nnope\n").assert_status(2);
}

#[test]
fn pipelined_commands_print_in_the_order_of_their_lines() {
    let qemu = Qemu::start();
    let script = "query-status\nquery-version\nnope\nquery-name\n".repeat(500);
    let outcome = qemu.script(&["-k"], script);
    outcome.assert_status(1);
    let replies = outcome.json();
    assert_eq!(replies.len(), 1500);
    for three in replies.chunks(3) {
        assert!(three[0].get("running").is_some(), "{three:?}");
        assert!(three[1].get("qemu").is_some(), "{three:?}");
        assert_eq!(three[2], json!({}));
    }
    let failures = outcome.stderr();
    let lines = failures.lines().map(|line| line.split(':').nth(1));
    let expected = (0..500).map(|at| format!(" line {}", at * 4 + 3));
    assert!(
        lines.eq(expected
            .collect::<Vec<_>>()
            .iter()
            .map(|line| Some(&**line)))
    );
}

#[test]
fn replies_out_of_order_are_printed_in_the_order_of_the_lines() {
    let fake = Fake::start(|peer| {
        peer.greet();
        for command in peer.commands(8).iter().rev() {
            peer.send(success(command, command["execute"].clone()));
        }
    });
    let outcome = fake.script(&["-k"], "a\nb\nc\nd\ne\nf\ng\nh\n");
    outcome.assert_status(0);
    assert_eq!(names(&outcome).concat(), "abcdefgh");
}

#[test]
fn at_most_eight_commands_are_in_flight() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let first = peer.commands(8);
        // Only now is there room for the ninth; before, it must not have been sent.
        peer.send(success(&first[3], Value::Null));
        peer.send(event("NOTHING_MORE_CAME", &json!({})));
        for command in first.iter().filter(|command| command["execute"] != "3") {
            peer.send(success(command, command["execute"].clone()));
        }
        while let Some(command) = peer.command() {
            peer.send(success(&command, command["execute"].clone()));
        }
    });
    let script: String = (0..100).map(|number| format!("{number}\n")).collect();
    let outcome = fake.script(&["-k"], script);
    assert_eq!(outcome.assert_status(0).json().len(), 100);
}

#[test]
fn without_keep_going_a_command_waits_for_the_reply_to_the_one_before() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let first = peer.command().expect("a command");
        peer.send(failure(&first, "no"));
        assert_eq!(peer.line(), None);
    });
    fake.script(&[], "a\nb\n")
        .assert_fails(1, "`a`: GenericError: no");
}

#[test]
fn a_script_comes_from_a_file_and_errors_name_it() {
    let qemu = Qemu::start();
    let (_directory, path) = file("my script", "query-name\n\nnope\n");
    let path = text(&path);
    let outcome = qemu.script(&["-f", path], "stop\n");
    outcome.assert_stdout("{}\n");
    outcome.assert_fails(1, &format!("{path}:3: `nope`: CommandNotFound"));
    let outcome = qemu.qmpsh(&["-f", "/no/such/script"]);
    outcome.assert_fails(1, "/no/such/script: No such file");
}

#[test]
fn a_file_named_minus_is_standard_input() {
    let outcome = Fake::echo().script(&["-f", "-"], "a\nb\n");
    assert_eq!(names(outcome.assert_status(0)), ["a", "b"]);
}

#[test]
fn a_script_may_be_a_pipe() {
    let home = scratch();
    let line = "printf 'a\\nb\\n' | \"$0\" -n -f /dev/stdin";
    let outcome = run(in_shell(line, &command(home.path())), b"");
    assert_eq!(outcome.assert_status(0).json().len(), 2);
}

#[test]
fn lines_to_execute_run_in_their_order() {
    let fake = Fake::echo();
    let outcome = fake.script(
        &["-e", "a", "-e", "b\n# none\nc\r\n\nd x='\n'", "-e", ""],
        "z\n",
    );
    assert_eq!(names(outcome.assert_status(0)), ["a", "b", "c", "d"]);
    let outcome = fake.qmpsh(&["-e", "a", "-e", "b x=[", "-e", "c"]);
    // All lines are checked before the first is sent.
    outcome.assert_fails(2, "`[` is never closed");
    assert!(names(&outcome).is_empty(), "{outcome}");
}

#[test]
fn a_reply_is_printed_before_the_next_line_is_there() {
    let qemu = Qemu::start();
    for args in [&[][..], &["-k"]] {
        let mut running = qemu.running(args);
        for _ in 0..3 {
            running.send("query-name");
            assert_eq!(running.line(), "{}");
        }
        running.close();
        assert!(running.wait().0.success());
    }
}

#[test]
fn a_reply_does_not_wait_for_the_end_of_the_next_line() {
    let qemu = Qemu::start();
    for args in [&[][..], &["-k"]] {
        let mut running = qemu.running(args);
        running.send("query-name\nquery-cpus-fast a=[");
        assert_eq!(running.line(), "{}");
        running.send("1]");
        running.close();
        assert_eq!(running.wait().0.code(), Some(1));
    }
}

#[test]
fn each_event_is_printed_after_the_replies_that_came_before_it() {
    const COUNT: u64 = 2000;
    for args in [&["--events", "stdout"][..], &["--events", "stdout", "-k"]] {
        let mut number = 0;
        let fake = Fake::answering(move |command| {
            number += 1;
            let reply = success(command, json!(number));
            reply + &event("NUMBER", &json!(number))
        });
        let outcome = fake.script(args, "a\n".repeat(COUNT as usize));
        let mut replies = 0;
        for value in &outcome.assert_status(0).json() {
            match value.as_u64() {
                Some(_) => replies += 1,
                None => assert_eq!(value["data"], replies, "{args:?}"),
            }
        }
        assert_eq!(replies, COUNT);
    }
}

#[test]
fn a_reply_is_not_kept_waiting_by_commands_in_the_background() {
    let fake = Fake::echo();
    let lines = format!("first\n{}", "other &\n".repeat(3000));
    let outcome = fake.script(&["-k"], lines);
    let names = names(outcome.assert_status(0));
    assert_eq!(names.len(), 3001);
    assert_eq!(names[0], "first");
}

#[test]
fn a_command_is_repeated() {
    let fake = Fake::echo();
    let outcome = fake.qmpsh(&["--repeat", "3", "a"]);
    assert_eq!(names(outcome.assert_status(0)), ["a", "a", "a"]);
    let outcome = fake.qmpsh(&["--repeat", "2", "-e", "a\nb", "-e", "c"]);
    assert_eq!(names(outcome.assert_status(0)).concat(), "abcabc");
    let outcome = fake.script(&["--repeat", "2"], "a\n");
    outcome.assert_fails(2, "--repeat needs a command");
}

#[test]
fn a_repeated_command_that_fails_is_not_repeated_unless_asked_to_keep_going() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["--repeat", "3", "nope"]);
    assert_eq!(outcome.assert_status(1).stderr().lines().count(), 1);
    let outcome = qemu.qmpsh(&["-k", "--repeat", "3", "nope"]);
    assert_eq!(outcome.assert_status(1).stderr().lines().count(), 3);
}

#[test]
fn repeats_start_an_interval_apart() {
    let fake = Fake::echo();
    let start = Instant::now();
    let outcome = fake.qmpsh(&["--repeat", "3", "--interval", "0.2", "a"]);
    assert_eq!(names(outcome.assert_status(0)).len(), 3);
    assert!(start.elapsed() >= Duration::from_millis(400));
}

#[test]
fn events_go_where_the_option_says() {
    let qemu = Qemu::start();
    let none = qemu.script(&[], "stop\ncont\n");
    none.assert_status(0).assert_stdout("{}\n{}\n");
    assert_eq!(none.stderr(), "");
    let stderr = qemu.script(&["--events", "stderr"], "stop\ncont\n");
    stderr.assert_status(0).assert_stdout("{}\n{}\n");
    let events = stderr.stderr();
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect();
    assert_eq!(events[0]["event"], "STOP", "{stderr}");
    assert_eq!(events[1]["event"], "RESUME", "{stderr}");
}

#[test]
fn no_event_that_came_before_the_end_is_lost() {
    for script in [
        "a\n:quit\n",
        "a\nb=c\n",
        "a\n",
        "a\n:set nothing\n",
        "a\n:disconnect\n",
    ] {
        let fake = Fake::start(|peer| {
            peer.greet();
            let command = peer.command().expect("a command");
            let events: String = (0..100).map(|n| event("E", &json!({"n": n}))).collect();
            peer.send(events + &success(&command, json!("reply")));
            peer.wait_for_end();
        });
        for args in [&["--events", "stdout"][..], &["-k", "--events", "stdout"]] {
            let outcome = fake.script(args, script);
            let lines = outcome.json();
            assert_eq!(lines.len(), 101, "{args:?} {script:?}: {outcome}");
            for (n, line) in lines[..100].iter().enumerate() {
                assert_eq!(line["data"]["n"], n, "{args:?} {script:?}");
            }
            assert_eq!(lines[100], "reply");
        }
    }
}

#[test]
fn a_line_that_ends_in_an_ampersand_is_not_waited_for_but_its_reply_is_printed() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let slow = peer.command().expect("a command");
        let fast = peer.command().expect("a command that did not wait");
        peer.send(success(&fast, fast["execute"].clone()));
        peer.send(success(&slow, slow["execute"].clone()));
    });
    let outcome = fake.script(&[], "slow &\nfast\n");
    assert_eq!(names(outcome.assert_status(0)), ["fast", "slow"]);
}

#[test]
fn a_line_in_the_background_that_fails_is_a_failure_of_the_script() {
    let outcome = Qemu::start().script(&[], "nope &\n");
    outcome.assert_fails(1, "line 1: `nope &`: CommandNotFound");
}

#[test]
fn values_are_printed_as_the_script_has_set_it() {
    let qemu = Qemu::start();
    let script = "query-name\n:set envelope on\nquery-name\n:set output pretty\nquery-name\n\
                  :set timeout 7\n:set timeout\n";
    let outcome = qemu.script(&[], script);
    outcome
        .assert_status(0)
        .assert_stdout("{}\n{\"return\": {}}\n{\n  \"return\": {}\n}\n{\n  \"timeout\": 7\n}\n");
    for wrong in [
        ":set colour red",
        ":set output blue",
        ":set timeout -1",
        ":nope",
        ":oob",
    ] {
        let outcome = qemu.script(&["-k"], wrong);
        outcome.assert_fails(2, "line 1: ").assert_stdout("");
    }
}

#[test]
fn status_describes_the_connection() {
    let qemu = Qemu::start();
    let socket = qemu.address();
    let outcome = qemu.script(&[], "query-name\n:status\n");
    let status = &outcome.assert_status(0).json()[1];
    assert_eq!(status["address"], socket, "{outcome}");
    assert_eq!(status["pid"], qemu.pid(), "{outcome}");
    assert!(status["version"].is_string(), "{outcome}");
    assert!(status["latency"].as_f64().is_some_and(|trip| trip < 5.0));
    // It is a value, as a reply is.
    let pid = qemu.qmpsh(&["-e", ":status | .pid"]);
    pid.assert_status(0)
        .assert_stdout(&format!("{}\n", qemu.pid()));
}

#[test]
fn what_built_ins_list_is_json_in_a_script() {
    let qemu = Qemu::start();
    let script = ":set\n:set timeout 5\n:set timeout\n:let pw = 'secret'\n:let n = '1'\n:let\n\
                  :on STOP do cont\n:on\n:every 100 query-status\n:timers\n:jobs\n:events mute STOP\n\
                  :events mute\n:status | .connected\n:disconnect\n:status\n";
    let outcome = qemu.script(&["--no-reconnect"], script);
    let values = outcome.assert_status(0).json();
    assert_eq!(values[0]["confirm"], true, "{outcome}");
    assert_eq!(values[0]["output"], "auto", "{outcome}");
    assert_eq!(values[0]["timeout"], json!(null), "{outcome}");
    assert_eq!(values[1], json!({"timeout": 5}), "{outcome}");
    assert_eq!(values[2]["n"], "1", "{outcome}");
    assert_eq!(values[3][0]["line"], "cont", "{outcome}");
    assert_eq!(values[4][0]["when"], "every 100 s", "{outcome}");
    assert_eq!(values[4][0]["id"], 2, "{outcome}");
    assert!(values[4][0]["runs"].is_u64(), "{outcome}");
    let rest = values[5..]
        .iter()
        .filter(|value| value.get("running").is_none());
    let rest: Vec<_> = rest.collect();
    assert_eq!(rest[..3], [&json!([]), &json!(["STOP"]), &json!(true)]);
    assert_eq!(rest[3]["connected"], false, "{outcome}");
    assert!(rest[3]["why"].is_string(), "{outcome}");
}

#[test]
fn status_needs_no_answer_from_a_stopped_qemu() {
    let qemu = Qemu::start();
    let mut running = qemu.running(&[]);
    running.send("query-name");
    running.line();
    kill(qemu.pid(), "STOP");
    running.send(":status");
    let status: Value = serde_json::from_str(&running.line()).expect("JSON");
    kill(qemu.pid(), "CONT");
    assert_eq!(status["pid"], qemu.pid(), "{status}");
    assert_eq!(status["latency"], json!(null), "{status}");
}

#[test]
fn help_lists_the_built_ins_and_explains_one() {
    let outcome = qmpsh(&["-n", ":help"], "");
    for builtin in [
        ":connect",
        ":disconnect",
        ":status",
        ":oob",
        ":set",
        ":quit",
    ] {
        assert!(outcome.stdout().contains(builtin), "{outcome}");
    }
    qmpsh(&["-n", ":help", "set"], "").assert_status(0);
    qmpsh(&["-n", "help", ":set"], "").assert_status(0);
}

#[test]
fn a_script_may_end_before_its_last_line() {
    let qemu = Qemu::start();
    for quit in [":quit", ":exit", "exit"] {
        for args in [&[][..], &["-k"]] {
            let outcome = qemu.script(args, format!("query-name\n{quit}\nnope\n"));
            outcome.assert_status(0).assert_stdout("{}\n");
        }
    }
    assert_eq!(qemu.qmpsh(&["query-status"]).json()[0]["running"], true);
}

#[test]
fn a_command_after_disconnecting_finds_no_connection() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "query-name\n:disconnect\nquery-name\n");
    outcome.assert_stdout("{}\n").assert_status(3);
    outcome.assert_says("disconnected from ");
    outcome.assert_says("line 3: `query-name`: not connected");
}

#[test]
fn a_script_can_reconnect_and_connect_elsewhere() {
    let (one, two) = (Qemu::start(), Qemu::start());
    one.control("stop");
    let script = format!(
        "query-status\n:connect {}\nquery-status\n:disconnect\n:connect '{}'\nquery-status\n",
        two.socket.display(),
        one.socket.display(),
    );
    for args in [&[][..], &["-k"]] {
        let outcome = one.script(args, &script);
        let replies = outcome.assert_status(0).json();
        let running: Vec<&Value> = replies.iter().map(|reply| &reply["running"]).collect();
        assert_eq!(running, [false, true, false], "{outcome}");
    }
}

#[test]
fn events_come_from_the_server_a_script_connected_to_last() {
    let (one, two) = (Qemu::start(), Qemu::start());
    let script = format!("stop\n:connect {}\nstop\n", two.socket.display());
    for args in [&["--events", "stdout"][..], &["-k", "--events", "stdout"]] {
        one.control("cont");
        two.control("cont");
        let outcome = one.script(args, &script);
        let lines = outcome.assert_status(0).json();
        let stops = lines.iter().filter(|line| line["event"] == "STOP").count();
        assert_eq!((stops, lines.len()), (2, 4), "{outcome}");
    }
}

#[test]
fn a_failed_connect_stops_a_script() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], ":connect /no/such.sock\nquery-name\n");
    outcome.assert_fails(3, "line 1: `:connect /no/such.sock`: cannot connect");
    outcome.assert_stdout("");
}

#[test]
fn a_reply_that_takes_too_long_ends_a_script_with_a_status_of_its_own() {
    let qemu = Qemu::start();
    let mut running = qemu.running(&["-t", "600"]);
    running.send("query-name\n:set timeout 0.5");
    assert_eq!(running.line(), "{}");
    kill(qemu.pid(), "STOP");
    running.send("query-name");
    running.close();
    let (status, stderr) = running.wait();
    assert_eq!(status.code(), Some(4), "{stderr}");
    assert!(
        stderr.contains("line 3: `query-name`: no reply to `query-name` within 0.5 s"),
        "{stderr}"
    );
}

#[test]
fn a_late_reply_is_shown_as_late_and_not_taken_for_another() {
    let fake = Fake::start(|peer| {
        peer.greet();
        let slow = peer.command().expect("a command");
        let fast = peer.command().expect("one after the time limit");
        peer.send(success(&slow, json!("slow")) + &success(&fast, json!("fast")));
        peer.wait_for_end();
    });
    let outcome = fake.script(&["-k", "-t", "0.3"], "slow\n:set timeout off\nfast\n");
    outcome.assert_status(4).assert_stdout("\"fast\"\n");
    outcome.assert_says("no reply to `slow` within 0.3 s");
    outcome.assert_says("late reply to `slow`");
}

#[test]
fn lines_after_the_end_of_the_connection_fail_as_not_connected() {
    let qemu = Qemu::start();
    for args in [&[][..], &["-k"]] {
        let fake = Fake::start(|peer| {
            peer.greet();
            let command = peer.command().expect("a command");
            peer.send(success(&command, json!({})));
        });
        let outcome = fake.script(args, "a\nb\nc\n");
        outcome
            .assert_stdout("{}\n")
            .assert_fails(3, "line 2: `b`: ");
        assert!(
            !outcome.stderr().contains("`c`:") || args.len() == 1,
            "{outcome}"
        );
    }
    qemu.script(&[], "quit\nquery-name\n").assert_status(3);
}

#[test]
fn a_dry_run_prints_what_a_script_would_send() {
    let script = "stop\ntransaction(\na x=1\nb y=2\n)\n{'execute': 'c'}\n:oob d\n";
    let outcome = qmpsh(&["-n"], script);
    outcome.assert_status(0).assert_stdout(concat!(
        "{\"execute\":\"stop\"}\n",
        "{\"execute\":\"transaction\",\"arguments\":{\"actions\":[",
        "{\"type\":\"a\",\"data\":{\"x\":1}},{\"type\":\"b\",\"data\":{\"y\":2}}]}}\n",
        "{\"execute\":\"c\"}\n",
        "{\"exec-oob\":\"d\"}\n",
    ));
    qmpsh(&["-n", "-k"], "a\nb x\nc\n").assert_fails(2, "expected KEY=VALUE, found `x`");
}

#[test]
fn a_dry_run_makes_no_connection() {
    let fake = Fake::start(|_| panic!("somebody has connected"));
    let connect = format!(":connect {}", fake.socket.display());
    let args = [
        "-n",
        "-k",
        "-e",
        &connect,
        "-e",
        ":after 0 stop",
        "-e",
        ":set output raw",
        "-e",
        "stop",
    ];
    let outcome = qmpsh(&args, "");
    outcome.assert_status(0);
    assert_eq!(outcome.json()[0]["execute"], "stop", "{outcome}");
}

#[test]
fn output_appears_while_the_script_runs() {
    let qemu = Qemu::start();
    let mut running: Running = qemu.running(&["--events", "stdout"]);
    running.send("query-name");
    assert_eq!(running.line(), "{}");
    qemu.control("stop");
    assert!(running.line().contains("\"STOP\""));
    running.close();
    assert!(running.wait().0.success());
}
