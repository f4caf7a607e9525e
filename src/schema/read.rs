use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{
    Command, EnumValue, Event, Features, Member, Object, Scalar, Schema, Type, TypeId, Variant,
};

/// The deepest nesting of types, not counting members. QEMU's types are nested 3 deep.
const MAX_NESTING: usize = 16;

/// A reply to `query-qmp-schema` that is not a schema.
#[derive(Debug, thiserror::Error)]
#[error("not a QAPI schema: {0}")]
pub struct Unreadable(String);

/// An entity of `qapi/introspect.json`. Which members it has depends on its `meta-type`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entity<'a> {
    #[serde(borrow)]
    meta_type: Text<'a>,
    name: Text<'a>,
    #[serde(default)]
    features: Vec<Text<'a>>,
    /// For a command or an event.
    #[serde(default)]
    arg_type: Text<'a>,
    #[serde(default)]
    ret_type: Text<'a>,
    #[serde(default)]
    allow_oob: bool,
    /// For a builtin.
    #[serde(default)]
    json_type: Text<'a>,
    /// For an array.
    #[serde(default)]
    element_type: Text<'a>,
    /// For an enum. Since QEMU 7.0, `members` says more.
    #[serde(default)]
    values: Vec<Text<'a>>,
    /// For an object, an alternate, or an enum.
    #[serde(default)]
    members: Vec<Part<'a>>,
    /// For a union.
    tag: Option<Text<'a>>,
    #[serde(default)]
    variants: Vec<Case<'a>>,
}

/// A string, copied only if it holds escapes.
#[derive(Deserialize, Default)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default, rename = "type")]
    of: Text<'a>,
    /// Present if the member is optional; may be null.
    #[serde(borrow, default, deserialize_with = "present")]
    default: Option<&'a RawValue>,
    #[serde(default)]
    features: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    case: Text<'a>,
    #[serde(rename = "type")]
    of: Text<'a>,
}

fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

impl Schema {
    /// Reads what `query-qmp-schema` returned, as JSON.
    ///
    /// # Errors
    ///
    /// The text does not have the form that `qapi/introspect.json` describes, or refers to a type
    /// that it lacks.
    pub fn read(json: &str) -> Result<Self, Unreadable> {
        let unreadable = |error: serde_json::Error| Unreadable(error.to_string());
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let reader = deserializer
            .deserialize_seq(Reader::default())
            .map_err(unreadable)?;
        deserializer.end().map_err(unreadable)?;
        reader.finish()
    }
}

/// A schema under construction. Each entity is dropped as soon as it is read, which saves memory.
#[derive(Default)]
struct Reader<'a> {
    commands: BTreeMap<Box<str>, Command>,
    events: BTreeMap<Box<str>, Event>,
    /// The types by the schema's own names for them, which have no meaning elsewhere.
    ids: HashMap<Cow<'a, str>, TypeId>,
    /// The types by id. A type may be referred to before it is read.
    types: Vec<Option<Type>>,
}

impl<'de> Visitor<'de> for Reader<'de> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entities: A) -> Result<Self, A::Error> {
        while let Some(entity) = entities.next_element()? {
            self.add(entity).map_err(A::Error::custom)?;
        }
        Ok(self)
    }
}

impl<'a> Reader<'a> {
    fn add(&mut self, entity: Entity<'a>) -> Result<(), String> {
        let features = Features::of(&entity.features);
        match &*entity.meta_type.0 {
            "command" => {
                let command = Command {
                    arguments: self.id(entity.arg_type),
                    returns: self.id(entity.ret_type),
                    allow_oob: entity.allow_oob,
                    features,
                };
                self.commands.insert(entity.name.0.into(), command);
            }
            "event" => {
                let data = self.id(entity.arg_type);
                self.events
                    .insert(entity.name.0.into(), Event { data, features });
            }
            _ => {
                let id = self.id(Text(entity.name.0.clone()));
                self.types[id.0 as usize] = Some(self.type_of(entity)?);
            }
        }
        Ok(())
    }

