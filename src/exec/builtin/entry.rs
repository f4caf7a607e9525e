//! Defines a built-in, its arguments and its call.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use crate::context::{Context, Outcome, Output};
use crate::failure::Failure;
use crate::lang::{self, BuiltinLine, FilterText, Line, Parser, Statement, Words, any_of, nearest};

/// A built-in.
pub struct Builtin {
    /// The name, without the colon.
    pub name: &'static str,
    /// The forms in which it can be called, each a list of the parts after the name.
    pub forms: &'static [&'static [Part]],
    /// What it does: one line, without a full stop.
    pub summary: &'static str,
    /// More help, in full sentences; may be empty.
    pub help: &'static str,
    pub(super) run: for<'a> fn(&'a Call<'a>) -> Running<'a>,
}

/// How the failure for arguments that fit no form begins.
pub(super) const USAGE: &str = "usage: ";

/// A running built-in.
pub(super) type Running<'a> = Pin<Box<dyn Future<Output = Result<Effect, Failure>> + Send + 'a>>;

/// What a built-in results in.
pub enum Effect {
    /// The line is done.
    Done(Outcome),
    /// A command to send instead.
    Send(Line),
    /// A command to send, and then to wait, for at most `limit`, until what it set in motion is done.
    Finish { line: Line, limit: Option<Duration> },
}

impl From<Output> for Effect {
    fn from(output: Output) -> Self {
        Self::Done(output.into())
    }
}

