//! Commands that qmpsh sends for a line, besides the command of the line.

use serde_json::Value;
use tokio::time::timeout;

use crate::context::Context;
use crate::failure::Failure;
use crate::lang::quote;
use crate::qmp::{Pending, Reply, Request};

/// Sends a command, and returns the value of its reply as JSON text.
///
/// # Errors
///
/// There is no connection, the server refuses the command, or it does not reply in time.
pub(super) async fn query(
    context: &Context,
    command: &str,
    arguments: Option<Value>,
) -> Result<String, Failure> {
    let session = &context.target.session;
    let Some(client) = session.client() else {
        return Err(context.target.not_connected());
    };
    let mut request = Request::new(command).quietly();
    if let Some(arguments) = arguments {
        request.text = format!(
            r#"{{"execute":{},"arguments":{arguments}}}"#,
            quote(command)
        );
    }
    let reply = in_time(context, command, client.send(request)?).await?;
    let value = reply.value().map_err(Failure::from)?;
    Ok(value.to_owned())
}

/// Waits for the reply to `command`, for as long as the user waits for replies.
///
/// # Errors
///
/// The connection ended, or the reply did not come in time.
pub(super) async fn in_time(
    context: &Context,
    command: &str,
    reply: Pending,
) -> Result<Reply, Failure> {
    let limit = context.settings_mut().timeout;
    Ok(match limit {
        None => reply.await?,
        Some(limit) => timeout(limit, reply).await.map_err(|_| Failure::Timeout {
            name: command.to_owned(),
            limit,
        })??,
    })
}
