//! The interactive shell: what a person meets.
//!
//! Three threads: the editor waits for keys, the terminal's writer for something to show, and the main one, with the
//! runtime, stands between them and the connection. Whatever appears on the terminal goes through the writer, in
//! the order in which it happened.

mod colors;
pub mod complete;
mod console;
mod editor;
mod followers;
mod helper;
mod hint;
mod history;
mod listing;
mod prompt_symbol;
mod stop;
mod terminal;

use std::collections::BTreeSet;
use std::sync::{Arc, RwLock};

use tokio::sync::{Notify, mpsc};

use crate::Start;
use crate::advice::advise;
use crate::agenda::{Report, Said};
use crate::builtin::{self, Outcome};
use crate::cli::Invocation;
use crate::failure::{Failure, Status};
use crate::lang::{self, Command, Line, Parser, Words, conceal};
use crate::leave;
use crate::qmp::Tell;
use crate::render::{self, clip, escape};
use crate::runner::{PendingCommand, Runner, banner};
use crate::traffic::{self, Log};
use crate::vm::{Console, Follow, Stopped};
use console::Detached;

use editor::{Editor, Input};
use followers::Followers;
use helper::Server;
use prompt_symbol::PromptSymbol;
use stop::{Signals, Stop};
use terminal::Terminal;

/// The event that is not shown unless asked for: a guest that keeps its clock sends it all day.
const MUTED: &str = "RTC_CHANGE";

const TRANSACTION_PROMPT: &str = "TRANS> ";
const QUIT_PROMPT: &str = "`quit` ends the VM. Quit it? [y/N] ";

/// Runs the shell until the user leaves.
///
/// # Errors
///
/// What kept it from starting, or the terminal failing.
pub async fn run(invocation: &Invocation, start: Start) -> anyhow::Result<Status> {
    let cli = &invocation.cli;
    let mut options = start.options;
    let (printer, _restore) = Terminal::start()?;
    let log = cli.log.as_deref().map(Log::open).transpose()?;
    let echo = cli.verbose.then(|| -> traffic::Echo {
        let printer = printer.clone();
        Box::new(move |line| printer.show(format!("{}\n", clip(&line))))
    });
    options.tap = traffic::tap(echo, log.as_ref());
    let (happens, mut changes) = mpsc::unbounded_channel();
    let announce: Tell = Arc::new(move |change| {
        let _ = happens.send(change);
    });
    if let Some(vm) = &start.vm {
        vm.tell(announce.clone());
    }
    options.tell = Some(announce);

    let mut signals = Signals::new()?;
    let (mut runner, reports) =
        Runner::new(start.settings, options, start.retry, start.schema, start.vm);
    let connected = {
        let connecting = runner.open(start.address);
        tokio::pin!(connecting);
        loop {
            tokio::select! {
                biased;
                Some(change) = changes.recv() => {
                    printer.complain(&format!("{}\n", render::change(&change)));
                }
                connected = &mut connecting => break connected.map(|()| true),
                _ = signals.stop() => {
                    printer.show("\n".to_owned());
                    break Ok(false);
                }
            }
        }
    };
    if !matches!(connected, Ok(true)) {
        leave(&runner, &printer).await?;
        connected?;
        return Ok(Status::Interrupted);
    }
    let server = Arc::new(RwLock::new(Server::default()));
    let history = if cli.no_history {
        None
    } else {
        history::path()
    };
    let color = runner.settings().style.color;
    if let Some(client) = runner.session.client() {
        printer.show(banner(&client).await + "\n");
    }
    let state = PromptSymbol::new();
    let bar = printer.clone();
    runner.progress = Some(Arc::new(move |text| bar.progress(&clip(text))));
    runner.settings_mut().muted = Arc::new(BTreeSet::from([MUTED.to_owned()]));
    let _followers = Followers::start(&runner, changes, &printer, &server, &state);
    let told = tokio::spawn(tell(reports, printer.clone(), signals.quit.clone()));
    let editor = Editor::start(printer.clone(), server, state.clone(), history, color)?;
    let mut shell = Shell {
        runner,
        printer,
        state,
        editor,
        parser: Parser::default(),
        signals,
    };
    let result = shell.read_lines().await;
    told.abort();
    leave(&shell.runner, &shell.printer).await?;
    result
}

/// Ends the VM that we launched, and leaves the terminal: in this order, lest a terminal that takes nothing keeps the
/// VM alive.
async fn leave(runner: &Runner, printer: &Terminal) -> anyhow::Result<()> {
    let end = async {
        let Some(vm) = &runner.vm else {
            return Ok(None);
        };
        let client = runner.session.client();
        let complain = |text| printer.complain(&format!("{text}\n"));
        let ended = leave::end(vm, client.as_deref(), &complain).await;
        ended.map(Some)
    };
    let (ended, ()) = tokio::join! {
        biased;
        end,
        async { printer.leave() },
    };
    if ended? == Some(Stopped::Gracefully) {
        printer.show("the VM has shut down\n".to_owned());
    }
    Ok(())
}

/// Shows what listeners and timers say, each with its origin.
async fn tell(mut reports: mpsc::Receiver<Report>, printer: Terminal, quit: Arc<Notify>) {
    while let Some(Report {
        origin,
        line,
        result,
    }) = reports.recv().await
    {
        let head = clip(&format!("[{origin}: {}]", conceal(&line))).into_owned();
        match result {
            Ok(Said::Text(text)) if text.is_empty() => {}
            Ok(Said::Text(text)) => printer.show(format!("{head}\n{text}")),
            Ok(Said::Quit) => quit.notify_one(),
            Err(failure) => printer.complain(&format!("{head} {failure}\n")),
        }
        // The terminal sets the pace.
        printer.settle().await;
    }
}

