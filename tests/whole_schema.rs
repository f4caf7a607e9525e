//! Every command of the running QEMU, every member three levels deep, every branch of every union.

use std::collections::HashSet;
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use qmpsh::lang::{self, Parser, Statement, Words};
use qmpsh::schema::Schema;
use serde_json::{Value, json};

use crate::common::fake::{Fake, success};
use crate::common::told::Told;
use crate::common::{Qemu, scratch, text, told};

/// How many keys deep the walk goes.
const LEVELS: usize = 3;

impl Told {
    fn list<'a>(&'a self, of: &str, key: &str) -> impl Iterator<Item = &'a Value> {
        told::list(&self.types[of], key)
    }

    /// Words that fit a type that is no object and no array, each with what it is then.
    fn words(&self, of: &str) -> Vec<(String, Value)> {
        let entity = &self.types[of];
        let text = |word: &str| (word.to_owned(), json!(word));
        let pairs = |pairs: &[(&str, Value)]| {
            let pairs = pairs
                .iter()
                .map(|(word, value)| ((*word).to_owned(), value.clone()));
            pairs.collect::<Vec<_>>()
        };
        match entity["meta-type"].as_str() {
            Some("enum") => {
                let values = self.list(of, "values").filter_map(Value::as_str);
                values.map(text).collect()
            }
            Some("alternate") => {
                let choices: Vec<&str> = self
                    .list(of, "members")
                    .filter_map(|m| m["type"].as_str())
                    .collect();
                let words = choices
                    .iter()
                    .flat_map(|choice| self.words(choice))
                    .collect::<Vec<_>>();
                // Where a word fits two of the choices, a string is the last that it is.
                let is_string = |word: &str| {
                    words
                        .iter()
                        .all(|(w, value)| w != word || value.is_string())
                };
                let mut kept = words.clone();
                kept.retain(|(word, value)| !value.is_string() || is_string(word));
                kept
            }
            Some("builtin") => match entity["json-type"].as_str() {
                Some("string") => ["plain", "123", "0x1F", "1k", "true", "off", "null", ""]
                    .map(text)
                    .to_vec(),
                Some("int") => pairs(&[
                    ("12", json!(12)),
                    ("-3", json!(-3)),
                    ("0x1F", json!(31)),
                    ("1k", json!(1024)),
                ]),
                Some("number") => {
                    pairs(&[("12", json!(12)), ("1.5", json!(1.5)), ("0x1F", json!(31))])
                }
                Some("boolean") => pairs(&[
                    ("true", json!(true)),
                    ("on", json!(true)),
                    ("yes", json!(true)),
                    ("false", json!(false)),
                    ("off", json!(false)),
                    ("no", json!(false)),
                ]),
                Some("null") => pairs(&[("null", json!(null))]),
                // By its looks.
                Some("value") => pairs(&[
                    ("plain", json!("plain")),
                    ("12", json!(12)),
                    ("1k", json!("1k")),
                ]),
                other => panic!("a builtin {other:?}"),
            },
            _ => Vec::new(),
        }
    }

    /// The types that a value of this type can be: the choices of an alternate, else itself.
    fn choices<'a>(&'a self, of: &'a str) -> Vec<&'a str> {
        if self.types[of]["meta-type"] == "alternate" {
            return self
                .list(of, "members")
                .filter_map(|member| member["type"].as_str())
                .collect();
        }
        vec![of]
    }
}

/// A walk over the arguments of one command.
struct Walk<'a> {
    told: &'a Told,
    schema: &'a Schema,
    command: &'a str,
    seen: HashSet<(String, usize)>,
    lines: usize,
}

