//! The interactive shell: what a person meets.
//!
//! Three threads: the editor waits for keys, the printer for something to show, and the main one, with
//! the runtime, stands between them and the connection. Whatever appears on the terminal goes through
//! the printer, in the order in which it happened.

mod colors;
pub mod complete;
mod console;
mod editor;
mod followers;
mod helper;
mod hint;
mod history;
mod listing;
mod printer;
mod prompt_symbol;
mod stop;
mod terminal;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::context::traffic::{self, Log};
use crate::context::{Context, Outcome, Output, Report, Settings, Target, TargetPlan};
use crate::exec::{self, PendingCommand, Run, advise};
use crate::failure::{Failure, Status};
use crate::lang::{self, Line, Parser, Statement, Words, conceal};
use crate::render::{self, clip, escape};
use crate::vm::{Console, Follow, Stopped, shutdown};
use console::Detached;

use editor::{Editor, Input};
use followers::Followers;
use printer::Printer;
use prompt_symbol::PromptSymbol;
use stop::{Signals, Stop};

/// How long what was printed last may take to appear.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// The event that is not shown unless asked for: a guest that keeps its clock sends it all day.
const MUTED: &str = "RTC_CHANGE";

const TRANSACTION_PROMPT: &str = "TRANS> ";
const QUIT_PROMPT: &str = "`quit` ends the VM. Quit it? [y/N] ";

/// What the prompt is to do besides what the user enters.
pub struct Plan {
    /// Keep the history in a file.
    pub history: bool,
}

/// Runs the shell until the user leaves.
///
/// # Errors
///
/// What kept it from starting, or the terminal failing.
pub async fn run(plan: Plan, settings: Settings, target: TargetPlan) -> anyhow::Result<Status> {
    let mut options = target.options;
    let restore = terminal::Restore::new()?;
    terminal::leave_suspending_to_the_editor();
    let printer = Printer::start()?;
    let log = target.log.as_deref().map(Log::open).transpose()?;
    let echo = target.verbose.then(|| -> traffic::Echo {
        let printer = printer.clone();
        Box::new(move |line| printer.show(format!("{}\n", clip(&line))))
    });
    options.tap = traffic::tap(echo, log.as_ref());

    let mut signals = Signals::new()?;
    let endpoint = target.endpoint;
    let (target, mut notices) = Target::new(options, target.retry, target.schema, target.vm);
    let (mut context, reports) = exec::begin(settings, target);
    {
        let connecting = context.target.open(endpoint);
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                biased;
                Some(notice) = notices.recv() => {
                    printer.complain(&format!("{}\n", render::notice(&notice)));
                }
                connected = &mut connecting => break connected?,
                _ = signals.stop() => {
                    printer.show("\n".to_owned());
                    printer.settle().await;
                    return Ok(Status::Interrupted);
                }
            }
        }
    }
    let history = if plan.history { history::path() } else { None };
    if let Some(banner) = context.target.banner().await {
        printer.show(banner + "\n");
    }
    let state = PromptSymbol::new();
    let bar = printer.clone();
    context.progress = Some(Arc::new(move |text| bar.progress(&clip(text))));
    context.settings_mut().muted = Arc::new(BTreeSet::from([MUTED.to_owned()]));
    let _followers = Followers::start(&context, notices, &printer, &state);
    let told = tokio::spawn(show_reports(
        context.clone(),
        reports,
        printer.clone(),
        signals.quit.clone(),
    ));
    let editor = Editor::start(&context, printer.clone(), state.clone(), history)?;
    let mut shell = Shell {
        context,
        printer,
        state,
        editor,
        parser: Parser::default(),
        signals,
    };
    let result = shell.read_lines().await;
    // A terminal that takes nothing more (Ctrl-S) must not keep us.
    let _ = timeout(LAST_OUTPUT, shell.printer.settle_for_editing()).await;
    told.abort();
    // What else there is to say stands below, and no line of the editor's below that.
    shell.printer.set_editing(false);
    drop(restore);
    let target = &shell.context.target;
    if let Some(vm) = &target.vm {
        let client = target.session.client();
        let printer = &shell.printer;
        let complain = |text| printer.complain(&format!("{text}\n"));
        let stopped = shutdown::end(vm, client.as_deref(), &complain).await?;
        if stopped == Stopped::Gracefully {
            printer.show("the VM has shut down\n".to_owned());
        }
        let _ = timeout(LAST_OUTPUT, printer.settle()).await;
    }
    result
}

