//! `:every`, `:after`, `:timers`, `:timer` and `:cancel`: lines that run at intervals or later.

use serde_json::{Value, json};
use tokio::sync::watch;

use super::entry::{Builtin, Call, Effect, Part, time};
use crate::context::{Kind, Output, Pace, Row, Trigger};
use crate::failure::Failure;
use crate::lang::conceal;
use crate::render::table;

pub(super) const EVERY: Builtin = Builtin {
    name: "every",
    forms: &[&[Part::Time, Part::Line]],
    summary: "run a line now and then at every interval, until :cancel",
    help: "TIME is a number of seconds, or has a unit: 500ms, 2s, 1m, 1h. 0 runs LINE as fast as replies arrive.\n\
           If LINE takes longer than TIME, the runs that were missed are skipped.\n\
           Without a connection, commands wait for one. A script does not wait for it, but says at its end what was \
           still to come.",
    run: |call| Box::pin(async move { timer(call, false) }),
};

pub(super) const AFTER: Builtin = Builtin {
    name: "after",
    forms: &[&[Part::Time, Part::Line]],
    summary: "run a line once, after TIME",
    help: "TIME is as for :every. A script does not end before the line has run.",
    run: |call| Box::pin(async move { timer(call, true) }),
};

pub(super) const TIMERS: Builtin = Builtin {
    name: "timers",
    forms: &[&[]],
    summary: "list the timers",
    help: "",
    run: |call| Box::pin(async { Ok(list(call).into()) }),
};

pub(super) const TIMER: Builtin = Builtin {
    name: "timer",
    forms: &[
        &[Part::Timer, Part::Time],
        &[Part::Timer, Part::Word(&["on", "off"])],
    ],
    summary: "change the interval of a timer, or pause it",
    help: "The new interval counts from the last run. off pauses the timer; on lets it run again, for the first time\n\
           after an interval.",
    run: |call| Box::pin(async move { change(call) }),
};

pub(super) const CANCEL: Builtin = Builtin {
    name: "cancel",
    forms: &[&[Part::Timer]],
    summary: "remove a timer",
    help: "",
    run: |call| Box::pin(async move { cancel(call) }),
};

fn timer(call: &Call<'_>, once: bool) -> Result<Effect, Failure> {
    let (Some(length), words) = (call.args()?.first().cloned(), call.line.words.tail()) else {
        return Err(call.usage());
    };
    if words.is_empty() {
        return Err(call.usage());
    }
    let interval = time(&length)?;
    let (sender, pace) = watch::channel(Pace {
        interval,
        paused: false,
    });
    let line = call.inner_line(&words)?;
    let kind = Kind::Timer { pace: sender, once };
    let trigger = Trigger::Time { pace, once };
    let id = call
        .context
        .agenda
        .add(kind, trigger, line, &conceal(words.text()));
    Ok(Output::notice(format!("timer {id}")).into())
}

fn list(call: &Call<'_>) -> Output {
    let timers = call.context.agenda.list(Kind::schedule);
    listed("TIMER", &timers)
}

/// Entries of the agenda: as a table, which is empty if there are none, and as JSON.
pub(super) fn listed(title: &str, rows: &[Row]) -> Output {
    let json = rows.iter().map(|row| {
        json!({
            "id": row.id,
            "when": row.when,
            "runs": row.runs,
            "line": row.line,
        })
    });
    let json: Value = json.collect();
    if rows.is_empty() {
        return Output::list("", &json);
    }
    let mut cells = vec![["ID", title, "RUNS", "LINE"].map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| {
        vec![
            row.id.to_string(),
            row.when.clone(),
            row.runs.to_string(),
            row.line.clone(),
        ]
    }));
    Output::list(table(&cells), &json)
}

fn change(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let [id, word] = &args[..] else {
        return Err(call.usage());
    };
    let agenda = &call.context.agenda;
    let paused = match &**word {
        "on" => Some(false),
        "off" => Some(true),
        _ => None,
    };
    let interval = match paused {
        None => Some(time(word)?),
        Some(_) => None,
    };
    let change = |pace: &mut Pace| {
        pace.paused = paused.unwrap_or(pace.paused);
        pace.interval = interval.unwrap_or(pace.interval);
    };
    match id.parse() {
        Ok(number) if agenda.change(number, change) => Ok(Output::nothing().into()),
        _ => Err(no_timer(id)),
    }
}

fn cancel(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let [id] = &args[..] else {
        return Err(call.usage());
    };
    let is_timer = |kind: &Kind| matches!(kind, Kind::Timer { .. });
    match id.parse() {
        Ok(number) if call.context.agenda.remove(number, is_timer) => Ok(Output::nothing().into()),
        _ => Err(no_timer(id)),
    }
}

fn no_timer(id: &str) -> Failure {
    Failure::Usage(format!(
        "there is no timer {id}; `:timers` lists the timers"
    ))
}