struct Shell {
    runner: Runner,
    printer: Terminal,
    state: PromptSymbol,
    editor: Editor,
    parser: Parser,
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
                Ok(Input::Failed(error)) => anyhow::bail!("cannot read from the terminal: {error}"),
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
        let settled = self.printer.settle();
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => break,
                stop = self.signals.stop() => match stop {
                    Stop::Waiting => self.printer.drop_output(),
                    Stop::Shell(status) => return Ok(Err(status)),
                },
            }
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
        let sent = match line {
            Line::Empty => return Ok(Next::Line),
            Line::Command(_) | Line::Message(_)
                if self.must_confirm(&line)
                    && let Some(next) = self.confirm_quit().await? =>
            {
                return Ok(next);
            }
            Line::Command(command) => return self.command(command).await,
            Line::Message(message) => self.runner.send_message(message),
            Line::Builtin(line) => {
                let outcome = tokio::select! {
                    biased;
                    outcome = builtin::run(&self.runner, &line) => outcome,
                    stop = self.signals.stop() => match stop {
                        Stop::Waiting => return Ok(Next::Stop),
                        Stop::Shell(status) => return Ok(Next::Leave(status)),
                    },
                };
                match outcome {
                    Ok(Outcome::Text(text)) => {
                        self.printer.show(text);
                        return Ok(Next::Line);
                    }
                    Ok(Outcome::Noted { text, notice }) => {
                        self.printer.show(format!("{text}{notice}\n"));
                        return Ok(Next::Line);
                    }
                    Ok(Outcome::Event(event)) => {
                        self.printer
                            .show(self.runner.settings().style.event(&event));
                        return Ok(Next::Line);
                    }
                    Ok(Outcome::Notice(text)) => {
                        self.printer.show(text + "\n");
                        return Ok(Next::Line);
                    }
                    Ok(Outcome::Connected(client)) => {
                        self.printer.show(banner(&client).await + "\n");
                        return Ok(Next::Line);
                    }
                    Ok(Outcome::Follow(file)) => return Ok(self.follow(file).await),
                    Ok(Outcome::Console(console)) => {
                        return Ok(self.console(&console).await);
                    }
                    Ok(Outcome::Quit) => return Ok(Next::Leave(Status::Success)),
                    Ok(Outcome::Command(command)) => return self.command(command).await,
                    Err(failure) => Err(failure),
                }
            }
        };
        self.sent(sent).await
    }

    /// Shows a file as it grows, until Ctrl-C.
    async fn follow(&mut self, mut file: Follow) -> Next {
        let following = async {
            while let Some(text) = file.next().await {
                self.printer.show(escape(&text).into_owned());
                // The terminal sets the pace.
                self.printer.settle().await;
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
                self.fail(&Failure::Usage(why));
                Next::Line
            }
        }
    }

    async fn command(&mut self, mut command: Command) -> anyhow::Result<Next> {
        let typed = tokio::select! {
            biased;
            typed = self.runner.type_words(&mut command) => typed,
            stop = self.signals.stop() => match stop {
                Stop::Waiting => {
                    self.printer.complain("\nthe server did not say what it accepts; nothing was sent\n");
                    return Ok(Next::Stop);
                }
                Stop::Shell(status) => return Ok(Next::Leave(status)),
            },
        };
        let sent = typed.and_then(|()| self.runner.send_command(command));
        self.sent(sent).await
    }

    async fn sent(&mut self, sent: Result<PendingCommand, Failure>) -> anyhow::Result<Next> {
        match sent {
            Ok(sent) if sent.background => self.in_background(sent),
            Ok(sent) => return self.reply(sent).await,
            Err(failure) => self.fail(&failure),
        }
        Ok(Next::Line)
    }

    /// Waits for a reply and shows it. Ctrl-C ends the waiting, not the command.
    async fn reply(&mut self, mut sent: PendingCommand) -> anyhow::Result<Next> {
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
                Stop::Shell(status) => return Ok(Next::Leave(status)),
            },
        };
        match result {
            Ok(reply) => {
                self.state.after(&sent.name);
                let (text, failure) = self.runner.settings().show(&reply, sent.id.as_deref());
                if let Some(text) = text {
                    self.printer.show(render::line(text));
                }
                if let Some(mut failure) = failure {
                    tokio::select! {
                        () = advise(&self.runner, &sent.line, &mut failure) => {}
                        () = self.signals.interrupt.recv() => {}
                    }
                    self.fail(&failure);
                }
            }
            Err(failure) => self.fail(&failure),
        }
        Ok(Next::Line)
    }

    fn in_background(&self, mut sent: PendingCommand) {
        let printer = self.printer.clone();
        let runner = self.runner.clone();
        tokio::spawn(async move {
            let result = sent.reply().await;
            let name = sent.name;
            match result {
                Ok(reply) => {
                    let (text, failure) = runner.settings().show(&reply, sent.id.as_deref());
                    if let Some(text) = text {
                        printer.show(format!("`{name}`: {}", render::line(text)));
                    }
                    if let Some(mut failure) = failure {
                        advise(&runner, &sent.line, &mut failure).await;
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
        let client = self.runner.session.client();
        name == Some("quit")
            && self.runner.settings().confirm
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
