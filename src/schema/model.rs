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

/// What the schema says about a command.
#[derive(Debug)]
pub struct Command {
    /// An object type: its members are the arguments.
    pub arguments: TypeId,
    /// The type of what it returns.
    pub returns: TypeId,
    /// Whether it can be sent out of band.
    pub allow_oob: bool,
    /// Its features.
    pub features: Features,
}

/// What the schema says about an event.
#[derive(Debug)]
pub struct Event {
    /// An object type: its members are the event's data.
    pub data: TypeId,
    /// Its features.
    pub features: Features,
}

/// A type of QAPI's.
#[derive(Debug)]
pub enum Type {
    /// A built-in type.
    Scalar(Scalar),
    /// One of several words.
    Enum(Vec<EnumValue>),
    /// A list of values of one type.
    Array(TypeId),
    /// A structure or a union.
    Object(Object),
    /// A value of one of several types, told apart by its shape.
    Alternate(Vec<TypeId>),
}

/// QAPI's built-in types. Sizes and integers of every width are `Int`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// A string.
    Str,
    /// An integer.
    Int,
    /// A floating-point number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
    /// Any value.
    Any,
}

/// A value of an enumeration.
#[derive(Debug)]
pub struct EnumValue {
    /// The word.
    pub name: Box<str>,
    /// Its features.
    pub features: Features,
}

/// A structure or a union. A union has further members that depend on the value of its tag.
#[derive(Debug, Default)]
pub struct Object {
    /// The members that it always has.
    pub members: Vec<Member>,
    /// The member whose value selects the variant.
    pub tag: Option<Box<str>>,
    /// The members that come with values of the tag.
    pub variants: Vec<Variant>,
    /// Its features.
    pub features: Features,
}

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    /// Its key.
    pub name: Box<str>,
    /// Its type.
    pub of: TypeId,
    /// Whether it must be given.
    pub required: bool,
    /// The default of an optional member, as JSON, if the schema gives one. QEMU's never does.
    pub default: Option<Box<str>>,
    /// Its features.
    pub features: Features,
}

/// The members that come with one value of a union's tag.
#[derive(Debug)]
pub struct Variant {
    /// The value of the tag.
    pub case: Box<str>,
    /// An object type.
    pub of: TypeId,
}

/// QAPI's features of a command, an event, an object type, a member or a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Features {
    /// It will be removed.
    pub deprecated: bool,
    /// It may change at any time.
    pub unstable: bool,
    /// The names of the others.
    pub others: Box<[Box<str>]>,
}

impl Schema {
    /// The command of this name.
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.commands.get(name)
    }

    /// All commands with their names, in alphabetical order.
    pub fn commands(&self) -> impl Iterator<Item = (&str, &Command)> {
        self.commands.iter().map(|(name, c)| (&**name, c))
    }

    /// The event of this name.
    pub fn event(&self, name: &str) -> Option<&Event> {
        self.events.get(name)
    }

    /// All events with their names, in alphabetical order.
    pub fn events(&self) -> impl Iterator<Item = (&str, &Event)> {
        self.events.iter().map(|(name, e)| (&**name, e))
    }

    /// The type with this id.
    pub fn get(&self, id: TypeId) -> &Type {
        &self.types[id.0 as usize]
    }

    /// The object type with this id, or the object type among the choices of this alternate.
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

    /// The item type of this array, or of the array among the choices of this alternate.
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

    /// The members that `object` has when it holds `given`: its common members, and those of the
    /// variant that its tag selects.
    pub fn members<'a>(&'a self, object: &'a Object, given: &lang::Object) -> Vec<&'a Member> {
        let mut objects = vec![object];
        // A variant may be a union itself. Only in a broken schema does it lead back to an outer
        // one.
        while let Some(variant) = self.variant(objects[objects.len() - 1], given)
            && !objects.iter().any(|known| std::ptr::eq(*known, variant))
        {
            objects.push(variant);
        }
        objects.iter().flat_map(|object| &object.members).collect()
    }

    /// The variant that the tag in `given` selects.
    pub fn variant<'a>(&'a self, object: &'a Object, given: &lang::Object) -> Option<&'a Object> {
        let case = match given.get(object.tag.as_deref()?)? {
            Value::Word(case) | Value::Text(case) => case,
            _ => return None,
        };
        let mut variants = object.variants.iter();
        let variant = variants.find(|variant| *variant.case == **case)?;
        self.object(variant.of)
    }

    /// The type at `path` below `from`, whose value so far is `given`. A numeric segment selects an
    /// item of an array, any other a member of an object.
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
