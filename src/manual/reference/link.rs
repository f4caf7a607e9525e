//! Joins a schema with a reference. A schema has no names of types, so they are found by walking both at once, from the
//! commands and events, whose names both have.

use std::collections::{HashMap, HashSet};

use super::{Block, DEEPEST, Definition, Described, Kind, Reference};
use crate::schema::{Member, Object, Schema, Type, TypeId};

/// What the reference says of the types in a schema.
pub(crate) struct Links<'a> {
    schema: &'a Schema,
    reference: &'a Reference,
    /// By the address of the member.
    members: HashMap<usize, &'a Described>,
    enums: HashMap<TypeId, &'a Definition>,
    /// The types joined so far.
    joined: HashSet<TypeId>,
    /// What is still to be joined, each with the value of the union's tag if it is a variant. A list, because types may
    /// be nested deeply.
    queue: Vec<(TypeId, &'a Definition, Option<&'a str>)>,
}

impl<'a> Links<'a> {
    pub fn new(schema: &'a Schema, reference: &'a Reference) -> Self {
        let mut links = Self {
            schema,
            reference,
            members: HashMap::new(),
            enums: HashMap::new(),
            joined: HashSet::new(),
            queue: Vec::new(),
        };
        for (name, command) in schema.commands() {
            if let Some(definition) = reference.get(name) {
                links.join(command.arguments, definition, None);
                links.returned(command.returns, definition);
            }
        }
        for (name, event) in schema.events() {
            if let Some(definition) = reference.get(name) {
                links.join(event.data, definition, None);
            }
        }
        while let Some((id, definition, case)) = links.queue.pop() {
            links.join(id, definition, case);
        }
        links
    }

    /// What is said of a member.
    pub fn member(&self, member: &Member) -> Option<&'a Described> {
        self.members.get(&address(member)).copied()
    }

    /// What is said of the values that an enumeration, or an array's items, can have.
    pub fn values(&self, id: TypeId) -> Vec<&'a Described> {
        let values = match self.schema.get(id) {
            Type::Array(items) => return self.values(*items),
            Type::Enum(values) => values,
            _ => return Vec::new(),
        };
        let said = self.enums.get(&id).map_or(&[][..], |found| &found.members);
        let said = said.iter().filter(|said| said.says_more_than_since());
        said.filter(|said| values.iter().any(|value| *value.name == *said.name))
            .collect()
    }

    /// Joins a type with its definition.
    fn join(&mut self, id: TypeId, definition: &'a Definition, case: Option<&'a str>) {
        let (schema, reference) = (self.schema, self.reference);
        match schema.get(id) {
            Type::Array(items) if self.joined.insert(id) => {
                self.queue.push((*items, definition, None));
            }
            Type::Enum(_) if definition.kind == Kind::Enum => {
                self.enums.insert(id, definition);
            }
            Type::Alternate(choices) if self.joined.insert(id) => {
                let branches = definition.members.iter();
                let of = branches.filter_map(|branch| reference.get(branch.of.as_ref()?));
                for definition in of {
                    for choice in choices {
                        let fits = match schema.get(*choice) {
                            Type::Enum(_) => definition.kind == Kind::Enum,
                            Type::Object(object) => self.covers(definition, object),
                            _ => false,
                        };
                        if fits {
                            self.queue.push((*choice, definition, None));
                        }
                    }
                }
            }
            Type::Object(object) if !matches!(definition.kind, Kind::Enum | Kind::Alternate) => {
                if !self.joined.insert(id) {
                    return;
                }
                for member in &object.members {
                    if let Some(said) = reference.member(definition, &member.name, case) {
                        self.members.insert(address(member), said);
                        let of = said.of.as_ref().and_then(|of| reference.get(of));
                        self.queue.extend(of.map(|of| (member.of, of, None)));
                    }
                }
                for variant in &object.variants {
                    let found = self.variant(definition, &variant.case, 0);
                    self.queue
                        .extend(found.map(|(of, case)| (variant.of, of, case)));
                }
            }
            _ => {}
        }
    }

    /// The definition of a variant's members: a type's, or the union's own with the value of its tag.
    fn variant(
        &self,
        definition: &'a Definition,
        case: &str,
        depth: usize,
    ) -> Option<(&'a Definition, Option<&'a str>)> {
        let applies = |when: &Option<String>| when.as_deref() == Some(case);
        let mut includes = definition.includes.iter();
        if let Some(include) = includes.find(|include| applies(&include.when)) {
            return Some((self.reference.get(&include.of)?, None));
        }
        let mut members = definition.members.iter();
        if let Some(member) = members.find(|member| applies(&member.when)) {
            return Some((definition, member.when.as_deref()));
        }
        // A command may take all members of a union.
        let mut includes = definition
            .includes
            .iter()
            .filter(|include| include.when.is_none());
        includes.find_map(|include| match depth < DEEPEST {
            true => self.variant(self.reference.get(&include.of)?, case, depth + 1),
            false => None,
        })
    }

    /// Joins what a command returns with the type that its description names, if that has all the members.
    fn returned(&mut self, id: TypeId, definition: &'a Definition) {
        let mut of = id;
        while let Type::Array(items) = self.schema.get(of) {
            of = *items;
        }
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let words = definition.returns.iter().flat_map(|block| match block {
            Block::Code(_) => Vec::new(),
            Block::Paragraph(text) | Block::Item(text) => text.split(|c| !is_letter(c)).collect(),
        });
        for word in words {
            let Some(named) = self.reference.get(word) else {
                continue;
            };
            let fits = match self.schema.get(of) {
                Type::Object(object) => named.kind == Kind::Object && self.covers(named, object),
                Type::Enum(_) => named.kind == Kind::Enum,
                _ => false,
            };
            if fits {
                self.queue.push((of, named, None));
                return;
            }
        }
    }

    /// Whether a definition has all the members of an object.
    fn covers(&self, definition: &'a Definition, object: &Object) -> bool {
        let mut members = object.members.iter();
        members.all(|member| {
            self.reference
                .member(definition, &member.name, None)
                .is_some()
        })
    }
}

fn address(member: &Member) -> usize {
    std::ptr::from_ref(member).addr()
}
