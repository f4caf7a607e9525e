//! What a script prints, and what it says on standard error.

use std::io::{self, Write};

use super::input::Origin;
use super::{EventsTo, Reading, Script};
use crate::context::{Outcome, Output, Report};
use crate::exec::{PendingCommand, advise};
use crate::failure::{Failure, Status};
use crate::lang::conceal;
use crate::os::stderr::say;
use crate::qmp::{Change, Event, Listener, Reply, State};
use crate::render::{self, clip, compact, escape};

impl Script {
    /// Prints what came of a line that a listener or timer ran. An error there ends nothing.
    pub(super) async fn report(&mut self, report: Report) {
        if let Some(failure) = &report.outcome.failure {
            self.output.flush();
            let line = clip(&conceal(&report.line)).into_owned();
            say(format!("qmpsh: {}: `{line}`: {failure}", report.origin));
            self.status = self.status.max(failure.status());
        }
        self.print(report.outcome).await;
    }

    /// Prints the outcome of a command, given its reply.
    pub(super) async fn replied_to(
        &mut self,
        command: &PendingCommand,
        origin: &Origin,
        reply: Result<Reply, Failure>,
    ) {
        let mut outcome = command.outcome(reply);
        advise(&self.context, command.line(), &mut outcome).await;
        self.show(outcome, origin).await;
    }

    /// Prints the outcome of a line.
    pub(super) async fn show(&mut self, mut outcome: Outcome, origin: &Origin) {
        let failure = outcome.failure.take();
        if failure.is_some() && outcome.output.next_message().is_none() {
            self.print_events();
        }
        self.print(outcome).await;
        if let Some(failure) = failure {
            self.fail(&failure, origin);
        }
    }

    /// Prints what a line has to show, after the events that came before it.
    async fn print(&mut self, outcome: Outcome) {
        if let Some(next) = outcome.output.next_message() {
            self.print_events_before(next);
        }
        let settings = self.context.settings();
        if let Some(text) = settings.text(&outcome.output) {
            self.output.write_line(&text);
        }
        match outcome.output {
            Output::Text { notice, .. } if !notice.is_empty() => {
                self.output.flush();
                say(notice);
            }
            Output::Follow(mut file) => {
                // Nobody follows what nobody reads.
                while !self.output.has_failed()
                    && let Some(text) = file.next().await
                {
                    self.output.write(&escape(&text));
                    self.output.flush();
                }
            }
            Output::Console(_) => {
                let why = "`:console` needs a terminal, and the prompt";
                self.fail(&Failure::Usage(why.to_owned()), &Origin::default());
            }
            Output::Quit => self.reading = Reading::Stopped,
            _ => {}
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
                let state = self.context.target.session.state();
                !self.context.settings().wait_for_connection || matches!(state, State::Idle(_))
            }
            _ => !self.keep_going,
        };
        if stops {
            self.reading = Reading::Stopped;
        }
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
        if self.context.mutes(event.name()) {
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

/// Says what becomes of the connection, but for its end: that is an error of the line it concerns.
pub(super) fn tell(change: Change) {
    if !matches!(
        change,
        Change::Lost { again: false, .. } | Change::GivenUp(_)
    ) {
        say(format!("qmpsh: {}", render::change(&change)));
    }
}

/// Shows on standard error how far something is, in place of what it showed before.
pub(super) fn progress(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
}
