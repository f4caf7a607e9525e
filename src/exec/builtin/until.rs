//! `:until`: a command that is sent again and again.

use std::time::Duration;

use tokio::time::sleep;

use super::conditions::take_option;
use super::entry::{Builtin, Call, Effect, Part, time};
use super::wait::{limit, within};
use crate::context::{Outcome, Output};
use crate::failure::Failure;
use crate::filter::is_true;
use crate::lang::conceal;
use crate::render::clip;

/// How long it is from one reply to the next command by default.
const EVERY: Duration = Duration::from_millis(500);

pub(super) const UNTIL: Builtin = Builtin {
    name: "until",
    forms: &[&[
        Part::Flag("--every", "SECS"),
        Part::Flag("--timeout", "SECS"),
        Part::Command,
        Part::Condition { required: true },
    ]],
    summary: "run a command again and again until the filter's output is true, and print that",
    help: "The output is true unless it is false, null or missing. There is half a second between a reply and the next\n\
           command. A command that fails ends it. Without --timeout, the limit for replies applies to the whole.",
    run: |call| Box::pin(until(call)),
};

async fn until(call: &Call<'_>) -> Result<Effect, Failure> {
    let mut words = call.line.words.clone();
    let limit = limit(call, &mut words)?;
    let every = match take_option(&mut words, "--every")? {
        Some(text) => time(&text)?,
        None => EVERY,
    };
    let mut line = call.inner_line(&words)?;
    // The file and the program are for what is printed at the end.
    line.tail.program = None;
    line.tail.file = None;
    if line.tail.filter.is_none() || line.command_name().is_none() {
        return Err(call.usage());
    }
    let mut lines = None;
    let asked = within(limit, async {
        loop {
            match call.run(line.clone()).await {
                Outcome {
                    failure: Some(failure),
                    ..
                } => return Err(failure),
                Outcome {
                    output: Output::Values { lines: values, .. },
                    ..
                } => {
                    let is_true = is_true(&values);
                    lines = Some(values);
                    if is_true {
                        return Ok(());
                    }
                }
                _ => return Err(call.usage()),
            }
            sleep(every).await;
        }
    });
    let asked = asked.await;
    let lines = lines.unwrap_or_default();
    match asked {
        Some(Ok(())) => Ok(Output::Values {
            lines,
            number: None,
        }
        .into()),
        Some(Err(failure)) => Err(failure),
        None => {
            let last = match lines.lines().next_back() {
                Some(last) => format!("its last output is {}", clip(last)),
                None => "it has no output".to_owned(),
            };
            let text = conceal(words.text());
            Err(Failure::NotInTime {
                what: format!("`{text}` has not become true, {last},"),
                limit: limit.unwrap_or_default(),
            })
        }
    }
}
