//! `:events` and `:wait`.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{Local, NaiveTime};
use tokio::time::sleep;

use super::entry::{Builtin, Call, Effect, Part, take_option, time};
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::lang::{self, Words, matches};
use crate::qmp::{Event, Filter, HISTORY, State};
use crate::schema::Schema;

/// How long `:wait` waits before it checks whether the server has such an event at all.
const DOUBT: Duration = Duration::from_secs(1);

pub(super) const EVENTS: Builtin = Builtin {
    name: "events",
    forms: &[
        &[
            Part::Optional(&[Part::Events]),
            Part::Match,
            Part::Flag("--since", "TIME"),
        ],
        &[
            Part::Word(&["mute", "unmute"]),
            Part::Optional(&[Part::Events]),
        ],
        &[Part::Word(&["clear"])],
    ],
    summary: "show past events, or choose which events are shown as they arrive",
    help: "KEY=VALUE selects events whose data contains it. TIME is how long ago (30s, 5m, 1h) or a time of\n\
           day (9:30, 9:30:15). The history keeps the last 10,000 events, fewer if they are large.\n\
           Muted events are kept there too. `:events mute` without names lists the muted events.",
    run: |call| Box::pin(async move { events(call) }),
};

pub(super) const WAIT: Builtin = Builtin {
    name: "wait",
    forms: &[&[Part::Events, Part::Match, Part::Flag("--timeout", "SECS")]],
    summary: "wait for an event, and print it",
    help: "NAME is an event; `*` is any event. KEY=VALUE selects events whose data contains it.\n\
           Events that arrived since the last command that changes something was sent count too, so that none\n\
           is missed: a query between a command and `:wait` makes no difference. Each event ends one wait.",
    run: |call| Box::pin(wait(call)),
};

/// The events that a line asks for.
pub(super) struct Wanted {
    /// Their names as given; `*` is any event.
    pub names: Vec<String>,
    pub filter: Filter,
    /// How long to wait for one.
    pub limit: Option<Duration>,
}

/// Parses `NAME[,NAME…] [KEY=VALUE…] [--timeout SECS]`.
///
/// # Errors
///
/// The words do not have this form, or the server is known not to have one of the events.
pub(super) fn wanted(call: &Call<'_>, words: &Words) -> Result<Wanted, Failure> {
    let (mut plain, data) = conditions(words)?;
    let limit = take_option(&mut plain, "--timeout")?;
    let limit = limit.map(|limit| time(&limit)).transpose()?;
    let names = names(&plain)?;
    if names.is_empty() {
        return Err(call.usage());
    }
    // If the schema is known already, refuse events that cannot come.
    if let Some(schema) = call.context.target.inspector().known_schema()
        && let Some(failure) = unknown(&names, &schema)
    {
        return Err(failure);
    }
    Ok(Wanted {
        names: names.clone(),
        filter: filter(names, data),
        limit,
    })
}

/// The failure if the server does not have one of these events.
fn unknown(names: &[String], schema: &Schema) -> Option<Failure> {
    let mut names = names.iter();
    let unknown = names.find(|name| *name != "*" && schema.event(name).is_none())?;
    let why = format!("this server has no event `{unknown}`");
    Some(Failure::Usage(why))
}

fn conditions(words: &Words) -> Result<(Vec<String>, lang::Object), Failure> {
    let conditions = words.conditions();
    conditions.map_err(|error| Failure::syntax_of(error, words))
}

/// Selects events with one of these names (`*` is any) whose data contains `data`.
fn filter(names: Vec<String>, data: lang::Object) -> Filter {
    Filter {
        names: match names.iter().any(|name| name == "*") {
            true => Vec::new(),
            false => names,
        },
        matches: match data.is_empty() {
            true => None,
            false => Some(Box::new(move |event| matches(&data, event.data()))),
        },
    }
}

/// Splits words like `STOP,RESUME` into names.
fn names(words: &[String]) -> Result<Vec<String>, Failure> {
    let names = words.iter().flat_map(|word| word.split(','));
    let names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    match names.iter().find(|name| name.starts_with(['-', '&'])) {
        Some(word) if word == "&" => Err(Failure::Usage(
            "a built-in cannot run in the background; leave out the `&`".to_owned(),
        )),
        Some(option) => Err(Failure::Usage(format!("unknown option `{option}`"))),
        None => Ok(names),
    }
}

