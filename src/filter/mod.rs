//! Filters: jq's language, run on what a line shows. Nothing else names jaq.

mod program;
mod worker;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::lang::Variables;
use worker::{Job, Worker};

/// Runs filters, each in a thread: a filter can take long, or forever. Idle threads keep what they have compiled.
#[derive(Default)]
pub struct Filters {
    idle: Mutex<Vec<Worker>>,
}

/// What a filter gave.
#[derive(Debug, Default)]
pub struct Filtered {
    /// Its outputs as JSON, each followed by a line break.
    pub lines: String,
    /// Why it gave no more, if it failed.
    pub error: Option<String>,
}

/// Why a filter cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// What is wrong, as a sentence without its full stop.
    pub message: String,
    /// Where, as byte offsets into the filter.
    pub span: Range<usize>,
}

impl Filters {
    /// Checks that `filter` can be run.
    ///
    /// # Errors
    ///
    /// It is not in jq's language, or names a function or variable that does not exist.
    pub async fn check(&self, filter: &str, variables: &Arc<Variables>) -> Result<(), Rejected> {
        self.work(filter, variables, None).await.map(drop)
    }

    /// Runs `filter` on `input`, a value as JSON. In it, `$NAME` is a variable.
    ///
    /// # Errors
    ///
    /// As for [`Filters::check`].
    pub async fn run(
        &self,
        filter: &str,
        variables: &Arc<Variables>,
        input: Bytes,
    ) -> Result<Filtered, Rejected> {
        self.work(filter, variables, Some(input)).await
    }

    async fn work(
        &self,
        filter: &str,
        variables: &Arc<Variables>,
        input: Option<Bytes>,
    ) -> Result<Filtered, Rejected> {
        let failed = |message: &str| Rejected {
            message: message.to_owned(),
            span: 0..filter.len(),
        };
        let idle = self.idle.lock().pop();
        let worker = match idle {
            Some(worker) => worker,
            None => Worker::start().map_err(|_| failed("cannot start a thread for the filter"))?,
        };
        let (job, done) = Job::new(filter, variables.clone(), input);
        worker.give(job);
        // If this is cancelled, the worker is not idle, and ends with its job.
        let result = done.await;
        let result = result.map_err(|_| failed("the filter made jq's interpreter panic"))?;
        self.idle.lock().push(worker);
        result
    }
}

/// Whether the only output is neither false nor null, as jq's `if` asks.
impl Filtered {
    pub fn is_true(&self) -> bool {
        let last = self.lines.lines().next_back();
        last.is_some_and(|last| !matches!(last, "false" | "null"))
    }
}
