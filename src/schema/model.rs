use std::collections::BTreeMap;

use crate::lang::{self, Value};

/// Everything a server accepts and reports.
#[derive(Debug, Default)]
pub struct Schema {
    pub(super) commands: BTreeMap<Box<str>, Command>,
    pub(super) events: BTreeMap<Box<str>, Event>,
    pub(super) types: Vec<Type>,
}

/// A type of a [`Schema`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeId(pub(super) u32);

#[derive(Debug)]
pub struct Command {
    /// An object type: its members are the arguments.
    pub arguments: TypeId,
    pub returns: TypeId,
    pub allow_oob: bool,
    pub features: Features,
}

#[derive(Debug)]
pub struct Event {
    /// An object type: its members are the event's data.
    pub data: TypeId,
    pub features: Features,
}

#[derive(Debug)]
pub enum Type {
    Scalar(Scalar),
    Enum(Vec<EnumValue>),
    Array(TypeId),
    Object(Object),
    Alternate(Vec<TypeId>),
}

/// The types that QAPI starts from. Sizes and integers of every width are `Int` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    Str,
    Int,
    Number,
    Bool,
    Null,
    Any,
}

#[derive(Debug)]
pub struct EnumValue {
    pub name: Box<str>,
    pub features: Features,
}

/// A structure, or a union: then one more group of members depends on the value of its tag.
#[derive(Debug, Default)]
pub struct Object {
    pub members: Vec<Member>,
    /// The member that says which variant it is.
    pub tag: Option<Box<str>>,
    pub variants: Vec<Variant>,
}

#[derive(Debug)]
pub struct Member {
    pub name: Box<str>,
    pub of: TypeId,
    pub required: bool,
    /// What an optional member is when it is left out, as JSON, if the schema tells. QEMU's never does.
    pub default: Option<Box<str>>,
    pub features: Features,
}

/// The members that come with one value of a union's tag.
#[derive(Debug)]
pub struct Variant {
    pub case: Box<str>,
    /// An object type.
    pub of: TypeId,
}

/// What the schema says of a thing besides its type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    pub deprecated: bool,
    pub unstable: bool,
}

impl Schema {
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.commands.get(name)
    }

    /// The commands by name, in the order of the alphabet.
    pub fn commands(&self) -> impl Iterator<Item = (&str, &Command)> {
        self.commands.iter().map(|(name, c)| (&**name, c))
    }

    pub fn event(&self, name: &str) -> Option<&Event> {
        self.events.get(name)
    }

    /// The events by name, in the order of the alphabet.
    pub fn events(&self) -> impl Iterator<Item = (&str, &Event)> {
        self.events.iter().map(|(name, e)| (&**name, e))
    }

    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// The object type itself, or the one among an alternate's.
    pub fn object(&self, id: TypeId) -> Option<&Object> {
        match self.get(id) {
            Type::Object(object) => Some(object),
            Type::Alternate(choices) => choices.iter().find_map(|id| match self.get(*id) {
                Type::Object(object) => Some(object),
                _ => None,
            }),
            _ => None,
        }
    }

    /// The type of the items, if it is an array type or an alternate that has one.
    pub fn items(&self, id: TypeId) -> Option<TypeId> {
        match self.get(id) {
            Type::Array(items) => Some(*items),
            Type::Alternate(choices) => choices.iter().find_map(|id| match self.get(*id) {
                Type::Array(items) => Some(*items),
                _ => None,
            }),
            _ => None,
        }
    }

    /// The members that `object` has when it holds `given`: those of every such object, and those that
    /// come with the value of its tag, wherever among them that stands.
    pub fn members<'a>(&'a self, object: &'a Object, given: &lang::Object) -> Vec<&'a Member> {
        let mut objects = vec![object];
        // A variant may be a union itself. Only a broken schema has one that leads back.
        while let Some(variant) = self.variant(objects[objects.len() - 1], given)
            && !objects.iter().any(|known| std::ptr::eq(*known, variant))
        {
            objects.push(variant);
        }
        objects.iter().flat_map(|object| &object.members).collect()
    }

    /// The variant that the tag in `given` names.
    pub fn variant<'a>(&'a self, object: &'a Object, given: &lang::Object) -> Option<&'a Object> {
        let case = match given.get(object.tag.as_deref()?)? {
            Value::Word(case) | Value::Text(case) => case,
            _ => return None,
        };
        let mut variants = object.variants.iter();
        let variant = variants.find(|variant| *variant.case == **case)?;
        self.object(variant.of)
    }

    /// The type at `path` below `from`, whose value so far is `given`: a numeric segment is an item of
    /// an array, any other a member of an object.
    pub fn resolve(&self, from: TypeId, given: Option<&Value>, path: &[&str]) -> Option<TypeId> {
        let Some((first, rest)) = path.split_first() else {
            return Some(from);
        };
        if let (Some(items), Ok(index)) = (self.items(from), first.parse::<usize>()) {
            let item = match given {
                Some(Value::Array(values)) => values.get(index),
                _ => None,
            };
            return self.resolve(items, item, rest);
        }
        let nothing = lang::Object::new();
        let given = match given {
            Some(Value::Object(members)) => members,
            _ => &nothing,
        };
        let members = self.members(self.object(from)?, given);
        let member = members.into_iter().find(|member| *member.name == **first)?;
        self.resolve(member.of, given.get(*first), rest)
    }
}
