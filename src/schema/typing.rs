//! Gives bare words the types that the schema asks for.
//!
//! A word that does not fit its type stays a word. It is then sent by its looks, and the server
//! reports what is wrong with it.

use super::{Scalar, Schema, Type, TypeId};
use crate::lang::{Command, Object, Value, integer};

impl Schema {
    /// Types the bare words among the arguments, if the schema has the command and the key.
    pub fn type_words(&self, command: &mut Command) {
        if let Some(known) = self.command(&command.name) {
            self.type_members(known.arguments, &mut command.arguments);
        }
    }

    fn type_value(&self, of: TypeId, value: &mut Value) {
        match value {
            Value::Word(word) => {
                if let Some(typed) = self.word(of, word) {
                    *value = typed;
                }
            }
            Value::Array(values) => {
                if let Some(items) = self.items(of) {
                    for value in values {
                        self.type_value(items, value);
                    }
                }
            }
            Value::Object(members) => self.type_members(of, members),
            Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }

    /// Types the bare words among members of this type.
    pub(super) fn type_members(&self, of: TypeId, given: &mut Object) {
        let Some(object) = self.object(of) else {
            return;
        };
        for member in self.members(object, given) {
            if let Some(value) = given.get_mut(&*member.name) {
                self.type_value(member.of, value);
            }
        }
    }

    /// The value of a bare word as this type, if it can have it.
    fn word(&self, of: TypeId, word: &str) -> Option<Value> {
        match self.get(of) {
            Type::Scalar(scalar) => word_as(*scalar, word),
            Type::Enum(_) => Some(Value::Text(word.to_owned())),
            Type::Array(_) | Type::Object(_) => None,
            Type::Alternate(choices) => {
                // Any word can be a string, so that comes last. An alternate never contains
                // another.
                let as_builtin = |id: &TypeId| match self.get(*id) {
                    Type::Scalar(scalar) if *scalar != Scalar::Str => word_as(*scalar, word),
                    _ => None,
                };
                let is_string = |id: &TypeId| {
                    matches!(self.get(*id), Type::Enum(_) | Type::Scalar(Scalar::Str))
                };
                choices.iter().find_map(as_builtin).or_else(|| {
                    let text = || Value::Text(word.to_owned());
                    choices.iter().any(is_string).then(text)
                })
            }
        }
    }
}

/// The value of a bare word as a scalar type, if it can have it.
///
/// An integer may be decimal, hexadecimal with `0x`, or a size: a number followed by one of `k M G
/// T P E`, powers of 1024, as in QEMU's `qemu_strtosz`.
pub fn word_as(scalar: Scalar, word: &str) -> Option<Value> {
    match scalar {
        Scalar::Str => Some(Value::Text(word.to_owned())),
        Scalar::Int => int(word).map(Value::Number),
        Scalar::Number => integer(word)
            .or_else(|| number(word))
            .or_else(|| int(word))
            .map(Value::Number),
        Scalar::Bool => boolean(word).map(Value::Bool),
        Scalar::Null => (word == "null").then_some(Value::Null),
        Scalar::Any => None,
    }
}

/// Whether the word could be anything but a string.
pub fn is_ambiguous(word: &str) -> bool {
    let scalars = [Scalar::Number, Scalar::Bool, Scalar::Null];
    scalars
        .into_iter()
        .any(|scalar| word_as(scalar, word).is_some())
}

fn int(word: &str) -> Option<String> {
    if let Some(digits) = integer(word) {
        return Some(digits);
    }
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", word),
    };
    let value = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hex) if hex.starts_with('+') => None,
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None => size(digits),
    }?;
    Some(format!("{sign}{value}"))
}