    fn id(&mut self, name: Text<'a>) -> TypeId {
        let next = TypeId(self.types.len() as u32);
        let id = *self.ids.entry(name.0).or_insert(next);
        if id == next {
            self.types.push(None);
        }
        id
    }

    fn type_of(&mut self, entity: Entity<'a>) -> Result<Type, String> {
        let members = entity.members.into_iter();
        Ok(match &*entity.meta_type.0 {
            "builtin" => Type::Scalar(scalar(&entity.json_type.0)),
            "array" => Type::Array(self.id(entity.element_type)),
            "object" => Type::Object(Object {
                members: members.map(|member| self.member(member)).collect(),
                tag: entity.tag.map(|tag| tag.0.into()),
                variants: (entity.variants.into_iter())
                    .map(|variant| Variant {
                        case: variant.case.0.into(),
                        of: self.id(variant.of),
                    })
                    .collect(),
                features: Features::of(&entity.features),
            }),
            "alternate" => Type::Alternate(members.map(|choice| self.id(choice.of)).collect()),
            "enum" if members.len() == 0 => Type::Enum(
                (entity.values.into_iter())
                    .map(|value| EnumValue {
                        name: value.0.into(),
                        features: Features::default(),
                    })
                    .collect(),
            ),
            "enum" => Type::Enum(
                members
                    .map(|value| EnumValue {
                        name: value.name.0.into(),
                        features: Features::of(&value.features),
                    })
                    .collect(),
            ),
            other => return Err(format!("it has a `{other}`")),
        })
    }

    fn member(&mut self, member: Part<'a>) -> Member {
        Member {
            name: member.name.0.into(),
            of: self.id(member.of),
            required: member.default.is_none(),
            default: member
                .default
                .map(RawValue::get)
                .filter(|json| *json != "null")
                .map(Into::into),
            features: Features::of(&member.features),
        }
    }

    fn finish(self) -> Result<Schema, Unreadable> {
        for (name, id) in &self.ids {
            if self.types[id.0 as usize].is_none() {
                return Err(Unreadable(format!("it has no type `{name}`")));
            }
        }
        let schema = Schema {
            commands: self.commands,
            events: self.events,
            types: self.types.into_iter().flatten().collect(),
        };
        schema.check_nesting()?;
        Ok(schema)
    }
}

impl Schema {
    /// Checks that following arrays, alternates and variants always ends soon. Members are not
    /// followed: an object may have a member of its own type.
    fn check_nesting(&self) -> Result<(), Unreadable> {
        let mut heights = vec![None; self.types.len()];
        for id in 0..self.types.len() {
            self.height(TypeId(id as u32), 0, &mut heights)?;
        }
        Ok(())
    }

    /// How many levels of types there are below this one, which is itself `depth` levels deep.
    fn height(
        &self,
        id: TypeId,
        depth: usize,
        heights: &mut [Option<usize>],
    ) -> Result<usize, Unreadable> {
        let known = heights[id.0 as usize];
        if depth + known.unwrap_or(0) > MAX_NESTING {
            return Err(Unreadable(format!(
                "its types are nested more than {MAX_NESTING} deep"
            )));
        }
        if let Some(height) = known {
            return Ok(height);
        }
        let below: Vec<TypeId> = match self.get(id) {
            Type::Array(items) => vec![*items],
            Type::Alternate(choices) => choices.clone(),
            Type::Object(object) => object.variants.iter().map(|variant| variant.of).collect(),
            Type::Scalar(_) | Type::Enum(_) => Vec::new(),
        };
        let mut height = 0;
        for id in below {
            height = height.max(1 + self.height(id, depth + 1, heights)?);
        }
        heights[id.0 as usize] = Some(height);
        Ok(height)
    }
}

