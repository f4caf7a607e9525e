//! The lines of a script, while they run: what is in flight, and in which order what comes is shown.

use std::collections::VecDeque;
use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use crate::context::{Context, Kind, Origin, Outcome, Output, Piped, Report};
use crate::exec::{self, PendingCommand, Run, advise, apply_tail};
use crate::failure::{Failure, Status};
use crate::lang::{Line, Parser, Statement};
use crate::os::foreground::Foreground;
use crate::os::stderr::say;
use crate::qmp::{Notices, Reply, State};
use crate::render::clip;
use crate::schema::needs_types;

use super::display::{Display, next_event, show_notice, with_notices};
use super::input::{Input, Item};

/// Said once in a dry run that knows nothing of types.
const GUESSES: &str =
    "qmpsh: without an address or --schema, values are sent as what they look like";

/// The lines of a script, while they run.
pub(super) struct Script {
    pub context: Context,
    pub input: Input,
    pub display: Display,
    pub parser: Parser,
    /// Commands waiting for replies, which are printed in the order of the lines.
    pub in_flight: VecDeque<(PendingCommand, Origin)>,
    /// Commands that ended in `&`.
    pub background: JoinSet<(PendingCommand, Origin, Result<Reply, Failure>)>,
    /// The running built-in. No line is read until it is done.
    pub builtin: Option<Running>,
    /// The outcomes of listeners and timers.
    pub reports: mpsc::Receiver<Report>,
    /// What happens to the session unasked.
    pub notices: Notices,
    pub window: usize,
    pub keep_going: bool,
    /// Nobody tells the types of words, and that was not said yet.
    pub guesses: bool,
    pub reading: Reading,
    /// The VM is served to others.
    pub serves: bool,
    /// Ctrl-C ends the script. It is a program's while one is in the foreground.
    pub interruptible: Arc<AtomicBool>,
}

/// How far a script has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    Lines,
    /// There was no line at all. The VM is served until a signal comes.
    Nothing,
    /// No further line is read. The script waits for running commands, and for lines of `:after`.
    Finished,
    /// The script waits only for running commands.
    Stopped,
}

/// A running built-in. Resolves to its place and its result.
type Running = Pin<Box<dyn Future<Output = (Origin, Run)> + Send>>;

impl Script {
    /// Runs all lines.
    pub async fn all(&mut self) {
        loop {
            if self.window > 1 && self.in_flight.len() <= self.window / 2 {
                self.fill_window().await;
            }
            // Without this, a script that never has to wait could not be interrupted.
            consume_budget().await;
            let idle = self.builtin.is_none();
            let more_to_send = idle && self.input.is_ready();
            let may_read = self.may_read();
            let to_come = self.reading < Reading::Stopped && self.context.agenda.has_due();
            let waits = !self.in_flight.is_empty() || !self.background.is_empty() || !idle;
            if self.reading >= Reading::Finished && !waits && !to_come {
                break;
            }
            tokio::select! {
                biased;
                Some(notice) = self.notices.recv() => show_notice(&notice),
                result = first_reply(&mut self.in_flight) => self.replied(result).await,
                Some(done) = self.background.join_next() => {
                    let (command, origin, reply) = done.expect("waiting for a reply does not panic");
                    self.replied_to(&command, &origin, reply).await;
                }
                (origin, run) = builtin(&mut self.builtin) => {
                    self.builtin = None;
                    self.started(run, &origin).await;
                }
                Some(report) = self.reports.recv() => self.report(report).await,
                event = next_event(&mut self.display.events) => self.display.event(event),
                item = self.input.next(), if may_read => self.item(item).await,
                () = end_of_vm(&self.context), if self.reading == Reading::Nothing => {
                    self.reading = Reading::Finished;
                }
                // Nothing else is ready, so flush what was printed.
                () = self.display.stdout.due(more_to_send) => self.display.stdout.flush(),
            }
            if self.display.stdout.has_failed() {
                break;
            }
        }
    }

    fn may_read(&self) -> bool {
        self.builtin.is_none()
            && self.reading == Reading::Lines
            && self.in_flight.len() < self.window
    }

