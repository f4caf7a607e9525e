//! Commands for the server, and their wire format.

use std::fmt::Display;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use serde_json::Value;

/// A command for the server.
#[derive(Debug, Default)]
pub struct Request {
    /// The message, a JSON object.
    pub text: String,
    /// The message's `id`, if the user gave one.
    pub id: Option<Value>,
    /// The command's name, for messages to the user.
    pub name: String,
    /// Descriptors to pass. QEMU keeps only those of the last message, so nothing else is sent
    /// until the reply has come.
    pub descriptors: Vec<OwnedFd>,
    /// The user did not ask for this command, so a late reply is dropped.
    pub quiet: bool,
    /// Which client of ours sends it, for the log.
    pub from: Option<Arc<str>>,
}

impl Request {
    /// A command without arguments.
    pub fn new(name: &str) -> Self {
        Self {
            text: format!(r#"{{"execute":{}}}"#, Value::from(name)),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// A command with arguments: a JSON object, as a [`Value`] or as text.
    pub fn with(name: &str, arguments: &dyn Display) -> Self {
        Self {
            text: format!(
                r#"{{"execute":{},"arguments":{arguments}}}"#,
                Value::from(name)
            ),
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Marks the command as not asked for by the user: a late reply is dropped.
    pub fn quietly(self) -> Self {
        Self {
            quiet: true,
            ..self
        }
    }
}

/// Returns the JSON object `text` with the member `id` added.
pub(super) fn with_id(text: &str, id: i64) -> String {
    let open = text.trim_end().strip_suffix('}').unwrap_or(text);
    let comma = if open.trim_end().ends_with('{') {
        ""
    } else {
        ","
    };
    format!("{open}{comma}\"id\":{id}}}")
}

/// Whether a message must have an id: its reply may come before earlier ones if it goes out of band, and those who watch
/// the traffic must know the answer to a `qom-get`, which may be a secret.
pub(super) fn needs_id(text: &str) -> bool {
    text.contains("exec-oob") || text.contains("qom-get")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_added_after_the_other_members() {
        assert_eq!(
            with_id(r#"{"execute": "a"}"#, 7),
            "{\"execute\": \"a\",\"id\":7}"
        );
        assert_eq!(with_id("{ }", 7), "{ \"id\":7}");
    }
}
