//! Messages from the server: greeting, reply, event.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{Lost, QmpError};
use super::frame::garbage;

/// A message from the server.
#[derive(Debug)]
pub(crate) enum Incoming {
    Greeting(Greeting),
    /// A reply, with its `id`.
    Reply(Reply, Option<serde_json::Value>),
    Event(Event),
}

/// A server's greeting: its version and capabilities.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Greeting {
    /// The server's version.
    pub version: Version,
    /// The capabilities on offer; `oob` is the only one so far.
    #[serde(default, deserialize_with = "or_default")]
    pub capabilities: Vec<String>,
    /// It is the human monitor that greets.
    #[serde(default)]
    pub human: bool,
    /// The VM behind a server that is no QEMU itself, but a qmpsh that serves one to many clients.
    #[serde(rename = "__qmpsh", default, deserialize_with = "or_default")]
    pub behind: Option<Behind>,
}

/// See [`Greeting::behind`].
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Behind {
    /// QEMU's pid, if it is known, and on the server's machine.
    #[serde(default)]
    pub pid: Option<i32>,
}

impl Greeting {
    /// Whether a capability is on offer.
    pub fn offers(&self, capability: &str) -> bool {
        self.capabilities
            .iter()
            .any(|offered| offered == capability)
    }
}

/// The server's version, as `query-version` gives it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Version {
    /// QEMU's version.
    pub qemu: Triple,
    /// The distribution's own version; may be empty.
    #[serde(default, deserialize_with = "or_default")]
    pub package: String,
}

/// The three numbers of a version.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Triple {
    /// 11 in 11.1.2.
    pub major: u32,
    /// 1 in 11.1.2.
    pub minor: u32,
    /// 2 in 11.1.2.
    pub micro: u32,
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// A reply. It stays unparsed text until its content is needed.
#[derive(Debug, Clone)]
pub struct Reply {
    text: ByteString,
    value: Range<usize>,
    failed: bool,
    /// The number of the message in the session.
    pub(crate) number: u64,
}

impl Reply {
    /// The reply that a command would have given that has nothing to say.
    pub fn empty() -> Self {
        Self {
            text: ByteString::from_static("{}"),
            value: 0..2,
            failed: false,
            number: 0,
        }
    }

    /// The same reply with another value, given as JSON text.
    pub fn with_value(&self, json: String) -> Self {
        Self {
            value: 0..json.len(),
            text: json.into(),
            failed: false,
            number: self.number,
        }
    }

    /// Returns what the command returned, as JSON text.
    ///
    /// # Errors
    ///
    /// The command failed.
    pub fn value(&self) -> Result<&str, QmpError> {
        if !self.failed {
            return Ok(self.raw());
        }
        Err(
            serde_json::from_str(self.raw()).unwrap_or_else(|_| QmpError {
                class: "GenericError".to_owned(),
                desc: self.raw().to_owned(),
            }),
        )
    }

    /// The value of `return` or `error`, as JSON text.
    pub fn raw(&self) -> &str {
        &self.text[self.value.clone()]
    }

    /// The same without copying it.
    pub fn raw_bytes(&self) -> Bytes {
        self.text.as_bytes().slice(self.value.clone())
    }

    /// Whether the command failed.
    pub fn failed(&self) -> bool {
        self.failed
    }
}

/// An asynchronous event. Its text is copied, because the receive buffer may also hold a reply of
/// many megabytes, and events are kept for a long time.
#[derive(Debug)]
pub struct Event {
    text: Box<str>,
    name: Range<usize>,
    /// The name, if it contains escapes.
    odd_name: Option<Box<str>>,
    data: Option<Range<usize>>,
    /// When it happened, by the server's clock: seconds and microseconds since 1970, or -1 if the
    /// server does not know.
    pub timestamp: (i64, i64),
    /// The number of the message in the session.
    pub(crate) number: u64,
    /// See [`Event::is_of_session`].
    of_session: bool,
    /// See [`Event::is_taken`].
    taken: AtomicBool,
}

