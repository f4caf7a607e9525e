//! Shows what comes of a line, and carries out what takes the terminal for a while.

use std::mem;

use nix::sys::signal::Signal;

use std::io::{self, IsTerminal};

use super::console::{self, Detached};
use super::graphics::Inquiry;
use super::pager;
use super::prompt_symbol::PromptSymbol;
use super::stop::{Stop, Stops};
use super::terminal::Terminal;
use super::watch::{self, Left};
use crate::context::{Context, Outcome, Output, Piped, Settings, SourcedLine, Watch};
use crate::exec::{PendingCommand, Run, advise, apply_tail};
use crate::failure::{Failure, Status};
use crate::qmp::Listener;
use crate::render::{self, Picture, escape};
use crate::vm::{Console, Follow};

/// A value that takes more than this many screens is shown in the pager.
pub(super) const LONG: usize = 2;

/// Shows the outcomes of lines, in the order in which they come about.
pub(super) struct Display {
    pub context: Context,
    pub terminal: Terminal,
    pub symbol: PromptSymbol,
    pub stops: Stops,
    pub inquiry: Inquiry,
}

/// What to do after a line.
pub(super) enum Next {
    Line,
    /// The line failed.
    Failed,
    /// The user pressed Ctrl-C: do not run the lines pasted after this one.
    Stop,
    Leave(Status),
    /// Run these lines of a file.
    Source(Vec<SourcedLine>),
    /// The user wants to leave, with this status. Ask first.
    LeaveIfConfirmed(Status),
}

impl Display {
    /// Shows what running a line has come to. What takes more than this many screens goes to the pager.
    pub async fn run(&mut self, run: Run, screens: usize) -> Next {
        match run {
            Run::Done(outcome) => self.show(outcome, screens).await,
            Run::Sent(command) if command.is_background() => {
                self.in_background(command);
                Next::Line
            }
            Run::Sent(command) => self.reply(command).await,
        }
    }

    /// Shows the outcome of a line, or carries it out. What takes more than this many screens goes to the pager.
    async fn show(&mut self, outcome: Outcome, screens: usize) -> Next {
        let Outcome { output, failure } = outcome;
        if let Output::Picture(picture) = &output {
            return self.picture(picture).await;
        }
        let settings = self.context.settings();
        if let Some(text) = text(&settings, &output) {
            let pages = settings.pager
                && settings.style.is_for_a_person()
                && !self.terminal.is_edited_by_kernel()
                && pager::exceeds(&text, screens);
            match pager::command().filter(|_| pages) {
                Some(command) => {
                    let leave = self.stops.leave();
                    let shown = pager::show(&command, text, &self.terminal, leave).await;
                    // A Ctrl-C was meant for the pager.
                    self.stops.signals.forget_interrupt();
                    match shown {
                        Ok(None) => {}
                        Ok(Some(status)) => return Next::Leave(status),
                        Err(text) => self.terminal.show(text),
                    }
                }
                None => self.terminal.show(text),
            }
        }
        if let Some(text) = complaint(&output) {
            self.terminal.complain(&text);
        }
        let failed = failure.is_some();
        if let Some(failure) = failure {
            self.fail(&failure);
        }
        match output {
            Output::Connected => {
                if let Some(banner) = self.context.target.banner().await {
                    self.terminal.show(banner + "\n");
                }
                Next::Line
            }
            Output::Follow(file) => self.follow(file).await,
            Output::Remark(text) => {
                self.terminal.show(text + "\n");
                Next::Line
            }
            Output::Events(events) => self.follow_events(events).await,
            Output::Console(console) => self.console(&console).await,
            Output::Watch(watch) => self.watch(&watch).await,
            Output::Source(lines) => Next::Source(lines),
            Output::Piped(piped) => self.pipe(piped).await,
            Output::Quit(status) => {
                Next::LeaveIfConfirmed(status.map_or(Status::Success, Status::Given))
            }
            _ if failed => Next::Failed,
            Output::Text { .. }
            | Output::List { .. }
            | Output::Reply { .. }
            | Output::Program { .. }
            | Output::Values { .. }
            | Output::Event(_)
            | Output::Picture(_) => Next::Line,
        }
    }

