//! What TAB offers, for every command there is.

use std::cell::Cell;
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qmpsh::context::Inspector;
use qmpsh::lang::{Aliases, Dialect, Variables};
use qmpsh::schema::Schema;
use qmpsh::shell::complete::{Answer, Live, Question, Sources, complete};
use serde_json::{Value, json};

use crate::common::connected::InBackground;
use crate::common::fake::Fake;
use crate::common::qemu::storage_daemon;
use crate::common::told::{Told, list, string};
use crate::common::{DEADLINE, Qemu, qmpsh, scratch, text};

/// How many keys deep the walk goes.
const LEVELS: usize = 3;

impl Told {
    /// Visits every object three levels deep in every branch of every union.
    fn walk(&self, mut visit: impl FnMut(&CursorPlace<'_>)) -> usize {
        let mut visited = 0;
        for (command, of) in &self.commands {
            let mut seen = HashSet::new();
            let mut places = vec![(of.clone(), String::new(), Vec::<String>::new(), 0)];
            while let Some((of, prefix, tags, level)) = places.pop() {
                if level == LEVELS || !seen.insert((of.clone(), level, tags.len())) {
                    continue;
                }
                let branches = self.branches(&of, &prefix, &tags);
                for (members, tags) in branches {
                    visit(&CursorPlace {
                        command,
                        prefix: &prefix,
                        tags: &tags,
                        members: &members,
                    });
                    visited += 1;
                    for (name, of) in &members {
                        for (of, prefix) in self.objects(of, format!("{prefix}{name}.")) {
                            places.push((of, prefix, tags.clone(), level + 1));
                        }
                    }
                }
            }
        }
        visited
    }

    /// The members that an object has, in each branch if it is a union, with the arguments that choose the branch.
    fn branches(&self, of: &str, prefix: &str, tags: &[String]) -> Vec<(Members, Vec<String>)> {
        let entity = &self.types[of];
        let own: Members = list(entity, "members")
            .map(|member| (string(member, "name"), string(member, "type")))
            .collect();
        let mut branches = vec![(own.clone(), tags.to_vec())];
        for variant in list(entity, "variants") {
            let tag = format!(
                "{prefix}{}={}",
                string(entity, "tag"),
                string(variant, "case")
            );
            let tags = [tags, &[tag]].concat();
            for (members, tags) in self.branches(&string(variant, "type"), prefix, &tags) {
                branches.push(([own.clone(), members].concat(), tags));
            }
        }
        branches
    }

    /// The object types that a member of that type may hold, and where.
    fn objects(&self, of: &str, prefix: String) -> Vec<(String, String)> {
        let entity = &self.types[of];
        match entity["meta-type"].as_str() {
            Some("object") => vec![(of.to_owned(), prefix)],
            Some("array") => self.objects(&string(entity, "element-type"), format!("{prefix}0.")),
            Some("alternate") => list(entity, "members")
                .flat_map(|choice| self.objects(&string(choice, "type"), prefix.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Names and types.
type Members = Vec<(String, String)>;

/// An object among the arguments of a command.
struct CursorPlace<'a> {
    command: &'a str,
    /// The dotted key that leads to it, with a dot at its end.
    prefix: &'a str,
    /// The arguments that make it what it is.
    tags: &'a [String],
    members: &'a Members,
}

impl CursorPlace<'_> {
    fn line(&self, rest: &str) -> String {
        let tags: String = self.tags.iter().map(|tag| format!("{tag} ")).collect();
        format!("{} {tags}{}{rest}", self.command, self.prefix)
    }
}

/// The labels of the candidates at the end of `line`.
fn labels(line: &str, schema: &Schema, ask: &dyn Fn(&Question) -> Vec<Answer>) -> BTreeSet<String> {
    let aliases = Aliases::default();
    let sources = Sources {
        aliases: &aliases,
        dialect: Dialect::Qmp,
        variables: &Variables::default(),
        seen: &|_| None,
        verbs: &|| None,
        schema: Some(schema),
        commands: &[],
        ask,
    };
    let found = complete(line, line.len(), false, &sources);
    let labels = found.candidates.into_iter();
    labels.map(|candidate| candidate.label).collect()
}

#[test]
fn every_member_of_every_command_is_offered_and_nothing_else() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let schema = told.schema();
    let unanswered = |_: &Question| Vec::new();
    let visited = told.walk(|place| {
        let line = place.line("");
        let given = |name: &str| {
            let tag = format!("{}{name}=", place.prefix);
            place.tags.iter().any(|given| given.starts_with(&tag))
        };
        let expected: BTreeSet<&str> = place
            .members
            .iter()
            .map(|(name, _)| &**name)
            .filter(|name| !given(name))
            .collect();
        let offered = labels(&line, &schema, &unanswered);
        let names: BTreeSet<&str> = offered
            .iter()
            .map(|label| label.trim_end_matches(['=', '.']))
            .collect();
        assert_eq!(names, expected, "{line}");
        for (name, of) in place.members {
            let entity = &told.types[of];
            let goes_on = !told.objects(of, String::new()).is_empty();
            assert!(
                given(name) || !goes_on || offered.contains(&format!("{name}.")),
                "{line}: {name} goes on"
            );
            let values: BTreeSet<String> = match entity["meta-type"].as_str() {
                Some("enum") => list(entity, "values")
                    .map(|value| value.as_str().expect("a name").to_owned())
                    .collect(),
                Some("builtin") if of == "bool" => ["true", "false"].map(String::from).into(),
                _ => continue,
            };
            if !given(name) {
                let line = place.line(&format!("{name}="));
                assert_eq!(labels(&line, &schema, &unanswered), values, "{line}");
            }
        }
    });
    assert!(visited > 500, "{visited} places");
}

#[test]
fn keys_and_values_inside_json_are_offered_as_well() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let schema = told.schema();
    let unanswered = |_: &Question| Vec::new();
    told.walk(|place| {
        if !place.tags.is_empty() || place.prefix.is_empty() {
            return;
        }
        let Some(key) = place
            .prefix
            .strip_suffix('.')
            .filter(|key| !key.contains('.'))
        else {
            return;
        };
        for line in [
            format!("{} {key}={{\"", place.command),
            format!(
                r#"{{"execute": "{}", "arguments": {{"{key}": {{""#,
                place.command
            ),
        ] {
            let offered = labels(&line, &schema, &unanswered);
            let expected: BTreeSet<String> =
                place.members.iter().map(|(name, _)| name.clone()).collect();
            assert_eq!(offered, expected, "{line}");
        }
    });
}

#[test]
fn every_command_and_every_action_is_offered() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let schema = told.schema();
    let unanswered = |_: &Question| Vec::new();
    for (command, _) in &told.commands {
        assert!(
            labels(command, &schema, &unanswered).contains(command),
            "{command}"
        );
        let help = format!("help {command}");
        assert!(
            labels(&help, &schema, &unanswered).contains(command),
            "{help}"
        );
    }
    let actions = labels("transaction( ", &schema, &unanswered);
    assert!(actions.contains("blockdev-snapshot-sync"), "{actions:?}");
    assert!(!actions.contains("query-status"), "{actions:?}");
}

#[test]
fn completion_sends_nothing_that_changes_the_vm() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let schema = told.schema();
    let sent = Arc::new(Mutex::new(Vec::<Value>::new()));
    let record = sent.clone();
    let fake = Fake::answering(move |command| {
        record.lock().expect("nobody panics").push(command.clone());
        json!({"return": [], "id": command["id"]}).to_string()
    });
    let connection = InBackground::to(&fake);
    let inspector = Arc::new(Inspector::of(&connection.client));
    let live = Live::on(connection.runtime.clone());
    let ask = |question: &Question| {
        let patience = Cell::new(DEADLINE);
        live.ask(&inspector, question, &patience)
    };
    let mut lines: BTreeSet<String> = BTreeSet::new();
    told.walk(|place| {
        lines.insert(place.line(""));
        for (name, _) in place.members {
            lines.insert(place.line(&format!("{name}=")));
        }
    });
    for more in [
        "device_add driver=virtio-rng-pci ",
        "device_add driver=virtio-blk-pci drive=",
        "qom-set path=/machine property=",
        "qom-set path=/machine property=x value=",
        "block-dirty-bitmap-remove node=a name=",
    ] {
        lines.insert(more.to_owned());
    }
    for line in &lines {
        labels(line, &schema, &ask);
    }
    let sent = sent.lock().expect("nobody panics");
    assert!(sent.len() > 100, "{} questions", sent.len());
    let mut asked = BTreeSet::new();
    for command in &*sent {
        let name = string(command, "execute");
        let harmless = match &*name {
            "qom-list" | "trace-event-get-state" => true,
            "qom-get" => command["arguments"]["property"] == "hotplug-handler",
            // They open no files, and load no modules.
            "human-monitor-command" => {
                let line = &command["arguments"]["command-line"];
                line == "info qtree" || line == "info network"
            }
            name => name.starts_with("query-"),
        };
        assert!(harmless, "{command}");
        asked.insert(name);
    }
    assert!(asked.len() > 10, "{asked:?}");
}

