use std::sync::Arc;

use serde_json::json;

use super::super::agent::Agent;
use crate::failure::Failure;
use crate::qmp::Client;
use crate::qmp::Request;

/// An open file in the guest. It is closed when this is dropped, however that comes about.
pub(super) struct Handle {
    client: Arc<Client>,
    pub number: i64,
    /// The file to remove, for it is not whole.
    partial: Option<String>,
}

impl Handle {
    /// Opens a file to read (`r`), or to write (`w`).
    ///
    /// # Errors
    ///
    /// The guest cannot open it.
    pub async fn open(agent: &Agent<'_>, path: &str, mode: &str) -> Result<Self, Failure> {
        let arguments = json!({"path": path, "mode": mode});
        let number = agent.call("guest-file-open", &arguments).await?;
        Ok(Self {
            client: agent.client.clone(),
            number,
            partial: (mode == "w").then(|| path.to_owned()),
        })
    }

    /// Closes the file, which is whole.
    ///
    /// # Errors
    ///
    /// What was written could not be kept.
    pub async fn close(mut self, agent: &Agent<'_>) -> Result<(), Failure> {
        let arguments = json!({"handle": self.number});
        let _: serde_json::Value = agent.call("guest-file-close", &arguments).await?;
        self.partial = None;
        self.number = NONE;
        Ok(())
    }
}

/// Not an open file.
const NONE: i64 = -1;

impl Drop for Handle {
    fn drop(&mut self) {
        let tell = |command: &str, arguments| {
            // Nobody can be told if this fails.
            let _ = self
                .client
                .send(Request::with(command, &arguments).quietly());
        };
        if self.number != NONE {
            tell("guest-file-close", json!({"handle": self.number}));
        }
        if let Some(path) = &self.partial {
            // The agent has no command for it.
            tell(
                "guest-exec",
                json!({"path": "rm", "arg": ["-f", "--", path]}),
            );
        }
    }
}
