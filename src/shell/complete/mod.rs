//! What could stand at the cursor.
//!
//! The schema knows commands, keys and the values of enums; what only the running server knows is asked
//! of it, by questions that change nothing. Nothing is offered that the server would not take.

mod builtins;
mod candidates;
mod live;
mod question;
mod sources;

use crate::lang::{self, CursorContext, CursorPlace, Value};
use crate::schema::{Member, Object, Scalar, Schema, Type, TypeId};

use builtins::Words;
pub use candidates::Candidate;
use candidates::matching;
pub use live::{Live, PATIENCE};
pub use question::{Answer, Question};

/// What completion knows, and whom it may ask.
pub struct Sources<'a> {
    pub schema: Option<&'a Schema>,
    /// The names of the commands, as far as anybody has said.
    pub commands: &'a [String],
    /// Answers a question, or gives up in time.
    pub ask: &'a dyn Fn(&Question) -> Vec<Answer>,
}

/// What could take the place of what is typed from `start` to the cursor.
#[derive(Debug)]
pub struct Completion {
    pub start: usize,
    pub candidates: Vec<Candidate>,
}

/// Completes `line` at the offset `at`; `in_transaction` if it is an action of a transaction that was
/// opened before.
pub fn complete(line: &str, at: usize, in_transaction: bool, sources: &Sources<'_>) -> Completion {
    let context = CursorContext::of(line, at, in_transaction);
    if let CursorPlace::Builtin {
        name,
        before,
        start,
    } = &context.place
    {
        let start = *start;
        return sources.builtin(&Words {
            line,
            at,
            name,
            before,
            start,
        });
    }
    let place = context.place.clone();
    // Inside JSON, one kind of quotes goes on.
    let quote = if line[..at].contains('\'') { '\'' } else { '"' };
    let action = context.action;
    let request = Request::new(context, quote, sources);
    let (start, candidates) = match &place {
        CursorPlace::Command { start } => (*start, sources.first_word(&line[*start..at], action)),
        CursorPlace::Key { path, start } => (*start, request.keys(path)),
        CursorPlace::Value { path, start } => {
            let typed = &line[*start..at];
            let quote = typed.chars().next().filter(|c| matches!(c, '"' | '\''));
            let typed = typed.trim_start_matches(['"', '\'']);
            let values = if line[..*start].ends_with(":=") {
                request.json_values(path, typed)
            } else {
                request.values(path, typed, |value| plain(value, quote))
            };
            return Completion {
                start: *start,
                candidates: matching(values, typed),
            };
        }
        CursorPlace::JsonKey { path, start } => {
            let typed = line[*start..at].trim_start_matches(['"', '\'']);
            return Completion {
                start: *start,
                candidates: matching(request.json_keys(path), typed),
            };
        }
        CursorPlace::JsonValue { path, start } => {
            let typed = line[*start..at].trim_start_matches(['"', '\'']);
            return Completion {
                start: *start,
                candidates: matching(request.json_values(path, typed), typed),
            };
        }
        CursorPlace::JsonCommand { start } => {
            let typed = line[*start..at].trim_start_matches(['"', '\'']);
            let mut commands = sources.commands();
            for command in &mut commands {
                command.text = request.quoted(&command.label);
            }
            return Completion {
                start: *start,
                candidates: matching(commands, typed),
            };
        }
        CursorPlace::MessageKey { start } => {
            let typed = line[*start..at].trim_start_matches(['"', '\'']);
            let keys = ["execute", "exec-oob", "arguments", "id"].map(|key| {
                let text = format!("{}: ", request.quoted(key));
                Candidate::new(key, text, "")
            });
            return Completion {
                start: *start,
                candidates: matching(keys.into(), typed),
            };
        }
        CursorPlace::File { start } => {
            let answers = (sources.ask)(&Question::Files(line[*start..at].to_owned()));
            let files = answers.iter().map(|answer| plain(answer, None));
            (*start, files.collect())
        }
        CursorPlace::Builtin { .. } | CursorPlace::Nowhere => (at, Vec::new()),
    };
    Completion {
        start,
        candidates: matching(candidates, &line[start..at]),
    }
}

/// The key whose value is being typed at the offset `at`, with what it takes: for when nothing can be offered.
pub fn expected(
    line: &str,
    at: usize,
    in_transaction: bool,
    sources: &Sources<'_>,
) -> Option<Candidate> {
    let context = CursorContext::of(line, at, in_transaction);
    let (CursorPlace::Value { path, .. } | CursorPlace::JsonValue { path, .. }) =
        context.place.clone()
    else {
        return None;
    };
    let request = Request::new(context, '"', sources);
    let name = path.last()?;
    let note = match request.resolve(&path) {
        Some(of) => sources.schema?.describe(of),
        None => {
            let properties = (sources.ask)(&Question::DeviceProperties(request.driver()?));
            properties.into_iter().find(|p| p.value == *name)?.note
        }
    };
    Some(Candidate::new(format!("{}=", path.join(".")), "", note))
}

