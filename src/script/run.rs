use std::collections::VecDeque;
use std::future::{Future, pending, ready};
use std::io::{self, IsTerminal};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::context::log::Log;
use crate::context::traffic;
use crate::context::{
    Context, Kind, Origin, Outcome, Output, Piped, Report, Settings, Target, TargetPlan,
};
use crate::exec::{self, PendingCommand, Run, advise, apply_tail};
use crate::failure::{Failure, Status};
use crate::lang::{Line, Parser, Statement};
use crate::os::foreground::Foreground;
use crate::os::stderr::{end_by_interrupt_while_blocked, give_up_blocked_writes_when_stopped, say};
use crate::os::stop::{StopSignal, StopSignals};
use crate::qmp::{Filter, Listener, Notices, Pace, Reply, Retry, State};
use crate::render::{clip, escape};
use crate::schema::needs_types;
use crate::transport::Endpoint;
use crate::vm::{Follow, shutdown};

use super::check::{Found, check};
use super::display::{Display, next_event, progress, show_notice, show_notices, with_notices};
use super::input::{Input, Item};
use super::plan::{EventsTo, Plan, Source};
use super::stdout::Stdout;

/// How many commands `--keep-going` keeps in flight. QEMU reads no further ahead, so with more in flight an
/// out-of-band command could not overtake the others.
const WINDOW: usize = 8;

/// How long a script waits for the connection and the greeting by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Said once in a dry run that knows nothing of types.
const GUESSES: &str =
    "qmpsh: without an address or --schema, values are sent as what they look like";

/// How long a signal that made us give up a write may take to be seen.
const SIGNAL: Duration = Duration::from_millis(100);

