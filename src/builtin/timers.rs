//! `:every`, `:after`, `:timers`, `:timer` and `:cancel`: lines that time runs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, sleep_until};

use super::background::{self, Job};
use super::{Builtin, Completes, Outcome, args, rows, time, usage};
use crate::agenda::Kind;
use crate::failure::Failure;
use crate::lang::{self, Words};
use crate::qmp::State;
use crate::runner::Runner;

/// How long a timer without interval rests when its line has failed: that takes no time at all.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

pub(super) const EVERY: Builtin = Builtin {
    name: "every",
    synopsis: "TIME LINE",
    summary: "run a line now and then every so often, until :cancel",
    help: "TIME is a number of seconds, or has a unit: 500ms, 2s, 1m, 1h. 0 is as fast as replies come.\n\
           A line that takes longer than TIME is not run twice at once: what was missed is left out.\n\
           While there is no connection, commands wait for one.",
    completes: Completes::Line,
    run: |runner, line| Box::pin(async move { timer(runner, line, false) }),
};

pub(super) const AFTER: Builtin = Builtin {
    name: "after",
    synopsis: "TIME LINE",
    summary: "run a line once, after so long",
    help: "TIME is as in :every. A script ends no sooner.",
    completes: Completes::Line,
    run: |runner, line| Box::pin(async move { timer(runner, line, true) }),
};

pub(super) const TIMERS: Builtin = Builtin {
    name: "timers",
    synopsis: "",
    summary: "list the timers",
    help: "",
    completes: Completes::Nothing,
    run: |runner, _| Box::pin(async { Ok(Outcome::Text(list(runner))) }),
};

pub(super) const TIMER: Builtin = Builtin {
    name: "timer",
    synopsis: "ID TIME",
    summary: "change a timer's time",
    help: "It counts from when the line was run last.",
    completes: Completes::Nothing,
    run: |runner, line| Box::pin(async move { change(runner, &args(line)?) }),
};

pub(super) const CANCEL: Builtin = Builtin {
    name: "cancel",
    synopsis: "ID",
    summary: "end a timer",
    help: "",
    completes: Completes::Nothing,
    run: |runner, line| Box::pin(async move { cancel(runner, &args(line)?) }),
};

fn timer(runner: &Runner, line: &lang::BuiltinLine, once: bool) -> Result<Outcome, Failure> {
    let name = if once { "after" } else { "every" };
    let (Some(length), words) = (args(line)?.first().cloned(), line.words.tail()) else {
        return Err(usage(name));
    };
    if words.is_empty() {
        return Err(usage(name));
    }
    let length = time(&length)?;
    background::check(&words)?;
    let (interval, changes) = watch::channel(length);
    let id = runner
        .agenda
        .add(Kind::Timer { interval, once }, words.text(), |id, runs| {
            start(runner, id, changes, once, &words, runs)
        });
    Ok(Outcome::Notice(format!("timer {id}")))
}

fn start(
    runner: &Runner,
    id: u64,
    mut interval: watch::Receiver<Duration>,
    once: bool,
    words: &Words,
    runs: Arc<AtomicU64>,
) -> AbortHandle {
    let job = Job::new(runner, format!("timer {id}"), words, runs);
    let runner = runner.clone();
    let task = tokio::spawn(async move {
        if once {
            wait(Instant::now(), &mut interval).await;
            connection(&job, &runner).await;
            let result = job.run().await;
            // First: a script that is told looks whether there are others.
            runner.agenda.finish(id);
            job.report(result).await;
        } else {
            again_and_again(interval, &job, &runner).await;
        }
    });
    task.abort_handle()
}

async fn again_and_again(mut interval: watch::Receiver<Duration>, job: &Job, runner: &Runner) {
    let mut due = Instant::now();
    loop {
        connection(job, runner).await;
        let result = job.run().await;
        let failed = result.is_err();
        job.report(result).await;
        consume_budget().await;
        let length = *interval.borrow();
        if length.is_zero() && failed {
            sleep(AFTER_FAILURE).await;
        }
        due = wait(due, &mut interval).await;
    }
}

/// Waits for a connection if the line needs one: a tick without is no error.
async fn connection(job: &Job, runner: &Runner) {
    if job.needs_connection() {
        let mut states = runner.session.watch();
        let _ = states
            .wait_for(|state| matches!(state, State::Running(client) if !client.has_ended()))
            .await;
    }
}

