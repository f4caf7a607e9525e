//! Searches everything that the schema names for a word.

use std::collections::HashSet;

use crate::lang::nearest;
use crate::schema::{Object, Schema, Type, TypeId};

use super::members::inside;
use super::page::Entry;

/// How deep to look into arguments. Nobody types a longer path.
const DEEPEST: usize = 30;

/// The most matches to show of one kind.
const MOST: usize = 40;

/// Returns the names that contain `word`, by kind, without empty kinds. If no command or event
/// contains it, but an argument or a value does, similar names of commands and events are listed
/// too.
pub(super) fn search(schema: &Schema, word: &str) -> Vec<(&'static str, Vec<Entry>)> {
    let mut search = Search {
        schema,
        word: word.to_lowercase(),
        seen: HashSet::new(),
        arguments: Places::default(),
        values: Places::default(),
    };
    let names = || {
        let commands = schema.commands().map(|(name, _)| name);
        commands.chain(schema.events().map(|(name, _)| name))
    };
    let commands = search.among(schema.commands().map(|(name, _)| name));
    let events = search.among(schema.events().map(|(name, _)| name));
    for (name, command) in schema.commands() {
        search.inside(command.arguments, name, "");
    }
    let mut similar = Vec::new();
    if commands.is_empty() && events.is_empty() && !search.has_found_nothing() {
        let near = nearest(word, names());
        similar.extend(near.into_iter().map(|name| entry(name, String::new())));
    }
    [
        ("Commands", commands),
        ("Events", events),
        ("Similar names", similar),
        ("Arguments", search.arguments.entries()),
        ("Values", search.values.entries()),
    ]
    .into_iter()
    .filter(|(_, entries)| !entries.is_empty())
    .collect()
}

struct Search<'a> {
    schema: &'a Schema,
    word: String,
    /// The objects already searched, because many objects contain the same ones.
    seen: HashSet<*const Object>,
    arguments: Places,
    values: Places,
}

impl<'a> Search<'a> {
    fn fits(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.word)
    }

    fn has_found_nothing(&self) -> bool {
        self.arguments.0.is_empty() && self.values.0.is_empty()
    }

    fn among<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<Entry> {
        let fitting = names.filter(|name| self.fits(name));
        fitting.map(|name| entry(name, String::new())).collect()
    }

    /// Searches below `path` of the arguments of `line`, which is a command with the tags that lead
    /// there.
    fn inside(&mut self, id: TypeId, line: &str, path: &str) {
        let Some((object, steps)) = inside(self.schema, id) else {
            return;
        };
        let is_new = self.seen.insert(object);
        let depth = path.matches('.').count();
        if depth >= DEEPEST {
            return;
        }
        if path.is_empty() {
            self.object(object, line, "");
        } else if is_new {
            self.object(object, line, &format!("{path}{steps}."));
        }
    }

    fn object(&mut self, object: &'a Object, line: &str, path: &str) {
        for member in &object.members {
            let key = format!("{path}{}", member.name);
            if self.fits(&member.name) {
                self.arguments.add(line, key.clone());
            }
            self.values(member.of, line, &key);
            self.inside(member.of, line, &key);
        }
        for variant in &object.variants {
            if let (Some(object), Some(tag)) = (self.schema.object(variant.of), &object.tag) {
                let line = format!("{line} {path}{tag}={}", variant.case);
                self.object(object, &line, path);
            }
        }
    }

    fn values(&mut self, of: TypeId, line: &str, key: &str) {
        match self.schema.get(of) {
            Type::Enum(values) => {
                for value in values {
                    if self.fits(&value.name) {
                        self.values.add(line, format!("{key}={}", value.name));
                    }
                }
            }
            Type::Array(items) => self.values(*items, line, key),
            Type::Alternate(choices) => {
                for choice in choices {
                    self.values(*choice, line, key);
                }
            }
            Type::Scalar(_) | Type::Object(_) => {}
        }
    }
}

/// Matches: lines for `help`, and the names found in each.
#[derive(Default)]
struct Places(Vec<(String, Vec<String>)>);

impl Places {
    fn add(&mut self, line: &str, what: String) {
        match self.0.last_mut() {
            Some((last, found)) if last == line => found.push(what),
            _ => self.0.push((line.to_owned(), vec![what])),
        }
    }

    fn entries(mut self) -> Vec<Entry> {
        // Members of a variant are found between others of the same line.
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.0.dedup_by(|(line, found), (before, all)| {
            let is_same = line == before;
            if is_same {
                all.append(found);
            }
            is_same
        });
        let more = self.0.len().saturating_sub(MOST);
        let places = self.0.into_iter().take(MOST);
        let mut entries: Vec<Entry> = places
            .map(|(line, found)| entry(&line, found.join(", ")))
            .collect();
        if more > 0 {
            entries.push(entry(&format!("… and {more} more"), String::new()));
        }
        entries
    }
}

fn entry(name: &str, text: String) -> Entry {
    Entry {
        depth: 0,
        name: name.to_owned(),
        text,
    }
}
