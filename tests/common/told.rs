//! The schema as QEMU tells it, read without the code under test.

use std::collections::HashMap;

use qmpsh::schema::Schema;
use serde_json::Value;

use super::Qemu;

pub struct Told {
    pub json: String,
    /// The types by their names.
    pub types: HashMap<String, Value>,
    /// The commands with the types of their arguments.
    pub commands: Vec<(String, String)>,
}

impl Told {
    pub fn by(qemu: &Qemu) -> Self {
        let outcome = qemu.qmpsh(&["-o", "json", "-e", "query-qmp-schema"]);
        outcome.assert_status(0);
        let json = outcome.stdout();
        let entities: Vec<Value> = serde_json::from_str(&json).expect("QEMU's JSON");
        let (commands, rest): (Vec<Value>, Vec<Value>) = entities
            .into_iter()
            .partition(|entity| entity["meta-type"] == "command");
        let types = rest
            .into_iter()
            .filter(|entity| entity["meta-type"] != "event");
        Self {
            json,
            types: types
                .map(|entity| (string(&entity, "name"), entity))
                .collect(),
            commands: commands
                .iter()
                .map(|command| (string(command, "name"), string(command, "arg-type")))
                .collect(),
        }
    }

    /// Whether it has this command.
    pub fn has(&self, command: &str) -> bool {
        self.commands.iter().any(|(name, _)| name == command)
    }

    /// Whether it has this command with an argument of this name.
    pub fn has_argument(&self, command: &str, argument: &str) -> bool {
        self.type_of(command, argument).is_some()
    }

    /// Whether any string may be given for this argument of the command.
    pub fn takes_strings(&self, command: &str, argument: &str) -> bool {
        self.type_of(command, argument) == Some("str")
    }

    fn type_of(&self, command: &str, argument: &str) -> Option<&str> {
        let (_, arguments) = self.commands.iter().find(|(name, _)| name == command)?;
        let mut members = list(&self.types[arguments], "members");
        members.find(|member| member["name"] == argument)?["type"].as_str()
    }

    /// The schema as qmpsh reads it.
    pub fn schema(&self) -> Schema {
        Schema::read(&self.json).expect("a schema")
    }
}

/// A member that is a string.
pub fn string(entity: &Value, key: &str) -> String {
    entity[key].as_str().expect("a text").to_owned()
}

/// A member that is an array, possibly missing.
pub fn list<'a>(entity: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    entity[key].as_array().into_iter().flatten()
}
