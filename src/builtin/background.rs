//! Lines that listeners and timers run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Outcome;
use crate::agenda::{Report, Said};
use crate::failure::Failure;
use crate::lang::{Line, Parser, Words};
use crate::render;
use crate::runner::Runner;

/// A line that is run again and again, by somebody who is not the user.
pub(super) struct Job {
    runner: Runner,
    /// Who runs it.
    origin: String,
    words: Words,
    runs: Arc<AtomicU64>,
}

impl Job {
    pub fn new(runner: &Runner, origin: String, words: &Words, runs: Arc<AtomicU64>) -> Self {
        Self {
            // What it sends is nothing that the user's next `:wait` would look behind.
            runner: runner.apart(),
            origin,
            words: words.clone(),
            runs,
        }
    }

    /// Runs the line.
    pub async fn run(&self) -> Result<Said, Failure> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        run(&self.runner, &self.words).await
    }

    /// Tells what came of it, and resolves when that has been taken.
    pub async fn report(&self, result: Result<Said, Failure>) {
        let report = Report {
            origin: self.origin.clone(),
            line: self.words.text().to_owned(),
            result,
        };
        // Nobody left to tell it to is the end of the run.
        let _ = self.runner.reports.send(report).await;
    }

    /// Whether the line speaks to the server.
    pub fn needs_connection(&self) -> bool {
        let line = Parser::default().parse(&self.words);
        matches!(line, Ok(Line::Command(_) | Line::Message(_)))
    }
}

/// Refuses a line that could never run.
pub(super) fn check(words: &Words) -> Result<(), Failure> {
    let mut parser = Parser::default();
    let line = parser
        .parse(words)
        .map_err(|error| Failure::syntax(error, words.source()))?;
    if parser.in_transaction() {
        return Err(Failure::Usage(
            "a transaction goes on one line here: transaction( ACTION )".to_owned(),
        ));
    }
    match line {
        Line::Builtin(line) if super::find(&line.name).is_none() => Err(super::unknown(&line.name)),
        _ => Ok(()),
    }
}

async fn run(runner: &Runner, words: &Words) -> Result<Said, Failure> {
    let line = Parser::default().parse(words);
    let line = line.map_err(|error| Failure::syntax(error, words.source()))?;
    let mut sent = match line {
        Line::Empty => return Ok(Said::Text(String::new())),
        Line::Message(message) => runner.send_message(message)?,
        Line::Command(mut command) => {
            runner.type_words(&mut command).await?;
            runner.send_command(command)?
        }
        Line::Builtin(line) => match super::run(runner, &line).await? {
            Outcome::Text(text) => return Ok(Said::Text(text)),
            Outcome::Noted { text, .. } => return Ok(Said::Text(text)),
            Outcome::Notice(text) => return Ok(Said::Text(text + "\n")),
            Outcome::Event(event) => {
                return Ok(Said::Text(runner.settings().style.event(&event)));
            }
            Outcome::Connected(_) => return Ok(Said::Text(String::new())),
            Outcome::Follow(_) | Outcome::Console(_) => {
                return Err(Failure::Usage(
                    "this goes on until somebody ends it, so it needs the prompt".to_owned(),
                ));
            }
            Outcome::Quit => return Ok(Said::Quit),
            Outcome::Command(mut command) => {
                runner.type_words(&mut command).await?;
                runner.send_command(command)?
            }
        },
    };
    let reply = sent.reply().await?;
    match runner.settings().show(&reply, sent.id.as_deref()) {
        (_, Some(failure)) => Err(failure),
        (text, None) => Ok(Said::Text(text.map(render::line).unwrap_or_default())),
    }
}
