//! Examples: QMP's messages turned into lines that one can type.

use super::roff::{self, Piece};
use super::{Example, Step};
use crate::lang::{
    Command, Object, Parser, Statement, Value, Words, argument, escape_json, literal,
};

/// An example under a heading like `Example: Move a node`.
pub(super) fn titled(heading: &str) -> Example {
    let title = heading
        .split_once(':')
        .map_or("", |(_, title)| title.trim());
    Example {
        title: title.to_owned(),
        steps: Vec::new(),
    }
}

/// Adds to the last example: code is a dialogue, other text says what follows it.
pub(super) fn add(examples: &mut Vec<Example>, piece: Piece) {
    let begun = examples.last().is_some_and(|last| !last.steps.is_empty());
    match piece.kind {
        roff::Kind::Code => {
            let steps = steps(&piece.text);
            match examples.last_mut() {
                Some(last) => last.steps.extend(steps),
                None => examples.push(Example {
                    title: String::new(),
                    steps,
                }),
            }
        }
        _ if begun || examples.is_empty() => examples.push(Example {
            title: piece.text,
            steps: Vec::new(),
        }),
        _ => {
            if let Some(last) = examples.last_mut() {
                last.title = format!("{} {}", last.title, piece.text).trim().to_owned();
            }
        }
    }
}

/// Splits a dialogue where an arrow says who speaks.
fn steps(code: &str) -> Vec<Step> {
    let mut messages: Vec<String> = Vec::new();
    for line in code.lines() {
        let said = line.trim_start();
        let said = said
            .strip_prefix("-> ")
            .or_else(|| said.strip_prefix("<- "));
        match (said, messages.last_mut()) {
            (Some(said), _) => messages.push(said.to_owned()),
            (None, Some(last)) => {
                last.push('\n');
                last.push_str(line);
            }
            (None, None) => messages.push(line.to_owned()),
        }
    }
    messages.retain(|message| !message.trim().is_empty());
    messages
        .iter()
        .map(|message| step(message.trim()))
        .collect()
}

fn step(text: &str) -> Step {
    let as_it_is = || Step::Text(text.to_owned());
    let Ok(Value::Object(mut members)) = literal::parse(text) else {
        return as_it_is();
    };
    if let Some(value) = members.get("return") {
        return Step::Reply(value.to_json());
    }
    if members.contains_key("event") {
        return Step::Event(escape_json(text).into_owned());
    }
    let arguments = match members.swap_remove("arguments") {
        None => Object::new(),
        Some(Value::Object(arguments)) => arguments,
        Some(_) => return as_it_is(),
    };
    let oob = members.get("exec-oob");
    let Some(name) = oob
        .or_else(|| members.get("execute"))
        .and_then(Value::as_str)
    else {
        return as_it_is();
    };
    Step::Line(line(&Command {
        name: name.to_owned(),
        arguments,
        oob: oob.is_some(),
    }))
}

/// The line that sends this command; where words would be read as something else, the message itself.
fn line(command: &Command) -> String {
    if let Some(block) = transaction(command) {
        return block;
    }
    let line = words(&command.name, &command.arguments);
    if !says(&line, command) {
        return command.to_wire();
    }
    match command.oob {
        true => format!(":oob {line}"),
        false => line,
    }
}

/// A transaction as a block, with an action a line.
fn transaction(command: &Command) -> Option<String> {
    let (name, arguments) = (&*command.name, &command.arguments);
    let Some(Value::Array(actions)) = arguments.get("actions") else {
        return None;
    };
    if name != "transaction" || arguments.len() != 1 || actions.is_empty() {
        return None;
    }
    let mut block = "transaction(\n".to_owned();
    for action in actions {
        let Value::Object(action) = action else {
            return None;
        };
        let (name, Value::Object(data)) = (action.get("type")?.as_str()?, action.get("data")?)
        else {
            return None;
        };
        let line = words(name, data);
        let alone = Command {
            name: name.to_owned(),
            arguments: data.clone(),
            oob: false,
        };
        if !says(&line, &alone) {
            return None;
        }
        block.push_str(&format!("  {line}\n"));
    }
    Some(block + ")")
}

fn words(name: &str, arguments: &Object) -> String {
    let mut line = name.to_owned();
    for (key, value) in arguments {
        add_argument(&mut line, key, value);
    }
    line
}

/// Adds an argument: an object by dotted keys, and so an array of one item; other arrays as JSON.
fn add_argument(line: &mut String, key: &str, value: &Value) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                add_argument(line, &format!("{key}.{name}"), value);
            }
        }
        Value::Array(items) if items.len() == 1 => {
            add_argument(line, &format!("{key}.0"), &items[0]);
        }
        _ => {
            line.push(' ');
            line.push_str(&argument(key, value));
        }
    }
}

/// Whether the line, read again, is this command.
fn says(line: &str, command: &Command) -> bool {
    let Ok(words) = Words::split(line) else {
        return false;
    };
    match Parser::default().parse(&words).map(|line| line.statement) {
        Ok(Statement::Command(read)) => {
            let again = Command {
                oob: command.oob,
                ..read
            };
            again.to_message() == command.to_message()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(json: &str) -> String {
        match &steps(&format!("-> {json}\n<- {{}}"))[0] {
            Step::Line(line) => line.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_becomes_the_line_that_sends_it() {
        for (json, line) in [
            (r#"{"execute": "stop"}"#, "stop"),
            (
                "{ \"execute\": \"a\",\n  \"arguments\": { \"id\": \"x y\", \"n\": 1, \"on\": true, \"s\": \"1\" } }",
                r#"a id="x y" n=1 on=true s="1""#,
            ),
            (
                r#"{"execute": "a", "arguments": {"b": {"c": "d", "e": {}}, "f": [{"g": 1}], "h": [1, 2], "i": null}}"#,
                "a b.c=d b.e={} f.0.g=1 h=[1,2] i:=null",
            ),
            (r#"{"exec-oob": "migrate-pause"}"#, ":oob migrate-pause"),
            // No dotted key says this.
            (
                r#"{"execute": "a", "arguments": {"b.c": {"1": 2}}}"#,
                r#"{"execute":"a","arguments":{"b.c":{"1":2}}}"#,
            ),
            (
                r#"{"execute": "transaction", "arguments": {"actions": [{"type": "abort", "data": {}},
                    {"type": "drive-backup", "data": {"device": "d", "sync": "full"}}]}}"#,
                "transaction(\n  abort\n  drive-backup device=d sync=full\n)",
            ),
        ] {
            assert_eq!(line_of(json), line, "{json}");
        }
    }

    #[test]
    fn what_is_no_message_stays_as_it_is() {
        let code = "1. Change\n\n -> { \"execute\": \"eject\",\n ...\n<- { \"return\": {} }\n<- {\"event\": \"STOP\"}";
        let steps = steps(code);
        assert!(
            matches!(
                &steps[..],
                [Step::Text(title), Step::Text(broken), Step::Reply(reply), Step::Event(_)]
                    if title == "1. Change" && broken.starts_with("{ \"execute\"") && reply == "{}"
            ),
            "{steps:?}"
        );
    }
}
