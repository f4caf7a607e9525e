//! Queries the server about itself: its schema, its commands, what it is. Its types and objects are in [`super::qom`].

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::OnceCell;

use super::server_kind::ServerKind;
use super::types::Types;
use crate::dialect::verbs::Verb;
use crate::dialect::{self, hmp};
use crate::lang::{Dialect, Statement, quote};
use crate::manual::reference::{Reference, Which, program_of};
use crate::qmp::{Client, Reply, Request};
use crate::schema::cache::Cache;
use crate::schema::{Property, Schema};

/// The commands that may be sent to a running VM: none of them changes it, or makes QEMU load code. All others go to its
/// [twin](crate::vm::twin).
///
/// A QEMU built with modules loads them when it needs one of their types. After an upgrade on disk, a QEMU that still
/// runs finds modules of another build: 5.2 warns and goes on, 7.2 to 11.1 abort when they have met two of them
/// (`module_load_dso: Assertion`). A trace of what 5.2, 7.2, 10.0 and 11.1 open shows:
///
/// | question | what it opens |
/// | --- | --- |
/// | `qom-list-types`, whatever it is to list | all modules with types (`module_load_qom_all`) |
/// | HMP's `info qdm` and `device_add help` | the same |
/// | `device-list-properties`, `qom-list-properties` | the module of that type, and those it needs; 7.2 aborts if one of those is not installed. They also make an object of the type, and drop it |
/// | `query-accelerators` (11.1) | the accelerators' modules |
/// | `query-sgx-capabilities` | `/dev/sgx_vepc` |
/// | `device_add`, `object-add`, `chardev-add`, `blockdev-add`, `netdev_add` | the module of what they add, and firmware: only if the user sends them |
/// | every other `query-*` and `x-query-*` without arguments | nothing |
/// | `qom-list`, `qom-get`, `trace-event-get-state`, `query-cpu-model-expansion` | nothing |
/// | HMP's `info qtree`, `info qom-tree`, `info usbhost`, `help`, `object_add help`, `netdev_add help` | no module; 5.2 looks for USB devices |
const HARMLESS: [&str; 22] = [
    "qom-get",
    "qom-list",
    "query-balloon",
    "query-block",
    "query-block-exports",
    "query-block-jobs",
    "query-chardev",
    "query-command-line-options",
    "query-commands",
    "query-cpu-definitions",
    "query-cpus-fast",
    "query-dump",
    "query-fdsets",
    "query-iothreads",
    "query-jobs",
    "query-memory-size-summary",
    "query-migrate",
    "query-migrate-capabilities",
    "query-name",
    "query-named-block-nodes",
    "query-status",
    "trace-event-get-state",
];

/// Queries one server, and remembers what cannot change while it runs. No query changes the VM.
#[derive(Default)]
pub struct Inspector {
    client: Weak<Client>,
    /// What the server speaks.
    dialect: Dialect,
    /// Set once the server was asked: `Some(None)` if it has no schema.
    schema: OnceCell<Option<Arc<Schema>>>,
    /// Set once the server told what it is.
    kind: OnceCell<ServerKind>,
    /// The names of its commands, from `query-commands`.
    commands: OnceCell<Arc<[String]>>,
    /// What the human monitor's `help` lists, or the verbs of the dialect.
    verbs: OnceCell<Option<Arc<[Verb]>>>,
    /// Properties by the name of the device type.
    pub(super) properties: Mutex<HashMap<String, Arc<[Property]>>>,
    types: Option<Arc<Types>>,
    /// Set once it was looked for: `Some(None)` if there is none.
    reference: OnceCell<Option<Arc<Reference>>>,
}

/// What `guest-info` returns (`qga/qapi-schema.json`).
#[derive(Debug, Default, Deserialize)]
struct AgentInfo {
    version: String,
    supported_commands: Vec<AgentCommand>,
}

#[derive(Debug, Deserialize)]
struct AgentCommand {
    name: String,
    enabled: bool,
}

