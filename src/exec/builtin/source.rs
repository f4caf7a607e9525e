//! `:source`: runs the lines of a file.

use std::path::Path;

use super::checker::Checker;
use super::entry::{Builtin, Call, Effect, Part};
use crate::context::{Context, Output, SourcedLine, read_lines};
use crate::exec::check_filter;
use crate::failure::Failure;

pub(super) const SOURCE: Builtin = Builtin {
    name: "source",
    forms: &[&[Part::File]],
    summary: "run the lines of FILE, up to the first that fails",
    help: "The file is checked whole before its first line is run, and so are those that it sources itself. Variables,\n\
           aliases and settings that it sets stay.",
    run: |call| Box::pin(source(call)),
};

async fn source(call: &Call<'_>) -> Result<Effect, Failure> {
    match &call.args()?[..] {
        [path] => {
            let lines = lines(call.table, call.context, Path::new(path)).await?;
            Ok(Output::Source(lines).into())
        }
        _ => Err(call.usage()),
    }
}

/// The lines of a file, checked whole. Their built-ins are those of `table`.
///
/// # Errors
///
/// The file cannot be read, or some of its lines are wrong.
pub(super) async fn lines(
    table: &'static [Builtin],
    context: &Context,
    path: &Path,
) -> Result<Vec<SourcedLine>, Failure> {
    let lines = read_lines(path, &context.target.language())?;
    let known = context.target.inspector().known_schema();
    let mut checker = Checker::new(table, context, known.as_deref());
    checker.all(&lines)?;
    for (filter, variables) in checker.take_filters() {
        check_filter(context, &filter, &variables).await?;
    }
    if known.is_none()
        && checker.is_about_events()
        && let Some(schema) = context.schema().await
    {
        Checker::new(table, context, Some(&schema)).all(&lines)?;
    }
    Ok(lines)
}
