//! Waits for the ends.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::bar::Bar;
use super::end::{End, job_ids};
use super::jobs::{self, Goal};
use crate::context::Context;
use crate::exec::pending::PendingCommand;
use crate::failure::Failure;
use crate::os::holder::has_ended;
use crate::qmp::{Client, Event, Filter, HISTORY, Listener, State};
use std::sync::Arc;

/// How often the server is asked where no event tells.
const LOOK: Duration = Duration::from_millis(200);

/// How often to look whether a process has ended.
const LOOK_AT_PROCESS: Duration = Duration::from_millis(10);

/// What QEMU's error says if the guest must open the tray first. It has told the guest to.
const LOCKED: &str = "is locked and force was not specified";

/// A balloon has pages of 4 KiB, so that other sizes are rounded.
const PAGE: u64 = 4096;

/// Sees what happens from before a command is sent.
pub(super) struct Watch {
    pub context: Context,
    /// The number of the first message that may be about the command.
    mark: u64,
    events: Listener,
    client: Option<Arc<Client>>,
    bar: Bar,
}

/// How it ended: with a note for the user, if it waits for something else now.
type Ended = Result<Option<String>, Failure>;

impl Watch {
    pub fn begin(context: &Context) -> Self {
        let session = &context.target.session;
        Self {
            context: context.clone(),
            mark: session.hub().messages(),
            events: session.hub().listen(Filter::default(), HISTORY),
            client: session.client(),
            bar: Bar::new(context),
        }
    }

    /// Waits until what `command` set in motion is done. The number of the reply is `replied`; `failure` is why the
    /// command failed, if it did.
    ///
    /// # Errors
    ///
    /// It failed, or the connection has ended.
    pub async fn until(
        &mut self,
        command: &PendingCommand,
        end: Option<End>,
        replied: u64,
        failure: Option<Failure>,
    ) -> Ended {
        match (failure, &end) {
            (None, _) => {}
            // It may end before it has replied.
            (Some(Failure::Qmp(_)), Some(End::Quit)) => {}
            (Some(Failure::Command { error, .. }), Some(End::Eject(id)))
                if error.desc.contains(LOCKED) =>
            {
                return self.eject(command, id).await;
            }
            (Some(failure), _) => return Err(failure),
        }
        match end {
            Some(End::Quit) => return self.gone().await,
            Some(End::Powerdown) => return self.powerdown().await,
            _ => {}
        }
        let session = self.context.target.session.clone();
        let mut states = session.watch();
        let lost = async {
            let lost = states
                .wait_for(|state| !matches!(state, State::Running(_)))
                .await;
            lost.map_or(State::Idle(None), |state| state.clone())
        };
        tokio::select! {
            biased;
            ended = self.end(command, end, replied) => ended,
            state = lost => Err(Failure::not_connected(&state)),
        }
    }

    async fn end(&mut self, command: &PendingCommand, end: Option<End>, replied: u64) -> Ended {
        match end {
            Some(End::Job(id)) => self.jobs(&[id]).await,
            Some(End::Device(id)) => self.device(&id).await,
            Some(End::Export(id)) => {
                self.event(|event| {
                    (event.name() == "BLOCK_EXPORT_DELETED" && has(event, "id", &id)).then_some(())
                })
                .await;
                Ok(None)
            }
            Some(End::Migration) => self.migration().await,
            Some(End::Dump) => self.dump().await,
            Some(End::Reset) => self.reset().await,
            Some(End::Running(running)) => self.running(running).await,
            Some(End::Balloon(bytes)) => self.balloon(bytes).await,
            Some(End::Eject(_) | End::Powerdown | End::Quit) => Ok(None),
            None => self.created_jobs(command, replied).await,
        }
    }

