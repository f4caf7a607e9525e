//! `> FILE`, `>> FILE` and `| !CMD`: what a line shows, in a file or through a program.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::common::fake::{Fake, event, failure, success};
use crate::common::terminal::CTRL_C;
use crate::common::{mode, scratch, text, wait_for};

/// Answers each command with two disks, except `fail`. `go` causes an event.
fn disks() -> Fake {
    Fake::start(|peer| {
        peer.greet();
        while let Some(command) = peer.command() {
            let disks = json!([{"name": "a b\u{1b}[31m"}, {"name": "c"}]);
            peer.send(match command["execute"].as_str() {
                Some("fail") => failure(&command, "no"),
                _ => success(&command, disks),
            });
            if command["execute"] == "go" {
                peer.send(event("DONE", &json!({})));
            }
        }
    })
}

const ALL: &str = "[{\"name\":\"a b\\u001b[31m\"},{\"name\":\"c\"}]\n";

#[test]
fn an_arrow_before_more_than_one_word_is_explained() {
    let fake = disks();
    let help = "`> FILE` ends a line, with one name";
    for line in [
        "query-status | .status > x y",
        "query-status | . > my file.json &",
    ] {
        fake.qmpsh(&["-e", line]).assert_fails(2, help);
    }
    // Another mistake is not about it.
    let run = fake.qmpsh(&["-e", "query-status | (.a > 5) | ]"]);
    assert!(!run.stderr().contains(help), "{run}");
}

