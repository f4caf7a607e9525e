//! `:wait`, `:on` and `:off`: at the prompt and in scripts.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::fake::{Fake, event, failure, success};
use crate::common::{Qemu, qmpsh, text};

/// A server whose commands are numbers: before the reply, it sends that many events of each of these names, numbered.
fn numbering(names: &'static [&'static str]) -> Fake {
    Fake::answering(move |command| {
        let mut text = String::new();
        let count = command["execute"]
            .as_str()
            .and_then(|name| name.parse().ok());
        for n in 0..count.unwrap_or(0) {
            for name in names {
                text += &event(
                    name,
                    &json!({"n": n, "deep": {"id": format!("x{n}"), "on": true}}),
                );
            }
        }
        text + &success(command, json!(null))
    })
}

#[test]
fn a_wait_finds_an_event_that_came_before_it() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "stop\n:wait STOP\ncont\n:wait RESUME,STOP\n");
    let printed = outcome.assert_status(0).json();
    assert_eq!(printed[1]["event"], "STOP", "{outcome}");
    assert_eq!(printed[3]["event"], "RESUME", "{outcome}");
}

#[test]
fn an_event_from_before_the_last_command_that_changes_something_does_not_end_a_wait() {
    let qemu = Qemu::start();
    let outcome = qemu.script(
        &[],
        "stop\ngetfd fdname=x </dev/null\n:wait STOP --timeout 0.2\n",
    );
    outcome.assert_fails(
        4,
        "line 3: `:wait STOP --timeout 0.2`: no event `STOP` within 0.2 s",
    );
}

#[test]
fn a_query_between_a_command_and_the_wait_for_its_event_does_not_lose_it() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&[
        "-e",
        "stop",
        "-e",
        "query-status",
        "-e",
        "qom-list path=/",
        "-e",
        ":wait STOP --timeout 5",
    ]);
    let printed = outcome.assert_status(0).json();
    assert_eq!(printed[3]["event"], "STOP", "{outcome}");
}

#[test]
fn a_command_that_was_not_sent_leaves_earlier_events_to_a_wait() {
    let qemu = Qemu::start();
    let script = "stop\ngetfd fdname=x </none\n:wait STOP --timeout 5\n";
    let outcome = qemu.script(&["-k"], script);
    outcome.assert_fails(1, "cannot pass `</none`");
    assert_eq!(outcome.json()[1]["event"], "STOP", "{outcome}");
}

#[test]
fn a_script_refuses_to_wait_for_an_event_that_can_never_come() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&[":wait", "STOP,SHUTDWON"]);
    outcome.assert_fails(
        2,
        "this server has no event `SHUTDWON`; did you mean `SHUTDOWN`?",
    );
    let outcome = qemu.script(&[], ":wait STOP &\n");
    outcome.assert_fails(2, "a built-in cannot run in the background");
}

#[test]
fn each_event_ends_only_one_wait() {
    let fake = numbering(&["A", "B"]);
    let script = "2\n:wait A\n:wait B\n:wait A\n:wait B n=0 --timeout 0.2\n";
    let outcome = fake.script(&[], script);
    outcome.assert_fails(4, "line 5");
    let numbers: Vec<Value> = outcome.json()[1..]
        .iter()
        .map(|event| json!([event["event"], event["data"]["n"]]))
        .collect();
    assert_eq!(json!(numbers), json!([["A", 0], ["B", 0], ["A", 1]]));
}

#[test]
fn a_wait_matches_part_of_the_data() {
    let fake = numbering(&["A", "B"]);
    let script = "5\n:wait B,C deep.id=x3 n=3\n:wait * deep={'on': True, 'id': 'x4'}\n";
    let outcome = fake.script(&[], script);
    let events = &outcome.assert_status(0).json()[1..];
    assert_eq!(
        (&events[0]["event"], &events[0]["data"]["n"]),
        (&json!("B"), &json!(3))
    );
    assert_eq!(
        (&events[1]["event"], &events[1]["data"]["n"]),
        (&json!("A"), &json!(4))
    );
}