impl Event {
    /// The whole message as received.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        match &self.odd_name {
            Some(name) => name,
            None => &self.text[self.name.clone()],
        }
    }

    /// The event's `data` as JSON text, or an empty object if it has none.
    pub fn data(&self) -> &str {
        self.data
            .as_ref()
            .map_or("{}", |range| &self.text[range.clone()])
    }

    /// An event that the session itself publishes. It looks like one of the server's, but happened just now, by our
    /// clock.
    pub(super) fn of_session(name: &str, data: &serde_json::Value) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let text = format!(
            r#"{{"timestamp":{{"seconds":{},"microseconds":{}}},"event":"{name}","data":{data}}}"#,
            now.as_secs(),
            now.subsec_micros(),
        );
        let read = read(&Bytes::from(text));
        let Ok(Incoming::Event(event)) = read else {
            unreachable!("it has the form of an event")
        };
        Self {
            of_session: true,
            ..event
        }
    }

    /// Whether the session published it, not the server.
    pub fn is_of_session(&self) -> bool {
        self.of_session
    }

    /// Whether a wait has taken this event, so that no other can.
    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes the event for a wait. Returns false if another has taken it.
    pub fn take(&self) -> bool {
        !self.taken.swap(true, Ordering::Relaxed)
    }

    /// Reads an event from JSON.
    #[cfg(test)]
    pub fn example(name: &str, data: &str) -> Self {
        let text = format!(
            r#"{{"timestamp": {{"seconds": 0, "microseconds": 1000}}, "event": "{name}", "data": {data}}}"#
        );
        match read(&Bytes::from(text)) {
            Ok(Incoming::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }
}

/// Every member a message can have at its top level.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, rename = "return", deserialize_with = "present")]
    returned: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    event: Option<Name<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    timestamp: Option<Timestamp>,
    #[serde(rename = "QMP")]
    greeting: Option<Greeting>,
}

/// Keeps a member that is present but null, which `Option` alone would treat as absent.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Takes null for a member that is absent.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A string, borrowed if it contains no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Timestamp {
    seconds: i64,
    microseconds: i64,
}

/// Reads one message.
///
/// # Errors
///
/// The bytes are not a JSON object, or not a kind of message that QMP has.
pub(crate) fn read(text: &Bytes) -> Result<Incoming, Lost> {
    let json = ByteString::try_from(text.clone()).map_err(|_| garbage(text))?;
    let envelope: Envelope = serde_json::from_str(&json).map_err(|_| garbage(text))?;
    let reply = |value: &RawValue, failed| {
        let reply = Reply {
            text: json.clone(),
            value: place(&json, value.get()),
            failed,
            number: 0,
        };
        // An id that cannot be parsed is kept as a string, which matches no command.
        let id = envelope.id.map(|id| {
            serde_json::from_str(id.get()).unwrap_or_else(|_| id.get().to_owned().into())
        });
        Incoming::Reply(reply, id)
    };
    if let Some(value) = envelope.returned {
        return Ok(reply(value, false));
    }
    if let Some(value) = envelope.error {
        return Ok(reply(value, true));
    }
    if let Some(Name(name)) = envelope.event {
        let (name, odd_name) = match name {
            Cow::Borrowed(name) => (place(&json, name), None),
            Cow::Owned(name) => (0..0, Some(name.into())),
        };
        return Ok(Incoming::Event(Event {
            text: Box::from(&*json),
            name,
            odd_name,
            data: envelope.data.map(|data| place(&json, data.get())),
            timestamp: envelope
                .timestamp
                .map_or((-1, -1), |at| (at.seconds, at.microseconds)),
            number: 0,
            of_session: false,
            taken: AtomicBool::new(false),
        }));
    }
    envelope
        .greeting
        .map(Incoming::Greeting)
        .ok_or_else(|| garbage(text))
}

/// The range of `part`, a slice of `whole`, in `whole`.
fn place(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming(text: &'static str) -> Result<Incoming, Lost> {
        read(&Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_reply_keeps_its_exact_text() {
        match incoming(r#"{"return": {"a":  1.50}, "id": [1,  "x"]}"#) {
            Ok(Incoming::Reply(reply, id)) => {
                assert_eq!(reply.value().expect("a success"), r#"{"a":  1.50}"#);
                assert_eq!(id, Some(serde_json::json!([1, "x"])));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_error_has_a_class_and_a_description() {
        match incoming(r#"{"id": 1, "error": {"class": "GenericError", "desc": "no"}}"#) {
            Ok(Incoming::Reply(reply, _)) => assert_eq!(
                reply.value().expect_err("a failure").to_string(),
                "GenericError: no"
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_return_of_null_is_a_reply() {
        assert!(matches!(
            incoming(r#"{"return": null}"#),
            Ok(Incoming::Reply(..))
        ));
    }

    #[test]
    fn an_event_without_data_has_an_empty_object() {
        match incoming(r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}"#) {
            Ok(Incoming::Event(event)) => {
                assert_eq!((event.name(), event.data()), ("STOP", "{}"));
                assert_eq!(event.timestamp, (1, 2));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_with_escapes_is_read() {
        match incoming(r#"{"data": {"a": 1}, "event": "ST\u004fP"}"#) {
            Ok(Incoming::Event(event)) => {
                assert_eq!((event.name(), event.data()), ("STOP", r#"{"a": 1}"#));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_object_of_unknown_kind_is_an_error() {
        for text in ["{}", r#"{"hello": 1}"#, r#"{"return": }"#] {
            assert!(
                matches!(incoming(text), Err(Lost::Garbage { .. })),
                "{text}"
            );
        }
    }
}
