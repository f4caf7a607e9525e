//! What `OK` returns, and how a person sees it.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

use super::line::number;
use crate::lang::Message;
use crate::qmp::Reply;
use crate::render::Style;

/// The verbs that return what is in memory, not a number.
const MEMORY: [&str; 2] = ["read", "b64read"];

/// How many bytes stand on a row of a dump.
const ROW: usize = 16;

/// The value of a reply, if it is a number: on the wire only the verb tells it from what is in memory.
pub(in crate::dialect) fn value(message: &Message, reply: &Reply) -> Option<String> {
    let verb = message.name.as_deref()?;
    if MEMORY.contains(&verb) {
        return None;
    }
    let text: String = serde_json::from_str(reply.value().ok()?).ok()?;
    let text = match (verb, text.split_once(' ')) {
        // A status that is always 0, and hexadecimal digits.
        ("csr", Some((_, digits))) => format!("0x{digits}"),
        _ => text,
    };
    // What is no number, such as a negative one, is JSON as it is.
    let number = number(&text).map(Value::from);
    let number = number.or_else(|| text.parse::<i64>().ok().map(Value::from))?;
    Some(number.to_string())
}

/// What a person sees of a value: a number in both bases, memory as a dump, nothing as what the server says then.
pub(in crate::dialect) fn text(json: &str, style: Style) -> Option<Cow<'static, str>> {
    if !style.is_for_a_person() {
        return None;
    }
    match serde_json::from_str(json).ok()? {
        Value::Number(number) => {
            let number = number.as_u64()?;
            Some(format!("{number:#x} ({number})").into())
        }
        Value::String(text) => Some(dump(text.strip_prefix("0x")?).into()),
        Value::Object(none) if none.is_empty() => Some("OK".into()),
        _ => None,
    }
}

/// Pairs of hexadecimal digits as rows of an offset, bytes and characters.
fn dump(digits: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map_while(byte).collect();
    let mut text = String::new();
    for (row, bytes) in bytes.chunks(ROW).enumerate() {
        let shown: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let visible = |byte: &u8| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        };
        let characters: String = bytes.iter().map(visible).collect();
        let _ = writeln!(
            text,
            "{:08x}  {:<width$}  {characters}",
            row * ROW,
            shown.join(" "),
            width = 3 * ROW - 1,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shown_in_rows() {
        assert_eq!(
            dump(&"41427f0a".repeat(5)),
            "00000000  41 42 7f 0a 41 42 7f 0a 41 42 7f 0a 41 42 7f 0a  AB..AB..AB..AB..\n\
             00000010  41 42 7f 0a                                      AB..\n"
        );
    }
}
