//! Suggests corrections after the server refused a command.

use tokio::time::timeout;

use super::builtin;
use super::unknown_names::{buses_with_hotplug, is_about_a_name, is_about_hotplug, unknown_names};
use crate::context::{Context, Inspector, Outcome};
use crate::dialect::verbs::find;
use crate::failure::Failure;
use crate::lang::{
    Command, Dialect, Line, Object, conceal, dotted, in_human_monitor, instead_of, nearest,
};
use crate::qmp::QmpError;
use crate::schema::{Problem, ProblemKind};

/// Parts of error messages that are about the words of a line, not about the state of the VM. QEMU 4.2 to 10
/// word their messages differently, but all of them contain these parts.
const ABOUT_WORDS: [&str; 7] = [
    "arameter",
    "ropert",
    "QMP input",
    "device model name",
    "object type",
    "option",
    "nknown driver",
];

/// The arguments of `device_add` that are not properties of the device.
const LISTED: [&str; 3] = ["driver", "bus", "id"];

/// Adds hints to an outcome in which the server refused the command of `line`: similar names that exist, and
/// missing keys. Queries the server only if the error is about names or keys, and only for a limited time.
pub async fn advise(context: &Context, line: &Line, outcome: &mut Outcome) {
    let Some(Failure::Command { error, help }) = &mut outcome.failure else {
        return;
    };
    if let Some(command) = line.command()
        && let Some(name) = relative_file(&command.arguments, error)
    {
        *help = vec![format!(
            "`{name}` is relative to the directory that QEMU runs in, not to this one; write the whole path"
        )];
        return;
    }
    let is_about_words = error.class == "CommandNotFound"
        || is_about_a_name(error)
        || is_about_hotplug(error)
        || ABOUT_WORDS.iter().any(|part| error.desc.contains(part));
    if !is_about_words {
        return;
    }
    let Some(command) = line.command() else {
        return;
    };
    let inspector = context.target.inspector();
    let advice = advice(&inspector, context.target.dialect, &command, error);
    if let Ok(found) = timeout(context.settings().patience(), advice).await {
        *help = found;
    }
}

async fn advice(
    inspector: &Inspector,
    dialect: Dialect,
    command: &Command,
    error: &QmpError,
) -> Vec<String> {
    if is_about_hotplug(error) {
        return Vec::from_iter(buses_with_hotplug(inspector, error).await);
    }
    let is_unknown_command = error.class == "CommandNotFound" && dialect == Dialect::Qmp;
    if is_unknown_command && let Some(help) = instead_of(&command.name, dialect) {
        return vec![help];
    }
    // Only a word of a command line can have spaces.
    if is_unknown_command && command.name.contains(char::is_whitespace) {
        let line = conceal(&command.name);
        return vec![format!("this is one word; run it as a line: -e '{line}'")];
    }
    let mut problems = match inspector.schema().await {
        Some(schema) => schema.check(command),
        None => Vec::from_iter(unknown_command(inspector, &command.name).await),
    };
    if is_about_a_name(error) {
        problems.extend(unknown_names(inspector, command, error).await);
    }
    // QOM may know what the schema does not.
    let given = &command.arguments;
    match &*command.name {
        "device_add" => problems.extend(check_device(inspector, given, error).await),
        "qom-get" | "qom-set" => problems.extend(check_property(inspector, given).await),
        _ => {}
    }
    let mut help: Vec<String> = problems
        .iter()
        .filter(|problem| problem.helps())
        .flat_map(|problem| [Some(problem.to_string()), problem.choices()])
        .flatten()
        .collect();
    let is_missing = |problem: &Problem| {
        matches!(problem.kind, ProblemKind::Missing { .. }) && problem.action.is_none()
    };
    if problems.iter().any(is_missing) {
        help.push(format!("`help {}` lists all its arguments", command.name));
    }
    let is_unknown = |problem: &Problem| matches!(problem.kind, ProblemKind::Command { .. });
    if problems.iter().any(is_unknown)
        && let Some(builtin) = builtin::find(&command.name)
    {
        help.push(format!("`:{}` is a built-in", builtin.name));
    }
    if is_unknown_command && help.is_empty() && is_verb(inspector, &command.name).await {
        help.push(in_human_monitor(&command.name));
    }
    help
}

