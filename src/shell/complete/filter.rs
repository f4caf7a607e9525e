//! Completes keys and variables inside a filter, by what the schema says that the command returns, and by what it has
//! returned.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::candidates::{Candidate, Completion, matching};
use super::sources::Sources;
use crate::exec::builtin::{self, Part};
use crate::lang::{self, Value, filter_before};
use crate::schema::{Schema, TypeId};

/// Functions whose argument runs on each item of their input.
const OF_ITEMS: [&str; 9] = [
    "map",
    "any",
    "all",
    "sort_by",
    "group_by",
    "unique_by",
    "min_by",
    "max_by",
    "INDEX",
];

/// Functions that return their input, or a list of the same items.
const OF_INPUT: [&str; 3] = ["select", "sort_by", "unique_by"];

/// What is known of a value.
#[derive(Clone)]
enum Shape {
    /// The schema tells its type.
    Type(TypeId),
    /// It was seen.
    Value(Arc<Value>),
    /// The message of an event, whose data is of one of these types.
    Event(Vec<TypeId>),
    /// An object with these members.
    Members(&'static [&'static str]),
}

/// The members of an event's message, and of the time in it.
const EVENT: [&str; 3] = ["event", "data", "timestamp"];
const TIMESTAMP: &[&str] = &["seconds", "microseconds"];

/// Completes `line` at the cursor `at`, if it is in a filter.
pub(super) fn complete(line: &str, at: usize, sources: &Sources<'_>) -> Option<Completion> {
    let (start, input) = sources.filter_at(line, at)?;
    let text = &line[start..at];
    let mut walk = Walk {
        sources,
        text,
        at: 0,
        stage: Stage::on(input),
        open: Vec::new(),
        bound: Vec::new(),
    };
    let (word, mut candidates) = match walk.place() {
        Place::Key(start, shapes) => (start, sources.keys(&shapes)),
        Place::Variable(start) => (start, walk.variables()),
        Place::Other => (text.len(), Vec::new()),
    };
    let mut known = BTreeSet::new();
    candidates.retain(|candidate: &Candidate| known.insert(candidate.label.clone()));
    Some(Completion {
        start: start + word,
        candidates: matching(candidates, &text[word..]),
    })
}

