//! A secret that a line, a message or a command line has is nowhere to be seen afterwards.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use qmpsh::lang::{
    Object, Value, Words, conceal, line_has_secret, mask_arguments, mask_secrets, mask_text,
};
use serde_json::json;

use crate::common::fake::{Fake, event, failure, success};
use crate::common::run::run_on;
use crate::common::terminal::UP;
use crate::common::told::{self, Told};
use crate::common::{Qemu, qemu, scratch, text, wait_for};

/// What nobody writes by accident.
const SECRET: &str = "Hunter2+Zebra";

/// The same in base64, and as a number.
const ALL: [&str; 3] = [SECRET, "SHVudGVyMitaZWJyYQ==", "407110704407"];

/// Lines with the secret in every position that is known to be one.
const LINES: [&str; 34] = [
    "set_password protocol=vnc password=Hunter2+Zebra",
    "set_password protocol=vnc PASSWORD=Hunter2+Zebra",
    "set_password protocol=vnc password='Hunter2+Zebra' oops",
    "set_password protocol=vnc password:=Hunter2+Zebra",
    "set_password protocol=vnc password:=407110704407",
    "set_password vnc Hunter2+Zebra",
    "set_password Hunter2+Zebra oops",
    "set_password protocol=vnc pasword=Hunter2+Zebra",
    "set_password protocol=vnc password = Hunter2+Zebra",
    "change-vnc-password password={'a':['Hunter2+Zebra']}",
    "object-add qom-type=secret id=s1 data=Hunter2+Zebra",
    "object-add qom-type=secret id=s2 dat=Hunter2+Zebra",
    "object-add qom-type=secret id=s3 props.data=Hunter2+Zebra",
    "object-add qom-type=secret id=s4 data=Hunter2+Zebra format=nonsense",
    "object-add qom-type=secret id=s5 data=SHVudGVyMitaZWJyYQ== format=base64",
    "object-add qom-typ=secret id=s6 data=Hunter2+Zebra",
    "{\"execute\": \"object-add\", \"arguments\": {\"qom-type\": \"secret\", \"id\": \"s7\", \"data\": \"Hunter2+Zebra\"}}",
    "{\"execute\": \"x\", \"arguments\": {\"p\\u0061ssword\": \"Hunter2+Zebra\"}}",
    "{'execute': 'x', 'arguments': {'key': {'a': ['Hunter2+Zebra']}}}",
    "{'execute': 'x', 'arguments': {'key': 'Hunter2+Zebra'} oops",
    "blockdev-add driver=https url=https://u:Hunter2+Zebra@127.0.0.1:1/a node-name=n1",
    "blockdev-add driver=https url=https://127.0.0.1:1/a cookie=Hunter2+Zebra node-name=n2",
    "blockdev-add driver=raw file={'driver':'https','url':'https://u:Hunter2+Zebra@127.0.0.1:1/','x':1} node-name=n3",
    "blockdev-add driver=raw node-name=n4 file='json:{\"driver\":\"https\",\"password\":\"Hunter2+Zebra\"}'",
    "human-monitor-command command-line='object_add secret,id=s8,data=Hunter2+Zebra,x=y'",
    "human-monitor-command command-line='set_password vnc Hunter2+Zebra'",
    "human-monitor-command command-line='drive_add 0 file=https://u:Hunter2+Zebra@127.0.0.1:1/,if=none'",
    "guest-exec path=/bin/sh input-data=SHVudGVyMitaZWJyYQ==",
    "guest-set-user-password username=u password=SHVudGVyMitaZWJyYQ== crypted=false",
    "qom-set path=/objects/s1 property=data value=Hunter2+Zebra",
    "qom-set path=/objects/s1 property=dat value=Hunter2+Zebra",
    "transaction( abort x=1 password=Hunter2+Zebra )",
    "query-nonsense # password=Hunter2+Zebra",
    "x new-password=Hunter2+Zebra user_password=Hunter2+Zebra",
];

#[track_caller]
fn assert_hidden(text: &str, what: &str) {
    for secret in ALL {
        for line in text.lines() {
            assert!(!line.contains(secret), "{what}: {line}");
        }
    }
}

