//! The interactive shell: what a person meets.
//!
//! Three threads: the editor waits for keys, the printer for something to show, and the main one, with
//! the runtime, stands between them and the connection. Whatever appears on the terminal goes through
//! the printer, in the order in which it happened.

mod editor;
mod helper;
mod history;
mod listing;
mod printer;
mod terminal;
mod watch;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::builtin::{self, Outcome};
use crate::cli::Invocation;
use crate::exit::{Failure, Status};
use crate::lang::{self, Line, Parser, Words};
use crate::render::clip;
use crate::runner::{Runner, Sent};
use crate::traffic::{self, Log};

use editor::{Editor, Input};
use printer::Printer;
use watch::Watch;

/// How long what was printed last may take to appear.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

const PROMPT: &str = "(QEMU) ";
const TRANSACTION_PROMPT: &str = "TRANS> ";
const QUIT_PROMPT: &str = "`quit` ends the VM. Quit it? [y/N] ";

/// Runs the shell until the user leaves.
///
/// # Errors
///
/// What kept it from starting, or the terminal failing.
pub async fn run(invocation: Invocation, mut runner: Runner) -> anyhow::Result<Status> {
    let cli = &invocation.cli;
    let restore = terminal::Restore::new();
    terminal::leave_suspending_to_the_editor();
    let printer = Printer::start()?;
    let log = cli.log.as_deref().map(Log::open).transpose()?;
    let echo = cli.verbose.then(|| -> traffic::Echo {
        let printer = printer.clone();
        Box::new(move |line| printer.show(format!("{}\n", clip(&line))))
    });
    runner.options.tap = traffic::tap(echo, log.as_ref());
    let silence = printer.clone();
    runner.options.silence = Some(Arc::new(move |why| silence.complain(&format!("{why}\n"))));

    let mut signals = Signals::new()?;
    tokio::select! {
        connected = runner.connect() => connected?,
        _ = signals.stop() => {
            printer.show("\n".to_owned());
            printer.settle().await;
            return Ok(Status::Interrupted);
        }
    }
    let commands = Arc::new(RwLock::new(Vec::new()));
    let history = if cli.no_history {
        None
    } else {
        history::path()
    };
    let color = runner.settings.style.color;
    let editor = Editor::start(printer.clone(), commands.clone(), history, color)?;
    let mut shell = Shell {
        watch: Watch::start(&mut runner, &printer, &commands).await,
        runner,
        printer,
        commands,
        editor,
        parser: Parser::default(),
        signals,
    };
    let result = shell.read_lines().await;
    // A terminal that takes nothing more (Ctrl-S) must not keep us.
    let _ = timeout(LAST_OUTPUT, shell.printer.settle_for_editing()).await;
    drop(restore);
    result
}

struct Shell {
    runner: Runner,
    printer: Printer,
    /// The names that TAB offers.
    commands: Arc<RwLock<Vec<String>>>,
    editor: Editor,
    parser: Parser,
    watch: Watch,
    signals: Signals,
}

/// What comes after a line.
enum Next {
    Line,
    /// Ctrl-C: what was pasted behind it is not run.
    Stop,
    Leave(Status),
}

impl Shell {
    async fn read_lines(&mut self) -> anyhow::Result<Status> {
        loop {
            let prompt = if self.parser.in_transaction() {
                TRANSACTION_PROMPT
            } else {
                PROMPT
            };
            match self.ask(prompt, true).await? {
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
                Ok(Input::Interrupted) => {
                    if self.parser.in_transaction() {
                        self.parser.abandon_transaction();
                        self.printer
                            .complain("the transaction is abandoned; nothing was sent\n");
                    }
                }
                Ok(Input::End) => return Ok(Status::Success),
                Ok(Input::Failed(error)) => anyhow::bail!("cannot read from the terminal: {error}"),
                Err(status) => return Ok(status),
            }
        }
    }

    /// Lets the user edit a line, or leaves because a signal says so.
    async fn ask(
        &mut self,
        prompt: &'static str,
        remember: bool,
    ) -> anyhow::Result<Result<Input, Status>> {
        tokio::select! {
            () = self.printer.settle_for_editing() => {}
            () = self.signals.leave() => return Ok(Err(Status::Interrupted)),
        }
        self.editor.read(prompt, remember);
        Ok(tokio::select! {
            input = self.editor.input() => Ok(input),
            () = self.signals.leave() => Err(Status::Interrupted),
        })
    }

