//! Compares two values.

use serde_json::{Map, Value, json};

/// Members that differ from run to run. They are never compared.
const VOLATILE: [&str; 9] = [
    "id",
    "pid",
    "thread-id",
    "thread_id",
    "timestamp",
    "seconds",
    "microseconds",
    "date-sec",
    "date-nsec",
];

/// The most differences listed for one reply.
const MOST: usize = 10;

/// The differences by their paths, each a pair of what was recorded and what came, null where there is nothing. At most
/// [`MOST`] are listed.
pub(super) fn differences(recorded: &Value, came: &Value) -> Map<String, Value> {
    let mut found = Found::default();
    found.compare("", Some(recorded), Some(came));
    if found.more > 0 {
        let more = format!("and {} more", found.more);
        found.listed.insert("…".to_owned(), more.into());
    }
    found.listed
}

#[derive(Default)]
struct Found {
    listed: Map<String, Value>,
    more: usize,
}

impl Found {
    fn compare(&mut self, path: &str, recorded: Option<&Value>, came: Option<&Value>) {
        match (recorded, came) {
            (Some(Value::Object(recorded)), Some(Value::Object(came))) => {
                let new = came.keys().filter(|key| !recorded.contains_key(*key));
                for key in recorded.keys().chain(new) {
                    if !VOLATILE.contains(&key.as_str()) {
                        let path = format!("{path}.{key}");
                        self.compare(&path, recorded.get(key), came.get(key));
                    }
                }
            }
            (Some(Value::Array(recorded)), Some(Value::Array(came))) => {
                for at in 0..recorded.len().max(came.len()) {
                    let path = format!("{path}[{at}]");
                    self.compare(&path, recorded.get(at), came.get(at));
                }
            }
            (recorded, came) if recorded == came => {}
            (Some(recorded), _) if super::log::is_masked(recorded) => {}
            (recorded, came) => self.add(path, recorded, came),
        }
    }

    fn add(&mut self, path: &str, recorded: Option<&Value>, came: Option<&Value>) {
        if self.listed.len() == MOST {
            self.more += 1;
            return;
        }
        let path = if path.is_empty() { "." } else { path };
        self.listed.insert(path.to_owned(), json!([recorded, came]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_by_its_path() {
        for (recorded, came, expected) in [
            (json!({"a": 1}), json!({"a": 1}), json!({})),
            (
                json!({"a": {"b": [1, 2]}, "c": 1}),
                json!({"a": {"b": [1, 3, 4]}, "d": 2}),
                json!({".a.b[1]": [2, 3], ".a.b[2]": [null, 4], ".c": [1, null], ".d": [null, 2]}),
            ),
            (json!(1), json!("x"), json!({".": [1, "x"]})),
            (
                json!({"pid": 1, "timestamp": {"seconds": 1}}),
                json!({"pid": 2}),
                json!({}),
            ),
            (
                json!({"password": "••••"}),
                json!({"password": "x"}),
                json!({}),
            ),
        ] {
            let found = differences(&recorded, &came);
            assert_eq!(Value::Object(found), expected);
        }
    }

    #[test]
    fn of_many_differences_the_first_are_listed() {
        let zeros = json!(vec![0; 25]);
        let ones = json!(vec![1; 25]);
        let found = differences(&zeros, &ones);
        assert_eq!(found.len(), MOST + 1);
        assert_eq!(found["…"], "and 15 more");
    }
}
