//! `| FILTER`, `-j FILTER`: what a line shows, through jq's language.

use serde_json::{Value, json};

use crate::common::fake::{Fake, event, failure, success};
use crate::common::process::wait_for_end_of;
use crate::common::terminal::Terminal;
use crate::common::{Qemu, kill, qemu, qmpsh, scratch, wait_for};

/// Answers each command with a list of two disks, except `fail`.
fn disks() -> Fake {
    Fake::answering(|command| match command["execute"].as_str() {
        Some("fail") => failure(command, "no"),
        _ => success(
            command,
            json!([{"name": "a b", "size": 1}, {"name": "c", "size": 20}]),
        ),
    })
}

#[test]
fn a_filter_reshapes_what_a_command_returns() {
    let disks = disks();
    for (line, expected) in [
        ("q | .[] | .name", "\"a b\"\n\"c\"\n"),
        ("q | .[]|select(.size > 5) | .name", "\"c\"\n"),
        ("q | map(.size) | add", "21\n"),
        ("q | length # of the list", "2\n"),
        ("q | empty", ""),
        ("q | .[0]", "{\"name\":\"a b\",\"size\":1}\n"),
        ("q | [.[] |\n .size]", "[1,20]\n"),
        ("q | .[] \\\n | .size", "1\n20\n"),
        (":oob q | length", "2\n"),
        ("{'execute': 'q'} | length", "2\n"),
        ("transaction( q ) | length", "2\n"),
        ("q | length &", "2\n"),
    ] {
        let outcome = disks.script(&[], format!("{line}\n"));
        outcome.assert_status(0).assert_stdout(expected);
    }
    let outcome = disks.qmpsh(&["q", "|", ".[] | .size"]);
    outcome.assert_status(0).assert_stdout("1\n20\n");
}

#[test]
fn the_formats_of_values_are_those_of_filtered_values() {
    let disks = disks();
    let names = ["-e", "q | .[] | .name"];
    let run = |args: &[&str]| disks.qmpsh(&[args, &names].concat());
    run(&["-o", "raw"]).assert_stdout("a b\nc\n");
    run(&["-o", "json"]).assert_stdout("\"a b\"\n\"c\"\n");
    let outcome = disks.qmpsh(&["-p", "-e", "q | .[1], {}"]);
    outcome.assert_stdout("{\n  \"name\": \"c\",\n  \"size\": 20\n}\n{}\n");
    disks
        .qmpsh(&["-q", "-e", "q | {}, 1, {}"])
        .assert_stdout("1\n");
}

#[test]
fn every_reply_runs_through_the_filter_of_the_command_line_unless_its_line_has_one() {
    let disks = disks();
    let outcome = disks.script(&["-j", "length"], "q\nq | .[0].size\n:set output\nq\n");
    outcome
        .assert_status(0)
        .assert_stdout("2\n1\n{\"output\":\"auto\"}\n2\n");
    let outcome = disks.script(&["-k", "-j", "length"], "q\nfail\nq\n");
    outcome.assert_status(1).assert_stdout("2\n2\n");
}

#[test]
fn with_envelopes_the_filter_gets_them_and_errors_bypass_it() {
    let disks = disks();
    let outcome = disks.script(&["-k", "--envelope"], "q | keys\nfail | keys\n");
    outcome.assert_status(1).assert_stdout(
        "[\"return\"]\n{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n",
    );
    let outcome = disks.script(&[], "fail | .[\n]\n");
    outcome.assert_fails(1, "GenericError: no");
    outcome.assert_stdout("");
}

#[test]
fn a_wrong_filter_is_shown_where_it_is_wrong_and_nothing_is_sent() {
    let fake = Fake::answering(|command| panic!("{command}"));
    for (line, message) in [
        (
            "stop | .[] | nme",
            "jq has no function `nme/0`\n  stop | .[] | nme\n               ^^^\n",
        ),
        (
            "stop | .x | $y",
            "there is no variable `$y`\n  stop | .x | $y\n              ^^\n",
        ),
        (
            "stop | .x ]",
            "expected token, found `]`\n  stop | .x ]\n            ^\n",
        ),
        ("stop | .x |", "expected term in the filter, found the end"),
        ("stop | .x .[", "`[` is never closed"),
        ("stop | halt", "no function `halt/0`"),
        ("stop |", "a filter is missing after `|`"),
        (":every 1s stop | nme", "no function `nme/0`"),
        (":on STOP do stop | nme", "no function `nme/0`"),
    ] {
        let outcome = fake.script(&[], format!("{line}\n"));
        outcome.assert_fails(2, message);
    }
    let outcome = fake.qmpsh(&["-j", ".x | nme", "stop"]);
    outcome.assert_fails(2, "  .x | nme\n       ^^^\n");
    qmpsh(&["-n", "-e", "stop | nme"], "").assert_fails(2, "nme/0");
    let outcome = qmpsh(&["-n", "-e", "stop | .x"], "");
    assert_eq!(outcome.assert_status(0).json()[0]["execute"], "stop");
}

