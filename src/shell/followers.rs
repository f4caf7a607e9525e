//! Looks after the session while the user is busy: events, late replies, and what becomes of the connection.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::helper::Server;
use super::prompt_symbol::PromptSymbol;
use super::terminal::Terminal;
use crate::inspector::Inspector;
use crate::qmp::{Change, Event, Filter, HISTORY, Late, Listener, State};
use crate::render::{self, clip, escape, event_line};
use crate::runner::{Runner, banner};

/// How many events are shown in one go; of more, those that came last.
const MOST: usize = 40;

/// How many names of those that are left out are told.
const NAMES: usize = 5;

/// How long a terminal has for the user's keys before it is shown more of a flood.
const FLOOD_PAUSE: Duration = Duration::from_millis(100);

/// Runs as long as it is kept.
pub(super) struct Followers {
    tasks: Vec<AbortHandle>,
}

impl Followers {
    /// Shows what happens from now on, lets lines be for whoever serves us, and keeps `state`.
    pub fn start(
        runner: &Runner,
        changes: UnboundedReceiver<Change>,
        printer: &Terminal,
        server: &Arc<RwLock<Server>>,
        state: &PromptSymbol,
    ) -> Self {
        let session = &runner.session;
        let events = session.hub().listen(Filter::default(), HISTORY);
        let show = show(events, changes, printer.clone(), runner.clone());
        let follow = follow(runner.clone(), server.clone(), printer.clone());
        let state = state.clone().follow(runner.clone(), printer.clone());
        let mut tasks = vec![
            tokio::spawn(show).abort_handle(),
            tokio::spawn(follow).abort_handle(),
            tokio::spawn(state).abort_handle(),
            tokio::spawn(show_failed_jobs(runner.clone(), printer.clone())).abort_handle(),
        ];
        if let Some(late) = session.late_replies() {
            tasks.push(tokio::spawn(show_late(late, printer.clone())).abort_handle());
        }
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

/// Shows events, and what becomes of the connection, in the order in which they happen.
async fn show(
    mut events: Listener,
    mut changes: UnboundedReceiver<Change>,
    printer: Terminal,
    runner: Runner,
) {
    loop {
        tokio::select! {
            biased;
            Some(event) = events.next() => {
                let batch = Batch::of(event, &mut events, &runner);
                printer.show(batch.text(&runner));
                // The terminal sets the pace; what comes meanwhile waits in the listener's queue.
                printer.settle().await;
                if batch.is_flood() {
                    sleep(FLOOD_PAUSE).await;
                }
            }
            Some(change) = changes.recv() => match change {
                Change::Back(client) => printer.show(banner(&client).await + "\n"),
                change => printer.complain(&format!("{}\n", render::change(&change))),
            },
            else => return,
        }
    }
}

/// Events that are shown in one go.
#[derive(Default)]
struct Batch {
    shown: VecDeque<Arc<Event>>,
    /// Names of those there is no room for, and how many.
    left_out: BTreeMap<String, u64>,
    /// How many found the queue full.
    missed: u64,
}

impl Batch {
    /// The event and all that wait behind it, but for those that are not to be shown.
    fn of(first: Arc<Event>, events: &mut Listener, runner: &Runner) -> Self {
        let muted = runner.settings().muted;
        let mut batch = Self::default();
        let mut next = Some(first);
        while let Some(event) = next {
            // What somebody waited for is shown to them.
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

    fn text(&self, runner: &Runner) -> String {
        let color = runner.settings().style.color;
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

/// Says why a job failed: the event that it has concluded does not.
async fn show_failed_jobs(runner: Runner, printer: Terminal) {
    #[derive(Deserialize)]
    struct Change {
        id: String,
        status: String,
    }
    #[derive(Deserialize)]
    struct Job {
        id: String,
        error: Option<String>,
    }
    let filter = Filter {
        names: vec!["JOB_STATUS_CHANGE".to_owned()],
        matches: None,
    };
    let mut events = runner.session.hub().listen(filter, HISTORY);
    while let Some(event) = events.next().await {
        let change: Option<Change> = serde_json::from_str(event.data()).ok();
        let Some(change) = change.filter(|change| change.status == "concluded") else {
            continue;
        };
        let jobs: Option<Vec<Job>> = runner.inspector().ask("query-jobs", json!({})).await;
        let mut failed = jobs.into_iter().flatten().filter(|job| job.id == change.id);
        if let Some(error) = failed.find_map(|job| job.error) {
            printer.complain(&format!(
                "{}\n",
                clip(&format!("job `{}` failed: {error}", change.id))
            ));
        }
    }
}

async fn show_late(mut replies: UnboundedReceiver<Late>, printer: Terminal) {
    while let Some(late) = replies.recv().await {
        printer.complain(&format!("{}\n", render::late(&late)));
    }
}

/// Has lines be for the server there is.
async fn follow(runner: Runner, server: Arc<RwLock<Server>>, printer: Terminal) {
    let mut states = runner.session.watch();
    loop {
        let connected = matches!(*states.borrow_and_update(), State::Running(_));
        if connected {
            let inspector = runner.inspector();
            *server.write().expect("no reader panics") = Server {
                inspector: inspector.clone(),
                commands: Vec::new(),
            };
            tokio::spawn(learn(inspector, server.clone(), printer.clone()));
        }
        if states.changed().await.is_err() {
            return;
        }
    }
}

/// Learns what the server accepts. Nobody waits for it.
async fn learn(inspector: Arc<Inspector>, server: Arc<RwLock<Server>>, printer: Terminal) {
    if inspector.schema().await.is_some() {
        // The line that is being edited can be understood now.
        printer.repaint();
        return;
    }
    let commands = inspector.commands().await;
    server.write().expect("no reader panics").commands = commands;
}
