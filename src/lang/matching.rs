//! Conditions on events: what their names and their data must be.

use super::arguments::Arguments;
use super::key_value;
use super::tokens::Word;
use super::{Object, SyntaxError, Value, Words, literal};

/// The name that stands for any event.
pub const ANY_EVENT: &str = "*";

/// The session's own event for a connection that has begun. No QMP event has a name in lower case.
pub const CONNECTED: &str = "connected";
/// The session's own event for a connection that has ended.
pub const DISCONNECTED: &str = "disconnected";
/// The session's own events.
pub const SESSION_EVENTS: [&str; 2] = [CONNECTED, DISCONNECTED];

/// A condition on events: `NAME[,NAME…] [KEY=VALUE | KEY]…`.
#[derive(Debug, Clone, Default)]
pub struct Match {
    /// The names that the event may have, if any are given; [`ANY_EVENT`] is any.
    pub names: Vec<String>,
    /// What its data must contain.
    pub data: Object,
    /// The dotted paths of keys that its data must have, whatever their values.
    pub keys: Vec<String>,
}

impl Match {
    /// Reads a condition.
    ///
    /// # Errors
    ///
    /// As for a command's arguments, and for a word that looks like an option.
    pub fn read(words: &Words) -> Result<Self, SyntaxError> {
        let mut wanted = Self::default();
        let mut arguments = Arguments::default();
        for word in words.list() {
            if word.text.contains('=') && !word.text.starts_with("--") {
                let (key, value) = key_value::read(&word)?;
                arguments.set(key, value, word.start..word.start + key.len())?;
                continue;
            }
            let text = word_of_match(&word)?;
            if is_key(&text) {
                wanted.keys.push(text);
            } else {
                let names = text.split(',').filter(|name| !name.is_empty());
                wanted.names.extend(names.map(str::to_owned));
            }
        }
        wanted.data = arguments.finish()?;
        Ok(wanted)
    }

    /// Whether an event of this name, with this data (a JSON object), is selected.
    pub fn takes(&self, name: &str, data: &str) -> bool {
        self.takes_name(name) && self.takes_data(data)
    }

    fn takes_name(&self, name: &str) -> bool {
        let mut names = self.names.iter();
        self.names.is_empty() || names.any(|wanted| wanted == name || wanted == ANY_EVENT)
    }

    fn takes_data(&self, data: &str) -> bool {
        if self.data.is_empty() && self.keys.is_empty() {
            return true;
        }
        match literal::parse(data) {
            Ok(Value::Object(found)) => {
                has_all(&found, &self.data) && self.keys.iter().all(|key| has_key(&found, key))
            }
            _ => false,
        }
    }
}

fn word_of_match(word: &Word<'_>) -> Result<String, SyntaxError> {
    let error = |message: String| Err(SyntaxError::new(message, word.span()));
    match word.text {
        "&" => error("a built-in cannot run in the background; leave out the `&`".to_owned()),
        option if option.starts_with('-') => error(format!("unknown option `{option}`")),
        _ => word.plain(),
    }
}

/// Whether a word of a condition, if not `KEY=VALUE`, is a key and not a name of events: those of QMP are in upper case.
pub fn is_key(word: &str) -> bool {
    word.split(',').any(|name| {
        name.contains(|c: char| c.is_ascii_lowercase()) && !SESSION_EVENTS.contains(&name)
    })
}

fn has_key(found: &Object, path: &str) -> bool {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    match (found.get(first), rest) {
        (Some(_), None) => true,
        (Some(Value::Object(inner)), Some(rest)) => has_key(inner, rest),
        _ => false,
    }
}

/// The choices that a bare word of a condition stands for, as in `status=completed|failed`.
pub fn choices(word: &str) -> impl Iterator<Item = &str> {
    word.split('|')
}

/// Whether `found` has every member of `wanted`, recursively; it may have more. Arrays must have the same length and are
/// compared item by item. A bare word matches a string of that spelling, and the value it looks like.
fn has_all(found: &Object, wanted: &Object) -> bool {
    let mut wanted = wanted.iter();
    wanted.all(|(key, wanted)| found.get(key).is_some_and(|found| is(found, wanted)))
}

fn is(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => has_all(found, wanted),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| is(found, wanted))
        }
        (Value::Number(found), Value::Number(wanted)) => is_same_number(found, wanted),
        (found, Value::Word(words)) => choices(words).any(|word| is_word(found, word)),
        (found, wanted) => found == wanted,
    }
}

fn is_word(found: &Value, word: &str) -> bool {
    let looks = || Value::Word(word.to_owned()).to_json();
    match found {
        Value::Text(found) => found == word,
        Value::Number(found) => is_same_number(found, &looks()),
        Value::Bool(found) => truth(word) == Some(*found),
        found => found.to_json() == looks(),
    }
}

/// The `bool` that a word means.
fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// Whether two numbers are equal, either as text or in value.
fn is_same_number(a: &str, b: &str) -> bool {
    a == b
        || match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a == b && a.abs() < (1_u64 << 53) as f64,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(condition: &str) -> Match {
        Match::read(&Words::split(condition).expect("words")).expect("a condition")
    }

    #[test]
    fn a_match_is_a_subset_match() {
        let data = r#"{"id": "j", "n": 1, "s": "1", "big": 9007199254740993, "x": 1.0, "on": true,
                       "deep": {"a": [1, {"b": "c", "d": null}], "e": 2}}"#;
        for (condition, expected) in [
            ("", true),
            ("id=j", true),
            ("id='j'", true),
            ("id=k", false),
            ("nope=j", false),
            ("n=1", true),
            ("n='1'", false),
            ("s=1", true),
            ("s='1'", true),
            ("s:=1", false),
            ("x=1", true),
            ("big=9007199254740992", false),
            ("on=true", true),
            ("on=TRUE", true),
            ("on=yes", true),
            ("on=off", false),
            ("on='on'", false),
            ("deep.e=2 id=j", true),
            ("deep={'a': [1, {'b': 'c'}]}", true),
            ("deep.a=[1]", false),
            ("deep.a=[1,{'d': null}]", true),
            ("deep=2", false),
            ("id=i|j|k", true),
            ("id=i|k", false),
            ("id='i|j'", false),
            ("n=2|1", true),
            ("on=off|on", true),
            ("id", true),
            ("deep.a n", true),
            ("deep.f", false),
            ("id.x", false),
            ("nope", false),
        ] {
            assert_eq!(read(condition).takes("X", data), expected, "{condition}");
        }
    }

    #[test]
    fn names_are_in_upper_case_or_the_sessions_own_and_other_words_are_keys() {
        let wanted = read("STOP,RESUME connected id=j * deep.a __COM.REDHAT_X");
        assert_eq!(
            wanted.names,
            ["STOP", "RESUME", "connected", "*", "__COM.REDHAT_X"]
        );
        assert_eq!(wanted.keys, ["deep.a"]);
        assert!(read("STOP,RESUME").takes("STOP", "{}"));
        assert!(!read("STOP,RESUME").takes("SHUTDOWN", "{}"));
        assert!(read("*").takes("SHUTDOWN", "{}"));
        for wrong in ["STOP --nope", "STOP &", "STOP a=1 a=2"] {
            let words = Words::split(wrong).expect("words");
            assert!(Match::read(&words).is_err(), "{wrong}");
        }
    }
}
