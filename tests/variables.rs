//! `$NAME`, `--var`, `:let`; and lines that end a run: `:quit N`, `:fail`.

use serde_json::{Value, json};

use crate::common::fake::{Fake, event, success};
use crate::common::{Qemu, qmpsh};

/// The arguments of the only message that a dry run of `line` prints.
fn arguments(vars: &[&str], line: &str) -> Value {
    let vars = vars.iter().flat_map(|var| ["--var", var]);
    let args: Vec<&str> = vars.chain(["-n", "-e", line]).collect();
    let outcome = qmpsh(&args, "");
    outcome.assert_status(0).json()[0]["arguments"].clone()
}

#[test]
fn any_text_gets_from_a_shell_into_a_value_unchanged() {
    for text in [
        "a b",
        "it's \"that\"",
        "{'a': 1}",
        "$x ${y} \\n",
        "line\nbreak",
        "# > | &",
        "é漢",
        "",
        "'",
    ] {
        let arguments = arguments(&[&format!("f={text}")], "c name=$f quoted=\"<$f>\"");
        assert_eq!(
            arguments,
            json!({"name": text, "quoted": format!("<{text}>")})
        );
    }
}

#[test]
fn a_variable_is_typed_as_a_bare_word_is() {
    let qemu = Qemu::start();
    let line = "object-add qom-type=memory-backend-ram id=$n size=$size prealloc=$prealloc";
    let vars = ["--var", "n=m7", "--var", "size=2M", "--var", "prealloc=off"];
    let outcome = qemu.qmpsh(&[&vars[..], &["-e", line, "-e", "query-memdev"]].concat());
    let memory = &outcome.assert_status(0).json()[1][0];
    assert_eq!(
        (&memory["id"], &memory["size"], &memory["prealloc"]),
        (&json!("m7"), &json!(2 << 20), &json!(false))
    );
}

#[test]
fn what_a_command_returns_is_a_variable_of_the_lines_after_it() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("query-nodes") => success(command, json!([{"node-name": "a b", "size": 512}])),
        _ => success(command, command["arguments"].clone()),
    });
    let script = ":let nodes = query-nodes\n\
                  :let n = ${nodes.0.node-name}\n\
                  grow node-name=$n size=${nodes.0.size} label=\"$n!\" all=$nodes <$n\n\
                  grow node-name=$n size=${nodes.0.size} label=\"$n!\" all.0=$n\n";
    let outcome = fake.script(&["-k"], script);
    assert_eq!(
        outcome.json()[0],
        json!({"node-name": "a b", "size": 512, "label": "a b!", "all": ["a b"]})
    );
    outcome.assert_status(1).assert_says("`<a b`");
}

#[test]
fn an_unknown_variable_is_an_error_and_nothing_is_sent() {
    let fake = Fake::echo();
    let outcome = fake.script(&["--var", "disk=x"], "c id=$dsk\n");
    outcome.assert_fails(
        2,
        "there is no variable `dsk`\n  c id=$dsk\n       ^^^^\nhelp: did you mean `$disk`?",
    );
    outcome.assert_stdout("");
    fake.qmpsh(&["-e", ":wait JOB id=$nope"])
        .assert_fails(2, "`nope`");
    fake.qmpsh(&["-e", ":every 1 c id=$nope"])
        .assert_fails(2, "`nope`");
}

#[test]
fn the_value_of_a_variable_is_masked_where_its_key_is_a_secret_s() {
    let fake = Fake::answering(|command| {
        assert_eq!(command["arguments"]["password"], "hunter2");
        success(command, json!({}))
    });
    let script = "set_password protocol=vnc password=$p\n:let password = 'hunter2'\n:let\n\
                  set_password protocol=vnc password=$p id=$p.$q\n";
    let outcome = fake.script(&["-v", "--var", "p=hunter2"], script);
    assert!(!outcome.stderr().contains("hunter2"), "{outcome}");
    assert!(
        !outcome.stdout().contains("password = \"hunter2"),
        "{outcome}"
    );
    outcome.assert_says("no variable `q`");
}

#[test]
fn a_built_in_s_arguments_may_name_variables() {
    let qemu = Qemu::start();
    let outcome = qemu.script(
        &["--var", "event=RESUME", "--var", "format=pretty"],
        "stop\ncont\n:wait $event --timeout 60\n:set output ${format}\n:set output\n",
    );
    outcome.assert_status(0);
    assert!(outcome.stdout().contains("RESUME"), "{outcome}");
    assert!(
        outcome
            .stdout()
            .ends_with("{\n  \"output\": \"pretty\"\n}\n"),
        "{outcome}"
    );
}

