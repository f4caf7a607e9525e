use serde::Deserialize;
use serde_json::json;

use super::inspector::Inspector;

/// What is at the other end of a QMP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerKind {
    /// QEMU, with the name of its VM if that has one.
    Vm { name: Option<String> },
    /// `qemu-storage-daemon`, which has block devices but no VM.
    StorageDaemon,
}

/// Asks the server what it is. `None` if it does not tell.
pub(super) async fn ask(inspector: &Inspector) -> Option<ServerKind> {
    #[derive(Deserialize)]
    struct Name {
        name: Option<String>,
    }
    let reply = inspector.reply("query-name", json!({})).await?;
    match reply.value() {
        Ok(json) => {
            let Name { name } = serde_json::from_str(json).ok()?;
            Some(ServerKind::Vm { name })
        }
        // Others may lack the command, too.
        Err(error) if error.class == "CommandNotFound" => {
            let schema = inspector.schema().await?;
            let has = |command| schema.command(command).is_some();
            let is_daemon = has("blockdev-add") && !has("query-status");
            is_daemon.then_some(ServerKind::StorageDaemon)
        }
        Err(_) => None,
    }
}
