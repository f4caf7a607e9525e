//! The guest agent's built-ins: `:exec`.

mod exec;

use std::fmt::Display;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::context::Context;
use crate::exec::query::in_time;
use crate::failure::Failure;
use crate::lang::Dialect;
use crate::qmp::{Client, Pending, QmpError, Request};

pub(super) use exec::EXEC;

/// A connection to a guest agent.
pub(super) struct Agent<'a> {
    context: &'a Context,
    pub client: Arc<Client>,
}

impl<'a> Agent<'a> {
    /// The guest agent that the context's target is.
    ///
    /// # Errors
    ///
    /// There is no connection, or it leads to no guest agent.
    pub fn of(context: &'a Context) -> Result<Self, Failure> {
        if context.target.dialect != Dialect::Qga {
            return Err(Failure::Usage(
                "this needs a guest agent; connect to its socket with -N".to_owned(),
            ));
        }
        let session = &context.target.session;
        let client = session.client();
        let client = client.ok_or_else(|| Failure::not_connected(&session.state()))?;
        Ok(Self { context, client })
    }

    /// Sends a command with these arguments, which are JSON.
    ///
    /// # Errors
    ///
    /// Nothing was sent.
    pub fn send(&self, command: &str, arguments: &dyn Display) -> Result<Pending, Failure> {
        Ok(self.client.send(Request::with(command, arguments))?)
    }

    /// Waits for what a command returns.
    ///
    /// # Errors
    ///
    /// The command failed, its reply did not come in time, or is of another kind.
    pub async fn answer<T: DeserializeOwned>(
        &self,
        command: &str,
        reply: Pending,
    ) -> Result<T, Failure> {
        let reply = in_time(self.context, command, reply).await?;
        let json = reply.value().map_err(Failure::from)?;
        serde_json::from_str(json).map_err(|error| {
            Failure::from(QmpError {
                class: command.to_owned(),
                desc: format!("cannot read its reply: {error}"),
            })
        })
    }

    /// Sends a command, and waits for what it returns.
    ///
    /// # Errors
    ///
    /// As for [`Agent::send`] and [`Agent::answer`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        command: &str,
        arguments: &Value,
    ) -> Result<T, Failure> {
        let reply = self.send(command, arguments)?;
        self.answer(command, reply).await
    }
}