    /// Sends commands until the window is full or no line is available. Refilling when it is half empty lets
    /// the server work on one half while we handle the other.
    async fn fill_window(&mut self) {
        let before = self.in_flight.len();
        while self.may_read() {
            let others = self.in_flight.len();
            tokio::select! {
                biased;
                item = self.input.next() => self.item(item).await,
                () = ready(()) => break,
            }
            // The line was not a foreground command, so let the main loop handle what it started.
            if self.in_flight.len() <= others {
                break;
            }
        }
        if self.in_flight.len() > before {
            // Let the client's writer task send them.
            yield_now().await;
        }
    }

    fn end_of_input(&mut self) {
        let next = match self.serves && self.input.is_empty() {
            true => Reading::Nothing,
            false => Reading::Finished,
        };
        self.reading = self.reading.max(next);
        if self.parser.in_transaction() {
            let here = self.input.here();
            self.fail(&Failure::unclosed(), &here);
        }
    }

    async fn item(&mut self, item: Option<Item>) {
        let Some(item) = item else {
            return self.end_of_input();
        };
        let line = match item.words {
            Ok(words) => {
                let words = self.context.named(words);
                let line = self.parser.parse(&words);
                line.map_err(|error| Failure::syntax_of(error, &words))
            }
            Err(failure) => {
                self.parser.wrong_line();
                Err(failure)
            }
        };
        match line {
            Ok(line) => self.line(line, &item.origin).await,
            Err(failure) => self.failed_line(failure, &item.origin).await,
        }
    }

    async fn line(&mut self, line: Line, origin: &Origin) {
        match &line.statement {
            Statement::Builtin(_) => {
                self.drain().await;
                if self.reading == Reading::Lines || self.keep_going {
                    let (context, origin) = (self.context.clone(), origin.clone());
                    self.builtin = Some(Box::pin(async move {
                        let run = exec::start(&context, line).await;
                        (origin, run)
                    }));
                }
                return;
            }
            Statement::Command(command) if self.guesses && needs_types(command) => {
                self.guesses = false;
                say(GUESSES);
            }
            Statement::Message(message) if message.id.is_some() => {
                // Commands may use the same id one after the other, but not at once.
                let same =
                    |(command, _): &(PendingCommand, Origin)| command.id() == message.id.as_deref();
                if self.in_flight.iter().any(same) {
                    self.drain().await;
                }
            }
            _ => {}
        }
        let run = with_notices(&mut self.notices, exec::start(&self.context, line)).await;
        self.started(run, origin).await;
    }

    async fn started(&mut self, run: Run, origin: &Origin) {
        match run {
            Run::Sent(mut command) if command.is_background() => {
                let origin = origin.clone();
                self.background.spawn(async move {
                    let reply = command.reply().await;
                    (command, origin, reply)
                });
            }
            Run::Sent(command) => self.in_flight.push_back((command, origin.clone())),
            Run::Done(outcome) => {
                if let Some(failure) = self.output(outcome).await {
                    self.failed_line(failure, origin).await;
                }
            }
        }
    }

    /// Reports a line that failed without being sent, after waiting for the commands before it: output is in
    /// the order of the lines.
    async fn failed_line(&mut self, failure: Failure, origin: &Origin) {
        self.drain().await;
        if self.reading == Reading::Lines || self.keep_going {
            self.fail(&failure, origin);
        }
    }

    /// Waits for the commands in flight and prints their replies.
    async fn drain(&mut self) {
        while !self.in_flight.is_empty() {
            tokio::select! {
                biased;
                Some(notice) = self.notices.recv() => show_notice(&notice),
                result = first_reply(&mut self.in_flight) => self.replied(result).await,
                event = next_event(&mut self.display.events) => self.display.event(event),
                () = self.display.stdout.due(false) => self.display.stdout.flush(),
            }
        }
        self.display.stdout.flush();
    }

    /// Handles the reply to the oldest command in flight.
    async fn replied(&mut self, result: Result<Reply, Failure>) {
        let (command, origin) = self.in_flight.pop_front().expect("it has replied");
        self.replied_to(&command, &origin, result).await;
    }

    /// Shows the outcome of a listener's or timer's line. An error there does not end the script.
    async fn report(&mut self, report: Report) {
        let line = clip(&report.line).into_owned();
        let head = format!("{}: `{line}`: ", report.origin);
        if let Some(failure) = self.output(report.outcome).await {
            self.display.complain(&head, &failure);
        }
    }