#[test]
fn the_line_of_a_listener_has_its_event() {
    let fake = Fake::start(|peer| {
        peer.greet();
        while let Some(command) = peer.command() {
            peer.send(success(&command, command["arguments"].clone()));
            if command["execute"] == "go" {
                peer.send(event("JOB", &json!({"id": "j 1", "n": 3})));
                peer.send(event("JOB", &json!({"id": "j 2", "n": 4})));
            }
            if command["arguments"]["n"] == 4 {
                peer.send(event("DONE", &json!({})));
            }
        }
    });
    let script = ":let who = 'me'\n\
                  :on JOB do dismiss id=${event.data.id} n=${event.data.n} by=$who\n\
                  :let who = 'you'\ngo\n:wait DONE\n:after 0 go.\n";
    let outcome = fake.script(&[], script);
    let replies = outcome.json();
    for expected in [
        json!({"id": "j 1", "n": 3, "by": "you"}),
        json!({"id": "j 2", "n": 4, "by": "you"}),
    ] {
        assert!(replies.contains(&expected), "{outcome}");
    }
    let outcome = fake.script(&[], "c id=${event.data.id}\n");
    outcome.assert_fails(2, "there is no variable `event`");
}

#[test]
fn a_timer_s_line_sees_the_variable_as_it_is_when_it_runs() {
    let fake = Fake::answering(|command| success(command, command["arguments"].clone()));
    let script = ":let n = 'before'\n:after 300ms c n=$n\n:let n = 'after'\n";
    let outcome = fake.script(&[], script);
    assert_eq!(outcome.assert_status(0).json(), [json!({"n": "after"})]);
}

#[test]
fn a_dry_run_shows_a_variable_whose_value_only_the_server_knows_by_its_name() {
    let script = ":let n = query-name\nc a=$n b=\"${n.name}/x\"\n";
    let outcome = qmpsh(&["-n"], script);
    let sent = outcome.assert_status(0).json();
    assert_eq!(sent[0]["execute"], "query-name");
    assert_eq!(sent[1]["arguments"], json!({"a": "$n", "b": "${n.name}/x"}));
}

#[test]
fn a_line_that_ends_in_a_backslash_goes_on_in_the_next() {
    let script = "one \\\n  a=1 \\\r\n  b=2\ntwo a='x\\\ny'\n# no \\\nthree \\\n";
    let outcome = qmpsh(&["-n"], script);
    let sent = outcome.json();
    assert_eq!(sent[0]["arguments"], json!({"a": 1, "b": 2}));
    assert_eq!(sent[1]["arguments"], json!({"a": "x\\\ny"}));
    outcome.assert_fails(2, "line 7: no line follows the `\\` at the end of this one");
    let outcome = qmpsh(&["-n", "-e", "one \\\n a=1\ntwo"], "");
    assert_eq!(outcome.assert_status(0).json().len(), 2);
}

#[test]
fn a_script_of_continued_lines_takes_time_in_proportion() {
    let mut script = "c \\\n".to_owned();
    for number in 0..100_000 {
        script.push_str(&format!("a{number}=1 \\\n"));
    }
    script.push_str("end=1\n");
    let outcome = qmpsh(&["-n"], script);
    let sent = &outcome.assert_status(0).json()[0];
    assert_eq!(
        sent["arguments"].as_object().map(|all| all.len()),
        Some(100_001)
    );
}

#[test]
fn empty_values_are_not_printed_when_quiet() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("query") => success(command, json!({"a": 1})),
        Some("list") => success(command, json!([])),
        _ => success(command, json!({})),
    });
    let outcome = fake.script(&["-q"], "do\nquery\nlist\ndo\n");
    outcome.assert_status(0).assert_stdout("{\"a\":1}\n[]\n");
    let outcome = fake.script(&[], "do\n:set quiet on\ndo\n");
    outcome.assert_status(0).assert_stdout("{}\n");
}

#[test]
fn a_script_ends_with_the_status_that_quit_names() {
    let fake = Fake::echo();
    for (script, status) in [
        ("a\n:quit 7\nb\n", 7),
        ("a\n:quit\nb\n", 0),
        (":nope\n:quit 0\n", 0),
        (":nope\n:quit\n", 2),
        ("a\nexit 255\n", 255),
        (":quit 256\n", 2),
        (":fail the disk is gone\nb\n", 1),
    ] {
        let outcome = fake.script(&["-k"], script);
        assert_eq!(outcome.status(), Some(status), "{script}{outcome}");
    }
    let outcome = fake.script(&["--var", "disk=d0"], "a\n:fail \"$disk is\" gone\nb\n");
    outcome.assert_fails(1, "d0 is gone");
    outcome.assert_stdout("\"a\"\n");
}

#[test]
fn a_number_is_a_value_that_needs_no_quotes() {
    let qemu = Qemu::start();
    let script = ":let n = 17\n:let size = 1G\n:let\n";
    let outcome = qemu.script(&[], script);
    outcome.assert_status(0);
    assert_eq!(
        outcome.json()[0],
        serde_json::json!({"n": "17", "size": "1G"})
    );
}