/// One part of a built-in's arguments. The synopsis and completion are derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One of these literal words.
    Word(&'static [&'static str]),
    /// One of these words, all of which the text names in the synopsis.
    OneOf(&'static str, &'static [&'static str]),
    /// Parts that may be left out together.
    Optional(&'static [Part]),
    /// An option, which may be left out: its name, and the name of its value (empty if it takes none).
    Flag(&'static str, &'static str),
    /// Parts that may follow each other any number of times.
    Repeated(&'static [Part]),
    /// A word that cannot be completed; the text is how the synopsis names it.
    Name(&'static str),
    /// A setting and its new value.
    Setting,
    /// A duration.
    Time,
    /// Names of events, separated by commas.
    Events,
    /// Any number of conditions on an event's data: KEY=VALUE, or KEY alone.
    Match,
    /// The id of a job.
    Job,
    /// The number of a listener.
    Listener,
    /// The number of a timer.
    Timer,
    /// An address, which may be a path.
    Address,
    /// The path of a QOM object.
    QomPath,
    /// Anything that `help` explains.
    Topic,
    /// A command, and arguments and features that it may have.
    Ability,
    /// A command that can run out of band.
    OobCommand,
    /// The rest of the line, as a text.
    Text,
    /// The rest of the line, as a filter.
    Filter,
    /// A filter after the words, whose output is a condition.
    Condition { required: bool },
    /// A program and its arguments, to the end of the line. They are not ours to read.
    Program,
    /// Any command.
    Command,
    /// Any line.
    Line,
    /// A line of the human monitor.
    HmpLine,
    /// A file of ours.
    File,
    /// The name of a recipe.
    Recipe,
    /// Values for the blanks of the recipe before it.
    Blanks,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(words) => f.write_str(&words.join("|")),
            Self::Optional(parts) => write!(f, "[{}]", form(parts)),
            Self::Repeated(parts) => write!(f, "[{}]…", form(parts)),
            Self::Flag(name, "") => write!(f, "[{name}]"),
            Self::Flag(name, value) => write!(f, "[{name} {value}]"),
            Self::Name(name) | Self::OneOf(name, _) => f.write_str(name),
            Self::Setting => f.write_str("NAME [VALUE]"),
            Self::Time => f.write_str("TIME"),
            Self::Events => f.write_str("NAME[,NAME…]"),
            Self::Match => f.write_str("[KEY[=VALUE]…]"),
            Self::Job | Self::Listener | Self::Timer => f.write_str("ID"),
            Self::Address => f.write_str("ADDRESS"),
            Self::File => f.write_str("FILE"),
            Self::Recipe => f.write_str("NAME"),
            Self::Blanks => f.write_str("[KEY=VALUE…]"),
            Self::QomPath => f.write_str("PATH"),
            Self::Topic => f.write_str("COMMAND [KEY=VALUE…] | EVENT | :BUILT-IN | WORD"),
            Self::Ability => f.write_str("COMMAND [ARGUMENT[=VALUE]…] [FEATURE…]"),
            Self::OobCommand | Self::Command => f.write_str("COMMAND [KEY=VALUE…]"),
            Self::Text => f.write_str("TEXT"),
            Self::Filter => f.write_str("FILTER"),
            Self::Condition { required: true } => f.write_str("| FILTER"),
            Self::Condition { required: false } => f.write_str("[| FILTER]"),
            Self::Program => f.write_str("COMMAND [ARG…]"),
            Self::Line | Self::HmpLine => f.write_str("LINE"),
        }
    }
}

fn form(parts: &[Part]) -> String {
    let parts: Vec<String> = parts.iter().map(Part::to_string).collect();
    parts.join(" ")
}

impl Builtin {
    /// The arguments, as usage messages and help show them.
    pub fn synopsis(&self) -> String {
        let forms: Vec<String> = self.forms.iter().map(|parts| form(parts)).collect();
        let named: Vec<&str> = forms.iter().map(String::as_str).collect();
        let given: Vec<&str> = named
            .iter()
            .copied()
            .filter(|form| !form.is_empty())
            .collect();
        let all = given.join(" | ");
        // A built-in that needs no arguments has an empty form.
        match given.len() < named.len() && !given.is_empty() {
            true => format!("[{all}]"),
            false => all,
        }
    }

    /// The name with its colon, followed by the synopsis.
    pub fn headline(&self) -> String {
        format!(":{} {}", self.name, self.synopsis())
            .trim_end()
            .to_owned()
    }

    /// Whether any of its parts satisfies `is`.
    pub(super) fn has(&self, is: impl Fn(&Part) -> bool) -> bool {
        self.forms.iter().copied().flatten().any(is)
    }

    /// Whether what follows its words belongs to a line in it.
    pub(super) fn holds_line(&self) -> bool {
        self.has(|part| matches!(part, Part::Line | Part::OobCommand))
    }

    /// Whether the filter after its words is a condition.
    pub(super) fn takes_filter(&self) -> bool {
        self.has(|part| matches!(part, Part::Condition { .. }))
    }

    /// Whether all that follows its name is a filter.
    pub(super) fn is_filter(&self) -> bool {
        self.has(|part| matches!(part, Part::Filter))
    }

    /// The failure for arguments that fit none of the forms.
    pub(super) fn usage(&self) -> Failure {
        Failure::Usage(format!("{USAGE}{}", self.headline()))
    }
}

/// The parts of `form` that may come next after `words`, each with the index of the word at which it starts.
pub fn expected<'a>(form: &'a [Part], words: &[String]) -> Vec<(&'a Part, usize)> {
    let mut found = Vec::new();
    follow(form, &[], words, 0, &mut found);
    found
}

/// Matches `words`, from index `at` on, against `parts` and then `rest`, and collects in `found` what may come
/// next.
fn follow<'a>(
    parts: &'a [Part],
    rest: &[&'a [Part]],
    words: &[String],
    at: usize,
    found: &mut Vec<(&'a Part, usize)>,
) {
    let Some((part, after)) = parts.split_first() else {
        if let Some((next, rest)) = rest.split_first() {
            follow(next, rest, words, at, found);
        }
        return;
    };
    let word = words.get(at).map(String::as_str);
    match part {
        Part::Optional(inner) => {
            let mut with_rest = vec![after];
            with_rest.extend(rest);
            follow(inner, &with_rest, words, at, found);
            follow(after, rest, words, at, found);
        }
        Part::Repeated(inner) => {
            let mut with_rest = vec![parts];
            with_rest.extend(rest);
            follow(inner, &with_rest, words, at, found);
            follow(after, rest, words, at, found);
        }
        Part::Text | Part::Filter | Part::Program | Part::Condition { .. } => {}
        Part::Line
        | Part::HmpLine
        | Part::Command
        | Part::OobCommand
        | Part::Topic
        | Part::Ability
        | Part::Blanks => {
            found.push((part, at));
        }
        Part::Match => {
            let pairs = words[at..].iter();
            let pairs = pairs.take_while(|word| is_condition(word)).count();
            if at + pairs == words.len() {
                found.push((part, at));
            }
            follow(after, rest, words, at + pairs, found);
        }
        Part::Flag(name, value) => {
            let length = if value.is_empty() { 1 } else { 2 };
            match word {
                None => found.push((part, at)),
                Some(word) if word == *name && at + length <= words.len() => {
                    return follow(after, rest, words, at + length, found);
                }
                Some(_) => {}
            }
            follow(after, rest, words, at, found);
        }
        Part::Setting => {
            if at <= words.len() {
                found.push((part, at));
            }
        }
        _ => match word {
            None => found.push((part, at)),
            Some(word) if matches!(part, Part::Word(choices) if !choices.contains(&word)) => {}
            Some(word) if matches!(part, Part::Time) && !word.starts_with(is_of_number) => {}
            Some(_) => follow(after, rest, words, at + 1, found),
        },
    }
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// Whether a word after the names of events is a further condition, and not an option or the `do` of `:on`.
fn is_condition(word: &str) -> bool {
    !word.starts_with('-') && word != "do" && (word.contains('=') || lang::is_key(word))
}

/// A call of a built-in.
pub(super) struct Call<'a> {
    pub context: &'a Context,
    pub line: &'a BuiltinLine,
    pub builtin: &'static Builtin,
    /// All built-ins.
    pub table: &'static [Builtin],
    /// Runs a line that is part of this one.
    pub run_line: RunLine,
}

/// Runs a line, waits for its reply, and returns the outcome.
pub type RunLine =
    for<'a> fn(&'a Context, Line) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

impl Call<'_> {
    /// The arguments as plain words, unquoted.
    ///
    /// # Errors
    ///
    /// A word is quoted wrongly, or is JSON.
    pub fn args(&self) -> Result<Vec<String>, Failure> {
        let args = self.line.args();
        args.map_err(|error| Failure::syntax_of(error, &self.line.words))
    }

    /// The failure for arguments that fit none of the built-in's forms.
    pub fn usage(&self) -> Failure {
        self.builtin.usage()
    }

    /// Runs a line that is part of this one, and waits for its reply.
    pub async fn run(&self, line: Line) -> Outcome {
        (self.run_line)(self.context, line).await
    }

    /// Parses a line that will run later.
    ///
    /// # Errors
    ///
    /// The line does not parse, or could never run: its built-in does not exist, or its transaction is not
    /// closed.
    pub fn inner_line(&self, words: &Words) -> Result<Line, Failure> {
        if let Some(transaction) = &self.line.transaction
            && words
                .before_transaction()
                .is_some_and(|rest| rest.is_empty())
        {
            let transaction = transaction.as_ref().clone();
            return Ok(Statement::Command(transaction).into());
        }
        let mut parser = Parser::of(self.context.target.language());
        let line = parser.parse_for_later(words);
        let line = line.map_err(|error| Failure::syntax_of(error, words))?;
        if parser.in_transaction() {
            return Err(Failure::Usage(
                "a transaction must fit on one line here: transaction( ACTION )".to_owned(),
            ));
        }
        if let Statement::Builtin(inner) = &line.statement
            && find(self.table, &inner.name).is_none()
        {
            return Err(unknown(self.table, &inner.name));
        }
        Ok(line)
    }
}

