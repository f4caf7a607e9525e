use super::{Features, Member, Scalar, Schema, Type, TypeId};

/// The most values of an enum to list.
const FEW_VALUES: usize = 8;

impl Schema {
    /// Describes a type in a few words.
    pub fn describe(&self, of: TypeId) -> String {
        match self.get(of) {
            Type::Scalar(scalar) => scalar.name().to_owned(),
            Type::Enum(values) => {
                let names: Vec<&str> = values.iter().map(|value| &*value.name).collect();
                match names.get(..FEW_VALUES) {
                    Some(few) if names.len() > FEW_VALUES => few.join("|") + "|…",
                    _ => names.join("|"),
                }
            }
            Type::Array(items) => format!("array of {}", self.describe(*items)),
            Type::Object(_) => "object".to_owned(),
            Type::Alternate(choices) => {
                let choices: Vec<String> = choices.iter().map(|id| self.describe(*id)).collect();
                choices.join(" or ")
            }
        }
    }

    /// Describes a member in a few words: its type, whether it is required, and its features.
    pub fn describe_member(&self, member: &Member) -> String {
        let mut describe = self.describe(member.of);
        if member.required {
            describe.push_str(", required");
        }
        for mark in member.features.names() {
            describe.push_str(", ");
            describe.push_str(mark);
        }
        describe
    }
}

impl Scalar {
    /// The type's name in QAPI.
    pub fn name(self) -> &'static str {
        match self {
            Self::Str => "string",
            Self::Int => "integer",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Null => "null",
            Self::Any => "any",
        }
    }
}

impl Features {
    /// Those of the names that warn a user.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let deprecated = self.deprecated.then_some("deprecated");
        let unstable = self.unstable.then_some("unstable");
        deprecated.into_iter().chain(unstable)
    }

    /// Whether this is one of the features.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name) || self.others.iter().any(|known| **known == *name)
    }
}
