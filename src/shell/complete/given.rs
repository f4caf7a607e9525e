use super::candidates::Candidate;
use super::sources::{Sources, action};
use crate::context::names::{Answer, Question, question_of};
use crate::lang::{self, CursorContext, Value};
use crate::schema::{Member, Scalar, Schema, Type, TypeId};

/// The type of the arguments of the command or action at the cursor.
pub(in crate::shell) fn root(schema: &Schema, context: &CursorContext) -> Option<TypeId> {
    let name = context.command.as_deref()?;
    if !context.action {
        return Some(schema.command(name)?.arguments);
    }
    let mut variants = action(schema)?.variants.iter();
    let variant = variants.find(|variant| *variant.case == *name)?;
    let members = &schema.object(variant.of)?.members;
    Some(members.iter().find(|member| &*member.name == "data")?.of)
}

/// The command to complete, with the arguments given so far.
pub(super) struct GivenCommand<'a> {
    pub command: String,
    pub root: Option<TypeId>,
    pub given: Value,
    /// The kind of quotes to use in JSON on this line.
    pub quote: char,
    pub sources: &'a Sources<'a>,
}

impl<'a> GivenCommand<'a> {
    pub fn new(context: CursorContext, quote: char, sources: &'a Sources<'a>) -> Self {
        Self {
            root: sources.schema.and_then(|schema| root(schema, &context)),
            command: context.command.unwrap_or_default(),
            given: Value::Object(context.arguments),
            quote,
            sources,
        }
    }

    /// The device type that the line adds, if it is a `device_add`.
    pub fn driver(&self) -> Option<String> {
        if self.command != "device_add" {
            return None;
        }
        Some(self.top().get("driver")?.as_str()?.to_owned())
    }

