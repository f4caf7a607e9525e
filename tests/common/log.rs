//! What `--log` writes.

use std::path::PathBuf;

use serde_json::Value;

use super::{text, wait_for};

/// A log of messages.
pub struct Log {
    path: PathBuf,
}

impl Log {
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &str {
        text(&self.path)
    }

    /// All of it; nothing if it is not there.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }

    /// Its lines, each as JSON.
    pub fn entries(&self) -> Vec<Value> {
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.text().lines().map(parse).collect()
    }

    /// The messages that were sent.
    pub fn sent(&self) -> Vec<Value> {
        let sent = self.entries().into_iter();
        let sent = sent.filter(|entry| entry["dir"] == "send");
        sent.map(|mut entry| entry["msg"].take()).collect()
    }

    /// The messages that were sent for the user, not for a question of qmpsh's own, nor for the handshake.
    pub fn wanted(&self) -> Vec<Value> {
        let mut entries = self.entries();
        entries.retain(|entry| entry["dir"] == "send" && entry["unasked"] != true);
        let messages = entries.iter_mut().map(|entry| entry["msg"].take());
        messages
            .filter(|message| message["execute"] != "qmp_capabilities")
            .collect()
    }

    /// The commands that were sent, by their names.
    pub fn commands(&self) -> Vec<String> {
        let name = |message: &Value| Some(message["execute"].as_str()?.to_owned());
        self.sent().iter().filter_map(name).collect()
    }

    /// Whether this command was sent.
    pub fn has(&self, command: &str) -> bool {
        // The last line may not be whole yet.
        let message = format!("\"execute\":\"{command}\"");
        self.text().lines().any(|line| line.contains(&message))
    }

    #[track_caller]
    pub fn wait_for(&self, command: &str) {
        wait_for(&format!("`{command}` in the log"), || {
            self.has(command).then_some(())
        });
    }
}
