//! Names in a refused command that the VM does not have: of devices, nodes, jobs, buses, and so on.

use crate::context::names::{Answer, Question, ask, question_of};
use crate::context::{Bus, Inspector};
use crate::lang::{Command, any_of, dotted, nearest};
use crate::qmp::QmpError;
use crate::schema::{FEW, Problem, ProblemKind};

/// Parts of messages that say that something does not exist.
const MISSING: [&str; 7] = [
    "not found",
    "annot find",
    "an't find",
    "ailed to find",
    "ould not find",
    "does not exist",
    "does not have a block device backend",
];

/// What QEMU says of a bus that takes no devices while the VM runs.
const NO_HOTPLUG: &str = "does not support hotplugging";

/// The most buses to suggest.
const BUSES: usize = 4;

/// Whether the error says that something does not exist.
pub(super) fn is_about_a_name(error: &QmpError) -> bool {
    error.class == "DeviceNotFound" || MISSING.iter().any(|part| error.desc.contains(part))
}

/// Whether the error says that a bus takes no devices while the VM runs.
pub(super) fn is_about_hotplug(error: &QmpError) -> bool {
    error.desc.contains(NO_HOTPLUG)
}

/// The arguments that name what the VM does not have, with the names that may have been meant.
pub(super) async fn unknown_names(
    inspector: &Inspector,
    command: &Command,
    error: &QmpError,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Some messages, such as "Job not found", quote nothing.
    let is_meant = |value: &str| !error.desc.contains('\'') || error.desc.contains(value);
    for (key, value) in dotted(&command.arguments) {
        let Some(value) = value
            .as_str()
            .filter(|value| !value.is_empty() && is_meant(value))
        else {
            continue;
        };
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let named = question_of(&command.name, &path, &command.arguments, value);
        // A node can be given in many places, by its name.
        let is_node = || error.desc.contains("node");
        let question = named.filter(Question::is_about_names);
        let Some(question) = question.or_else(|| is_node().then_some(Question::Nodes)) else {
            continue;
        };
        let (part, answers) = match question {
            Question::QomPath(_) => existing_siblings(inspector, value).await,
            question => (value, ask(inspector, &question).await),
        };
        if answers.is_empty() || answers.iter().any(|answer| answer.value == part) {
            continue;
        }
        let names = || answers.iter().map(|answer| &*answer.value);
        let few = answers.len() <= FEW;
        problems.push(Problem::new(ProblemKind::Value {
            key,
            value: part.to_owned(),
            near: owned(nearest(part, names())),
            all: if few {
                owned(names().collect())
            } else {
                Vec::new()
            },
        }));
    }
    problems
}

/// The first part of a QOM path that does not exist, and what exists beside it.
async fn existing_siblings<'a>(inspector: &Inspector, path: &'a str) -> (&'a str, Vec<Answer>) {
    let mut part = path;
    loop {
        let answers = ask(inspector, &Question::QomPath(part.to_owned())).await;
        match part.rfind('/') {
            Some(slash @ 1..) if answers.is_empty() => part = &part[..slash],
            _ => return (part, answers),
        }
    }
}

/// The buses that take devices while the VM runs, after another has refused one.
pub(super) async fn buses_with_hotplug(inspector: &Inspector, error: &QmpError) -> Option<String> {
    let refusing = error.desc.split('\'').nth(1)?;
    let buses = inspector.buses().await;
    let of = &buses.iter().find(|bus| bus.name == refusing)?.of;
    // Since QEMU 10.0, a q35's own bus has what others take devices with, but takes none.
    let mut others: Vec<&Bus> = buses
        .iter()
        .filter(|bus| bus.hotplug && bus.of == *of && bus.name != refusing)
        .collect();
    // A port has room for one device.
    if others.iter().any(|bus| bus.is_empty) {
        others.retain(|bus| bus.is_empty);
    }
    let names: Vec<String> = others
        .iter()
        .map(|bus| format!("bus={}", bus.name))
        .collect();
    Some(match &names[..] {
        [] => format!(
            "no bus of type {of} takes devices while this VM runs; it has to be started with one that does, such as a \
             `pcie-root-port`"
        ),
        names => {
            let shown = &names[..names.len().min(BUSES)];
            format!("{} takes devices while the VM runs", any_of(shown))
        }
    })
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}