    pub fn resolve(&self, path: &[String]) -> Option<TypeId> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let schema = self.sources.schema?;
        schema.resolve(self.root?, Some(&self.given), &path)
    }

    /// The value given so far at `path`.
    fn given(&self, path: &[String]) -> Option<&Value> {
        path.iter()
            .try_fold(&self.given, |value, segment| match value {
                Value::Object(members) => members.get(segment),
                Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
                _ => None,
            })
    }

    fn top(&self) -> &lang::Object {
        match &self.given {
            Value::Object(members) => members,
            _ => unreachable!("the arguments are an object"),
        }
    }

    /// The members that the object at `path` can have, required ones first.
    fn members(&self, path: &[String]) -> Vec<&Member> {
        let schema = self.sources.schema;
        let (Some(schema), Some(of)) = (schema, self.resolve(path)) else {
            return Vec::new();
        };
        let nothing = lang::Object::new();
        let given = match self.given(path) {
            Some(Value::Object(members)) => members,
            _ => &nothing,
        };
        let object = schema.object(of);
        let mut members = object.map_or(Vec::new(), |object| schema.members(object, given));
        members.sort_by_key(|member| !member.required);
        members
    }

    /// Whether the member has a complete value, so that it should not be offered again. Objects and arrays can
    /// still grow.
    fn is_given(&self, path: &[String], name: &str) -> bool {
        let given = self.given(path);
        let Some(Value::Object(members)) = given else {
            return false;
        };
        !matches!(
            members.get(name),
            None | Some(Value::Object(_) | Value::Array(_))
        )
    }

    /// The candidates for the next part of the dotted key after `path`.
    pub fn keys(&self, path: &[String]) -> Vec<Candidate> {
        let Some(schema) = self.sources.schema else {
            return Vec::new();
        };
        if let Some(items) = self.resolve(path).and_then(|of| schema.items(of)) {
            let count = match self.given(path) {
                Some(Value::Array(items)) => items.len(),
                _ => 0,
            };
            let indices = (0..=count).flat_map(|index| self.key(&index.to_string(), items, ""));
            return indices.collect();
        }
        let members = self.members(path).into_iter();
        let members = members.filter(|member| !self.is_given(path, &member.name));
        let mut keys: Vec<Candidate> = members
            .flat_map(|member| self.key(&member.name, member.of, &schema.describe_member(member)))
            .collect();
        if path.is_empty()
            && let Some(driver) = self.driver()
        {
            let properties = (self.sources.ask)(&Question::DeviceProperties(driver));
            let new = properties.into_iter().filter(|property| {
                !self.top().contains_key(&property.value)
                    && !keys
                        .iter()
                        .any(|key| key.label == format!("{}=", property.value))
            });
            let new: Vec<Candidate> = new
                .map(|property| {
                    let key = format!("{}=", property.value);
                    Candidate::new(&key, &key, property.note)
                })
                .collect();
            keys.extend(new);
        }
        keys
    }

    /// The candidates for a key of type `of`: with `=` if it takes a value, with a dot if it has members.
    fn key(&self, name: &str, of: TypeId, note: &str) -> Vec<Candidate> {
        let schema = self.sources.schema.expect("the type is from it");
        let mut keys = Vec::new();
        if takes_value(schema, of) {
            let key = format!("{name}=");
            keys.push(Candidate::new(&key, &key, note));
        }
        if schema.object(of).is_some() || schema.items(of).is_some() {
            let key = format!("{name}.");
            keys.push(Candidate::new(&key, &key, note));
        }
        keys
    }

    /// The candidates for the value at `path`. `put` makes a candidate of an answer.
    pub fn values(
        &self,
        path: &[String],
        typed: &str,
        put: impl Fn(&Answer) -> Candidate,
    ) -> Vec<Candidate> {
        let of = self.resolve(path);
        let mut answers = of.map_or(Vec::new(), |of| self.of_type(of, typed));
        let question = match (of, &path) {
            (None, [name]) => self.driver().map(|driver| Question::DeviceProperty {
                driver,
                name: name.clone(),
            }),
            (None, _) => None,
            (Some(of), _) => self.question(of, path, typed),
        };
        if let Some(question) = question {
            answers.extend((self.sources.ask)(&question));
        }
        answers.iter().map(put).collect()
    }

    /// The question whose answers are candidates for a value.
    fn question(&self, of: TypeId, path: &[String], typed: &str) -> Option<Question> {
        let schema = self.sources.schema?;
        if let Type::Enum(_) | Type::Scalar(Scalar::Bool) = schema.get(of) {
            return None;
        }
        let named = question_of(&self.command, path, self.top(), typed);
        // A node can be given as an object or by its name.
        let is_node = || self.command.starts_with("block") && schema.object(of).is_some();
        named.or_else(|| is_node().then_some(Question::Nodes))
    }

    /// The values that the type itself lists, such as those of an enum.
    fn of_type(&self, of: TypeId, typed: &str) -> Vec<Answer> {
        let schema = self.sources.schema.expect("the type is from it");
        match schema.get(of) {
            Type::Enum(values) => values
                .iter()
                .map(|value| {
                    let features: Vec<&str> = value.features.names().collect();
                    Answer::new(&*value.name, features.join(", "))
                })
                .collect(),
            Type::Scalar(Scalar::Bool) => {
                let spellings = ["true", "false", "on", "off", "yes", "no"];
                let shown = if typed.is_empty() { 2 } else { spellings.len() };
                let spellings = spellings[..shown].iter();
                spellings
                    .map(|spelling| Answer::new(*spelling, ""))
                    .collect()
            }
            Type::Alternate(choices) => {
                let choices = choices.iter();
                choices.flat_map(|of| self.of_type(*of, typed)).collect()
            }
            _ => Vec::new(),
        }
    }

    pub fn json_keys(&self, path: &[String]) -> Vec<Candidate> {
        let Some(schema) = self.sources.schema else {
            return Vec::new();
        };
        let given = self.given(path);
        let members = self.members(path).into_iter().filter(|member| match given {
            Some(Value::Object(members)) => !members.contains_key(&*member.name),
            _ => true,
        });
        members
            .map(|member| {
                let text = format!("{}: ", self.quoted(&member.name));
                Candidate::new(&*member.name, text, schema.describe_member(member))
            })
            .collect()
    }

    pub fn json_values(&self, path: &[String], typed: &str) -> Vec<Candidate> {
        let schema = self.sources.schema;
        let bare = schema
            .zip(self.resolve(path))
            .is_some_and(|(schema, of)| matches!(schema.get(of), Type::Scalar(Scalar::Bool)));
        if bare {
            return ["true", "false"]
                .map(|word| Candidate::new(word, word, ""))
                .into();
        }
        self.values(path, typed, |answer| {
            let mut text = self.quoted(&answer.value);
            if answer.partial {
                text.pop();
            }
            Candidate::new(&answer.value, text, &answer.note)
        })
    }

    /// Quotes a JSON string, with the kind of quotes that the line uses.
    pub fn quoted(&self, text: &str) -> String {
        match self.quote {
            '\'' if !text.contains(['\'', '\\']) => format!("'{text}'"),
            _ => lang::quote(text),
        }
    }
}

/// Whether a bare word can have this type.
fn takes_value(schema: &Schema, of: TypeId) -> bool {
    match schema.get(of) {
        Type::Scalar(_) | Type::Enum(_) => true,
        Type::Array(_) | Type::Object(_) => false,
        Type::Alternate(choices) => choices.iter().any(|of| takes_value(schema, *of)),
    }
}
