//! One-shot commands, `--execute`, `--file` and standard input: lines in, replies out.

mod input;
mod output;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;

use crate::builtin::{self, Outcome};
use crate::cli::{EventsTo, Invocation};
use crate::exit::{Failure, Status, end_by_interrupt_while_blocked, say};
use crate::lang::{Line, Parser};
use crate::qmp::{Event, Filter, Late, Listener, Reply};
use crate::render::{compact, late_reply};
use crate::runner::{Runner, Sent};
use crate::traffic::{self, Log};

use input::{Input, Item, Origin};
use output::Output;

/// How many commands `--keep-going` keeps in flight. QEMU reads no more than this ahead, and beyond it
/// a command out of band could no longer overtake.
const WINDOW: usize = 8;

/// How long a script waits for connection and greeting unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the lines that the command line gives or names.
///
/// # Errors
///
/// What kept it from starting.
pub async fn run(invocation: Invocation, mut runner: Runner) -> anyhow::Result<Status> {
    let cli = &invocation.cli;
    let log = cli.log.as_deref().map(Log::open).transpose()?;
    let echo = cli.verbose.then(|| -> traffic::Echo { Box::new(say) });
    runner.options.tap = traffic::tap(echo, log.as_ref());
    runner
        .options
        .connect_timeout
        .get_or_insert(CONNECT_TIMEOUT);

    // Nothing can overtake a lone command, and QEMU reads byte by byte: what need not be said is not.
    // A built-in may be `:oob`, though, and a whole message `exec-oob`.
    runner.options.no_oob |= !cli.keep_going
        && invocation
            .command
            .first()
            .is_some_and(|word| !word.starts_with([':', '{']));

    let input = Input::new(&invocation)?;
    end_by_interrupt_while_blocked()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    if !cli.dry_run {
        tokio::select! {
            connected = runner.connect() => connected?,
            _ = interrupt.recv() => return Ok(Status::Interrupted),
        }
    }
    let mut script = Script {
        input,
        output: Output::new()?,
        parser: Parser::default(),
        in_flight: VecDeque::new(),
        background: JoinSet::new(),
        events: None,
        late: None,
        window: if cli.keep_going { WINDOW } else { 1 },
        keep_going: cli.keep_going,
        dry_run: cli.dry_run,
        events_to: cli.events,
        status: Status::Success,
        finished: false,
        runner,
    };
    tokio::select! {
        biased;
        () = script.all() => {}
        _ = interrupt.recv() => script.status = Status::Interrupted,
    }
    if let Err(error) = script.output.finish() {
        say(format!("qmpsh: cannot write to standard output: {error}"));
        script.status = script.status.max(Status::CommandFailed);
    }
    Ok(script.status)
}

struct Script {
    runner: Runner,
    input: Input,
    output: Output,
    parser: Parser,
    /// Commands whose replies are printed in the order of their lines.
    in_flight: VecDeque<(Sent, Origin)>,
    /// Commands that ended in `&`.
    background: JoinSet<(Sent, Origin, Result<Reply, Failure>)>,
    events: Option<Listener>,
    late: Option<mpsc::UnboundedReceiver<Late>>,
    window: usize,
    keep_going: bool,
    dry_run: bool,
    events_to: EventsTo,
    status: Status,
    /// No further line is read.
    finished: bool,
}

impl Script {
    async fn all(&mut self) {
        self.connected();
        loop {
            // A run that never has to wait can still be interrupted.
            consume_budget().await;
            let more_to_send = self.input.is_ready();
            let may_read = !self.finished && self.in_flight.len() < self.window;
            if self.finished && self.in_flight.is_empty() && self.background.is_empty() {
                break;
            }
            tokio::select! {
                biased;
                late = next_late(&mut self.late) => match late {
                    Some(late) => say(format!("qmpsh: {}", late_reply(&late))),
                    None => self.late = None,
                },
                result = first_reply(&mut self.in_flight) => {
                    let (sent, origin) = self.in_flight.pop_front().expect("it has replied");
                    self.finish(&sent, &origin, result);
                }
                Some(done) = self.background.join_next() => {
                    let (sent, origin, result) = done.expect("waiting for a reply does not panic");
                    self.finish(&sent, &origin, result);
                }
                event = next_event(&mut self.events) => match event {
                    Some(event) => {
                        self.print_event(&event);
                        self.print_events();
                    }
                    None => self.events = None,
                },
                item = self.input.next(), if may_read => match item {
                    Some(item) => self.item(item).await,
                    None => self.end_of_input(),
                },
                // Nothing is to be done but wait, so what was printed is due.
                () = self.output.due(more_to_send) => self.output.flush(),
            }
            if self.output.has_failed() {
                break;
            }
        }
    }

    /// Listens to a connection that is new.
    fn connected(&mut self) {
        self.print_events();
        let Some(client) = &mut self.runner.client else {
            return;
        };
        self.late = client.late_replies();
        self.events = (self.events_to != EventsTo::None)
            .then(|| client.listen(Filter::default(), usize::MAX));
    }

