//! `help`: what the server accepts, as pages to read.

use std::collections::HashSet;

use qmpsh::lang::{self, Parser, Statement, Words};
use qmpsh::manual::{Manual, Sheet};
use qmpsh::schema::Schema;
use serde_json::{Value, json};

use crate::common::fake::{Fake, failure, success};
use crate::common::run::{assert_harmless, closed, run_to};
use crate::common::told::{Told, list, string};
use crate::common::{Outcome, Qemu, qmpsh, text};

/// How deep the table of all members goes.
const LEVELS: usize = 3;

fn name(entity: &Value) -> &str {
    entity["name"].as_str().expect("a name")
}

/// The page of a command as `help LINE` has it.
fn page(schema: &Schema, line: &str, width: usize) -> String {
    let words = Words::split(line).expect("it splits");
    let parsed = Parser::default().parse(&words).map(|line| line.statement);
    let Ok(Statement::Command(command)) = parsed else {
        panic!("{line}");
    };
    let sheet = Sheet {
        width,
        color: false,
    };
    let manual = Manual::new(schema, None, sheet);
    let page = manual.command(&command.name, &command.arguments, &[]);
    page.unwrap_or_else(|| panic!("there is no {line}"))
}

/// Whether a page has an entry for this key.
fn has_entry(page: &str, key: &str) -> bool {
    page.lines().any(|line| {
        let line = line.trim_start();
        line.strip_prefix(key)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("  "))
    })
}

/// Walks what commands take, by the JSON of the schema alone.
struct Walk<'a> {
    told: &'a Told,
    schema: &'a Schema,
    /// Types of members that were looked at, by command and level.
    seen: HashSet<(String, usize)>,
    members: usize,
}

