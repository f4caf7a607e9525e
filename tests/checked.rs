//! What is checked before anything is sent, and what a dry run prints.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use qmpsh::schema::{Scalar, Schema, Type};
use serde_json::{Value, json};

use crate::common::fake::{Fake, success};
use crate::common::told::Told;
use crate::common::{Qemu, qmpsh, scratch, text};

#[test]
fn nothing_is_sent_if_one_of_several_lines_is_wrong() {
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    let outcome = qemu.qmpsh(&["-e", "stop", "-e", ":wait", "-e", "cont", "-e", "cont x"]);
    outcome
        .assert_fails(2, "usage: :wait NAME")
        .assert_says("expected KEY=VALUE, found `x`")
        .assert_stdout("");
    // An event that this server has not is found in its schema.
    let outcome = qemu.qmpsh(&["-e", "stop", "-e", ":wait STOPP"]);
    outcome.assert_fails(2, "did you mean `STOP`?");
    let status = qemu.control("query-status").stdout();
    assert!(status.contains("running"), "{status}");
}

#[test]
fn a_file_is_checked_whole_and_every_wrong_line_is_told_with_its_place() {
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    let script = qemu.directory.path().join("script");
    let lines =
        "stop\n:let x = query-status\n:after 5x cont\n:nope\ncont $x $y=1\ncont\ntransaction(\n";
    std::fs::write(&script, lines).expect("a file of ours");
    let outcome = qemu.qmpsh(&["-f", text(&script)]);
    let name = text(&script);
    outcome
        .assert_fails(2, "`5x` is not a duration")
        .assert_says(&format!("{name}:4: `:nope`: there is no built-in"))
        .assert_says(&format!("{name}:5: "))
        .assert_says("the transaction is not closed")
        .assert_stdout("");
    let status = qemu.control("query-status").stdout();
    assert!(status.contains("running"), "{status}");
    // It needs no server to tell.
    let outcome = qmpsh(&["-c", "/nowhere/x.sock", "-f", name], "");
    outcome.assert_fails(2, "`5x` is not a duration");
}

#[test]
fn a_right_file_runs_as_before() {
    let qemu = Qemu::start();
    let script = qemu.directory.path().join("script");
    let lines = ":let name = query-name\nstop\n:wait STOP --timeout 5\ntransaction(\n)\n";
    std::fs::write(&script, lines).expect("a file of ours");
    let outcome = qemu.qmpsh(&["-f", text(&script)]);
    assert_eq!(outcome.assert_status(0).json()[1]["event"], "STOP");
}

#[test]
fn a_dry_run_with_an_address_types_as_the_server_has_it_and_sends_nothing() {
    let qemu = Qemu::with_args(&["-machine", "q35"]);
    let line = "block_resize node-name=5 size=1G";
    let outcome = qemu.qmpsh(&["-n", "-e", line, "-e", "stop"]);
    outcome.assert_status(0).assert_stdout(
        "{\"execute\":\"block_resize\",\"arguments\":{\"node-name\":\"5\",\"size\":1073741824}}\n\
         {\"execute\":\"stop\"}\n",
    );
    assert_eq!(outcome.stderr(), "");
    let status = qemu.control("query-status").stdout();
    assert!(status.contains("running"), "{status}");
    let outcome = qmpsh(&["-n", "-e", line, "-e", line], "");
    let said = outcome.assert_status(0).stderr();
    assert_eq!(said.matches("what they look like").count(), 1, "{said}");
}

#[test]
fn a_dry_run_tells_every_wrong_line_and_prints_the_others() {
    let outcome = qmpsh(
        &["-n"],
        "a x\n:wait\n:every 2s\nb y=1\n:wait STOP\n:on STOP do c\n",
    );
    outcome
        .assert_fails(2, "line 1: ")
        .assert_says("line 2: `:wait`: usage")
        .assert_says("line 3: `:every 2s`: usage")
        .assert_stdout("{\"execute\":\"b\",\"arguments\":{\"y\":1}}\n");
}

/// What the types of words are asked with.
const ASKED: [&str; 2] = ["query-qmp-schema", "qom-list"];

/// Lines for every command of the schema: each of its members that takes one word, with a word whose type is not what
/// it looks like.
fn lines(schema: &Schema) -> String {
    let mut lines = String::new();
    for (name, command) in schema.commands() {
        if ASKED.contains(&name) {
            continue;
        }
        let arguments = schema.object(command.arguments).expect("an object");
        write!(lines, "{name}").expect("a string takes all");
        for member in &arguments.members {
            let word = match schema.get(member.of) {
                Type::Scalar(Scalar::Str | Scalar::Any) => "5",
                Type::Scalar(Scalar::Int) => "1G",
                Type::Scalar(Scalar::Number) => "1.5",
                Type::Scalar(Scalar::Bool) => "on",
                Type::Enum(values) => &values[0].name,
                Type::Alternate(_) => "7",
                _ => continue,
            };
            write!(lines, " {}={word}", member.name).expect("a string takes all");
        }
        lines.push('\n');
    }
    lines
}

#[test]
fn a_dry_run_and_the_real_run_agree_on_the_message_of_every_command() {
    let told = Told::by(&Qemu::start());
    let lines = lines(&told.schema());
    let got: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (seen, schema) = (got.clone(), told.json.clone());
    let fake = Fake::saying(move |command| {
        match command["execute"].as_str() {
            Some("query-qmp-schema") => {
                return success(command, serde_json::from_str(&schema).expect("JSON"));
            }
            Some("qom-list") => return success(command, json!([])),
            _ => {}
        }
        let mut message = command.clone();
        if let Some(message) = message.as_object_mut() {
            message.remove("id");
        }
        seen.lock().expect("no panic").push(message);
        success(command, json!({}))
    });
    let directory = scratch();
    let script = directory.path().join("script");
    std::fs::write(&script, &lines).expect("a file of ours");
    let dry = fake.script(&["-n", "-o", "json", "-f", text(&script)], "");
    let printed = dry.assert_status(0).json();
    assert!(printed.len() > 150, "{}", printed.len());
    assert_eq!(*got.lock().expect("no panic"), Vec::<Value>::new());
    fake.script(&["-f", text(&script)], "").assert_status(0);
    let sent = got.lock().expect("no panic");
    assert_eq!(sent.len(), printed.len());
    for (sent, printed) in sent.iter().zip(&printed) {
        assert_eq!(sent, printed);
    }
}