#[test]
fn a_wait_is_a_command_of_its_own_and_ends_with_the_connection() {
    let qemu = Qemu::start();
    let mut running = qemu.running(&["-v", ":wait", "SHUTDOWN", "reason=host-qmp-quit"]);
    running.close();
    // The schema tells that there is such an event. After that, it makes no difference whether the wait has begun.
    running.wait_for_complaint("<- {\"return\": [");
    qemu.control("quit");
    let event: Value = serde_json::from_str(&running.line()).expect("JSON");
    assert_eq!(event["event"], "SHUTDOWN");
    assert!(running.wait().0.success());

    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "quit\n:wait STOP\n");
    outcome.assert_fails(3, "line 2: `:wait STOP`: not connected: QEMU shut down");
}

#[test]
fn a_wrong_wait_is_an_error_before_it_waits() {
    let qemu = Qemu::start();
    for (line, status, says) in [
        (":wait", 2, "usage: :wait NAME"),
        (":wait --timeout 5", 2, "usage: :wait NAME"),
        (":wait STOP --timeout", 2, "`--timeout` needs a value"),
        (":wait STOP --timeout x", 2, "is not a duration"),
        (":wait STOP --nope", 2, "unknown option `--nope`"),
        (":wait STOP a=1 a=2", 2, "`a` is set twice"),
        (":on STOP", 2, "usage: :on"),
        (":on STOP do", 2, "usage: :on"),
        (":on do stop", 2, "usage: :on"),
        (":on STOP do a=1", 2, "expected a command first"),
        (":on STOP do :nope", 2, "there is no built-in `:nope`"),
        (":on STOP do transaction( stop", 2, "on one line"),
        (
            ":wait DEVICE_DELETE --timeout 1",
            2,
            "no event `DEVICE_DELETE`; did you mean `DEVICE_DELETED`?",
        ),
        (
            ":wait shutdown",
            2,
            "no event `shutdown`; did you mean `SHUTDOWN`?",
        ),
        (":wait STOP --or", 2, "usage: :wait NAME"),
        (":wait STOP --or RESUM", 2, "did you mean `RESUME`?"),
        (
            ":wait STOP --fail SHUTDOWN reson=x",
            2,
            "`SHUTDOWN`: no key `reson`; did you mean `reason`?",
        ),
        (":wait SHUTDOWN reason.x", 2, "`SHUTDOWN`: no key `x`"),
        (
            ":wait JOB_STATUS_CHANGE status=concluded|redy",
            2,
            "`status` cannot be `redy`; did you mean `ready`?",
        ),
        (
            ":wait SHUTDOWN guest=perhaps",
            2,
            "`guest` cannot be `perhaps`; its type is bool",
        ),
        (":wait * nonsense=1", 2, "no key `nonsense`"),
        (":on FOO do stop", 2, "this server has no event `FOO`"),
        (
            ":on SHUTDOWN reson do stop",
            2,
            "no key `reson`; did you mean `reason`?",
        ),
        (":on --twice STOP do stop", 2, "unknown option `--twice`"),
        (":off 1", 2, "there is no listener 1"),
        (":off", 2, "usage: :off ID"),
    ] {
        qemu.qmpsh(&["-e", line]).assert_fails(status, says);
    }
}

#[test]
fn a_listener_runs_its_line_for_each_event_while_others_wait() {
    let qemu = Qemu::named("heard");
    // The script waits for its last line, and so for what the listeners run.
    let script = ":on STOP do cont\n:on RESUME do query-name\nstop\n:wait RESUME\nstop\n:wait RESUME\n\
                  :after 1 query-status\n";
    let outcome = qemu.script(&["--events", "stdout"], script);
    let printed = outcome.assert_status(0).json();
    let count = |of: &dyn Fn(&Value) -> bool| printed.iter().filter(|value| of(value)).count();
    // Each of the two RESUMEs is printed as an event, and by a wait.
    assert_eq!(count(&|value| value["event"] == "STOP"), 2, "{outcome}");
    assert_eq!(count(&|value| value["event"] == "RESUME"), 4, "{outcome}");
    assert!(count(&|value| value["name"] == "heard") >= 1, "{outcome}");
}

