//! Checks a command against the schema: names that it does not have, and keys that are missing.

use super::problem::FEW;
use super::{Object, Problem, ProblemKind, Schema, Type, TypeId};
use crate::lang::{self, Command, Value, nearest};

/// The most problems of one command to report.
const MOST: usize = 3;

/// How many levels further down a key is looked for.
const DEEPEST: usize = 3;

impl Schema {
    /// Returns what is wrong with a command according to the schema, at most a few problems.
    pub fn check(&self, command: &Command) -> Vec<Problem> {
        let Some(known) = self.command(&command.name) else {
            let names = self.commands().map(|(name, _)| name);
            let near = owned(nearest(&command.name, names));
            let name = command.name.clone();
            return vec![Problem::new(ProblemKind::Command { name, near })];
        };
        let mut check = Check {
            schema: self,
            command: &command.name,
            path: Vec::new(),
            problems: Vec::new(),
        };
        if let Some(object) = self.object(known.arguments) {
            check.object(object, &command.arguments);
        }
        check.problems
    }

    /// Whether a command takes more arguments than the schema lists.
    pub fn is_open(&self, command: &str) -> bool {
        // These two did before QEMU 6.0; since then they are unions.
        match command {
            "device_add" => true,
            "netdev_add" | "object-add" => self
                .command(command)
                .and_then(|known| self.object(known.arguments))
                .is_some_and(|arguments| arguments.tag.is_none()),
            _ => false,
        }
    }
}

