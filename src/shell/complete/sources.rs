use std::sync::Arc;

use super::candidates::Candidate;
use crate::context::names::{Answer, Question};
use crate::dialect::verbs::Verb;
use crate::exec::builtin::BUILTINS;
use crate::lang::{self, Aliases, Dialect, Value, Variables, conceal};
use crate::schema::{Object, Schema};

/// What completion knows, and how it asks for more.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The server's schema, if it is known.
    pub schema: Option<&'a Schema>,
    /// The names of the server's commands, for use without a schema; may be empty.
    pub commands: &'a [String],
    /// What the lines are written in.
    pub dialect: Dialect,
    /// The lines that names stand for.
    pub aliases: &'a Aliases,
    /// The variables that `:let` and options have set.
    pub variables: &'a Variables,
    /// The value that the command or built-in of this name showed last, or that any line did.
    pub seen: &'a dyn Fn(Option<&str>) -> Option<Arc<Value>>,
    /// The human monitor's verbs, or those of the dialect, if they are known.
    pub verbs: &'a dyn Fn() -> Option<Arc<[Verb]>>,
    /// Answers a question within a time limit.
    pub ask: &'a dyn Fn(&Question) -> Vec<Answer>,
}

impl Sources<'_> {
    /// The candidates for the first word of a line; `action` if it is an action of a transaction.
    pub fn first_word(&self, typed: &str, action: bool) -> Vec<Candidate> {
        if let Some(actions) = action.then(|| self.actions()).flatten() {
            return actions;
        }
        if typed.starts_with(':') {
            return builtin_names(":");
        }
        let mut words = self.commands();
        let aliases = self.aliases.iter();
        words.extend(aliases.map(|(name, line)| Candidate::word(name, conceal(line))));
        words.push(Candidate::word(
            "transaction(",
            "one action per line, up to `)`",
        ));
        words.push(Candidate::word(
            "help",
            "explain a command, an event or a built-in",
        ));
        words
    }

    /// The names of the commands.
    pub fn commands(&self) -> Vec<Candidate> {
        match self.schema {
            Some(schema) => schema
                .commands()
                .map(|(name, command)| {
                    let mut features: Vec<&str> = command.features.names().collect();
                    // The agent's schema is ours, and an agent may have less.
                    let asked = self.dialect == Dialect::Qga && !self.commands.is_empty();
                    if asked && !self.commands.iter().any(|known| known == name) {
                        features.push("not there, or disabled");
                    }
                    Candidate::word(name, features.join(", "))
                })
                .collect(),
            None => {
                let commands = self.commands.iter();
                commands.map(|name| Candidate::word(name, "")).collect()
            }
        }
    }

    /// The actions that a transaction can contain.
    fn actions(&self) -> Option<Vec<Candidate>> {
        let schema = self.schema?;
        let variants = &action(schema)?.variants;
        let actions = variants
            .iter()
            .map(|variant| Candidate::word(&variant.case, ""));
        Some(actions.collect())
    }

    /// The commands that can run out of band.
    pub fn oob_commands(&self) -> Vec<Candidate> {
        let mut commands = self.commands();
        if let Some(schema) = self.schema {
            commands.retain(|command| {
                let command = schema.command(&command.label);
                command.is_some_and(|command| command.allow_oob)
            });
        }
        commands
    }

    /// The names of the events.
    pub fn events(&self) -> Vec<Candidate> {
        let events = self.schema.into_iter().flat_map(|schema| schema.events());
        events
            .map(|(name, _)| Candidate::word(name, "event"))
            .collect()
    }

    /// The answers to a question, as candidates for a bare word.
    pub fn answers(&self, question: &Question) -> Vec<Candidate> {
        let answers = (self.ask)(question);
        answers.iter().map(|answer| plain(answer, None)).collect()
    }
}

/// The type of one action of a transaction.
pub(super) fn action(schema: &Schema) -> Option<&Object> {
    let arguments = schema.command("transaction")?.arguments;
    let action = schema.resolve(arguments, None, &["actions", "0"])?;
    schema.object(action)
}

/// A candidate for an argument's value, quoted if necessary; with `open_quote` if the user has opened a quote.
pub(super) fn plain(answer: &Answer, open_quote: Option<char>) -> Candidate {
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

/// The names of the built-ins, each with `colon` before it.
pub(super) fn builtin_names(colon: &str) -> Vec<Candidate> {
    let all = BUILTINS.iter();
    all.map(|builtin| Candidate::word(&format!("{colon}{}", builtin.name), builtin.summary))
        .collect()
}
