//! What a script prints, and what it says on standard error.

use std::io::{self, Write};
use std::pin::pin;

use super::Script;
use super::input::Origin;
use crate::advice::advise;
use crate::agenda::{Report, Said};
use crate::cli::EventsTo;
use crate::failure::{Failure, Status};
use crate::lang::conceal;
use crate::os::stderr::say;
use crate::qmp::{Event, Listener, Notice, Notices, Reply, State};
use crate::render::{self, clip, compact};
use crate::runner::PendingCommand;

impl Script {
    /// Prints what a listener or timer says. An error there ends nothing.
    pub(super) fn report(&mut self, report: Report) {
        let Report {
            origin,
            line,
            result,
        } = report;
        match result {
            Ok(Said::Text(text)) => self.output.write(&text),
            Ok(Said::Quit) => (self.finished, self.stopped) = (true, true),
            Err(failure) => {
                self.output.flush();
                let line = clip(&conceal(&line)).into_owned();
                say(format!("qmpsh: {origin}: `{line}`: {failure}"));
                self.status = self.status.max(failure.status());
            }
        }
    }

    /// Prints the outcome of a command.
    pub(super) async fn finish(
        &mut self,
        sent: &PendingCommand,
        origin: &Origin,
        result: Result<Reply, Failure>,
    ) {
        let failure = match result {
            Ok(reply) => {
                self.print_events_before(reply.number);
                let (text, failure) = self.runner.settings().show(&reply, sent.id.as_deref());
                if let Some(text) = text {
                    self.output.write_line(&text);
                }
                failure
            }
            Err(failure) => {
                self.print_events();
                Some(failure)
            }
        };
        if let Some(mut failure) = failure {
            advise(&self.runner, &sent.line, &mut failure).await;
            self.fail(&failure, origin);
        }
    }

    pub(super) fn fail(&mut self, failure: &Failure, origin: &Origin) {
        // What went wrong is said after the output so far, wherever the two of them go.
        self.output.flush();
        match failure {
            // It shows the line itself.
            Failure::Syntax { .. } => say(format!("qmpsh: {}{failure}", origin.place())),
            _ => say(format!("qmpsh: {origin}{failure}")),
        }
        self.status = self.status.max(failure.status());
        let stops = match failure.status() {
            // With no way to another one, every further line would fail as well.
            Status::NoConnection => {
                !self.reconnect || matches!(self.runner.session.state(), State::Idle(_))
            }
            _ => !self.keep_going,
        };
        self.finished |= stops;
        self.stopped |= stops;
    }

    /// Prints the events that came before a message of this number.
    pub(super) fn print_events_before(&mut self, number: u64) {
        let next = |events: &mut Option<Listener>| events.as_mut()?.next_before(number);
        while let Some(event) = next(&mut self.events) {
            self.print_event(&event);
        }
    }

    /// Prints the events that are there.
    pub(super) fn print_events(&mut self) {
        while let Some(event) = self.events.as_mut().and_then(Listener::try_next) {
            self.print_event(&event);
        }
    }

    pub(super) fn print_event(&mut self, event: &Event) {
        if self.runner.mutes(event.name()) {
            return;
        }
        match self.events_to {
            EventsTo::Stdout => {
                self.output.write_line(&compact(event.text()));
            }
            EventsTo::Stderr => say(compact(event.text())),
            EventsTo::None => {}
        }
    }
}

/// Shows a notice on standard error. Not the end of the connection: that is an error of the line it concerns.
pub(super) fn tell(notice: &Notice) {
    if !matches!(
        notice,
        Notice::Lost { again: false, .. } | Notice::GivenUp(_)
    ) {
        say(format!("qmpsh: {}", render::notice(notice)));
    }
}

/// Shows the notices that are there.
pub(super) fn tell_all(notices: &mut Notices) {
    while let Ok(notice) = notices.try_recv() {
        tell(&notice);
    }
}

/// Waits for `future`, and shows the notices that come before it is done.
pub(super) async fn telling<T>(notices: &mut Notices, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            Some(notice) = notices.recv() => tell(&notice),
            result = &mut future => {
                tell_all(notices);
                return result;
            }
        }
    }
}

/// Shows on standard error how far something is, in place of what it showed before.
pub(super) fn progress(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
}
