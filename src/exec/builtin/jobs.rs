//! `:jobs` and `:job`.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::entry::{Builtin, Call, Effect, Part, span};
use super::events::no_connection;
use super::query::query;
use crate::context::{Context, Job, JobStatusChange, Output, Progress};
use crate::failure::Failure;
use crate::lang::{Command, Object, Statement, Value, mask_text};
use crate::qmp::{Filter, HISTORY, QmpError};
use crate::render::table;

pub(super) const JOBS: Builtin = Builtin {
    name: "jobs",
    forms: &[&[]],
    summary: "list the jobs with status, progress, speed and time left",
    help: "Speed and time left are shown for jobs that started while qmpsh was connected.\n\
           Scripts get the jobs as JSON.",
    run: |call| Box::pin(jobs(call.context)),
};

pub(super) const JOB: Builtin = Builtin {
    name: "job",
    forms: &[
        &[
            Part::Word(&["wait"]),
            Part::Job,
            Part::Optional(&[Part::Name("STATUS")]),
        ],
        &[Part::Word(&VERBS), Part::Job],
    ],
    summary: "wait for a job, or pause, resume, cancel or otherwise control it",
    help: "`wait` shows the progress on a terminal. It ends when the job has concluded or has reached STATUS\n\
           (running, ready, standby, pending, …), and fails if the job fails.",
    run: |call| Box::pin(job(call)),
};

/// The verbs for which QMP has a command `job-VERB`.
const VERBS: [&str; 6] = [
    "pause", "resume", "cancel", "complete", "finalize", "dismiss",
];

/// How often `:job wait` queries the job.
const LOOK: Duration = Duration::from_millis(250);

/// The width of the progress bar, in columns.
const WIDTH: u64 = 30;
/// How many characters of the job's id stand before the bar, so that everything fits on one row.
const ID: usize = 20;