    /// Shows a picture, with the graphics that the terminal has, or else with its characters.
    async fn picture(&mut self, picture: &Picture) -> Next {
        let drawing = async {
            let graphics = self.inquiry.graphics(&self.terminal).await?;
            render::drawn(picture, graphics).ok()
        };
        let drawn = tokio::select! {
            drawn = drawing => drawn,
            stop = self.stops.stop() => return match stop {
                Stop::Waiting => {
                    self.terminal.show(self.terminal.interrupt_mark().to_owned());
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            },
        };
        let style = self.context.settings().style;
        if let Some(text) = drawn.or_else(|| style.picture(picture)) {
            self.terminal.show(text);
        }
        Next::Line
    }

    /// Shows a file as it grows, until Ctrl-C.
    async fn follow(&mut self, mut file: Follow) -> Next {
        if let Some(note) = file.left_out() {
            self.terminal.say(&note);
        }
        let terminal = self.terminal.clone();
        self.until_stopped(async {
            while let Some(text) = file.next().await {
                terminal.show(escape(&text).into_owned());
                // Read no faster than the terminal shows it.
                terminal.settle().await;
            }
        })
        .await
    }

    /// Shows those of the events, until Ctrl-C, that the prompt would not show anyway.
    async fn follow_events(&mut self, mut events: Listener) -> Next {
        let (terminal, context) = (self.terminal.clone(), self.context.clone());
        self.until_stopped(async {
            while let Some(event) = events.next().await {
                let settings = context.settings();
                if settings.muted.contains(event.name()) {
                    terminal.show(settings.style.event(&event));
                    terminal.settle().await;
                }
            }
        })
        .await
    }

    /// Runs `following` until it is done, or the user stops it.
    async fn until_stopped(&mut self, following: impl Future<Output = ()>) -> Next {
        tokio::select! {
            () = following => Next::Line,
            stop = self.stops.stop() => match stop {
                Stop::Waiting => {
                    self.terminal.show(self.terminal.interrupt_mark().to_owned());
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            },
        }
    }

    async fn console(&mut self, console: &Console) -> Next {
        match console::attach(console, &self.terminal, self.stops.leave()).await {
            Ok(Detached::ByKey) => Next::Line,
            Ok(Detached::ToLeave(status)) => Next::Leave(status),
            Err(error) => {
                let why = format!("cannot use the terminal for a console: {error}");
                self.fail(&Failure::Local(why));
                Next::Line
            }
        }
    }

    async fn watch(&mut self, watch: &Watch) -> Next {
        match watch::watch(watch, &self.context, &self.terminal, self.stops.leave()).await {
            Ok(Left::ByKey) => Next::Line,
            Ok(Left::ToLeave(status)) => Next::Leave(status),
            Err(error) => {
                let why = format!("cannot use the terminal to watch a line: {error}");
                self.fail(&Failure::Local(why));
                Next::Line
            }
        }
    }

    /// Shows a text through a program, which has the terminal meanwhile.
    async fn pipe(&mut self, mut piped: Piped) -> Next {
        let text = mem::take(&mut piped.text);
        let leave = self.stops.leave();
        let left = pager::pipe(&piped.program, text, &self.terminal, leave).await;
        // A Ctrl-C was meant for the program.
        self.stops.signals.forget_interrupt();
        let failure = match left {
            // The shell that ran it reports a Ctrl-C even if the program went on.
            Ok(pager::Left::Ended(ended)) if ended.is_by(Signal::SIGINT) => None,
            Ok(pager::Left::Ended(ended)) => piped.failure(ended),
            Ok(pager::Left::ToLeave(status)) => return Next::Leave(status),
            Err(error) => Some(piped.cannot_run(&error)),
        };
        match failure {
            Some(failure) => {
                self.fail(&failure);
                Next::Failed
            }
            None => Next::Line,
        }
    }

    /// Waits for a reply and shows it. Ctrl-C stops the waiting, not the command.
    async fn reply(&mut self, mut command: PendingCommand) -> Next {
        let reply = tokio::select! {
            biased;
            reply = command.reply() => reply,
            stop = self.stops.stop() => return match stop {
                Stop::Waiting => {
                    self.interrupted(&format!(
                        "no longer waiting for `{}`; its reply is shown when it arrives",
                        command.name()
                    ));
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            },
        };
        if reply.is_ok() {
            self.symbol.after(command.name());
        }
        let mut outcome = command.outcome(reply);
        tokio::select! {
            () = advise(&self.context, command.line(), &mut outcome) => {}
            () = self.stops.signals.interrupted() => {}
        }
        let outcome = tokio::select! {
            outcome = apply_tail(&self.context, command.line(), outcome) => outcome,
            stop = self.stops.stop() => return match stop {
                Stop::Waiting => {
                    self.terminal.complain("\nthe filter was interrupted\n");
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            },
        };
        self.show(outcome, LONG).await
    }

    fn in_background(&self, mut command: PendingCommand) {
        let (terminal, context) = (self.terminal.clone(), self.context.clone());
        tokio::spawn(async move {
            let reply = command.reply().await;
            let mut outcome = command.outcome(reply);
            advise(&context, command.line(), &mut outcome).await;
            let outcome = apply_tail(&context, command.line(), outcome).await;
            let name = command.name();
            if let Some(text) = text(&context.settings(), &outcome.output) {
                terminal.show(format!("`{name}`: {text}"));
            }
            if let Some(text) = complaint(&outcome.output) {
                terminal.complain(&format!("`{name}`: {text}"));
            }
            if let Some(failure) = outcome.failure {
                let text = error(&context.settings(), &failure);
                terminal.complain(&format!("`{name}`: {text}\n"));
            }
        });
    }

    /// Says what Ctrl-C has ended.
    pub fn interrupted(&self, what: &str) {
        let mark = self.terminal.interrupt_mark();
        self.terminal.say(&format!("{mark}{what}"));
    }

    pub fn fail(&self, failure: &Failure) {
        let text = error(&self.context.settings(), failure);
        self.terminal.complain(&format!("{text}\n"));
    }
}

/// The message of a failure, in colour if standard error is a terminal with colours.
pub(super) fn error(settings: &Settings, failure: &Failure) -> String {
    let message = failure.to_string();
    match io::stderr().is_terminal() {
        true if settings.style.color => render::error(&message, render::width()),
        true => render::prose(&message, render::width()),
        false => message,
    }
}

/// The text to show for an output, ending in a line break. `None` if there is nothing to show.
pub(super) fn text(settings: &Settings, output: &Output) -> Option<String> {
    let text = settings.text(output).map(render::line);
    match output {
        Output::Text { notice, .. } if !notice.is_empty() => {
            Some(format!("{}{notice}\n", text.unwrap_or_default()))
        }
        Output::Program { stdout, .. } => printed(stdout),
        _ => text,
    }
}

/// What an output has for standard error, ending in a line break.
pub(super) fn complaint(output: &Output) -> Option<String> {
    match output {
        Output::Program { stderr, .. } => printed(stderr),
        _ => None,
    }
}

/// What a program printed, for a terminal.
fn printed(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    (!text.is_empty()).then(|| render::line(escape(&text).into_owned().into()))
}