/// Looks into every file in `directory`.
#[track_caller]
fn assert_no_file_has_it(directory: &Path) {
    for entry in fs::read_dir(directory)
        .expect("a directory of ours")
        .flatten()
    {
        let path = entry.path();
        match entry.file_type().expect("it is there") {
            kind if kind.is_dir() => assert_no_file_has_it(&path),
            kind if kind.is_file() => {
                let bytes = fs::read(&path).expect("a file of ours");
                assert_hidden(&String::from_utf8_lossy(&bytes), text(&path));
            }
            _ => {}
        }
    }
}

#[test]
fn no_run_of_a_line_says_or_keeps_its_secret() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let log = home.join("log");
    let path = text(&log);
    for line in LINES {
        let outcome = qemu.qmpsh(&["-v", "-l", path, "-e", line]);
        assert_hidden(&outcome.to_string(), &format!("-e {line}"));
    }
    let script = LINES.map(|line| format!("{line}\n")).concat();
    for options in [&["-v", "-l", path, "-k"][..], &["-v", "-k", "-o", "pretty"]] {
        let outcome = qemu.script(options, &script);
        assert_hidden(&outcome.to_string(), &format!("{options:?}"));
    }
    // What would be sent is what a dry run is for; what it says besides is for a person.
    let outcome = qemu.script(&["-n", "-k"], &script);
    assert_hidden(&outcome.stderr(), "a dry run");
    for line in LINES {
        let words: Vec<_> = line.split(' ').collect();
        let outcome = qemu.qmpsh(&[&["-v", "-l", path], &words[..]].concat());
        assert_hidden(&outcome.to_string(), &format!("{words:?}"));
    }
    assert!(fs::read_to_string(&log).expect("a log").contains("••••"));
    assert_no_file_has_it(home);
}

#[test]
fn the_prompt_keeps_no_secret_and_repeats_none() {
    let qemu = Qemu::start();
    let home = qemu.directory.path();
    let log = home.join("log");
    let mut terminal = qemu.prompt_with(&["-l", text(&log)]);
    terminal.enter("query-name");
    for line in LINES {
        // A line that is open goes on, and one that is wrapped is not compared.
        if line.len() > 70 || Words::split(line).is_err() {
            continue;
        }
        terminal.keys(line);
        terminal.wait_for_text(line);
        terminal.keys("\r");
        terminal.wait("the next prompt", |screen| {
            screen.lines().last() == Some("(QEMU)")
        });
        // Once, as it was typed.
        let screen = terminal.screen_with_hints();
        let shown: usize = ALL
            .map(|secret| screen.matches(secret).count())
            .iter()
            .sum();
        let typed: usize = ALL.map(|secret| line.matches(secret).count()).iter().sum();
        assert_eq!(shown, typed, "{screen}");
        terminal.keys("\x0c");
        terminal.wait("an empty screen", |screen| screen == "(QEMU)");
    }
    terminal.leave();
    assert_no_file_has_it(home);
    // Lines without one are kept.
    let mut terminal = qemu.prompt();
    terminal.keys(UP);
    terminal.wait_for_line("(QEMU) query-name");
    terminal.cancel();
    terminal.leave();
}

#[test]
fn timers_and_listeners_are_listed_and_reported_without_their_secrets() {
    let qemu = Qemu::start();
    let log = qemu.directory.path().join("log");
    let mut run = qemu.running(&["-k", "-v", "-l", text(&log)]);
    run.send(":every 0.05s set_password protocol=vnc password=Hunter2+Zebra");
    run.send(":every 0.05s human-monitor-command command-line='object_add secret,id=a,data=Hunter2+Zebra'");
    run.send(":on STOP password=Hunter2+Zebra do set_password protocol=vnc password=Hunter2+Zebra");
    run.send(":on * do set_password protocol=vnc password=Hunter2+Zebra");
    run.send(":timers");
    run.send(":on");
    run.send("stop");
    run.send(":status");
    let complaint = run.wait_for_complaint("timer 1: ");
    assert_hidden(&complaint, "a report");
    run.send("query-name");
    let mut said = vec![complaint];
    wait_for("the last reply", || {
        let line = run.try_line()?;
        let is_last = line == "{}";
        said.push(line);
        is_last.then_some(())
    });
    run.close();
    let (_, stderr) = run.wait();
    said.push(stderr);
    let said = said.join("\n");
    assert!(
        said.contains("set_password protocol=vnc password="),
        "{said}"
    );
    assert_hidden(&said, "standard output and error");
    assert_no_file_has_it(qemu.directory.path());
}