impl Walk<'_> {
    /// Asserts that the page of `line` has the members of a type, which stand at `path`.
    fn object(&mut self, of: &str, line: &str, path: &str, level: usize) {
        let object = &self.told.types[of];
        let variants = object["variants"].as_array().cloned().unwrap_or_default();
        if variants.is_empty() {
            self.members(object, line, path, level);
        }
        for variant in variants {
            let tag = object["tag"].as_str().expect("a union has a tag");
            let case = variant["case"].as_str().expect("a case");
            let line = format!("{line} {path}{tag}={case}");
            self.members(object, &line, path, level);
            self.object(
                variant["type"].as_str().expect("a type"),
                &line,
                path,
                level,
            );
        }
    }

    fn members(&mut self, object: &Value, line: &str, path: &str, level: usize) {
        let page = page(self.schema, line, 80);
        let members = object["members"].as_array().expect("members");
        for member in members {
            let key = format!("{path}{}", name(member));
            assert!(has_entry(&page, &key), "no {key} in `help {line}`:\n{page}");
            self.members += 1;
            let of = member["type"].as_str().expect("a type");
            let command = line.split(' ').next().expect("a command");
            if level < LEVELS && self.seen.insert((format!("{command} {of}"), level)) {
                self.inside(of, line, &key, level + 1);
            }
        }
    }

    /// Goes on with the objects that a member's type leads to.
    fn inside(&mut self, of: &str, line: &str, key: &str, level: usize) {
        let entity = &self.told.types[of];
        match entity["meta-type"].as_str() {
            Some("object") => self.object(of, line, &format!("{key}."), level),
            Some("array") => {
                let items = entity["element-type"].as_str().expect("a type");
                self.inside(items, line, &format!("{key}.0"), level);
            }
            Some("alternate") => {
                for choice in entity["members"].as_array().expect("members") {
                    self.inside(choice["type"].as_str().expect("a type"), line, key, level);
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_member_of_every_command_is_on_its_page_in_every_branch() {
    let told = Told::by(&Qemu::start());
    let mut walk = Walk {
        told: &told,
        schema: &told.schema(),
        seen: HashSet::new(),
        members: 0,
    };
    for (command, arguments) in &told.commands {
        walk.object(arguments, command, "", 1);
    }
    let count = told.commands.len();
    assert!(
        count > 50 && walk.members > 1000,
        "{count}, {}",
        walk.members
    );
}

#[test]
fn every_value_of_every_enumeration_is_on_the_page() {
    let told = Told::by(&Qemu::start());
    let schema = told.schema();
    for (command, arguments) in &told.commands {
        let page = page(&schema, command, 80);
        let words: HashSet<&str> = page.split([' ', ',', '\n']).collect();
        for member in list(&told.types[arguments], "members") {
            let of = &told.types[&string(member, "type")];
            for value in list(of, "values") {
                let value = value.as_str().expect("a value");
                assert!(words.contains(value), "no {value} in\n{page}");
            }
        }
    }
}

#[test]
fn a_page_fits_the_width_except_for_overlong_names() {
    let schema = Told::by(&Qemu::start()).schema();
    for width in [50, 80, 200] {
        for (command, _) in schema.commands() {
            for line in page(&schema, command, width).lines() {
                let is_one_name = line.split_whitespace().count() == 1 || line.contains('`');
                let fits = line.chars().count() <= width;
                assert!(fits || is_one_name, "{width}: {command}: {line}");
            }
        }
    }
}

#[test]
fn help_lists_every_command_once_and_the_built_ins() {
    let qemu = Qemu::start();
    let help = qemu.qmpsh(&["help"]);
    let text = help.assert_status(0).stdout();
    let (commands, rest) = text
        .split_once("\nEvents\n")
        .expect("commands, then events");
    let listed: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with(' '))
        .flat_map(str::split_whitespace)
        .collect();
    let known = qemu.qmpsh(&["query-commands"]).json().remove(0);
    let known = known.as_array().expect("a list of commands");
    assert_eq!(listed.len(), known.len(), "{help}");
    let listed: HashSet<&str> = listed.into_iter().collect();
    for command in known {
        assert!(listed.contains(name(command)), "{command}: {help}");
    }
    assert!(
        rest.contains("SHUTDOWN") && rest.contains(":status"),
        "{help}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{help}"
    );
    for same in [":help", "help"] {
        let outcome = qemu.script(&[], same);
        outcome.assert_status(0).assert_stdout(&text);
    }
}

/// Asserts that the page says all of this, wherever its lines are broken.
#[track_caller]
fn assert_says(outcome: &Outcome, expected: &[&str]) {
    let text = outcome.assert_status(0).stdout();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    for expected in expected {
        assert!(text.contains(expected), "no `{expected}` in\n{outcome}");
    }
}

#[test]
fn a_command_has_arguments_results_events_and_marks() {
    let qemu = Qemu::start();
    assert_says(
        &qemu.qmpsh(&["help", "block-commit"]),
        &[
            "block-commit device=… [KEY=VALUE]…",
            "device required string",
            "base deprecated string",
            "speed integer",
            "on-error one of report, ignore, enospc, stop, auto",
            "auto-dismiss bool",
            "nothing",
            "BLOCK_JOB_CANCELLED",
        ],
    );
    assert_says(
        &qemu.qmpsh(&["help", "query-status"]),
        &[
            "none",
            "object with",
            "running bool",
            "status one of debug, inmigrate",
        ],
    );
    assert_says(
        &qemu.qmpsh(&["help", "migrate-set-capabilities"]),
        &[
            "capabilities required array of objects",
            "capabilities.0.capability required, one of xbzrle",
            "capabilities.0.state required bool",
        ],
    );
    assert_says(&qemu.qmpsh(&["help", "device_del"]), &["DEVICE_DELETED"]);
    assert_says(&qemu.qmpsh(&["help", "stop"]), &["STOP"]);
    assert_says(
        &qemu.qmpsh(&["help", "migrate-pause"]),
        &["`:oob migrate-pause` sends it out of band"],
    );
    let page = qemu.qmpsh(&["help", "x-blockdev-change"]);
    let unstable = "Unstable: any version of QEMU may change or remove it";
    if Told::by(&qemu).json.contains("\"unstable\"") {
        assert_says(&page, &[unstable]);
    } else {
        // It marks nothing so, and only its names say it.
        assert!(!page.stdout().contains(unstable), "{page}");
    }
    assert_says(
        &qemu.qmpsh(&["help", "quit"]),
        &["SHUTDOWN", "`:quit` is a built-in"],
    );
}

#[test]
fn a_tag_narrows_a_union_wherever_it_stands() {
    let qemu = Qemu::start();
    let help = |words: &[&str]| qemu.qmpsh(&[&["help"], words].concat());
    let wide = help(&["blockdev-add"]);
    assert_says(
        &wide,
        &[
            "driver required, one of",
            "… more, depending on `driver`: `help blockdev-add driver=",
        ],
    );
    assert!(!wide.stdout().contains("lazy-refcounts"), "{wide}");
    let narrow = help(&["blockdev-add", "driver=qcow2"]);
    assert_says(
        &narrow,
        &[
            "driver qcow2, one of",
            "lazy-refcounts bool",
            "file required",
        ],
    );
    assert!(!narrow.stdout().contains("  file.filename"), "{narrow}");
    let nested = help(&["blockdev-add", "file.driver=file", "driver=qcow2"]);
    assert_says(
        &nested,
        &["lazy-refcounts", "file.filename required string"],
    );
    let action = help(&["transaction", "actions.0.type=blockdev-backup"]);
    assert_says(&action, &["actions.0.data.sync required, one of"]);
}

#[test]
fn a_wrong_argument_to_help_gets_the_nearest_right_one() {
    let qemu = Qemu::start();
    for (words, says) in [
        (
            ["blockdev-add", "driver=qcow3"],
            "did you mean `qcow` or `qcow2`?",
        ),
        (["blockdev-add", "drivr=qcow2"], "did you mean `driver`?"),
        (
            ["blockdev-add", "lazy-refcounts=on"],
            "is only accepted with driver=qcow2",
        ),
        (
            ["device_add", "driver=virtio-rng-pc"],
            "did you mean `virtio-rng-pci`?",
        ),
        (["stop", "x"], "expected KEY=VALUE"),
    ] {
        let outcome = qemu.qmpsh(&[&["help"], &words[..]].concat());
        outcome.assert_fails(2, says).assert_stdout("");
    }
}

#[test]
fn a_device_and_an_object_have_their_own_properties() {
    let qemu = Qemu::start();
    assert_says(
        &qemu.qmpsh(&["help", "device_add"]),
        &["driver required string"],
    );
    assert_says(
        &qemu.qmpsh(&["help", "device_add", "driver=virtio-rng-pci"]),
        &[
            "Properties of virtio-rng-pci",
            "max-bytes uint64, default 9223372036854775807",
            "multifunction bool, default false",
            "rng link<rng-backend>",
        ],
    );
    let expected = if Told::by(&qemu).has_argument("object-add", "props") {
        [
            "props.size int: Size of the memory region",
            "props.mem-path string",
        ]
    } else {
        [
            "size required integer: Size of the memory region",
            "mem-path required string",
        ]
    };
    let page = qemu.qmpsh(&["help", "object-add", "qom-type=memory-backend-file"]);
    assert_says(&page, &expected);
}

#[test]
fn an_object_of_a_qemu_before_6_has_its_properties_in_props() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("query-qmp-schema") => success(
            command,
            json!([
                {"meta-type": "command", "name": "object-add", "arg-type": "1", "ret-type": "0"},
                {"meta-type": "object", "name": "0", "members": []},
                {"meta-type": "object", "name": "1", "members": [
                    {"name": "qom-type", "type": "str"}, {"name": "id", "type": "str"},
                    {"name": "props", "type": "any", "default": null}]},
                {"meta-type": "builtin", "name": "str", "json-type": "string"},
                {"meta-type": "builtin", "name": "any", "json-type": "value"},
            ]),
        ),
        Some("qom-list-properties") => success(
            command,
            json!([{"name": "size", "type": "int", "description": "How large"}]),
        ),
        _ => failure(command, "not here"),
    });
    assert_says(
        &fake.qmpsh(&["help", "object-add"]),
        &["props any JSON value For what `props` takes, see `help object-add qom-type=…`."],
    );
    let line = "help object-add qom-type=memory-backend-ram";
    assert_says(
        &fake.qmpsh(&["-e", ":set probe on", "-e", line]),
        &["Properties of memory-backend-ram props.size int: How large"],
    );
}

