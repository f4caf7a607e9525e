//! The VM's state, as the prompt shows it: a symbol of constant width that changes while a line is edited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::terminal::Terminal;
use crate::context::{Inspector, Target};
use crate::qmp::{Event, Filter, HISTORY, Listener, State};

const UNCONNECTED: char = '○';
const RUNNING: char = '●';
const PAUSED: char = '‖';
const BROKEN: char = '!';
const MIGRATING: char = '✦';

/// How long the next question of the state waits after the last one: in a flood of events there is no need to
/// ask for each.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// How often is asked whether a migration is over: without the capability `events` QEMU does not say so.
const MIGRATION_POLL: Duration = Duration::from_secs(1);

/// The symbol that stands in the prompt.
#[derive(Clone)]
pub(super) struct PromptSymbol {
    symbol: Arc<AtomicU32>,
    /// Something was done that no event tells of.
    doubt: Arc<Notify>,
}

/// What stands before and behind the symbol.
const BEFORE: &str = "(QEMU ";
const BEHIND: &str = ") ";

impl PromptSymbol {
    pub fn new() -> Self {
        Self {
            symbol: Arc::new(AtomicU32::new(UNCONNECTED.into())),
            doubt: Arc::default(),
        }
    }

    /// Looks again, if `command` may have changed the state with no event to tell so.
    pub fn after(&self, command: &str) {
        if command.starts_with("migrate") {
            self.doubt.notify_one();
        }
    }

    fn set(&self, symbol: char, terminal: &Terminal) {
        if self.symbol.swap(symbol.into(), Ordering::Relaxed) != u32::from(symbol) {
            terminal.repaint();
        }
    }

    /// The prompt as it is now.
    pub fn prompt(&self) -> String {
        let symbol = char::from_u32(self.symbol.load(Ordering::Relaxed));
        format!("{BEFORE}{}{BEHIND}", symbol.unwrap_or(' '))
    }

    /// What stands in the place of `prompt` by now, if that is one with a state.
    pub fn renew(&self, prompt: &str) -> Option<String> {
        (prompt.starts_with(BEFORE) && prompt.ends_with(BEHIND)).then(|| self.prompt())
    }

    /// Keeps the symbol true, for as long as the session lasts.
    pub async fn follow(self, target: Target, terminal: Terminal) {
        let mut states = target.session.watch();
        let filter = Filter {
            names: TELLING.iter().map(|name| (*name).to_owned()).collect(),
            matches: None,
        };
        let mut events = target.session.hub().listen(filter, HISTORY);
        loop {
            let connected = matches!(*states.borrow_and_update(), State::Running(_));
            let mut again = None;
            if connected {
                // What is to be asked next is of what came before the answer.
                while events.try_next().is_some() {}
                let symbol = ask(&target.inspector()).await;
                // A server that does not tell leaves it at what its events said.
                if let Some(symbol) = symbol {
                    self.set(symbol, &terminal);
                }
                again = (symbol == Some(MIGRATING)).then_some(MIGRATION_POLL);
            } else {
                self.set(UNCONNECTED, &terminal);
            }
            tokio::select! {
                changed = states.changed() => if changed.is_err() {
                    return;
                },
                () = self.take_over(&mut events, &terminal), if connected => {
                    sleep(BETWEEN_QUESTIONS).await;
                }
                () = self.doubt.notified() => {}
                () = pause(again) => {}
            }
        }
    }

    /// Takes over what an event tells, and resolves when there is more to ask.
    async fn take_over(&self, events: &mut Listener, terminal: &Terminal) {
        match events.next().await {
            Some(event) => {
                let mut last = symbol_of(&event);
                while let Some(event) = events.try_next() {
                    last = symbol_of(&event).or(last);
                }
                if let Some(symbol) = last {
                    self.set(symbol, terminal);
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// The events after which the state may be another.
const TELLING: [&str; 16] = [
    "STOP",
    "RESUME",
    "SHUTDOWN",
    "POWERDOWN",
    "RESET",
    "SUSPEND",
    "SUSPEND_DISK",
    "WAKEUP",
    "WATCHDOG",
    "GUEST_PANICKED",
    "GUEST_CRASHLOADED",
    "BLOCK_IO_ERROR",
    "MIGRATION",
    "MIGRATION_PASS",
    "UNPLUG_PRIMARY",
    "COLO_EXIT",
];

/// What an event alone says of the state.
fn symbol_of(event: &Event) -> Option<char> {
    match event.name() {
        "STOP" | "SUSPEND" | "SUSPEND_DISK" => Some(PAUSED),
        "RESUME" | "WAKEUP" => Some(RUNNING),
        "GUEST_PANICKED" => Some(BROKEN),
        _ => None,
    }
}

async fn pause(length: Option<Duration>) {
    match length {
        Some(length) => sleep(length).await,
        None => std::future::pending().await,
    }
}

/// Asks for the state. A server without `query-status` is there, and that is all there is to know of it; one
/// that is gone, or does not answer now, tells nothing.
async fn ask(inspector: &Inspector) -> Option<char> {
    #[derive(Deserialize)]
    struct Status {
        status: String,
    }
    #[derive(Deserialize)]
    struct Migration {
        status: Option<String>,
    }
    let status: Option<Status> = inspector.ask("query-status", json!({})).await;
    let Some(Status { status }) = status else {
        return inspector.is_connected().then_some(RUNNING);
    };
    let symbol = symbol_of_status(&status);
    if symbol != RUNNING && symbol != PAUSED {
        return Some(symbol);
    }
    // A VM runs on while it is sent elsewhere.
    let migration: Option<Migration> = inspector.ask("query-migrate", json!({})).await;
    let migration = migration.and_then(|migration| migration.status);
    Some(match migration.as_deref() {
        Some(
            "setup" | "active" | "postcopy-active" | "pre-switchover" | "device" | "cancelling"
            | "wait-unplug",
        ) => MIGRATING,
        _ => symbol,
    })
}

/// The symbol for a `RunState` (`qapi/run-state.json`).
fn symbol_of_status(status: &str) -> char {
    match status {
        "running" => RUNNING,
        "inmigrate" | "finish-migrate" => MIGRATING,
        "guest-panicked" | "internal-error" | "io-error" => BROKEN,
        _ => PAUSED,
    }
}
