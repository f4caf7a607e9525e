//! Runs the lines of listeners and timers.

mod timer;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep};

use super::run::run;
use crate::context::{Context, Outcome, Output, Report, Scheduled, Settings, Target, Trigger};
use crate::failure::Failure;
use crate::lang::{Line, Statement};
use crate::qmp::{Event, State};

/// How long a timer with interval 0 pauses after its line failed. A failure takes no time, so the timer would
/// spin.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Creates a context, and starts the task that runs its listeners and timers. Their outcomes arrive at the
/// receiver.
pub fn begin(settings: Settings, target: Target) -> (Context, mpsc::Receiver<Report>) {
    let (context, reports, scheduled) = Context::new(settings, target);
    tokio::spawn(run_scheduled(context.clone(), scheduled));
    (context, reports)
}

/// Starts a task for each new entry in the agenda.
async fn run_scheduled(context: Context, mut scheduled: mpsc::UnboundedReceiver<Scheduled>) {
    while let Some(entry) = scheduled.recv().await {
        let id = entry.id;
        let task = tokio::spawn(run_entry(context.apart(), entry));
        context.agenda.attach(id, task.abort_handle());
    }
}

async fn run_entry(context: Context, entry: Scheduled) {
    let (kind, id) = match entry.trigger {
        Trigger::Events { .. } => ("listener", entry.id),
        Trigger::Time { .. } => ("timer", entry.id),
    };
    let repeated = Repeated {
        origin: format!("{kind} {id}"),
        context,
        line: entry.line,
        text: entry.text,
    };
    let run = async |event| {
        entry.runs.fetch_add(1, Ordering::Relaxed);
        repeated.run(event).await
    };
    match entry.trigger {
        Trigger::Events { mut events, once } => {
            while let Some(event) = events.next().await {
                if once {
                    // First, so that nobody sees it in the list after its line has run.
                    repeated.context.agenda.finish(id);
                    repeated.report(run(Some(event)).await).await;
                    return;
                }
                repeated.report(run(Some(event)).await).await;
                let missed = events.missed();
                if missed > 0 {
                    let notice = format!("{missed} events came faster than the line could be run");
                    repeated.report(Output::notice(notice).into()).await;
                }
            }
        }
        Trigger::Time {
            mut pace,
            once: true,
        } => {
            timer::wait(Instant::now(), &mut pace).await;
            repeated.connection().await;
            let outcome = run(None).await;
            // Before the report: on receiving it, a script checks whether any entries are left.
            repeated.context.agenda.finish(id);
            repeated.report(outcome).await;
        }
        Trigger::Time {
            mut pace,
            once: false,
        } => {
            let mut due = Instant::now();
            loop {
                repeated.connection().await;
                let outcome = run(None).await;
                let failed = outcome.failure.is_some();
                repeated.report(outcome).await;
                consume_budget().await;
                if failed && pace.borrow().interval.is_zero() {
                    sleep(AFTER_FAILURE).await;
                }
                due = timer::wait(due, &mut pace).await;
            }
        }
    }
}

/// A line that a listener or timer runs repeatedly.
struct Repeated {
    context: Context,
    /// Which listener or timer runs it, as `timer 1`.
    origin: String,
    line: Line,
    text: String,
}

impl Repeated {
    /// Runs the line, because of `event` if it is a listener's.
    async fn run(&self, event: Option<Arc<Event>>) -> Outcome {
        let context = match event {
            Some(event) => self.context.of_event(event),
            None => self.context.clone(),
        };
        let outcome = run(&context, self.line.clone()).await;
        match outcome.output {
            Output::Follow(_) | Output::Events(_) | Output::Console(_) | Output::Watch(_) => {
                Failure::Usage(
                    "this runs until the user stops it, so no listener or timer can run it"
                        .to_owned(),
                )
                .into()
            }
            Output::Source(_) => Failure::Usage(
                "a listener or timer runs one line, so it cannot run a file".to_owned(),
            )
            .into(),
            _ => outcome,
        }
    }

    /// Reports an outcome. Waits while the queue of reports is full.
    async fn report(&self, outcome: Outcome) {
        let report = Report {
            origin: self.origin.clone(),
            line: self.text.clone(),
            target: self.context.target.clone(),
            outcome,
        };
        // If the receiver is gone, the program is ending.
        let _ = self.context.reports.send(report).await;
    }

    /// If the line needs a connection, waits for one: a timer is not an error while disconnected.
    async fn connection(&self) {
        if let Statement::Command(_) | Statement::Message(_) = self.line.statement {
            let mut states = self.context.target.session.watch();
            let _ = states
                .wait_for(|state| matches!(state, State::Running(client) if !client.has_ended()))
                .await;
        }
    }
}
