//! The guest agent (`qga/`): QMP's messages without greeting and events, on a channel that may hold the remains of an
//! earlier client's conversation.

mod wire;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::schema::Schema;

pub use wire::Agent;

/// The commands of QEMU 11.1's agent, with their types: an agent does not describe them. It is made from
/// `qga/qapi-schema.json`, in the form of `query-qmp-schema`.
const SCHEMA: &str = include_str!("schema.json");

/// How long a reply may take unless the user says otherwise. A guest that is paused or hangs never answers.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The commands that are answered only if they fail.
const UNANSWERED: [&str; 4] = [
    "guest-shutdown",
    "guest-suspend-disk",
    "guest-suspend-ram",
    "guest-suspend-hybrid",
];

/// How long such a failure may take.
pub const FAILURE: Duration = Duration::from_secs(2);

/// Whether no reply to a command means that it succeeded.
pub fn is_unanswered(command: &str) -> bool {
    UNANSWERED.contains(&command)
}

/// The commands that an agent may have.
pub fn schema() -> Arc<Schema> {
    static KNOWN: OnceLock<Arc<Schema>> = OnceLock::new();
    let read = || Arc::new(Schema::read(SCHEMA).expect("it is ours, and a test reads it"));
    KNOWN.get_or_init(read).clone()
}

/// What a command that succeeded means for whether the guest's file systems are frozen.
pub(super) fn frozen(command: &str) -> Option<bool> {
    match command {
        "guest-fsfreeze-freeze" | "guest-fsfreeze-freeze-list" => Some(true),
        "guest-fsfreeze-thaw" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_one() {
        let schema = schema();
        assert!(schema.command("guest-exec").is_some());
        assert!(schema.command("guest-network-get-route").is_some());
        assert_eq!(schema.events().count(), 0);
    }
}
