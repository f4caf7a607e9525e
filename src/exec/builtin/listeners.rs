//! `:on` and `:off`: lines that events run.

use super::entry::{Builtin, Call, Effect, Part};
use super::events::wanted;
use super::timers::rows;
use crate::context::{Kind, Output, Trigger};
use crate::failure::Failure;
use crate::lang::conceal;
use crate::qmp::HISTORY;

pub(super) const ON: Builtin = Builtin {
    name: "on",
    forms: &[
        &[],
        &[Part::Events, Part::Match, Part::Word(&["do"]), Part::Line],
    ],
    summary: "run a line whenever such an event comes; alone, list who listens",
    help: "NAME is an event, and `*` is any. KEY=VALUE is what its data must have among others.\n\
           LINE is a command or a built-in, run for one event after the other. `:off` ends it.",
    run: |call| Box::pin(async move { on(call) }),
};

pub(super) const OFF: Builtin = Builtin {
    name: "off",
    forms: &[&[Part::Name("ID")]],
    summary: "end a listener of :on",
    help: "",
    run: |call| Box::pin(async move { off(call) }),
};

fn on(call: &Call<'_>) -> Result<Effect, Failure> {
    let agenda = &call.context.agenda;
    if call.line.words.is_empty() {
        let listeners = agenda.list(|kind| match kind {
            Kind::Listener(condition) => Some(condition.clone()),
            Kind::Timer { .. } => None,
        });
        return Ok(Output::text(rows("ON", &listeners)).into());
    }
    let Some((condition, words)) = call.line.words.split_at("do") else {
        return Err(call.usage());
    };
    let wanted = wanted(call, &condition)?;
    if words.is_empty() || wanted.limit.is_some() {
        return Err(call.usage());
    }
    let line = call.inner_line(&words)?;
    // From now on: no event is missed until the line is run for the first.
    let events = call
        .context
        .target
        .session
        .hub()
        .listen(wanted.filter, HISTORY);
    let kind = Kind::Listener(conceal(condition.text()).into_owned());
    let id = agenda.add(kind, Trigger::Events(events), line, &conceal(words.text()));
    Ok(Output::notice(format!("listener {id}")).into())
}

fn off(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let [id] = &args[..] else {
        return Err(call.usage());
    };
    let is_listener = |kind: &Kind| matches!(kind, Kind::Listener(_));
    match id.parse() {
        Ok(number) if call.context.agenda.remove(number, is_listener) => {
            Ok(Output::nothing().into())
        }
        _ => Err(Failure::Usage(format!(
            "there is no listener {id}; `:on` lists them"
        ))),
    }
}
