//! Commands with their arguments and descriptors, and whole messages.

use std::ops::Range;
use std::path::PathBuf;

use crate::lang::arguments::Arguments;
use crate::lang::tokens::{Word, plain};
use crate::lang::{
    Command, Descriptor, Dialect, Message, Statement, SyntaxError, Value, key_value, literal,
};

/// Reads a command, and the descriptors that go with it.
///
/// # Errors
///
/// There is no command, or a word after it is neither an argument nor a descriptor.
pub(super) fn command(list: &[Word<'_>]) -> Result<(Command, Vec<Descriptor>), SyntaxError> {
    let name = match list.first() {
        None => return Err(SyntaxError::new("a command is missing before `&`", 0..1)),
        Some(word) => word,
    };
    if name.text.contains('=') || name.text.starts_with(['"', '\'', '<', '&', '|', '>']) {
        return Err(no_command(name.span()));
    }
    let mut arguments = Arguments::default();
    let mut descriptors = Vec::new();
    for word in &list[1..] {
        if let Some(target) = word.text.strip_prefix('<') {
            descriptors.push(descriptor(target, word)?);
        } else {
            let (key, value) = key_value::read(word)?;
            arguments.set(key, value, word.start..word.start + key.len())?;
        }
    }
    let command = Command {
        name: name.text.to_owned(),
        arguments: arguments.finish()?,
        oob: false,
    };
    Ok((command, descriptors))
}

/// The error for words that stand where a command is expected.
pub(super) fn no_command(span: Range<usize>) -> SyntaxError {
    SyntaxError::new("expected a command first", span).help("write COMMAND KEY=VALUE …")
}

fn descriptor(target: &str, word: &Word<'_>) -> Result<Descriptor, SyntaxError> {
    if let Some(number) = target.strip_prefix('&') {
        return number.parse().map(Descriptor::Inherited).map_err(|_| {
            SyntaxError::new(
                format!("`{number}` is not the number of a file descriptor"),
                word.span(),
            )
            .help("<&N passes the descriptor N that qmpsh inherited")
        });
    }
    let (path, read_write) = match target.strip_prefix('>') {
        Some(path) => (path, true),
        None => (target, false),
    };
    let path_at = word.start + word.text.len() - path.len();
    let path = PathBuf::from(plain(path, path_at, word.variables)?);
    if path.as_os_str().is_empty() {
        return Err(SyntaxError::new("a path is missing", word.span())
            .help("<PATH passes a file opened for reading, <>PATH for reading and writing"));
    }
    Ok(if read_write {
        Descriptor::ReadWrite(path)
    } else {
        Descriptor::Read(path)
    })
}

/// Reads a whole message, which starts with `{`, and the descriptors that go with it.
///
/// # Errors
///
/// The message is not JSON, not even in the relaxed form, or something else follows it.
pub(super) fn message(list: &[Word<'_>]) -> Result<(Statement, Vec<Descriptor>), SyntaxError> {
    let object = &list[0];
    let mut descriptors = Vec::new();
    for word in &list[1..] {
        match word.text.strip_prefix('<') {
            Some(target) => descriptors.push(descriptor(target, word)?),
            None => {
                return Err(
                    SyntaxError::new("unexpected text after the message", word.span())
                        .help("a line that starts with `{` is one whole QMP message"),
                );
            }
        }
    }
    let value = literal::parse(object.text).map_err(|error| error.shifted(object.start))?;
    let Value::Object(members) = &value else {
        unreachable!("the word opens with a brace");
    };
    let id = members.get("id").map(Value::to_json);
    let name = members.get("execute").or(members.get("exec-oob"));
    let name = match name {
        Some(Value::Text(name)) => Some(name.clone()),
        _ => None,
    };
    // JSON is sent byte for byte as typed. The relaxed form is not JSON and is converted.
    let strict = serde_json::from_str::<serde::de::IgnoredAny>(object.text).is_ok();
    let text = match strict {
        true => object.text.to_owned(),
        false => value.to_json(),
    };
    let message = Message {
        text,
        id,
        name,
        dialect: Dialect::Qmp,
    };
    Ok((Statement::Message(message), descriptors))
}
