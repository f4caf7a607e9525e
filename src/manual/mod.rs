//! The pages of `help`: what the schema says, as text to read, with the words of the installed reference. And the
//! recipes.
//!
//! Pure but for [`mod@reference`], which reads that: a schema, a reference and QOM's properties go in, and text of a given
//! width comes out.

mod events;
mod groups;
mod members;
mod page;
mod prose;
pub mod recipes;
pub mod reference;
mod search;

use crate::lang::{self, names_secret};
use crate::schema::{Command, Features, Object, Property, Schema, Type};

use members::{Members, Named, inside, line, words};
use page::{Entry, Page};
use reference::{Links, Reference};

pub use page::{PROSE, Sheet};

/// A schema, what a reference says of it, and the format of its pages.
pub struct Manual<'a> {
    schema: &'a Schema,
    reference: Option<&'a Reference>,
    links: Option<Links<'a>>,
    sheet: Sheet,
}

impl<'a> Manual<'a> {
    /// A manual of what a server with this schema accepts.
    pub fn new(schema: &'a Schema, reference: Option<&'a Reference>, sheet: Sheet) -> Self {
        Self {
            schema,
            reference,
            links: reference.map(|reference| Links::new(schema, reference)),
            sheet,
        }
    }

    /// All commands by group, and all events.
    pub fn overview(&self) -> String {
        let mut page = Page::new(self.sheet);
        for (group, commands) in groups::by_group(self.schema.commands().map(|(name, _)| name)) {
            page.heading(group);
            page.columns(&commands);
        }
        let events: Vec<&str> = self.schema.events().map(|(name, _)| name).collect();
        page.heading("Events");
        page.columns(&events);
        page.finish()
    }

    /// The page of a command, or `None` if there is no such command. Unions are narrowed to the
    /// variants selected in `given`. `properties` are those of the device or object type named in
    /// `given`.
    pub fn command(
        &self,
        name: &str,
        given: &lang::Object,
        properties: &[Property],
    ) -> Option<String> {
        let command = self.schema.command(name)?;
        let mut page = Page::new(self.sheet);
        page.title(name, &self.synopsis(command, given));
        self.remarks(&mut page, name, command);
        self.about(&mut page, name);

        page.heading("Arguments");
        let links = self.links.as_ref();
        let mut arguments = Members::new(self.schema, links, Named::ByPath, line(name, given));
        if let Some((object, _)) = inside(self.schema, command.arguments) {
            arguments.object(object, given, "");
        }
        let mut entries = arguments.entries;
        let rest = explain(&mut entries, properties);
        match entries.is_empty() {
            true => page.paragraph("none"),
            false => page.entries(&entries),
        }
        self.properties(&mut page, name, given, rest);

        self.returns(&mut page, name, command);
        self.notes(&mut page, name);
        let events: Vec<&str> = self
            .schema
            .events()
            .map(|(event, _)| event)
            .filter(|event| events::tells_of(event, name))
            .collect();
        if !events.is_empty() {
            page.heading("Events");
            page.columns(&events);
        }
        self.examples(&mut page, name);
        Some(page.finish())
    }

    /// What follows the name: the required arguments, and whether there are others.
    fn synopsis(&self, command: &Command, given: &lang::Object) -> String {
        let Some(object) = self.schema.object(command.arguments) else {
            return String::new();
        };
        let members = self.schema.members(object, given);
        let mut synopsis = String::new();
        for member in members.iter().filter(|member| member.required) {
            let value = match given.get(&*member.name) {
                Some(lang::Value::Word(word) | lang::Value::Text(word))
                    if !names_secret(&member.name) =>
                {
                    word
                }
                _ => "…",
            };
            synopsis.push_str(&format!("{}={value} ", member.name));
        }
        if members.iter().any(|member| !member.required) || object.tag.is_some() {
            synopsis.push_str("[KEY=VALUE]…");
        }
        synopsis
    }

    fn remarks(&self, page: &mut Page, name: &str, command: &Command) {
        remark(page, &command.features);
        if command.allow_oob {
            page.paragraph(&format!(
                "`:oob {name}` sends it out of band, ahead of commands that are still running."
            ));
        }
    }

