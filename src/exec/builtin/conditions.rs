//! Conditions on events, which `:wait`, `:on` and `:events` take.

use crate::context::Context;
use crate::failure::Failure;
use crate::lang::{ANY_EVENT, Match, Words};
use crate::qmp::Filter;
use crate::schema::Schema;

/// Reads `[NAME[,NAME…]] [KEY=VALUE | KEY]…`.
///
/// # Errors
///
/// The words do not have this form.
pub(super) fn read(words: &Words) -> Result<Match, Failure> {
    Match::read(words).map_err(|error| Failure::syntax_of(error, words))
}

/// Reads the same where a name is required.
///
/// # Errors
///
/// The words do not have this form; `usage` is the failure if there is no name.
pub(super) fn read_named(words: &Words, usage: Failure) -> Result<Match, Failure> {
    let mut wanted = read(words)?;
    if wanted.names.is_empty() {
        // A first word in lower case is a misspelt name, which the schema will tell.
        let first = words.first().unwrap_or_default();
        if wanted.keys.first().is_none_or(|key| key != first) {
            return Err(usage);
        }
        let names = wanted.keys.remove(0);
        wanted.names = names.split(',').map(str::to_owned).collect();
    }
    Ok(wanted)
}

/// Removes an option and its value from `words`.
///
/// # Errors
///
/// The value is missing.
pub(super) fn take_option(words: &mut Words, name: &str) -> Result<Option<String>, Failure> {
    let taken = words.take_option(name);
    taken.map_err(|error| Failure::syntax_of(error, words))
}

/// Checks conditions against the server's schema, and types their bare words.
///
/// # Errors
///
/// No event can fulfil one of them.
pub(super) async fn check(
    context: &Context,
    wanted: impl IntoIterator<Item = &mut Match>,
) -> Result<(), Failure> {
    match context.schema().await {
        Some(schema) => check_against(&schema, wanted),
        None => Ok(()),
    }
}

/// The same against this schema.
///
/// # Errors
///
/// No event can fulfil one of them.
pub(super) fn check_against<'a>(
    schema: &Schema,
    wanted: impl IntoIterator<Item = &'a mut Match>,
) -> Result<(), Failure> {
    let mut wanted = wanted.into_iter();
    let checked = wanted.try_for_each(|wanted| schema.check_match(wanted));
    checked.map_err(Failure::Usage)
}

/// Selects the events that fulfil one of these conditions.
pub(super) fn filter(alternatives: Vec<Match>) -> Filter {
    let is_open = |wanted: &Match| {
        wanted.names.is_empty() || wanted.names.iter().any(|name| name == ANY_EVENT)
    };
    let names = match alternatives.iter().any(is_open) {
        true => Vec::new(),
        false => {
            let names = alternatives.iter().flat_map(|wanted| &wanted.names);
            names.cloned().collect()
        }
    };
    Filter {
        names,
        matches: Some(Box::new(move |event| {
            let mut all = alternatives.iter();
            all.any(|wanted| wanted.takes(event.name(), event.data()))
        })),
    }
}
