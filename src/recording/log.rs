//! Reads a log of messages.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::qmp::Greeting;

/// The longest line of a log, in bytes: a message may have 64 MiB.
const MOST: u64 = 80 << 20;

/// A log's content.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// The VM's first greeting, if the log has one.
    pub greeting: Option<Greeting>,
    /// The commands, in the order in which they were sent.
    pub commands: Vec<Recorded>,
}

/// A command, and what came of it.
#[derive(Debug)]
pub(super) struct Recorded {
    /// The number of the line in the log, from 1.
    pub line: usize,
    pub name: String,
    pub oob: bool,
    pub arguments: Map<String, Value>,
    /// Descriptors were passed with it.
    pub descriptors: bool,
    /// The user did not ask for it; qmpsh had a question of its own.
    pub unasked: bool,
    /// What it returned, or its error; `None` if no reply is in the log.
    pub reply: Option<Result<Value, Value>>,
    /// The events that came while it ran, or after it until the next one was sent.
    pub events: Vec<Value>,
}

#[derive(Deserialize)]
struct Entry {
    dir: String,
    /// Logs of qmpsh before 0.2 have none.
    #[serde(default)]
    conn: u64,
    #[serde(default)]
    fds: usize,
    #[serde(default)]
    unasked: bool,
    msg: Value,
}

impl Recording {
    /// Reads a log. The negotiation is left out.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line is not what `--log` writes.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let cannot = |why: String| {
            let path = path.display();
            Failure::Local(format!("cannot read the recording in {path}: {why}"))
        };
        let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
        let mut file = BufReader::new(file);
        let mut reader = Reader::default();
        let mut text = Vec::new();
        loop {
            text.clear();
            let mut line = std::io::Read::take(&mut file, MOST);
            let length = line.read_until(b'\n', &mut text);
            if length.map_err(|error| cannot(error.to_string()))? == 0 {
                return Ok(reader.recording);
            }
            reader.line += 1;
            if text.trim_ascii().is_empty() {
                continue;
            }
            let entry = serde_json::from_slice(&text)
                .map_err(|error| cannot(format!("line {}: {error}", reader.line)))?;
            reader.entry(entry);
        }
    }
}

#[derive(Default)]
struct Reader {
    recording: Recording,
    /// The number of the line, from 1.
    line: usize,
    /// The commands that have no reply yet, by their connection.
    in_flight: BTreeMap<u64, VecDeque<Sent>>,
}

struct Sent {
    /// The index of the command; `None` is the negotiation.
    command: Option<usize>,
    id: Option<Value>,
}

impl Reader {
    fn entry(&mut self, entry: Entry) {
        let Value::Object(mut message) = entry.msg else {
            return;
        };
        match &*entry.dir {
            "send" => {
                let at = self.recording.commands.len();
                self.sent(entry.conn, message);
                if let Some(command) = self.recording.commands.get_mut(at) {
                    command.descriptors = entry.fds > 0;
                    command.unasked = entry.unasked;
                }
            }
            "recv" if message.contains_key("event") => {
                // Commands run in order, and questions cause no events.
                let commands = &mut self.recording.commands;
                let in_flight = self.in_flight.get(&entry.conn).into_iter().flatten();
                let mut in_flight = in_flight.filter_map(|sent| sent.command);
                let running = in_flight.find(|at| !commands[*at].unasked);
                let cause = match running {
                    Some(at) => commands.get_mut(at),
                    None => commands.iter_mut().rfind(|command| !command.unasked),
                };
                if let Some(cause) = cause {
                    cause.events.push(Value::Object(message));
                }
            }
            "recv" => {
                if let Some(greeting) = message.remove("QMP") {
                    // What was in flight on a connection before stays without a reply.
                    self.in_flight.remove(&entry.conn);
                    let greeting = serde_json::from_value(greeting).ok();
                    self.recording.greeting = self.recording.greeting.take().or(greeting);
                    return;
                }
                self.received(entry.conn, message);
            }
            // It is a note.
            _ => {}
        }
    }

    fn sent(&mut self, connection: u64, mut message: Map<String, Value>) {
        let id = message.remove("id");
        let oob = message.contains_key("exec-oob");
        let name = message.remove(if oob { "exec-oob" } else { "execute" });
        let Some(Value::String(name)) = name else {
            return;
        };
        let queue = self.in_flight.entry(connection).or_default();
        if name == "qmp_capabilities" {
            queue.push_back(Sent { command: None, id });
            return;
        }
        let command = Some(self.recording.commands.len());
        queue.push_back(Sent { command, id });
        let arguments = match message.remove("arguments") {
            Some(Value::Object(arguments)) => arguments,
            _ => Map::new(),
        };
        self.recording.commands.push(Recorded {
            line: self.line,
            name,
            oob,
            arguments,
            descriptors: false,
            unasked: false,
            reply: None,
            events: Vec::new(),
        });
    }

