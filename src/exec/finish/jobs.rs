//! Waits for jobs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::bar::Bar;
use crate::context::{Context, Job, JobStatusChange, can_become};
use crate::exec::query::query;
use crate::failure::Failure;
use crate::qmp::{Event, Filter, HISTORY, QmpError};
use crate::render::span;

/// How often a job is looked at. Its progress alone causes no event.
const LOOK: Duration = Duration::from_millis(250);

/// What to wait for.
#[derive(Clone, Copy)]
pub(in crate::exec) enum Goal<'a> {
    /// The job has this status, had it since the wait's mark, or has concluded after having had it.
    Status(&'a str),
    /// The job has concluded, or waits for a command: to be completed, or finalized.
    Rest,
}

/// Queries the jobs. Also returns the JSON of the reply.
///
/// # Errors
///
/// There is no connection, or the server refuses or does not answer in time.
pub(in crate::exec) async fn query_jobs(context: &Context) -> Result<(Vec<Job>, String), Failure> {
    let json = query(context, "query-jobs", None).await?;
    let jobs = serde_json::from_str(&json);
    let jobs = jobs.map_err(|error| {
        Failure::from(QmpError {
            class: "query-jobs".to_owned(),
            desc: format!("cannot read its reply: {error}"),
        })
    })?;
    Ok((jobs, json))
}

/// Waits until the job `id` has reached `goal`, and returns its status then. What happened before the message numbered
/// `mark` does not count. Shows the progress in `bar`.
///
/// # Errors
///
/// The job fails, there is no such job, or it can no longer reach the goal.
pub(in crate::exec) async fn wait(
    context: &Context,
    id: &str,
    goal: Goal<'_>,
    mark: u64,
    bar: &Bar,
) -> Result<String, Failure> {
    let hub = context.target.session.hub();
    // Before the first query, so that no change is missed.
    let mut changes = hub.listen(about_jobs(), HISTORY);
    let started = Instant::now();
    let mut first = None;
    let mut seen = false;
    loop {
        let (jobs, _) = query_jobs(context).await?;
        let history = hub.history();
        let recent = history.iter().filter(|event| event.number >= mark);
        // Whether a job that has concluded has failed, only the query tells.
        if let Goal::Status(status) = goal
            && !matches!(status, "concluded" | "null")
            && Past::of(recent.map(|event| &**event), id).had(status)
        {
            return Ok(status.to_owned());
        }
        let known = history.iter().filter(|event| seen || event.number >= mark);
        let past = Past::of(known.map(|event| &**event), id);
        let Some(job) = jobs.into_iter().find(|job| job.id == id) else {
            // A job that dismisses itself is gone when it has concluded.
            return match past.end {
                Some(error) => concluded(id, goal, error, &past.statuses, true),
                None => Err(Failure::Failed(format!(
                    "no such job: `{id}`; `:jobs` lists the jobs"
                ))),
            };
        };
        seen = true;
        if job.has_ended() && !matches!(goal, Goal::Status("null")) {
            return concluded(id, goal, job.error, &past.statuses, false);
        }
        match goal {
            Goal::Status(status) if job.status == status => return Ok(job.status),
            Goal::Status(status) if !can_become(&job.kind, &job.status, status) => {
                return Err(Failure::Failed(format!(
                    "job `{id}` ({}) is {} and cannot become {status}",
                    job.kind, job.status
                )));
            }
            Goal::Rest if matches!(&*job.status, "ready" | "pending") => return Ok(job.status),
            Goal::Status(_) | Goal::Rest => {}
        }
        let first = *first.get_or_insert(job.current_progress);
        let since_start = since_start(context, id).or_else(|| {
            // Without a known start, extrapolate from the progress since the first query.
            let done = job.current_progress.saturating_sub(first) as f64;
            let share = done / job.current_progress.max(1) as f64;
            (share > 0.0).then(|| started.elapsed().as_secs_f64() / share)
        });
        show(bar, &job, since_start);
        // An event about the job ends the pause early.
        let _ = timeout(LOOK, async {
            while let Some(event) = changes.next().await {
                if event.data().contains(id) {
                    return;
                }
            }
        })
        .await;
    }
}

/// The outcome of waiting for a job that has concluded, with this error if it failed, after it had had `statuses`.
fn concluded(
    id: &str,
    goal: Goal<'_>,
    error: Option<String>,
    statuses: &[String],
    is_gone: bool,
) -> Result<String, Failure> {
    if let Some(error) = error {
        return Err(Failure::Failed(format!("job `{id}` failed: {error}")));
    }
    match goal {
        Goal::Rest | Goal::Status("concluded") => Ok("concluded".to_owned()),
        Goal::Status("null") if is_gone => Ok("null".to_owned()),
        Goal::Status(status) if statuses.iter().any(|had| had == status) => Ok(status.to_owned()),
        Goal::Status(status) => Err(Failure::Failed(format!(
            "job `{id}` has concluded, and is not known to have been {status}"
        ))),
    }
}