#[test]
fn a_filter_that_fails_quotes_itself_and_its_input_after_what_it_has_given() {
    let outcome = disks().script(&[], "q | .[0].size, .[0].size.x\nq\n");
    outcome.assert_stdout("1\n");
    outcome.assert_fails(
        1,
        "the filter `.[0].size, .[0].size.x` failed: cannot index 1 with \"x\"; its input was [{\"name\":\"a b\"",
    );
}

#[test]
fn variables_are_jq_s_in_a_filter() {
    let disks = disks();
    let script = ":let sizes = q | map(.size)\n:let s = ${sizes.1}\n\
                  q | .[] | select(.size == $s) | .name + $suffix\n\
                  q | $sizes[0] as $x | \"\\($x) $s\"\n";
    let outcome = disks.script(&["--var", "suffix=$!"], script);
    outcome
        .assert_status(0)
        .assert_stdout("\"c$!\"\n\"1 $s\"\n");
    let outcome = disks.script(&[], ":let n = q | .[].name\n");
    outcome.assert_fails(2, "returns no value");
}

#[test]
fn lines_of_listeners_and_timers_have_filters() {
    let fake = Fake::start(|peer| {
        peer.greet();
        while let Some(command) = peer.command() {
            peer.send(success(&command, json!({"n": [1, 2, 3]})));
            if command["execute"] == "go" {
                peer.send(event("DONE", &json!({"k": 7})));
            }
        }
    });
    let script = ":on DONE do q | .n[1] + $event.data.k\ngo | 0\n:after 0 q | .n | length\n";
    let mut running = fake.running(&[]);
    for line in script.lines() {
        running.send(line);
    }
    let mut lines = [running.line(), running.line(), running.line()];
    lines.sort();
    assert_eq!(lines, ["0", "3", "9"]);
    running.close();
    running.wait();
}

#[test]
fn a_filter_on_a_built_in_s_value_works_and_on_its_text_is_an_error() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], ":set | .output\n");
    outcome.assert_status(0).assert_stdout("\"auto\"\n");
    let outcome = qemu.script(&[], ":help | .x\n");
    outcome.assert_fails(
        2,
        "`:help` shows text, not a value, so there is nothing to filter",
    );
}

#[test]
fn an_endless_filter_can_be_interrupted() {
    let disks = disks();
    let mut terminal = disks.prompt();
    terminal.type_line("q | 0 | until(false; . + 1)");
    terminal.keys("\r");
    // Ctrl-C would interrupt the wait for the reply if it came earlier.
    let filter = wait_for("the filter to run", || {
        let mut all = children(terminal.pid()).into_iter();
        // It has run for longer than it takes to compile the filter.
        all.find(|pid| ticks(*pid) > 50)
    });
    terminal.keys("\x03");
    terminal.wait_for_text("the filter was interrupted");
    terminal.wait_for_prompt();
    terminal.assert_answer("q | .[1].size", "20");
    wait_for_end_of(filter);
}

/// The processes that a process has started.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let all = text.split_whitespace();
    all.map(|pid| pid.parse().expect("a pid")).collect()
}

/// The processor time that a process has used, in the kernel's ticks.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, fields) = stat.rsplit_once(") ").unwrap_or_default();
    let ticks = fields.split(' ').nth(11);
    ticks.and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

/// Filters that take everything there is, and what is said of them.
const GREEDY: [(&str, &str); 3] = [
    ("def f: 1 + f; f", "more than 256 MiB of stack"),
    (
        "reduce range(1000000) as $i (null; [.])",
        "more than 256 MiB of stack",
    ),
    ("\"a\" * 100000000000", "MiB of memory"),
];

#[test]
fn a_filter_that_takes_all_stack_or_memory_fails_and_the_next_line_runs() {
    let disks = disks();
    for (filter, message) in GREEDY {
        let outcome = disks.script(&["-k"], format!("q | {filter}\nq | .[1].size\n"));
        outcome.assert_stdout("20\n").assert_fails(1, message);
    }
    // It may well be as deep as anybody needs.
    let outcome = disks.script(
        &[],
        "q | def f: if . == 0 then 0 else . - 1 | 1 + f end; 3000 | f\n",
    );
    outcome.assert_status(0).assert_stdout("3000\n");
}

