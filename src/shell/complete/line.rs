use super::builtins;
use super::candidates::{Candidate, Completion, matching};
use super::filter;
use super::given::GivenCommand;
use super::sources::{Sources, plain};
use super::verbs;
use crate::context::names::Question;
use crate::lang::{CursorContext, CursorPlace};

/// Completes `line` at the byte offset `at`. `in_transaction` says that the line is an action of a transaction
/// opened before.
pub fn complete(line: &str, at: usize, in_transaction: bool, sources: &Sources<'_>) -> Completion {
    let (mut line, mut at, mut in_transaction) = (line, at, in_transaction);
    // Lines can be nested: `:every 1s :oob …`.
    let mut skipped = 0;
    loop {
        let text = line[..at].trim_start();
        if sources.dialect.has_verbs() && !text.starts_with(':') {
            let start = at - text.len();
            return shifted(sources.verb_line(line, start, at), skipped);
        }
        if !in_transaction && let Some(completion) = of_alias(line, at, sources) {
            return shifted(completion, skipped);
        }
        if let Some(completion) = filter::complete(line, at, sources) {
            return shifted(completion, skipped);
        }
        let context = CursorContext::of(line, at, in_transaction);
        let CursorPlace::Builtin {
            name,
            before,
            start,
        } = &context.place
        else {
            return shifted(of_command(line, at, context, sources), skipped);
        };
        let words = builtins::Words {
            line,
            at,
            name,
            before,
            start: *start,
        };
        match builtins::complete(&words, sources) {
            builtins::Found::Here(completion) => return shifted(completion, skipped),
            builtins::Found::HmpLineAt(start) => {
                return shifted(sources.verb_line(line, start, at), skipped);
            }
            builtins::Found::Like(model) => {
                let found = complete(&model.line, model.line.len(), false, sources);
                let start = (found.start + model.start).saturating_sub(model.from);
                return shifted(Completion { start, ..found }, skipped);
            }
            builtins::Found::LineAt(start) => {
                (line, at, in_transaction) = (&line[start..], at - start, false);
                skipped += start;
            }
        }
    }
}

impl Sources<'_> {
    /// Completes the text of `line` from `start` on, which is a verb and its arguments.
    fn verb_line(&self, line: &str, start: usize, at: usize) -> Completion {
        match (self.verbs)() {
            Some(verbs) => verbs::complete(line, start, at, &verbs, self),
            None => Completion {
                start: at,
                candidates: Vec::new(),
            },
        }
    }
}

/// Moves the start of a completion by `by` bytes.
fn shifted(completion: Completion, by: usize) -> Completion {
    Completion {
        start: completion.start + by,
        ..completion
    }
}

/// Completes what follows an alias, as if the line were the one that results.
fn of_alias(line: &str, at: usize, sources: &Sources<'_>) -> Option<Completion> {
    let start = line.len() - line.trim_start().len();
    let length = line[start..].find(char::is_whitespace)?;
    let end = start + length;
    let (text, aliases) = sources.aliases.expand(&line[start..end])?;
    let place = at.checked_sub(end).filter(|after| *after > 0)? + text.len();
    let whole = format!("{text}{}", &line[end..]);
    let sources = Sources {
        aliases: &aliases,
        ..*sources
    };
    let completion = complete(&whole, place, false, &sources);
    Some(Completion {
        start: completion.start.checked_sub(text.len())? + end,
        ..completion
    })
}

/// Completes a line that is a command or a whole message.
fn of_command(line: &str, at: usize, context: CursorContext, sources: &Sources<'_>) -> Completion {
    let place = context.place.clone();
    // Inside JSON, continue with the kind of quotes that the line uses.
    let quote = if line[..at].contains('\'') { '\'' } else { '"' };
    let action = context.action;
    let given = GivenCommand::new(context, quote, sources);
    let (start, candidates) = match &place {
        CursorPlace::Command { start } => (*start, sources.first_word(&line[*start..at], action)),
        CursorPlace::Key { path, start } => (*start, given.keys(path)),
        CursorPlace::Value { path, start } => {
            let typed = &line[*start..at];
            let quote = typed.chars().next().filter(|c| matches!(c, '"' | '\''));
            let typed = typed.trim_start_matches(['"', '\'']);
            let values = if line[..*start].ends_with(":=") {
                given.json_values(path, typed)
            } else {
                given.values(path, typed, |value| plain(value, quote))
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
                candidates: matching(given.json_keys(path), typed),
            };
        }
        CursorPlace::JsonValue { path, start } => {
            let typed = line[*start..at].trim_start_matches(['"', '\'']);
            return Completion {
                start: *start,
                candidates: matching(given.json_values(path, typed), typed),
            };
        }
        CursorPlace::JsonCommand { start } => {
            let typed = line[*start..at].trim_start_matches(['"', '\'']);
            let mut commands = sources.commands();
            for command in &mut commands {
                command.text = given.quoted(&command.label);
            }
            return Completion {
                start: *start,
                candidates: matching(commands, typed),
            };
        }
        CursorPlace::MessageKey { start } => {
            let typed = line[*start..at].trim_start_matches(['"', '\'']);
            let keys = ["execute", "exec-oob", "arguments", "id"].map(|key| {
                let text = format!("{}: ", given.quoted(key));
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

/// The key whose value is being typed at the offset `at`, with the value's type as its note. It is shown when
/// there are no candidates for the value.
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
    let given = GivenCommand::new(context, '"', sources);
    let name = path.last()?;
    let note = match given.resolve(&path) {
        Some(of) => sources.schema?.describe(of),
        None => {
            let properties = (sources.ask)(&Question::DeviceProperties(given.driver()?));
            properties.into_iter().find(|p| p.value == *name)?.note
        }
    };
    Some(Candidate::new(format!("{}=", path.join(".")), "", note))
}
