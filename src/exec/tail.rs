//! What becomes of what a line shows: it runs through a filter, into a file or to a program.

use std::sync::Arc;

use bytes::Bytes;

use super::program::in_background;
use super::{builtin, file};
use crate::context::{Context, EVENT, Outcome, Output, Piped};
use crate::failure::Failure;
use crate::filter::{Rejected, is_true};
use crate::lang::{FilterText, Line, Statement, Tail, Variables};
use crate::qmp::Notice;
use crate::render;

/// How much of a filter's input an error quotes, in bytes.
const QUOTED: usize = 4 << 10;

/// Does with what `line` shows what its tail says. Errors are not filtered.
pub async fn apply_tail(context: &Context, line: &Line, outcome: Outcome) -> Outcome {
    if let Some(value) = last(&outcome.output)
        && !line.background
    {
        context.set_last(value);
    }
    if let Some(seen) = &context.seen
        && let Some(name) = line.first_word()
        && let Some(value) = outcome.output.value()
        && outcome.failure.is_none()
    {
        seen.keep(&name, &value);
    }
    let settings = context.settings();
    let filter = match &line.tail.filter {
        Some(filter) => Some(filter),
        None if matches!(outcome.output, Output::Reply { .. }) => settings.filter.as_ref(),
        None => None,
    };
    if outcome.failure.is_some() || settings.dry_run {
        return outcome;
    }
    let outcome = match filter {
        Some(filter) => filtered(context, line, filter, outcome.output).await,
        None => outcome,
    };
    if outcome.failure.is_some() {
        return outcome;
    }
    let outcome = delivered(context, &line.tail, outcome.output).await;
    match line.background {
        true => in_background(outcome).await,
        false => outcome,
    }
}

/// Writes what a line shows to the file that its tail names, or gives it to the program.
async fn delivered(context: &Context, tail: &Tail, output: Output) -> Outcome {
    if tail.file.is_none() && tail.program.is_none() {
        return output.into();
    }
    let why = match &output {
        Output::Follow(_) | Output::Events(_) | Output::Console(_) | Output::Watch(_) => {
            "this runs until the user stops it, so `>` and `| !` cannot follow it"
        }
        Output::Picture(_) if tail.file.is_some() => "`:screen FILE.png` saves the picture",
        Output::Connected | Output::Quit(_) => "this shows nothing that could be written",
        _ => "",
    };
    if !why.is_empty() {
        return Failure::Usage(why.to_owned()).into();
    }
    let mut settings = context.settings();
    settings.style.color = false;
    // What a program prints may reach the terminal.
    settings.style.terminal &= tail.program.is_some();
    let text = settings.text(&output).map(render::line).unwrap_or_default();
    if let Output::Text { notice, .. } = output
        && !notice.is_empty()
    {
        let notices = context.target.session.notice_sender();
        let _ = notices.send(Notice::Said(notice));
    }
    match (&tail.file, &tail.program) {
        (Some(file), _) => match file::write(file, text).await {
            Ok(()) => Output::nothing().into(),
            Err(failure) => failure.into(),
        },
        (None, program) => Output::Piped(Piped {
            program: program.clone().unwrap_or_default(),
            text,
        })
        .into(),
    }
}

/// Checks the filter for every reply, if there is one.
///
/// # Errors
///
/// What is wrong with it, and where.
pub async fn check_settings(context: &Context) -> Result<(), Failure> {
    let filter = context.settings_mut().filter.clone();
    match filter {
        Some(filter) => check_filter(context, &filter, &context.variables()).await,
        None => Ok(()),
    }
}

/// Checks that the filter of a line can be run, if it has one.
///
/// # Errors
///
/// What is wrong with it, and where.
pub(super) async fn check_line(context: &Context, line: &Line) -> Result<(), Failure> {
    let Some((filter, of_event)) = builtin::filter_of(line) else {
        return Ok(());
    };
    let mut variables = context.variables();
    if of_event {
        Arc::make_mut(&mut variables).assume(EVENT);
    }
    check_filter(context, &filter, &variables).await
}

/// Checks that a filter can be run, which may name these variables.
///
/// # Errors
///
/// What is wrong with it, and where.
pub async fn check_filter(
    context: &Context,
    filter: &FilterText,
    variables: &Variables,
) -> Result<(), Failure> {
    let checked = context.filters.check(&filter.text, variables).await;
    checked.map_err(|rejected| failure(filter, rejected))
}

/// Whether a filter's output on `input`, a value as JSON, is true.
///
/// # Errors
///
/// It cannot be run, or fails.
pub async fn holds(context: &Context, filter: &FilterText, input: Bytes) -> Result<bool, Failure> {
    let outcome = run_filter(context, filter, input, None).await;
    match (outcome.failure, outcome.output) {
        (Some(failure), _) => Err(failure),
        (None, Output::Values { lines, .. }) => Ok(is_true(&lines)),
        (None, _) => Ok(false),
    }
}

fn failure(filter: &FilterText, Rejected { message, span }: Rejected) -> Failure {
    Failure::syntax(filter.error(message, span), &filter.source)
}

/// What `:last` is to show after this.
fn last(output: &Output) -> Option<Bytes> {
    match output {
        Output::Reply { reply, .. } if !reply.failed() => Some(reply.raw_bytes()),
        Output::Event(event) => Some(Bytes::copy_from_slice(event.text().as_bytes())),
        _ => None,
    }
}

/// Runs a filter on what `line` shows.
async fn filtered(context: &Context, line: &Line, filter: &FilterText, output: Output) -> Outcome {
    let input = match &output {
        Output::Reply { reply, id, .. } if context.settings_mut().envelope => {
            Some(render::envelope(reply.raw(), reply.failed(), id.as_deref()).into())
        }
        Output::Reply { reply, .. } => Some(reply.raw_bytes()),
        output => output
            .value()
            .map(|value| Bytes::copy_from_slice(value.as_bytes())),
    };
    let Some(input) = input else {
        let what = match &line.statement {
            Statement::Builtin(builtin) => format!("`:{}`", builtin.name),
            _ => "the line".to_owned(),
        };
        let why = format!("{what} shows text, not a value, so there is nothing to filter");
        return Failure::Usage(why).into();
    };
    run_filter(context, filter, input, output.next_message()).await
}

/// Runs a filter on `input`, a value as JSON. `number` is that of the message after the one that it comes from.
async fn run_filter(
    context: &Context,
    filter: &FilterText,
    input: Bytes,
    number: Option<u64>,
) -> Outcome {
    let variables = context.variables();
    let run = context.filters.run(&filter.text, &variables, input.clone());
    match run.await {
        Err(rejected) => failure(filter, rejected).into(),
        Ok(filtered) => Outcome {
            output: Output::Values {
                lines: filtered.lines,
                number,
            },
            failure: filtered.error.map(|error| Failure::Filter {
                filter: filter.text.trim().to_owned(),
                error,
                input: String::from_utf8_lossy(&input[..input.len().min(QUOTED)]).into_owned(),
            }),
        },
    }
}
