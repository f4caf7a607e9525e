//! One-shot commands, `--execute`, `--file` and standard input: lines in, replies out.

mod input;
mod output;
mod show;
mod stop;

use std::collections::VecDeque;
use std::future::{Future, pending, ready};
use std::io::{self, IsTerminal};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;

use crate::Start;
use crate::agenda::Report;
use crate::builtin::{self, Outcome};
use crate::cli::{EventsTo, Invocation};
use crate::failure::{Failure, Status};
use crate::lang::{Command, Line, Parser};
use crate::leave;
use crate::os::stderr::{end_by_interrupt_while_blocked, say};
use crate::qmp::{Event, Filter, Listener, Notices, Reply, Retry};
use crate::render::{clip, escape};
use crate::runner::{PendingCommand, Runner};
use crate::traffic::{self, Log};
use crate::transport::Endpoint;

use input::{Input, Item, Origin};
use output::Output;
use show::{progress, tell, tell_all, telling};
use stop::Stop;

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
pub async fn run(invocation: &Invocation, start: Start) -> anyhow::Result<Status> {
    let cli = &invocation.cli;
    let mut options = start.options;
    let log = cli.log.as_deref().map(Log::open).transpose()?;
    let echo = cli.verbose.then(|| -> traffic::Echo { Box::new(say) });
    options.tap = traffic::tap(echo, log.as_ref());
    // A VM that we launch takes its time to start, and we see if it ends.
    if start.retry == Retry::Never && start.vm.is_none() {
        options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
    }

    // Nothing can overtake a lone command, and QEMU reads byte by byte: what need not be said is not.
    // A built-in may be `:oob`, though, and a whole message `exec-oob`.
    options.no_oob |= !cli.keep_going
        && invocation
            .command
            .first()
            .is_some_and(|word| !word.starts_with([':', '{']));

    let input = Input::new(invocation)?;
    // There is something left behind unless we leave in good order.
    let orderly = start.vm.is_some() || matches!(start.endpoint, Some(Endpoint::Listen(_)));
    if !orderly {
        end_by_interrupt_while_blocked(Status::Interrupted as i32)?;
    }
    let mut stop = Stop::new(orderly)?;
    let (mut runner, reports, mut notices) =
        Runner::new(start.settings, options, start.retry, start.schema, start.vm);
    if io::stderr().is_terminal() {
        runner.progress = Some(Arc::new(|text| progress(&clip(text))));
    }
    // Before there is a connection: no event is missed.
    let events = (cli.events != EventsTo::None)
        .then(|| runner.session.hub().listen(Filter::default(), usize::MAX));
    if !cli.dry_run {
        tokio::select! {
            connected = telling(&mut notices, runner.open(start.endpoint)) => connected?,
            () = stop.wait() => return Ok(Status::Interrupted),
        }
    }
    let mut script = Script {
        input,
        output: Output::new()?,
        parser: Parser::default(),
        in_flight: VecDeque::new(),
        background: JoinSet::new(),
        builtin: None,
        reports,
        events,
        notices,
        window: if cli.keep_going { WINDOW } else { 1 },
        keep_going: cli.keep_going,
        reconnect: start.retry != Retry::Never,
        dry_run: cli.dry_run,
        events_to: cli.events,
        status: Status::Success,
        finished: false,
        stopped: false,
        runner,
    };
    tokio::select! {
        biased;
        () = script.all() => {}
        () = stop.wait() => script.status = Status::Interrupted,
    }
    // Those that came before the end.
    script.print_events();
    tell_all(&mut script.notices);
    if let Some(vm) = &script.runner.vm {
        let client = script.runner.session.client();
        leave::end(vm, client.as_deref(), &|text| say(format!("qmpsh: {text}"))).await?;
    }
    tell_all(&mut script.notices);
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
    in_flight: VecDeque<(PendingCommand, Origin)>,
    /// Commands that ended in `&`.
    background: JoinSet<(PendingCommand, Origin, Result<Reply, Failure>)>,
    /// The built-in that runs; meanwhile no line is read.
    builtin: Option<Running>,
    /// What listeners and timers say.
    reports: mpsc::Receiver<Report>,
    events: Option<Listener>,
    /// What happens without being asked for.
    notices: Notices,
    window: usize,
    keep_going: bool,
    /// A connection that ends is no reason to stop.
    reconnect: bool,
    dry_run: bool,
    events_to: EventsTo,
    status: Status,
    /// No further line is read.
    finished: bool,
    /// Nor is anything waited for that is still to be run.
    stopped: bool,
}