    async fn line(&mut self, text: &str) -> anyhow::Result<Next> {
        let parsed = Words::split(text).and_then(|words| self.parser.parse(&words));
        let line = match parsed {
            Ok(line) => line,
            Err(error) => {
                self.fail(&Failure::syntax(error, text));
                return Ok(Next::Line);
            }
        };
        let sent = match line {
            Line::Empty => return Ok(Next::Line),
            Line::Command(_) | Line::Message(_)
                if self.must_confirm(&line)
                    && let Some(next) = self.confirm_quit().await? =>
            {
                return Ok(next);
            }
            Line::Command(command) => self.runner.send_command(&command),
            Line::Message(message) => self.runner.send_message(&message),
            Line::Builtin(line) => {
                self.signals.forget_interrupt();
                let outcome = tokio::select! {
                    outcome = builtin::run(&mut self.runner, &line) => outcome,
                    stop = self.signals.stop() => match stop {
                        Stop::Waiting => return Ok(Next::Stop),
                        Stop::Shell => return Ok(Next::Leave(Status::Interrupted)),
                    },
                };
                match outcome {
                    Ok(Outcome::Text(text)) => {
                        self.printer.show(text);
                        return Ok(Next::Line);
                    }
                    Ok(Outcome::Notice(text)) => {
                        self.printer.show(text + "\n");
                        return Ok(Next::Line);
                    }
                    Ok(Outcome::Connected) => {
                        self.watch =
                            Watch::start(&mut self.runner, &self.printer, &self.commands).await;
                        return Ok(Next::Line);
                    }
                    Ok(Outcome::Quit) => return Ok(Next::Leave(Status::Success)),
                    Ok(Outcome::Command(command)) => self.runner.send_command(&command),
                    Err(failure) => Err(failure),
                }
            }
        };
        match sent {
            Ok(sent) if sent.background => self.in_background(sent),
            Ok(sent) => return self.reply(sent).await,
            Err(failure) => self.fail(&failure),
        }
        Ok(Next::Line)
    }

    /// Waits for a reply and shows it. Ctrl-C ends the waiting, not the command.
    async fn reply(&mut self, mut sent: Sent) -> anyhow::Result<Next> {
        self.signals.forget_interrupt();
        let result = tokio::select! {
            biased;
            result = sent.reply() => result,
            stop = self.signals.stop() => match stop {
                Stop::Waiting => {
                    self.printer.complain(&format!(
                        "\nno longer waiting for `{}`; its reply is shown when it comes\n",
                        sent.name
                    ));
                    return Ok(Next::Stop);
                }
                Stop::Shell => return Ok(Next::Leave(Status::Interrupted)),
            },
        };
        match result {
            Ok(reply) => {
                let (text, failure) = self.runner.settings.show(&reply, sent.id.as_deref());
                self.printer.show(text);
                if let Some(failure) = failure {
                    self.fail(&failure);
                }
            }
            Err(failure) => self.fail(&failure),
        }
        Ok(Next::Line)
    }

    fn in_background(&self, mut sent: Sent) {
        let printer = self.printer.clone();
        let settings = self.runner.settings.clone();
        tokio::spawn(async move {
            let result = sent.reply().await;
            let name = sent.name;
            match result {
                Ok(reply) => {
                    let (text, failure) = settings.show(&reply, sent.id.as_deref());
                    if !text.is_empty() {
                        printer.show(format!("`{name}`: {text}"));
                    }
                    if let Some(failure) = failure {
                        printer.complain(&format!("`{name}`: {failure}\n"));
                    }
                }
                Err(failure) => printer.complain(&format!("`{name}`: {failure}\n")),
            }
        });
    }

    /// Whether a line is QMP's `quit`, which ends the VM, and the user wants to be asked.
    fn must_confirm(&self, line: &Line) -> bool {
        let name = match line {
            Line::Command(command) => Some(command.name.as_str()),
            Line::Message(message) => message.name.as_deref(),
            _ => None,
        };
        let client = self.runner.client.as_ref();
        name == Some("quit")
            && self.runner.settings.confirm
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

/// The signals that concern the shell.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// What a signal stops.
enum Stop {
    /// Ctrl-C, while no line is edited: the waiting for whatever it is.
    Waiting,
    Shell,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Waiting,
            _ = self.terminate.recv() => Stop::Shell,
            _ = self.hang_up.recv() => Stop::Shell,
        }
    }

    /// Told to end.
    async fn leave(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }

    /// Forgets a Ctrl-C that came before there was anything to interrupt.
    fn forget_interrupt(&mut self) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while self.interrupt.poll_recv(&mut context).is_ready() {}
    }
}
