//! What a script prints, and what it says on standard error.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;

use super::plan::EventsTo;
use super::stdout::Stdout;
use crate::context::{Context, Output};
use crate::failure::{Failure, Status};
use crate::os::stderr::{self, say};
use crate::qmp::{Event, Listener, Notice, Notices};
use crate::render::{self, compact};

/// Where values, events and errors of a script go, in the order in which they come.
pub(super) struct Display {
    pub context: Context,
    pub stdout: Stdout,
    /// The events, if they are to be shown.
    pub events: Option<Listener>,
    pub events_to: EventsTo,
    /// The exit status so far.
    pub status: Status,
}

impl Display {
    /// Prints what a line has to show, after the events that came before it.
    pub fn print(&mut self, output: &Output) {
        if let Some(next) = output.next_message() {
            self.print_events_before(next);
        }
        let settings = self.context.settings();
        if let Some(text) = settings.text(output) {
            self.stdout.write_line(&text);
        }
        if let Output::Text { notice, .. } = output
            && !notice.is_empty()
        {
            self.stdout.flush();
            say(notice);
        }
    }

    /// Says what went wrong, after the output so far, wherever the two of them go.
    pub fn complain(&mut self, head: &str, failure: &Failure) {
        self.print_events();
        self.stdout.flush();
        say(format!("qmpsh: {head}{failure}"));
        self.status = self.status.max(failure.status());
    }

    /// Prints an event, and those that have come after it.
    pub fn event(&mut self, event: Option<Arc<Event>>) {
        match event {
            Some(event) => {
                self.print_event(&event);
                self.print_events();
            }
            None => self.events = None,
        }
    }

    /// Prints the events that came before a message of this number.
    fn print_events_before(&mut self, number: u64) {
        let next = |events: &mut Option<Listener>| events.as_mut()?.next_before(number);
        while let Some(event) = next(&mut self.events) {
            self.print_event(&event);
        }
    }

    /// Prints the events that are there.
    pub fn print_events(&mut self) {
        while let Some(event) = self.events.as_mut().and_then(Listener::try_next) {
            self.print_event(&event);
        }
    }

    fn print_event(&mut self, event: &Event) {
        if self.context.mutes(event.name()) {
            return;
        }
        match self.events_to {
            EventsTo::Stdout => {
                self.stdout.write_line(&compact(event.text()));
            }
            EventsTo::Stderr => say(compact(event.text())),
            EventsTo::None => {}
        }
    }
}

/// The next event that is to be shown; nothing once there will be none.
pub(super) async fn next_event(events: &mut Option<Listener>) -> Option<Arc<Event>> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}

/// Shows a notice on standard error. Not the end of the connection: that is an error of the line it concerns.
pub(super) fn show_notice(notice: &Notice) {
    if !matches!(
        notice,
        Notice::Lost { again: false, .. } | Notice::GivenUp(_)
    ) {
        say(format!("qmpsh: {}", render::notice(notice)));
    }
}

/// Shows the notices that are there.
pub(super) fn show_notices(notices: &mut Notices) {
    while let Ok(notice) = notices.try_recv() {
        show_notice(&notice);
    }
}

/// Waits for `future`, and shows the notices that come before it is done.
pub(super) async fn with_notices<T>(notices: &mut Notices, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        tokio::select! {
            biased;
            Some(notice) = notices.recv() => show_notice(&notice),
            result = &mut future => {
                show_notices(notices);
                return result;
            }
        }
    }
}

/// Shows on standard error how far something is, in place of what it showed before.
pub(super) fn progress(text: &str) {
    stderr::write(&format!("\r\x1b[K{text}"));
}
