//! Queries the server about itself: its schema, its types, its objects.

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
use crate::lang::{Command, Dialect, Object, Statement, Value, nearest, quote};
use crate::manual::reference::{Reference, Which, program_of};
use crate::qmp::{Client, Reply, Request};
use crate::schema::cache::Cache;
use crate::schema::{self, Problem, ProblemKind, Property, Schema, needs_types};

/// Suffixes to try on device names like `virtio-net`: that is an alias, which only `device_add` knows.
const VIRTIO_TRANSPORTS: [&str; 4] = ["", "-pci", "-ccw", "-device"];

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

/// What `qom-list` tells of a device that its type's properties do not have.
const NOT_OF_THE_TYPE: [&str; 5] = [
    "type",
    "realized",
    "hotpluggable",
    "hotplugged",
    "parent_bus",
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
    properties: Mutex<HashMap<String, Arc<[Property]>>>,
    types: Option<Arc<Types>>,
    /// Set once it was looked for: `Some(None)` if there is none.
    reference: OnceCell<Option<Arc<Reference>>>,
}

/// A device type, as `qom-list-types` tells it.
#[derive(Debug, Deserialize)]
pub struct DeviceType {
    pub name: String,
    pub parent: Option<String>,
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

    /// The properties of a device type, if they are known already.
    pub fn known_properties(&self, driver: &str) -> Option<Arc<[Property]>> {
        self.properties.lock().get(driver).cloned()
    }

    /// The properties of a device type, sorted by name. `None` if the server does not tell.
    pub async fn device_properties(&self, driver: &str) -> Option<Arc<[Property]>> {
        if let Some(properties) = self.known_properties(driver) {
            return Some(properties);
        }
        let mut answer: Option<Vec<Property>> = None;
        for transport in VIRTIO_TRANSPORTS {
            let typename = format!("{driver}{transport}");
            answer = self
                .ask("device-list-properties", json!({"typename": typename}))
                .await;
            if answer.is_some() || !driver.starts_with("virtio-") {
                break;
            }
        }
        let Some(mut properties) = answer else {
            return self.loaded_device_properties(driver).await;
        };
        properties.sort_by(|a, b| a.name.cmp(&b.name));
        let properties: Arc<[Property]> = properties.into();
        let mut known = self.properties.lock();
        known.insert(driver.to_owned(), properties.clone());
        Some(properties)
    }

    /// The same as far as a device of that type shows them, which the VM has.
    async fn loaded_device_properties(&self, driver: &str) -> Option<Arc<[Property]>> {
        let is_meant = |of: &str| {
            of.strip_prefix(driver).is_some_and(|rest| {
                rest.is_empty()
                    || driver.starts_with("virtio-") && VIRTIO_TRANSPORTS.contains(&rest)
            })
        };
        let loaded = self.loaded_devices().await;
        let (_, path) = loaded.iter().find(|(of, _)| is_meant(of))?;
        let mut properties = self.qom_properties(path).await?;
        properties.retain(|property| !NOT_OF_THE_TYPE.contains(&&*property.name));
        Some(properties.into())
    }

    /// The devices that the VM has: the type and the QOM path of each.
    async fn loaded_devices(&self) -> Vec<(String, String)> {
        let mut devices = Vec::new();
        for (parent, names) in [
            ("/machine/peripheral", ""),
            ("/machine/peripheral-anon", ""),
            ("/machine/unattached", "device["),
        ] {
            devices.extend(
                self.children(parent)
                    .await
                    .filter(|(_, name)| name.starts_with(names))
                    .map(|(of, name)| (of, format!("{parent}/{name}"))),
            );
        }
        devices
    }

    /// The children of the object at a QOM path: the type and the name of each.
    async fn children(&self, path: &str) -> impl Iterator<Item = (String, String)> + use<> {
        let properties = self.qom_properties(path).await.unwrap_or_default();
        properties.into_iter().filter_map(|property| {
            let of = property.of.strip_prefix("child<")?.strip_suffix('>')?;
            Some((of.to_owned(), property.name))
        })
    }

    /// The properties that an object of this QOM type takes, whatever it is.
    pub async fn object_properties(&self, of: &str) -> Option<Vec<Property>> {
        let typename = json!({"typename": of});
        if let Some(properties) = self.ask("qom-list-properties", typename).await {
            return Some(properties);
        }
        // As far as an object of that type shows them, which the VM has.
        let (_, name) = self
            .children("/objects")
            .await
            .find(|(loaded, _)| loaded == of)?;
        self.qom_properties(&format!("/objects/{name}")).await
    }