/// Runs a script, and returns the exit status.
///
/// # Errors
///
/// The script could not start.
pub async fn run(mut plan: Plan, settings: Settings, target: TargetPlan) -> anyhow::Result<Status> {
    let mut options = target.options;
    let log = target.log.as_deref().map(Log::open).transpose()?;
    let echo = target.verbose.then(|| -> traffic::Echo { Box::new(say) });
    options.tap = traffic::tap(echo, log.as_ref());
    // No limit for a VM that we launch: it may start slowly, and we notice if it exits.
    if target.retry == Retry::Never && target.vm.is_none() {
        options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
    }
    options.no_oob |= !plan.keep_going && needs_no_oob(&plan.source);

    let exec_alone = is_exec(&plan.source);
    let (keep_going, events_to) = (plan.keep_going, plan.events);
    // A dry run prints what is right with the other lines, too.
    let check_first = !settings.dry_run || matches!(plan.source, Source::Command(_));
    // A launched VM must be stopped and a listening socket removed, so signals must not simply end the process.
    let serves = !target.serve.is_empty();
    let orderly =
        target.vm.is_some() || serves || matches!(target.endpoint, Some(Endpoint::Listen(_)));
    match orderly {
        true => give_up_blocked_writes_when_stopped()?,
        false => end_by_interrupt_while_blocked(Status::Interrupted.code())?,
    }
    let mut stop = match orderly {
        true => StopSignals::all()?,
        false => StopSignals::interrupt_alone()?,
    };
    let dry_run = settings.dry_run;
    let endpoint = target.endpoint;
    let (sockets, policy) = (target.serve, target.policy);
    let (target, mut notices) = Target::new(
        options,
        target.retry,
        target.schema,
        target.vm,
        target.dialect,
    );
    let config = plan.config.take();
    let input = Input::new(plan, target.language())?;
    let (mut context, reports) = exec::begin(settings, target);
    if let Some(config) = &config {
        for failure in exec::builtin::configure(&context, config) {
            say(format!("qmpsh: {failure}"));
        }
    }
    exec::check_settings(&context).await?;
    if io::stderr().is_terminal() {
        context.progress = Some(Arc::new(|text| progress(&clip(text))));
    }
    for socket in sockets {
        context.target.share.serve(socket, policy.clone());
    }
    let session = &context.target.session;
    // Before connecting, so that no event is missed.
    let events =
        (events_to != EventsTo::None).then(|| session.hub().listen(Filter::default(), usize::MAX));
    let known = context.target.inspector().known_schema();
    let checked = match input.copy().filter(|_| check_first) {
        Some(mut copy) => check(&mut copy, &context, known.as_deref()).await,
        None => Found::default(),
    };
    if !checked.wrong.is_empty() {
        return Ok(refuse(&checked));
    }
    let guesses = dry_run && endpoint.is_none() && known.is_none();
    if !dry_run || endpoint.is_some() {
        tokio::select! {
            connected = with_notices(&mut notices, context.target.open(endpoint)) => match connected {
                Err(failure) if exec_alone => {
                    say(format!("qmpsh: {failure}"));
                    return Ok(Status::Given(OUR_FAILURE));
                }
                connected => connected?,
            },
            _ = stop.recv() => {
                context.target.share.stop(None).await;
                return Ok(match serves {
                    true => Status::Success,
                    false => Status::Interrupted,
                });
            }
        }
    }
    if checked.about_events
        && let Some(mut copy) = input.copy()
        && let Some(schema) = context.schema().await
    {
        let checked = check(&mut copy, &context, Some(&schema)).await;
        if !checked.wrong.is_empty() {
            return Ok(refuse(&checked));
        }
    }
    let interruptible = Arc::new(AtomicBool::new(true));
    let mut script = Script {
        input,
        display: Display {
            context: context.clone(),
            stdout: Stdout::new()?,
            events,
            events_to,
            status: Status::Success,
            program: None,
            exec_alone,
        },
        parser: Parser::of(context.target.language()),
        in_flight: VecDeque::new(),
        background: JoinSet::new(),
        builtin: None,
        reports,
        notices,
        window: match context.target.session.client() {
            // Time limits would run for commands that are not sent yet.
            Some(client) if client.pace() == Pace::Settled => 1,
            _ if keep_going => WINDOW,
            _ => 1,
        },
        // A dry run tells every wrong line.
        keep_going: keep_going || dry_run,
        guesses,
        reading: Reading::Lines,
        serves,
        interruptible: interruptible.clone(),
        context,
    };
    let stopped = {
        let mut all = pin!(script.all());
        loop {
            tokio::select! {
                biased;
                () = &mut all => break false,
                signal = stop.recv() => {
                    if signal == StopSignal::End || interruptible.load(Ordering::Relaxed) {
                        break true;
                    }
                }
            }
        }
    };
    if !stopped {
        script.tell_what_was_to_come();
    }
    let given_up = script.display.stdout.was_stopped();
    if (stopped && script.reading != Reading::Nothing) || given_up {
        script.display.status = Status::Interrupted;
    }
    if given_up && !stopped {
        // That was the signal, which we have acted on by now; another one is to kill the VM.
        let _ = timeout(SIGNAL, stop.recv()).await;
    }
    // The events that arrived before the end.
    script.display.print_events();
    show_notices(&mut script.notices);
    let target = &script.context.target;
    if let Some(words) = target.memory.last_words() {
        say(format!("qmpsh: {words}"));
    }
    if let Some(vm) = &target.vm {
        let client = target.session.client();
        let report = |text| say(format!("qmpsh: {text}"));
        shutdown::end(vm, client.as_deref(), &mut stop, &report).await;
    }
    target.share.stop(None).await;
    show_notices(&mut script.notices);
    let Display {
        stdout,
        status,
        program,
        ..
    } = script.display;
    match stdout.finish() {
        Ok(()) => Ok(match (exec_alone, program) {
            (true, Some(program)) => Status::Given(program),
            (true, None) if status != Status::Success && status != Status::Interrupted => {
                Status::Given(OUR_FAILURE)
            }
            _ => status,
        }),
        Err(error) => {
            say(format!("qmpsh: cannot write to standard output: {error}"));
            Ok(status.or_failed())
        }
    }
}

/// Whether the script is one `:exec`, whose program's status is then ours.
fn is_exec(source: &Source) -> bool {
    matches!(source, Source::Command(words) if words[0] == ":exec")
}