#[test]
fn a_client_that_holds_the_monitor_is_named_without_its_secrets() {
    let qemu = Qemu::start();
    let holder = qemu.running(&[
        "-k",
        "-e",
        "set_password vnc Hunter2+Zebra",
        "-e",
        ":wait RESET --timeout 60",
    ]);
    holder.wait_for_complaint("qmpsh");
    let outcome = qemu.qmpsh(&["--connect-timeout", "2", "query-name"]);
    outcome.assert_says("another client uses this monitor");
    assert_hidden(&outcome.to_string(), "the client that waits");
}

#[test]
fn a_launched_vm_is_shown_without_the_secrets_of_its_command_line() {
    let home = scratch();
    let program = qemu();
    let object = format!("secret,id=s,data={SECRET}");
    let vm = [
        &*program, "-machine", "none", "-display", "none", "-object", &object,
    ];
    let launch = |options: &[&str], more: &[&str]| {
        let mut command = crate::common::command(home.path());
        command.args(["--launch", "-v", "-l", text(&home.path().join("log"))]);
        command.args(options).arg("--").args(vm).args(more);
        run_on(command, std::process::Stdio::null())
    };
    let shown = launch(&["-e", ":vm", "-e", ":vm log"], &[]);
    shown.assert_status(0);
    assert!(shown.stdout().contains("secret,id=s,data=••••"), "{shown}");
    assert_hidden(&shown.to_string(), ":vm");
    // QEMU itself gets it.
    let asked = launch(&["-e", "qom-get path=/objects/s property=data"], &[]);
    assert!(asked.stdout().contains(SECRET), "{asked}");
    // QEMU quotes the option that it does not take.
    for wrong in [
        &["-object", "secret,id=t,data=Hunter2+Zebra,x=y"][..],
        &["-nonsense", "password=Hunter2+Zebra"],
    ] {
        let failed = launch(&["-e", ":vm"], wrong);
        assert_hidden(&failed.to_string(), "a launch that fails");
        failed.assert_says("command: ");
    }
    assert_no_file_has_it(home.path());
}

#[test]
fn what_a_server_says_of_secrets_is_masked_in_the_log_and_where_it_is_quoted() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("ask") => success(
            command,
            json!([{"password": SECRET, "a": 1}, {"name": "data", "value": SECRET},
                   {"url": format!("https://u:{SECRET}@h/")}, {"file": format!("json:{{\"key\":\"{SECRET}\"}}")}]),
        ),
        _ => failure(
            command,
            &format!("Could not open 'https://u:{SECRET}@h/': no such host"),
        ),
    });
    let home = scratch();
    let log = home.path().join("log");
    let outcome = fake.qmpsh(&["-v", "-l", text(&log), "-e", "ask", "-e", "fail"]);
    // What was asked for is printed.
    assert!(outcome.stdout().contains(SECRET), "{outcome}");
    assert_hidden(&outcome.stderr(), "-v and the error");
    outcome.assert_says("no such host");
    assert_no_file_has_it(home.path());
}