/// What to write instead of a line that does not parse, if it is a built-in without its colon, or if only the human
/// monitor understands it.
pub async fn advise_unparsed(context: &Context, line: &str) -> Option<String> {
    let line = line.trim();
    let name = line.split_whitespace().next()?;
    let inspector = context.target.inspector();
    if context.target.dialect.has_verbs() {
        return None;
    }
    let advice = async {
        let commands = inspector.commands().await;
        if commands.iter().any(|command| command == name) {
            return None;
        }
        let line = conceal(line);
        if builtin::find(name).is_some() {
            return Some(format!("`{name}` is a built-in; write `:{line}`"));
        }
        let is_verb = context.target.dialect == Dialect::Qmp && is_verb(&inspector, name).await;
        is_verb.then(|| in_human_monitor(&line))
    };
    let advice = timeout(context.settings().patience(), advice).await;
    advice.ok().flatten()
}

/// Whether this is a command of the human monitor.
async fn is_verb(inspector: &Inspector, name: &str) -> bool {
    let verbs = inspector.verbs().await;
    verbs.is_some_and(|verbs| find(&verbs, name).is_some())
}

/// The relative file name among the arguments that the server says it cannot open.
fn relative_file<'a>(given: &'a Object, error: &QmpError) -> Option<&'a str> {
    let is_about_a_file = ["open", "No such file"]
        .iter()
        .any(|part| error.desc.contains(part));
    if !is_about_a_file {
        return None;
    }
    let values = dotted(given)
        .into_iter()
        .filter_map(|(_, value)| value.as_str());
    let mut relative =
        values.filter(|text| !text.is_empty() && !text.starts_with('/') && !text.contains(':'));
    relative.find(|text| error.desc.contains(&format!("'{text}'")))
}

async fn unknown_command(inspector: &Inspector, name: &str) -> Option<Problem> {
    let commands = inspector.commands().await;
    if commands.iter().any(|known| known == name) {
        return None;
    }
    let near = owned(nearest(name, commands.iter().map(String::as_str)));
    let name = name.to_owned();
    Some(Problem::new(ProblemKind::Command { name, near }))
}

/// Checks the arguments of `device_add` that the schema does not list: the device type's own properties.
async fn check_device(inspector: &Inspector, given: &Object, error: &QmpError) -> Vec<Problem> {
    let Some(driver) = text(given, "driver") else {
        return Vec::new();
    };
    let Some(properties) = inspector.device_properties(driver).await else {
        // The driver may also be an alias, which works but which QOM does not know.
        let is_meant =
            error.desc.contains(&format!("'{driver}'")) || error.desc.contains("'driver'");
        return match is_meant {
            true => Vec::from_iter(inspector.unknown_driver(driver).await),
            false => Vec::new(),
        };
    };
    let names = || properties.iter().map(|property| &*property.name);
    dotted(given)
        .into_iter()
        .filter(|(key, _)| !LISTED.contains(&key.as_str()) && !names().any(|name| name == key))
        .map(|(key, _)| {
            let near = owned(nearest(&key, names()));
            Problem::new(ProblemKind::Key { key, near })
        })
        .collect()
}

async fn check_property(inspector: &Inspector, given: &Object) -> Option<Problem> {
    let path = text(given, "path")?;
    let property = text(given, "property")?;
    let properties = inspector.qom_properties(path).await?;
    let names = || properties.iter().map(|property| &*property.name);
    if names().any(|name| name == property) {
        return None;
    }
    Some(Problem::new(ProblemKind::Value {
        key: "property".to_owned(),
        value: property.to_owned(),
        near: owned(nearest(property, names())),
        all: Vec::new(),
    }))
}

fn text<'a>(given: &'a Object, key: &str) -> Option<&'a str> {
    given.get(key)?.as_str()
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}