impl Sources<'_> {
    /// Where the filter starts that the cursor is in, and what it runs on.
    fn filter_at(&self, line: &str, at: usize) -> Option<(usize, Vec<Shape>)> {
        let seen = |of| (self.seen)(of).map(Shape::Value);
        let first = line.split_whitespace().next()?;
        let Some(name) = first.strip_prefix(':') else {
            let (command, start) = filter_before(line, at)?;
            let known = self.schema.and_then(|schema| schema.command(command));
            let returned = known.map(|command| Shape::Type(command.returns));
            return Some((
                start,
                returned.into_iter().chain(seen(Some(command))).collect(),
            ));
        };
        let builtin = builtin::find(name)?;
        let has = |is: fn(&Part) -> bool| builtin.forms.iter().copied().flatten().any(is);
        if has(|part| matches!(part, Part::Filter)) {
            let start = line.find(first)? + first.len();
            let inside = start < at;
            return inside.then(|| (start, seen(None).into_iter().collect()));
        }
        // Another line has the filter.
        if has(|part| matches!(part, Part::Line | Part::Command | Part::OobCommand)) {
            return None;
        }
        let (_, start) = filter_before(line, at)?;
        let input = match name {
            "last" => seen(None),
            "wait" => Some(self.event(&line[..start])),
            _ => seen(Some(first)),
        };
        Some((start, input.into_iter().collect()))
    }

    /// The message of an event that one of these words names.
    fn event(&self, words: &str) -> Shape {
        let names = words.split(|c: char| c.is_whitespace() || c == ',');
        let events = names.filter_map(|name| self.schema?.event(name));
        Shape::Event(events.map(|event| event.data).collect())
    }

    /// The keys that values can have, with what is known of theirs. The schema's come first: it knows all of them.
    fn keys(&self, shapes: &[Shape]) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        let mut add = |name: &str, note: String| {
            let text = match !name.is_empty() && name.chars().all(is_of_name) {
                true => name.to_owned(),
                false => lang::quote(name),
            };
            candidates.push(Candidate::new(name, text, note));
        };
        for shape in shapes {
            match shape {
                Shape::Type(of) => {
                    for (schema, name, of) in self.members(*of) {
                        add(name, schema.describe(of));
                    }
                }
                Shape::Value(value) => {
                    if let Value::Object(members) = &**value {
                        for (name, value) in members {
                            add(name, kind(value).to_owned());
                        }
                    }
                }
                Shape::Event(_) => EVENT.iter().for_each(|name| add(name, String::new())),
                Shape::Members(names) => names.iter().for_each(|name| add(name, String::new())),
            }
        }
        candidates
    }

    /// The members of an object in any of its variants.
    fn members(&self, of: TypeId) -> impl Iterator<Item = (&Schema, &str, TypeId)> {
        let found = self
            .schema
            .and_then(|schema| Some((schema, schema.object(of)?)));
        found.into_iter().flat_map(|(schema, object)| {
            let variants = object.variants.iter();
            let variants = variants.filter_map(|variant| schema.object(variant.of));
            let of_variants = variants.flat_map(|variant| &variant.members);
            let members = object.members.iter().chain(of_variants);
            members.map(move |member| (schema, &*member.name, member.of))
        })
    }

    /// What is known of the items of lists, and of the values of objects' members.
    fn items(&self, shapes: &[Shape]) -> Vec<Shape> {
        let mut items = Vec::new();
        for shape in shapes {
            match shape {
                Shape::Type(of) => {
                    let schema = self.schema;
                    items.extend(schema.and_then(|schema| schema.items(*of)).map(Shape::Type));
                }
                Shape::Value(value) => match &**value {
                    Value::Array(values) => items.extend(values.iter().map(seen)),
                    Value::Object(members) => items.extend(members.values().map(seen)),
                    _ => {}
                },
                Shape::Event(_) | Shape::Members(_) => {}
            }
        }
        items
    }

    /// What is known of a member.
    fn member(&self, shapes: &[Shape], key: &str) -> Vec<Shape> {
        let mut found = Vec::new();
        for shape in shapes {
            match shape {
                Shape::Type(of) => {
                    let members = self.members(*of).filter(|(_, name, _)| *name == key);
                    found.extend(members.map(|(_, _, of)| Shape::Type(of)));
                }
                Shape::Value(value) => {
                    if let Value::Object(members) = &**value {
                        found.extend(members.get(key).map(seen));
                    }
                }
                Shape::Event(data) => match key {
                    "data" => found.extend(data.iter().map(|of| Shape::Type(*of))),
                    "timestamp" => found.push(Shape::Members(TIMESTAMP)),
                    _ => {}
                },
                Shape::Members(_) => {}
            }
        }
        found
    }
}