impl Walk<'_> {
    /// Types each member of an object type at `path`. `tags` are the pairs that say which branches of
    /// the unions on the way are meant.
    fn object(&mut self, of: &str, path: &[&str], tags: &[String]) {
        let level = path.iter().filter(|segment| **segment != "0").count();
        if level == LEVELS || !self.seen.insert((of.to_owned(), level)) {
            return;
        }
        for member in self.told.list(of, "members") {
            let (name, of) = (member["name"].as_str().expect("a name"), &member["type"]);
            self.member(
                &[path, &[name]].concat(),
                of.as_str().expect("a type"),
                tags,
            );
        }
        let Some(tag) = self.told.types[of]["tag"].as_str() else {
            return;
        };
        for variant in self.told.list(of, "variants") {
            let case = variant["case"].as_str().expect("a case");
            let mut tags = tags.to_vec();
            tags.push(format!("{}={case}", [path, &[tag]].concat().join(".")));
            self.object(variant["type"].as_str().expect("a type"), path, &tags);
        }
    }

    fn member(&mut self, path: &[&str], of: &str, tags: &[String]) {
        for (word, value) in self.told.words(of) {
            self.check(path, &word, tags, &value);
            if word.is_empty() {
                continue;
            }
            // Quoted, it is a string whatever is asked for.
            self.check(path, &format!("'{word}'"), tags, &json!(word));
        }
        for choice in self.told.choices(of) {
            let entity = &self.told.types[choice];
            match entity["meta-type"].as_str() {
                Some("object") => {
                    self.check(path, "{}", tags, &json!({}));
                    self.object(choice, path, tags);
                }
                Some("array") => {
                    self.check(path, "[]", tags, &json!([]));
                    let items = entity["element-type"].as_str().expect("a type");
                    self.member(&[path, &["0"]].concat(), items, tags);
                }
                _ => {}
            }
        }
    }

    /// Types the line, with the tags before and after the word, and checks what the word has become.
    fn check(&mut self, path: &[&str], word: &str, tags: &[String], expected: &Value) {
        let key = path.join(".");
        let pair = format!("{key}={word}");
        // A tag is not set twice.
        let tags: Vec<&str> = tags
            .iter()
            .map(String::as_str)
            .filter(|tag| !tag.starts_with(&format!("{key}=")))
            .collect();
        let first = [&[self.command], &tags[..], &[&pair]].concat().join(" ");
        let last = [&[self.command, &pair], &tags[..]].concat().join(" ");
        for line in [first, last] {
            let typed = catch_unwind(|| self.typed(&line, path))
                .unwrap_or_else(|_| panic!("a panic: {line}"));
            let pointer = format!("/{}", path.join("/"));
            assert_eq!(
                typed["arguments"].pointer(&pointer),
                Some(expected),
                "{line}"
            );
            self.lines += 1;
        }
    }

    /// The message that a line becomes. The schema knows every key on it.
    fn typed(&self, line: &str, path: &[&str]) -> Value {
        let words = Words::split(line).unwrap_or_else(|error| panic!("{}", error.report(line)));
        let parsed = Parser::default()
            .parse(&words)
            .unwrap_or_else(|error| panic!("{}", error.report(line)));
        let Statement::Command(mut command) = parsed.statement else {
            panic!("no command: {line}");
        };
        self.schema.type_words(&mut command);
        let known = self
            .schema
            .command(self.command)
            .expect("it knows the command");
        let given = lang::Value::Object(command.arguments.clone());
        let found = self.schema.resolve(known.arguments, Some(&given), path);
        assert!(found.is_some(), "it knows no type for the key of: {line}");
        serde_json::from_str(&command.to_message())
            .unwrap_or_else(|error| panic!("{error}: {line}"))
    }
}

#[test]
fn a_fitting_word_becomes_what_its_member_wants_for_every_member_of_every_command() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let schema = told.schema();
    let names: HashSet<&str> = schema.commands().map(|(name, _)| name).collect();
    let told_names: HashSet<&str> = told.commands.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, told_names);

    let mut lines = 0;
    for (command, arguments) in &told.commands {
        let mut walk = Walk {
            told: &told,
            schema: &schema,
            command,
            seen: HashSet::new(),
            lines: 0,
        };
        walk.object(arguments, &[], &[]);
        lines += walk.lines;
    }
    assert!(
        lines > 20_000,
        "only {lines} lines: the walk has not gone far"
    );
    println!("{} commands, {lines} lines", told.commands.len());
}

/// Lines that give each argument of each command in each way, one at a time.
fn lines(told: &Told) -> String {
    let mut lines = String::new();
    // The one left out is what a run asks for itself.
    let commands = told.commands.iter();
    for (command, arguments) in commands.filter(|(name, _)| name != "query-qmp-schema") {
        lines.push_str(&format!("{command}\n"));
        for member in told.list(arguments, "members") {
            let key = member["name"].as_str().expect("a name");
            let of = member["type"].as_str().expect("a type");
            for (word, _) in told.words(of) {
                lines.push_str(&format!("{command} {key}={word}\n"));
            }
        }
    }
    lines
}

#[test]
fn a_dry_run_prints_what_a_real_run_sends_for_every_command() {
    let qemu = Qemu::start();
    let told = Told::by(&qemu);
    let schema: Value = serde_json::from_str(&told.json).expect("JSON");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = seen.clone();
    // It does nothing, so that every command can be sent.
    let fake = Fake::saying(move |command| {
        if command["execute"] == "query-qmp-schema" {
            return success(command, schema.clone());
        }
        let mut message = command.clone();
        message.as_object_mut().expect("an object").remove("id");
        seeing.lock().expect("nobody panics").push(message);
        success(command, json!({}))
    });
    let home = scratch();
    let script = home.path().join("script");
    let lines = lines(&told);
    std::fs::write(&script, &lines).expect("a file of ours");
    let printed = fake.qmpsh(&["-n", "-f", text(&script)]).json();
    assert!(seen.lock().expect("nobody panics").is_empty());
    fake.qmpsh(&["-f", text(&script)]).assert_status(0);
    let sent = seen.lock().expect("nobody panics");
    assert_eq!(sent.len(), printed.len());
    assert_eq!(printed.len(), lines.lines().count());
    for ((sent, printed), line) in sent.iter().zip(&printed).zip(lines.lines()) {
        assert_eq!(sent, printed, "{line}");
    }
}
