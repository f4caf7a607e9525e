//! Looks after a connection while the user is busy: events, late replies, and its end.

use std::sync::{Arc, RwLock};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::AbortHandle;

use super::printer::Printer;
use crate::qmp::{Client, Filter, HISTORY, Late, Listener, Lost, Request};
use crate::render::{Style, event_line, late_reply};
use crate::runner::Runner;

/// How many events are shown in one go.
const BATCH: usize = 200;

/// Runs as long as it is kept.
pub(super) struct Watch {
    tasks: Vec<AbortHandle>,
}

impl Watch {
    /// Says what the runner is connected to, watches that, and fills `commands` with what it knows.
    pub async fn start(
        runner: &mut Runner,
        printer: &Printer,
        commands: &Arc<RwLock<Vec<String>>>,
    ) -> Self {
        let style = runner.settings.style;
        // Before anything is waited for: from now on no event is missed.
        let events = runner
            .client
            .as_ref()
            .map(|client| client.listen(Filter::default(), HISTORY));
        printer.show(runner.banner().await + "\n");
        let (Some(client), Some(events)) = (&mut runner.client, events) else {
            return Self { tasks: Vec::new() };
        };
        let mut tasks = vec![
            tokio::spawn(show_events(events, client.ended(), printer.clone(), style))
                .abort_handle(),
        ];
        if let Some(late) = client.late_replies() {
            tasks.push(tokio::spawn(show_late(late, printer.clone())).abort_handle());
        }
        if let Some(names) = learn_commands(client, commands.clone()) {
            tasks.push(names);
        }
        Self { tasks }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Shows events as they come, and in the end why there will be no more.
async fn show_events(
    mut events: Listener,
    ended: impl Future<Output = Lost>,
    printer: Printer,
    style: Style,
) {
    while let Some(event) = events.next().await {
        let mut text = event_line(&event, style.color) + "\n";
        for _ in 1..BATCH {
            let Some(event) = events.try_next() else {
                break;
            };
            text.push_str(&event_line(&event, style.color));
            text.push('\n');
        }
        printer.show(text);
        // The terminal sets the pace; what it cannot show waits in the listener's queue.
        printer.settle().await;
        let missed = events.missed();
        if missed > 0 {
            printer.complain(&format!("{missed} more events came than could be shown\n"));
        }
    }
    let lost = ended.await;
    if matches!(lost, Lost::Disconnected) {
        return;
    }
    printer.complain(&format!(
        "The connection is gone: {lost}. `:connect` connects again.\n"
    ));
}

async fn show_late(mut replies: UnboundedReceiver<Late>, printer: Printer) {
    while let Some(late) = replies.recv().await {
        printer.complain(&format!("{}\n", late_reply(&late)));
    }
}

/// Asks which commands there are, for completion. Nobody waits for it.
fn learn_commands(client: &Client, commands: Arc<RwLock<Vec<String>>>) -> Option<AbortHandle> {
    #[derive(serde::Deserialize)]
    struct Command {
        name: String,
    }
    let pending = client.send(Request::new("query-commands").quietly()).ok()?;
    let task = tokio::spawn(async move {
        if let Ok(reply) = pending.await
            && let Ok(value) = reply.value()
            && let Ok(names) = serde_json::from_str::<Vec<Command>>(value)
        {
            let names = names.into_iter().map(|command| command.name).collect();
            *commands.write().expect("no reader panics") = names;
        }
    });
    Some(task.abort_handle())
}
