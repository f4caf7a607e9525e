//! `:jobs` and `:job`.

use serde::Deserialize;
use serde_json::json;

use super::entry::{Builtin, Call, Effect, Part};
use super::wait::{limit, no_connection, within};
use crate::context::{Context, JOB_STATUSES, Job, Output};
use crate::exec::finish::jobs::{Goal, query_jobs, since_start};
use crate::exec::finish::{self, Bar};
use crate::failure::Failure;
use crate::lang::{Command, Object, Statement, Value, mask_text};
use crate::render::{span, table};

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
            Part::Optional(&[Part::OneOf("STATUS", &JOB_STATUSES)]),
            Part::Flag("--timeout", "SECS"),
        ],
        &[Part::Word(&VERBS), Part::Job],
    ],
    summary: "wait for a job, or pause, resume, cancel or otherwise control it",
    help: "`wait` shows the progress on a terminal. It ends when the job has concluded, or has had STATUS since the\n\
           last command that changes something, and fails if the job fails or can no longer reach STATUS. Without\n\
           --timeout, the limit for replies applies.",
    run: |call| Box::pin(job(call)),
};

/// The verbs for which QMP has a command `job-VERB`.
const VERBS: [&str; 6] = [
    "pause", "resume", "cancel", "complete", "finalize", "dismiss",
];

async fn jobs(context: &Context) -> Result<Effect, Failure> {
    let (jobs, json) = query_jobs(context).await?;
    if jobs.is_empty() {
        return Ok(Output::list("there are no jobs\n", &json).into());
    }
    if !context.settings().style.is_for_a_person() {
        // The speeds are not asked for.
        return Ok(Output::list("", &json).into());
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
            left(job, since_start, limit.map(|(_, limit)| *limit as f64))
                .map_or(String::new(), span),
            mask_text(job.error.as_deref().unwrap_or_default()).into_owned(),
        ]);
    }
    Ok(Output::list(table(&rows), &json).into())
}

/// How many seconds a job has still to run, as far as that can be known: no less than its speed limit allows.
fn left(job: &Job, since_start: Option<f64>, limit: Option<f64>) -> Option<f64> {
    let so_far = since_start.and_then(|since| job.left(since));
    let at_limit = limit.and_then(|limit| job.left_at(limit));
    so_far.into_iter().chain(at_limit).reduce(f64::max)
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

async fn job(call: &Call<'_>) -> Result<Effect, Failure> {
    let args = call.args()?;
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["wait", ..] => wait(call).await,
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

/// `wait ID [STATUS] [--timeout SECS]`
async fn wait(call: &Call<'_>) -> Result<Effect, Failure> {
    let mut words = call.line.words.tail();
    let limit = limit(call, &mut words)?;
    let args = words.plain();
    let args = args.map_err(|error| Failure::syntax_of(error, &words))?;
    let (id, status) = match &args[..] {
        [id] => (id, "concluded"),
        [id, status] => (id, status.as_str()),
        _ => return Err(call.usage()),
    };
    let context = call.context;
    let bar = Bar::new(context).until(limit);
    let mark = context.target.wait_from();
    let watched = tokio::select! {
        watched = within(limit, finish::jobs::wait(context, id, Goal::Status(status), mark, &bar)) => watched,
        state = no_connection(context) => Some(Err(Failure::not_connected(&state))),
    };
    drop(bar);
    match watched {
        Some(watched) => watched.map(|_| Output::nothing().into()),
        None => Err(Failure::NotInTime {
            what: format!("job `{id}` has not become {status}"),
            limit: limit.unwrap_or_default(),
        }),
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
        assert_eq!(job("ready", 0, 0).percent(), 100);
        // It was fast at first, and is limited now.
        assert_eq!(
            left(&job("running", 50, 100), Some(1.0), Some(5.0)),
            Some(10.0)
        );
        assert_eq!(left(&job("running", 0, 100), None, Some(5.0)), Some(20.0));
        assert_eq!(left(&job("ready", 0, 100), None, Some(5.0)), None);
    }

    #[test]
    fn a_job_that_is_ready_says_what_completing_it_does() {
        let next = job("ready", 1, 1).when_completed();
        let says =
            "`:job complete j` switches to the target, `:job cancel j` stays with the source";
        assert_eq!(next.as_deref(), Some(says));
        assert_eq!(job("running", 1, 1).when_completed(), None);
    }

    #[test]
    fn amounts_and_spans_are_short() {
        assert_eq!(amount(1536.0), "2k");
        assert_eq!(amount(3.0 * 1024.0 * 1024.0), "3M");
        assert_eq!(span(75.4), "1 min 15 s");
    }
}