/// The exit status if something else failed than the program of that `:exec`, as with ssh.
const OUR_FAILURE: u8 = 255;

/// Whether the script cannot use out-of-band execution: a single command has nothing to overtake, and not
/// negotiating it saves bytes, which QEMU reads one by one. A built-in may be `:oob`, though, and a whole
/// message may contain `exec-oob`.
fn needs_no_oob(source: &Source) -> bool {
    match source {
        Source::Command(words) => !words[0].starts_with([':', '{']),
        Source::Lines(_) | Source::Stream(_) => false,
    }
}

/// Says what is wrong with the lines, none of which was run, and returns the exit status.
fn refuse(checked: &Found) -> Status {
    let mut status = Status::Success;
    for (failure, origin) in &checked.wrong {
        say(format!("qmpsh: {}{failure}", origin.head(failure)));
        status = status.max(failure.status());
    }
    status
}

struct Script {
    context: Context,
    input: Input,
    display: Display,
    parser: Parser,
    /// Commands waiting for replies, which are printed in the order of the lines.
    in_flight: VecDeque<(PendingCommand, Origin)>,
    /// Commands that ended in `&`.
    background: JoinSet<(PendingCommand, Origin, Result<Reply, Failure>)>,
    /// The running built-in. No line is read until it is done.
    builtin: Option<Running>,
    /// The outcomes of listeners and timers.
    reports: mpsc::Receiver<Report>,
    /// What happens to the session unasked.
    notices: Notices,
    window: usize,
    keep_going: bool,
    /// Nobody tells the types of words, and that was not said yet.
    guesses: bool,
    reading: Reading,
    /// The VM is served to others.
    serves: bool,
    /// Ctrl-C ends the script. It is a program's while one is in the foreground.
    interruptible: Arc<AtomicBool>,
}

/// How far a script has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reading {
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
    async fn all(&mut self) {
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
        self.display.print(&output);
        match output {
            Output::Follow(file) => self.follow(file).await,
            Output::Events(events) => return self.follow_events(events).await,
            Output::Program { stdout, stderr } => self.display.program(&stdout, &stderr),
            Output::Piped(piped) => return self.pipe(piped).await,
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

    /// Prints a file as it grows. Stops when standard output fails.
    async fn follow(&mut self, mut file: Follow) {
        let stdout = &mut self.display.stdout;
        if let Some(note) = file.left_out() {
            stdout.flush();
            say(note);
        }
        while !stdout.has_failed()
            && let Some(text) = with_notices(&mut self.notices, file.next()).await
        {
            stdout.write(&escape(&text));
            stdout.flush();
            // A long log is always ready, and can still be interrupted.
            yield_now().await;
        }
    }

    /// Prints events as they come. Stops when standard output fails, or there is no connection: then it is a failure.
    async fn follow_events(&mut self, mut events: Listener) -> Option<Failure> {
        let context = self.context.clone();
        let stdout = &mut self.display.stdout;
        let mut without = pin!(exec::builtin::no_connection(&context));
        while !stdout.has_failed() {
            let event = match events.try_next() {
                Some(event) => event,
                None => {
                    stdout.flush();
                    let next = async {
                        tokio::select! {
                            biased;
                            event = events.next() => event.ok_or(State::Idle(None)),
                            state = &mut without => Err(state),
                        }
                    };
                    match with_notices(&mut self.notices, next).await {
                        Ok(event) => event,
                        Err(state) => return Some(Failure::not_connected(&state)),
                    }
                }
            };
            stdout.write_line(&context.settings().style.event(&event));
            let missed = events.missed();
            if missed > 0 {
                stdout.flush();
                say(format!(
                    "qmpsh: {missed} events came faster than they could be printed"
                ));
            }
            // A flood of events can still be interrupted.
            consume_budget().await;
        }
        None
    }

    /// Says which lines of timers the end of the script has kept from running again, or at all.
    fn tell_what_was_to_come(&mut self) {
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
