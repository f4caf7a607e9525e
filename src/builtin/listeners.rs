//! `:on` and `:off`: lines that events run.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::task::AbortHandle;

use super::background::{self, Job};
use super::events::{Wanted, wanted};
use super::{Builtin, Completes, Outcome, args, rows, usage};
use crate::agenda::{Kind, Said};
use crate::failure::Failure;
use crate::lang::{self, Words};
use crate::qmp::HISTORY;
use crate::runner::Runner;

pub(super) const ON: Builtin = Builtin {
    name: "on",
    synopsis: "[NAME[,NAME…] [KEY=VALUE…] do LINE]",
    summary: "run a line whenever such an event comes; alone, list who listens",
    help: "NAME is an event, and `*` is any. KEY=VALUE is what its data must have among others.\n\
           LINE is a command or a built-in, run for one event after the other. `:off` ends it.",
    completes: Completes::Events(&[]),
    run: |runner, line| Box::pin(async move { on(runner, line) }),
};

pub(super) const OFF: Builtin = Builtin {
    name: "off",
    synopsis: "ID",
    summary: "end a listener of :on",
    help: "",
    completes: Completes::Nothing,
    run: |runner, line| Box::pin(async move { off(runner, &args(line)?) }),
};

fn on(runner: &Runner, line: &lang::BuiltinLine) -> Result<Outcome, Failure> {
    if line.words.is_empty() {
        let listeners = runner.agenda.list(|kind| match kind {
            Kind::Listener(condition) => Some(condition.clone()),
            Kind::Timer { .. } => None,
        });
        return Ok(Outcome::Text(rows("ON", &listeners)));
    }
    let Some((condition, words)) = line.words.split_at("do") else {
        return Err(usage("on"));
    };
    let wanted = wanted(runner, &condition, "on")?;
    if words.is_empty() || wanted.limit.is_some() {
        return Err(usage("on"));
    }
    background::check(&words)?;
    let kind = Kind::Listener(condition.text().to_owned());
    let id = runner.agenda.add(kind, words.text(), |id, runs| {
        start(runner, id, wanted, &words, runs)
    });
    Ok(Outcome::Notice(format!("listener {id}")))
}

fn start(
    runner: &Runner,
    id: u64,
    wanted: Wanted,
    words: &Words,
    runs: Arc<AtomicU64>,
) -> AbortHandle {
    let mut events = runner.session.hub().listen(wanted.filter, HISTORY);
    let job = Job::new(runner, format!("listener {id}"), words, runs);
    let task = tokio::spawn(async move {
        while events.next().await.is_some() {
            job.report(job.run().await).await;
            let missed = events.missed();
            if missed > 0 {
                let text = format!("{missed} events came faster than the line could be run\n");
                job.report(Ok(Said::Text(text))).await;
            }
        }
    });
    task.abort_handle()
}

fn off(runner: &Runner, args: &[String]) -> Result<Outcome, Failure> {
    let [id] = args else {
        return Err(usage("off"));
    };
    let is_listener = |kind: &Kind| matches!(kind, Kind::Listener(_));
    let number = id.parse().ok();
    if number.is_some_and(|id| runner.agenda.remove(id, is_listener)) {
        return Ok(Outcome::Text(String::new()));
    }
    Err(Failure::Usage(format!(
        "there is no listener {id}; `:on` lists them"
    )))
}
