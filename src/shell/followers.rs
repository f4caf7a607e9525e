//! Background tasks of the shell: they show events and notices, and keep what we know of the server up to date.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::prompt_symbol::PromptSymbol;
use super::terminal::Terminal;
use crate::context::{Context, Job, JobStatusChange, Target};
use crate::lang::Dialect;
use crate::qmp::{Event, Filter, HISTORY, Listener, Notice, Notices, State};
use crate::render::{self, clip, escape, event_line};

/// How many events to show at once. If more are waiting, the latest are shown.
const MOST: usize = 40;

/// How many names of left-out events to list.
const NAMES: usize = 5;

/// How long to pause between batches in a flood of events, so that the terminal can handle the user's keys.
const FLOOD_PAUSE: Duration = Duration::from_millis(100);

/// The background tasks. Dropping it stops them.
pub(super) struct Followers {
    tasks: Vec<AbortHandle>,
}

impl Followers {
    /// Starts the tasks: showing events and notices from now on, loading each server's schema, and keeping
    /// `state` up to date.
    pub fn start(
        context: &Context,
        notices: Notices,
        terminal: &Terminal,
        state: &PromptSymbol,
    ) -> Self {
        let session = &context.target.session;
        let events = session.hub().listen(Filter::default(), HISTORY);
        let show = show(events, notices, terminal.clone(), context.clone());
        let target = &context.target;
        let learn = learn_each(target.clone(), terminal.clone());
        let state = state.clone().follow(target.clone(), terminal.clone());
        let tasks = vec![
            tokio::spawn(show).abort_handle(),
            tokio::spawn(learn).abort_handle(),
            tokio::spawn(state).abort_handle(),
            tokio::spawn(explain_jobs(target.clone(), terminal.clone())).abort_handle(),
        ];
        Self { tasks }
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Shows events and notices in the order in which they arrive.
async fn show(mut events: Listener, mut notices: Notices, terminal: Terminal, context: Context) {
    loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => {
                let batch = Batch::of(event, &mut events, &context);
                terminal.show(batch.text(&context));
                // Wait for the terminal. Events that arrive meanwhile stay in the listener's queue.
                terminal.settle().await;
                if batch.is_flood() {
                    sleep(FLOOD_PAUSE).await;
                    // A flood may never end, and `biased` would starve the notices.
                    while let Ok(notice) = notices.try_recv() {
                        show_notice(notice, &terminal, &context.target).await;
                    }
                }
            }
            Some(notice) = notices.recv() => show_notice(notice, &terminal, &context.target).await,
            else => return,
        }
    }
}

async fn show_notice(notice: Notice, terminal: &Terminal, target: &Target) {
    let banner = match &notice {
        Notice::Back(_) => target.banner().await,
        _ => None,
    };
    let text = render::notice(&notice);
    match (banner, notice) {
        (Some(banner), _) => terminal.show(banner + "\n"),
        // It is a value more than a sentence.
        (None, Notice::Late(_)) => terminal.complain(&format!("{text}\n")),
        (None, _) => terminal.say(&text),
    }
}

/// Events that are shown together.
#[derive(Default)]
struct Batch {
    shown: VecDeque<Arc<Event>>,
    /// The events left out, counted by name.
    left_out: BTreeMap<String, u64>,
    /// How many events were lost because the queue was full.
    missed: u64,
}

impl Batch {
    /// Collects `first` and all events waiting after it, except those that are not to be shown.
    fn of(first: Arc<Event>, events: &mut Listener, context: &Context) -> Self {
        let muted = context.settings().muted;
        let mut batch = Self::default();
        let mut next = Some(first);
        while let Some(event) = next {
            // An event that `:wait` took is shown as its result.
            if !muted.contains(event.name()) && !event.is_taken() {
                batch.shown.push_back(event);
            }
            if batch.shown.len() > MOST
                && let Some(oldest) = batch.shown.pop_front()
            {
                *batch.left_out.entry(oldest.name().to_owned()).or_default() += 1;
            }
            next = events.try_next();
        }
        batch.missed = events.missed();
        batch
    }

    fn is_flood(&self) -> bool {
        self.missed > 0 || !self.left_out.is_empty()
    }

    fn text(&self, context: &Context) -> String {
        let color = context.settings().style.color;
        let mut text = String::new();
        if self.is_flood() {
            let count = self.left_out.values().sum::<u64>() + self.missed;
            let mut names: Vec<String> = self
                .left_out
                .iter()
                .take(NAMES)
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            let named: u64 = self.left_out.values().take(NAMES).sum();
            if count > named {
                names.push(format!("{} others", count - named));
            }
            let names = names.join(", ");
            text = format!("… {count} more events ({names}); `:events` has the last {HISTORY}\n");
            text = escape(&text).into_owned();
        }
        for event in &self.shown {
            text.push_str(&event_line(event, color));
            text.push('\n');
        }
        text
    }
}

/// Shows why a job failed, and what completing one does that has become ready: their events do not say.
async fn explain_jobs(target: Target, terminal: Terminal) {
    let filter = Filter {
        names: vec!["JOB_STATUS_CHANGE".to_owned()],
        matches: None,
    };
    let mut events = target.session.hub().listen(filter, HISTORY);
    while let Some(event) = events.next().await {
        let change = JobStatusChange::read(event.data());
        let explained = |change: &JobStatusChange| matches!(&*change.status, "concluded" | "ready");
        let Some(change) = change.filter(explained) else {
            continue;
        };
        let jobs: Option<Vec<Job>> = target.inspector().ask("query-jobs", json!({})).await;
        let Some(job) = jobs.into_iter().flatten().find(|job| job.id == change.id) else {
            continue;
        };
        if let Some(next) = job.when_completed() {
            terminal.show(format!(
                "{}\n",
                clip(&format!("job `{}` is ready; {next}", job.id))
            ));
        }
        if let Some(error) = job.error {
            let text = format!("job `{}` failed: {error}", job.id);
            terminal.complain(&format!("{}\n", clip(&text)));
        }
    }
}

/// Loads the schema of each server that we connect to.
async fn learn_each(target: Target, terminal: Terminal) {
    let mut states = target.session.watch();
    loop {
        let connected = matches!(*states.borrow_and_update(), State::Running(_));
        if connected {
            tokio::spawn(learn(target.clone(), terminal.clone()));
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// Loads the server's schema ahead of time, or at least the names of its commands.
async fn learn(target: Target, terminal: Terminal) {
    let inspector = target.inspector();
    if target.dialect.has_verbs() {
        inspector.verbs().await;
        terminal.repaint();
        return;
    }
    if target.dialect == Dialect::Qga {
        inspector.commands().await;
    }
    if inspector.schema().await.is_some() {
        // Redraw the line being edited with colours and hints.
        terminal.repaint();
    } else {
        inspector.commands().await;
    }
}
