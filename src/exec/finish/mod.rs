//! `:finish`: waits until what a command set in motion is done.

mod bar;
mod end;
pub(super) mod jobs;
mod watch;

use std::time::Duration;

pub(super) use bar::Bar;
use end::End;
use tokio::time::{Instant, timeout_at};
use watch::Watch;

use super::pending::PendingCommand;
use crate::context::{Context, Outcome};
use crate::failure::Failure;
use crate::qmp::Notice;

/// A wait for the end of what a command sets in motion. It begins before the command is sent, so that it misses nothing.
pub(super) struct Finish {
    watch: Watch,
    /// How long it may take, and when that time is up.
    limit: Option<(Duration, Instant)>,
}

impl Finish {
    /// Begins to watch what happens, for at most `limit`.
    pub fn begin(context: &Context, limit: Option<Duration>) -> Self {
        Self {
            watch: Watch::begin(context),
            limit: limit.map(|limit| (limit, Instant::now() + limit)),
        }
    }

    /// Waits for the reply to the command, and for the end of what it set in motion. The outcome is the reply's, or why
    /// there was another end.
    pub async fn wait(mut self, mut command: PendingCommand) -> Outcome {
        let end = command
            .line()
            .command()
            .and_then(|command| End::of(&command));
        let reply = match self.limit {
            None => command.reply().await,
            Some((limit, due)) => match timeout_at(due, command.reply()).await {
                Ok(reply) => reply,
                Err(_) => Err(Failure::Timeout {
                    name: command.name().to_owned(),
                    limit,
                }),
            },
        };
        let number = reply.as_ref().map_or(u64::MAX, |reply| reply.number);
        let mut outcome = command.outcome(reply);
        let ended = self
            .watch
            .until(&command, end, number, outcome.failure.take());
        let ended = match self.limit {
            None => ended.await,
            Some((limit, due)) => match timeout_at(due, ended).await {
                Ok(ended) => ended,
                Err(_) => Err(Failure::NotInTime {
                    what: end::not_yet(command.line()),
                    limit,
                }),
            },
        };
        match ended {
            Ok(None) => outcome,
            Ok(Some(note)) => {
                let notices = self.watch.context.target.session.notice_sender();
                let _ = notices.send(Notice::Said(note));
                outcome
            }
            Err(failure) => Outcome {
                failure: Some(failure),
                ..outcome
            },
        }
    }
}