/// A built-in that runs, and in the end where it stood and what it led to.
type Running = Pin<Box<dyn Future<Output = (Origin, Result<Outcome, Failure>)> + Send>>;

impl Script {
    async fn all(&mut self) {
        loop {
            if self.window > 1 && self.in_flight.len() <= self.window / 2 {
                self.fill_window().await;
            }
            // A run that never has to wait can still be interrupted.
            consume_budget().await;
            let idle = self.builtin.is_none();
            let more_to_send = idle && self.input.is_ready();
            let may_read = self.may_read();
            let to_come = !self.stopped && self.runner.agenda.has_due();
            let waits = !self.in_flight.is_empty() || !self.background.is_empty() || !idle;
            if self.finished && !waits && !to_come {
                break;
            }
            tokio::select! {
                biased;
                Some(notice) = self.notices.recv() => tell(&notice),
                result = first_reply(&mut self.in_flight) => self.replied(result).await,
                Some(done) = self.background.join_next() => {
                    let (sent, origin, result) = done.expect("waiting for a reply does not panic");
                    self.finish(&sent, &origin, result).await;
                }
                (origin, result) = outcome(&mut self.builtin) => {
                    self.builtin = None;
                    let result = match result {
                        Ok(outcome) => self.outcome(outcome, &origin).await,
                        Err(failure) => Err(failure),
                    };
                    if let Err(failure) = result {
                        self.fail(&failure, &origin);
                    }
                }
                Some(report) = self.reports.recv() => self.report(report),
                event = next_event(&mut self.events) => self.event(event),
                item = self.input.next(), if may_read => self.item(item).await,
                // Nothing is to be done but wait, so what was printed is due.
                () = self.output.due(more_to_send) => self.output.flush(),
            }
            if self.output.has_failed() {
                break;
            }
        }
    }

    fn may_read(&self) -> bool {
        self.builtin.is_none() && !self.finished && self.in_flight.len() < self.window
    }

    /// Sends commands until the window is full, as far as lines are there: the server works on this half of it
    /// while we do on the other.
    async fn fill_window(&mut self) {
        let before = self.in_flight.len();
        while self.may_read() {
            let others = self.in_flight.len();
            tokio::select! {
                biased;
                item = self.input.next() => self.item(item).await,
                () = ready(()) => break,
            }
            // Lines that are not waited for take their turn with everything else.
            if self.in_flight.len() <= others {
                break;
            }
        }
        if self.in_flight.len() > before {
            // The client's tasks send it.
            yield_now().await;
        }
    }

    fn end_of_input(&mut self) {
        self.finished = true;
        if self.parser.in_transaction() {
            let error = Failure::Usage("the transaction is never closed; `)` closes it".to_owned());
            let here = self.input.here();
            self.fail(&error, &here);
        }
    }

    async fn item(&mut self, item: Option<Item>) {
        let Some(item) = item else {
            return self.end_of_input();
        };
        let result = match item.words {
            Ok(words) => {
                let line = self.parser.parse(&words);
                match line.map_err(|error| Failure::syntax(error, words.source())) {
                    Ok(line) => self.line(line, &item.origin).await,
                    Err(failure) => Err(failure),
                }
            }
            Err(failure) => {
                self.parser.wrong_line();
                Err(failure)
            }
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
            Line::Message(message) if self.dry_run => return self.dry(&message.text),
            Line::Command(command) => return self.command(command, origin).await,
            Line::Message(message) => {
                self.connection().await;
                // One after the other, they may have the same id.
                let same = |(sent, _): &(PendingCommand, Origin)| {
                    sent.id.is_some() && sent.id == message.id
                };
                if self.in_flight.iter().any(same) {
                    self.drain().await;
                }
                self.runner.send_message(message)
            }
            // With no connection, the others have nothing to send to.
            Line::Builtin(line)
                if self.dry_run && ["connect", "after", "every"].contains(&line.name.as_str()) =>
            {
                let why = format!("`:{}` is no matter for a dry run", line.name);
                return Err(Failure::Usage(why));
            }
            Line::Builtin(line) => {
                self.drain().await;
                if self.finished && !self.keep_going {
                    return Ok(());
                }
                let (runner, origin) = (self.runner.clone(), origin.clone());
                self.builtin = Some(Box::pin(async move {
                    let result = builtin::run(&runner, &line).await;
                    (origin, result)
                }));
                return Ok(());
            }
        };
        self.started(sent?, origin);
        Ok(())
    }