#[test]
fn listeners_do_not_steal_events_from_each_other_and_survive_errors() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("go") => {
            event("A", &json!({})) + &event("A", &json!({})) + &success(command, json!("gone"))
        }
        Some("bad") => failure(command, "no"),
        name => success(command, json!(name)),
    });
    // The replies to what listeners run come before that to the last command, which is sent after them.
    let script = ":on A do one\n:on A do bad\n:on A,B do two\n:on\n:off 1\n:on\ngo\n\
                  :wait A\n:after 0.3 last\n";
    let outcome = fake.script(&[], script);
    outcome.assert_status(1);
    let stdout = outcome.stdout();
    let count = |reply| stdout.lines().filter(|line| *line == reply).count();
    assert_eq!(count("\"two\""), 2, "{outcome}");
    assert_eq!(count("\"one\""), 0, "{outcome}");
    assert!(stdout.ends_with("\"last\"\n"), "{outcome}");
    assert!(
        stdout.contains(
            r#"[{"id":1,"line":"one","runs":0,"when":"A"},{"id":2,"line":"bad","runs":0,"when":"A"},{"id":3,"line":"two","runs":0,"when":"A,B"}]"#
        ),
        "{outcome}"
    );
    let errors = outcome.stderr();
    assert_eq!(
        errors
            .matches("listener 2: `bad`: GenericError: no")
            .count(),
        2,
        "{outcome}"
    );
}

#[test]
fn a_listener_may_end_the_run() {
    let fake = numbering(&["A"]);
    let start = Instant::now();
    let outcome = fake.script(
        &[],
        ":on A do exit\n1\n:wait NEVER --timeout 50\nnot-reached\n",
    );
    assert!(start.elapsed() < Duration::from_secs(40), "{outcome}");
    assert!(!outcome.stderr().contains("not-reached"), "{outcome}");
}

#[test]
fn a_fast_job_is_never_missed() {
    let qemu = Qemu::start();
    let image = qemu.directory.path().join("new.img");
    let image = text(&image);
    let mut script = String::new();
    for n in 0..500 {
        script += &format!(
            "blockdev-create job-id=j{n} options={{'driver':'file','filename':'{image}','size':1048576}}\n\
             :wait JOB_STATUS_CHANGE id=j{n} status=concluded --timeout 50\n\
             job-dismiss id=j{n}\n"
        );
    }
    let outcome = qemu.script(&[], script);
    let printed = outcome.assert_status(0).json();
    assert_eq!(printed.len(), 1500);
    for (n, three) in printed.chunks(3).enumerate() {
        assert_eq!(three[1]["data"]["id"], format!("j{n}"), "{three:?}");
    }
}

#[test]
fn the_prompt_shows_a_waited_for_event_once_and_ctrl_c_stops_waiting() {
    let qemu = Qemu::start();
    // It knows the events by now, so that the wait begins at once.
    let mut terminal = crate::tab::prompt(&qemu);
    terminal.keys(":wait STOP\r");
    terminal.wait("the wait", |screen| screen.ends_with(":wait STOP"));
    qemu.control("stop");
    terminal.wait_for_prompt();
    let screen = terminal.enter("query-name");
    let events = screen
        .lines()
        .filter(|line| line.ends_with(" STOP") && !line.contains(":wait"));
    assert_eq!(events.count(), 1, "{screen}");
    terminal.keys(":wait RESUME\r");
    terminal.wait("the wait", |screen| screen.ends_with(":wait RESUME"));
    terminal.cancel();
    qemu.control("cont");
    terminal.wait_for_text(" RESUME\n(QEMU)");
}

#[test]
fn a_listeners_line_shows_its_origin_above_the_line_being_edited() {
    let qemu = Qemu::named("named");
    let mut terminal = qemu.prompt();
    terminal.enter(":on STOP do query-name");
    terminal.enter(":on STOP do nonsense");
    terminal.type_line("query-st");
    qemu.control("stop");
    let screen = terminal.wait("both", |screen| {
        screen.contains("[listener 1: query-name]\n{\n  \"name\": \"named\"\n}\n")
            && screen.contains("[listener 2: nonsense] CommandNotFound")
            && screen.ends_with("\n(QEMU) query-st")
    });
    assert!(screen.contains(" STOP\n"), "{screen}");
}

#[test]
fn listeners_survive_until_qemu_comes_back() {
    let mut qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.enter(":on STOP do query-uuid");
    terminal.enter(":events mute RESUME");
    qemu.restart_with(&["-machine", "none", "-name", "again"]);
    terminal.wait_for_text("\"again\" at ");
    terminal.enter("stop");
    terminal.wait_for_text("[listener 1: query-uuid]");
    terminal.wait_for_prompt();
    terminal.enter("cont");
    let screen = terminal.enter("query-version");
    assert!(!screen.contains(" RESUME\n{}"), "{screen}");
    assert!(!screen.contains("  RESUME"), "{screen}");
}