    /// The device types that can be plugged, or at least instantiated; if these are unknown, those that the VM has devices
    /// of.
    pub async fn device_types(&self) -> Vec<DeviceType> {
        if let Some(types) = self.all_device_types().await {
            return types;
        }
        let loaded = self.loaded_devices().await.into_iter();
        loaded
            .map(|(name, _)| DeviceType { name, parent: None })
            .collect()
    }

    async fn all_device_types(&self) -> Option<Vec<DeviceType>> {
        let types = json!({"implements": "device", "abstract": false});
        self.ask("qom-list-types", types).await
    }

    /// The problem with the device type `driver`, if it does not exist. `None` as well if only the types of the VM's
    /// devices are known.
    pub async fn unknown_driver(&self, driver: &str) -> Option<Problem> {
        let types = self.all_device_types().await?;
        let loaded = self.loaded_devices().await;
        let is_known = types.iter().any(|known| known.name == driver)
            || loaded.iter().any(|(known, _)| known == driver);
        if is_known {
            return None;
        }
        let near = nearest(driver, types.iter().map(|known| &*known.name));
        Some(Problem::new(ProblemKind::Value {
            key: "driver".to_owned(),
            value: driver.to_owned(),
            near: near.into_iter().map(str::to_owned).collect(),
            all: Vec::new(),
        }))
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

    async fn names(&self, command: &str, arguments: serde_json::Value) -> Vec<String> {
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let named: Vec<Named> = self.ask(command, arguments).await.unwrap_or_default();
        named.into_iter().map(|named| named.name).collect()
    }

    /// The properties of the object at a QOM path, sorted by name. `None` if the server does not tell.
    pub async fn qom_properties(&self, path: &str) -> Option<Vec<Property>> {
        let mut properties: Vec<Property> = self.ask("qom-list", json!({"path": path})).await?;
        properties.sort_by(|a, b| a.name.cmp(&b.name));
        Some(properties)
    }

    /// Gives the bare words of a command the types that the server itself describes. Without a schema, changes nothing.
    pub async fn type_words(&self, command: &mut Command) {
        let Some(schema) = self.schema().await else {
            return;
        };
        schema.type_words(command);
        // What the schema leaves open, QOM may tell.
        if command.name == "qom-set" && needs_types(command) {
            let (Some(path), Some(name)) = (text(command, "path"), text(command, "property"))
            else {
                return;
            };
            let properties = self.qom_properties(path).await.unwrap_or_default();
            if let Some(property) = properties.iter().find(|p| p.name == name) {
                type_word(&mut command.arguments, "value", property);
            }
        }
    }

    /// Gives the bare words of `device_add` the types that the device's properties have, and those of `object-add` the
    /// object's.
    ///
    /// Cancelling this leaves the command as it was.
    pub async fn type_properties(&self, command: &mut Command) {
        match &*command.name {
            "device_add" => {
                let Some(driver) = text(command, "driver") else {
                    return;
                };
                let properties = self.device_properties(driver).await;
                for property in properties.iter().flat_map(|properties| properties.iter()) {
                    type_word(&mut command.arguments, &property.name, property);
                }
            }
            // Before QEMU 6.0 the schema describes no properties of objects. They are given in `props`, and since
            // QEMU 5.0 also beside it.
            "object-add"
                if self
                    .known_schema()
                    .is_none_or(|schema| schema.is_open("object-add")) =>
            {
                let Some(of) = text(command, "qom-type") else {
                    return;
                };
                for property in self.object_properties(of).await.iter().flatten() {
                    type_word(&mut command.arguments, &property.name, property);
                    if let Some(Value::Object(props)) = command.arguments.get_mut("props") {
                        type_word(props, &property.name, property);
                    }
                }
            }
            _ => {}
        }
    }
}

fn text<'a>(command: &'a Command, key: &str) -> Option<&'a str> {
    command.arguments.get(key)?.as_str()
}

/// Gives the word at `key` the property's type.
fn type_word(members: &mut Object, key: &str, property: &Property) {
    if let Some(value @ Value::Word(_)) = members.get_mut(key)
        && let Value::Word(word) = &*value
        && let Some(typed) = schema::word_as(property.scalar(), word)
    {
        *value = typed;
    }
}