/// The ids of the jobs that were created according to these events.
pub(super) fn created<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<String> {
    let changes = events.filter(|event| event.name() == "JOB_STATUS_CHANGE");
    let changes = changes.filter_map(|event| JobStatusChange::read(event.data()));
    let created = changes.filter(|change| change.status == "created");
    created.map(|change| change.id).collect()
}

fn show(bar: &Bar, job: &Job, since_start: Option<f64>) {
    let mut more = job.status.clone();
    if let Some(left) = since_start.and_then(|since| job.left(since)) {
        more.push_str(&format!(", {} left", span(left)));
    }
    if let Some(next) = job.when_completed() {
        more.push_str(&format!("; {next}"));
    }
    bar.show(&job.id, Some(job.percent()), &more);
}

/// How many seconds ago a job started, if the start is in the history of events.
pub(in crate::exec) fn since_start(context: &Context, id: &str) -> Option<f64> {
    let history = context.target.session.hub().history();
    let start = history.iter().rev().find(|event| {
        event.name() == "JOB_STATUS_CHANGE"
            && JobStatusChange::read(event.data())
                .is_some_and(|change| change.id == id && change.status == "running")
    })?;
    let (seconds, microseconds) = start.timestamp;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()?
        .as_secs_f64();
    Some((now - seconds as f64 - microseconds as f64 / 1e6).max(0.0))
}

fn about_jobs() -> Filter {
    let names = [
        "JOB_STATUS_CHANGE",
        "BLOCK_JOB_COMPLETED",
        "BLOCK_JOB_CANCELLED",
        "BLOCK_JOB_READY",
    ];
    Filter {
        names: names.map(str::to_owned).into(),
        matches: None,
    }
}

/// What events tell of the latest job with an id.
#[derive(Default, Debug, PartialEq, Eq)]
struct Past {
    /// The statuses that it had.
    statuses: Vec<String>,
    /// How it ended, if it did: with its error, if any.
    end: Option<Option<String>>,
}

impl Past {
    fn of<'a>(events: impl Iterator<Item = &'a Event>, id: &str) -> Self {
        #[derive(Deserialize)]
        struct Ended {
            device: String,
            error: Option<String>,
        }
        let mut past = Self::default();
        for event in events {
            if event.name() == "JOB_STATUS_CHANGE" {
                let change = JobStatusChange::read(event.data());
                let Some(change) = change.filter(|change| change.id == id) else {
                    continue;
                };
                match &*change.status {
                    // An earlier job may have had the same id.
                    "created" => past = Self::default(),
                    "concluded" => past.end = past.end.or(Some(None)),
                    _ => {}
                }
                past.statuses.push(change.status);
                continue;
            }
            let ended: Option<Ended> = serde_json::from_str(event.data()).ok();
            let Some(ended) = ended.filter(|ended| ended.device == id) else {
                continue;
            };
            match event.name() {
                "BLOCK_JOB_COMPLETED" => past.end = Some(ended.error),
                "BLOCK_JOB_CANCELLED" => past.end = Some(Some("it was cancelled".to_owned())),
                _ => {}
            }
        }
        past
    }

    /// Whether the job had this status, and did not fail after it.
    fn had(&self, status: &str) -> bool {
        !matches!(self.end, Some(Some(_))) && self.statuses.iter().any(|had| had == status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_tell_how_a_job_ended() {
        let change = |status| {
            let data = format!(r#"{{"id": "j", "status": "{status}"}}"#);
            Event::example("JOB_STATUS_CHANGE", &data)
        };
        let failed = r#"{"device": "j", "error": "no space", "type": "commit", "len": 1}"#;
        let all = [
            change("created"),
            Event::example("BLOCK_JOB_COMPLETED", failed),
            change("concluded"),
            change("created"),
            change("ready"),
            change("concluded"),
        ];
        let end = |count: usize, id| Past::of(all.iter().take(count), id).end;
        assert_eq!(end(1, "j"), None);
        assert_eq!(end(3, "j"), Some(Some("no space".to_owned())));
        assert_eq!(end(4, "j"), None);
        assert_eq!(end(6, "j"), Some(None));
        assert_eq!(end(6, "k"), None);
        let past = Past::of(all.iter(), "j");
        assert!(past.had("ready") && !past.had("pending"));
        assert!(!Past::of(all.iter().take(3), "j").had("created"));
    }

    #[test]
    fn a_job_that_has_concluded_has_had_the_status_or_not() {
        let had = ["created".to_owned(), "ready".to_owned()];
        let wait = |goal, error: Option<&str>| {
            concluded("j", goal, error.map(str::to_owned), &had, true).is_ok()
        };
        assert!(wait(Goal::Rest, None) && !wait(Goal::Rest, Some("no")));
        assert!(wait(Goal::Status("ready"), None) && wait(Goal::Status("null"), None));
        assert!(!wait(Goal::Status("pending"), None));
    }
}
