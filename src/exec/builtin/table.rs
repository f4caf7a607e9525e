use super::entry::{Builtin, Call, Effect, unknown};
use super::hmp;
use super::{
    connection, console, events, finish, general, help, jobs, listeners, monitor, serve, settings,
    timers, tree, variables, vm, wait, watch,
};
use crate::context::Context;
use crate::failure::Failure;
use crate::lang::BuiltinLine;

/// Every built-in, in the order in which help lists them.
pub const BUILTINS: &[Builtin] = &[
    help::HELP,
    connection::STATUS,
    connection::CONNECT,
    connection::DISCONNECT,
    connection::OOB,
    serve::SERVE,
    serve::UNSERVE,
    monitor::MONITOR,
    hmp::HMP,
    events::EVENTS,
    wait::WAIT,
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
    variables::LET,
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

/// The built-ins that a dry run refuses: they need a connection, or time to pass.
const NOT_DRY: [&str; 6] = ["connect", "after", "every", "serve", "unserve", "monitor"];

/// Finds a built-in by its name, given with or without the colon.
pub fn find(name: &str) -> Option<&'static Builtin> {
    super::entry::find(BUILTINS, name)
}

/// Runs the built-in that `line` calls.
///
/// # Errors
///
/// There is no built-in of that name, its arguments are wrong, or it fails.
pub async fn run(context: &Context, line: &BuiltinLine) -> Result<Effect, Failure> {
    let Some(builtin) = find(&line.name) else {
        return Err(unknown(BUILTINS, &line.name));
    };
    if context.settings_mut().dry_run && NOT_DRY.contains(&builtin.name) {
        let why = format!("`:{}` has no effect in a dry run", builtin.name);
        return Err(Failure::Usage(why));
    }
    let call = Call {
        context,
        line,
        builtin,
        table: BUILTINS,
    };
    if builtin.takes_nothing() && !call.args()?.is_empty() {
        return Err(call.usage());
    }
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
