//! Checks the lines of `-e` and `-f` before the first of them is run.

use std::sync::Arc;

use super::input::{Input, Origin};
use crate::context::Context;
use crate::exec::{builtin, check_filters};
use crate::failure::Failure;
use crate::lang::{Parser, Statement};
use crate::schema::Schema;

/// What was found in the lines.
#[derive(Default)]
pub(super) struct Found {
    /// What is wrong, with the place of each line.
    pub wrong: Vec<(Failure, Origin)>,
    /// Some line has conditions on events, which only a schema can check.
    pub about_events: bool,
}

/// Checks all lines of `input`: that they parse, that their built-ins exist and have arguments that fit, and, if there
/// is a schema, that events can be as they are waited for. Runs nothing.
pub(super) async fn check(input: &mut Input, context: &Context, schema: Option<&Schema>) -> Found {
    let language = context.target.language();
    let mut parser = Parser::of(language.clone());
    let mut variables = context.variables();
    let mut found = Found::default();
    while let Some(item) = input.next().await {
        let line = item.words.and_then(|words| {
            let words = words.with_variables(variables.clone());
            let line = parser.parse(&words);
            line.map_err(|error| Failure::syntax_of(error, &words))
        });
        let checked = match line {
            Ok(line) => {
                let known = variables.clone();
                let checked = match &line.statement {
                    Statement::Builtin(line) => {
                        found.about_events |= line.is_about_events();
                        if line.name == "let"
                            && let Some(name) = line.words.first()
                        {
                            Arc::make_mut(&mut variables).assume(name);
                        }
                        builtin::check(line, language.clone(), schema)
                    }
                    _ => Ok(()),
                };
                match checked {
                    Ok(()) => check_filters(context, &line, known).await,
                    wrong => wrong,
                }
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = checked {
            found.wrong.push((failure, item.origin));
        }
    }
    if parser.in_transaction() {
        found.wrong.push((Failure::unclosed(), input.here()));
    }
    found
}
