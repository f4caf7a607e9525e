//! Finds candidates that only the running server, or the disk, knows.

use std::fs;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::context::{Bus, DeviceType, Inspector, unasked_patience};

/// A question whose answers are completion candidates. Asking it changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Devices with an id.
    Devices,
    /// Device types that can be added.
    DeviceTypes,
    /// The properties of a device type.
    DeviceProperties(String),
    /// The values of a property of a device type.
    DeviceProperty {
        driver: String,
        name: String,
    },
    /// All QOM types.
    QomTypes,
    /// The children at a QOM path that is still being typed.
    QomPath(String),
    /// The properties at a QOM path.
    QomProperties(String),
    /// The values of a property of the object at a QOM path.
    QomProperty {
        path: String,
        name: String,
    },
    /// Objects created with `object-add`.
    Objects,
    Nodes,
    Drives,
    NodesAndDrives,
    /// Devices that have a drive, each by its id or its QOM path.
    BlockDevices,
    /// The dirty bitmaps of a node or a drive, or all of them.
    Bitmaps(Option<String>),
    Jobs,
    BlockJobs,
    Chardevs,
    Iothreads,
    Exports,
    Fdsets,
    Cpus,
    CpuModels,
    TraceEvents,
    /// Network backends.
    Netdevs,
    /// Network backends, and cards with an id.
    NetdevsAndDevices,
    /// Buses that a device of this type can be plugged into; any device, if it is empty.
    Buses(String),
    /// Our own listeners, and timers.
    Listeners,
    Timers,
    CommandLineOptions,
    /// No answers: it makes the human monitor's verbs known.
    HmpVerbs,
    /// Nothing to ask: the user chooses a new name.
    Nothing,
    /// Files at a path that is still being typed.
    Files(String),
}

impl Question {
    /// Whether the answers are the names of everything of a kind that the VM has.
    pub fn is_about_names(&self) -> bool {
        matches!(
            self,
            Self::Devices
                | Self::QomPath(_)
                | Self::Objects
                | Self::Nodes
                | Self::Drives
                | Self::NodesAndDrives
                | Self::BlockDevices
                | Self::Bitmaps(_)
                | Self::Jobs
                | Self::BlockJobs
                | Self::Chardevs
                | Self::Iothreads
                | Self::Exports
                | Self::TraceEvents
                | Self::Netdevs
                | Self::NetdevsAndDevices
                | Self::Buses(_)
        )
    }
}

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub value: String,
    /// What it is, in a few words.
    pub note: String,
    /// Whether it can be continued, such as a directory.
    pub partial: bool,
}

impl Answer {
    pub fn new(value: impl Into<String>, note: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            note: note.into(),
            partial: false,
        }
    }
}

