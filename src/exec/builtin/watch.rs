//! `:watch`: a line that is run again and again, shown in place.

use std::time::Duration;

use super::entry::{Builtin, Call, Effect, Part, time};
use crate::context::{Output, Watch};
use crate::failure::Failure;
use crate::lang::conceal;

/// How often the line is run by default.
const INTERVAL: Duration = Duration::from_secs(1);

/// The line is run no more often than this.
const SHORTEST: Duration = Duration::from_millis(50);

pub(super) const WATCH: Builtin = Builtin {
    name: "watch",
    forms: &[&[Part::Optional(&[Part::Time]), Part::Line]],
    summary: "run a line every second, or every TIME, and show its value in place; q and Ctrl-C leave",
    help: "What has changed since the last time is marked. Numbers that grow are shown as what they grow by per\n\
           second, with a line that draws the last ten rates. Lists of objects are tables whose first columns are the\n\
           names and what has changed. The last values stay on the screen.",
    run: |call| Box::pin(async move { watch(call) }),
};

fn watch(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = &call.line.words;
    let first = call.args()?.first().and_then(|first| time(first).ok());
    let (interval, words) = match first {
        Some(interval) => (interval, words.tail()),
        None => (INTERVAL, words.clone()),
    };
    if words.is_empty() {
        return Err(call.usage());
    }
    let line = call.inner_line(&words)?;
    Ok(Output::Watch(Watch {
        line,
        text: conceal(words.text()).into_owned(),
        interval: interval.max(SHORTEST),
    })
    .into())
}
