//! Describes the members of an object type.

use std::collections::HashSet;

use crate::lang::{self, Value, argument, conceal, dotted};
use crate::schema::{Member, Object, Scalar, Schema, Type, TypeId, Variant};

use super::page::Entry;
use super::reference::Links;

/// How deep to show members, unless the user asked for deeper ones.
const DEPTH: usize = 5;

/// Variants of a union are shown in full if they have no more members than this, at all depths.
const FEW: usize = 32;

/// How deep to count those members.
const COUNTED: usize = 3;

/// The most entries of a page. Pages of a real server are shorter; a malicious one's may not be.
const MOST: usize = 5000;

/// How members are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    /// By the whole dotted path, as it is typed.
    ByPath,
    /// By their name alone, because nobody types them.
    Alone,
}

/// Collects the entries of an object's members.
pub(super) struct Members<'a> {
    schema: &'a Schema,
    links: Option<&'a Links<'a>>,
    named: Named,
    /// The command and the given arguments, as typed after `help`.
    line: String,
    /// The objects that contain the current one, and the unions that it is a variant of.
    within: Vec<&'a Object>,
    /// How many of those are values of members.
    nesting: usize,
    /// The enumerations whose values were described.
    described: HashSet<TypeId>,
    pub entries: Vec<Entry>,
}

impl<'a> Members<'a> {
    pub fn new(
        schema: &'a Schema,
        links: Option<&'a Links<'a>>,
        named: Named,
        line: String,
    ) -> Self {
        Self {
            schema,
            links,
            named,
            line,
            within: Vec::new(),
            nesting: 0,
            described: HashSet::new(),
            entries: Vec::new(),
        }
    }

    /// Adds the members that `object` has when it holds `given`. `path` is the dotted path to it.
    pub fn object(&mut self, object: &'a Object, given: &lang::Object, path: &str) {
        if self.entries.len() > MOST {
            return;
        }
        let depth = self.within.len();
        self.within.push(object);
        let mut members = self.schema.members(object, given);
        // Members of the selected variant come first: a user who gave the tag looks for them.
        members.rotate_left(object.members.len());
        let is_tag = |member: &Member| object.tag.as_ref() == Some(&member.name);
        members.sort_by_key(|member| (!is_tag(member), !member.required));
        for member in members {
            self.member(member, given, path, depth);
        }
        self.open_union(object, given, path, depth);
        self.within.pop();
    }

    fn member(&mut self, member: &'a Member, siblings: &lang::Object, path: &str, depth: usize) {
        let name = self.name(&member.name, path);
        let given = siblings.get(&*member.name);
        let mut text = self.described(member, given);
        let Some((object, steps)) = inside(self.schema, member.of) else {
            self.push(depth, name, text);
            self.explain(member, given, depth);
            return;
        };
        let path = format!("{path}{}{steps}.", member.name);
        let nothing = lang::Object::new();
        let below = given.and_then(given_inside);
        let is_known = self.within.iter().any(|outer| std::ptr::eq(*outer, object));
        // If the user gave some values, they want to read about those, and not about other large
        // things.
        let is_too_much = !siblings.is_empty() && self.is_large(object);
        if below.is_none() && (is_known || is_too_much || self.nesting + 1 >= DEPTH) {
            if let Some(more) = self.more(object, &path, is_known) {
                text.push_str(&more);
            }
            self.push(depth, name, text);
            self.explain(member, given, depth);
            return;
        }
        self.push(depth, name, text);
        self.explain(member, given, depth);
        self.nesting += 1;
        self.object(object, below.unwrap_or(&nothing), &path);
        self.nesting -= 1;
    }

    fn name(&self, name: &str, path: &str) -> String {
        match self.named {
            Named::ByPath => format!("{path}{name}"),
            Named::Alone => name.to_owned(),
        }
    }

    /// Where to read about the members left out here.
    fn more(&self, object: &Object, path: &str, is_known: bool) -> Option<String> {
        let tag = object.tag.as_deref();
        match (self.named, tag) {
            (Named::ByPath, Some(tag)) => Some(format!("; `{path}{tag}=…` here shows more")),
            _ if is_known => Some(", with the members listed above".to_owned()),
            _ => None,
        }
    }

    /// Adds the variants of a union whose tag has no value yet.
    fn open_union(&mut self, object: &'a Object, given: &lang::Object, path: &str, depth: usize) {
        let Some(tag) = &object.tag else {
            return;
        };
        if let Some(variant) = self.schema.variant(object, given) {
            // The variant's own members are listed already, but it may be a union itself.
            return self.open_union(variant, given, path, depth);
        }
        let cases = cases(self.schema, object);
        if !self.is_large(object) {
            for (names, variant) in cases {
                if size(variant) > 0 {
                    let tag = self.name(tag, path);
                    let title = format!("with {tag}={}", either(&names));
                    self.push(depth, title, String::new());
                    self.object(variant, given, path);
                }
            }
        } else if let Some((names, _)) = cases.iter().find(|(_, variant)| self.is_telling(variant))
        {
            let key = format!("{path}{tag}");
            let text = format!(
                "more, depending on `{key}`: `help {} {key}={}`",
                self.line, names[0]
            );
            self.push(depth, "…".to_owned(), text);
        }
    }

    /// Whether the variants of a union have too many members to show them all.
    fn is_large(&self, object: &Object) -> bool {
        let mut members = 0;
        for (_, variant) in cases(self.schema, object) {
            self.count(variant, COUNTED, &mut members);
        }
        self.named == Named::ByPath && members > FEW
    }