/// Every spelling of an argument that is a secret.
fn spellings(command: &str, key: &str) -> Vec<String> {
    let last = key.rsplit('.').next().expect("a segment");
    let inside = format!("{{\"{last}\": \"{SECRET}\"}}");
    let escaped = format!("\\u{:04x}{}", u32::from(last.as_bytes()[0]), &last[1..]);
    vec![
        format!("{command} {key}={SECRET}"),
        format!("{command} {key}='{SECRET}' x=1"),
        format!("{command} {key}=\"{SECRET}\""),
        format!("{command} {key}:=\"{SECRET}\""),
        format!("{command} {key}:=[\"{SECRET}\"]"),
        format!("{command} {key}={{'x': '{SECRET}'}}"),
        format!("{command} {key}={SECRET} oops"),
        format!("{command} {key}='{SECRET}"),
        format!("{command} {key}=[{SECRET} oops"),
        format!("{command} {}={SECRET}", key.to_uppercase()),
        format!("{command} a={inside}"),
        format!("{command} a={{'b': [{inside}]}}"),
        format!("{command} a=json:{inside}"),
        format!("{command} a='json:{inside}'"),
        format!("{command} a=b,{last}={SECRET}"),
        format!("{{\"execute\": \"{command}\", \"arguments\": {inside}}}"),
        format!("{{\"execute\": \"{command}\", \"arguments\": {{\"{escaped}\": \"{SECRET}\"}}}}"),
        format!("{{'execute': '{command}', 'arguments': {{'{last}': '{SECRET}'}}}}"),
        format!("{{'execute': '{command}', 'arguments': {{'{last}': '{SECRET}"),
        format!(":every 1s {command} {key}={SECRET}"),
        format!(":on STOP do {command} {key}={SECRET}"),
        format!("human-monitor-command command-line='{command} x,{last}={SECRET}'"),
    ]
}

/// The members of all arguments of all commands whose names say so, read without the code under test.
fn secret_members(told: &Told) -> Vec<String> {
    let mut names: Vec<String> = told
        .types
        .values()
        .filter(|entity| entity["meta-type"] == "object")
        .flat_map(|entity| told::list(entity, "members"))
        .filter_map(|member| member["name"].as_str())
        .filter(|name| {
            let is_id = name.ends_with("-secret") || name.ends_with("id");
            let is_one = ["password", "passwd", "cookie"]
                .iter()
                .any(|part| name.contains(part));
            !is_id && (is_one || ["secret", "key", "pass"].contains(name))
        })
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn no_spelling_of_a_secret_argument_of_this_qemu_shows_it() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let members = secret_members(&told);
    assert!(members.iter().any(|name| name == "password"), "{members:?}");
    let commands = ["set_password", "object-add", "blockdev-add", "x"];
    for member in &members {
        for path in [
            member.clone(),
            format!("a.0.{member}"),
            format!("file.{member}"),
        ] {
            for line in commands
                .iter()
                .flat_map(|command| spellings(command, &path))
            {
                assert!(line_has_secret(&line), "{line}");
                assert_hidden(&conceal(&line), &line);
                if let Some(masked) = mask_secrets(&line) {
                    assert_hidden(&masked, &line);
                }
            }
        }
    }
}

#[test]
fn the_data_of_an_object_for_a_secret_is_hidden_in_every_spelling() {
    for line in spellings("object-add qom-type=secret id=s", "data")
        .into_iter()
        .filter(|line| line.contains("qom-type=secret id=s data"))
    {
        assert_hidden(&conceal(&line), &line);
    }
    for key in ["data", "dat", "daat", "dta", "DATA", "props.data"] {
        for kind in ["secret", "secret_keyring", "secrt"] {
            let line = format!("object-add id=s {key}={SECRET} qom-type={kind}");
            assert_hidden(&conceal(&line), &line);
        }
    }
}

#[test]
fn names_that_are_no_secrets_of_this_qemu_are_left_alone() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let mut hidden: Vec<String> = told
        .types
        .values()
        .filter(|entity| entity["meta-type"] == "object")
        .flat_map(|entity| told::list(entity, "members"))
        .filter_map(|member| member["name"].as_str())
        .filter(|name| line_has_secret(&format!("c {name}=1")))
        .map(str::to_owned)
        .collect();
    hidden.sort();
    hidden.dedup();
    // What these QEMUs have, and no more.
    let known = [
        "cookie", "cookie64", "key", "pass", "password", "rxcookie", "secret", "txcookie",
    ];
    hidden.retain(|name| !known.contains(&&**name));
    assert!(hidden.is_empty(), "{hidden:?}");
    for (command, _) in &told.commands {
        assert!(!line_has_secret(command), "{command}");
        assert!(!line_has_secret(&format!("{command} id=x")), "{command}");
        assert!(!line_has_secret(&format!("help {command}")), "{command}");
    }
}