/// The connection ended before the reply arrived.
struct Gone;

impl Inspector {
    /// Creates an inspector that queries the server on this connection, but has nothing to ask about types.
    pub fn of(client: &Arc<Client>) -> Self {
        Self {
            client: Arc::downgrade(client),
            ..Self::default()
        }
    }

    /// Adds a source of types.
    pub(super) fn with_types(mut self, types: Types) -> Self {
        self.types = Some(Arc::new(types));
        self
    }

    /// The server speaks this.
    pub(super) fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        if let Some(verbs) = dialect::verbs(dialect) {
            self.verbs = OnceCell::new_with(Some(Some(verbs)));
        }
        self
    }

    /// Whether it queries this connection.
    pub fn asks(&self, client: &Arc<Client>) -> bool {
        std::ptr::eq(self.client.as_ptr(), Arc::as_ptr(client))
    }

    /// Whether its connection is still up.
    pub fn is_connected(&self) -> bool {
        let client = self.client.upgrade();
        client.is_some_and(|client| !client.has_ended())
    }

    /// Uses `schema` instead of the server's own.
    pub fn with_schema(mut self, schema: Arc<Schema>) -> Self {
        self.schema = OnceCell::new_with(Some(Some(schema)));
        self
    }

    /// The schema, from the cache on disk or else from the server. `None` if the server has no schema, or there
    /// is no connection.
    pub async fn schema(&self) -> Option<Arc<Schema>> {
        let schema = self.schema.get_or_try_init(|| self.learn()).await;
        schema.ok().cloned().flatten()
    }

    /// The reference installed for a server with this schema, if there is one.
    pub async fn reference(&self, schema: &Schema) -> Option<Arc<Reference>> {
        let which = Which::of(schema);
        let pid = self.client.upgrade().and_then(|client| client.peer_pid());
        let find = async || {
            // It reads files, and may wait for a program that unpacks them.
            let find = move || {
                let path = Reference::find(which, pid.and_then(program_of).as_deref())?;
                Reference::load(&path).ok().map(Arc::new)
            };
            tokio::task::spawn_blocking(find).await.ok().flatten()
        };
        self.reference.get_or_init(find).await.clone()
    }

    /// The schema, if it is known already.
    pub fn known_schema(&self) -> Option<Arc<Schema>> {
        self.schema.get().cloned().flatten()
    }

    async fn learn(&self) -> Result<Option<Arc<Schema>>, Gone> {
        let client = self.client.upgrade().ok_or(Gone)?;
        let version = &client.greeting().version;
        let cache = client
            .peer_pid()
            .and_then(|pid| Cache::of(&version.qemu.to_string(), &version.package, pid));
        if let Some(schema) = cache.as_ref().and_then(Cache::load) {
            return Ok(Some(Arc::new(schema)));
        }
        let request = Request::new("query-qmp-schema").quietly();
        let pending = client.send(request).map_err(|_| Gone)?;
        drop(client);
        let reply = pending.await.map_err(|_| Gone)?;
        let Ok(json) = reply.value() else {
            return Ok(None);
        };
        let schema = Schema::read(json).ok().map(Arc::new);
        if let (Some(cache), Some(_)) = (cache, &schema) {
            // Failing to write the cache only costs time on the next run.
            let _ = cache.store(json);
        }
        Ok(schema)
    }

    /// Sends a command that must not change anything, and returns the value of its reply. `None` if the command
    /// fails, or its value is not a `T`. A command that is not [`HARMLESS`] goes to the VM's twin; a storage daemon has
    /// none.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        command: &str,
        arguments: serde_json::Value,
    ) -> Option<T> {
        if self.dialect == Dialect::Qtest {
            return None;
        }
        if self.dialect == Dialect::Qga {
            if command != "guest-info" {
                return None;
            }
        } else if !HARMLESS.contains(&command) {
            let kind = self
                .known_schema()
                .and_then(|schema| ServerKind::of_schema(&schema));
            if kind == Some(ServerKind::StorageDaemon) {
                return None;
            }
            let answer = self.types.as_ref()?.ask(command, &arguments).await?;
            return serde_json::from_str(&answer).ok();
        }
        let reply = self.reply(command, arguments).await?;
        serde_json::from_str(reply.value().ok()?).ok()
    }

    /// Sends a command that must not change anything. `None` without a reply.
    pub(super) async fn reply(&self, command: &str, arguments: serde_json::Value) -> Option<Reply> {
        let request = Request {
            text: format!(
                r#"{{"execute":{},"arguments":{arguments}}}"#,
                quote(command)
            ),
            name: command.to_owned(),
            quiet: true,
            ..Request::default()
        };
        let pending = self.client.upgrade()?.send(request).ok()?;
        pending.await.ok()
    }

    /// What the server is. `None` if it does not tell.
    pub async fn kind(&self) -> Option<ServerKind> {
        let learn = async || self.ask_kind().await.ok_or(Gone);
        self.kind.get_or_try_init(learn).await.ok().cloned()
    }

    async fn ask_kind(&self) -> Option<ServerKind> {
        let reply = self.reply("query-name", json!({})).await?;
        match reply.value() {
            Ok(json) => ServerKind::of_name(json),
            // Others may lack the command, too.
            Err(error) if error.class == "CommandNotFound" => {
                let schema = self.schema().await?;
                ServerKind::of_schema(&schema)
            }
            Err(_) => None,
        }
    }

    /// The same, if it is known already.
    pub fn known_kind(&self) -> Option<&ServerKind> {
        self.kind.get()
    }

    /// What the human monitor prints for a line that must not change anything. `None` without an answer.
    pub async fn hmp(&self, line: &str) -> Option<String> {
        let Statement::Message(message) = hmp::line(line, None).statement else {
            return None;
        };
        let request = Request {
            text: message.text,
            name: line.to_owned(),
            quiet: true,
            ..Request::default()
        };
        let pending = self.client.upgrade()?.send(request).ok()?;
        let reply = pending.await.ok()?;
        serde_json::from_str(reply.value().ok()?).ok()
    }

    /// The verbs of the dialect, or else the human monitor's. `None` if there is no human monitor.
    pub async fn verbs(&self) -> Option<Arc<[Verb]>> {
        let learn = async || {
            let help = self.hmp("help").await?;
            let info = self.hmp("help info").await.unwrap_or_default();
            Some(hmp::parse(&help, &info).into())
        };
        self.verbs.get_or_init(learn).await.clone()
    }

    /// The same, if they are known already.
    pub fn known_verbs(&self) -> Option<Arc<[Verb]>> {
        self.verbs.get().cloned().flatten()
    }

    /// The names of the server's commands, from `query-commands`, which older servers have too.
    pub async fn commands(&self) -> Arc<[String]> {
        let ask = async || match self.dialect {
            Dialect::Qga => {
                let info = self.agent().await.unwrap_or_default();
                let enabled = info.supported_commands.into_iter();
                let enabled = enabled.filter(|command| command.enabled);
                enabled.map(|command| command.name).collect()
            }
            _ => self.names("query-commands", json!({})).await.into(),
        };
        self.commands.get_or_init(ask).await.clone()
    }

    /// The names of the server's commands, if they are known already; otherwise none.
    pub fn known_commands(&self) -> Arc<[String]> {
        self.commands.get().cloned().unwrap_or_default()
    }

    /// What the guest agent says of itself.
    async fn agent(&self) -> Option<AgentInfo> {
        self.ask("guest-info", json!({})).await
    }

    /// The guest agent's version.
    pub async fn agent_version(&self) -> Option<String> {
        Some(self.agent().await?.version)
    }

    pub(super) async fn names(&self, command: &str, arguments: serde_json::Value) -> Vec<String> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let named: Vec<Named> = self.ask(command, arguments).await.unwrap_or_default();
        named.into_iter().map(|named| named.name).collect()
    }
}