#[test]
fn completion_helps_with_a_storage_daemon_too() {
    let home = scratch();
    let socket = home.path().join("qsd.sock");
    let daemon = storage_daemon(&socket);
    let outcome = qmpsh(&["-o", "json", text(&socket), "query-qmp-schema"], "");
    drop(daemon);
    let schema = Schema::read(&outcome.stdout()).expect("a schema");
    let unanswered = |_: &Question| Vec::new();
    let offered = labels("blockdev-add driver=null-co ", &schema, &unanswered);
    assert!(offered.contains("read-zeroes="), "{offered:?}");
    assert!(!labels("device", &schema, &unanswered).contains("device_add"));
}

#[test]
fn a_question_that_is_not_answered_in_time_is_given_up() {
    let fake = Fake::start(|peer| {
        peer.greet();
        while peer.command().is_some() {}
    });
    let connection = InBackground::to(&fake);
    let inspector = Arc::new(Inspector::of(&connection.client));
    let live = Live::on(connection.runtime.clone());
    let patience = Cell::new(Duration::from_millis(20));
    assert!(live.ask(&inspector, &Question::Jobs, &patience).is_empty());
    assert_eq!(patience.get(), Duration::ZERO);
    // While it is open nothing else is asked, however much patience there is.
    let patience = Cell::new(DEADLINE);
    assert!(live.ask(&inspector, &Question::Jobs, &patience).is_empty());
    assert_eq!(patience.get(), DEADLINE);
    assert_eq!(connection.client.stats().sent, 1);
}

