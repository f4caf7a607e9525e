//! `--ignore`: what a replay does not compare.

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::filter::{Filters, Rejected};
use crate::lang::{FilterText, Variables};

/// Parts of replies, each named by a jq path.
#[derive(Default)]
pub(super) struct Ignored {
    filters: Filters,
    /// A jq program that removes them from each element of an array.
    program: Option<String>,
}

impl Ignored {
    /// Reads the paths.
    ///
    /// # Errors
    ///
    /// One of them is not in jq's language.
    pub async fn new(paths: &[String]) -> Result<Self, Failure> {
        let filters = Filters::default();
        let mut steps = Vec::new();
        for path in paths {
            let checked = filters.check(path, &Variables::default()).await;
            checked.map_err(|Rejected { message, span }| {
                let filter = FilterText::alone(path);
                Failure::syntax(filter.error(message, span), &filter.source)
            })?;
            // Not every path fits every reply. The line break ends a comment.
            steps.push(format!(". as $whole | try del({path}\n) catch $whole"));
        }
        let program = (!steps.is_empty()).then(|| format!("map({})", steps.join(" | ")));
        Ok(Self { filters, program })
    }

    /// Removes the parts from two values.
    ///
    /// # Errors
    ///
    /// A path took too long, or too much memory.
    pub async fn removed(&self, pair: (Value, Value)) -> Result<(Value, Value), Failure> {
        let Some(program) = &self.program else {
            return Ok(pair);
        };
        let input = json!([pair.0, pair.1]).to_string().into();
        let variables = Variables::default();
        let run = self.filters.run(program, &variables, input);
        let outcome = run.await.map_err(|rejected| rejected.message);
        let outcome = outcome.and_then(|filtered| match filtered.error {
            Some(error) => Err(error),
            None => serde_json::from_str(&filtered.lines).map_err(|error| error.to_string()),
        });
        outcome.map_err(|error| Failure::Failed(format!("--ignore: {error}")))
    }
}
