//! `:events`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{Local, NaiveTime};
use serde_json::json;

use super::conditions::{filter, read, take_option};
use super::entry::{Builtin, Call, Effect, Part, time};
use crate::config;
use crate::context::Output;
use crate::failure::Failure;
use crate::qmp::{Event, HISTORY};

pub(super) const EVENTS: Builtin = Builtin {
    name: "events",
    forms: &[
        &[
            Part::Optional(&[Part::Events]),
            Part::Match,
            Part::Flag("--since", "TIME"),
            Part::Flag("-f", ""),
        ],
        &[
            Part::Word(&["mute", "unmute"]),
            Part::Optional(&[Part::Events]),
        ],
        &[Part::Word(&["clear"])],
    ],
    summary: "show past events, or those that come, or choose which are shown as they arrive",
    help: "KEY=VALUE selects events whose data contains it. TIME is how long ago (30s, 5m, 1h) or a time of\n\
           day (9:30, 9:30:15). The history keeps the last 10,000 events, fewer if they are large.\n\
           Muted events are kept there too. `:events mute` without names lists the muted events.\n\
           -f shows events from now on, until it is stopped or the connection ends; in scripts, too.",
    run: |call| Box::pin(async move { events(call) }),
};

fn events(call: &Call<'_>) -> Result<Effect, Failure> {
    let hub = call.context.target.session.hub();
    let mut words = call.line.words.clone();
    match words.first() {
        Some("clear") if words.tail().is_empty() => {
            hub.clear();
            return Ok(Output::nothing().into());
        }
        Some(verb @ ("mute" | "unmute")) => {
            let names = read(&words.tail())?;
            if !names.data.is_empty() || !names.keys.is_empty() {
                return Err(call.usage());
            }
            return mute(call, verb == "mute", names.names);
        }
        _ => {}
    }
    let follow = words.take_flag("-f");
    let since = take_option(&mut words, "--since")?;
    let since = since.map(|text| moment(&text)).transpose()?;
    let filter = filter(vec![read(&words)?]);
    if follow && since.is_some() {
        return Err(call.usage());
    }
    if follow {
        return Ok(Output::Events(hub.listen(filter, HISTORY)).into());
    }
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
            let lines: String = muted.iter().map(|name| format!("{name}\n")).collect();
            return Ok(Output::list(lines, &json!(*muted)).into());
        }
        (false, true) => return Err(call.usage()),
    }
    settings.prompt.changed.insert(config::MUTE);
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
