//! Prints a script's output, and its messages on standard error.

use std::future::pending;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::plan::EventsTo;
use super::stdout::Stdout;
use crate::context::{Context, Output};
use crate::failure::{Failure, Status};
use crate::os::stderr::{self, say};
use crate::os::terminal_input::TerminalInput;
use crate::qmp::{Event, Listener, Notice, Notices};
use crate::render::{self, Answers, GRAPHICS_QUERY, Graphics, Picture, compact, escape};

/// How long to wait for what the terminal says about its graphics.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows values, events and errors of a script in the order in which they arrive.
pub(super) struct Display {
    pub context: Context,
    pub stdout: Stdout,
    /// The events to show; `None` if events are not shown.
    pub events: Option<Listener>,
    pub events_to: EventsTo,
    /// The exit status so far.
    pub status: Status,
    /// The exit status of a program in the guest that failed.
    pub program: Option<u8>,
    /// The script is one `:exec`, so that such a status says enough.
    pub exec_alone: bool,
}

impl Display {
    /// Prints the output of a line, after the events that arrived before it.
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

    /// Shows a picture, with the graphics that the terminal has, or else with its characters.
    pub async fn picture(&mut self, picture: &Picture) {
        let style = self.context.settings().style;
        let graphics = match style.terminal {
            true => self.graphics().await,
            false => None,
        };
        let drawn = graphics.and_then(|graphics| render::drawn(picture, graphics).ok());
        if let Some(text) = drawn.or_else(|| style.picture(picture)) {
            self.stdout.write_line(&text);
        }
    }

    /// Asks the terminal what graphics it has, unless keys are waiting for the program that comes after us: we could not
    /// give them back.
    async fn graphics(&mut self) -> Option<Graphics> {
        let input = TerminalInput::open().ok()?;
        let _quiet = input.quiet().ok()?;
        if input.is_waiting() {
            return None;
        }
        self.stdout.write(GRAPHICS_QUERY);
        self.stdout.flush();
        let mut answers = Answers::default();
        let take = |bytes: &[u8]| answers.take(bytes);
        input.read_until(PATIENCE, take).await.ok()?;
        answers.graphics()
    }

    /// Prints what a program printed: as it is, unless a terminal would see it.
    pub fn program(&mut self, stdout: &[u8], stderr: &[u8]) {
        let safe = |bytes: &[u8]| escape(&String::from_utf8_lossy(bytes)).into_owned();
        match self.context.settings().style.terminal {
            true => self.stdout.write(&safe(stdout)),
            false => self.stdout.write_bytes(stdout),
        }
        if !stderr.is_empty() {
            self.stdout.flush();
            match io::stderr().is_terminal() {
                true => stderr::write(&safe(stderr)),
                false => stderr::write_bytes(stderr),
            }
        }
    }

    /// Reports a failure on standard error, and raises the exit status. Flushes standard output first, so that
    /// the order is right if both go to the same place.
    pub fn complain(&mut self, head: &str, failure: &Failure) {
        self.print_events();
        self.stdout.flush();
        if let Failure::Program { status, .. } = failure {
            self.program = Some(*status);
        }
        let by_status_alone =
            matches!(failure, Failure::Lacks(_)) || self.exec_alone && self.program.is_some();
        if !by_status_alone {
            say(format!("qmpsh: {head}{failure}"));
        }
        self.status = self.status.max(failure.status());
    }

    /// Prints an event and those that have arrived since. `None` means that no more will come.
    pub fn event(&mut self, event: Option<Arc<Event>>) {
        match event {
            Some(event) => {
                self.print_event(&event);
                self.print_events();
            }
            None => self.events = None,
        }
    }

    /// Prints the events that arrived before the message with this number.
    fn print_events_before(&mut self, number: u64) {
        let next = |events: &mut Option<Listener>| events.as_mut()?.next_before(number);
        while let Some(event) = next(&mut self.events) {
            self.print_event(&event);
        }
    }

    /// Prints the events that have arrived.
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

/// The next event to show, or `None` once there will be no more. Never resolves if events are not shown.
pub(super) async fn next_event(events: &mut Option<Listener>) -> Option<Arc<Event>> {
    match events {
        Some(events) => events.next().await,
        None => pending().await,
    }
}

/// Shows a notice on standard error. Skips the end of the connection, which is reported as an error of the line
/// that needed it.
pub(super) fn show_notice(notice: &Notice) {
    if !matches!(
        notice,
        Notice::Lost { again: false, .. } | Notice::GivenUp(_)
    ) {
        say(format!("qmpsh: {}", render::notice(notice)));
    }
}

/// Shows the notices that have arrived.
pub(super) fn show_notices(notices: &mut Notices) {
    while let Ok(notice) = notices.try_recv() {
        show_notice(&notice);
    }
}

/// Waits for `future`, and shows the notices that arrive meanwhile.
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

/// Shows progress on standard error, in place of the progress shown before.
pub(super) fn progress(text: &str) {
    stderr::write(&format!("\r\x1b[K{text}"));
}