    /// Shows the outcome of a command, given its reply.
    async fn replied_to(
        &mut self,
        command: &PendingCommand,
        origin: &Origin,
        reply: Result<Reply, Failure>,
    ) {
        let mut outcome = command.outcome(reply);
        advise(&self.context, command.line(), &mut outcome).await;
        let outcome = apply_tail(&self.context, command.line(), outcome).await;
        self.show(outcome, origin).await;
    }

    /// Shows the outcome of a line.
    async fn show(&mut self, outcome: Outcome, origin: &Origin) {
        if let Some(failure) = self.output(outcome).await {
            self.fail(&failure, origin);
        }
    }

    /// Shows an outcome's output, or carries it out. Returns why the line failed, if it did.
    async fn output(&mut self, outcome: Outcome) -> Option<Failure> {
        let Outcome { output, failure } = outcome;
        if !matches!(output, Output::Picture(_)) {
            self.display.print(&output);
        }
        match output {
            Output::Follow(file) => self.display.follow(file, &mut self.notices).await,
            Output::Events(events) => {
                return self.display.follow_events(events, &mut self.notices).await;
            }
            Output::Program { stdout, stderr } => self.display.program(&stdout, &stderr),
            Output::Piped(piped) => return self.pipe(piped).await,
            Output::Picture(picture) => self.display.picture(&picture).await,
            Output::Watch(_) => {
                let why = "`:watch` works only at the prompt; `:every` runs a line again and again";
                return Some(Failure::Usage(why.to_owned()));
            }
            Output::Source(lines) => self.input.insert(lines),
            Output::Quit(status) => {
                self.reading = Reading::Stopped;
                if let Some(status) = status {
                    self.display.status = Status::Given(status);
                }
            }
            _ => {}
        }
        failure
    }

    /// Shows a text through a program. Returns why it failed, if it did.
    async fn pipe(&mut self, mut piped: Piped) -> Option<Failure> {
        self.display.stdout.flush();
        let text = std::mem::take(&mut piped.text);
        let mut program = match Foreground::start(&piped.program, text) {
            Ok(program) => program,
            Err(error) => return Some(piped.cannot_run(&error)),
        };
        self.interruptible.store(false, Ordering::Relaxed);
        let ended = with_notices(&mut self.notices, program.wait()).await;
        self.interruptible.store(true, Ordering::Relaxed);
        piped.failure(ended)
    }

    /// Says which lines of timers the end of the script has kept from running again, or at all.
    pub fn tell_what_was_to_come(&mut self) {
        for timer in self.context.agenda.list(Kind::schedule) {
            let times = match timer.runs {
                0 => "has not run".to_owned(),
                1 => "has run once".to_owned(),
                runs => format!("has run {runs} times"),
            };
            self.display.stdout.flush();
            let (line, when) = (clip(&timer.line), timer.when);
            say(format!(
                "qmpsh: `{line}` ({when}) {times}, and was still to come when the script ended"
            ));
        }
    }

    fn fail(&mut self, failure: &Failure, origin: &Origin) {
        self.display.complain(&origin.head(failure), failure);
        let stops = match failure.status() {
            // If nothing will restore the connection, every further line would fail too.
            Status::NoConnection => {
                let state = self.context.target.session.state();
                !self.context.settings().wait_for_connection || matches!(state, State::Idle(_))
            }
            _ => !self.keep_going,
        };
        if stops {
            self.reading = Reading::Stopped;
        }
    }
}

/// Resolves when the VM that we launched has ended. Never resolves if we launched none.
async fn end_of_vm(context: &Context) {
    match &context.target.vm {
        Some(vm) => drop(vm.ended().await),
        None => pending().await,
    }
}

/// The result of the running built-in. Never resolves if there is none.
async fn builtin(running: &mut Option<Running>) -> (Origin, Run) {
    match running {
        Some(running) => running.await,
        None => pending().await,
    }
}

/// The reply to the oldest command in flight. Never resolves if there is none.
async fn first_reply(in_flight: &mut VecDeque<(PendingCommand, Origin)>) -> Result<Reply, Failure> {
    match in_flight.front_mut() {
        Some((command, _)) => command.reply().await,
        None => pending().await,
    }
}