/// Returns the answers to a question; none if the server lacks the command or it fails.
pub async fn ask(inspector: &Inspector, question: &Question) -> Vec<Answer> {
    let list = async |command: &str, value: &str, notes: &[&str]| {
        let items = inspector.ask(command, json!({})).await;
        answers(items.unwrap_or_default(), value, notes)
    };
    match question {
        Question::Devices => children(inspector, "/machine/peripheral", "").await,
        Question::Objects => children(inspector, "/objects", "").await,
        Question::QomPath(typed) => {
            let (parent, prefix) = match typed.rfind('/') {
                Some(0) | None => ("/", "/"),
                Some(slash) => (&typed[..slash], &typed[..=slash]),
            };
            children(inspector, parent, prefix).await
        }
        Question::QomProperties(path) => {
            let properties = inspector.qom_properties(path).await.unwrap_or_default();
            properties
                .iter()
                .filter(|property| !property.of.starts_with("child<"))
                .map(|property| Answer::new(&property.name, property.note()))
                .collect()
        }
        Question::QomProperty { path, name } => {
            let properties = inspector.qom_properties(path).await.unwrap_or_default();
            let property = properties.iter().find(|property| property.name == *name);
            property.map_or(Vec::new(), |property| values(&property.values()))
        }
        Question::DeviceTypes => device_types(inspector).await,
        Question::DeviceProperties(driver) => {
            let Some(properties) = inspector.device_properties(driver).await else {
                return Vec::new();
            };
            let of_users = properties.iter().filter(|property| property.is_for_users());
            of_users
                .map(|property| Answer::new(&property.name, property.note()))
                .collect()
        }
        Question::DeviceProperty { driver, name } => {
            let Some(properties) = inspector.device_properties(driver).await else {
                return Vec::new();
            };
            let property = properties.iter().find(|property| property.name == *name);
            let Some(property) = property else {
                return Vec::new();
            };
            let more = match (&*property.of, &**name) {
                (_, "drive") => Question::NodesAndDrives,
                (_, "chardev") => Question::Chardevs,
                (_, "iothread") => Question::Iothreads,
                (_, "netdev") => Question::Netdevs,
                (of, _) if of.starts_with("link<") => Question::Objects,
                _ => return values(&property.values()),
            };
            Box::pin(ask(inspector, &more)).await
        }
        Question::QomTypes => list("qom-list-types", "name", &["parent"]).await,
        Question::Nodes => nodes(inspector).await,
        Question::Drives => drives(inspector).await,
        Question::NodesAndDrives => {
            let mut both = nodes(inspector).await;
            both.extend(drives(inspector).await);
            both
        }
        Question::BlockDevices => list("query-block", "qdev", &["device"]).await,
        Question::Bitmaps(node) => bitmaps(inspector, node.as_deref()).await,
        Question::Jobs => list("query-jobs", "id", &["type", "status"]).await,
        Question::BlockJobs => list("query-block-jobs", "device", &["type", "status"]).await,
        Question::Chardevs => list("query-chardev", "label", &["filename"]).await,
        Question::Iothreads => list("query-iothreads", "id", &["thread-id"]).await,
        Question::Exports => list("query-block-exports", "id", &["type", "node-name"]).await,
        Question::Fdsets => list("query-fdsets", "fdset-id", &[]).await,
        Question::Cpus => list("query-cpus-fast", "cpu-index", &["qom-path"]).await,
        Question::CpuModels => list("query-cpu-definitions", "name", &[]).await,
        Question::CommandLineOptions => list("query-command-line-options", "option", &[]).await,
        Question::TraceEvents => {
            let all = json!({"name": "*"});
            let events = inspector.ask("trace-event-get-state", all).await;
            answers(events.unwrap_or_default(), "name", &["state"])
        }
        Question::Netdevs => netdevs(inspector).await,
        Question::NetdevsAndDevices => {
            let mut both = netdevs(inspector).await;
            both.extend(Box::pin(ask(inspector, &Question::Devices)).await);
            both
        }
        Question::Buses(driver) => buses(inspector, driver).await,
        Question::HmpVerbs => {
            inspector.verbs().await;
            Vec::new()
        }
        // The server knows nothing of those.
        Question::Listeners | Question::Timers | Question::Nothing => Vec::new(),
        Question::Files(typed) => files(typed),
    }
}

/// The network backends. Only the human monitor lists them.
async fn netdevs(inspector: &Inspector) -> Vec<Answer> {
    let listed = inspector.hmp("info network").await.unwrap_or_default();
    let mut answers = Vec::new();
    for line in listed.lines() {
        // ` \ net0: index=0,type=user,…`, below the card it belongs to.
        let line = line.trim_start_matches([' ', '\\']);
        if let Some((name, rest)) = line.split_once(": ")
            && let Some(kind) = rest.split(',').find_map(|part| part.strip_prefix("type="))
            && kind != "nic"
        {
            answers.push(Answer::new(name, kind));
        }
    }
    answers
}

/// The buses for a device of this type, those that take devices while the VM runs first.
async fn buses(inspector: &Inspector, driver: &str) -> Vec<Answer> {
    // The list is of use even if some do not fit, so it does not wait as long for that as TAB waits for the list.
    let fitting = timeout(unasked_patience() / 2, inspector.bus_types(driver));
    let (mut buses, fitting) = tokio::join!(inspector.buses(), fitting);
    if let Ok(Some(fitting)) = fitting {
        buses.retain(|bus| fitting.contains(&bus.of));
    }
    buses.sort_by_key(|bus| !bus.hotplug);
    let answer = |bus: Bus| {
        let plugging = if bus.hotplug { "" } else { ", no hotplug" };
        let content = if bus.is_empty { ", empty" } else { "" };
        Answer::new(bus.name, format!("{}{plugging}{content}", bus.of))
    };
    buses.into_iter().map(answer).collect()
}

