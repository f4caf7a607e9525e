//! `:every`, `:after`, `:timers`, `:timer` and `:cancel`.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::Qemu;
use crate::common::fake::{Fake, success};

#[test]
fn a_timer_runs_at_once_and_then_on_time_for_as_long_as_the_script_lasts() {
    let (ticks, times) = channel();
    let fake = Fake::answering(move |command| {
        if command["execute"] == "tick" {
            let _ = ticks.send(Instant::now());
        }
        success(command, json!("tock"))
    });
    let outcome = fake.script(&[], ":every 0.2 tick\n:wait NEVER --timeout 2.1\n");
    outcome.assert_status(4);
    let times: Vec<Instant> = times.try_iter().collect();
    assert_eq!(outcome.json().len(), times.len(), "{outcome}");
    // The schedule is kept, however late a single tick was: the machine may be busy.
    let took = times[times.len() - 1] - times[0];
    let most = took.as_millis() / 200 + 2;
    assert!(times.len() >= 6, "{}", times.len());
    assert!(times.len() as u128 <= most, "{} in {took:?}", times.len());
}

#[test]
fn a_timer_never_overlaps_itself_and_skips_the_runs_it_missed() {
    let (starts, times) = channel();
    let fake = Fake::answering(move |command| {
        let _ = starts.send(());
        // A command that takes longer than the interval: that is what is tested.
        std::thread::sleep(Duration::from_millis(250));
        success(command, json!("slow"))
    });
    let outcome = fake.script(&[], ":every 100ms slow\n:wait NEVER --timeout 1.5\n");
    outcome.assert_status(4);
    // 300 ms from one to the next; were they queued, the server would have more of them.
    let count = times.try_iter().count();
    assert!((2..=7).contains(&count), "{count}");
}

#[test]
fn with_no_interval_a_timer_runs_as_fast_as_replies_come() {
    let mut inside = false;
    let fake = Fake::answering(move |command| {
        assert!(!std::mem::replace(&mut inside, true));
        inside = false;
        success(command, json!("now"))
    });
    let mut running = fake.running(&[]);
    running.send(":every 0 now");
    for _ in 0..200 {
        assert_eq!(running.line(), "\"now\"");
    }
}

#[test]
fn a_script_waits_for_the_lines_it_has_put_off() {
    let fake = Fake::echo();
    let start = Instant::now();
    let outcome = fake.script(&[], ":after 400ms late\n:after 0.1 early\nnow\n");
    outcome
        .assert_status(0)
        .assert_stdout("\"now\"\n\"early\"\n\"late\"\n");
    assert!(start.elapsed() >= Duration::from_millis(400));
    // A timer that goes on for ever is no reason to stay, nor is anything once a line has failed.
    fake.script(&[], ":every 5 tick\nnow\n").assert_status(0);
    let outcome = fake.script(&[], ":after 50 late\nbad a=\nnope a=1 a=2\n");
    outcome.assert_status(2);
    assert!(start.elapsed() < Duration::from_secs(40));
}

#[test]
fn timers_are_listed_changed_and_cancelled() {
    let fake = Fake::echo();
    let script = ":every 100 tick\n:after 200 once a=1\n:timers\n:timer 2 0.1\n:cancel 1\n:wait NEVER --timeout 1\n:timers\n";
    let outcome = fake.script(&["-k"], script);
    outcome.assert_status(4);
    let values = outcome.json();
    let mut lists = values.iter().filter_map(Value::as_array);
    let second = json!({"id": 2, "when": "after 200 s", "runs": 0, "line": "once a=1"});
    assert_eq!(
        lists.next().map(|list| &list[1]),
        Some(&second),
        "{outcome}"
    );
    assert_eq!(lists.next(), Some(&Vec::new()), "{outcome}");
    assert!(values.contains(&json!("once")), "{outcome}");
    for (line, says) in [
        (":timer 7 1", "there is no timer 7"),
        (":cancel x", "there is no timer x"),
        (":every", "usage: :every TIME LINE"),
        (":every 1", "usage: :every TIME LINE"),
        (":every soon stop", "`soon` is not a duration"),
        (":every -1 stop", "`-1` is not a duration"),
        (":after 1 a=b", "expected a command first"),
    ] {
        fake.script(&["-e", line], "").assert_fails(2, says);
    }
}

#[test]
fn an_error_in_a_timers_line_ends_nothing() {
    let qemu = Qemu::start();
    let mut running = qemu.running(&[]);
    running.send(":every 0.1 nonsense");
    for _ in 0..2 {
        running.wait_for_complaint("timer 1: `nonsense`: CommandNotFound");
    }
    running.send("query-status");
    assert!(running.line().contains("status"));
}

#[test]
fn a_timers_line_waits_while_there_is_no_connection() {
    let mut qemu = Qemu::named("before");
    let mut terminal = qemu.prompt();
    terminal.keys(":every 0.05 query-name\r");
    terminal.wait_for_text("[timer 1: query-name]\n{\n  \"name\": \"before\"");
    qemu.restart_with(&["-machine", "none", "-name", "after"]);
    terminal.wait_for_text("[timer 1: query-name]\n{\n  \"name\": \"after\"");
    let output = terminal.output();
    // The one that was in flight, at most.
    assert!(output.matches("is unknown: ").count() <= 1, "{output}");
    assert!(!output.contains("not connected"), "{output}");
}

#[test]
fn a_paused_timer_does_not_run() {
    let fake = Fake::answering(|command| success(command, command["execute"].clone()));
    let script = ":every 0.1 tick\n:timer 1 off\n:timers\nfirst\n:wait NEVER --timeout 0.5\n\
                  :timer 1 on\nlast\n:wait NEVER --timeout 0.5\n";
    let outcome = fake.script(&["-k"], script);
    outcome.assert_status(4);
    let lines = outcome.lines();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("every 0.1 s, paused")),
        "{outcome}"
    );
    let at = |word: &str| lines.iter().position(|line| line == word);
    let (first, last) = (at("\"first\""), at("\"last\""));
    let (first, last) = (first.expect("it ran"), last.expect("it ran"));
    let ticks = |from: usize, to: usize| {
        let ticks = lines[from..to].iter();
        ticks.filter(|line| *line == "\"tick\"").count()
    };
    // One may have been on its way when it was paused.
    assert!(ticks(first, last) <= 1, "{outcome}");
    assert!(ticks(last, lines.len()) >= 2, "{outcome}");
}

#[test]
fn a_script_says_at_its_end_which_timers_were_still_to_come() {
    let qemu = Qemu::start();
    let outcome = qemu.qmpsh(&[":every", "60", "query-name"]);
    outcome
        .assert_status(0)
        .assert_says("`query-name` (every 60 s) ");
    outcome.assert_says("still to come when the script ended");
    let outcome = qemu.qmpsh(&["-e", ":after 60 stop", "-e", ":quit"]);
    outcome
        .assert_status(0)
        .assert_says("`stop` (after 60 s) has not run, and was still to come");
    let outcome = qemu.qmpsh(&["-e", ":every 60 query-name", "-e", ":cancel 1"]);
    assert!(!outcome.stderr().contains("to come"), "{outcome}");
}