/// Finds a built-in in `table` by its name, given with or without the colon.
pub(super) fn find(table: &'static [Builtin], name: &str) -> Option<&'static Builtin> {
    let name = name.strip_prefix(':').unwrap_or(name);
    table.iter().find(|builtin| builtin.name == name)
}

/// The filter of a line, and whether it may name the event for which the line in it runs.
pub(super) fn filter_of(table: &'static [Builtin], line: &Line) -> Option<(FilterText, bool)> {
    let builtin = match &line.statement {
        Statement::Builtin(line) => find(table, &line.name).map(|builtin| (builtin, line)),
        _ => None,
    };
    match builtin {
        // Without a filter, the line is refused with the built-in's usage.
        Some((builtin, line)) if builtin.is_filter() => {
            let filter = line.words.as_filter();
            (!filter.text.trim().is_empty()).then_some((filter, false))
        }
        Some((builtin, _)) => Some((line.tail.filter.clone()?, builtin.holds_line())),
        None => Some((line.tail.filter.clone()?, false)),
    }
}

/// The failure for a name, given without the colon, that is not in `table`.
pub(super) fn unknown(table: &[Builtin], name: &str) -> Failure {
    if let Some((first, _)) = name.split_once(char::is_whitespace)
        && table.iter().any(|builtin| builtin.name == first)
    {
        return Failure::Usage(format!(
            "`:{name}` is one word; leave out the quotes around it, or run it as a line: -e ':{name}'"
        ));
    }
    let near = nearest(name, table.iter().map(|builtin| builtin.name));
    let near: Vec<String> = near.iter().map(|name| format!(":{name}")).collect();
    Failure::Usage(match &near[..] {
        [] => format!("there is no built-in `:{name}`; `:help` lists them"),
        near => format!(
            "there is no built-in `:{name}`; did you mean {}?",
            any_of(near)
        ),
    })
}

/// Parses a duration: seconds, or a number with the unit `ms`, `s`, `m`, `min` or `h`.
///
/// # Errors
///
/// `text` is not a duration.
pub(super) fn time(text: &str) -> Result<Duration, Failure> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => f64::NAN,
    };
    let number: Option<f64> = number.parse().ok();
    let time = number.and_then(|number| lang::seconds(number * unit));
    time.ok_or_else(|| {
        Failure::Usage(format!(
            "`{text}` is not a duration; write 500ms, 2s, 1m or 1h"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_come_next_follows_from_the_words_before() {
        const FORM: &[Part] = &[
            Part::Optional(&[Part::Events]),
            Part::Match,
            Part::Flag("--since", "TIME"),
            Part::Word(&["do"]),
            Part::Line,
        ];
        let next = |words: &str| {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            let expected = expected(FORM, &words).into_iter();
            let parts = expected.map(|(part, at)| format!("{part}@{at}"));
            parts.collect::<Vec<_>>().join(" ")
        };
        let (data, since) = ("[KEY[=VALUE]…]", "[--since TIME]");
        assert_eq!(next(""), format!("NAME[,NAME…]@0 {data}@0 {since}@0 do@0"));
        assert_eq!(next("STOP"), format!("{data}@1 {since}@1 do@1"));
        assert_eq!(next("STOP a=b"), format!("{data}@1 {since}@2 do@2"));
        assert_eq!(next("STOP a=b --since 5m"), "do@4");
        assert_eq!(next("STOP do"), "LINE@2");
        assert_eq!(next("STOP do stop now"), "LINE@2");
    }
}
