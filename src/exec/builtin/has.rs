//! `:has`.

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::Output;
use crate::failure::Failure;
use crate::qmp::State;

pub(super) const HAS: Builtin = Builtin {
    name: "has",
    forms: &[&[Part::Ability]],
    summary: "tell whether this QEMU has a command, with these arguments and features",
    help: "ARGUMENT is a key of the command, such as `file.filename`, and ARGUMENT=VALUE also a value that it can have.\n\
           FEATURE is one that the schema names, such as `deprecated`, of the command or of one of those arguments.\n\
           Scripts print nothing: exit status 0 is yes, and 1 is no, which ends a script like any failure.",
    run: |call| Box::pin(has(call)),
};

async fn has(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = call.args()?;
    let Some((command, rest)) = words.split_first() else {
        return Err(call.usage());
    };
    let context = call.context;
    if let Some(schema) = context.schema().await {
        return match schema.lacks(command, rest) {
            None => Ok(Output::Remark("yes".to_owned()).into()),
            Some(lacking) if lacking == command => Err(no_command(command)),
            Some(lacking) => Err(Failure::Lacks(format!(
                "no: `{command}` does not have `{lacking}`"
            ))),
        };
    }
    let state = context.target.session.state();
    if !matches!(state, State::Running(_)) {
        return Err(Failure::not_connected(&state));
    }
    match context.commands().await.contains(command) {
        false => Err(no_command(command)),
        true if rest.is_empty() => Ok(Output::Remark("yes".to_owned()).into()),
        true => Err(Failure::Usage(
            "this server does not say what arguments and features its commands have".to_owned(),
        )),
    }
}

fn no_command(name: &str) -> Failure {
    Failure::Lacks(format!("no: there is no command `{name}`"))
}
