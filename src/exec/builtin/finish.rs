//! `:finish`.

use super::entry::{Builtin, Call, Effect, Part};
use super::wait::limit;
use crate::failure::Failure;

pub(super) const FINISH: Builtin = Builtin {
    name: "finish",
    forms: &[&[Part::Flag("--timeout", "SECS"), Part::Command]],
    summary: "run a command, and wait until what it set in motion is done",
    help: "Waits for jobs (until they have concluded, or wait for a command), also those of a transaction;\n\
           for device_del, migrate, dump-guest-memory detach=on, system_powerdown, system_reset, stop, cont, eject,\n\
           balloon, block-export-del; after quit until the process has ended. Fails if that failed, with exit status 1.\n\
           Shows the progress on a terminal. Without --timeout, the limit for replies applies to the whole.",
    run: |call| Box::pin(async move { finish(call) }),
};

fn finish(call: &Call<'_>) -> Result<Effect, Failure> {
    let mut words = call.line.words.clone();
    // What follows the command's name belongs to the command.
    let limit = match words.first() {
        Some(first) if first.starts_with("--timeout") => limit(call, &mut words)?,
        _ => call.context.settings_mut().timeout,
    };
    if words.is_empty() {
        return Err(call.usage());
    }
    let line = call.inner_line(&words)?;
    if line.background || line.command_name().is_none() {
        let why = "`:finish` runs a command, and waits for it: no built-in, and nothing with `&`";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(Effect::Finish { line, limit })
}