/// Makes an answer of the member `value` of each item, with other members as its note.
fn answers(items: Vec<Value>, value: &str, notes: &[&str]) -> Vec<Answer> {
    let mut answers: Vec<Answer> = items
        .iter()
        .filter_map(|item| {
            let value = text(item.get(value)?);
            let notes: Vec<String> = notes.iter().filter_map(|n| item.get(n)).map(text).collect();
            (!value.is_empty()).then(|| Answer::new(value, notes.join(", ")))
        })
        .collect();
    answers.sort_by(|a, b| a.value.cmp(&b.value));
    answers.dedup();
    answers
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn values(values: &[String]) -> Vec<Answer> {
    values.iter().map(|value| Answer::new(value, "")).collect()
}

/// The children of the object at a QOM path, each name with `prefix` before it.
async fn children(inspector: &Inspector, path: &str, prefix: &str) -> Vec<Answer> {
    let properties = inspector.qom_properties(path).await.unwrap_or_default();
    properties
        .iter()
        .filter_map(|property| {
            let of = property.of.strip_prefix("child<")?.trim_end_matches('>');
            Some(Answer {
                value: format!("{prefix}{}", property.name),
                note: of.to_owned(),
                // The path can continue below this child.
                partial: !prefix.is_empty(),
            })
        })
        .collect()
}

/// Device types. QMP tells neither their descriptions nor which of them users can add. The human monitor does;
/// without its answer, all types are offered, each with its parent type as the note.
async fn device_types(inspector: &Inspector) -> Vec<Answer> {
    let types = inspector.device_types().await.into_iter();
    let answer = |of: DeviceType| Answer::new(of.name, of.parent.unwrap_or_default());
    let mut types: Vec<Answer> = types.map(answer).collect();
    types.sort_by(|a, b| a.value.cmp(&b.value));
    types.dedup();
    for (name, rest) in inspector.described_types().await {
        if let Ok(at) = types.binary_search_by(|answer| answer.value.cmp(&name)) {
            if rest.contains("no-user") {
                types.remove(at);
            } else {
                types[at].note = rest.replace("desc ", "");
            }
        }
    }
    types
}

async fn named_nodes(inspector: &Inspector) -> Vec<Value> {
    // Leave out the backing images of each node, if this server can.
    let flat = inspector.known_schema().is_some_and(|schema| {
        let command = schema.command("query-named-block-nodes");
        let arguments = command.and_then(|command| schema.object(command.arguments));
        arguments.is_some_and(|object| object.members.iter().any(|m| &*m.name == "flat"))
    });
    let arguments = if flat {
        json!({"flat": true})
    } else {
        json!({})
    };
    let nodes = inspector.ask("query-named-block-nodes", arguments).await;
    nodes.unwrap_or_default()
}

async fn nodes(inspector: &Inspector) -> Vec<Answer> {
    answers(named_nodes(inspector).await, "node-name", &["drv", "file"])
}

async fn drives(inspector: &Inspector) -> Vec<Answer> {
    let drives: Option<Vec<Value>> = inspector.ask("query-block", json!({})).await;
    answers(drives.unwrap_or_default(), "device", &["qdev"])
}

async fn bitmaps(inspector: &Inspector, of: Option<&str>) -> Vec<Answer> {
    let mut found = Vec::new();
    for node in named_nodes(inspector).await {
        let name = node.get("node-name").map(text).unwrap_or_default();
        if of.is_some_and(|of| of != name) {
            continue;
        }
        if let Some(Value::Array(bitmaps)) = node.get("dirty-bitmaps") {
            let bitmaps = answers(bitmaps.clone(), "name", &[]).into_iter();
            found.extend(bitmaps.map(|bitmap| Answer::new(bitmap.value, &name)));
        }
    }
    found
}

/// The files that complete a path. Directories end in a slash.
fn files(typed: &str) -> Vec<Answer> {
    let (directory, prefix) = match typed.rfind('/') {
        Some(0) => ("/", "/"),
        Some(slash) => (&typed[..slash], &typed[..=slash]),
        None => (".", ""),
    };
    let name = &typed[prefix.len()..];
    let mut found: Vec<Answer> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            (file.starts_with(name) && (name.starts_with('.') || !file.starts_with('.')))
                .then_some(())?;
            let is_directory = fs::metadata(entry.path()).is_ok_and(|file| file.is_dir());
            let slash = if is_directory { "/" } else { "" };
            Some(Answer {
                value: format!("{prefix}{file}{slash}"),
                note: String::new(),
                partial: is_directory,
            })
        })
        .collect();
    found.sort_by(|a, b| a.value.cmp(&b.value));
    found
}
