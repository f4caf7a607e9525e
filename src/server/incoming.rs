//! Reads commands from clients, and words errors as QEMU does.

use std::borrow::Cow;
use std::panic::resume_unwind;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::task::spawn_blocking;

/// A command as it was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub name: String,
    /// The arguments, a JSON object; empty if there are none.
    pub arguments: Bytes,
    /// The id as JSON, if there is one.
    pub id: Option<Bytes>,
    /// `exec-oob` instead of `execute`.
    pub oob: bool,
}

/// Why a message is not a command. QEMU's class for it is `GenericError`.
#[derive(Debug)]
pub(super) struct Wrong {
    pub id: Option<Bytes>,
    pub desc: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    execute: Option<Cow<'a, str>>,
    #[serde(borrow)]
    exec_oob: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

/// Keeps an id that is null, which `Option` alone would treat as absent.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Larger messages get a general error: finding the exact one would take many times their size in memory.
const DIAGNOSED: usize = 1 << 20;

/// Reads a message, which begins with `{`. As with QEMU, strings may be in single quotes, unless it has more than a
/// megabyte.
///
/// # Errors
///
/// It is not a command; the words are QEMU's.
pub(super) async fn read(message: Bytes) -> Result<Sent, Wrong> {
    apart(message.len(), move || read_now(&message)).await
}

/// Larger texts, in bytes, are read in a thread of their own, so that other clients do not wait.
const LARGE: usize = 128 << 10;

/// Runs `work`, which takes time in proportion to `size`, in a thread of its own if that is large.
pub(super) async fn apart<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if size <= LARGE {
        return work();
    }
    let working = spawn_blocking(work).await;
    working.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

fn read_now(message: &Bytes) -> Result<Sent, Wrong> {
    match std::str::from_utf8(message).map(serde_json::from_str::<Envelope>) {
        Ok(Ok(envelope)) => return envelope.sent(message),
        Ok(Err(_)) => {}
        Err(_) => return Err(wrong("JSON parse error, invalid UTF-8 sequence in string")),
    }
    if message.len() > DIAGNOSED {
        return Err(wrong("JSON parse error, expecting value"));
    }
    let message = Bytes::from(in_double_quotes(&String::from_utf8_lossy(message)));
    let text = std::str::from_utf8(&message).unwrap_or_default();
    match serde_json::from_str::<Envelope>(text) {
        Ok(envelope) => envelope.sent(&message),
        Err(error) => Err(diagnose(text, &error)),
    }
}

impl Envelope<'_> {
    fn sent(self, message: &Bytes) -> Result<Sent, Wrong> {
        let part = |value: &RawValue| message.slice_ref(value.get().as_bytes());
        let id = self.id.map(part);
        let oob = self.exec_oob.is_some();
        let name = match (self.execute, self.exec_oob) {
            (Some(name), None) | (None, Some(name)) => name.into_owned(),
            (None, None) => {
                let desc = "QMP input lacks member 'execute'".to_owned();
                return Err(Wrong { id, desc });
            }
            (Some(_), Some(_)) => {
                let desc = "QMP input member 'exec-oob' clashes with 'execute'".to_owned();
                return Err(Wrong { id, desc });
            }
        };
        let arguments = self.arguments.map(part).unwrap_or_default();
        if !arguments.is_empty() && arguments[0] != b'{' {
            let desc = "QMP input member 'arguments' must be an object".to_owned();
            return Err(Wrong { id, desc });
        }
        Ok(Sent {
            name,
            arguments,
            id,
            oob,
        })
    }
}

/// Finds out what is wrong with a message that could not be read.
fn diagnose(text: &str, error: &serde_json::Error) -> Wrong {
    let Ok(Value::Object(mut members)) = serde_json::from_str(text) else {
        return wrong(&format!("JSON parse error, {error}"));
    };
    let id = members.remove("id").map(|id| Bytes::from(id.to_string()));
    for name in ["execute", "exec-oob"] {
        if members.get(name).is_some_and(|value| !value.is_string()) {
            let desc = format!("QMP input member '{name}' must be a string");
            return Wrong { id, desc };
        }
        members.remove(name);
    }
    members.remove("arguments");
    let desc = match members.keys().next() {
        Some(other) => format!("QMP input member '{other}' is unexpected"),
        None => format!("JSON parse error, {error}"),
    };
    Wrong { id, desc }
}

pub(super) fn wrong(desc: &str) -> Wrong {
    Wrong {
        id: None,
        desc: desc.to_owned(),
    }
}

/// The same JSON with its strings in double quotes, and without the escape `\'`, which JSON does not have.
fn in_double_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'') => {
                quote = Some(c);
                out.push('"');
            }
            (Some(open), _) if c == open => {
                quote = None;
                out.push('"');
            }
            (Some(_), '"') => out.push_str("\\\""),
            (Some(_), '\\') => match chars.next() {
                Some('\'') => out.push('\''),
                escaped => {
                    out.push('\\');
                    out.extend(escaped);
                }
            },
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &'static str) -> Result<Sent, Wrong> {
        read_now(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_command_may_be_written_in_single_quotes() {
        let sent = sent(r#"{'execute': 'a', 'arguments': {'b': 'it\'s "c"', "d": "\'"}, 'id': 1}"#)
            .expect("a command");
        assert_eq!(sent.name, "a");
        assert_eq!(sent.arguments, r#"{"b": "it's \"c\"", "d": "'"}"#);
        assert_eq!(sent.id, Some(Bytes::from("1")));
    }

    #[test]
    fn what_is_not_a_command_is_told_in_the_words_of_qemu() {
        for (text, desc) in [
            ("{}", "QMP input lacks member 'execute'"),
            (
                r#"{"execute": 1}"#,
                "QMP input member 'execute' must be a string",
            ),
            (
                r#"{"execute": "a", "x": 1}"#,
                "QMP input member 'x' is unexpected",
            ),
            (
                r#"{"execute": "a", "arguments": []}"#,
                "QMP input member 'arguments' must be an object",
            ),
            (
                r#"{"execute": "a", "exec-oob": "a"}"#,
                "QMP input member 'exec-oob' clashes with 'execute'",
            ),
        ] {
            assert_eq!(sent(text).expect_err(text).desc, desc);
        }
        let wrong = sent(r#"{"execute": }"#).expect_err("not JSON");
        assert!(wrong.desc.starts_with("JSON parse error, "));
    }

    #[test]
    fn an_error_has_the_id_of_what_it_is_about() {
        let wrong = sent(r#"{"id": [1], "x": 1}"#).expect_err("no command");
        assert_eq!(wrong.id, Some(Bytes::from("[1]")));
    }

    #[test]
    fn an_id_that_is_null_is_an_id() {
        let sent = sent(r#"{"execute": "a", "id": null}"#).expect("a command");
        assert_eq!(sent.id, Some(Bytes::from("null")));
    }
}
