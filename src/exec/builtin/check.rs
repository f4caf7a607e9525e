//! Checks the arguments of a built-in against its parts, without running it.

use super::conditions::{check_against, read, read_named};
use super::entry::{Builtin, Part, USAGE, find, time, unknown};
use super::recipe::named;
use super::settings;
use crate::failure::Failure;
use crate::lang::{BuiltinLine, Language, Parser, Statement, Words, any_of, nearest};
use crate::schema::Schema;

/// What the arguments of built-ins are checked against.
pub(super) struct Check<'a> {
    /// All built-ins.
    pub table: &'static [Builtin],
    pub language: Language,
    /// Names, keys and values of events are checked against it.
    pub schema: Option<&'a Schema>,
}

/// Why words do not have a form, and the index of the first word that does not fit.
struct Misfit {
    at: usize,
    failure: Failure,
}

impl Misfit {
    /// Whether it says no more than what the forms are.
    fn is_usage(&self) -> bool {
        matches!(&self.failure, Failure::Usage(text) if text.starts_with(USAGE))
    }
}

impl Check<'_> {
    /// Checks that there is such a built-in, and that its arguments have one of its forms.
    ///
    /// # Errors
    ///
    /// What is wrong with the line, as the form says that fits best.
    pub fn line(&self, line: &BuiltinLine) -> Result<(), Failure> {
        let Some(builtin) = find(self.table, &line.name) else {
            return Err(unknown(self.table, &line.name));
        };
        let mut worst: Option<Misfit> = None;
        for parts in builtin.forms {
            let mut form = Form {
                check: self,
                builtin,
                line,
                words: &line.words,
                flags: flags(parts),
                stops: words_of(parts),
            };
            match form.all(parts) {
                Ok(()) => return Ok(()),
                Err(misfit) => {
                    let is_new =
                        |old: &Misfit| misfit.at > old.at || misfit.at == old.at && old.is_usage();
                    if worst.as_ref().is_none_or(is_new) {
                        worst = Some(misfit);
                    }
                }
            }
        }
        let Some(worst) = worst else {
            return Err(builtin.usage());
        };
        match line.words.word(worst.at) {
            Some(option) if option.starts_with("--") && worst.is_usage() => {
                Err(Failure::Usage(format!("unknown option `{option}`")))
            }
            _ => Err(worst.failure),
        }
    }
}

/// The options of a form: their names, and those of their values.
fn flags(parts: &[Part]) -> Vec<(&'static str, &'static str)> {
    let flag = |part: &Part| match part {
        Part::Flag(name, value) => Some((*name, *value)),
        _ => None,
    };
    parts.iter().filter_map(flag).collect()
}

/// The literal words of a form, which end a condition on events.
fn words_of(parts: &[Part]) -> Vec<&'static str> {
    let words = parts.iter().flat_map(|part| match part {
        Part::Word(words) => words.to_vec(),
        Part::Repeated(inner) | Part::Optional(inner) => words_of(inner),
        _ => Vec::new(),
    });
    words.collect()
}

/// One form of a built-in, against which its words are checked.
struct Form<'a> {
    check: &'a Check<'a>,
    builtin: &'static Builtin,
    line: &'a BuiltinLine,
    words: &'a Words,
    flags: Vec<(&'static str, &'static str)>,
    stops: Vec<&'static str>,
}