/// Waits until a timer that was due at `last` is due again, and says when that was.
async fn wait(last: Instant, interval: &mut watch::Receiver<Duration>) -> Instant {
    loop {
        let length = *interval.borrow_and_update();
        let due = next(last, length, Instant::now());
        tokio::select! {
            biased;
            changed = interval.changed() => if changed.is_err() {
                std::future::pending::<()>().await;
            },
            () = sleep_until(due) => return due,
        }
    }
}

/// When a timer that was due at `last` is due again. Ticks that were missed are left out, and the others keep
/// their rhythm, so that it never drifts.
fn next(last: Instant, length: Duration, now: Instant) -> Instant {
    if length.is_zero() {
        return now;
    }
    let passed = now.saturating_duration_since(last).as_nanos() / length.as_nanos();
    let nanos = length.as_nanos().saturating_mul(passed + 1);
    last + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn list(runner: &Runner) -> String {
    let timers = runner.agenda.list(|kind| match kind {
        Kind::Timer { interval, once } => {
            let name = if *once { "after" } else { "every" };
            Some(format!("{name} {} s", interval.borrow().as_secs_f64()))
        }
        Kind::Listener(_) => None,
    });
    rows("TIMER", &timers)
}

fn change(runner: &Runner, args: &[String]) -> Result<Outcome, Failure> {
    let [id, length] = args else {
        return Err(usage("timer"));
    };
    let length = time(length)?;
    match id.parse() {
        Ok(number) if runner.agenda.change(number, length) => Ok(Outcome::Text(String::new())),
        _ => Err(no_timer(id)),
    }
}

fn cancel(runner: &Runner, args: &[String]) -> Result<Outcome, Failure> {
    let [id] = args else {
        return Err(usage("cancel"));
    };
    let is_timer = |kind: &Kind| matches!(kind, Kind::Timer { .. });
    match id.parse() {
        Ok(number) if runner.agenda.remove(number, is_timer) => Ok(Outcome::Text(String::new())),
        _ => Err(no_timer(id)),
    }
}

fn no_timer(id: &str) -> Failure {
    Failure::Usage(format!("there is no timer {id}; `:timers` lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times at which a timer runs its line, of which the `n`th run takes `takes(n)`.
    fn hour(length: Duration, takes: impl Fn(u32) -> Duration) -> Vec<Duration> {
        let start = Instant::now();
        let (mut due, mut now, mut runs) = (start, start, Vec::new());
        while now - start < Duration::from_secs(3600) {
            runs.push(now - start);
            now += takes(u32::try_from(runs.len()).expect("fewer"));
            due = next(due, length, now);
            // A runtime's clock ticks in milliseconds, and never too soon.
            now = due.max(now) + Duration::from_micros(700);
        }
        runs
    }

    #[test]
    fn an_hour_of_seconds_has_3600_ticks_and_the_last_is_on_time() {
        let runs = hour(Duration::from_secs(1), |run| {
            Duration::from_millis(u64::from(run * 7 % 990))
        });
        assert_eq!(runs.len(), 3600);
        for (tick, at) in runs.iter().enumerate() {
            let late = *at - Duration::from_secs(tick as u64);
            assert!(late < Duration::from_millis(1), "{tick}: {late:?}");
        }
    }

    #[test]
    fn ticks_that_were_missed_are_left_out_and_the_rhythm_stays() {
        // Every tenth takes three and a half seconds.
        let runs = hour(Duration::from_secs(1), |run| match run % 10 {
            0 => Duration::from_millis(3500),
            _ => Duration::ZERO,
        });
        // Of 13 seconds ten have a run.
        assert_eq!(runs.len(), 3600 / 13 * 10 + 10);
        for at in runs {
            assert!(at.subsec_millis() < 2, "{at:?}");
        }
    }

    #[test]
    fn with_no_interval_a_timer_is_due_at_once_and_never_before() {
        let start = Instant::now();
        let mut due = start;
        for run in 1..100_000 {
            let now = start + Duration::from_micros(36 * run);
            due = next(due, Duration::ZERO, now);
            assert_eq!(due, now);
        }
    }
}