    fn end_of_input(&mut self) {
        self.finished = true;
        if self.parser.in_transaction() {
            let error = Failure::Usage("the transaction is never closed; `)` closes it".to_owned());
            let here = self.input.here();
            self.fail(&error, &here);
        }
    }

    async fn item(&mut self, item: Item) {
        let result = match item.words {
            Ok(words) => {
                let line = self.parser.parse(&words);
                match line.map_err(|error| Failure::syntax(error, words.source())) {
                    Ok(line) => self.line(line, &item.origin).await,
                    Err(failure) => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = result {
            // Output comes in the order of the lines, so what went before is waited for.
            self.drain().await;
            if !self.finished || self.keep_going {
                self.fail(&failure, &item.origin);
            }
        }
    }

    async fn line(&mut self, line: Line, origin: &Origin) -> Result<(), Failure> {
        let sent = match line {
            Line::Empty => return Ok(()),
            Line::Command(command) if self.dry_run => {
                return self.dry(&command.to_message());
            }
            Line::Message(message) if self.dry_run => return self.dry(&message.text),
            Line::Command(command) => self.runner.send_command(&command),
            Line::Message(message) => self.runner.send_message(&message),
            Line::Builtin(line) => {
                self.drain().await;
                if self.finished && !self.keep_going {
                    return Ok(());
                }
                match builtin::run(&mut self.runner, &line).await {
                    Ok(Outcome::Text(text)) => {
                        self.output.write(&text);
                        return Ok(());
                    }
                    Ok(Outcome::Notice(text)) => {
                        say(text);
                        return Ok(());
                    }
                    Ok(Outcome::Connected) => {
                        self.connected();
                        return Ok(());
                    }
                    Ok(Outcome::Quit) => {
                        self.finished = true;
                        return Ok(());
                    }
                    Ok(Outcome::Command(command)) if self.dry_run => {
                        return self.dry(&command.to_message());
                    }
                    Ok(Outcome::Command(command)) => self.runner.send_command(&command),
                    Err(failure) => Err(failure),
                }
            }
        };
        self.started(sent?, origin);
        Ok(())
    }

    fn dry(&mut self, message: &str) -> Result<(), Failure> {
        let text = self.runner.settings.style.value(message);
        self.output.write(&text);
        Ok(())
    }

    fn started(&mut self, mut sent: Sent, origin: &Origin) {
        if !sent.background {
            self.in_flight.push_back((sent, origin.clone()));
            return;
        }
        let origin = origin.clone();
        self.background.spawn(async move {
            let result = sent.reply().await;
            (sent, origin, result)
        });
    }

    /// Waits for the commands in flight and prints their replies.
    async fn drain(&mut self) {
        self.output.flush();
        while let Some((mut sent, origin)) = self.in_flight.pop_front() {
            let result = sent.reply().await;
            self.finish(&sent, &origin, result);
        }
    }

    /// Prints the outcome of a command.
    fn finish(&mut self, sent: &Sent, origin: &Origin, result: Result<Reply, Failure>) {
        let failure = match result {
            Ok(reply) => {
                while let Some(event) = self
                    .events
                    .as_mut()
                    .and_then(|events| events.next_before(&reply))
                {
                    self.print_event(&event);
                }
                let (text, failure) = self.runner.settings.show(&reply, sent.id.as_deref());
                self.output.write(&text);
                failure
            }
            Err(failure) => Some(failure),
        };
        if let Some(failure) = failure {
            self.fail(&failure, origin);
        }
    }

    fn fail(&mut self, failure: &Failure, origin: &Origin) {
        // What went wrong is said after the output so far, wherever the two of them go.
        self.output.flush();
        match failure {
            // It shows the line itself.
            Failure::Syntax { .. } => say(format!("qmpsh: {}{failure}", origin.place())),
            _ => say(format!("qmpsh: {origin}{failure}")),
        }
        self.status = self.status.max(failure.status());
        let gone = failure.status() == Status::NoConnection;
        if !self.keep_going || gone {
            self.finished = true;
        }
    }

    /// Prints the events that are there.
    fn print_events(&mut self) {
        while let Some(event) = self.events.as_mut().and_then(Listener::try_next) {
            self.print_event(&event);
        }
    }

    fn print_event(&mut self, event: &Event) {
        match self.events_to {
            EventsTo::Stdout => {
                self.output.write(&compact(&event.text));
                self.output.write("\n");
            }
            EventsTo::Stderr => say(compact(&event.text)),
            EventsTo::None => {}
        }
    }
}

/// The reply to the oldest command in flight.
async fn first_reply(in_flight: &mut VecDeque<(Sent, Origin)>) -> Result<Reply, Failure> {
    match in_flight.front_mut() {
        Some((sent, _)) => sent.reply().await,
        None => pending().await,
    }
}

async fn next_event(events: &mut Option<Listener>) -> Option<Arc<Event>> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}

async fn next_late(late: &mut Option<mpsc::UnboundedReceiver<Late>>) -> Option<Late> {
    match late {
        Some(late) => late.recv().await,
        None => pending().await,
    }
}
