//! Queries the server about itself: its schema, its types, its objects.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::lang::{Command, Object, Value, nearest, quote};
use crate::qmp::{Client, Request};
use crate::schema::cache::Cache;
use crate::schema::{self, Problem, ProblemKind, Property, Schema, needs_types};

/// Suffixes to try on device names like `virtio-net`: that is an alias, which only `device_add` knows.
const VIRTIO_TRANSPORTS: [&str; 4] = ["", "-pci", "-ccw", "-device"];

/// Queries one server, and remembers what cannot change while it runs. No query changes the VM.
#[derive(Default)]
pub struct Inspector {
    client: Weak<Client>,
    /// Set once the server was asked: `Some(None)` if it has no schema.
    schema: OnceCell<Option<Arc<Schema>>>,
    /// The names of its commands, from `query-commands`.
    commands: OnceCell<Arc<[String]>>,
    /// Properties by the name of the device type.
    properties: Mutex<HashMap<String, Arc<[Property]>>>,
}

/// The connection ended before the reply arrived.
struct Gone;

impl Inspector {
    /// Creates an inspector that queries the server on this connection.
    pub fn of(client: &Arc<Client>) -> Self {
        Self {
            client: Arc::downgrade(client),
            ..Self::default()
        }
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
    /// fails, or its value is not a `T`.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        command: &str,
        arguments: serde_json::Value,
    ) -> Option<T> {
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
        let reply = pending.await.ok()?;
        serde_json::from_str(reply.value().ok()?).ok()
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
        if driver.contains("-gl") && !self.has_gl().await {
            return None;
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
        let mut properties = answer?;
        properties.sort_by(|a, b| a.name.cmp(&b.name));
        let properties: Arc<[Property]> = properties.into();
        let mut known = self.properties.lock();
        known.insert(driver.to_owned(), properties.clone());
        Some(properties)
    }

    /// Whether the device that virtio-gpu-gl-pci and virtio-vga-gl wrap is available. It is in a module of its
    /// own; if the module is not installed, QEMU aborts when asked for the properties of those two.
    async fn has_gl(&self) -> bool {
        let types = self.names("qom-list-types", json!({"implements": "virtio-device"}));
        types.await.iter().any(|of| of == "virtio-gpu-gl-device")
    }

    /// The properties of any QOM type. `None` if the server does not tell.
    pub async fn type_properties(&self, of: &str) -> Option<Vec<Property>> {
        let of = json!({"typename": of});
        self.ask("qom-list-properties", of).await
    }

    /// The names of all device types that are not abstract.
    pub async fn device_types(&self) -> Vec<String> {
        let types = json!({"implements": "device", "abstract": false});
        self.names("qom-list-types", types).await
    }

    /// The problem with the device type `driver`, if it does not exist.
    pub async fn unknown_driver(&self, driver: &str) -> Option<Problem> {
        let types = self.device_types().await;
        if types.is_empty() || types.iter().any(|known| known == driver) {
            return None;
        }
        let near = nearest(driver, types.iter().map(String::as_str));
        Some(Problem::new(ProblemKind::Value {
            key: "driver".to_owned(),
            value: driver.to_owned(),
            near: near.into_iter().map(str::to_owned).collect(),
        }))
    }

    /// The names of the server's commands, from `query-commands`, which older servers have too.
    pub async fn commands(&self) -> Arc<[String]> {
        let ask = async || self.names("query-commands", json!({})).await.into();
        self.commands.get_or_init(ask).await.clone()
    }

    /// The names of the server's commands, if they are known already; otherwise none.
    pub fn known_commands(&self) -> Arc<[String]> {
        self.commands.get().cloned().unwrap_or_default()
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

    /// Gives the bare words of a command the types that the server expects. Without a schema, changes nothing.
    pub async fn type_words(&self, command: &mut Command) {
        let Some(schema) = self.schema().await else {
            return;
        };
        schema.type_words(command);
        // QOM may know what the schema does not.
        let text = |key| {
            let text = command.arguments.get(key).and_then(Value::as_str);
            text.map(str::to_owned)
        };
        if !needs_types(command) {
            return;
        }
        match &*command.name {
            "device_add" => {
                let Some(driver) = text("driver") else { return };
                if let Some(properties) = self.device_properties(&driver).await {
                    for property in &*properties {
                        type_word(&mut command.arguments, &property.name, property);
                    }
                }
            }
            "qom-set" => {
                let (Some(path), Some(name)) = (text("path"), text("property")) else {
                    return;
                };
                let properties = self.qom_properties(&path).await.unwrap_or_default();
                if let Some(property) = properties.iter().find(|p| p.name == name) {
                    type_word(&mut command.arguments, "value", property);
                }
            }
            // Before QEMU 6.0 the schema describes no properties of objects. They are given in `props`, and since
            // QEMU 5.0 also beside it.
            "object-add" if schema.is_open("object-add") => {
                let Some(kind) = text("qom-type") else { return };
                let properties = self.type_properties(&kind).await;
                for property in properties.iter().flatten() {
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

/// Gives the word at `key` the property's type.
fn type_word(members: &mut Object, key: &str, property: &Property) {
    if let Some(value @ Value::Word(_)) = members.get_mut(key)
        && let Value::Word(word) = &*value
        && let Some(typed) = schema::word_as(property.scalar(), word)
    {
        *value = typed;
    }
}
