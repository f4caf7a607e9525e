//! Which arguments are secrets, so that they stay out of history and logs.

use std::borrow::Cow;
use std::ops::Range;

use super::{Object, Parser, Statement, Value, Words, literal, quote};

/// Keys whose value is a secret in every QMP command that has them.
const SECRET_KEYS: [&str; 6] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "key",
    "cookie",
];

/// What a secret is shown as.
const MASK: &str = "••••";

/// Whether `line` carries a secret. A line that does not parse is judged by the words in it.
pub fn line_has_secret(line: &str) -> bool {
    if !may_have_secret(line) {
        return false;
    }
    let parsed = Words::split(line).and_then(|words| Parser::default().parse(&words));
    match parsed.map(|line| line.statement) {
        Ok(Statement::Command(mut command)) => mask_members(&mut command.arguments, false),
        Ok(Statement::Message(message)) => mask_secrets(&message.text).is_some(),
        _ => matches!(conceal(line), Cow::Owned(_)),
    }
}

/// `text` with what looks like a secret's value overwritten, byte for byte, so that places in it stay
/// where they are. It need not parse.
pub fn conceal(text: &str) -> Cow<'_, str> {
    let mut concealed = Cow::Borrowed(text);
    let data = text.contains("secret").then_some("data");
    for key in SECRET_KEYS.into_iter().chain(data) {
        let mut end = 0;
        for (at, _) in text.match_indices(key) {
            // Within a value there is nothing left to conceal.
            if at >= end
                && let Some(value) = value_of(text, at, key)
            {
                end = value.end;
                let stars = "*".repeat(value.len());
                concealed.to_mut().replace_range(value, &stars);
            }
        }
    }
    concealed
}

/// Where the value of `key` stands, if what stands at `at` is that key.
fn value_of(text: &str, at: usize, key: &str) -> Option<Range<usize>> {
    let part_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    if text[..at].ends_with(part_of_a_word) {
        return None;
    }
    let behind = text[at + key.len()..].trim_start_matches(['"', '\'', ' ']);
    let behind = behind.strip_prefix([':', '='])?;
    let value = behind.trim_start_matches(['=', ' ']);
    let start = text.len() - value.len();
    let length = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|length| length + 2),
        _ => value.find(char::is_whitespace),
    };
    let length = length.unwrap_or(value.len());
    (length > 0).then_some(start..start + length)
}

/// `json` with its secrets masked, or nothing if it has none.
pub fn mask_secrets(json: &str) -> Option<String> {
    if !may_have_secret(json) {
        return None;
    }
    let Ok(mut value) = literal::parse(json) else {
        // What cannot be read cannot be masked in part.
        return Some(quote(MASK));
    };
    mask(&mut value, false).then(|| value.to_json())
}

/// A quick look that spares most lines the slow one.
fn may_have_secret(text: &str) -> bool {
    // An escape may spell any letter.
    text.contains("\\u")
        // The property may be the `data` of a secret.
        || text.contains("qom-set")
        || SECRET_KEYS.iter().any(|key| text.contains(key))
}

/// Masks the secrets in `value`; of an object for a secret, `data` is one too.
fn mask(value: &mut Value, is_secret_object: bool) -> bool {
    match value {
        Value::Object(members) => mask_members(members, is_secret_object),
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |found, item| mask(item, false) | found),
        _ => false,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Word(text) => Some(text),
        _ => None,
    }
}

fn mask_members(members: &mut Object, is_secret_object: bool) -> bool {
    // `object-add qom-type=secret data=…`, and its kin `secret_keyring`.
    let is_secret_object = is_secret_object
        || members
            .get("qom-type")
            .and_then(text)
            .is_some_and(|kind| kind.starts_with("secret"));
    // `qom-set path=… property=password value=…`
    let is_secret_property = members
        .get("property")
        .and_then(text)
        .is_some_and(|name| name == "data" || SECRET_KEYS.contains(&name));
    let mut found = false;
    for (key, value) in members {
        let is_secret = is_secret_property && key == "value"
            || key == "command-line" && text(value).is_some_and(may_have_secret)
            || SECRET_KEYS.contains(&key.as_str())
            || (is_secret_object && key == "data");
        match value {
            // Until QEMU 6.0 the properties of an object were members of `props`.
            Value::Object(_) | Value::Array(_) => {
                found |= mask(value, is_secret_object && key == "props");
            }
            Value::Null => {}
            _ if is_secret => {
                *value = Value::Text(MASK.to_owned());
                found = true;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_a_secret_are_known() {
        for line in [
            "set_password protocol=vnc password=x",
            "object-add qom-type=secret id=s data=x",
            r#"{"execute": "set_password", "arguments": {"password": "x"}}"#,
            "blockdev-add driver=luks file.x.password=y",
            "transaction( a b={'password':'x'} )",
            "set_password password='unclosed",
            "human-monitor-command command-line='object_add secret,id=s,data=x'",
            "qom-set path=/objects/s property=password value=x",
            "qom-set path=/objects/q property=data value=x",
            "blockdev-add driver=https url=u cookie=x",
        ] {
            assert!(line_has_secret(line), "{line}");
        }
        for line in [
            "query-status",
            "blockdev-add driver=luks key-secret=s0",
            "send-key keys=[]",
            "object-add qom-type=rng-random id=r",
            ":help set_password password",
        ] {
            assert!(!line_has_secret(line), "{line}");
        }
    }

    #[test]
    fn a_line_that_does_not_parse_is_shown_without_its_secret() {
        for (line, shown) in [
            ("a password=hunter2 oops", "a password=******* oops"),
            ("a password='x y' oops", "a password=***** oops"),
            ("a password=\"x y", "a password=****"),
            ("a b={'key': 'x'} c", "a b={'key': ***} c"),
            ("a key:=[1 2", "a key:=** 2"),
            ("a qom-type=secret data=x y", "a qom-type=secret data=* y"),
            ("send-key keys=[1 2]", "send-key keys=[1 2]"),
            ("a key-secret=s0 data=x y", "a key-secret=s0 data=* y"),
        ] {
            assert_eq!(conceal(line), shown);
        }
        assert!(!line_has_secret("send-key keys=[{'type' oops"));
    }

    #[test]
    fn secrets_are_masked_and_the_rest_is_kept() {
        assert_eq!(
            mask_secrets(r#"{"execute": "set_password", "arguments": {"protocol": "vnc", "password": "x"}, "id": 1}"#)
                .as_deref(),
            Some(r#"{"execute":"set_password","arguments":{"protocol":"vnc","password":"••••"},"id":1}"#)
        );
        assert_eq!(mask_secrets(r#"{"execute": "query-status"}"#), None);
    }
}