impl Form<'_> {
    fn all(&mut self, parts: &[Part]) -> Result<(), Misfit> {
        let at = self.options(self.parts(parts, 0)?)?;
        match self.words.word(at) {
            None => Ok(()),
            Some("&") => Err(self.wrong(
                at,
                "a built-in cannot run in the background; leave out the `&`".to_owned(),
            )),
            Some(_) => Err(self.usage(at)),
        }
    }

    /// Checks the words from index `at` on, and returns the index after the last that belongs to `parts`.
    fn parts(&self, parts: &[Part], mut at: usize) -> Result<usize, Misfit> {
        let mut parts = parts;
        while let Some((part, rest)) = parts.split_first() {
            at = self.options(at)?;
            let has_match = rest.first() == Some(&Part::Match);
            at = match part {
                Part::Flag(..) | Part::Match => at,
                Part::Events => self.events(at, true)?,
                Part::Optional([Part::Events]) => self.events(at, false)?,
                Part::Optional(inner) => self.optional(inner, at)?,
                Part::Repeated(inner) => self.repeated(inner, at)?,
                Part::Word(choices) => match self.words.word(at) {
                    Some(word) if choices.contains(&word) => at + 1,
                    _ => return Err(self.usage(at)),
                },
                Part::OneOf(name, choices) => self.one_of(name, choices, at)?,
                Part::Time => {
                    time(&self.word(at)?).map_err(|failure| Misfit { at, failure })?;
                    at + 1
                }
                Part::Name(_)
                | Part::Job
                | Part::Listener
                | Part::Timer
                | Part::Address
                | Part::File
                | Part::QomPath => {
                    self.word(at)?;
                    at + 1
                }
                Part::Recipe => {
                    let name = self.word(at)?;
                    named(&name).map_err(|failure| Misfit { at, failure })?;
                    at + 1
                }
                Part::Setting => self.setting(at)?,
                Part::Program if at == self.words.len() => return Err(self.usage(at)),
                Part::Ability => {
                    self.word(at)?;
                    let ends_in_background = self.words.last() == Some("&");
                    self.words.len() - usize::from(ends_in_background)
                }
                Part::Filter if self.words.text().is_empty() => return Err(self.usage(at)),
                Part::Condition { required } => {
                    let filter = self.words.filter().map_err(|error| Misfit {
                        at,
                        failure: Failure::syntax_of(error, self.words),
                    })?;
                    if *required && filter.is_none() {
                        return Err(self.usage(at));
                    }
                    at
                }
                Part::Program
                | Part::Filter
                | Part::Text
                | Part::HmpLine
                | Part::Topic
                | Part::Blanks => self.words.len(),
                Part::OobCommand | Part::Command | Part::Line => self.inner(*part, at)?,
            };
            parts = if has_match && matches!(part, Part::Events | Part::Optional([Part::Events])) {
                &rest[1..]
            } else {
                rest
            };
        }
        Ok(at)
    }

    fn usage(&self, at: usize) -> Misfit {
        Misfit {
            at,
            failure: self.builtin.usage(),
        }
    }

    fn wrong(&self, at: usize, why: String) -> Misfit {
        Misfit {
            at,
            failure: Failure::Usage(why),
        }
    }

    /// The word at this index, as plain text.
    fn word(&self, at: usize) -> Result<String, Misfit> {
        let word = self.words.part(at..at + 1);
        let plain = word.plain().map_err(|error| Misfit {
            at,
            failure: Failure::syntax_of(error, self.words),
        })?;
        plain.into_iter().next().ok_or_else(|| self.usage(at))
    }

    /// Skips options, whose values it checks.
    fn options(&self, mut at: usize) -> Result<usize, Misfit> {
        while let Some(word) = self.words.word(at) {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            let Some((name, takes)) = self.flags.iter().find(|(flag, _)| *flag == name) else {
                break;
            };
            let start = at;
            at += 1;
            if takes.is_empty() {
                continue;
            }
            let value = match value {
                Some(value) => value,
                None => {
                    at += 1;
                    let missing = |_| self.wrong(start + 1, format!("`{name}` needs a value"));
                    self.word(start + 1).map_err(missing)?
                }
            };
            if *takes == "SECS" {
                time(&value).map_err(|failure| Misfit { at, failure })?;
            }
        }
        Ok(at)
    }

    /// Checks a condition on events, with the options among its words.
    fn events(&self, from: usize, required: bool) -> Result<usize, Misfit> {
        let mut to = from;
        while let Some(word) = self.words.word(to) {
            if self.stops.contains(&word) || word == "&" {
                break;
            }
            let after = self.options(to)?;
            if after == to && word.starts_with("--") {
                break;
            }
            to = after.max(to + 1);
        }
        let mut words = self.words.part(from..to);
        for (name, takes) in &self.flags {
            match takes.is_empty() {
                true => drop(words.take_flag(name)),
                false => drop(words.take_option(name)),
            }
        }
        let misfit = |failure| Misfit { at: to, failure };
        if !required {
            read(&words).map_err(misfit)?;
            return Ok(to);
        }
        let wanted = read_named(&words, self.builtin.usage());
        let mut wanted = wanted.map_err(misfit)?;
        if let Some(schema) = self.check.schema {
            check_against(schema, [&mut wanted]).map_err(misfit)?;
        }
        Ok(to)
    }

    fn optional(&self, parts: &[Part], at: usize) -> Result<usize, Misfit> {
        match self.parts(parts, at) {
            Ok(to) => Ok(to),
            // What is not there at all is left out.
            Err(misfit) if misfit.at <= at && self.words.word(at).is_none() => Ok(at),
            Err(misfit) if misfit.at > at || matches!(parts, [Part::OneOf(..)]) => Err(misfit),
            Err(_) => Ok(at),
        }
    }

    fn repeated(&self, parts: &[Part], mut at: usize) -> Result<usize, Misfit> {
        let begins = |word: &str| matches!(parts, [Part::Word(words), ..] if words.contains(&word));
        while self.words.word(at).is_some_and(begins) {
            at = self.options(self.parts(parts, at)?)?;
        }
        Ok(at)
    }

    fn one_of(&self, name: &str, choices: &[&str], at: usize) -> Result<usize, Misfit> {
        let word = self.word(at)?;
        if choices.contains(&word.as_str()) {
            return Ok(at + 1);
        }
        let near = nearest(&word, choices.iter().copied());
        let meant = match near.is_empty() {
            true => any_of(choices),
            false => any_of(&near),
        };
        let why = format!("`{word}` is not a {name}; did you mean {meant}?");
        Err(self.wrong(at, why))
    }

    /// Checks the name of a setting. What its value may be, only its own code knows.
    fn setting(&self, at: usize) -> Result<usize, Misfit> {
        match settings::find(&self.word(at)?) {
            Ok(_) => Ok(self.words.len().min(at + 2)),
            Err(failure) => Err(Misfit { at, failure }),
        }
    }

    /// Checks a line in the line, which is the rest of it.
    fn inner(&self, part: Part, at: usize) -> Result<usize, Misfit> {
        let mut words = self.words.part(at..self.words.len());
        if words.is_empty() {
            return Err(self.usage(at));
        }
        if self.line.transaction.is_some() {
            return Ok(self.words.len());
        }
        if self.builtin.name == super::aliases::ALIAS.name {
            // What names stand for is of interest only when the alias is used.
            words = words.literal();
        }
        if self.builtin.name == super::listeners::ON.name {
            words = words.assuming(crate::context::EVENT);
        }
        let misfit = |failure| Misfit { at, failure };
        let mut parser = Parser::of(self.check.language.clone());
        let line = parser.parse(&words);
        let line = line.map_err(|error| misfit(Failure::syntax_of(error, &words)))?;
        match &line.statement {
            // The built-in itself says what it takes instead.
            Statement::Builtin(inner) if part == Part::Line => {
                self.check.line(inner).map_err(misfit)?;
            }
            _ => {}
        }
        Ok(self.words.len())
    }
}
