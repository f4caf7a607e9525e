use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::descriptors;
use crate::context::{Context, Outcome, Output};
use crate::dialect::{self, Memory, agent};
use crate::failure::Failure;
use crate::lang::{Dialect, Line, Statement};
use crate::qmp::{self, Pending, Reply, Request};

/// A command that was sent and whose reply may still be missing.
pub struct PendingCommand {
    pending: Pending,
    name: String,
    memory: Arc<Memory>,
    /// The line that was sent.
    line: Line,
    /// How long the reply may take, and when that time is up.
    limit: Option<(Duration, Instant)>,
    /// No reply by then means that it succeeded.
    unanswered: Option<Instant>,
}

impl PendingCommand {
    /// Sends the command or message of `line`, which must be one.
    ///
    /// # Errors
    ///
    /// Nothing was sent: there is no connection, a file cannot be opened, or the id is already in use.
    pub(super) fn send(context: &Context, line: Line) -> Result<Self, Failure> {
        let mut request = match &line.statement {
            Statement::Command(command) => Request {
                text: command.to_wire(),
                name: command.name.clone(),
                ..Request::default()
            },
            Statement::Message(message) => {
                let id = message.id.as_deref().map(serde_json::from_str).transpose();
                Request {
                    text: message.text.clone(),
                    id: id.map_err(|error| {
                        Failure::Usage(format!("the id is not valid JSON: {error}"))
                    })?,
                    name: message.name.clone().unwrap_or_else(|| "message".to_owned()),
                    ..Request::default()
                }
            }
            Statement::Nothing | Statement::Builtin(_) => unreachable!("they send nothing"),
        };
        let session = &context.target.session;
        let Some(client) = session.client() else {
            return Err(context.target.not_connected());
        };
        let messages = session.hub().messages();
        let name = request.name.clone();
        request.descriptors = descriptors::open_all(&line.descriptors)?;
        let pending = client.send(request)?;
        if let Statement::Message(message) = &line.statement {
            context.target.memory.sent(message);
        }
        // A query between a command and the wait for its event must not lose that event.
        if !dialect::only_asks(context.target.dialect, &name) {
            context.target.set_wait_from(messages);
        }
        let unanswered = context.target.dialect == Dialect::Qga && agent::is_unanswered(&name);
        let limit = context.settings_mut().timeout;
        Ok(Self {
            pending,
            name,
            memory: context.target.memory.clone(),
            line,
            unanswered: unanswered.then(|| Instant::now() + agent::FAILURE),
            limit: limit.map(|limit| (limit, Instant::now() + limit)),
        })
    }

    /// The command's name, for messages about it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The line that was sent.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Whether the line ended in `&`, so that the next line does not wait for this reply.
    pub fn is_background(&self) -> bool {
        self.line.background
    }

    /// The id that the user gave in a whole message, as JSON.
    pub fn id(&self) -> Option<&str> {
        match &self.line.statement {
            Statement::Message(message) => message.id.as_deref(),
            _ => None,
        }
    }

    /// Waits for the reply. It can be cancelled and called again.
    ///
    /// # Errors
    ///
    /// The reply did not come in time, or the connection has ended.
    pub async fn reply(&mut self) -> Result<Reply, Failure> {
        if let Some(due) = self.unanswered {
            return match timeout_at(due, &mut self.pending).await {
                Ok(Ok(reply)) => Ok(reply),
                // The guest is gone before it can say so.
                Ok(Err(qmp::Error::OutcomeUnknown(..))) | Err(_) => Ok(Reply::empty()),
                Ok(Err(error)) => Err(error.into()),
            };
        }
        match self.limit {
            None => Ok((&mut self.pending).await?),
            Some((limit, due)) => match timeout_at(due, &mut self.pending).await {
                Ok(reply) => Ok(reply?),
                Err(_) => Err(Failure::Timeout {
                    name: self.name.clone(),
                    limit,
                }),
            },
        }
    }

    /// The command's outcome, given its reply or why there is none.
    pub fn outcome(&self, reply: Result<Reply, Failure>) -> Outcome {
        match reply {
            Err(failure) => failure.into(),
            Ok(mut reply) => {
                let mut dialect = Dialect::Qmp;
                if let Statement::Message(message) = &self.line.statement {
                    if let Some(refusal) = dialect::refusal(message, &reply) {
                        self.memory.refused(message);
                        return Failure::Refused(refusal).into();
                    }
                    if let Some(value) = dialect::value(message, &reply) {
                        reply = reply.with_value(value);
                    }
                    dialect = message.dialect;
                }
                if !reply.failed() {
                    self.memory.succeeded(&self.name);
                }
                Outcome {
                    failure: reply.value().err().map(Failure::from),
                    output: Output::Reply {
                        id: self.id().map(str::to_owned),
                        reply,
                        dialect,
                    },
                }
            }
        }
    }
}