    /// The next event that `wanted` makes something of.
    async fn event<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            match self.events.next().await {
                Some(event) => {
                    if let Some(found) = wanted(&event) {
                        return found;
                    }
                }
                // The session has ended, and this program is about to.
                None => std::future::pending().await,
            }
        }
    }

    /// Waits until something happens, but no longer than until it is time to look again.
    async fn pause(&mut self) {
        let _ = timeout(LOOK, self.events.next()).await;
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, command: &str) -> Option<T> {
        let inspector = self.context.target.inspector();
        inspector.ask(command, json!({})).await
    }

    /// Waits for the jobs that the command gave ids to, or else for those that were created before it replied.
    async fn created_jobs(&mut self, command: &PendingCommand, replied: u64) -> Ended {
        let line = command.line().command();
        let mut ids = line.map_or(Vec::new(), |command| job_ids(&command));
        if ids.is_empty() {
            let history = self.context.target.session.hub().history();
            let since = history
                .iter()
                .filter(|event| (self.mark..replied).contains(&event.number));
            ids = jobs::created(since.map(|event| &**event));
        }
        if ids.is_empty() {
            let note = format!(
                "`{}` was run; it sets nothing in motion that has an end",
                command.name()
            );
            return Ok(Some(note));
        }
        self.jobs(&ids).await
    }

    async fn jobs(&mut self, ids: &[String]) -> Ended {
        let (mut notes, mut failures) = (Vec::new(), Vec::new());
        for id in ids {
            match jobs::wait(&self.context, id, Goal::Rest, self.mark, &self.bar).await {
                Ok(status) => notes.extend(match &*status {
                    "ready" => Some(format!("job `{id}` is ready; `:job complete {id}` ends it")),
                    "pending" => Some(format!(
                        "job `{id}` is pending; `:job finalize {id}` ends it"
                    )),
                    _ => None,
                }),
                // The others are to end, too, before the next line runs.
                Err(Failure::Failed(why)) => failures.push(why),
                Err(failure) => return Err(failure),
            }
        }
        match failures.is_empty() {
            true => Ok((!notes.is_empty()).then(|| notes.join("; "))),
            false => Err(Failure::Failed(failures.join("; "))),
        }
    }

    async fn device(&mut self, id: &str) -> Ended {
        self.bar.show(id, None, "waits for the guest to release it");
        let released = self.event(|event| {
            let is_it = has(event, "device", id) || has(event, "path", id);
            match event.name() {
                "DEVICE_DELETED" if is_it => Some(true),
                "DEVICE_UNPLUG_GUEST_ERROR" | "MEM_UNPLUG_ERROR" if is_it => Some(false),
                _ => None,
            }
        });
        match released.await {
            true => Ok(None),
            false => Err(Failure::Failed(format!(
                "the guest refuses to release `{id}`"
            ))),
        }
    }

    async fn migration(&mut self) -> Ended {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Migration {
            status: Option<String>,
            error_desc: Option<String>,
            ram: Option<Ram>,
        }
        #[derive(Deserialize)]
        struct Ram {
            total: u64,
            remaining: u64,
        }
        loop {
            let now: Option<Migration> = self.ask("query-migrate").await;
            let Some(now) = now else {
                self.pause().await;
                continue;
            };
            let status = now.status.unwrap_or_default();
            let failed = |what: &str| {
                let why = now
                    .error_desc
                    .as_ref()
                    .map_or(String::new(), |why| format!(": {why}"));
                Err(Failure::Failed(format!("the migration {what}{why}")))
            };
            match &*status {
                "completed" | "colo" => return Ok(None),
                "failed" => return failed("failed"),
                "cancelled" => return failed("was cancelled"),
                "postcopy-paused" => return failed("is paused; `migrate-recover` goes on with it"),
                "pre-switchover" => {
                    let note = "the migration waits for `migrate-continue state=pre-switchover`";
                    return Ok(Some(note.to_owned()));
                }
                _ => {}
            }
            let percent = now.ram.filter(|ram| ram.total > 0).map(|ram| {
                let done = ram.total.saturating_sub(ram.remaining);
                done.saturating_mul(100) / ram.total
            });
            self.bar.show("migration", percent, &status);
            self.pause().await;
        }
    }

    async fn dump(&mut self) -> Ended {
        #[derive(Deserialize)]
        struct Dump {
            status: String,
            completed: u64,
            total: u64,
        }
        loop {
            // The event is older than the answer, if there is one.
            let now: Option<Dump> = self.ask("query-dump").await;
            while let Some(event) = self.events.try_next() {
                if event.name() == "DUMP_COMPLETED" {
                    return match member(&event, "error") {
                        Some(Value::String(why)) => {
                            Err(Failure::Failed(format!("the dump failed: {why}")))
                        }
                        _ => Ok(None),
                    };
                }
            }
            if let Some(now) = now {
                let percent = now.completed.saturating_mul(100).checked_div(now.total);
                self.bar.show("dump", percent, &now.status);
            }
            sleep(LOOK / 4).await;
        }
    }

    async fn reset(&mut self) -> Ended {
        let name = self.event(|event| match event.name() {
            name @ ("RESET" | "SHUTDOWN") => Some(name == "RESET"),
            _ => None,
        });
        match name.await {
            true => Ok(None),
            // With -no-reboot.
            false => Err(Failure::Failed("the VM shut down instead".to_owned())),
        }
    }

    async fn running(&mut self, wanted: bool) -> Ended {
        #[derive(Deserialize)]
        struct Status {
            running: bool,
            status: String,
        }
        loop {
            if let Some(now) = self.ask::<Status>("query-status").await {
                if now.running == wanted {
                    return Ok(None);
                }
                self.bar.show("VM", None, &now.status);
            }
            self.pause().await;
        }
    }

    async fn eject(&mut self, command: &PendingCommand, id: &str) -> Ended {
        self.bar
            .show(id, None, "waits for the guest to open the tray");
        let opened = self.event(|event| {
            let is_it = has(event, "device", id) || has(event, "id", id);
            let is_open = member(event, "tray-open") == Some(Value::Bool(true));
            (event.name() == "DEVICE_TRAY_MOVED" && is_it && is_open).then_some(())
        });
        opened.await;
        let mut again = PendingCommand::send(&self.context, command.line().clone())?;
        let reply = again.reply().await?;
        reply.value().map_err(Failure::from)?;
        Ok(None)
    }

    async fn balloon(&mut self, bytes: u64) -> Ended {
        #[derive(Deserialize)]
        struct Balloon {
            actual: u64,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Memory {
            base_memory: u64,
        }
        // It can have no more than all.
        let memory: Option<Memory> = self.ask("query-memory-size-summary").await;
        let wanted = memory.map_or(bytes, |memory| bytes.min(memory.base_memory));
        let mut first = None;
        loop {
            if let Some(Balloon { actual }) = self.ask("query-balloon").await {
                if actual.abs_diff(wanted) < PAGE {
                    return Ok(None);
                }
                let first = *first.get_or_insert(actual);
                let way = first.abs_diff(wanted).max(1);
                let left = actual.abs_diff(wanted).min(way);
                let percent = (way - left).saturating_mul(100) / way;
                self.bar
                    .show("balloon", Some(percent), &format!("{} MiB", actual >> 20));
            }
            self.pause().await;
        }
    }

    /// Waits until the guest has shut down, and QEMU has ended unless it stays for that (-no-shutdown).
    async fn powerdown(&mut self) -> Ended {
        self.bar
            .show("VM", None, "waits for the guest to shut down");
        let ended = self.client.as_ref().map(|client| client.ended());
        let ended = async {
            match ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.event(|event| (event.name() == "SHUTDOWN").then_some(())) => {}
            () = ended => {}
        }
        tokio::select! {
            biased;
            // Only one that stays answers.
            Some(_) = self.ask::<Value>("query-status") => Ok(None),
            gone = self.gone() => gone,
        }
    }

    /// Waits until QEMU's process has ended; where that cannot be seen, until the connection has.
    async fn gone(&self) -> Ended {
        if let Some(vm) = &self.context.target.vm {
            vm.ended().await;
            return Ok(None);
        }
        if let Some(client) = &self.client {
            client.ended().await;
            // The pid is 0 if the process is not visible to us.
            if let Some(pid) = client.peer_pid().filter(|pid| *pid > 0) {
                while !has_ended(pid) {
                    sleep(LOOK_AT_PROCESS).await;
                }
            }
        }
        Ok(None)
    }
}

/// A member of an event's data.
fn member(event: &Event, key: &str) -> Option<Value> {
    let data: Value = serde_json::from_str(event.data()).ok()?;
    data.get(key).cloned()
}

fn has(event: &Event, key: &str, text: &str) -> bool {
    member(event, key).is_some_and(|value| value == text)
}
