use std::path::Path;

use super::check::Check;
use super::checker::Checker;
use super::entry::{Builtin, Call, Effect, RunLine, unknown};
use super::{agent, copy, hmp};
use super::{
    aliases, connection, console, events, finish, general, has, help, jobs, keyboard, last,
    listeners, monitor, recipe, screen, serve, settings, source, timers, tree, until, variables,
    vm, wait, watch,
};
use crate::context::{Context, Output, SourcedLine};
use crate::failure::Failure;
use crate::lang::{BuiltinLine, FilterText, Language, Line};
use crate::schema::Schema;

/// Every built-in, in the order in which help lists them.
pub const BUILTINS: &[Builtin] = &[
    help::HELP,
    has::HAS,
    recipe::RECIPE,
    connection::STATUS,
    connection::CONNECT,
    connection::DISCONNECT,
    connection::OOB,
    serve::SERVE,
    serve::UNSERVE,
    monitor::MONITOR,
    hmp::HMP,
    agent::EXEC,
    copy::GET,
    copy::PUT,
    events::EVENTS,
    wait::WAIT,
    until::UNTIL,
    finish::FINISH,
    jobs::JOBS,
    jobs::JOB,
    tree::TREE,
    listeners::ON,
    listeners::OFF,
    timers::EVERY,
    watch::WATCH,
    timers::AFTER,
    timers::TIMERS,
    timers::TIMER,
    timers::CANCEL,
    last::LAST,
    last::ASSERT,
    last::TIME,
    variables::LET,
    aliases::ALIAS,
    aliases::UNALIAS,
    source::SOURCE,
    screen::SCREEN,
    keyboard::KEY,
    keyboard::TYPE,
    vm::VM,
    console::CONSOLE,
    console::EXPECT,
    console::SEND,
    settings::SET,
    general::UNDO,
    general::FAIL,
    general::QUIT,
    general::EXIT,
];

/// The built-ins that a dry run runs. The others have an effect, and are only checked.
const DRY: [&str; 14] = [
    "help", "recipe", "oob", "finish", "job", "time", "let", "set", "fail", "quit", "exit",
    "alias", "unalias", "source",
];

/// Finds a built-in by its name, given with or without the colon.
pub fn find(name: &str) -> Option<&'static Builtin> {
    super::entry::find(BUILTINS, name)
}

/// Whether what follows the words of this built-in belongs to the line in it.
pub fn takes_tail(name: &str) -> bool {
    find(name).is_some_and(Builtin::holds_line)
}

/// Whether the filter after the words of this built-in is a condition.
pub fn takes_filter(name: &str) -> bool {
    find(name).is_some_and(Builtin::takes_filter)
}

/// Whether all that follows the name of this built-in is a filter.
pub fn is_filter(name: &str) -> bool {
    find(name).is_some_and(Builtin::is_filter)
}

/// The filter of a line, and whether it may name the event for which the line in it runs.
pub fn filter_of(line: &Line) -> Option<(FilterText, bool)> {
    super::entry::filter_of(BUILTINS, line)
}

/// Checks a line that calls a built-in, without running it. Conditions on events are checked against `schema`.
///
/// # Errors
///
/// There is no built-in of that name, or its arguments are wrong.
pub fn check(
    line: &BuiltinLine,
    language: Language,
    schema: Option<&Schema>,
) -> Result<(), Failure> {
    let check = Check {
        table: BUILTINS,
        language,
        schema,
    };
    check.line(line)
}

/// Checks lines that are to run in `context`, one after another. Conditions on events are checked against `schema`.
pub fn checker<'a>(context: &Context, schema: Option<&'a Schema>) -> Checker<'a> {
    Checker::new(BUILTINS, context, schema)
}

/// The lines of a file, checked whole, to run in `context`.
///
/// # Errors
///
/// The file cannot be read, or some of its lines are wrong.
pub async fn sourced(context: &Context, path: &Path) -> Result<Vec<SourcedLine>, Failure> {
    super::source::lines(BUILTINS, context, path).await
}

/// Runs the built-in that `line` calls. `run_line` runs the line that is part of it, if there is one.
///
/// # Errors
///
/// There is no built-in of that name, its arguments are wrong, or it fails.
pub async fn run(
    context: &Context,
    line: &BuiltinLine,
    run_line: RunLine,
) -> Result<Effect, Failure> {
    let Some(builtin) = find(&line.name) else {
        return Err(unknown(BUILTINS, &line.name));
    };
    let dry_run = context.settings_mut().dry_run;
    let schema = match dry_run && line.is_about_events() {
        true => context.schema().await,
        false => None,
    };
    check(line, context.target.language(), schema.as_deref())?;
    let waits = line.name == "job" && line.words.first() == Some("wait");
    if dry_run && (waits || !DRY.contains(&builtin.name)) {
        return Ok(Output::nothing().into());
    }
    let call = Call {
        context,
        line,
        builtin,
        table: BUILTINS,
        run_line,
    };
    (builtin.run)(&call).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_is_found_by_its_name_with_and_without_the_colon() {
        for builtin in BUILTINS {
            for name in [builtin.name.to_owned(), format!(":{}", builtin.name)] {
                let found = find(&name).expect("it is in the table");
                assert_eq!(found.name, builtin.name);
            }
            assert!(!builtin.summary.ends_with('.'), ":{}", builtin.name);
        }
    }
}
