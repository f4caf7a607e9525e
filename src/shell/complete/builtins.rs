//! Completes the arguments of built-ins.

use super::candidates::{Candidate, Completion, matching};
use super::given::GivenCommand;
use super::sources::{Sources, builtin_names, plain};
use crate::context::names::Question;
use crate::exec::builtin::{self, Part, SETTINGS};
use crate::lang::{self, Value};
use crate::manual::recipes::{self, RECIPES, Recipe};

/// An argument of a built-in that is being typed, and the words before it.
pub(super) struct Words<'a> {
    pub line: &'a str,
    pub at: usize,
    /// The built-in's name, without the colon.
    pub name: &'a str,
    pub before: &'a [String],
    pub start: usize,
}

/// How to complete an argument of a built-in.
pub(super) enum Found {
    /// With these candidates.
    Here(Completion),
    /// As part of an inner line that starts at this offset.
    LineAt(usize),
    /// As a line of the human monitor that starts at this offset.
    HmpLineAt(usize),
    /// As the end of another line.
    Like(Model),
}

/// A line at whose end a part of a word completes.
pub(super) struct Model {
    pub line: String,
    /// Where the part starts in that line.
    pub from: usize,
    /// Where it starts in the line that is being typed.
    pub start: usize,
}

/// Completes an argument of a built-in, with everything that may come next in any of its forms.
pub(super) fn complete(words: &Words<'_>, sources: &Sources<'_>) -> Found {
    let forms = builtin::find(words.name).map_or(&[][..], |builtin| builtin.forms);
    let expected = forms
        .iter()
        .flat_map(|form| builtin::expected(form, words.before));
    let mut found = Completion {
        start: words.start,
        candidates: Vec::new(),
    };
    let is_typed = words.start < words.at;
    let mut options = Vec::new();
    for (part, at) in expected {
        if let Part::Flag(name, _) = part
            && !is_typed
        {
            options.push(Candidate::word(name, ""));
        }
        let new = match sources.part(part, at, words) {
            Found::Here(new) => new,
            line => return line,
        };
        // Candidates that start in the middle of the word fit better.
        if new.start != found.start && !new.candidates.is_empty() {
            return Found::Here(new);
        }
        for candidate in new.candidates {
            if !found.candidates.contains(&candidate) {
                found.candidates.push(candidate);
            }
        }
    }
    // Options are offered once the user has typed a dash, or if nothing else can follow.
    if found.candidates.is_empty() {
        found.candidates = options;
    }
    Found::Here(found)
}

