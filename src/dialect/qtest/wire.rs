use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Buf, Bytes};
use serde_json::{Value, json};

use super::QUESTION;
use crate::qmp::{Frames, Lost, Opening, Wire, garbage};

/// A connection to qtest.
pub struct Qtest;

impl Wire for Qtest {
    fn opening(&self) -> Opening {
        Opening::Question(QUESTION)
    }

    fn take(&self, received: &mut Frames) -> Result<Option<Bytes>, Lost> {
        let Some(length) = received.line()? else {
            return match begins(&received.buffer) {
                true => Ok(None),
                false => Err(garbage(&received.buffer)),
            };
        };
        let line = String::from_utf8_lossy(&received.buffer[..length]);
        let message = message(line.trim_end()).ok_or_else(|| garbage(&received.buffer))?;
        received.buffer.advance(length);
        Ok(Some(message.to_string().into()))
    }

    fn write(&self, message: &str, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(message.as_bytes());
        bytes.push(b'\n');
    }

    fn has_ids(&self) -> bool {
        false
    }

    fn refuses(&self, message: &str) -> Option<String> {
        let is_qmps = message.starts_with('{');
        is_qmps.then(|| "it is QMP's, and this is qtest".to_owned())
    }

    fn may_say(&self, said: &[u8]) -> bool {
        said.starts_with(b"IRQ ")
    }

    fn mismatch(&self) -> &'static str {
        "does not speak qtest"
    }

    fn silence(&self) -> (&'static str, &'static str) {
        (
            "did not answer as qtest does",
            "another client may be using it (QEMU serves one at a time), QEMU is still starting or stopped, or it is \
             something else that does not greet, such as a guest agent (-N) or a serial console",
        )
    }
}

/// Whether this may be the beginning of a line.
fn begins(line: &[u8]) -> bool {
    let words = ["OK", "FAIL ", "ERR ", "IRQ "].map(str::as_bytes);
    words.iter().any(|word| {
        let length = word.len().min(line.len());
        word[..length] == line[..length]
    })
}

/// What a QMP server would have sent for a line.
fn message(line: &str) -> Option<Value> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "OK" if rest.is_empty() => Some(json!({"return": {}})),
        "OK" => Some(json!({"return": rest})),
        "FAIL" | "ERR" => {
            let why = match rest {
                "" => "qtest says FAIL, and not why",
                why => why,
            };
            Some(json!({"error": {"class": "GenericError", "desc": why}}))
        }
        "IRQ" => {
            let (action, number) = rest.split_once(' ')?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.unwrap_or_default();
            Some(json!({
                "timestamp": {"seconds": now.as_secs(), "microseconds": now.subsec_micros()},
                "event": "IRQ",
                "data": {"action": action, "number": number.parse::<u32>().ok()?},
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_qmps_messages() {
        for (line, expected) in [
            ("OK", r#"{"return":{}}"#),
            ("OK 0x001f", r#"{"return":"0x001f"}"#),
            (
                "FAIL Unknown device",
                r#"{"error":{"class":"GenericError","desc":"Unknown device"}}"#,
            ),
        ] {
            assert_eq!(message(line).expect(line).to_string(), expected);
        }
        let event = message("IRQ raise 4").expect("an event");
        assert_eq!(event["data"], json!({"action": "raise", "number": 4}));
        for line in ["hello", "IRQ", "IRQ raise x", "okay"] {
            assert_eq!(message(line), None);
        }
    }

    #[test]
    fn what_can_be_no_line_is_not_waited_for() {
        let take = |said: &[u8]| {
            let mut received = Frames::default();
            received.buffer.extend_from_slice(said);
            Qtest.take(&mut received)
        };
        assert!(matches!(take(b"FA"), Ok(None)));
        assert!(take(b"login: ").is_err());
    }

    #[test]
    fn a_line_may_come_in_pieces_and_two_at_once() {
        let mut received = Frames::default();
        let mut messages = Vec::new();
        for piece in ["OK 0x", "0f\nIRQ lower 1\nO", "K\n"] {
            received.buffer.extend_from_slice(piece.as_bytes());
            while let Some(message) = Qtest.take(&mut received).expect("no garbage") {
                messages.push(String::from_utf8_lossy(&message).into_owned());
            }
        }
        assert_eq!(messages[0], r#"{"return":"0x0f"}"#);
        assert!(messages[1].contains(r#""event":"IRQ""#), "{messages:?}");
        assert_eq!(messages[2], r#"{"return":{}}"#);
    }
}