    /// Adds the arguments that the schema does not list.
    fn properties(&self, page: &mut Page, name: &str, given: &lang::Object, rest: Vec<Entry>) {
        let text = |key| match given.get(key) {
            Some(lang::Value::Word(text) | lang::Value::Text(text)) => Some(text),
            _ => None,
        };
        match name {
            "device_add" => match text("driver") {
                Some(driver) if !rest.is_empty() => {
                    page.heading(&format!("Properties of {driver}"));
                    page.entries(&rest);
                }
                Some(_) => page.paragraph("and more, which the server does not list"),
                None => page.paragraph(
                    "and the properties of its type: see `help device_add driver=…`. \
                     `qom-list-types implements=device abstract=false` lists the types.",
                ),
            },
            "object-add" if self.schema.is_open(name) => match text("qom-type") {
                Some(of) => {
                    page.heading(&format!("Properties of {of}"));
                    let in_props = |entry: Entry| Entry {
                        name: format!("props.{}", entry.name),
                        ..entry
                    };
                    page.entries(&rest.into_iter().map(in_props).collect::<Vec<_>>());
                }
                None => page.paragraph("For what `props` takes, see `help object-add qom-type=…`."),
            },
            _ if self.schema.is_open(name) => {
                page.paragraph("and more, which the server does not list");
            }
            _ => {}
        }
    }

    fn returns(&self, page: &mut Page, name: &str, command: &Command) {
        page.heading("Returns");
        let words = words(self.schema, command.returns);
        let said = self.said_of_returns(name);
        match inside(self.schema, command.returns) {
            None if matches!(self.schema.get(command.returns), Type::Object(_)) => {
                page.paragraph("nothing");
                page.prose(&said);
            }
            None => {
                page.paragraph(&words);
                page.prose(&said);
            }
            Some((object, _)) => {
                let each = if words.starts_with("array") {
                    ", each"
                } else {
                    ""
                };
                page.prose(&said);
                page.paragraph(&format!("{words}{each} with"));
                let mut entries = self.plain_members(object);
                entries.iter_mut().for_each(|entry| entry.depth += 1);
                page.entries(&entries);
            }
        }
    }

    fn plain_members(&self, object: &Object) -> Vec<Entry> {
        let links = self.links.as_ref();
        let mut members = Members::new(self.schema, links, Named::Alone, String::new());
        members.object(object, &lang::Object::new(), "");
        members.entries
    }

    /// The page of an event, or `None` if there is no such event.
    pub fn event(&self, name: &str) -> Option<String> {
        let event = self.schema.event(name)?;
        let mut page = Page::new(self.sheet);
        page.title(name, "is an event");
        remark(&mut page, &event.features);
        self.about(&mut page, name);
        page.heading("Data");
        match inside(self.schema, event.data) {
            Some((object, _)) => page.entries(&self.plain_members(object)),
            None => page.paragraph("none"),
        }
        let commands: Vec<&str> = self
            .schema
            .commands()
            .map(|(command, _)| command)
            .filter(|command| events::tells_of(name, command))
            .collect();
        if !commands.is_empty() {
            page.heading("Commands that may lead to it");
            page.columns(&commands);
        }
        self.notes(&mut page, name);
        self.examples(&mut page, name);
        Some(page.finish())
    }

    /// Everything with `word` in its name or in what the reference says of it, or `None` if there is nothing.
    pub fn search(&self, word: &str) -> Option<String> {
        let found = search::search(self.schema, self.reference, self.links.as_ref(), word);
        let mut page = Page::new(self.sheet);
        for (heading, entries) in &found {
            page.heading(heading);
            page.entries(entries);
        }
        (!found.is_empty()).then(|| page.finish())
    }
}

/// Names on the left, descriptions on the right.
pub fn list<'a>(sheet: Sheet, entries: impl Iterator<Item = (String, &'a str)>) -> String {
    let mut page = Page::new(sheet);
    let entry = |(name, text): (String, &str)| Entry::new(0, name, text.to_owned());
    page.entries(&entries.map(entry).collect::<Vec<_>>());
    page.finish()
}

fn remark(page: &mut Page, features: &Features) {
    if features.deprecated {
        page.paragraph("Deprecated: a later version of QEMU may remove it.");
    }
    if features.unstable {
        page.paragraph("Unstable: any version of QEMU may change or remove it.");
    }
}

/// Adds QOM's descriptions to the entries of the same names, and returns entries for the other
/// properties.
fn explain(entries: &mut [Entry], properties: &[Property]) -> Vec<Entry> {
    let mut rest = Vec::new();
    for property in properties {
        let note = property.description.as_deref().unwrap_or_default();
        match entries.iter_mut().find(|entry| entry.name == property.name) {
            Some(entry) if !note.is_empty() => entry.text.push_str(&format!(": {note}")),
            Some(_) => {}
            None if property.is_for_users() => rest.push(property),
            None => {}
        }
    }
    // Experimental properties, whose names start with `x-`, come last.
    rest.sort_by_key(|property| (property.name.starts_with("x-"), &property.name));
    let entry = |property: &Property| Entry::new(0, property.name.clone(), property.note());
    rest.into_iter().map(entry).collect()
}
