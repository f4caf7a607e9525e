use std::mem::discriminant;

use qmpsh::fuzzing::{Message, messages as read};
use qmpsh::render;

use super::{assert_harmless, is_json};

/// What a server sends: it is read the same however the bytes are split, and what is shown of it is harmless. The first
/// byte says how large the pieces are.
pub fn messages(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let (whole, lost) = read(bytes, bytes.len().max(1));
    let (pieces, why) = read(bytes, usize::from(*size).max(1));
    let texts = |messages: &[Message]| messages.iter().map(text).collect::<Vec<_>>();
    assert_eq!(texts(&whole), texts(&pieces));
    assert_eq!(
        lost.as_ref().map(discriminant),
        why.as_ref().map(discriminant),
        "{lost:?}, {why:?}"
    );
    for lost in [lost, why].into_iter().flatten() {
        assert_harmless(&lost.to_string());
    }
    for message in &whole {
        match message {
            Message::Greeting => {}
            Message::Reply(reply) => {
                assert_shown(reply.raw());
                if let Err(error) = reply.value() {
                    assert_harmless(&render::escape_line(&error.to_string()));
                }
            }
            Message::Event(event) => {
                assert_shown(event.data());
                assert_harmless(&render::event_line(event, false));
                assert!(is_json(event.text()));
            }
        }
    }
}

fn text(message: &Message) -> String {
    match message {
        Message::Greeting => "greeting".to_owned(),
        Message::Reply(reply) => format!("{} {}", reply.failed(), reply.raw()),
        Message::Event(event) => format!("{} {}", event.name(), event.text()),
    }
}

/// A value is the same JSON, and harmless, however it is printed.
fn assert_shown(json: &str) {
    assert!(is_json(json), "{json:?}");
    let compact = render::compact(json);
    let pretty = render::pretty(json, false);
    for shown in [&*compact, &pretty] {
        assert_harmless(&shown.replace(['\r', '\t'], " "));
        assert!(is_json(shown), "{json:?} became {shown:?}");
    }
    assert!(!compact.contains(['\n', '\r']), "{compact:?}");
    if let Ok(value) = serde_json::from_str::<serde_json::Value>(json) {
        for shown in [&*compact, &pretty] {
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(shown).ok(),
                Some(value.clone())
            );
        }
    }
}