fn seen(value: &Value) -> Shape {
    Shape::Value(Arc::new(value.clone()))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Word(_) | Value::Text(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A part of the filter between two bars.
struct Stage {
    /// What is known of what it runs on; empty if nothing is.
    input: Vec<Shape>,
    /// The same of what it gives so far.
    output: Vec<Shape>,
    /// The path that ends here goes on, if a key follows.
    in_path: bool,
}

impl Stage {
    fn on(input: Vec<Shape>) -> Self {
        Self {
            input,
            output: Vec::new(),
            in_path: false,
        }
    }
}

/// What is at the end of the filter's text. The name that is being typed starts at the offset.
enum Place {
    /// A key of one of these.
    Key(usize, Vec<Shape>),
    Variable(usize),
    Other,
}

/// Reads the filter up to the cursor.
struct Walk<'a> {
    sources: &'a Sources<'a>,
    text: &'a str,
    at: usize,
    stage: Stage,
    /// What was begun before each open bracket, with the name of the function whose argument it is.
    open: Vec<(Stage, &'a str)>,
    /// The variables of the filter itself (`as $NAME`).
    bound: Vec<(&'a str, Vec<Shape>)>,
}

impl<'a> Walk<'a> {
    fn place(&mut self) -> Place {
        self.found().unwrap_or(Place::Other)
    }

    fn found(&mut self) -> Option<Place> {
        let mut function = "";
        while let Some(c) = self.text[self.at..].chars().next() {
            let here = self.at;
            self.at += c.len_utf8();
            let mut named = "";
            match c {
                '.' => {
                    let base = match self.stage.in_path {
                        true => self.stage.output.clone(),
                        false => self.stage.input.clone(),
                    };
                    let name = self.key()?;
                    if self.at == self.text.len() {
                        return Some(Place::Key(self.at - name.len(), base));
                    }
                    self.stage.output = match name.trim_matches('"') {
                        "" => base,
                        name => self.sources.member(&base, name),
                    };
                    self.stage.in_path = true;
                }
                '$' => {
                    let name = self.name();
                    if self.at == self.text.len() {
                        return Some(Place::Variable(here));
                    }
                    if function == "as" {
                        let value = std::mem::take(&mut self.stage.output);
                        self.bound.push((name, value));
                        // What follows runs on what this stage runs on.
                        self.stage.output = self.stage.input.clone();
                    } else {
                        self.stage.output = self.variable(name);
                        self.stage.in_path = true;
                    }
                }
                '"' => self.skip_string()?,
                '[' if self.stage.in_path => {
                    let end = here + self.text[here..].find(']')?;
                    let index = &self.text[self.at..end];
                    self.at = end + 1;
                    let output = std::mem::take(&mut self.stage.output);
                    self.stage.output = match index.trim_matches('"') {
                        key if key != index => self.sources.member(&output, key),
                        _ if index.contains(':') => output,
                        _ => self.sources.items(&output),
                    };
                }
                '?' => {}
                '(' | '[' | '{' => {
                    let input = match OF_ITEMS.contains(&function) {
                        true => self.sources.items(&self.stage.input),
                        false => self.stage.input.clone(),
                    };
                    let outer = std::mem::replace(&mut self.stage, Stage::on(input));
                    self.open.push((outer, function));
                }
                ')' | ']' | '}' => {
                    let (outer, function) = self.open.pop()?;
                    let inner = std::mem::replace(&mut self.stage, outer);
                    self.stage.output = match (c, function) {
                        (')', "") => inner.output,
                        (')', name) if OF_INPUT.contains(&name) => self.stage.input.clone(),
                        (')', "min_by" | "max_by") => self.sources.items(&self.stage.input),
                        _ => Vec::new(),
                    };
                    self.stage.in_path = true;
                }
                '|' => self.stage = Stage::on(std::mem::take(&mut self.stage.output)),
                c if is_of_name(c) => {
                    self.at = here;
                    named = self.name();
                    self.stage.in_path = false;
                    if named != "as" {
                        self.stage.output = Vec::new();
                    }
                }
                c if c.is_whitespace() => {
                    // A name and its variable or argument may stand apart.
                    named = function;
                }
                _ => self.stage.in_path = false,
            }
            function = named;
        }
        None
    }

    /// What is known of a variable.
    fn variable(&self, name: &str) -> Vec<Shape> {
        if let Some((_, value)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return value.clone();
        }
        let variables = self.sources.variables.iter();
        let mut values = variables.filter(|(other, _)| *other == name);
        values
            .find_map(|(_, value)| value)
            .map(seen)
            .into_iter()
            .collect()
    }

    /// The variables that there are, those of the filter first.
    fn variables(&self) -> Vec<Candidate> {
        let bound = self.bound.iter().rev();
        let bound =
            bound.map(|(name, _)| Candidate::new(format!("${name}"), format!("${name}"), ""));
        let set = self.sources.variables.iter();
        let set = set.map(|(name, value)| {
            let note = value.map(kind).unwrap_or_default();
            Candidate::new(format!("${name}"), format!("${name}"), note)
        });
        bound.chain(set).collect()
    }

    /// The key after a dot, with its quotes. `None` if it has one that is not closed.
    fn key(&mut self) -> Option<&'a str> {
        if !self.text[self.at..].starts_with('"') {
            return Some(self.name());
        }
        let start = self.at;
        self.at += 1;
        self.skip_string()?;
        Some(&self.text[start..self.at])
    }

    fn name(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn skip_string(&mut self) -> Option<()> {
        loop {
            let rest = &self.text[self.at..];
            let end = rest.find(['"', '\\'])?;
            self.at += end + 1;
            if rest[end..].starts_with('"') {
                return Some(());
            }
            self.at += self.text[self.at..].chars().next()?.len_utf8();
        }
    }
}
