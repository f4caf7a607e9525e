//! Checks the lines of `-e` and `-f` before the first of them is run.

use super::input::Input;
use crate::context::{Context, Origin};
use crate::exec::{builtin, check_filter};
use crate::failure::Failure;
use crate::schema::Schema;

/// What was found in the lines.
#[derive(Default)]
pub(super) struct Found {
    /// What is wrong, with the place of each line.
    pub wrong: Vec<(Failure, Origin)>,
    /// Some line has conditions on events, which only a schema can check.
    pub about_events: bool,
}

/// Checks all lines of `input`, as [`builtin::Checker`] does, and their filters. Runs nothing.
pub(super) async fn check(input: &mut Input, context: &Context, schema: Option<&Schema>) -> Found {
    let mut checker = builtin::checker(context, schema);
    let mut wrong = Vec::new();
    while let Some(item) = input.next().await {
        let mut checked = item.words.and_then(|words| checker.line(words));
        for (filter, variables) in checker.take_filters() {
            if checked.is_ok() {
                checked = check_filter(context, &filter, &variables).await;
            }
        }
        if let Err(failure) = checked {
            wrong.push((failure, item.origin));
        }
    }
    if let Err(failure) = checker.end() {
        wrong.push((failure, input.here()));
    }
    Found {
        wrong,
        about_events: checker.is_about_events(),
    }
}