impl Sources<'_> {
    /// Completes one part, which starts at the word with index `at`.
    fn part(&self, part: &Part, at: usize, words: &Words<'_>) -> Found {
        let typed = &words.line[words.start..words.at];
        let listed = |names: &[&str]| names.iter().map(|name| Candidate::word(name, "")).collect();
        let candidates: Vec<Candidate> = match part {
            Part::Word(choices) | Part::OneOf(_, choices) => listed(choices),
            Part::Flag(name, _) if typed.starts_with('-') => listed(&[*name]),
            Part::Setting => match &words.before[at..] {
                [] => listed(
                    &SETTINGS
                        .iter()
                        .map(|setting| setting.name)
                        .collect::<Vec<_>>(),
                ),
                [name] => {
                    let setting = SETTINGS.iter().find(|setting| setting.name == name);
                    listed(setting.map_or(&[][..], |setting| setting.values()))
                }
                _ => Vec::new(),
            },
            Part::Job => self.answers(&Question::Jobs),
            Part::Listener => self.answers(&Question::Listeners),
            Part::Timer => self.answers(&Question::Timers),
            Part::QomPath => self.answers(&Question::QomPath(typed.to_owned())),
            Part::Address | Part::File => self.answers(&Question::Files(typed.to_owned())),
            Part::Topic if words.before.len() == at => {
                let mut topics = self.commands();
                topics.extend(self.events());
                topics.extend(builtin_names(if typed.starts_with(':') { ":" } else { "" }));
                topics
            }
            Part::OobCommand if words.before.len() == at => self.oob_commands(),
            Part::Ability if words.before.len() == at => self.commands(),
            Part::Ability | Part::Topic | Part::OobCommand | Part::Command | Part::Line => {
                return Found::LineAt(words.start_of(at));
            }
            Part::Recipe => {
                let all = RECIPES.iter();
                all.map(|recipe| Candidate::word(recipe.name(), recipe.title()))
                    .collect()
            }
            Part::Blanks => match words.recipe(at) {
                Some(recipe) => match words.value_in(recipe) {
                    Some(model) => return Found::Like(model),
                    None => words.blanks(recipe, at),
                },
                None => Vec::new(),
            },
            Part::HmpLine => return Found::HmpLineAt(words.start_of(at)),
            Part::Events => return Found::Here(self.event_names(words)),
            Part::Match => return Found::Here(self.event_data(words)),
            Part::Flag(..)
            | Part::Name(_)
            | Part::Time
            | Part::Text
            | Part::Filter
            | Part::Condition { .. }
            | Part::Program
            | Part::Optional(_)
            | Part::Repeated(_) => Vec::new(),
        };
        Found::Here(Completion {
            start: words.start,
            candidates: matching(candidates, typed),
        })
    }

    /// Completes the last of several names separated by commas.
    fn event_names(&self, words: &Words<'_>) -> Completion {
        let typed = &words.line[words.start..words.at];
        let start = words.start + typed.rfind(',').map_or(0, |comma| comma + 1);
        Completion {
            start,
            candidates: matching(self.events(), &words.line[start..words.at]),
        }
    }

    /// Completes the members that the data of the events named before can have.
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
        // Those of the alternative that the word belongs to.
        let is_option = |word: &String| word.starts_with("--");
        let from = words
            .before
            .iter()
            .rposition(is_option)
            .map_or(0, |at| at + 1);
        let names = words.before.get(from).map_or("", String::as_str);
        for event in names.split(',') {
            let schema = self.schema;
            let given = GivenCommand {
                command: event.to_owned(),
                root: schema
                    .and_then(|schema| schema.event(event))
                    .map(|event| event.data),
                given: Value::Object(lang::Object::new()),
                quote: '"',
                sources: self,
            };
            let found = match value {
                Some(value) => given.values(&path, value, |answer| plain(answer, None)),
                None => given.keys(&path),
            };
            let new = |new: &Candidate| !candidates.iter().any(|old| old.label == new.label);
            let found: Vec<Candidate> = found.into_iter().filter(new).collect();
            candidates.extend(found);
        }
        for candidate in &mut candidates {
            // "Required" means nothing to somebody who only selects events.
            candidate.note = candidate.note.replace(", required", "");
        }
        Completion {
            start: words.at - last.len(),
            candidates: matching(candidates, last),
        }
    }
}

impl Words<'_> {
    /// The offset at which the word number `index` starts, or would start.
    fn start_of(&self, index: usize) -> usize {
        let after = |from: usize, word: &str| {
            let found = self.line[from..].find(word).unwrap_or(0);
            from + found + word.len()
        };
        let from = after(0, self.name);
        let before = self.before.iter().take(index);
        let from = before.fold(from, |from, word| after(from, word));
        let rest = &self.line[from..self.at];
        from + rest.len() - rest.trim_start().len()
    }

    /// The recipe whose blanks start at the word number `index`.
    fn recipe(&self, index: usize) -> Option<&'static Recipe> {
        recipes::find(self.before.get(index.checked_sub(1)?)?)
    }

    /// The line of the recipe in which the value that is being typed completes.
    fn value_in(&self, recipe: &Recipe) -> Option<Model> {
        let (blank, value) = self.line[self.start..self.at].split_once('=')?;
        let before = recipe.before(blank)?;
        Some(Model {
            line: format!("{before}{value}"),
            from: before.len(),
            start: self.at - value.len(),
        })
    }

    /// The blanks of the recipe that the words from the number `index` on do not fill.
    fn blanks(&self, recipe: &Recipe, index: usize) -> Vec<Candidate> {
        let keys = recipe.blanks().into_iter().map(|blank| format!("{blank}="));
        let is_given = |key: &String| {
            self.before[index..]
                .iter()
                .any(|word| word.starts_with(key))
        };
        let keys = keys.filter(|key| !is_given(key));
        keys.map(|key| Candidate::new(&key, &key, "")).collect()
    }
}