#[test]
fn a_filter_without_end_harms_neither_the_prompt_nor_its_vm() {
    let home = scratch();
    let mut terminal = Terminal::prompt(
        home.path(),
        &[
            "--launch",
            "--",
            &qemu(),
            "-machine",
            "none",
            "-display",
            "none",
        ],
    );
    terminal.enter("query-status | def f: 1 + f; f");
    terminal.wait_for_text("does it call itself without end?");
    terminal.assert_answer("query-status | .running", "true");
    terminal.leave_the_vm();
}

#[test]
fn the_items_of_a_long_list_are_filtered_as_those_of_a_short_one() {
    let items = |count: usize| -> Vec<Value> {
        let item = |number| json!({"n": number, "text": "x".repeat(100), "odd": number % 2 == 1});
        (0..count).map(item).collect()
    };
    // The long list has more than a MiB, so that its items are taken one by one.
    for count in [3, 20_000] {
        let fake = Fake::answering(move |command| success(command, json!(items(count))));
        let lines = |filter: &str| {
            let outcome = fake.qmpsh(&["--var", "add=100", "query", "|", filter]);
            let lines: Vec<String> = outcome.stdout().lines().map(str::to_owned).collect();
            (lines, outcome)
        };
        let (odd, outcome) = lines(".[] | select(.odd) | .n + ($add | tonumber), .text[:2]");
        outcome.assert_status(0);
        let numbers = (0..count).filter(|number| number % 2 == 1);
        let wanted = numbers.flat_map(|number| [(number + 100).to_string(), "\"xx\"".to_owned()]);
        assert_eq!(odd, wanted.collect::<Vec<_>>());
        let (before, outcome) = lines(".[] | if .n == 2 then error(\"two\") else .n end");
        outcome.assert_fails(1, "failed: \"two\"");
        assert_eq!(before, ["0", "1"]);
        let (changed, _) = lines(".[] |= .n");
        assert_eq!(changed.len(), 1);
        assert!(changed[0].starts_with("[0,1,2"), "{:.20}", changed[0]);
    }
}

#[test]
fn a_filter_ends_with_the_shell_that_runs_it() {
    let disks = disks();
    let mut running = disks.running(&[]);
    running.send("q | 0 | until(false; . + 1)");
    let filter = wait_for("the filter to run", || {
        let mut all = children(running.pid()).into_iter();
        all.find(|pid| ticks(*pid) > 10)
    });
    kill(running.pid(), "KILL");
    wait_for_end_of(filter);
}

#[test]
fn real_replies_are_filtered() {
    let qemu = Qemu::start();
    let outcome = qemu.script(
        &["-o", "raw"],
        "query-status | .status\nquery-version | .qemu | \"\\(.major).\\(.minor)\"\n",
    );
    let lines = outcome.assert_status(0).lines();
    assert_eq!(lines[0], "running");
    let version = qemu.qmpsh(&["query-version"]).json()[0]["qemu"].clone();
    let number = |key: &str| version[key].as_u64().unwrap_or_default();
    assert_eq!(lines[1], format!("{}.{}", number("major"), number("minor")));
    let names: Vec<Value> = qemu.qmpsh(&["-j", ".[].name", "query-commands"]).json();
    assert!(names.contains(&json!("query-status")));
}

#[test]
fn tab_completes_keys_of_what_the_command_returns() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.assert_answer("query-status | .running", "true");
    for (typed, completed) in [
        ("query-block | .[] | .de", "query-block | .[] | .device"),
        ("query-version | .qemu.maj", "query-version | .qemu.major"),
        (
            "query-block | map(.inserted.backing_f",
            "query-block | map(.inserted.backing_file",
        ),
        (
            "query-cpus-fast | .[] | select(.target == \"x\") | .thr",
            "query-cpus-fast | .[] | select(.target == \"x\") | .\"thread-id\"",
        ),
        (
            "query-block | [.[] | {a: .remov",
            "query-block | [.[] | {a: .removable",
        ),
        (
            ":every 1s query-status | .runn",
            ":every 1s query-status | .running",
        ),
    ] {
        terminal.type_line(typed);
        terminal.keys("\t");
        terminal.wait_for_text(completed);
        terminal.cancel();
    }
    terminal.leave();
}
