//! Completes keys inside a filter, by what the schema says that the command returns.

use super::candidates::{Candidate, Completion, matching};
use crate::schema::{Object, Schema, TypeId};

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

/// Completes `line` at the cursor `at`, where it is in the filter that starts at `start`, on what is of the type `input`.
pub(super) fn complete(
    line: &str,
    start: usize,
    at: usize,
    input: TypeId,
    schema: &Schema,
) -> Completion {
    let text = &line[start..at];
    let mut walk = Walk {
        schema,
        text,
        at: 0,
        stage: Stage::on(vec![input]),
        open: Vec::new(),
    };
    let found = walk.key_at_end();
    let (key, types) = found.unwrap_or((text.len(), Vec::new()));
    let mut candidates: Vec<Candidate> = Vec::new();
    for object in types.iter().filter_map(|of| schema.object(*of)) {
        for (name, of) in members(schema, object) {
            if !candidates.iter().any(|known| known.label == name) {
                let text = match name.chars().all(is_of_name) {
                    true => name.to_owned(),
                    false => format!("\"{name}\""),
                };
                candidates.push(Candidate::new(name, text, schema.describe(of)));
            }
        }
    }
    Completion {
        start: start + key,
        candidates: matching(candidates, &text[key..]),
    }
}

/// The members of an object in any of its variants.
fn members<'a>(schema: &'a Schema, object: &'a Object) -> Vec<(&'a str, TypeId)> {
    let variants = object.variants.iter();
    let variants = variants.filter_map(|variant| schema.object(variant.of));
    let members = object
        .members
        .iter()
        .chain(variants.flat_map(|variant| &variant.members));
    members.map(|member| (&*member.name, member.of)).collect()
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A part of the filter between two bars.
struct Stage {
    /// The types of what it runs on; empty if they are not known.
    input: Vec<TypeId>,
    /// The types of what it gives so far.
    output: Vec<TypeId>,
    /// The path that ends here goes on, if a key follows.
    in_path: bool,
}

impl Stage {
    fn on(input: Vec<TypeId>) -> Self {
        Self {
            input,
            output: Vec::new(),
            in_path: false,
        }
    }
}

/// Reads the filter up to the cursor.
struct Walk<'a> {
    schema: &'a Schema,
    text: &'a str,
    at: usize,
    stage: Stage,
    /// What was begun before each open bracket, with the name of the function whose argument it is.
    open: Vec<(Stage, &'a str)>,
}

impl<'a> Walk<'a> {
    /// Where the key starts that the text ends in, and the types of the objects that may have it.
    fn key_at_end(&mut self) -> Option<(usize, Vec<TypeId>)> {
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
                    let name = self.name();
                    if self.at == self.text.len() {
                        return Some((self.at - name.len(), base));
                    }
                    self.stage.output = match name {
                        "" => base,
                        name => self.member(&base, name),
                    };
                    self.stage.in_path = true;
                }
                '"' => self.skip_string()?,
                '[' if self.stage.in_path => {
                    let end = here + self.text[here..].find(']')?;
                    let index = &self.text[self.at..end];
                    self.at = end + 1;
                    let output = std::mem::take(&mut self.stage.output);
                    self.stage.output = match index.trim_matches('"') {
                        key if key != index => self.member(&output, key),
                        _ if index.contains(':') => output,
                        _ => self.items(&output),
                    };
                }
                '?' => {}
                '(' | '[' | '{' => {
                    let input = match OF_ITEMS.contains(&function) {
                        true => self.items(&self.stage.input),
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
                        (')', "min_by" | "max_by") => self.items(&self.stage.input),
                        _ => Vec::new(),
                    };
                    self.stage.in_path = true;
                }
                '|' => self.stage = Stage::on(std::mem::take(&mut self.stage.output)),
                c if is_of_name(c) => {
                    self.at = here;
                    named = self.name();
                    self.stage.in_path = false;
                    self.stage.output = Vec::new();
                }
                c if c.is_whitespace() => {}
                _ => self.stage.in_path = false,
            }
            function = named;
        }
        None
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

    fn items(&self, types: &[TypeId]) -> Vec<TypeId> {
        let items = types.iter().filter_map(|of| self.schema.items(*of));
        items.collect()
    }

    fn member(&self, types: &[TypeId], name: &str) -> Vec<TypeId> {
        let objects = types.iter().filter_map(|of| self.schema.object(*of));
        let members = objects.flat_map(|object| members(self.schema, object));
        let found = members.filter(|(member, _)| *member == name);
        found.map(|(_, of)| of).collect()
    }
}
