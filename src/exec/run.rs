use std::pin::Pin;
use std::time::Duration;

use super::advice::advise;
use super::builtin::{self, Effect};
use super::file;
use super::finish::Finish;
use super::pending::PendingCommand;
use super::program::in_background;
use super::tail::{apply_tail, check_line};
use crate::context::{Context, Outcome, Output};
use crate::failure::Failure;
use crate::lang::{Command, Line, Parser, Statement};
use crate::qmp::Notice;
use crate::schema::needs_types;
use tokio::time::timeout;

/// A line that was run as far as possible without the server's reply.
pub enum Run {
    /// The line is done.
    Done(Outcome),
    /// The command was sent; only the reply is missing.
    Sent(PendingCommand),
}

/// Runs a line, waits for its reply, and returns the outcome. A program in its tail does not get the terminal.
pub async fn run(context: &Context, line: Line) -> Outcome {
    let outcome = match start(context, line).await {
        Run::Done(outcome) => outcome,
        Run::Sent(mut command) => {
            let reply = command.reply().await;
            let mut outcome = command.outcome(reply);
            advise(context, command.line(), &mut outcome).await;
            apply_tail(context, command.line(), outcome).await
        }
    };
    in_background(outcome).await
}

/// [`run`] as built-ins call it.
fn run_boxed(context: &Context, line: Line) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
    Box::pin(run(context, line))
}

/// Runs a line until only the server's reply is missing, so that the caller can do other things meanwhile.
pub async fn start(context: &Context, line: Line) -> Run {
    let line = match line.later {
        Some(words) => {
            let words = words.with_variables(context.variables());
            match Parser::of(context.target.language()).parse(&words) {
                Ok(line) => line,
                Err(error) => return Run::Done(Failure::syntax_of(error, &words).into()),
            }
        }
        None => line,
    };
    let mut line = line;
    let has = |is: fn(&str) -> bool| matches!(&line.statement, Statement::Builtin(builtin) if is(&builtin.name));
    if has(builtin::is_filter) {
        line.tail = Box::default();
    }
    if let Err(failure) = check(context, &line).await {
        return Run::Done(failure.into());
    }
    if has(builtin::takes_filter) {
        line.tail.filter = None;
    }
    let result = match &line.statement {
        Statement::Nothing => Ok(Run::Done(Output::nothing().into())),
        Statement::Command(_) | Statement::Message(_) => send(context, line).await,
        Statement::Builtin(builtin) => match builtin::run(context, builtin, run_boxed).await {
            // What follows a line in the line is that one's.
            Ok(Effect::Done(outcome)) if builtin::takes_tail(&builtin.name) => {
                Ok(Run::Done(outcome))
            }
            Ok(Effect::Done(outcome)) => Ok(Run::Done(apply_tail(context, &line, outcome).await)),
            Ok(Effect::Send(line)) => send(context, line).await,
            Ok(Effect::Finish { line, limit }) => finish(context, line, limit).await,
            Err(failure) => Err(failure),
        },
    };
    result.unwrap_or_else(|failure| Run::Done(failure.into()))
}

/// Checks what follows the words of a line, before anything is done.
async fn check(context: &Context, line: &Line) -> Result<(), Failure> {
    let (is_builtin, holds_line) = match &line.statement {
        Statement::Builtin(builtin) => (true, builtin::takes_tail(&builtin.name)),
        _ => (false, false),
    };
    if line.background && is_builtin && !holds_line {
        let why = "a built-in cannot run in the background; leave out the `&`";
        return Err(Failure::Usage(why.to_owned()));
    }
    if let Some(file) = &line.tail.file
        && !holds_line
        && !context.settings_mut().dry_run
    {
        file::check(file)?;
    }
    check_line(context, line).await
}

/// Sends a command, and waits until what it sets in motion is done, for at most `limit`.
async fn finish(context: &Context, line: Line, limit: Option<Duration>) -> Result<Run, Failure> {
    let finish = Finish::begin(context, limit);
    let command = match send(context, line).await? {
        Run::Sent(command) => command,
        done => return Ok(done),
    };
    let line = command.line().clone();
    let mut outcome = finish.wait(command).await;
    advise(context, &line, &mut outcome).await;
    Ok(Run::Done(apply_tail(context, &line, outcome).await))
}

/// Sends a command after typing its bare words, or a whole message unchanged. In a dry run, returns the text
/// instead.
async fn send(context: &Context, mut line: Line) -> Result<Run, Failure> {
    let session = &context.target.session;
    let settings = context.settings();
    if settings.wait_for_connection {
        session.settled().await;
    }
    // Checked before the server is queried and before a file is opened: both can block, and opening can have
    // side effects.
    if let (Some(client), Some(name)) = (session.client(), line.command_name()) {
        client.can_carry(name, line.descriptors.len())?;
    }
    if let Statement::Command(command) = &mut line.statement {
        type_words(context, command).await?;
    }
    if settings.dry_run {
        let message = match &line.statement {
            Statement::Command(command) => command.to_wire(),
            Statement::Message(message) => message.text.clone(),
            Statement::Nothing | Statement::Builtin(_) => String::new(),
        };
        let text = settings.style.value(&message);
        return Ok(Run::Done(Output::text(text).into()));
    }
    PendingCommand::send(context, line).map(Run::Sent)
}

/// Gives the bare words of a command the types that the server expects. Queries the server only if the type of
/// a word matters. Its twin has less time: if that does not answer, words are typed by their looks.
///
/// # Errors
///
/// The server did not send its schema in time.
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
