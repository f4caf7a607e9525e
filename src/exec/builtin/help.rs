//! `help`, on the built-ins and on everything that the server accepts.

use std::fmt::Write;
use std::iter;

use tokio::time::timeout;

use super::entry::{Builtin, Call, Effect, Part, find, unknown};
use super::examples::example;
use super::verb_help;
use crate::context::{Context, Output};
use crate::failure::Failure;
use crate::lang::{Command, Object, Parser, Statement, Value, any_of, nearest};
use crate::manual::reference::{PACKAGES, Reference};
use crate::manual::{Manual, PROSE, Sheet, list};
use crate::render::{columns, escape, escape_line, width, wrap};
use crate::schema::{ProblemKind, Property, Schema};

pub(super) const HELP: Builtin = Builtin {
    name: "help",
    forms: &[
        &[],
        &[Part::Topic],
        &[Part::Name("COMMAND"), Part::Word(&[EXAMPLES])],
    ],
    summary: "list all commands, events and built-ins, or explain one",
    help: "The colon may be left out. KEY=VALUE narrows a command's page to what applies with that value:\n\
           `help blockdev-add driver=qcow2 file.driver=file`, `help device_add driver=e1000`.\n\
           Where QEMU's own reference is installed, a page has its descriptions and examples too; --examples shows \
           those with the replies.\n\
           Any other WORD is searched for in the names of commands, events, arguments and values, and in those \
           descriptions.",
    run: |call| Box::pin(help(call)),
};

const TRANSACTION: &str = "transaction";

/// What the help page of that command says of its block.
const BLOCK: &str = "\n\
    transaction( opens a block: write one action per line, as `TYPE KEY=VALUE …`, and `)` to send them together.\n  \
    transaction(\n  \
    block-dirty-bitmap-add node=disk name=one\n  \
    block-dirty-bitmap-add node=disk name=two\n  \
    )\n\
    At the prompt, a wrong line is refused and the block goes on; `:undo` takes back the last action, Ctrl-C and Ctrl-D\n\
    abandon the block. The history keeps the block as one entry.\n";

/// Asks for the examples of a command.
const EXAMPLES: &str = "--examples";

async fn help(call: &Call<'_>) -> Result<Effect, Failure> {
    let mut words = call.args()?;
    let examples = words.len() > 1 && words.last().is_some_and(|word| word == EXAMPLES);
    if examples {
        words.pop();
    }
    let (context, table) = (call.context, call.table);
    let sheet = sheet(context);
    let topic = words.first().map_or("", String::as_str);
    // As it is written when it opens a block.
    let topic = topic.strip_suffix('(').unwrap_or(topic);
    if let Some(name) = topic.strip_prefix(':') {
        return find(table, name)
            .map(|builtin| page(builtin, sheet))
            .ok_or_else(|| unknown(table, name));
    }
    if context.target.dialect.has_verbs() {
        let builtins = overview(table, sheet);
        return verb_help::help(call, &words, sheet, builtins).await;
    }
    let Some(schema) = context.schema().await else {
        return match find(table, topic) {
            Some(builtin) => Ok(page(builtin, sheet)),
            None => without_schema(call, topic, sheet).await,
        };
    };
    if topic.is_empty() {
        let manual = Manual::new(&schema, None, sheet);
        let text = format!("{}\n{}", manual.overview(), overview(table, sheet));
        return Ok(Output::text(text).into());
    }
    let reference = context.target.inspector().reference(&schema).await;
    let manual = Manual::new(&schema, reference.as_deref(), sheet);
    let remark = source(context, reference.as_deref());
    if examples {
        return match manual.example_page(topic) {
            Some(text) => Ok(Output::text(text).into()),
            None => Err(no_examples(&schema, reference.is_some(), topic)),
        };
    }
    if schema.command(topic).is_some() {
        let command = asked(call)?;
        let properties = properties(context, &schema, &command);
        let properties = timeout(context.settings().patience(), properties).await;
        let properties = properties.unwrap_or(Ok(Vec::new()))?;
        let mut text = manual
            .command(topic, &command.arguments, &properties)
            .unwrap_or_default();
        if topic == TRANSACTION {
            text.push_str(BLOCK);
        }
        if let Some(builtin) = find(table, topic) {
            let _ = writeln!(text, "\n`:{topic}` is a built-in: {}.", builtin.summary);
        }
        return Ok(Output::text(text + &remark).into());
    }
    if let Some(text) = manual.event(topic) {
        return Ok(Output::text(text + &remark).into());
    }
    match find(table, topic) {
        Some(builtin) => Ok(page(builtin, sheet)),
        None => match manual.search(topic) {
            Some(text) => Ok(Output::text(text).into()),
            None => Err(nothing(&schema, table, topic)),
        },
    }
}