/// Shows what came of the lines of listeners and timers, each with its origin.
async fn show_reports(
    context: Context,
    mut reports: mpsc::Receiver<Report>,
    printer: Printer,
    quit: Arc<Notify>,
) {
    while let Some(report) = reports.recv().await {
        let head = clip(&format!("[{}: {}]", report.origin, conceal(&report.line))).into_owned();
        let Outcome { output, failure } = report.outcome;
        if let Some(text) = text(&context.settings(), &output) {
            printer.show(format!("{head}\n{text}"));
        }
        if let Some(failure) = failure {
            printer.complain(&format!("{head} {failure}\n"));
        }
        if matches!(output, Output::Quit) {
            quit.notify_one();
        }
        // The terminal sets the pace.
        printer.settle().await;
    }
}

/// What is shown of an output, with its line breaks.
fn text(settings: &Settings, output: &Output) -> Option<String> {
    let text = settings.text(output).map(render::line);
    match output {
        Output::Text { notice, .. } if !notice.is_empty() => {
            Some(format!("{}{notice}\n", text.unwrap_or_default()))
        }
        _ => text,
    }
}

struct Shell {
    context: Context,
    printer: Printer,
    state: PromptSymbol,
    editor: Editor,
    parser: Parser,
    signals: Signals,
}

/// What comes after a line.
enum Next {
    Line,
    /// Ctrl-C: what was pasted after it is not run.
    Stop,
    Leave(Status),
}

impl Shell {
    async fn read_lines(&mut self) -> anyhow::Result<Status> {
        loop {
            let prompt = if self.parser.in_transaction() {
                TRANSACTION_PROMPT.to_owned()
            } else {
                self.state.prompt()
            };
            match self.ask(&prompt, true).await? {
                Ok(Input::Line(text)) => {
                    // What was pasted may be several lines.
                    for line in lang::lines(&text) {
                        match self.line(&line).await? {
                            Next::Line => {}
                            Next::Stop => break,
                            Next::Leave(status) => return Ok(status),
                        }
                    }
                }
                Ok(Input::Interrupted) => self.abandon_transaction(),
                Ok(Input::End) => {
                    self.abandon_transaction();
                    return Ok(Status::Success);
                }
                Ok(Input::Failed(error)) => {
                    let why = format!("cannot read from the terminal: {error}");
                    return Err(Failure::Local(why).into());
                }
                Err(status) => return Ok(status),
            }
        }
    }

    fn abandon_transaction(&mut self) {
        if self.parser.in_transaction() {
            self.parser.abandon_transaction();
            self.printer
                .complain("the transaction is abandoned; nothing was sent\n");
        }
    }

    /// Lets the user edit a line, or leaves because a signal says so.
    async fn ask(&mut self, prompt: &str, remember: bool) -> anyhow::Result<Result<Input, Status>> {
        tokio::select! {
            () = self.printer.settle_for_editing() => {}
            status = self.signals.leave() => return Ok(Err(status)),
        }
        // One that came before there was anything to interrupt.
        self.signals.interrupt.forget();
        self.editor.read(prompt, remember);
        loop {
            tokio::select! {
                biased;
                input = self.editor.input() => return Ok(Ok(input)),
                status = self.signals.leave() => return Ok(Err(status)),
                // A Ctrl-C from before the line was there is about nothing. One that comes behind the line is
                // about that, even if it comes before we do.
                () = self.printer.drawn() => if self.printer.is_editing() {
                    self.signals.interrupt.forget();
                }
            }
        }
    }