#[test]
fn the_arguments_of_a_built_in_complete() {
    let qemu = Qemu::start();
    let schema = Told::by(&qemu).schema();
    let jobs = |question: &Question| match question {
        Question::Jobs => vec![Answer::new("job7", "")],
        _ => Vec::new(),
    };
    for (line, offered) in [
        (":wa", ":wait"),
        (":help eve", "events"),
        (":wait JOB_ST", "JOB_STATUS_CHANGE"),
        (":wait STOP,RES", "RESUME"),
        (":wait JOB_STATUS_CHANGE ", "status="),
        (":wait JOB_STATUS_CHANGE status=con", "concluded"),
        (":wait BLOCK_JOB_READY,JOB_STATUS_CHANGE id=j len", "len="),
        (":on STOP do query-st", "query-status"),
        (":on STOP do watchdog-set-action action=", "shutdown"),
        (":every 2s query-st", "query-status"),
        (":after 5 device_del ", "id="),
        (":events mu", "mute"),
        (":events mute RTC", "RTC_CHANGE"),
        (":job fin", "finalize"),
        (":job wait ", "job7"),
        (":recipe thr", "throttle"),
        (":recipe throttle ", "id="),
        (":recipe throttle id=a io", "iops="),
        (":set output ", "pretty"),
        (":oob migrate-p", "migrate-pause"),
        (":oob migrate-recover ", "uri="),
        ("help blockdev-add driver=qc", "qcow2"),
    ] {
        let labels = labels(line, &schema, &jobs);
        assert!(labels.contains(offered), "{line}: {labels:?}");
    }
    assert!(!labels(":oob ", &schema, &jobs).contains("query-status"));
    assert!(labels(":every que", &schema, &jobs).is_empty());
}
