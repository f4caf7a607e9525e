//! Matching an event's data against conditions.

use super::{Object, Value, literal};

/// Whether the object `json` has every member of `wanted`, recursively; it may have more. Arrays must have the
/// same length and are compared item by item. A bare word matches a string of that spelling, and the value it
/// looks like.
pub fn matches(wanted: &Object, json: &str) -> bool {
    wanted.is_empty()
        || match literal::parse(json) {
            Ok(Value::Object(found)) => has_all(&found, wanted),
            _ => false,
        }
}

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
        (Value::Text(found), Value::Word(wanted)) => found == wanted,
        (Value::Number(found), Value::Number(_) | Value::Word(_)) => {
            is_same_number(found, &wanted.to_json())
        }
        (Value::Bool(found), Value::Word(wanted)) => truth(wanted) == Some(*found),
        (found, Value::Word(_)) => found.to_json() == wanted.to_json(),
        (found, wanted) => found == wanted,
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
    use super::super::Words;
    use super::*;

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
        ] {
            let words = Words::split(condition).expect("words");
            let (_, wanted) = words.conditions().expect("a condition");
            assert_eq!(matches(&wanted, data), expected, "{condition}");
        }
    }
}