#[test]
fn a_line_writes_what_it_shows_to_a_file_that_only_its_owner_can_read() {
    let disks = disks();
    let home = scratch();
    let path = home.path().join("a file");
    let name = text(&path);
    let read = || fs::read_to_string(&path).expect("it was written");
    for (options, line, expected) in [
        (&[][..], format!("q > '{name}'"), ALL.to_owned()),
        (&[], format!("q | length > \"{name}\""), "2\n".to_owned()),
        (
            &[],
            format!("q | .[1] >> '{name}'"),
            "2\n{\"name\":\"c\"}\n".to_owned(),
        ),
        (
            &["-o", "raw"],
            format!("q | .[].name > '{name}'"),
            "a b\u{1b}[31m\nc\n".to_owned(),
        ),
        (
            &["-p"],
            format!("q | .[1] > '{name}'"),
            "{\n  \"name\": \"c\"\n}\n".to_owned(),
        ),
        (
            &["-o", "table"],
            format!("q | [.[1]] > '{name}'"),
            "name\nc\n".to_owned(),
        ),
        (
            &[],
            format!(":set output > '{name}'"),
            "{\"output\":\"auto\"}\n".to_owned(),
        ),
        (&[], format!("q > '{name}' &"), ALL.to_owned()),
    ] {
        let outcome = disks.qmpsh(&[options, &["-e", &line]].concat());
        outcome.assert_status(0).assert_stdout("");
        assert_eq!(read(), expected, "{line}");
        assert_eq!(mode(&path), 0o600, "{line}");
    }
    // The words of the shell are words here.
    disks
        .qmpsh(&["q", "|", "length", ">", name])
        .assert_status(0);
    assert_eq!(read(), "2\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
    disks.qmpsh(&["q", ">", name]).assert_status(0);
    assert_eq!(
        mode(&path),
        0o644,
        "a file that was there keeps its permissions"
    );
}

#[test]
fn a_command_that_fails_leaves_the_file_as_it_was() {
    let disks = disks();
    let home = scratch();
    let path = home.path().join("f");
    fs::write(&path, "old").expect("room");
    for line in ["fail", "q | .x", "q | 1, error(\"no\")"] {
        let line = format!("{line} > {}", text(&path));
        disks.qmpsh(&["-e", &line]).assert_status(1);
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "old");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_the_command_is_sent() {
    let fake = Fake::answering(|command| panic!("{command}"));
    for (path, message) in [
        ("/", "cannot write to /: is a directory"),
        (
            "/no/such/directory/f",
            "cannot write to /no/such/directory/f: No such file",
        ),
    ] {
        let outcome = fake.qmpsh(&["stop", ">", path]);
        outcome.assert_fails(1, message);
    }
}

#[test]
fn a_full_disk_is_told_with_what_is_missing() {
    let outcome = disks().qmpsh(&["q", ">", "/dev/full"]);
    outcome.assert_fails(
        1,
        "only 0 of 40 bytes were written to /dev/full: No space left on device",
    );
}

#[test]
fn a_line_shows_its_text_through_a_program_whose_failure_is_the_line_s() {
    let disks = disks();
    let outcome = disks.script(
        &[],
        "q | .[1].name\nq | .[].name | !tr a-c x-z | sed 's/^/>/'\nq | .[1].name | !cat; echo $?\n:set output | !cat\n",
    );
    outcome
        .assert_status(0)
        .assert_stdout("\"c\"\n>\"x y\\u001y[31m\"\n>\"z\"\n\"c\"\n0\n{\"output\":\"auto\"}\n");
    let outcome = disks.qmpsh(&["q", "|", "!grep nothing"]);
    outcome.assert_fails(1, "`grep nothing` ended with exit status 1");
    let outcome = disks.qmpsh(&["q", "|", "!no-such-program"]);
    outcome
        .assert_status(1)
        .assert_says("`no-such-program` ended with exit status 127");
    // It need not read everything.
    let outcome = disks.qmpsh(&["q", "|", "[range(100000)] | .[]", "|", "!head -n 1"]);
    outcome.assert_status(0).assert_stdout("0\n");
    let outcome = disks.script(&[], ":let x = q | !cat\n");
    outcome.assert_fails(2, "returns no value");
}

#[test]
fn lines_of_listeners_timers_and_the_background_have_tails() {
    let disks = disks();
    let home = scratch();
    let path = home.path().join("f");
    let name = text(&path);
    let mut running = disks.running(&[]);
    running.send(&format!(":on DONE do q | length >> {name}"));
    running.send("go | empty");
    wait_for("the listener's line", || {
        (fs::read_to_string(&path).ok()? == "2\n").then_some(())
    });
    running.send(":after 0 q | .[1].name | !tr c d");
    assert_eq!(running.line(), "\"d\"");
    running.close();
    running.wait();
}

#[test]
fn what_never_ends_cannot_be_written() {
    let disks = disks();
    for line in [":events -f > f", ":events -f | !cat"] {
        let outcome = disks.script(&[], format!("{line}\n"));
        outcome.assert_fails(2, "this runs until the user stops it");
    }
}

#[test]
fn a_dry_run_writes_no_file_and_runs_no_program() {
    let home = scratch();
    let path = home.path().join("f");
    let disks = disks();
    for tail in [format!("> {}", text(&path)), "| !touch f".to_owned()] {
        let outcome = disks.qmpsh(&["-n", "-e", &format!("q {tail}")]);
        outcome
            .assert_status(0)
            .assert_stdout("{\"execute\":\"q\"}\n");
    }
    assert!(!path.exists());
}

#[test]
fn at_the_prompt_a_program_has_the_terminal_and_its_ctrl_c() {
    let disks = disks();
    let mut terminal = disks.prompt();
    terminal.keys("q | !less\r");
    terminal.wait_for_text("(END)");
    terminal.keys(CTRL_C);
    // It drops the keys that came before it was done with that.
    wait_for("the end of less", || {
        terminal.keys("q");
        terminal.screen().contains("(QEMU)").then_some(())
    });
    terminal.cancel();
    terminal.keys("q | \"it has begun\" | !cat - /dev/tty\r");
    terminal.wait_for_line("\"it has begun\"");
    terminal.keys(CTRL_C);
    terminal.wait_for_prompt();
    terminal.assert_answer("q | !false", "`false` ended with exit status 1");
    // What a guest says is as harmless as without the program.
    terminal.enter(":set output raw");
    let screen = terminal.enter("q | .[0].name | !cat");
    assert!(screen.contains("a b\\u{1b}[31m"), "{screen}");
    terminal.enter(":after 0 q | .[1].name | !tr c d");
    terminal.wait_for_text("tr c d]\nd\n");
    terminal.leave();
}
