//! Searches everything that the schema names for a word.

use std::collections::HashSet;
use std::ops::Range;

use crate::lang::nearest;
use crate::schema::{Member, Object, Schema, Type, TypeId};

use super::members::inside;
use super::page::Entry;
use super::reference::{Definition, Links, Reference};

/// How deep to look into arguments. Nobody types a longer path.
const DEEPEST: usize = 30;

/// The most matches to show of one kind.
const MOST: usize = 40;

/// How much of a sentence to show on each side of a match, in characters.
const AROUND: usize = 40;

/// Returns the names that contain `word`, and those whose descriptions do, by kind, without empty kinds. If no command
/// or event contains it, but an argument or a value does, similar names of commands and events are listed too.
pub(super) fn search(
    schema: &Schema,
    reference: Option<&Reference>,
    links: Option<&Links<'_>>,
    word: &str,
) -> Vec<(&'static str, Vec<Entry>)> {
    let mut search = Search {
        schema,
        links,
        word: word.to_lowercase(),
        seen: HashSet::new(),
        arguments: Places::default(),
        values: Places::default(),
        described: Places::default(),
    };
    let names = || {
        let commands = schema.commands().map(|(name, _)| name);
        commands.chain(schema.events().map(|(name, _)| name))
    };
    let commands = search.among(schema.commands().map(|(name, _)| name));
    let events = search.among(schema.events().map(|(name, _)| name));
    for (name, command) in schema.commands() {
        search.command(command.arguments, name);
    }
    let mut descriptions: Vec<Entry> = names()
        .filter_map(|name| search.description(name, reference?.get(name)?))
        .collect();
    descriptions.truncate(MOST);
    let mut similar = Vec::new();
    if commands.is_empty()
        && events.is_empty()
        && descriptions.is_empty()
        && !search.has_found_nothing()
    {
        let near = nearest(word, names());
        similar.extend(near.into_iter().map(|name| entry(name, String::new())));
    }
    [
        ("Commands", commands),
        ("Events", events),
        ("Similar names", similar),
        ("Arguments", search.arguments.entries()),
        ("Values", search.values.entries()),
        ("Descriptions", descriptions),
        ("Descriptions of arguments", search.described.entries()),
    ]
    .into_iter()
    .filter(|(_, entries)| !entries.is_empty())
    .collect()
}

struct Search<'a> {
    schema: &'a Schema,
    links: Option<&'a Links<'a>>,
    word: String,
    /// The objects already searched, because many objects contain the same ones.
    seen: HashSet<*const Object>,
    arguments: Places,
    values: Places,
    /// Arguments whose descriptions have the word.
    described: Places,
}

impl<'a> Search<'a> {
    fn fits(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.word)
    }

    fn has_found_nothing(&self) -> bool {
        self.arguments.0.is_empty() && self.values.0.is_empty()
    }

    fn is_described(&self, member: &Member) -> bool {
        let said = self.links.and_then(|links| links.member(member));
        said.is_some_and(|said| said.text.iter().any(|block| self.fits(block.text())))
    }

    /// The place in the description of a command or an event where the word stands.
    fn description(&self, name: &str, definition: &Definition) -> Option<Entry> {
        let found = definition.blocks().find_map(|block| {
            let text = block.text();
            // Unlike `to_lowercase`, this keeps the places.
            let at = text.to_ascii_lowercase().find(&self.word)?;
            Some(around(text, at..at + self.word.len()))
        })?;
        Some(entry(name, found))
    }

    fn among<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<Entry> {
        let fitting = names.filter(|name| self.fits(name));
        fitting.map(|name| entry(name, String::new())).collect()
    }

    /// Searches the arguments of a command, even those that another command has, too.
    fn command(&mut self, arguments: TypeId, name: &str) {
        if let Some((object, _)) = inside(self.schema, arguments) {
            self.seen.insert(object);
            self.object(object, name, "");
        }
    }

    /// Searches below `path` of the arguments of `line`, which is a command with the tags that lead
    /// there.
    fn inside(&mut self, id: TypeId, line: &str, path: &str) {
        let Some((object, steps)) = inside(self.schema, id) else {
            return;
        };
        let is_new = self.seen.insert(object);
        let depth = path.matches('.').count();
        if is_new && depth < DEEPEST {
            self.object(object, line, &format!("{path}{steps}."));
        }
    }

    fn object(&mut self, object: &'a Object, line: &str, path: &str) {
        for member in &object.members {
            let key = format!("{path}{}", member.name);
            if self.fits(&member.name) {
                self.arguments.add(line, key.clone());
            } else if self.is_described(member) {
                self.described.add(line, key.clone());
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

/// The words around a place in a text.
fn around(text: &str, place: Range<usize>) -> String {
    let start = text[..place.start].char_indices().rev().nth(AROUND);
    let start = start.map_or(0, |(near, _)| {
        let gap = text[near..place.start].find(' ');
        gap.map_or(place.start, |gap| near + gap + 1)
    });
    let end = text[place.end..].char_indices().nth(AROUND);
    let end = end.map_or(text.len(), |(near, _)| {
        let gap = text[place.end..place.end + near].rfind(' ');
        gap.map_or(place.end, |gap| place.end + gap)
    });
    let more = |is_cut| if is_cut { "… " } else { "" };
    let after = more(end < text.len()).trim_end();
    let space = if after.is_empty() { "" } else { " " };
    format!("{}{}{space}{after}", more(start > 0), &text[start..end])
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
    Entry::new(0, name.to_owned(), text)
}
