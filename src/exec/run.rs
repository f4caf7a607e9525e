use super::advice::advise;
use super::builtin::{self, Effect};
use super::pending::PendingCommand;
use crate::context::{Context, Outcome, Output};
use crate::failure::Failure;
use crate::lang::{Command, Line, Statement};
use crate::qmp::Notice;
use crate::schema::needs_types;
use tokio::time::timeout;

/// A line that was run as far as it goes without the server's reply.
pub enum Run {
    Done(Outcome),
    /// Only the reply is missing.
    Sent(PendingCommand),
}

/// Runs a line to its end.
pub async fn run(context: &Context, line: Line) -> Outcome {
    match start(context, line).await {
        Run::Done(outcome) => outcome,
        Run::Sent(mut command) => {
            let reply = command.reply().await;
            let mut outcome = command.outcome(reply);
            advise(context, command.line(), &mut outcome).await;
            outcome
        }
    }
}

/// Runs a line up to where only the server's reply is missing. Whoever waits for that may do other things meanwhile.
pub async fn start(context: &Context, line: Line) -> Run {
    let result = match &line.statement {
        Statement::Nothing => Ok(Run::Done(Output::nothing().into())),
        Statement::Command(_) | Statement::Message(_) => send(context, line).await,
        Statement::Builtin(builtin) => match builtin::run(context, builtin).await {
            Ok(Effect::Show(output)) => Ok(Run::Done(output.into())),
            Ok(Effect::Send(line)) => send(context, line).await,
            Err(failure) => Err(failure),
        },
    };
    result.unwrap_or_else(|failure| Run::Done(failure.into()))
}

/// Types a command's words and sends it, or sends a whole message as it is.
async fn send(context: &Context, mut line: Line) -> Result<Run, Failure> {
    let session = &context.target.session;
    let settings = context.settings();
    if settings.wait_for_connection {
        session.settled().await;
    }
    // Before the server is asked anything, and before a file is opened: that can block, and have effects of its own.
    if let (Some(client), Some(name)) = (session.client(), line.command_name()) {
        client.can_carry(name, line.descriptors.len())?;
    }
    if let Statement::Command(command) = &mut line.statement {
        type_words(context, command).await?;
    }
    if settings.dry_run {
        let message = match &line.statement {
            Statement::Command(command) => command.to_message(),
            Statement::Message(message) => message.text.clone(),
            Statement::Nothing | Statement::Builtin(_) => String::new(),
        };
        let text = settings.style.value(&message);
        return Ok(Run::Done(Output::text(text).into()));
    }
    PendingCommand::send(context, line).map(Run::Sent)
}

/// Gives the bare words of a command the types that the server wants. It is asked only if that can make a
/// difference. Its twin has less time: where that does not answer, words are what they look like.
///
/// # Errors
///
/// The server takes too long to say which.
async fn type_words(context: &Context, command: &mut Command) -> Result<(), Failure> {
    if !needs_types(command) {
        return Ok(());
    }
    let inspector = context.target.inspector();
    let typing = inspector.type_words(command);
    match context.settings().timeout {
        None => typing.await,
        Some(limit) => timeout(limit, typing).await.map_err(|_| Failure::Timeout {
            name: "query-qmp-schema".to_owned(),
            limit,
        })?,
    }
    if needs_types(command) {
        let typing = inspector.type_properties(command);
        if timeout(context.settings().patience(), typing)
            .await
            .is_err()
        {
            let text = format!(
                "what the arguments of `{}` must be is not known yet; they are what they look like",
                command.name
            );
            let notices = context.target.session.notice_sender();
            let _ = notices.send(Notice::Said(text));
        }
    }
    Ok(())
}
