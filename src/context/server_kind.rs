use serde::Deserialize;

use crate::schema::Schema;

/// What is at the other end of a QMP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerKind {
    /// QEMU, with the name of its VM if that has one.
    Vm { name: Option<String> },
    /// `qemu-storage-daemon`, which has block devices but no VM.
    StorageDaemon,
}

impl ServerKind {
    /// The name of its VM, if it has one.
    pub fn vm_name(&self) -> Option<&str> {
        match self {
            Self::Vm { name } => name.as_deref(),
            Self::StorageDaemon => None,
        }
    }

    /// Reads what `query-name` returned.
    pub(super) fn of_name(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Name {
            name: Option<String>,
        }
        let Name { name } = serde_json::from_str(json).ok()?;
        Some(Self::Vm { name })
    }

    /// What a server is that has no `query-name`, if its schema tells.
    pub(super) fn of_schema(schema: &Schema) -> Option<Self> {
        let has = |command| schema.command(command).is_some();
        let is_daemon = has("blockdev-add") && !has("query-status");
        is_daemon.then_some(Self::StorageDaemon)
    }
}