    /// Gives a reply to its command: the one with the same id, or else the oldest without.
    fn received(&mut self, connection: u64, mut message: Map<String, Value>) {
        let id = message.remove("id");
        let reply = match (message.remove("return"), message.remove("error")) {
            (Some(value), _) => Ok(value),
            (None, Some(error)) => Err(error),
            (None, None) => return,
        };
        let Some(queue) = self.in_flight.get_mut(&connection) else {
            return;
        };
        let Some(at) = queue.iter().position(|sent| sent.id == id) else {
            return;
        };
        let command = queue.remove(at).and_then(|sent| sent.command);
        if let Some(command) = command.and_then(|at| self.recording.commands.get_mut(at)) {
            command.reply = Some(reply);
        }
    }
}

impl Recorded {
    /// The keys of arguments whose values, or parts of them, were masked.
    pub fn masked(&self) -> Vec<&str> {
        let arguments = self.arguments.iter();
        arguments
            .filter(|(_, value)| is_masked(value))
            .map(|(key, _)| key.as_str())
            .collect()
    }
}

/// Whether a value, or a part of it, was masked.
pub(super) fn is_masked(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("••••") || text.contains("****"),
        Value::Array(values) => values.iter().any(is_masked),
        Value::Object(members) => members.values().any(is_masked),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(lines: &[&str]) -> Recording {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "{}", lines.join("\n")).expect("room");
        Recording::read(file.path()).expect("a recording")
    }

    fn replies(recording: &Recording) -> Vec<(&str, Option<&Value>)> {
        let commands = recording.commands.iter().map(|command| {
            (
                command.name.as_str(),
                command.reply.as_ref().and_then(|reply| reply.as_ref().ok()),
            )
        });
        commands.collect()
    }

    #[test]
    fn replies_find_their_commands_by_id_or_by_order() {
        let recording = read(&[
            r#"{"dir": "recv", "conn": 1, "msg": {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}}}}}"#,
            r#"{"dir": "send", "conn": 1, "msg": {"execute": "qmp_capabilities", "id": 0}}"#,
            r#"{"dir": "recv", "conn": 1, "msg": {"return": {}, "id": 0}}"#,
            r#"{"dir": "send", "conn": 1, "msg": {"execute": "a"}}"#,
            r#"{"dir": "send", "conn": 1, "msg": {"exec-oob": "b", "id": -1}}"#,
            r#"{"dir": "send", "conn": 2, "msg": {"execute": "c"}}"#,
            r#"{"dir": "recv", "conn": 2, "msg": {"return": 3}}"#,
            r#"{"dir": "recv", "conn": 1, "msg": {"return": 2, "id": -1}}"#,
            r#"{"dir": "note", "msg": "client 1 has connected"}"#,
            r#"{"dir": "recv", "conn": 1, "msg": {"return": 1}}"#,
            r#"{"dir": "send", "conn": 1, "msg": {"execute": "d"}}"#,
        ]);
        let (one, two, three) = (Value::from(1), Value::from(2), Value::from(3));
        assert_eq!(
            replies(&recording),
            [
                ("a", Some(&one)),
                ("b", Some(&two)),
                ("c", Some(&three)),
                ("d", None)
            ]
        );
        assert_eq!(recording.greeting.expect("one").version.qemu.major, 7);
    }

    #[test]
    fn a_log_without_connections_is_read() {
        let recording = read(&[
            r#"{"time": "x", "dir": "send", "msg": {"execute": "a", "id": -1}}"#,
            r#"{"time": "x", "dir": "recv", "msg": {"return": 1, "id": -1}}"#,
        ]);
        assert_eq!(replies(&recording), [("a", Some(&Value::from(1)))]);
    }

    #[test]
    fn an_event_belongs_to_the_command_that_ran_when_it_came() {
        let recording = read(&[
            r#"{"dir": "recv", "msg": {"event": "EARLY"}}"#,
            r#"{"dir": "send", "msg": {"execute": "a"}}"#,
            r#"{"dir": "send", "msg": {"execute": "b"}}"#,
            r#"{"dir": "recv", "msg": {"event": "A"}}"#,
            r#"{"dir": "recv", "msg": {"return": 1}}"#,
            r#"{"dir": "recv", "msg": {"return": 2}}"#,
            r#"{"dir": "recv", "msg": {"event": "B"}}"#,
        ]);
        let events: Vec<_> = recording
            .commands
            .iter()
            .map(|command| &command.events[0]["event"])
            .collect();
        assert_eq!(events, ["A", "B"]);
    }
}
