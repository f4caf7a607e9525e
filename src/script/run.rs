//! How a script starts and ends.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::context::{Settings, TargetPlan};
use crate::exec;
use crate::failure::Status;
use crate::lang::Parser;
use crate::os::stderr::{end_by_interrupt_while_blocked, give_up_blocked_writes_when_stopped, say};
use crate::os::stop::{StopSignal, StopSignals};
use crate::qmp::{Filter, Pace, Retry};
use crate::render::clip;
use crate::transport::Endpoint;
use crate::vm::shutdown;

use super::check::{Found, check};
use super::display::{Display, progress, show_notices, with_notices};
use super::input::Input;
use super::plan::{EventsTo, Plan, Source};
use super::running::{Reading, Script};
use super::stdout::Stdout;

/// How many commands `--keep-going` keeps in flight. QEMU reads no further ahead, so with more in flight an
/// out-of-band command could not overtake the others.
const WINDOW: usize = 8;

/// How long a script waits for the connection and the greeting by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a signal that made us give up a write may take to be seen.
const SIGNAL: Duration = Duration::from_millis(100);

/// Runs a script, and returns the exit status.
///
/// # Errors
///
/// The script could not start.
pub async fn run(
    mut plan: Plan,
    settings: Settings,
    mut target: TargetPlan,
) -> anyhow::Result<Status> {
    // No limit for a VM that we launch: it may start slowly, and we notice if it exits.
    if target.retry == Retry::Never && target.vm.is_none() {
        target
            .options
            .connect_timeout
            .get_or_insert(CONNECT_TIMEOUT);
    }
    target.options.no_oob |= !plan.keep_going && needs_no_oob(&plan.source);

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
    let endpoint = target.endpoint.take();
    let (target, mut notices, _log) = target.begin(Box::new(say))?;
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