/// Queries the jobs. Also returns the JSON of the reply.
async fn query_jobs(context: &Context) -> Result<(Vec<Job>, String), Failure> {
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

async fn jobs(context: &Context) -> Result<Effect, Failure> {
    let (jobs, json) = query_jobs(context).await?;
    let style = context.settings().style;
    if !style.is_for_a_person() {
        return Ok(Output::text(style.value(&json)).into());
    }
    if jobs.is_empty() {
        return Ok(Output::notice("there are no jobs").into());
    }
    let speeds = speeds(context).await;
    let mut rows = vec![
        [
            "ID",
            "TYPE",
            "STATUS",
            "DONE",
            "PER SECOND",
            "LIMIT",
            "LEFT",
            "ERROR",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for job in &jobs {
        let since_start = since_start(context, &job.id);
        let speed = since_start.filter(|since| *since > 0.0 && !job.has_ended());
        let speed = speed.map(|since| job.current_progress as f64 / since);
        let limit = speeds.iter().find(|(id, _)| *id == job.id);
        rows.push(vec![
            job.id.clone(),
            job.kind.clone(),
            job.status.clone(),
            format!("{}%", job.percent()),
            speed.map_or(String::new(), amount),
            limit.map_or(String::new(), |(_, limit)| amount(*limit as f64)),
            since_start
                .and_then(|since| job.left(since))
                .map_or(String::new(), span),
            mask_text(job.error.as_deref().unwrap_or_default()).into_owned(),
        ]);
    }
    Ok(Output::text(table(&rows)).into())
}

/// The speed limits of block jobs, in bytes per second, by the job's id. Jobs without a limit are left out.
async fn speeds(context: &Context) -> Vec<(String, u64)> {
    #[derive(Deserialize)]
    struct BlockJob {
        device: String,
        speed: u64,
    }
    let asked = context.target.inspector();
    let jobs: Option<Vec<BlockJob>> = asked.ask("query-block-jobs", json!({})).await;
    let jobs = jobs.unwrap_or_default().into_iter();
    jobs.filter(|job| job.speed > 0)
        .map(|job| (job.device, job.speed))
        .collect()
}

/// How many seconds ago a job started, if the start is in the history of events.
fn since_start(context: &Context, id: &str) -> Option<f64> {
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

async fn job(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["wait", id] => wait(call.context, id, "concluded").await,
        ["wait", id, status] => wait(call.context, id, status).await,
        [verb, id] if VERBS.contains(&verb) => {
            let command = Command {
                name: format!("job-{verb}"),
                arguments: Object::from([("id".to_owned(), Value::Text(id.to_owned()))]),
                oob: false,
            };
            Ok(Effect::Send(Statement::Command(command).into()))
        }
        _ => Err(call.usage()),
    }
}

/// Waits until the job reaches `status` or has concluded, and fails as the job does.
async fn wait(context: &Context, id: &str, status: &str) -> Result<Effect, Failure> {
    let bar = Bar::new(context);
    let watched = tokio::select! {
        watched = watch(context, id, status, &bar) => watched,
        state = no_connection(context) => Err(Failure::not_connected(&state)),
    };
    drop(bar);
    watched.map(|()| Output::nothing().into())
}

async fn watch(context: &Context, id: &str, status: &str, bar: &Bar) -> Result<(), Failure> {
    let hub = context.target.session.hub();
    // Before the first query, so that no change is missed.
    let mut changes = hub.listen(ending_events(), HISTORY);
    let mark = context.target.wait_from();
    let started = Instant::now();
    let mut first = None;
    let mut seen = false;
    loop {
        let (jobs, _) = query_jobs(context).await?;
        let found = jobs.into_iter().find(|job| job.id == id);
        let Some(job) = found else {
            // A job with auto-dismiss disappears when it concludes, so look at its events instead.
            let mut events = hub.history();
            events.retain(|event| seen || event.number >= mark);
            return match end(events.iter().map(|event| (event.name(), event.data())), id) {
                Some(Some(error)) => Err(failed(id, error)),
                Some(None) => Ok(()),
                None => Err(Failure::from(QmpError {
                    class: "no such job".to_owned(),
                    desc: format!("`{id}`; `:jobs` lists the jobs"),
                })),
            };
        };
        seen = true;
        if job.has_ended() {
            return match job.error {
                Some(error) => Err(failed(id, error)),
                None => Ok(()),
            };
        }
        if job.status == status {
            return Ok(());
        }
        let first = *first.get_or_insert(job.current_progress);
        let since_start = since_start(context, id).or_else(|| {
            // Without a known start, extrapolate from the progress since the first query.
            let done = job.current_progress.saturating_sub(first) as f64;
            let share = done / job.current_progress.max(1) as f64;
            (share > 0.0).then(|| started.elapsed().as_secs_f64() / share)
        });
        bar.show(&job, since_start);
        // An event about the job ends the pause early. Progress alone causes no event.
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

fn ending_events() -> Filter {
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

/// How the job `id` ended according to these events: `None` if it did not, else its error, if any.
fn end<'a>(events: impl Iterator<Item = (&'a str, &'a str)>, id: &str) -> Option<Option<String>> {
    #[derive(Deserialize)]
    struct Ended {
        device: String,
        error: Option<String>,
    }
    let mut end = None;
    for (name, data) in events {
        if name == "JOB_STATUS_CHANGE" {
            match JobStatusChange::read(data) {
                // An earlier job may have had the same id.
                Some(change) if change.id == id && change.status == "created" => end = None,
                Some(change) if change.id == id && change.status == "concluded" => {
                    end = end.or(Some(None));
                }
                _ => {}
            }
            continue;
        }
        let ended: Option<Ended> = serde_json::from_str(data).ok();
        let Some(ended) = ended.filter(|ended| ended.device == id) else {
            continue;
        };
        match name {
            "BLOCK_JOB_COMPLETED" => end = Some(ended.error),
            "BLOCK_JOB_CANCELLED" => end = Some(Some("it was cancelled".to_owned())),
            _ => {}
        }
    }
    end
}

fn failed(id: &str, error: String) -> Failure {
    Failure::from(QmpError {
        class: format!("job `{id}` failed"),
        desc: error,
    })
}

/// A progress bar, if there is a terminal to show it. Dropping it removes it from the screen.
struct Bar {
    shown: Option<Progress>,
}

impl Bar {
    fn new(context: &Context) -> Self {
        Self {
            shown: context.progress.clone(),
        }
    }

    fn show(&self, job: &Job, since_start: Option<f64>) {
        let Some(show) = &self.shown else {
            return;
        };
        let done = job.percent() * WIDTH / 100;
        let id: String = job.id.chars().take(ID).collect();
        let mut text = format!("{id} [");
        for at in 0..WIDTH {
            text.push(if at < done { '#' } else { '.' });
        }
        let _ = write!(text, "] {:3}% {}", job.percent(), job.status);
        if let Some(left) = since_start.and_then(|since| job.left(since)) {
            let _ = write!(text, ", {} left", span(left));
        }
        show(&text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(show) = &self.shown {
            show("");
        }
    }
}

/// Formats an amount with a binary prefix.
fn amount(number: f64) -> String {
    let mut number = number;
    for unit in ["", "k", "M", "G"] {
        if number < 1024.0 {
            return format!("{number:.0}{unit}");
        }
        number /= 1024.0;
    }
    format!("{number:.0}T")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: &str, current: u64, total: u64) -> Job {
        Job {
            id: "j".to_owned(),
            kind: "mirror".to_owned(),
            status: status.to_owned(),
            current_progress: current,
            total_progress: total,
            error: None,
        }
    }

    #[test]
    fn the_time_left_follows_from_the_progress() {
        assert_eq!(job("running", 25, 100).left(10.0), Some(30.0));
        assert_eq!(job("running", 0, 100).left(10.0), None);
        assert_eq!(job("ready", 25, 100).left(10.0), None);
        assert_eq!(job("running", 1, 3).percent(), 33);
        assert_eq!(job("created", 0, 0).percent(), 0);
    }

    #[test]
    fn events_tell_how_a_job_ended() {
        let change = |status| format!(r#"{{"id": "j", "status": "{status}"}}"#);
        let (created, concluded) = (change("created"), change("concluded"));
        let (status, completed) = ("JOB_STATUS_CHANGE", "BLOCK_JOB_COMPLETED");
        let failed = r#"{"device": "j", "error": "no space", "type": "commit", "len": 1}"#;
        let all = [
            (status, &*created),
            (completed, failed),
            (status, &*concluded),
            (status, &*created),
            (status, &*concluded),
        ];
        let end = |count: usize, id| end(all.iter().take(count).copied(), id);
        assert_eq!(end(1, "j"), None);
        assert_eq!(end(3, "j"), Some(Some("no space".to_owned())));
        assert_eq!(end(4, "j"), None);
        assert_eq!(end(5, "j"), Some(None));
        assert_eq!(end(5, "k"), None);
    }

    #[test]
    fn amounts_and_spans_are_short() {
        assert_eq!(amount(1536.0), "2k");
        assert_eq!(amount(3.0 * 1024.0 * 1024.0), "3M");
        assert_eq!(span(75.4), "1 min 15 s");
    }
}