/// The format of pages.
pub(super) fn sheet(context: &Context) -> Sheet {
    let style = context.settings().style;
    Sheet {
        width: if style.terminal { width() } else { 80 },
        color: style.color,
    }
}

/// Where the prose is from if that is not this server's version, or where to get it. Empty or a line or two.
fn source(context: &Context, reference: Option<&Reference>) -> String {
    let Some(reference) = reference else {
        return format!(
            "\nQEMU's reference, which describes all this, is not installed here. {PACKAGES}.\n"
        );
    };
    let Some(client) = context.target.session.client() else {
        return String::new();
    };
    let version = client.greeting().version.qemu.to_string();
    let release = |version: &str| {
        version
            .splitn(3, '.')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    if reference.version.is_empty() || release(&reference.version) == release(&version) {
        return String::new();
    }
    let (path, of) = (
        escape_line(&reference.path),
        escape_line(&reference.version),
    );
    format!("\nThe descriptions are QEMU {of}'s, of {path}; this is QEMU {version}.\n")
}

fn no_examples(schema: &Schema, has_reference: bool, topic: &str) -> Failure {
    let is_known = schema.command(topic).is_some() || schema.event(topic).is_some();
    Failure::Usage(match (is_known, has_reference) {
        (false, _) => format!("there is no command `{topic}`"),
        (true, true) => format!("QEMU's reference has no examples of `{topic}`"),
        (true, false) => {
            format!("QEMU's reference, which has examples, is not installed here. {PACKAGES}")
        }
    })
}

/// The command to explain, with the arguments that were given.
fn asked(call: &Call<'_>) -> Result<Command, Failure> {
    let words = &call.line.words;
    let line = Parser::of(call.context.target.language()).parse(words);
    let line = line.map_err(|error| Failure::syntax_of(error, words))?;
    match line.statement {
        Statement::Command(command) => Ok(command),
        // `help transaction(`
        Statement::Nothing => Ok(Command {
            name: TRANSACTION.to_owned(),
            arguments: Object::default(),
            oob: false,
        }),
        _ => Err(call.usage()),
    }
}

/// The properties of the QOM type that the command would create. Unknown arguments or values are an error.
async fn properties(
    context: &Context,
    schema: &Schema,
    command: &Command,
) -> Result<Vec<Property>, Failure> {
    let mut problems = schema.check(command);
    problems.retain(|problem| !matches!(problem.kind, ProblemKind::Missing { .. }));
    if let Some(problem) = problems.first() {
        return Err(Failure::Usage(problem.to_string()));
    }
    let text = |key| command.arguments.get(key).and_then(Value::as_str);
    let inspector = context.target.inspector();
    Ok(match &*command.name {
        "device_add" => match text("driver") {
            None => Vec::new(),
            Some(driver) => match inspector.device_properties(driver).await {
                Some(properties) => properties.to_vec(),
                None => match inspector.unknown_driver(driver).await {
                    Some(problem) => return Err(Failure::Usage(problem.to_string())),
                    None => Vec::new(),
                },
            },
        },
        "object-add" => match text("qom-type") {
            None => Vec::new(),
            Some(of) => inspector.object_properties(of).await.unwrap_or_default(),
        },
        _ => Vec::new(),
    })
}

/// The help page of a built-in.
fn page(builtin: &Builtin, sheet: Sheet) -> Effect {
    let mut text = String::new();
    for (number, line) in wrap(&builtin.headline(), sheet.width.saturating_sub(4))
        .iter()
        .enumerate()
    {
        let indent = if number == 0 { "" } else { "    " };
        let _ = writeln!(text, "{indent}{line}");
    }
    let summary = builtin.summary.to_owned();
    for paragraph in iter::once(summary).chain(paragraphs(builtin.help)) {
        for line in wrap(&paragraph, sheet.width.min(PROSE).saturating_sub(2)) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if let Some(line) = example(builtin.name) {
        let _ = writeln!(text, "\nExample\n  {line}");
    }
    Output::text(text).into()
}

/// The paragraphs of a built-in's help: each ends with a line that ends in a full stop.
fn paragraphs(help: &str) -> impl Iterator<Item = String> {
    help.split_inclusive(".\n")
        .map(|paragraph| paragraph.trim_end().replace('\n', " "))
}

/// An overview of what needs no server: the syntax and the built-ins.
fn overview(table: &[Builtin], sheet: Sheet) -> String {
    let language = "A line is a QMP command and its arguments:\n  \
                    COMMAND [KEY=VALUE | KEY:=JSON | <PATH]… [&]\n  \
                    {\"execute\": …}              a whole message, sent as it is\n  \
                    transaction(                one action per line, up to `)`\n\n\
                    or a built-in:\n";
    let headline = |builtin: &Builtin| match builtin.name {
        "help" => ":help [TOPIC]".to_owned(),
        _ => builtin.headline(),
    };
    let builtins = table.iter().map(|b| (headline(b), b.summary));
    let builtins = list(sheet, builtins);
    let more = "\n`help COMMAND`, `help EVENT` and `help :BUILT-IN` explain one; `help WORD` searches.\n\
                TAB completes, Ctrl-C stops waiting, Ctrl-D leaves. None of them affects the VM.\n";
    format!("{language}{builtins}{more}")
}

/// Help without a schema, when the server does not say what it accepts.
async fn without_schema(call: &Call<'_>, topic: &str, sheet: Sheet) -> Result<Effect, Failure> {
    let why = match call.context.target.session.client() {
        None => "not connected, so only the built-ins are known",
        Some(_) => {
            "the server does not answer query-qmp-schema, so the arguments of its commands are unknown"
        }
    };
    let commands = call.context.commands().await;
    let names = || commands.iter().map(String::as_str);
    if topic.is_empty() {
        let mut names: Vec<_> = names().map(escape).collect();
        names.sort();
        let mut names = columns(&names, sheet.width);
        if !names.is_empty() {
            names.push('\n');
        }
        let text = format!("({why})\n\n{names}{}", overview(call.table, sheet));
        return Ok(Output::text(text).into());
    }
    let what = match names().any(|name| name == topic) {
        true => format!("`{topic}` is a command of this server"),
        false => format!("no help on `{topic}`"),
    };
    Err(Failure::Usage(match &nearest(topic, names())[..] {
        near if !near.is_empty() && !near.contains(&topic) => {
            format!("{what}; did you mean {}? ({why})", any_of(near))
        }
        _ => format!("{what} ({why})"),
    }))
}

/// The failure for a word that is found nowhere.
fn nothing(schema: &Schema, table: &[Builtin], word: &str) -> Failure {
    let commands = schema.commands().map(|(name, _)| name);
    let events = schema.events().map(|(name, _)| name);
    let builtins = table.iter().map(|builtin| builtin.name);
    let near = nearest(word, commands.chain(events).chain(builtins));
    Failure::Usage(match &near[..] {
        [] => format!("nothing matches `{word}`"),
        near => format!("nothing matches `{word}`; did you mean {}?", any_of(near)),
    })
}
