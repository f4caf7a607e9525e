//! The words of a built-in.

use super::{Candidate, Completion, Question, Request, Sources, complete, matching, plain};
use crate::builtin::{self, BUILTINS, Completes};
use crate::lang::{self, Value};

/// A word of a built-in's that is being typed, and what stands before it.
pub(super) struct Words<'a> {
    pub line: &'a str,
    pub at: usize,
    /// The built-in's name, without its colon.
    pub name: &'a str,
    pub before: &'a [String],
    pub start: usize,
}

impl Sources<'_> {
    /// Completes a word of a built-in's.
    pub(super) fn builtin(&self, words: &Words<'_>) -> Completion {
        let completes = builtin::find(words.name).map(|found| found.completes);
        let typed = &words.line[words.start..words.at];
        let candidates = match (completes.unwrap_or(Completes::Nothing), words.before) {
            (Completes::OobCommands, []) => self.oob_commands(),
            (Completes::Topics, []) => {
                let mut topics = self.commands();
                topics.extend(self.events());
                topics.extend(names(if typed.starts_with(':') { ":" } else { "" }));
                topics
            }
            (Completes::OobCommands | Completes::Topics, _) => return self.inner_line(words, 0),
            (Completes::Line, []) => Vec::new(),
            (Completes::Line, _) => return self.inner_line(words, 1),
            (Completes::Events(more), []) => return self.event_names(words, more),
            (Completes::Events(_), before) => match before.iter().position(|word| word == "do") {
                Some(at) => return self.inner_line(words, at + 1),
                None => return self.event_data(words),
            },
            (Completes::Jobs(verbs), []) => verbs.iter().map(|v| Candidate::word(v, "")).collect(),
            (Completes::Jobs(_), [_]) => self.answers(&Question::Jobs),
            (Completes::Words(choices), []) => {
                let choices = choices.iter();
                choices.map(|(name, _)| Candidate::word(name, "")).collect()
            }
            (Completes::Words(choices), [name]) => {
                let values = choices.iter().find(|(other, _)| other == name);
                let values = values.map_or(&[][..], |(_, values)| values);
                values.iter().map(|v| Candidate::word(v, "")).collect()
            }
            (Completes::Files, []) => self.answers(&Question::Files(typed.to_owned())),
            _ => Vec::new(),
        };
        Completion {
            start: words.start,
            candidates: matching(candidates, typed),
        }
    }

    fn answers(&self, question: &Question) -> Vec<Candidate> {
        let answers = (self.ask)(question);
        answers.iter().map(|answer| plain(answer, None)).collect()
    }

    fn oob_commands(&self) -> Vec<Candidate> {
        let mut commands = self.commands();
        if let Some(schema) = self.schema {
            commands.retain(|command| {
                let command = schema.command(&command.label);
                command.is_some_and(|command| command.allow_oob)
            });
        }
        commands
    }

    fn events(&self) -> Vec<Candidate> {
        let events = self.schema.into_iter().flat_map(|schema| schema.events());
        events
            .map(|(name, _)| Candidate::word(name, "event"))
            .collect()
    }

    /// Completes the line that begins with the built-in's word number `first`.
    fn inner_line(&self, words: &Words<'_>, first: usize) -> Completion {
        let mut from = words
            .line
            .find(words.name)
            .map_or(0, |at| at + words.name.len());
        for word in words.before.iter().take(first) {
            from += words.line[from..].find(word.as_str()).unwrap_or(0) + word.len();
        }
        let rest = &words.line[from..words.at];
        from += rest.len() - rest.trim_start().len();
        let inner = complete(&words.line[from..], words.at - from, false, self);
        Completion {
            start: from + inner.start,
            candidates: inner.candidates,
        }
    }

    /// Completes the last of several names with commas between them, or one of the words in `more`.
    fn event_names(&self, words: &Words<'_>, more: &[&str]) -> Completion {
        let typed = &words.line[words.start..words.at];
        let start = words.start + typed.rfind(',').map_or(0, |comma| comma + 1);
        let mut candidates = self.events();
        if start == words.start {
            candidates.extend(more.iter().map(|word| Candidate::word(word, "")));
        }
        Completion {
            start,
            candidates: matching(candidates, &words.line[start..words.at]),
        }
    }

    /// Completes what the data of the events named before may have.
    fn event_data(&self, words: &Words<'_>) -> Completion {
        let typed = &words.line[words.start..words.at];
        let (key, value) = match typed.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (typed, None),
        };
        let mut path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let mut candidates = Vec::new();
        let last = match value {
            Some(value) => value,
            None => path.pop().map_or("", |last| &key[key.len() - last.len()..]),
        };
        let first = &words.before[0];
        let names: Vec<&str> = match &**first {
            "mute" | "unmute" => {
                candidates = self.events();
                Vec::new()
            }
            names => names.split(',').collect(),
        };
        for event in names {
            let schema = self.schema;
            let request = Request {
                command: String::new(),
                root: schema
                    .and_then(|schema| schema.event(event))
                    .map(|event| event.data),
                given: Value::Object(lang::Object::new()),
                quote: '"',
                sources: self,
            };
            let found = match value {
                Some(value) => request.values(&path, value, |answer| plain(answer, None)),
                None => request.keys(&path),
            };
            let new = |new: &Candidate| !candidates.iter().any(|old| old.label == new.label);
            let found: Vec<Candidate> = found.into_iter().filter(new).collect();
            candidates.extend(found);
        }
        for candidate in &mut candidates {
            // An event always has what it has: there is nothing to require.
            candidate.note = candidate.note.replace(", required", "");
        }
        Completion {
            start: words.at - last.len(),
            candidates: matching(candidates, last),
        }
    }
}

/// The names of the built-ins.
pub(super) fn names(colon: &str) -> Vec<Candidate> {
    let all = BUILTINS.iter();
    all.map(|builtin| Candidate::word(&format!("{colon}{}", builtin.name), builtin.summary))
        .collect()
}
