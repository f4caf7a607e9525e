//! What clients may do.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::schema::is_read_only;

/// Which commands the clients of a server may send.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How messages name it.
    name: String,
    rules: Rules,
}

/// The content of a policy file. Commands that no rule allows are denied; a rule that denies wins over one that allows.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Rules {
    /// Allow every command that changes nothing.
    read_only: bool,
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    command: Names,
    /// The rule applies to commands that have at least these arguments.
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// One name or several; `*` stands for any characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

/// How a rule's single value is compared with an array.
#[derive(Clone, Copy)]
enum Elements {
    /// Each element has to match.
    All,
    Any,
}

impl Policy {
    /// Allows what changes nothing.
    pub fn read_only() -> Self {
        Self {
            name: "read-only".to_owned(),
            rules: Rules {
                read_only: true,
                ..Rules::default()
            },
        }
    }

    /// Reads a policy: `read-only`, or the path of a TOML file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a policy; the text names file, line and reason.
    pub fn read(what: &str) -> Result<Self, String> {
        if what == "read-only" {
            return Ok(Self::read_only());
        }
        let text = fs::read_to_string(Path::new(what))
            .map_err(|error| format!("cannot read the policy in {what}: {error}"))?;
        let rules = toml::from_str(&text)
            .map_err(|error| format!("the policy in {what} is wrong: {error}"))?;
        Ok(Self {
            name: what.to_owned(),
            rules,
        })
    }

    /// Its name: `read-only`, or the path of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it allows a command with these arguments. A transaction is allowed if each of its actions is, as a command
    /// of its own.
    ///
    /// # Errors
    ///
    /// What it does not allow, as a sentence.
    pub fn check(&self, command: &str, arguments: &Value) -> Result<(), String> {
        let denied = self
            .rules
            .deny
            .iter()
            .any(|rule| rule.is_about(command, arguments, Elements::Any));
        if command == "transaction" && !denied {
            return self.check_actions(&arguments["actions"]);
        }
        let allowed = || {
            let mut rules = self.rules.allow.iter();
            self.rules.read_only && is_read_only(command)
                || rules.any(|rule| rule.is_about(command, arguments, Elements::All))
        };
        if !denied && allowed() {
            return Ok(());
        }
        Err(format!(
            "The policy of this server ({}) does not allow {command} with these arguments",
            self.name
        ))
    }

    fn check_actions(&self, actions: &Value) -> Result<(), String> {
        // A transaction without actions can only fail.
        for action in actions.as_array().into_iter().flatten() {
            let kind = action["type"].as_str().unwrap_or_default();
            self.check(kind, &action["data"])?;
        }
        Ok(())
    }
}

impl Rule {
    fn is_about(&self, command: &str, arguments: &Value, elements: Elements) -> bool {
        let names = match &self.command {
            Names::One(name) => std::slice::from_ref(name),
            Names::Several(names) => names,
        };
        names.iter().any(|name| fits(name, command))
            && self.arguments.iter().all(|(key, expected)| {
                arguments
                    .get(key)
                    .is_some_and(|value| matches(expected, value, elements))
            })
    }
}

/// Whether a value matches a rule's: an array in the rule lists alternatives, an object the members required.
fn matches(expected: &Value, value: &Value, elements: Elements) -> bool {
    match (expected, value) {
        (Value::Array(choices), _) => choices.iter().any(|one| matches(one, value, elements)),
        (_, Value::Array(values)) => {
            let mut values = values.iter();
            match elements {
                Elements::All => values.all(|value| matches(expected, value, elements)),
                Elements::Any => values.any(|value| matches(expected, value, elements)),
            }
        }
        (Value::Object(members), _) => members.iter().all(|(key, expected)| {
            value
                .get(key)
                .is_some_and(|value| matches(expected, value, elements))
        }),
        (Value::String(pattern), Value::String(text)) => fits(pattern, text),
        _ => expected == value,
    }
}

/// Whether a text matches a pattern, in which `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(text: &str) -> Policy {
        Policy {
            name: "test".to_owned(),
            rules: toml::from_str(text).expect("a policy"),
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, fit) in [
            ("query-*", "query-status", true),
            ("query-*", "stop", false),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "abb", false),
            ("a*a", "a", false),
            ("info *", "info block", true),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn what_no_rule_allows_is_denied() {
        let read_only = Policy::read_only();
        assert!(read_only.check("query-status", &json!({})).is_ok());
        for command in ["stop", "human-monitor-command", "a-new-command"] {
            let refused = read_only.check(command, &json!({})).expect_err(command);
            assert!(refused.contains("read-only"), "{refused}");
        }
        assert!(policy("").check("query-status", &json!({})).is_err());
    }

    #[test]
    fn rules_match_arguments_and_denial_wins() {
        let policy = policy(
            r#"
            [[allow]]
            command = ["device_add", "device_del"]
            arguments = { driver = ["virtio-*", "nvme"] }

            [[allow]]
            command = "blockdev-*"

            [[deny]]
            command = "blockdev-add"
            arguments = { file = { driver = "file" } }
            "#,
        );
        for (command, arguments, allowed) in [
            ("device_add", json!({"driver": "virtio-net", "id": 1}), true),
            ("device_add", json!({"driver": "e1000"}), false),
            ("device_add", json!({}), false),
            ("blockdev-add", json!({"driver": "null-co"}), true),
            ("blockdev-add", json!({"file": {"driver": "file"}}), false),
            ("blockdev-add", json!({"file": {"driver": "nbd"}}), true),
        ] {
            let checked = policy.check(command, &arguments);
            assert_eq!(checked.is_ok(), allowed, "{command} {arguments}");
        }
    }

    #[test]
    fn all_elements_have_to_be_allowed_and_one_is_denied_already() {
        let allow = policy("[[allow]]\ncommand = 'a'\narguments = { x = 1 }");
        let deny =
            policy("[[allow]]\ncommand = '*'\n[[deny]]\ncommand = 'a'\narguments = { x = 1 }");
        for (x, allowed, denied) in [
            (json!([1, 1]), true, true),
            (json!([1, 2]), false, true),
            (json!([2]), false, false),
        ] {
            let arguments = json!({"x": x});
            assert_eq!(allow.check("a", &arguments).is_ok(), allowed, "{arguments}");
            assert_eq!(deny.check("a", &arguments).is_err(), denied, "{arguments}");
        }
    }

    #[test]
    fn a_transaction_is_allowed_if_all_its_actions_are() {
        let policy = policy("[[allow]]\ncommand = 'a'");
        let transaction = |kinds: &[&str]| {
            let actions: Vec<Value> = kinds
                .iter()
                .map(|kind| json!({"type": kind, "data": {}}))
                .collect();
            policy.check("transaction", &json!({"actions": actions}))
        };
        assert!(transaction(&["a", "a"]).is_ok());
        assert!(transaction(&["a", "b"]).is_err());
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<Rules>("alow = []").is_err());
    }
}