/// The bytes that a size like `1G` or `1.5M` means, rounded to a whole number.
fn size(word: &str) -> Option<u128> {
    let unit = word.bytes().last()?;
    let power = b"KMGTPE"
        .iter()
        .position(|u| *u == unit.to_ascii_uppercase())?;
    let shift = 10 * (u32::try_from(power).ok()? + 1);
    let number = &word[..word.len() - 1];
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || fraction.len() > 15 {
        return None;
    }
    let bytes = whole.parse::<u64>().ok().map(u128::from)? << shift;
    if fraction.is_empty() {
        return (number.len() == whole.len()).then_some(bytes);
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = fraction.parse::<u128>().ok()? << shift;
    Some(bytes + (part + scale / 2) / scale)
}

/// A number with a fraction or an exponent, in JSON's spelling.
fn number(word: &str) -> Option<String> {
    serde_json::from_str::<serde_json::Number>(word).ok()?;
    Some(word.to_owned())
}

fn boolean(word: &str) -> Option<bool> {
    let is = |spelling: &str| word.eq_ignore_ascii_case(spelling);
    if is("true") || is("on") || is("yes") {
        Some(true)
    } else if is("false") || is("off") || is("no") {
        Some(false)
    } else {
        None
    }
}

/// Whether the command has bare words that could be anything but strings.
pub fn needs_types(command: &Command) -> bool {
    command.arguments.values().any(has_ambiguous_word)
}

fn has_ambiguous_word(value: &Value) -> bool {
    match value {
        Value::Word(word) => is_ambiguous(word),
        Value::Array(values) => values.iter().any(has_ambiguous_word),
        Value::Object(members) => members.values().any(has_ambiguous_word),
        Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Null => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(scalar: Scalar, word: &str) -> Option<String> {
        word_as(scalar, word).map(|value| value.to_json())
    }

    #[test]
    fn an_integer_is_decimal_hexadecimal_or_a_size() {
        for (word, json) in [
            ("12", Some("12")),
            ("-7", Some("-7")),
            ("007", Some("7")),
            ("0x1F", Some("31")),
            ("-0x10", Some("-16")),
            ("1k", Some("1024")),
            ("1K", Some("1024")),
            ("1M", Some("1048576")),
            ("1.5G", Some("1610612736")),
            ("2T", Some("2199023255552")),
            ("16E", Some("18446744073709551616")),
            ("0.3k", Some("307")),
            ("1.1G", Some("1181116006")),
            ("1.k", None),
            (".5k", None),
            ("k", None),
            ("1kB", None),
            ("0x", None),
            ("0x+1", None),
            ("--1", None),
            ("1.5", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(typed(Scalar::Int, word).as_deref(), json, "{word}");
        }
    }

    #[test]
    fn a_number_may_have_a_fraction() {
        for (word, json) in [("1.5", Some("1.5")), ("-2e3", Some("-2e3")), ("x", None)] {
            assert_eq!(typed(Scalar::Number, word).as_deref(), json, "{word}");
        }
    }

    #[test]
    fn a_bool_has_six_spellings() {
        for word in ["true", "on", "yes", "True", "ON"] {
            assert_eq!(typed(Scalar::Bool, word).as_deref(), Some("true"), "{word}");
        }
        for word in ["false", "off", "no"] {
            assert_eq!(
                typed(Scalar::Bool, word).as_deref(),
                Some("false"),
                "{word}"
            );
        }
        assert_eq!(typed(Scalar::Bool, "1"), None);
    }

    #[test]
    fn a_word_that_can_only_be_a_string_is_not_ambiguous() {
        for word in ["disk0", "52:54:00:12:34:56", "qcow2", "a.img", "-", ""] {
            assert!(!is_ambiguous(word), "{word}");
        }
        for word in ["1", "0x1", "1G", "1.5", "on", "FALSE", "null"] {
            assert!(is_ambiguous(word), "{word}");
        }
    }

    const UNION: &str = r#"[
        {"meta-type": "command", "name": "c", "arg-type": "1", "ret-type": "1"},
        {"meta-type": "object", "name": "1", "tag": "kind", "members": [
            {"name": "kind", "type": "2"}, {"name": "id", "type": "str"}],
         "variants": [{"case": "ram", "type": "3"}, {"case": "rom", "type": "4"}]},
        {"meta-type": "enum", "name": "2", "values": ["ram", "rom"]},
        {"meta-type": "object", "name": "3", "members": [{"name": "size", "type": "int"},
            {"name": "list", "type": "[6]"}, {"name": "other", "type": "7"}, {"name": "x", "type": "any"}]},
        {"meta-type": "object", "name": "4", "members": [{"name": "size", "type": "str"}]},
        {"meta-type": "array", "name": "[6]", "element-type": "6"},
        {"meta-type": "object", "name": "6", "members": [{"name": "on", "type": "bool"}]},
        {"meta-type": "alternate", "name": "7", "members": [{"type": "str"}, {"type": "1"}, {"type": "int"},
            {"type": "null"}]},
        {"meta-type": "builtin", "name": "any", "json-type": "value"},
        {"meta-type": "builtin", "name": "null", "json-type": "null"},
        {"meta-type": "builtin", "name": "int", "json-type": "int"},
        {"meta-type": "builtin", "name": "bool", "json-type": "boolean"},
        {"meta-type": "builtin", "name": "str", "json-type": "string"}]"#;

    fn arguments(line: &str) -> String {
        let schema = Schema::read(UNION).expect("it is one");
        let words = crate::lang::Words::split(line).expect(line);
        let line = crate::lang::Parser::default().parse(&words).expect(line);
        let mut command = line.command().expect("it is one").into_owned();
        schema.type_words(&mut command);
        Value::Object(command.arguments).to_json()
    }

    #[test]
    fn words_are_typed_at_every_depth_wherever_the_tag_is() {
        for (line, json) in [
            ("c id=1", r#"{"id":"1"}"#),
            ("c size=1k kind=ram", r#"{"size":1024,"kind":"ram"}"#),
            ("c size=1k kind=rom", r#"{"size":"1k","kind":"rom"}"#),
            ("c size=1 kind='rom'", r#"{"size":"1","kind":"rom"}"#),
            (
                "c kind=ram list.0.on=yes list.1={'on': off}",
                r#"{"kind":"ram","list":[{"on":true},{"on":false}]}"#,
            ),
            ("c kind=ram other=5", r#"{"kind":"ram","other":5}"#),
            ("c kind=ram other=5x", r#"{"kind":"ram","other":"5x"}"#),
            ("c kind=ram other=null", r#"{"kind":"ram","other":null}"#),
            (
                "c kind=ram other='null'",
                r#"{"kind":"ram","other":"null"}"#,
            ),
            (
                "c kind=ram other.kind=rom other.size=5",
                r#"{"kind":"ram","other":{"kind":"rom","size":"5"}}"#,
            ),
            ("c kind=ram x=1 x2=on", r#"{"kind":"ram","x":1,"x2":"on"}"#),
            ("c kind=ram size='1'", r#"{"kind":"ram","size":"1"}"#),
            ("c kind=ram size=big", r#"{"kind":"ram","size":"big"}"#),
        ] {
            assert_eq!(arguments(line), json, "{line}");
        }
    }

    #[test]
    fn a_circular_schema_is_refused() {
        let circular = r#"[
            {"meta-type": "command", "name": "c", "arg-type": "1", "ret-type": "1"},
            {"meta-type": "object", "name": "1", "tag": "kind", "members": [{"name": "kind", "type": "2"}],
             "variants": [{"case": "self", "type": "1"}]},
            {"meta-type": "alternate", "name": "2", "members": [{"type": "2"}]}]"#;
        assert!(Schema::read(circular).is_err());
    }
}