#[test]
fn help_asks_nothing_that_changes_the_vm() {
    let qemu = Qemu::start();
    let log = qemu.log();
    let lines = [
        "help",
        "help device_add driver=virtio-rng-pci",
        "help device_add driver=nope",
        "help object-add qom-type=rng-builtin",
        "help quit",
        "help reset",
        "help nothing-of-that-name",
    ];
    qemu.script(&["-k", "-l", log.path()], lines.join("\n"));
    let asked: HashSet<String> = log.commands().into_iter().collect();
    // For a type that the VM does not know, it is looked what it has.
    let harmless = ["qmp_capabilities", "query-qmp-schema", "qom-list"];
    assert!(
        asked.iter().all(|name| harmless.contains(&name.as_str())),
        "{asked:?}"
    );
}

#[test]
fn an_event_has_its_data_and_the_commands_that_may_lead_to_it() {
    let qemu = Qemu::start();
    assert_says(
        &qemu.qmpsh(&["help", "DEVICE_DELETED"]),
        &[
            "DEVICE_DELETED is an event",
            "path string",
            "device optional string",
            "device_del",
        ],
    );
    assert_says(&qemu.qmpsh(&["help", "RESUME"]), &["none", "cont"]);
}

#[test]
fn a_word_is_searched_for_in_all_names() {
    let qemu = Qemu::start();
    let found = qemu.qmpsh(&["help", "throttle"]);
    assert_says(
        &found,
        &[
            "Commands",
            "block_set_io_throttle",
            "Arguments",
            "blockdev-add driver=throttle throttle-group",
            "Values",
            "blockdev-add driver=throttle",
        ],
    );
    let told = Told::by(&qemu);
    // Some list the types of objects, some take any string.
    assert_eq!(
        found.stdout().contains("object-add"),
        !told.takes_strings("object-add", "qom-type"),
        "{found}"
    );
    assert_says(
        &qemu.qmpsh(&["help", "tray"]),
        &["Events", "DEVICE_TRAY_MOVED"],
    );
    assert_says(
        &qemu.qmpsh(&["help", "stp"]),
        &["Similar names stop STOP Arguments"],
    );
    let near = qemu.qmpsh(&["help", "query-statsu"]);
    near.assert_fails(
        2,
        if told.has("query-stats") {
            "did you mean `query-stats` or `query-status`?"
        } else {
            "did you mean `query-status`?"
        },
    );
    let near = qemu.qmpsh(&["help", "statsu"]);
    near.assert_fails(2, "did you mean `status`?");
    let far = qemu.qmpsh(&["help", "xyzzy"]);
    far.assert_fails(2, "nothing matches `xyzzy`");
}