    /// Counts members at all depths, until there are too many.
    fn count(&self, object: &Object, depth: usize, members: &mut usize) {
        let of_members = object.members.iter().map(|member| (1, member.of));
        let of_variants = object.variants.iter().map(|variant| (0, variant.of));
        for (more, of) in of_members.chain(of_variants) {
            *members += more;
            if *members > FEW {
                return;
            }
            if let Some((object, _)) = inside(self.schema, of)
                && depth > 1
            {
                self.count(object, depth - 1, members);
            }
        }
    }

    /// Whether there is more to say about a variant than one member.
    fn is_telling(&self, variant: &Object) -> bool {
        let mut members = 0;
        self.count(variant, COUNTED, &mut members);
        members > 1
    }

    fn push(&mut self, depth: usize, name: String, text: String) {
        self.entries.push(Entry::new(depth, name, text));
    }

    /// Adds what the reference says of a member to its entry, which is the last, and of its values below that.
    fn explain(&mut self, member: &'a Member, given: Option<&Value>, depth: usize) {
        let Some(links) = self.links else {
            return;
        };
        if let (Some(said), Some(entry)) = (links.member(member), self.entries.last_mut()) {
            entry.prose.clone_from(&said.text);
        }
        if !self.described.insert(member.of) {
            return;
        }
        let given = given.and_then(Value::as_str);
        let mut values = links.values(member.of);
        values.retain(|value| given.is_none_or(|given| given == value.name));
        for value in values {
            self.entries.push(Entry {
                prose: value.text.clone(),
                ..Entry::new(depth + 1, value.name.clone(), String::new())
            });
        }
    }

    /// Describes a member. If a tag has a value, its other values are left out.
    fn described(&self, member: &Member, given: Option<&Value>) -> String {
        let mut first = Vec::new();
        match (self.named, member.required) {
            (Named::ByPath, true) => first.push("required"),
            // What a command returns is always there, unless it is marked as optional.
            (Named::Alone, false) => first.push("optional"),
            _ => {}
        }
        first.extend(member.features.names());
        let first = first.join(", ");
        let mut text = match (self.schema.get(member.of), given) {
            (Type::Enum(values), Some(Value::Word(word) | Value::Text(word))) => {
                format!("{word}, one of {} values", values.len())
            }
            (Type::Enum(_), _) if !first.is_empty() => {
                format!("{first}, {}", words(self.schema, member.of))
            }
            _ => format!("{first} {}", words(self.schema, member.of))
                .trim_start()
                .to_owned(),
        };
        if let Some(default) = &member.default {
            text.push_str(&format!(", default {default}"));
        }
        text
    }
}

/// Describes a type.
pub(super) fn words(schema: &Schema, id: TypeId) -> String {
    match schema.get(id) {
        Type::Scalar(Scalar::Any) => "any JSON value".to_owned(),
        Type::Scalar(scalar) => scalar.name().to_owned(),
        Type::Enum(values) => {
            let names: Vec<String> = values
                .iter()
                .map(
                    |value| match &value.features.names().collect::<Vec<_>>()[..] {
                        [] => value.name.to_string(),
                        features => format!("{} ({})", value.name, features.join(", ")),
                    },
                )
                .collect();
            match &names[..] {
                [] => "nothing".to_owned(),
                [only] => format!("only {only}"),
                names => format!("one of {}", names.join(", ")),
            }
        }
        Type::Array(items) => match schema.get(*items) {
            Type::Scalar(Scalar::Any | Scalar::Null) | Type::Enum(_) | Type::Alternate(_) => {
                format!("array, each item {}", words(schema, *items))
            }
            Type::Scalar(_) | Type::Object(_) => format!("array of {}s", words(schema, *items)),
            Type::Array(_) => format!(
                "array of {}",
                words(schema, *items).replacen("array", "arrays", 1)
            ),
        },
        Type::Object(_) => "object".to_owned(),
        Type::Alternate(choices) => {
            let mut choices: Vec<String> = choices.iter().map(|id| words(schema, *id)).collect();
            // A list of values goes last, where its commas cannot be misread.
            choices.sort_by_key(|words| words.starts_with("one of"));
            either(&choices)
        }
    }
}

/// `a, b or c`.
fn either<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// The object type in a type, if it has members, and the dotted steps through arrays that lead to
/// it.
pub(super) fn inside(schema: &Schema, id: TypeId) -> Option<(&Object, String)> {
    if let Some(object) = schema.object(id) {
        return (size(object) > 0).then(|| (object, String::new()));
    }
    let (object, steps) = inside(schema, schema.items(id)?)?;
    Some((object, format!(".0{steps}")))
}

/// The members given in a value, or in its first item.
fn given_inside(value: &Value) -> Option<&lang::Object> {
    match value {
        Value::Object(members) => Some(members),
        Value::Array(values) => given_inside(values.first()?),
        _ => None,
    }
}

fn size(object: &Object) -> usize {
    object.members.len() + object.variants.len()
}

/// The variants of a union, each with all the tag values that select it.
fn cases<'a>(schema: &'a Schema, object: &'a Object) -> Vec<(Vec<&'a str>, &'a Object)> {
    let mut cases: Vec<(Vec<&str>, &Object)> = Vec::new();
    for Variant { case, of } in &object.variants {
        let Some(object) = schema.object(*of) else {
            continue;
        };
        match cases
            .iter_mut()
            .find(|(_, known)| std::ptr::eq(*known, object))
        {
            Some((names, _)) => names.push(case),
            None => cases.push((vec![case], object)),
        }
    }
    cases
}

/// A command and the given arguments, as they are typed.
pub(super) fn line(command: &str, given: &lang::Object) -> String {
    let mut line = command.to_owned();
    for (key, value) in dotted(given) {
        line.push(' ');
        line.push_str(&argument(&key, value));
    }
    conceal(&line).into_owned()
}