struct Check<'a> {
    schema: &'a Schema,
    command: &'a str,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn object(&mut self, object: &Object, given: &lang::Object) {
        let members = self.schema.members(object, given);
        for (key, value) in given {
            if self.problems.len() >= MOST {
                return;
            }
            match members.iter().find(|member| *member.name == **key) {
                Some(member) => self.value(member.of, key, value),
                None => {
                    let free = members.iter().map(|member| &*member.name);
                    let free = free.filter(|name| !given.contains_key(*name));
                    self.unknown(object, given, key, nearest(key, free));
                }
            }
        }
        let missing: Vec<String> = members
            .iter()
            .filter(|member| member.required && !given.contains_key(&*member.name))
            .map(|member| self.key(&member.name))
            .filter(|key| !self.is_suggested(key))
            .collect();
        if !missing.is_empty() {
            self.report(ProblemKind::Missing { keys: missing });
        }
    }

    fn unknown(&mut self, object: &Object, given: &lang::Object, key: &str, near: Vec<&str>) {
        if self.path.is_empty() && self.schema.is_open(self.command) {
            // Any key may be right, unless it looks like a misspelt required one.
            let mut required = object.members.iter().filter(|member| member.required);
            if !required.any(|member| near.contains(&&*member.name)) {
                return;
            }
        }
        match self.schema.cases_with(object, given, key) {
            Some((tag, cases)) => {
                // If the tag itself has a wrong value, that is reported instead.
                if !given.contains_key(tag) || self.schema.has_case(object, given) {
                    self.report(ProblemKind::Misplaced {
                        key: self.key(key),
                        tag: self.key(tag),
                        cases: owned(cases),
                    });
                }
            }
            None => {
                let mut near: Vec<String> = near.into_iter().map(|name| self.key(name)).collect();
                if near.is_empty() {
                    // What is meant may be further down.
                    let deeper = self.schema.deeper(object, given, key, DEEPEST);
                    near = deeper.iter().map(|path| self.key(path)).collect();
                }
                self.report(ProblemKind::Key {
                    key: self.key(key),
                    near,
                });
            }
        }
    }

    /// Checks the value of `key`, or the item with that index.
    fn value(&mut self, of: TypeId, key: &str, value: &Value) {
        match value {
            Value::Object(given) => {
                if let Some(object) = self.schema.object(of) {
                    self.path.push(key.to_owned());
                    self.object(object, given);
                    self.path.pop();
                }
            }
            Value::Array(values) => {
                let Some(items) = self.schema.items(of) else {
                    return;
                };
                self.path.push(key.to_owned());
                for (index, value) in values.iter().enumerate() {
                    if self.problems.len() >= MOST {
                        break;
                    }
                    self.value(items, &index.to_string(), value);
                }
                self.path.pop();
            }
            Value::Word(word) | Value::Text(word) => {
                let Type::Enum(values) = self.schema.get(of) else {
                    return;
                };
                if values.iter().any(|value| *value.name == **word) {
                    return;
                }
                let names = || values.iter().map(|value| &*value.name);
                let few = values.len() <= FEW;
                self.report(ProblemKind::Value {
                    key: self.key(key),
                    value: word.clone(),
                    near: owned(nearest(word, names())),
                    all: if few {
                        owned(names().collect())
                    } else {
                        Vec::new()
                    },
                });
            }
            Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }

    fn report(&mut self, kind: ProblemKind) {
        let action = self.action().map(|index| index + 1);
        self.problems.push(Problem { kind, action });
    }

    /// The action of a transaction that the path leads into, counted from 0.
    fn action(&self) -> Option<usize> {
        match &self.path[..] {
            [actions, index, ..] if self.command == "transaction" && actions == "actions" => {
                index.parse().ok()
            }
            _ => None,
        }
    }

    /// The dotted path of a key in the current object. In an action of a transaction, the path
    /// starts in its `data`, because that is what a line of the transaction contains.
    fn key(&self, name: &str) -> String {
        let segments = match (self.action(), self.path.get(2)) {
            (Some(_), Some(data)) if data == "data" => &self.path[3..],
            (Some(_), _) => &self.path[2..],
            _ => &self.path[..],
        };
        let segments = segments.iter().map(String::as_str).chain([name]);
        segments.collect::<Vec<_>>().join(".")
    }

    /// Whether `key`, or a key in it, was suggested for a misspelt one.
    fn is_suggested(&self, key: &str) -> bool {
        let is_it = |near: &String| {
            let rest = near.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.problems.iter().any(|problem| match &problem.kind {
            ProblemKind::Key { near, .. } => near.iter().any(is_it),
            _ => false,
        })
    }
}

impl Schema {
    /// The union's tag, and those of its values that have a member `key`.
    fn cases_with<'a>(
        &'a self,
        object: &'a Object,
        given: &lang::Object,
        key: &str,
    ) -> Option<(&'a str, Vec<&'a str>)> {
        let tag = object.tag.as_deref()?;
        let cases: Vec<&str> = object
            .variants
            .iter()
            .filter(|variant| {
                let object = self.object(variant.of);
                object.is_some_and(|object| object.members.iter().any(|m| *m.name == *key))
            })
            .map(|variant| &*variant.case)
            .collect();
        if !cases.is_empty() {
            return Some((tag, cases));
        }
        self.cases_with(self.variant(object, given)?, given, key)
    }

    /// The paths of this key in the objects among the members, as near as there are any.
    /// Optional objects of which the command says nothing are left out.
    fn deeper(
        &self,
        object: &Object,
        given: &lang::Object,
        key: &str,
        levels: usize,
    ) -> Vec<String> {
        let Some(levels) = levels.checked_sub(1) else {
            return Vec::new();
        };
        let nothing = lang::Object::new();
        let mut direct = Vec::new();
        let mut further = Vec::new();
        let tag_is_given = object
            .tag
            .as_deref()
            .is_some_and(|tag| given.contains_key(tag));
        let variants = object.variants.iter().filter(|_| !tag_is_given);
        let variants = variants.filter_map(|variant| self.object(variant.of));
        let of_variants = variants.flat_map(|variant| &variant.members);
        for member in self.members(object, given).into_iter().chain(of_variants) {
            let Some(inner) = self.object(member.of) else {
                continue;
            };
            let value = match given.get(&*member.name) {
                Some(Value::Object(value)) => value,
                Some(_) => continue,
                None if member.required => &nothing,
                None => continue,
            };
            let name = &member.name;
            let members = self.members(inner, value);
            if members.iter().any(|inner| *inner.name == *key) && !value.contains_key(key) {
                direct.push(format!("{name}.{key}"));
            }
            let paths = self.deeper(inner, value, key, levels);
            further.extend(paths.iter().map(|path| format!("{name}.{path}")));
        }
        let mut nearest = match direct.is_empty() {
            true => further,
            false => direct,
        };
        // Variants may have it at the same place.
        nearest.sort();
        nearest.dedup();
        nearest
    }

    /// Whether every tag has one of its own values.
    fn has_case(&self, object: &Object, given: &lang::Object) -> bool {
        object.tag.is_none()
            || self
                .variant(object, given)
                .is_some_and(|variant| self.has_case(variant, given))
    }
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"[
        {"meta-type": "command", "name": "block-add", "arg-type": "1", "ret-type": "0"},
        {"meta-type": "command", "name": "device_add", "arg-type": "5", "ret-type": "0"},
        {"meta-type": "command", "name": "transaction", "arg-type": "8", "ret-type": "0"},
        {"meta-type": "object", "name": "0", "members": []},
        {"meta-type": "object", "name": "1", "tag": "driver", "members": [
            {"name": "driver", "type": "2"}, {"name": "node-name", "type": "str", "default": null}],
         "variants": [{"case": "file", "type": "3"}, {"case": "raw", "type": "4"}, {"case": "null", "type": "0"}]},
        {"meta-type": "enum", "name": "2", "values": ["file", "raw", "null"]},
        {"meta-type": "object", "name": "3", "members": [{"name": "filename", "type": "str"},
            {"name": "locking", "type": "2", "default": null}]},
        {"meta-type": "object", "name": "4", "members": [{"name": "file", "type": "7"},
            {"name": "size", "type": "int", "default": null}]},
        {"meta-type": "object", "name": "5", "members": [{"name": "driver", "type": "str"}]},
        {"meta-type": "alternate", "name": "7", "members": [{"type": "str"}, {"type": "1"}]},
        {"meta-type": "object", "name": "8", "members": [{"name": "actions", "type": "[9]"}]},
        {"meta-type": "array", "name": "[9]", "element-type": "9"},
        {"meta-type": "object", "name": "9", "tag": "type", "members": [{"name": "type", "type": "10"}],
         "variants": [{"case": "add", "type": "11"}]},
        {"meta-type": "enum", "name": "10", "values": ["add"]},
        {"meta-type": "object", "name": "11", "members": [{"name": "data", "type": "12"}]},
        {"meta-type": "object", "name": "12", "members": [{"name": "node", "type": "str"},
            {"name": "name", "type": "str"}]},
        {"meta-type": "builtin", "name": "int", "json-type": "int"},
        {"meta-type": "builtin", "name": "str", "json-type": "string"}]"#;

    fn check(line: &str) -> Vec<String> {
        let schema = Schema::read(SCHEMA).expect("it is one");
        let words = lang::Words::split(line).expect(line);
        let line = lang::Parser::default().parse(&words).expect(line);
        let problems = schema.check(&line.command().expect("it is one"));
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion_with_its_whole_path() {
        for (line, problem) in [
            (
                "block_ad",
                "there is no command `block_ad`; did you mean `block-add`?",
            ),
            ("migrate", "there is no command `migrate`"),
            (
                "block-add drivr=null",
                "there is no argument `drivr`; did you mean `driver`?",
            ),
            (
                "block-add driver=nul",
                "`driver` cannot be `nul`; did you mean `null`?",
            ),
            (
                "block-add driver=raw file.driver=file file.filenam=x",
                "there is no argument `file.filenam`; did you mean `file.filename`?",
            ),
            (
                "block-add driver=raw file.driver=fil",
                "`file.driver` cannot be `fil`; did you mean `file`?",
            ),
            (
                "block-add driver=null size=1",
                "`size` is only accepted with driver=raw",
            ),
            ("block-add node-name=x", "`driver` is missing"),
            ("block-add driver=raw", "`file` is missing"),
            (
                "transaction( add nod=x name=y )",
                "in action 1: there is no argument `nod`; did you mean `node`?",
            ),
            (
                "transaction( ad )",
                "in action 1: `type` cannot be `ad`; did you mean `add`?",
            ),
            (
                "transaction( add )",
                "in action 1: `node` and `name` are missing",
            ),
        ] {
            assert_eq!(check(line), [problem], "{line}");
        }
    }

    #[test]
    fn a_key_of_a_union_without_its_tag_is_reported_with_the_tag() {
        let problems = [
            "`size` is only accepted with driver=raw",
            "`driver` is missing",
        ];
        assert_eq!(check("block-add size=1"), problems);
        let wrong = ["`driver` cannot be `rw`; did you mean `raw`?"];
        assert_eq!(check("block-add driver=rw size=1"), wrong);
    }

    #[test]
    fn a_valid_line_has_no_problems() {
        for line in [
            "block-add driver=raw file=x size=1",
            "block-add driver=raw file.driver=raw file.file.driver=null",
            "block-add node-name=x driver='null'",
            "device_add driver=x anything=1",
            "transaction( add node=a name=b )",
        ] {
            assert!(check(line).is_empty(), "{line}: {:?}", check(line));
        }
    }

    #[test]
    fn at_most_a_few_problems_are_reported() {
        let actions: String = (0..1000).map(|n| format!(" x actions.{n}.a=1")).collect();
        let line = format!("transaction{}", actions.replace(" x", ""));
        assert!(check(&line).len() <= MOST + 1, "{:?}", check(&line));
    }
}