#[test]
fn a_dry_run_checks_a_wait_and_does_not_wait() {
    qmpsh(&["-n", "-e", ":wait STOP", "-e", "stop"], "")
        .assert_status(0)
        .assert_stdout("{\"execute\":\"stop\"}\n");
    let qemu = Qemu::start();
    let lines = [
        "-n",
        "-e",
        ":wait STOPP",
        "-e",
        ":after 5x stop",
        "-e",
        "stop",
    ];
    let outcome = qemu.qmpsh(&lines);
    outcome
        .assert_fails(2, "did you mean `STOP`?")
        .assert_says("`5x` is not a duration")
        .assert_stdout("{\"execute\":\"stop\"}\n");
}

#[test]
fn a_wait_has_alternatives_and_some_of_them_fail_it() {
    let fake = numbering(&["A", "B"]);
    let wait = ":wait A n=7 --or B n=1 --fail A n=2|3";
    let outcome = fake.script(&["-e", "2", "-e", wait], "");
    assert_eq!(outcome.assert_status(0).json()[1]["event"], "B");
    let outcome = fake.script(&["-e", "4", "-e", ":wait B n=9 --fail A n=2|3"], "");
    outcome.assert_fails(1, "A came");
    assert_eq!(outcome.json()[1]["data"]["n"], 2, "{outcome}");
}

#[test]
fn a_key_alone_selects_the_events_that_have_it() {
    let fake = numbering(&["A"]);
    let outcome = fake.script(&["-e", "1", "-e", ":wait A deep.id"], "");
    outcome.assert_status(0);
    let outcome = fake.script(&["-e", "1", "-e", ":wait A deep.no --timeout 0.2"], "");
    outcome.assert_fails(4, "no event `A` within 0.2 s");
}

#[test]
fn an_event_that_is_there_already_is_found_within_no_time() {
    let qemu = Qemu::start();
    let outcome = qemu.script(&[], "stop\n:wait STOP --timeout 0\n");
    assert_eq!(outcome.assert_status(0).json()[1]["event"], "STOP");
}

#[test]
fn the_limit_for_replies_is_that_of_a_wait_without_its_own() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&["-t", "0.3", ":wait", "RESUME"]);
    outcome.assert_fails(4, "no event `RESUME` within 0.3 s");
}

#[test]
fn waiting_for_a_migrations_events_says_that_they_must_be_switched_on() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&[":wait", "MIGRATION", "status=completed"]);
    outcome.assert_fails(1, "`MIGRATION` is only sent with the migration capability");
    let outcome = qemu.qmpsh(&[":wait", "MIGRATION,STOP", "--timeout", "1"]);
    outcome.assert_status(4).assert_says("migration capability");
    let on = "migrate-set-capabilities capabilities.0.capability=events capabilities.0.state=on";
    let outcome = qemu.qmpsh(&["-e", on, "-e", ":wait MIGRATION --timeout 0.5"]);
    outcome.assert_fails(4, "no event `MIGRATION` within 0.5 s");
}

#[test]
fn a_change_of_the_connection_is_an_event_of_its_own() {
    let mut qemu = Qemu::start();
    let mut running = qemu.running(&["--reconnect", "--events", "stdout"]);
    running.send(":on connected do query-name\nstop\n:wait STOP\n:wait disconnected");
    while !running.line().contains("STOP") {}
    qemu.restart_with(&["-machine", "none", "-name", "again"]);
    let rest: Vec<Value> = std::iter::from_fn(|| {
        let line = running.line();
        let value: Value = serde_json::from_str(&line).expect("JSON");
        (value["name"] != "again").then_some(value)
    })
    .collect();
    let own = rest.iter().filter(|event| event["event"] == "disconnected");
    // Printed by the wait alone: it is no event of the server.
    assert_eq!(own.count(), 1, "{rest:?}");
    running.close();
    let (status, said) = running.wait();
    assert!(status.success(), "{said}");
}

#[test]
fn a_listener_may_be_for_one_event_only() {
    let fake = numbering(&["A"]);
    let script = ":on --once A do one\n3\n:on\n:after 0.2 last\n";
    let outcome = fake.script(&[], script);
    let stdout = outcome.assert_status(0).stdout();
    // The list of the listeners is empty then; the reply to its line may come later.
    assert_eq!(stdout.matches("null\n").count(), 3, "{outcome}");
    assert_eq!(stdout.matches("[]\n").count(), 1, "{outcome}");
}