/// JSON around a secret, with texts that look like something.
fn around() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-z=:,'\"{}\\[\\] \\\\/@%#-]{0,20}",
        proptest::sample::select(vec![
            "secret",
            "json:{",
            "json:{\"password\": 1}",
            "https://u:p@h",
            "set_password vnc x",
            "data=1",
            "qcode",
        ])
        .prop_map(str::to_owned),
        proptest::collection::vec(any::<char>(), 0..10).prop_map(String::from_iter),
    ];
    let key = prop_oneof![
        "[a-z-]{0,8}",
        proptest::sample::select(vec![
            "type", "qom-type", "data", "value", "name", "props", "key", "x"
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        text.prop_map(Value::Text),
        any::<i32>().prop_map(|number| Value::Number(number.to_string())),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Object>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn masked_json_is_json_and_has_no_secret(
        before in around(), after in around(), inner in around(), levels in 0..4_usize,
        key in "(new-|user_)?(password|PASSWORD|passwd|pasword|passphrase)|secret|cookie|api-key",
    ) {
        let secret = match inner {
            Value::Object(_) | Value::Array(_) => Value::Array(vec![inner, Value::Text(SECRET.to_owned())]),
            Value::Text(text) => Value::Text(format!("{SECRET}{text}")),
            _ => Value::Text(SECRET.to_owned()),
        };
        let mut message = Object::from([
            ("before".to_owned(), before), (key, secret), ("after".to_owned(), after),
        ]);
        for level in 0..levels {
            let value = match level {
                1 => Value::Text(format!("json:{}", Value::Object(message).to_json())),
                2 => Value::Array(vec![Value::Object(message)]),
                _ => Value::Object(message),
            };
            message = Object::from([("a".to_owned(), value)]);
        }
        let json = Value::Object(message).to_json();
        let masked = mask_secrets(&json).expect("there is a secret");
        prop_assert!(!masked.contains(SECRET), "{} became {}", json, masked);
        let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&masked);
        prop_assert!(parsed.is_ok(), "{} became {}", json, masked);
        for line in [json.clone(), format!("c a={json}"), format!("c a='json:{json}' oops")] {
            prop_assert!(!conceal(&line).contains(SECRET), "{}", line);
        }
    }

    #[test]
    fn masking_takes_any_text_and_moves_nothing(
        text in prop_oneof![
            proptest::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter),
            proptest::collection::vec(proptest::sample::select(vec![
                "password", "secret", "data", "key", "=", ":", ":=", "'", "\"", "\\", "{", "}", "[", "]", ",", " ",
                "\n", "#", "json:", "set_password", "help", "qom-set", "value", "name", "é", "•", "://", "@", "%", "|",
                "qom-type", "props", "-p", "sshpass", "\\u0070", "a", "1", "null",
            ]), 0..30).prop_map(|parts| parts.concat()),
        ],
    ) {
        let shown = conceal(&text);
        prop_assert_eq!(shown.len(), text.len());
        if !text.contains('*') {
            prop_assert_eq!(line_has_secret(&text), *shown != *text);
        }
        let _ = mask_secrets(&text);
        let _ = mask_text(&text);
        prop_assert_eq!(mask_arguments(&[&text, "x", &text]).len(), 3);
        let words = Words::from_args(&[&text, &text]);
        prop_assert_eq!(words.concealed().len(), words.source().len());
    }
}

#[test]
fn what_was_not_asked_for_shows_no_secret_at_the_prompt() {
    let error = format!("Could not open 'https://u:{SECRET}@h/i'");
    let jobs = json!([{"id": "j", "type": "commit", "status": "concluded", "current-progress": 0,
                       "total-progress": 0, "error": error}]);
    let fake = Fake::answering(move |command| match command["execute"].as_str() {
        Some("query-jobs") => {
            let data = json!({"device": "d", "msg": error, "file": {"password": SECRET}});
            event("BLOCK_IMAGE_CORRUPTED", &data) + &success(command, jobs.clone())
        }
        _ => success(command, json!({})),
    });
    let mut terminal = fake.prompt();
    terminal.keys(":jobs\r");
    terminal.wait_for_text("concluded");
    terminal.wait_for_text("BLOCK_IMAGE_CORRUPTED");
    terminal.enter(":events");
    let output = terminal.output();
    assert!(output.contains("Could not open"), "{output}");
    assert!(!output.contains(SECRET), "{output}");
}
