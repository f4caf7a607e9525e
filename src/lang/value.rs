use std::borrow::Cow;
use std::time::Duration;

use indexmap::IndexMap;

use super::harmless::{escape_json, is_harmful};

/// An object's members in the order they were written.
pub type Object = IndexMap<String, Value>;

/// A value as it was written, before the schema gives it a type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A bare word. The schema gives it a type, or else its looks do.
    Word(String),
    /// A quoted string: always a string.
    Text(String),
    /// A JSON number, kept as text so that no digit is lost.
    Number(String),
    /// `true` or `false` in JSON.
    Bool(bool),
    /// `null` in JSON.
    Null,
    /// A list.
    Array(Vec<Value>),
    /// An object.
    Object(Object),
}

impl Value {
    /// The text of a string or a bare word.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value as JSON without white space. Bare words are typed by their looks.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Word(word) => write_by_looks(word, out),
            Self::Text(text) => out.push_str(&quote(text)),
            Self::Number(digits) => out.push_str(digits),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Null => out.push_str("null"),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Object(members) => members_to_json(members, out),
        }
    }
}

/// Appends an object as JSON.
pub(super) fn members_to_json(members: &Object, out: &mut String) {
    out.push('{');
    for (index, (key, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&quote(key));
        out.push(':');
        value.write_json(out);
    }
    out.push('}');
}

/// Returns `text` as a JSON string, with its quotes, and without characters that harm a terminal.
pub fn quote(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a string is always JSON");
    match escape_json(&json) {
        Cow::Borrowed(_) => json,
        Cow::Owned(safe) => safe,
    }
}

/// Formats an argument that parses back into `key` and `value`.
pub fn argument(key: &str, value: &Value) -> String {
    match value {
        Value::Text(text) if is_plain(text) => format!("{key}={text}"),
        Value::Word(text) if text.is_empty() || !needs_quotes(text) => format!("{key}={text}"),
        Value::Text(text) | Value::Word(text) => format!("{key}={}", in_quotes(text)),
        Value::Number(digits) if integer(digits).as_ref() != Some(digits) => {
            format!("{key}:={digits}")
        }
        Value::Null => format!("{key}:=null"),
        Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            format!("{key}={}", value.to_json())
        }
    }
}

/// Returns `text` as it is written in a line, in quotes if necessary.
pub fn word(text: &str) -> String {
    if text.is_empty() || needs_quotes(text) {
        in_quotes(text)
    } else {
        text.to_owned()
    }
}

/// Returns `text` in quotes, in which nothing is a variable.
pub fn in_quotes(text: &str) -> String {
    quote(text).replace('$', "\\u0024")
}

/// Flattens `object` into dotted keys and values that are neither objects nor arrays.
pub fn dotted(object: &Object) -> Vec<(String, &Value)> {
    fn collect<'a>(path: &str, value: &'a Value, all: &mut Vec<(String, &'a Value)>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    collect(&format!("{path}.{key}"), value, all);
                }
            }
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    collect(&format!("{path}.{index}"), value, all);
                }
            }
            _ => all.push((path.to_owned(), value)),
        }
    }
    let mut all = Vec::new();
    for (key, value) in object {
        collect(key, value, &mut all);
    }
    all
}

/// Whether a string without quotes would be read as the same string.
fn is_plain(text: &str) -> bool {
    !needs_quotes(text) && Value::Word(text.to_owned()).to_json().starts_with('"')
}

/// Whether the text needs quotes to be read as one word.
fn needs_quotes(text: &str) -> bool {
    // A backslash at the end of a line would continue it.
    text.starts_with(['{', '['])
        || text.ends_with('\\')
        || text
            .contains(|c: char| c.is_whitespace() || is_harmful(c) || matches!(c, '"' | '\'' | '$'))
}

/// Types a bare word as qmp-shell does: an integer, `true` or `false` in any case, or a string.
fn write_by_looks(word: &str, out: &mut String) {
    if let Some(digits) = integer(word) {
        out.push_str(&digits);
    } else if word.eq_ignore_ascii_case("true") {
        out.push_str("true");
    } else if word.eq_ignore_ascii_case("false") {
        out.push_str("false");
    } else {
        out.push_str(&quote(word));
    }
}

/// Converts a number of seconds. Returns `None` if it is negative or more than a hundred years.
pub fn seconds(number: f64) -> Option<Duration> {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let time = Duration::try_from_secs_f64(number).ok()?;
    (time <= LONGEST).then_some(time)
}

/// Returns an integer in JSON's spelling if Python's `int()` accepts `word`. Python allows a leading
/// `+`, leading zeros and single underscores between digits; JSON does not, so they are removed.
pub fn integer(word: &str) -> Option<String> {
    let word = word.trim();
    let (negative, digits) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    if !digits
        .split('_')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    {
        return None;
    }
    let digits = digits.replace('_', "");
    let digits = digits.trim_start_matches('0');
    match (negative, digits) {
        (_, "") => Some("0".to_owned()),
        (true, digits) => Some(format!("-{digits}")),
        (false, digits) => Some(digits.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_word_is_typed_by_its_looks_as_in_qmp_shell() {
        for (word, json) in [
            ("1", "1"),
            ("-1", "-1"),
            ("+1", "1"),
            ("007", "7"),
            ("-0", "0"),
            ("1_000", "1000"),
            ("1__0", "\"1__0\""),
            ("_1", "\"_1\""),
            ("99999999999999999999999", "99999999999999999999999"),
            ("0x10", "\"0x10\""),
            ("1.5", "\"1.5\""),
            ("1G", "\"1G\""),
            ("-", "\"-\""),
            ("", "\"\""),
            ("tRuE", "true"),
            ("FALSE", "false"),
            ("null", "\"null\""),
            ("a\"b", r#""a\"b""#),
        ] {
            assert_eq!(Value::Word(word.into()).to_json(), json, "{word}");
        }
    }
}
