//! `:on` and `:off`: lines that run when events arrive.

use super::conditions::{check, filter, read_named};
use super::entry::{Builtin, Call, Effect, Part};
use super::timers::listed;
use crate::context::{EVENT, Kind, Output, Trigger};
use crate::failure::Failure;
use crate::lang::conceal;
use crate::qmp::HISTORY;

pub(super) const ON: Builtin = Builtin {
    name: "on",
    forms: &[
        &[],
        &[
            Part::Flag("--once", ""),
            Part::Events,
            Part::Match,
            Part::Word(&["do"]),
            Part::Line,
        ],
    ],
    summary: "run a line whenever an event arrives; without arguments, list the listeners",
    help: "NAME is an event, `*` any event, `connected` or `disconnected` a change of the connection.\n\
           KEY=VALUE selects events whose data contains it, KEY alone those that have the key at all;\n\
           status=completed|failed is either value. LINE is a command or a built-in, in which $event is the event:\n\
           `job-dismiss id=${event.data.id}`. It runs once per event, one at a time, until `:off`; with --once, only\n\
           for the first.",
    run: |call| Box::pin(on(call)),
};

pub(super) const OFF: Builtin = Builtin {
    name: "off",
    forms: &[&[Part::Listener]],
    summary: "remove a listener added with :on",
    help: "",
    run: |call| Box::pin(async move { off(call) }),
};

async fn on(call: &Call<'_>) -> Result<Effect, Failure> {
    let agenda = &call.context.agenda;
    if call.line.words.is_empty() {
        let listeners = agenda.list(|kind| match kind {
            Kind::Listener(condition) => Some(condition.clone()),
            Kind::Timer { .. } => None,
        });
        return Ok(listed("ON", &listeners).into());
    }
    let Some((mut condition, words)) = call.line.words.split_at("do") else {
        return Err(call.usage());
    };
    let once = condition.take_flag("--once");
    let mut wanted = read_named(&condition, call.usage())?;
    if words.is_empty() {
        return Err(call.usage());
    }
    let line = call.inner_line(&words.clone().assuming(EVENT))?;
    check(call.context, [&mut wanted]).await?;
    // Listen from now on, so that no event is missed before the task that runs the line starts.
    let events = call
        .context
        .target
        .session
        .hub()
        .listen(filter(vec![wanted]), HISTORY);
    let kind = Kind::Listener(conceal(condition.text()).into_owned());
    let id = agenda.add(
        kind,
        Trigger::Events { events, once },
        line,
        &conceal(words.text()),
    );
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
            "there is no listener {id}; `:on` lists the listeners"
        ))),
    }
}
