//! `:hmp`.

use super::entry::{Builtin, Call, Effect, Part};
use crate::dialect::hmp;
use crate::failure::Failure;

pub(super) const HMP: Builtin = Builtin {
    name: "hmp",
    forms: &[&[Part::HmpLine]],
    summary: "run a line of the human monitor (HMP)",
    help: "LINE is sent as it is, but for an `&` at its end. `cpu N` selects the CPU for the lines after it.\n\
           With -H, every line is one.",
    run: |call| Box::pin(async move { hmp(call) }),
};

fn hmp(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = &call.line.words;
    let text = words.foreign_text();
    let text = text.map_err(|error| Failure::syntax_of(error, words))?;
    let (text, background) = match text.strip_suffix('&') {
        Some(before) if before.ends_with(char::is_whitespace) => (before, true),
        _ => (&*text, false),
    };
    if text.trim().is_empty() {
        return Err(call.usage());
    }
    let mut line = hmp::line(text, call.context.target.memory.cpu());
    line.background = background;
    Ok(Effect::Send(line))
}
