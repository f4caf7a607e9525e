//! `:last`, `:assert` and `:time`.

use std::time::Instant;

use super::entry::{Builtin, Call, Effect, Part};
use crate::context::Output;
use crate::exec::holds;
use crate::failure::Failure;
use crate::lang::conceal;
use crate::qmp::Notice;
use crate::render::compact;

pub(super) const LAST: Builtin = Builtin {
    name: "last",
    forms: &[&[]],
    summary: "show the last value again, without asking for it",
    help: "That is what the last command returned, before any filter, or the event that :wait waited for, or what :expect\n\
           found. `:last | FILTER` filters it anew.",
    run: |call| Box::pin(async move { last(call) }),
};

pub(super) const ASSERT: Builtin = Builtin {
    name: "assert",
    forms: &[&[Part::Filter]],
    summary: "fail unless a filter's output on the last value is true",
    help: "The whole rest of the line is FILTER, which runs on what :last shows. The output is true unless it is false,\n\
           null or missing; of several, the last one counts.",
    run: |call| Box::pin(assert(call)),
};

pub(super) const TIME: Builtin = Builtin {
    name: "time",
    forms: &[&[Part::Line]],
    summary: "run a line, and tell how long it took",
    help: "",
    run: |call| Box::pin(time(call)),
};

fn last(call: &Call<'_>) -> Result<Effect, Failure> {
    let value = call.context.last().ok_or_else(missing)?;
    let value = String::from_utf8_lossy(&value);
    Ok(Output::Values {
        lines: compact(&value).into_owned() + "\n",
        number: None,
    }
    .into())
}

fn missing() -> Failure {
    Failure::Failed("there is no value yet that :last could show".to_owned())
}

async fn assert(call: &Call<'_>) -> Result<Effect, Failure> {
    let filter = call.line.words.as_filter();
    let value = call.context.last().ok_or_else(missing)?;
    if holds(call.context, &filter, value.clone()).await? {
        return Ok(Output::nothing().into());
    }
    let value = String::from_utf8_lossy(&value);
    Err(Failure::Failed(format!(
        "`{}` is not true; the last value is {}",
        filter.text.trim(),
        compact(&value)
    )))
}

async fn time(call: &Call<'_>) -> Result<Effect, Failure> {
    let words = &call.line.words;
    let line = call.inner_line(words)?;
    let start = Instant::now();
    let outcome = call.run(line).await;
    let taken = start.elapsed();
    if !call.context.settings_mut().dry_run {
        let text = format!("`{}` took {taken:.3?}", conceal(words.text()));
        let notices = call.context.target.session.notice_sender();
        let _ = notices.send(Notice::Said(text));
    }
    Ok(Effect::Done(outcome))
}
