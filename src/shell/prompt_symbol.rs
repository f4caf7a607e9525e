//! The VM's state in the prompt: a symbol of constant width that changes even while a line is edited.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::terminal::Terminal;
use crate::context::{Context, Inspector, ServerKind, Target, unasked_patience};
use crate::lang::Dialect;
use crate::qmp::{Event, Filter, HISTORY, Listener, State};
use crate::render::{cut_end, escape_line};

// The symbols of the states; each must be one column wide.
const UNCONNECTED: char = '○';
const RUNNING: char = '●';
const PAUSED: char = '‖';
const BROKEN: char = '!';
const MIGRATING: char = '✦';

/// The minimum time between two queries of the state, so that a flood of events does not cause a flood of
/// queries.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(100);

/// How often to check whether a migration is over: without the migration capability `events`, QEMU sends no
/// event.
const MIGRATION_POLL: Duration = Duration::from_secs(1);

/// The symbol in the prompt. Clones share the same symbol.
#[derive(Clone)]
pub(super) struct PromptSymbol {
    symbol: Arc<AtomicU32>,
    dialect: Dialect,
    /// What stands before and after it in the prompt that was made last, if it stands there.
    around: Arc<Mutex<Option<(String, String)>>>,
    /// Notified when the state may have changed without an event.
    doubt: Arc<Notify>,
}

/// The usual prompt.
fn usual(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Qmp => "({name} {state}) ",
        Dialect::Qga => "(guest {state}) ",
        Dialect::Hmp => "({name} hmp {state}) ",
        Dialect::Qtest => "(qtest {state}) ",
    }
}

/// The name in the prompt of a VM without one.
const NAMELESS: &str = "QEMU";

/// The name in the prompt of a storage daemon.
const STORAGE_DAEMON: &str = "QSD";

/// How many columns of a name the prompt shows.
const NAME: usize = 32;

impl PromptSymbol {
    /// The symbol of a server that speaks `dialect`, and is not connected yet.
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            around: Arc::default(),
            symbol: Arc::new(AtomicU32::new(UNCONNECTED.into())),
            doubt: Arc::default(),
        }
    }

    /// Queries the state again if `command` may have changed it without an event.
    pub fn after(&self, command: &str) {
        if command.starts_with("migrate") {
            self.doubt.notify_one();
        }
    }

    /// Asks for the state, and waits a moment for the answer: for a terminal on which a prompt is not drawn again.
    pub async fn ask_now(&self, context: &Context) {
        let inspector = context.target.inspector();
        if inspector.is_connected()
            && let Ok(Some(symbol)) = timeout(unasked_patience(), ask(&inspector)).await
        {
            self.symbol.store(symbol.into(), Ordering::Relaxed);
        }
    }

    fn set(&self, symbol: char, terminal: &Terminal) {
        if self.symbol.swap(symbol.into(), Ordering::Relaxed) != u32::from(symbol) {
            terminal.repaint();
        }
    }

    /// The prompt with the VM's name and the current symbol, or as the setting `prompt` wants it.
    pub fn prompt(&self, context: &Context) -> String {
        let text = context.settings().prompt.text;
        let text = text.as_deref().unwrap_or(usual(self.dialect));
        let client = context.target.session.client();
        let address = client.as_ref().map(|client| client.endpoint().to_string());
        let version = client.map(|client| client.greeting().version.qemu.to_string());
        let name = context.target.name().filter(|name| !name.is_empty());
        let name = match name {
            Some(name) => cut_end(&escape_line(&name), NAME).into_owned(),
            None if context.target.is_storage_daemon() => STORAGE_DAEMON.to_owned(),
            None => NAMELESS.to_owned(),
        };
        let fill = |text: &str| {
            let text = text.replace("{name}", &name);
            let text = text.replace("{address}", &address.clone().unwrap_or_default());
            let text = text.replace("{version}", &version.clone().unwrap_or_default());
            escape_line(&text).into_owned()
        };
        let around = text.split_once("{state}");
        let around = around.map(|(before, after)| (fill(before), fill(after)));
        let prompt = match &around {
            Some((before, after)) => format!("{before}{}{after}", self.now()),
            None => fill(text),
        };
        *self.around.lock() = around;
        prompt
    }

    fn now(&self) -> char {
        char::from_u32(self.symbol.load(Ordering::Relaxed)).unwrap_or(' ')
    }

    /// The current prompt to show in place of `prompt`. `None` if `prompt` has no symbol.
    pub fn renew(&self, prompt: &str) -> Option<String> {
        let around = self.around.lock();
        let (before, after) = around.as_ref()?;
        let is_ours = prompt.starts_with(&**before) && prompt.ends_with(&**after);
        is_ours.then(|| format!("{before}{}{after}", self.now()))
    }

    /// Keeps the symbol up to date until the session ends.
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
                // The query covers the events that have arrived so far.
                while events.try_next().is_some() {}
                let symbol = ask(&target.inspector()).await;
                // Without an answer, keep the symbol that the events suggest.
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

    /// Waits for an event, and shows what it says about the state. The caller should then query the state.
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

/// The events after which the state may have changed.
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

/// The symbol for what an event says about the state, if it says anything.
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

/// Queries the state, and returns its symbol. A storage daemon, which has no state, and any other server without
/// `query-status` count as running. `None` if the
/// connection has ended.
async fn ask(inspector: &Inspector) -> Option<char> {
    #[derive(Deserialize)]
    struct Status {
        status: String,
    }
    #[derive(Deserialize)]
    struct Migration {
        status: Option<String>,
    }
    if inspector.kind().await == Some(ServerKind::StorageDaemon) {
        return Some(RUNNING);
    }
    let status: Option<Status> = inspector.ask("query-status", json!({})).await;
    let Some(Status { status }) = status else {
        return inspector.is_connected().then_some(RUNNING);
    };
    let symbol = symbol_of_status(&status);
    if symbol != RUNNING && symbol != PAUSED {
        return Some(symbol);
    }
    // A VM keeps running while it is migrated away.
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