    async fn line(&mut self, text: &str) -> anyhow::Result<Next> {
        let parsed = match Words::split(text) {
            Ok(words) => self.parser.parse(&words),
            Err(error) => {
                self.parser.wrong_line();
                Err(error)
            }
        };
        let line = match parsed {
            Ok(line) => line,
            Err(error) => {
                self.fail(&Failure::syntax(error, text));
                return Ok(Next::Line);
            }
        };
        if self.must_confirm(&line)
            && let Some(next) = self.confirm_quit().await?
        {
            return Ok(next);
        }
        let is_builtin = matches!(line.statement, Statement::Builtin(_));
        let run = tokio::select! {
            biased;
            run = exec::start(&self.context, line) => run,
            stop = self.signals.stop() => return Ok(match stop {
                Stop::Waiting => {
                    if !is_builtin {
                        self.printer.complain(
                            "\nthe server did not say what it accepts; nothing was sent\n",
                        );
                    }
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            }),
        };
        Ok(match run {
            Run::Done(outcome) => self.show(outcome).await,
            Run::Sent(command) if command.is_background() => {
                self.in_background(command);
                Next::Line
            }
            Run::Sent(command) => self.reply(command).await,
        })
    }

    /// Shows what came of a line, or does what it leads to.
    async fn show(&mut self, outcome: Outcome) -> Next {
        let Outcome { output, failure } = outcome;
        if let Some(text) = text(&self.context.settings(), &output) {
            self.printer.show(text);
        }
        if let Some(failure) = failure {
            self.fail(&failure);
        }
        match output {
            Output::Connected => {
                if let Some(banner) = self.context.target.banner().await {
                    self.printer.show(banner + "\n");
                }
                Next::Line
            }
            Output::Follow(file) => self.follow(file).await,
            Output::Console(console) => self.console(&console).await,
            Output::Quit => Next::Leave(Status::Success),
            Output::Text { .. } | Output::Reply { .. } | Output::Event(_) => Next::Line,
        }
    }

    /// Shows a file as it grows, until Ctrl-C.
    async fn follow(&mut self, mut file: Follow) -> Next {
        let following = async {
            while let Some(text) = file.next().await {
                self.printer.show(escape(&text).into_owned());
                // The terminal sets the pace, unless the printer waits for the next line.
                self.printer.settle_for_editing().await;
            }
        };
        tokio::select! {
            () = following => Next::Line,
            stop = self.signals.stop() => match stop {
                Stop::Waiting => {
                    self.printer.show("\n".to_owned());
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            },
        }
    }

    async fn console(&mut self, console: &Console) -> Next {
        match console::attach(console, &self.printer, self.signals.leave()).await {
            Ok(Detached::ByKey) => Next::Line,
            Ok(Detached::ToLeave(status)) => Next::Leave(status),
            Err(error) => {
                let why = format!("cannot use the terminal for a console: {error}");
                self.fail(&Failure::Local(why));
                Next::Line
            }
        }
    }

    /// Waits for a reply and shows it. Ctrl-C ends the waiting, not the command.
    async fn reply(&mut self, mut command: PendingCommand) -> Next {
        let reply = tokio::select! {
            biased;
            reply = command.reply() => reply,
            stop = self.signals.stop() => return match stop {
                Stop::Waiting => {
                    self.printer.complain(&format!(
                        "\nno longer waiting for `{}`; its reply is shown when it comes\n",
                        command.name()
                    ));
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            },
        };
        if reply.is_ok() {
            self.state.after(command.name());
        }
        let mut outcome = command.outcome(reply);
        tokio::select! {
            () = advise(&self.context, command.line(), &mut outcome) => {}
            () = self.signals.interrupt.recv() => {}
        }
        self.show(outcome).await
    }

    fn in_background(&self, mut command: PendingCommand) {
        let (printer, context) = (self.printer.clone(), self.context.clone());
        tokio::spawn(async move {
            let reply = command.reply().await;
            let mut outcome = command.outcome(reply);
            advise(&context, command.line(), &mut outcome).await;
            let name = command.name();
            if let Some(text) = text(&context.settings(), &outcome.output) {
                printer.show(format!("`{name}`: {text}"));
            }
            if let Some(failure) = outcome.failure {
                printer.complain(&format!("`{name}`: {failure}\n"));
            }
        });
    }

    /// Whether a line is QMP's `quit`, which ends the VM, and the user wants to be asked.
    fn must_confirm(&self, line: &Line) -> bool {
        let client = self.context.target.session.client();
        line.command_name() == Some("quit")
            && self.context.settings().confirm
            && client.is_some_and(|client| !client.has_ended())
    }

    /// Asks whether `quit` is meant; if it is not, what comes next.
    async fn confirm_quit(&mut self) -> anyhow::Result<Option<Next>> {
        Ok(match self.ask(QUIT_PROMPT, false).await? {
            Ok(Input::Line(answer)) if matches!(answer.trim(), "y" | "Y" | "yes") => None,
            Ok(_) => Some(Next::Line),
            Err(status) => Some(Next::Leave(status)),
        })
    }

    fn fail(&self, failure: &Failure) {
        self.printer.complain(&format!("{failure}\n"));
    }
}