#[test]
fn a_built_in_is_explained_and_needs_no_schema() {
    let fake = Fake::answering(|command| panic!("{command} was asked"));
    for topic in [":set", ":help", ":oob", ":vm"] {
        let outcome = fake.qmpsh(&["help", topic]);
        outcome.assert_status(0);
        // Like the other pages, for a terminal of unknown width.
        let fits = |line: &str| line.chars().count() <= 80 || line.contains('`');
        assert!(outcome.stdout().lines().all(fits), "{outcome}");
        assert!(outcome.stdout().starts_with(topic), "{outcome}");
    }
    let wrong = fake.qmpsh(&["help", ":conect"]);
    wrong.assert_fails(
        2,
        "there is no built-in `:conect`; did you mean `:connect`?",
    );
    let plain = Qemu::start().qmpsh(&["help", "set"]);
    assert!(
        plain.assert_status(0).stdout().starts_with(":set"),
        "{plain}"
    );
}

#[test]
fn help_lists_the_built_ins_without_a_connection() {
    let outcome = qmpsh(&["-n", "help"], "");
    let text = outcome.assert_status(0).stdout();
    assert!(text.starts_with("(not connected"), "{outcome}");
    assert!(text.contains(":connect [ADDRESS]"), "{outcome}");
    let outcome = qmpsh(&["-n", "help", "stop"], "");
    outcome.assert_fails(2, "not connected");
}

#[test]
fn a_saved_schema_needs_no_connection() {
    let qemu = Qemu::start();
    let saved = qemu.directory.path().join("schema.json");
    let schema = qemu.qmpsh(&["query-qmp-schema"]).stdout();
    std::fs::write(&saved, schema).expect("written");
    let saved = text(&saved);
    let outcome = qmpsh(&["-n", "--schema", saved, "help", "block-commit"], "");
    assert_says(&outcome, &["device required string"]);
}

#[test]
fn a_server_without_a_schema_has_its_commands_listed() {
    let fake = Fake::answering(|command| match command["execute"].as_str() {
        Some("query-commands") => success(
            command,
            json!([{"name": "stop"}, {"name": "query\u{9b}31m"}]),
        ),
        _ => failure(command, "not here"),
    });
    let outcome = fake.qmpsh(&["help"]);
    let text = outcome.assert_status(0).stdout();
    assert!(
        text.starts_with("(the server does not answer query-qmp-schema"),
        "{outcome}"
    );
    assert!(text.contains("query\\u{9b}31m  stop"), "{outcome}");
    assert!(text.contains(":status"), "{outcome}");
    fake.qmpsh(&["help", "stop"])
        .assert_fails(2, "`stop` is a command of this server");
    fake.qmpsh(&["help", "stpo"])
        .assert_fails(2, "did you mean `stop`?");
}

