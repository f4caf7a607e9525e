//! What the server says of its devices and objects (QOM): their types and properties.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::inspector::Inspector;
use crate::lang::{Command, Object, Value, nearest};
use crate::schema::{self, Problem, ProblemKind, Property, needs_types};

/// Suffixes to try on device names like `virtio-net`: that is an alias, which only `device_add` knows.
const VIRTIO_TRANSPORTS: [&str; 4] = ["", "-pci", "-ccw", "-device"];

/// What `qom-list` tells of a device that its type's properties do not have.
const NOT_OF_THE_TYPE: [&str; 5] = [
    "type",
    "realized",
    "hotpluggable",
    "hotplugged",
    "parent_bus",
];

/// A device type, as `qom-list-types` tells it.
#[derive(Debug, Deserialize)]
pub struct DeviceType {
    pub name: String,
    pub parent: Option<String>,
}

impl Inspector {
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

    /// What the human monitor says of the device types: the name of each, and such as `bus PCI, alias "ahci"`.
    pub async fn described_types(&self) -> Vec<(String, String)> {
        let line = json!({"command-line": "info qdm"});
        let all: Option<String> = self.ask("human-monitor-command", line).await;
        let described = all.iter().flat_map(|all| all.lines()).filter_map(|line| {
            let (name, rest) = line.strip_prefix("name \"")?.split_once('"')?;
            let rest = rest.trim_start_matches([',', ' ']);
            Some((name.to_owned(), rest.to_owned()))
        });
        described.collect()
    }

    /// The types of the buses that a device of type `driver` can be plugged into. `None` if they are not known.
    pub async fn bus_types(&self, driver: &str) -> Option<Vec<String>> {
        let alias = format!("alias \"{driver}\"");
        let described = self.described_types().await;
        let (_, rest) = described
            .iter()
            .find(|(name, rest)| name == driver || rest.split(", ").any(|part| part == alias))?;
        let bus = rest
            .split(", ")
            .find_map(|part| part.strip_prefix("bus "))?;
        let types = self
            .names("qom-list-types", json!({"implements": bus}))
            .await;
        (!types.is_empty()).then_some(types)
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
