//! The words of a built-in.

use super::{Candidate, Completion, Question, Request, Sources, complete, matching, plain};
use crate::exec::builtin::{self, BUILTINS, Part};
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
    /// Completes a word of a built-in's: with all that may come next in any of its forms.
    pub(super) fn builtin(&self, words: &Words<'_>) -> Completion {
        let forms = builtin::find(words.name).map_or(&[][..], |builtin| builtin.forms);
        let expected = forms
            .iter()
            .flat_map(|form| builtin::expected(form, words.before));
        let mut found = Completion {
            start: words.start,
            candidates: Vec::new(),
        };
        for (part, at) in expected {
            let new = self.part(part, at, words);
            // What starts elsewhere, in the middle of the word, is the closer fit.
            if new.start != found.start && !new.candidates.is_empty() {
                return new;
            }
            for candidate in new.candidates {
                if !found.candidates.contains(&candidate) {
                    found.candidates.push(candidate);
                }
            }
        }
        found
    }

    /// Completes one part, which has `at` words before it.
    fn part(&self, part: &Part, at: usize, words: &Words<'_>) -> Completion {
        let typed = &words.line[words.start..words.at];
        let listed = |names: &[&str]| names.iter().map(|name| Candidate::word(name, "")).collect();
        let candidates: Vec<Candidate> = match part {
            Part::Word(choices) => listed(choices),
            // Options are there for who asks for them.
            Part::Flag(name, _) if typed.starts_with('-') => listed(&[*name]),
            Part::Setting(settings) => match &words.before[at..] {
                [] => listed(&settings.iter().map(|(name, _)| *name).collect::<Vec<_>>()),
                [name] => {
                    let values = settings.iter().find(|(other, _)| other == name);
                    listed(values.map_or(&[][..], |(_, values)| values))
                }
                _ => Vec::new(),
            },
            Part::Job => self.answers(&Question::Jobs),
            Part::Address => self.answers(&Question::Files(typed.to_owned())),
            Part::Topic if words.before.len() == at => {
                let mut topics = self.commands();
                topics.extend(self.events());
                topics.extend(names(if typed.starts_with(':') { ":" } else { "" }));
                topics
            }
            Part::OobCommand if words.before.len() == at => self.oob_commands(),
            Part::Topic | Part::OobCommand | Part::Line => return self.inner_line(words, at),
            Part::Events => return self.event_names(words),
            Part::Match => return self.event_data(words),
            Part::Flag(..) | Part::Name(_) | Part::Time | Part::Optional(_) => Vec::new(),
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

    /// Completes the last of several names with commas between them.
    fn event_names(&self, words: &Words<'_>) -> Completion {
        let typed = &words.line[words.start..words.at];
        let start = words.start + typed.rfind(',').map_or(0, |comma| comma + 1);
        Completion {
            start,
            candidates: matching(self.events(), &words.line[start..words.at]),
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
        let mut candidates: Vec<Candidate> = Vec::new();
        let last = match value {
            Some(value) => value,
            None => path.pop().map_or("", |last| &key[key.len() - last.len()..]),
        };
        let names = words.before.first().map_or("", String::as_str);
        for event in names.split(',') {
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
