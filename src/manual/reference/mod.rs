//! QEMU's reference manual as distributions install it: what its commands, events and types mean.
//!
//! [`Reference::find`] finds it, in the layouts of QEMU 5.2 to 11. The schema says what a server accepts; this
//! only adds words to it, by name ([`Links`]).

mod example;
mod installed;
mod layout;
mod link;
mod roff;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use installed::{PACKAGES, Which, program_of};
pub(super) use link::Links;

/// A reference manual.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Reference {
    /// The file that it was read from.
    pub path: String,
    /// The version of QEMU that it is of; empty if it does not say.
    pub version: String,
    definitions: BTreeMap<String, Definition>,
}

/// What it says of a command, an event or a type.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Definition {
    pub(super) kind: Kind,
    pub(super) since: Option<String>,
    pub(super) about: Vec<Block>,
    /// Arguments, members, values or alternatives.
    pub(super) members: Vec<Described>,
    /// Other types whose members it has, too.
    includes: Vec<Include>,
    pub(super) features: Vec<Described>,
    pub(super) returns: Vec<Block>,
    pub(super) errors: Vec<Block>,
    pub(super) notes: Vec<Block>,
    pub(super) examples: Vec<Example>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    #[default]
    Command,
    Event,
    Object,
    Enum,
    Alternate,
}

/// A piece of prose. Names in it stand in backticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Block {
    Paragraph(String),
    Item(String),
    /// Several lines, as they are.
    Code(String),
}

/// A member, a value or a feature.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Described {
    pub name: String,
    /// The name of its type, or of its items' type.
    of: Option<String>,
    /// It is there only with this value of the union's tag.
    when: Option<String>,
    pub text: Vec<Block>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Include {
    of: String,
    /// It is included only with this value of the union's tag.
    when: Option<String>,
}

/// A dialogue with the server.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Example {
    /// What it shows; may be empty.
    pub title: String,
    pub steps: Vec<Step>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Step {
    /// A line for qmpsh, or several.
    Line(String),
    /// What the server answers, as JSON.
    Reply(String),
    /// An event, as JSON.
    Event(String),
    /// Anything else, as it is.
    Text(String),
}

impl Reference {
    /// Reads the source of a manual page; `path` says where it is from.
    pub fn read(source: &str, path: &str) -> Self {
        let (pieces, title) = roff::read(source);
        Self {
            path: path.to_owned(),
            version: title.get(3).cloned().unwrap_or_default(),
            definitions: layout::definitions(pieces),
        }
    }

    /// What it says of the command or the event of this name.
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.definitions.get(name)
    }

    /// Whether it describes a command of this name.
    pub fn has_command(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|found| found.kind == Kind::Command)
    }

    /// The lines of the examples of a command, as one types them, a transaction in several.
    pub fn example_lines(&self, name: &str) -> Vec<&str> {
        let examples = self.get(name).into_iter().flat_map(|of| &of.examples);
        let steps = examples.flat_map(|example| &example.steps);
        steps.filter_map(Step::line).collect()
    }

    /// The member of this name of a definition, directly or through types whose members it includes. `case` is the value
    /// of its tag.
    fn member<'a>(
        &'a self,
        definition: &'a Definition,
        name: &str,
        case: Option<&str>,
    ) -> Option<&'a Described> {
        self.member_within(definition, name, case, 0)
    }

    fn member_within<'a>(
        &'a self,
        definition: &'a Definition,
        name: &str,
        case: Option<&str>,
        depth: usize,
    ) -> Option<&'a Described> {
        let applies = |when: &Option<String>| when.is_none() || when.as_deref() == case;
        let mut own = definition.members.iter();
        let own = own.find(|member| member.name == name && applies(&member.when));
        own.or_else(|| {
            let mut included = definition
                .includes
                .iter()
                .filter(|include| include.when.is_none());
            included.find_map(|include| match depth < DEEPEST {
                true => self.member_within(self.get(&include.of)?, name, case, depth + 1),
                false => None,
            })
        })
    }
}

/// How deep types include others, at most; deeper, they include themselves.
const DEEPEST: usize = 8;

impl Definition {
    /// All its prose, for a search.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        [&self.about, &self.returns, &self.errors, &self.notes]
            .into_iter()
            .flatten()
    }
}

impl Step {
    pub fn line(&self) -> Option<&str> {
        match self {
            Self::Line(line) => Some(line),
            _ => None,
        }
    }
}

impl Described {
    /// Whether it says anything but `since 2.10`, which is not worth a line of its own.
    fn says_more_than_since(&self) -> bool {
        let is_since = |block: &Block| {
            let text = block.text().trim_matches(['(', ')', '.']);
            let version = text
                .strip_prefix(['s', 'S'])
                .and_then(|text| text.strip_prefix("ince"));
            version.is_some_and(|rest| !rest.contains(char::is_alphabetic))
        };
        !self.text.iter().all(is_since)
    }
}

impl Block {
    pub fn text(&self) -> &str {
        match self {
            Self::Paragraph(text) | Self::Item(text) | Self::Code(text) => text,
        }
    }
}