    /// Does what a built-in leads to.
    async fn outcome(&mut self, outcome: Outcome, origin: &Origin) -> Result<(), Failure> {
        match outcome {
            Outcome::Text(text) => self.output.write(&text),
            Outcome::Notice(text) => {
                self.output.flush();
                say(text);
            }
            Outcome::Noted { text, notice } => {
                self.output.write(&text);
                self.output.flush();
                say(format!("qmpsh: {notice}"));
            }
            Outcome::Event(event) => {
                self.print_events_before(event.number + 1);
                let text = self.runner.settings().style.event(&event);
                self.output.write(&text);
            }
            Outcome::Connected(_) => {}
            Outcome::Follow(mut file) => {
                // Nobody follows what nobody reads.
                while !self.output.has_failed()
                    && let Some(text) = telling(&mut self.notices, file.next()).await
                {
                    self.output.write(&escape(&text));
                    self.output.flush();
                }
            }
            Outcome::Console(_) => {
                let why = "`:console` needs a terminal, and the prompt";
                return Err(Failure::Usage(why.to_owned()));
            }
            Outcome::Quit => (self.finished, self.stopped) = (true, true),
            Outcome::Command(command) => return self.command(command, origin).await,
        }
        Ok(())
    }

    async fn command(&mut self, mut command: Command, origin: &Origin) -> Result<(), Failure> {
        self.connection().await;
        telling(&mut self.notices, self.runner.type_words(&mut command)).await?;
        if self.dry_run {
            return self.dry(&command.to_message());
        }
        let sent = self.runner.send_command(command)?;
        self.started(sent, origin);
        Ok(())
    }

    /// Waits for a connection, if one is sought.
    async fn connection(&mut self) {
        if self.reconnect {
            telling(&mut self.notices, self.runner.session.settled()).await;
        }
    }

    fn dry(&mut self, message: &str) -> Result<(), Failure> {
        let text = self.runner.settings().style.value(message);
        self.output.write(&text);
        Ok(())
    }

    fn started(&mut self, mut sent: PendingCommand, origin: &Origin) {
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
        while !self.in_flight.is_empty() {
            tokio::select! {
                biased;
                Some(notice) = self.notices.recv() => tell(&notice),
                result = first_reply(&mut self.in_flight) => self.replied(result).await,
                event = next_event(&mut self.events) => self.event(event),
                () = self.output.due(false) => self.output.flush(),
            }
        }
        self.output.flush();
    }

    /// The oldest command in flight has its outcome.
    async fn replied(&mut self, result: Result<Reply, Failure>) {
        let (sent, origin) = self.in_flight.pop_front().expect("it has replied");
        self.finish(&sent, &origin, result).await;
    }

    fn event(&mut self, event: Option<Arc<Event>>) {
        match event {
            Some(event) => {
                self.print_event(&event);
                self.print_events();
            }
            None => self.events = None,
        }
    }
}

/// What the built-in that runs leads to, if one does.
async fn outcome(builtin: &mut Option<Running>) -> (Origin, Result<Outcome, Failure>) {
    match builtin {
        Some(builtin) => builtin.await,
        None => pending().await,
    }
}

/// The reply to the oldest command in flight.
async fn first_reply(in_flight: &mut VecDeque<(PendingCommand, Origin)>) -> Result<Reply, Failure> {
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
