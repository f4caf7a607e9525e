//! Filters: jq's language, run on what a line shows. Nothing else names jaq.

mod json;
mod message;
mod process;
mod program;
mod worker;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::ops::Range;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::lang::{Value, Variables};
use message::Header;
use worker::Worker;

pub use process::{is_asked_for, work};

/// How many filters run at a time. Others wait.
const MOST_RUNNING: usize = 8;

/// How many processes are kept for later filters.
const MOST_IDLE: usize = 2;

/// jq's variable that is the environment.
const ENVIRONMENT: &str = "ENV";

/// Runs filters, each in a process of its own: a filter can take forever, and all the stack and memory it gets, which
/// must not end ours. Idle processes keep what they have compiled.
///
/// The processes run our own program, whose `main` must call [`work`] if [`is_asked_for`].
pub struct Filters {
    idle: Mutex<Vec<Worker>>,
    running: Semaphore,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            idle: Mutex::default(),
            running: Semaphore::new(MOST_RUNNING),
        }
    }
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
    pub async fn check(&self, filter: &str, variables: &Variables) -> Result<(), Rejected> {
        let checked = self.work(filter, variables, None).await?;
        match checked.error {
            None => Ok(()),
            Some(message) => Err(Rejected {
                message,
                span: 0..filter.len(),
            }),
        }
    }

    /// Runs `filter` on `input`, a value as JSON. In it, `$NAME` is a variable.
    ///
    /// # Errors
    ///
    /// As for [`Filters::check`].
    pub async fn run(
        &self,
        filter: &str,
        variables: &Variables,
        input: Bytes,
    ) -> Result<Filtered, Rejected> {
        self.work(filter, variables, Some(input)).await
    }

    async fn work(
        &self,
        filter: &str,
        variables: &Variables,
        input: Option<Bytes>,
    ) -> Result<Filtered, Rejected> {
        let header = Header {
            filter: filter.to_owned(),
            variables: named(filter, variables),
            input: input.as_ref().map(Bytes::len),
        };
        // It is never closed.
        let _permit = self.running.acquire().await;
        let idle = self.idle.lock().pop().filter(Worker::is_usable);
        let mut worker = match idle.map_or_else(Worker::start, Ok) {
            Ok(worker) => worker,
            Err(error) => {
                return Ok(Filtered {
                    error: Some(format!("no process can be started for it: {error}")),
                    ..Filtered::default()
                });
            }
        };
        // If this is cancelled, the process is killed.
        let result = worker.ask(&header, &input.unwrap_or_default()).await;
        let mut idle = self.idle.lock();
        if worker.is_usable() && idle.len() < MOST_IDLE {
            idle.push(worker);
        }
        result
    }
}

/// The variables that `filter` may name.
fn named(filter: &str, variables: &Variables) -> BTreeMap<String, Box<RawValue>> {
    let is_named = |name: &str| filter.contains(&format!("${name}"));
    let environment = is_named(ENVIRONMENT).then(|| {
        let variables: BTreeMap<String, String> = env::vars_os()
            .map(|(name, value)| (lossy(&name), lossy(&value)))
            .collect();
        let json = serde_json::value::to_raw_value(&variables);
        (ENVIRONMENT.to_owned(), json.unwrap_or_default())
    });
    let named = variables.iter().filter(|(name, _)| is_named(name));
    let named = named.map(|(name, value)| {
        // What is not known yet is null.
        let json = value.map(Value::to_json);
        let json = json.and_then(|json| RawValue::from_string(json).ok());
        (name.to_owned(), json.unwrap_or_default())
    });
    environment.into_iter().chain(named).collect()
}

fn lossy(text: &OsStr) -> String {
    text.to_string_lossy().into_owned()
}

/// Whether the last of these outputs, each on a line, is neither false nor null, as jq's `if` asks.
pub fn is_true(lines: &str) -> bool {
    let last = lines.lines().next_back();
    last.is_some_and(|last| !matches!(last, "false" | "null"))
}