/// A server may be anybody.
#[test]
fn names_in_a_schema_never_reach_the_terminal_raw() {
    let fake = Fake::answering(|command| {
        let evil = "a\u{9b}31m";
        let schema = json!([
            {"meta-type": "command", "name": evil, "arg-type": "1", "ret-type": "1"},
            {"meta-type": "event", "name": "E\u{7f}", "arg-type": "1"},
            {"meta-type": "object", "name": "1", "tag": evil, "members": [
                {"name": evil, "type": "2"}, {"name": "d", "type": "2", "default": evil}],
             "variants": [{"case": evil, "type": "3"}]},
            {"meta-type": "object", "name": "3", "members": [{"name": evil, "type": "2"}]},
            {"meta-type": "enum", "name": "2", "values": [evil]},
        ]);
        success(command, schema)
    });
    for topic in ["", "a\u{9b}31m", "E\u{7f}", "31", "31m"] {
        let topic = if topic.is_empty() {
            vec![]
        } else {
            vec![topic]
        };
        let outcome = fake.qmpsh(&[&["help"], &topic[..]].concat());
        let text = outcome.assert_status(0).stdout();
        assert_harmless(&text);
        assert!(
            text.contains("\\u{9b}31m") || text.contains("\\u{7f}"),
            "{outcome}"
        );
    }
    let colored = fake.qmpsh(&["--color", "always", "help", "a\u{9b}31m"]);
    assert!(!colored.stdout().contains('\u{9b}'), "{colored}");
    assert!(colored.stdout().contains('\u{1b}'), "{colored}");
}

#[test]
fn a_closed_standard_output_ends_help_quietly() {
    let qemu = Qemu::start();
    let mut command = qemu.command(&["help"]);
    command
        .stdout(closed())
        .stderr(std::process::Stdio::piped());
    let outcome = run_to(command, b"");
    assert_eq!(outcome.assert_status(0).stderr(), "");
}

#[test]
fn help_is_as_wide_as_the_terminal_and_in_colour() {
    let qemu = Qemu::start();
    let mut terminal = qemu.prompt();
    terminal.resize(80, 100);
    terminal.enter("help device_del");
    terminal.wait_for_text("required string");
    assert!(terminal.has_color());
    terminal.resize(50, 160);
    terminal.keys("help watchdog-set-action\r");
    terminal.wait_for_text(
        "required, one of reset, shutdown, poweroff, pause, debug, none, inject-nmi",
    );
    terminal.resize(50, 50);
    terminal.keys("help watchdog-set-action\r");
    terminal.wait("the narrow page", |screen| {
        screen
            .lines()
            .any(|line| line.trim() == "poweroff, pause, debug, none,")
    });
}

#[test]
fn unknown_names_have_no_page_and_values_of_the_wrong_kind_narrow_nothing() {
    let schema = Told::by(&Qemu::start()).schema();
    let nothing = lang::Object::new();
    let sheet = Sheet {
        width: 80,
        color: false,
    };
    let manual = Manual::new(&schema, None, sheet);
    assert!(manual.command("no-such-command", &nothing, &[]).is_none());
    assert!(manual.event("NO_SUCH_EVENT").is_none());
    // Values of the wrong kind narrow nothing, and break nothing.
    for line in [
        "blockdev-add driver=[1]",
        "blockdev-add driver={'a': 1}",
        "blockdev-add file=1",
    ] {
        assert!(page(&schema, line, 80).contains("driver"));
    }
}

#[test]
fn a_page_does_not_repeat_a_secret_of_the_line_that_asks_for_it() {
    let schema = Told::by(&Qemu::start()).schema();
    for line in [
        "set_password protocol=vnc password=hunter2",
        "object-add qom-type=secret id=s data=hunter2",
        // A page that gives the line again.
        "blockdev-add node-name=n url=https://u:hunter2@h",
    ] {
        let page = page(&schema, line, 80);
        assert!(!page.contains("hunter2"), "{line}:\n{page}");
    }
    assert!(page(&schema, "set_password protocol=vnc password=x", 80).contains("protocol=vnc"));
}