async fn wait(call: &Call<'_>) -> Result<Effect, Failure> {
    let wanted = wanted(call, &call.line.words)?;
    let target = &call.context.target;
    let event = target.session.hub().wait(wanted.filter, target.wait_from());
    let limit = async {
        match wanted.limit {
            Some(limit) => {
                sleep(limit).await;
                limit
            }
            None => pending().await,
        }
    };
    tokio::select! {
        biased;
        event = event => Ok(Output::Event(event).into()),
        state = no_connection(call.context) => Err(Failure::not_connected(&state)),
        limit = limit => Err(Failure::NoEvent { what: wanted.names.join(","), limit }),
        failure = in_vain(call.context, &wanted.names) => Err(failure),
    }
}

/// Resolves, after a while, if one of these events can never come. It does not query the server at once: most
/// events arrive before the server could answer.
async fn in_vain(context: &Context, names: &[String]) -> Failure {
    sleep(DOUBT).await;
    if let Some(schema) = context.schema().await
        && let Some(failure) = unknown(names, &schema)
    {
        return failure;
    }
    pending().await
}

/// Resolves when there is no connection and no attempt to connect.
pub(super) async fn no_connection(context: &Context) -> State {
    let mut states = context.target.session.watch();
    let idle = states
        .wait_for(|state| matches!(state, State::Idle(_)))
        .await;
    idle.map_or(State::Idle(None), |state| state.clone())
}

fn events(call: &Call<'_>) -> Result<Effect, Failure> {
    let (mut plain, data) = conditions(&call.line.words)?;
    let hub = call.context.target.session.hub();
    match plain.first().map(String::as_str) {
        Some("clear") if plain.len() == 1 && data.is_empty() => {
            hub.clear();
            return Ok(Output::nothing().into());
        }
        Some(verb @ ("mute" | "unmute")) if data.is_empty() => {
            let names = names(&plain[1..])?;
            return mute(call, verb == "mute", names);
        }
        _ => {}
    }
    let since = take_option(&mut plain, "--since")?;
    let since = since.map(|text| moment(&text)).transpose()?;
    let filter = filter(names(&plain)?, data);
    let style = call.context.settings().style;
    let text = hub
        .history()
        .iter()
        .filter(|event| filter.takes(event) && since.is_none_or(|since| is_after(event, since)))
        .map(|event| style.event(event))
        .collect();
    let notice = match hub.evicted() {
        0 => String::new(),
        evicted => {
            format!("{evicted} older events were dropped: the history keeps at most {HISTORY}")
        }
    };
    Ok(Output::Text { text, notice }.into())
}

fn mute(call: &Call<'_>, mute: bool, names: Vec<String>) -> Result<Effect, Failure> {
    let mut settings = call.context.settings_mut();
    let muted = Arc::make_mut(&mut settings.muted);
    match (mute, names.is_empty()) {
        (true, false) => muted.extend(names),
        (false, false) => muted.retain(|name| !names.contains(name)),
        (true, true) => {
            let lines = muted.iter().map(|name| format!("{name}\n"));
            return Ok(Output::text(lines.collect::<String>()).into());
        }
        (false, true) => return Err(call.usage()),
    }
    Ok(Output::nothing().into())
}

/// A point in time, in seconds since 1970, given as a duration before now, or as a time of day in the last 24
/// hours.
fn moment(text: &str) -> Result<f64, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs_f64();
    let formats = ["%H:%M:%S%.f", "%H:%M"];
    let clock = formats
        .iter()
        .find_map(|format| NaiveTime::parse_from_str(text, format).ok());
    match clock {
        Some(clock) => {
            let ago = (Local::now().time() - clock).as_seconds_f64();
            Ok(now - ago.rem_euclid(24.0 * 3600.0))
        }
        None => Ok(now - time(text)?.as_secs_f64()),
    }
}

fn is_after(event: &Event, since: f64) -> bool {
    let (seconds, microseconds) = event.timestamp;
    seconds as f64 + microseconds as f64 / 1e6 >= since
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_removed_with_its_value() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut plain = words("A --timeout 5 B");
        let taken = take_option(&mut plain, "--timeout").expect("it has a value");
        assert_eq!((taken.as_deref(), plain), (Some("5"), words("A B")));
        let mut plain = words("--timeout=5");
        let taken = take_option(&mut plain, "--timeout").expect("it has a value");
        assert_eq!(taken.as_deref(), Some("5"));
        assert!(take_option(&mut words("A --timeout"), "--timeout").is_err());
        assert!(names(&words("A --nope")).is_err());
    }

    #[test]
    fn moments_are_in_the_past() {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("now")
            .as_secs_f64();
        for text in ["5m", "0", "23:59", "00:00:01"] {
            let at = moment(text).expect(text);
            assert!(at <= now + 1.0 && at > now - 25.0 * 3600.0, "{text}: {at}");
        }
        assert!(moment("25:00").is_err());
    }
}