impl Features {
    fn of(features: &[Text<'_>]) -> Self {
        let has = |name| features.iter().any(|feature| feature.0 == name);
        let (deprecated, unstable) = (has("deprecated"), has("unstable"));
        let others = features.iter().map(|feature| &*feature.0);
        let others = others.filter(|name| !["deprecated", "unstable"].contains(name));
        Self {
            deprecated,
            unstable,
            others: others.map(Into::into).collect(),
        }
    }
}

fn scalar(json_type: &str) -> Scalar {
    match json_type {
        "string" => Scalar::Str,
        "int" => Scalar::Int,
        "number" => Scalar::Number,
        "boolean" => Scalar::Bool,
        "null" => Scalar::Null,
        _ => Scalar::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"[
        {"meta-type": "command", "name": "c", "arg-type": "1", "ret-type": "[int]",
         "allow-oob": true, "features": ["deprecated"]},
        {"meta-type": "event", "name": "E", "arg-type": "0", "features": ["unstable"]},
        {"meta-type": "object", "name": "0", "members": []},
        {"meta-type": "object", "name": "1", "tag": "t", "variants": [{"case": "a", "type": "2"}],
         "members": [{"name": "t", "type": "3"}, {"name": "n", "type": "int", "default": 7},
                     {"name": "o", "type": "str", "default": null}]},
        {"meta-type": "object", "name": "2", "members": [{"name": "x", "type": "4"}]},
        {"meta-type": "enum", "name": "3", "values": ["a", "b"],
         "members": [{"name": "a", "features": ["deprecated"]}, {"name": "b"}]},
        {"meta-type": "alternate", "name": "4", "members": [{"type": "str"}, {"type": "2"}]},
        {"meta-type": "array", "name": "[int]", "element-type": "int"},
        {"meta-type": "builtin", "name": "int", "json-type": "int"},
        {"meta-type": "builtin", "name": "str", "json-type": "string"}]"#;

    #[test]
    fn a_schema_is_read_completely() {
        let schema = Schema::read(SMALL).expect("it is one");
        let command = schema.command("c").expect("it is there");
        assert!(command.allow_oob && command.features.deprecated && !command.features.unstable);
        assert!(schema.items(command.returns).is_some());
        assert!(schema.event("E").expect("it is there").features.unstable);
        let arguments = schema.object(command.arguments).expect("an object");
        let [t, n, o] = &arguments.members[..] else {
            panic!("{arguments:?}");
        };
        assert!(t.required && !n.required && !o.required);
        assert_eq!((n.default.as_deref(), &o.default), (Some("7"), &None));
        let Type::Enum(values) = schema.get(t.of) else {
            panic!("an enum");
        };
        assert!(values[0].features.deprecated && !values[1].features.deprecated);
    }

    #[test]
    fn an_enum_from_before_qemu_7_has_its_values() {
        let old = r#"[{"meta-type": "enum", "name": "3", "values": ["a", "b"]}]"#;
        let schema = Schema::read(old).expect("it is one");
        let Type::Enum(values) = &schema.types[0] else {
            panic!("an enum");
        };
        assert_eq!(&*values[1].name, "b");
    }

    #[test]
    fn an_invalid_schema_is_an_error_that_says_why() {
        for (json, why) in [
            ("{}", "expected a sequence"),
            (
                r#"[{"meta-type": "array", "name": "a", "element-type": "b"}]"#,
                "no type `b`",
            ),
            (
                r#"[{"meta-type": "array", "name": "a", "element-type": "a"}]"#,
                "nested more than 16 deep",
            ),
            (
                r#"[{"meta-type": "alternate", "name": "a", "members": [{"type": "a"}]}]"#,
                "nested more than 16 deep",
            ),
            (
                r#"[{"meta-type": "object", "name": "a", "tag": "t", "variants": [{"case": "c", "type": "a"}]}]"#,
                "nested more than 16 deep",
            ),
        ] {
            let error = Schema::read(json).expect_err(json).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