impl Sources<'_> {
    fn first_word(&self, typed: &str, action: bool) -> Vec<Candidate> {
        if let Some(actions) = action.then(|| self.actions()).flatten() {
            return actions;
        }
        if typed.starts_with(':') {
            return builtins::names(":");
        }
        let mut words = self.commands();
        words.push(Candidate::word(
            "transaction(",
            "a line an action, up to `)`",
        ));
        words.push(Candidate::word(
            "help",
            "explain a command, an event or a built-in",
        ));
        words
    }

    fn commands(&self) -> Vec<Candidate> {
        match self.schema {
            Some(schema) => schema
                .commands()
                .map(|(name, command)| {
                    let features: Vec<&str> = command.features.names().collect();
                    Candidate::word(name, features.join(", "))
                })
                .collect(),
            None => {
                let commands = self.commands.iter();
                commands.map(|name| Candidate::word(name, "")).collect()
            }
        }
    }

    /// The actions that a transaction takes.
    fn actions(&self) -> Option<Vec<Candidate>> {
        let schema = self.schema?;
        let variants = &action(schema)?.variants;
        let actions = variants
            .iter()
            .map(|variant| Candidate::word(&variant.case, ""));
        Some(actions.collect())
    }
}

/// The type that holds the arguments of what the context is about.
pub(super) fn root(schema: &Schema, context: &CursorContext) -> Option<TypeId> {
    let name = context.command.as_deref()?;
    if !context.action {
        return Some(schema.command(name)?.arguments);
    }
    let mut variants = action(schema)?.variants.iter();
    let variant = variants.find(|variant| *variant.case == *name)?;
    let members = &schema.object(variant.of)?.members;
    Some(members.iter().find(|member| &*member.name == "data")?.of)
}

/// The type of one action of a transaction.
fn action(schema: &Schema) -> Option<&Object> {
    let arguments = schema.command("transaction")?.arguments;
    let action = schema.resolve(arguments, None, &["actions", "0"])?;
    schema.object(action)
}

/// A value as it stands on the line.
fn plain(answer: &Answer, open_quote: Option<char>) -> Candidate {
    let mut text = match open_quote {
        Some('\'') if !answer.value.contains('\'') => format!("'{}'", answer.value),
        Some(_) => lang::quote(&answer.value),
        None => lang::word(&answer.value),
    };
    if !answer.partial {
        text.push(' ');
    } else if text.ends_with(['"', '\'']) {
        text.pop();
    }
    Candidate::new(&answer.value, text, &answer.note)
}

/// One line to be completed.
struct Request<'a> {
    command: String,
    root: Option<TypeId>,
    given: Value,
    quote: char,
    sources: &'a Sources<'a>,
}

impl<'a> Request<'a> {
    fn new(context: CursorContext, quote: char, sources: &'a Sources<'a>) -> Self {
        Self {
            root: sources.schema.and_then(|schema| root(schema, &context)),
            command: context.command.unwrap_or_default(),
            given: Value::Object(context.arguments),
            quote,
            sources,
        }
    }

    /// The type of the device that is to be added, where that is what the line does.
    fn driver(&self) -> Option<String> {
        if self.command != "device_add" {
            return None;
        }
        Some(self.top().get("driver")?.as_str()?.to_owned())
    }

    fn resolve(&self, path: &[String]) -> Option<TypeId> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let schema = self.sources.schema?;
        schema.resolve(self.root?, Some(&self.given), &path)
    }

    /// What is given at a path already.
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

    /// The members that the object at `path` may have, the required ones first.
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

    /// Whether the member has all it can have: then it is not offered again.
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

    /// The dotted keys that could follow `path`.
    fn keys(&self, path: &[String]) -> Vec<Candidate> {
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

    /// A key of that type: with `=` if it takes a value, with a dot if it goes on.
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

    /// What the value at `path` could be; `put` makes a candidate of it.
    fn values(
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

    /// Who is to be asked about a value.
    fn question(&self, of: TypeId, path: &[String], typed: &str) -> Option<Question> {
        let schema = self.sources.schema?;
        if let Type::Enum(_) | Type::Scalar(Scalar::Bool) = schema.get(of) {
            return None;
        }
        let named = sources::question(&self.command, path, self.top(), typed);
        // A node is described, or called by its name.
        let is_node = || self.command.starts_with("block") && schema.object(of).is_some();
        named.or_else(|| is_node().then_some(Question::Nodes))
    }

    /// The values that the type itself lists.
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

    fn json_keys(&self, path: &[String]) -> Vec<Candidate> {
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

    fn json_values(&self, path: &[String], typed: &str) -> Vec<Candidate> {
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

    /// A JSON string, or the relaxed form of one.
    fn quoted(&self, text: &str) -> String {
        match self.quote {
            '\'' if !text.contains(['\'', '\\']) => format!("'{text}'"),
            _ => lang::quote(text),
        }
    }
}

/// Whether a bare word could be of this type.
fn takes_value(schema: &Schema, of: TypeId) -> bool {
    match schema.get(of) {
        Type::Scalar(_) | Type::Enum(_) => true,
        Type::Array(_) | Type::Object(_) => false,
        Type::Alternate(choices) => choices.iter().any(|of| takes_value(schema, *of)),
    }
}
