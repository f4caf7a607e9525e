use super::console::{self, Detached};
use super::editor::{Editor, Input, LineRequest, TRANSACTION_PROMPT};
use super::pager;
use super::prompt_symbol::PromptSymbol;
use super::stop::{Stop, Stops};
use super::terminal::Terminal;
use super::watch::{self, Left};
use crate::context::{Context, Outcome, Output, Settings, Watch};
use crate::exec::{self, PendingCommand, Run, advise, apply_tail};
use crate::failure::{Failure, Status};
use crate::lang::{Line, Parser, SplitLine, Statement, conceal};
use crate::qmp::Listener;
use crate::render::{self, clip, escape};
use crate::vm::{Console, Follow};

const QUIT_PROMPT: &str = "`quit` ends the VM. Quit it? [y/N] ";

const LEAVE_PROMPT: &str = "Leaving ends the VM. Leave? [y/N] ";

/// A value that takes more than this many screens is shown in the pager.
const LONG: usize = 2;

/// The built-in that takes back an action of the open transaction.
const UNDO: &str = "undo";

/// Reads lines from the prompt, runs them, and shows their outcomes.
pub(super) struct Prompt {
    context: Context,
    terminal: Terminal,
    symbol: PromptSymbol,
    editor: Editor,
    parser: Parser,
    stops: Stops,
}

/// What to do after a line.
enum Next {
    Line,
    /// The line failed.
    Failed,
    /// The user pressed Ctrl-C: do not run the lines pasted after this one.
    Stop,
    Leave(Status),
}

impl Prompt {
    pub fn new(
        context: Context,
        terminal: Terminal,
        symbol: PromptSymbol,
        editor: Editor,
        stops: Stops,
    ) -> Self {
        Self {
            parser: Parser::of(context.target.language()).forgiving(),
            context,
            terminal,
            symbol,
            editor,
            stops,
        }
    }

    /// What can stop the shell.
    pub fn stops(&mut self) -> &mut Stops {
        &mut self.stops
    }

    /// Reads and runs lines until the user leaves. Returns the exit status.
    ///
    /// # Errors
    ///
    /// The terminal cannot be read.
    pub async fn read_lines(&mut self) -> Result<Status, Failure> {
        loop {
            let prompt = if self.parser.in_transaction() {
                TRANSACTION_PROMPT.to_owned()
            } else {
                self.symbol.prompt(&self.context)
            };
            match self.ask(&prompt, true).await {
                Ok(Input::Lines(lines)) => {
                    if let Some(status) = self.lines(lines).await {
                        return Ok(status);
                    }
                }
                Ok(Input::Interrupted) => self.abandon_transaction(),
                Ok(Input::End) if self.parser.in_transaction() => self.abandon_transaction(),
                Ok(Input::End) => match self.confirm_leaving().await {
                    None => return Ok(Status::Success),
                    Some(Next::Leave(status)) => return Ok(status),
                    Some(_) => {}
                },
                Ok(Input::Failed(error)) => {
                    let why = format!("cannot read from the terminal: {error}");
                    return Err(Failure::Local(why));
                }
                Err(status) => return Ok(status),
            }
        }
    }

    /// Runs lines that were entered at once. Returns the status to exit with, if the shell ends.
    async fn lines(&mut self, lines: Vec<SplitLine>) -> Option<Status> {
        if !self.parser.in_transaction() && !self.leaves_open(&lines) {
            let texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
            self.editor.keep(texts.join("\n"));
        }
        let several = lines.len() > 1;
        let mut rest = lines.into_iter();
        while let Some(line) = rest.next() {
            match self.line(line, several).await {
                Next::Line => {}
                Next::Failed if self.context.settings().prompt.keep_going => {}
                Next::Failed => {
                    let count = rest.filter(|line| !line.is_blank()).count();
                    if count > 0 {
                        self.terminal.complain(&format!(
                            "{count} more {} not run; `:set keep-going on` runs them in spite of errors\n",
                            if count == 1 { "line was" } else { "lines were" }
                        ));
                    }
                    break;
                }
                Next::Stop => break,
                Next::Leave(status) => return Some(status),
            }
        }
        None
    }

    /// Whether a transaction is open after these lines.
    fn leaves_open(&self, lines: &[SplitLine]) -> bool {
        let mut parser = self.parser.clone();
        for words in lines.iter().flat_map(|line| &line.words) {
            let _ = parser.parse(words);
        }
        parser.in_transaction()
    }

    fn abandon_transaction(&mut self) {
        if let Some(typed) = self.parser.open_transaction() {
            self.editor.keep_transaction(typed);
            self.parser.abandon_transaction();
            self.terminal
                .complain("transaction abandoned; nothing was sent\n");
        }
    }

    /// Lets the user edit a line. `Err` is the status to exit with, if a signal or a background line ends the
    /// shell.
    async fn ask(&mut self, prompt: &str, remember: bool) -> Result<Input, Status> {
        let settled = self.terminal.settle();
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => break,
                stop = self.stops.stop() => match stop {
                    Stop::Waiting => self.terminal.drop_output(),
                    Stop::Shell(status) => return Err(status),
                },
            }
        }
        // Ignore a Ctrl-C from before this line.
        self.stops.signals.forget_interrupt();
        self.editor.read(LineRequest {
            prompt: prompt.to_owned(),
            remember,
            transaction: self.parser.open_transaction(),
            vi_keys: self.context.settings().prompt.vi_keys,
        });
        loop {
            tokio::select! {
                biased;
                input = self.editor.input() => return Ok(input),
                status = self.stops.leave() => return Err(status),
                // Ignore a Ctrl-C from before the line was drawn. If the line has ended by now, a Ctrl-C is
                // meant for what it runs, so keep it.
                () = self.terminal.drawn() => if self.terminal.is_editing() {
                    self.stops.signals.forget_interrupt();
                }
            }
        }
    }

    /// Runs a line. If it is one of several, it is shown before what it shows.
    async fn line(&mut self, line: SplitLine, several: bool) -> Next {
        let SplitLine { text, words } = line;
        let open = self.parser.open_transaction();
        let parsed = match words {
            Ok(words) => {
                let words = words.with_variables(self.context.variables());
                self.parser.parse(&words)
            }
            Err(error) => {
                self.parser.wrong_line();
                Err(error)
            }
        };
        let line = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                self.fail(&Failure::syntax(error, &text));
                return Next::Failed;
            }
        };
        if let Some(open) = &open {
            if !self.parser.in_transaction() {
                self.editor
                    .keep_transaction(format!("{open}\n{}", text.trim()));
            } else if let Statement::Builtin(builtin) = &line.statement
                && builtin.name == UNDO
            {
                return self.undo();
            }
        }
        if several && open.is_none() && !matches!(line.statement, Statement::Nothing) {
            let text = format!("> {}\n", clip(text.trim()));
            self.terminal.show(text);
        }
        if self.must_confirm(&line)
            && let Some(next) = self.confirm_quit().await
        {
            return next;
        }
        let is_builtin = matches!(line.statement, Statement::Builtin(_));
        let is_help =
            matches!(&line.statement, Statement::Builtin(builtin) if builtin.name == "help");
        let screens = if is_help { 1 } else { LONG };
        let run = tokio::select! {
            biased;
            run = exec::start(&self.context, line) => run,
            stop = self.stops.stop() => return match stop {
                Stop::Waiting => {
                    if !is_builtin {
                        self.interrupted(
                            "interrupted while waiting for the server's schema; nothing was sent",
                        );
                    }
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            },
        };
        match run {
            Run::Done(outcome) => self.show(outcome, screens).await,
            Run::Sent(command) if command.is_background() => {
                self.in_background(command);
                Next::Line
            }
            Run::Sent(command) => self.reply(command).await,
        }
    }

    /// Takes the last action back from the open transaction.
    fn undo(&mut self) -> Next {
        match self.parser.undo() {
            Some(action) => {
                let text = format!("taken back: {}", conceal(&action));
                self.terminal.show(clip(&text).into_owned() + "\n");
                Next::Line
            }
            None => {
                self.terminal.complain("the transaction has no actions\n");
                Next::Failed
            }
        }
    }

    /// Shows the outcome of a line, or carries it out. What takes more than this many screens goes to the pager.
    async fn show(&mut self, outcome: Outcome, screens: usize) -> Next {
        let Outcome { output, failure } = outcome;
        let settings = self.context.settings();
        if let Some(text) = text(&settings, &output) {
            let pages = settings.pager
                && settings.style.is_for_a_person()
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
        if let Output::Program { stdout, stderr } = &output {
            let text = |bytes: &[u8]| {
                let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
                render::line(escape(&text).into_owned().into())
            };
            if !stdout.is_empty() {
                self.terminal.show(text(stdout));
            }
            if !stderr.is_empty() {
                self.terminal.complain(&text(stderr));
            }
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
            Output::Quit(status) => {
                let leave = Next::Leave(status.map_or(Status::Success, Status::Given));
                self.confirm_leaving().await.unwrap_or(leave)
            }
            _ if failed => Next::Failed,
            Output::Text { .. }
            | Output::List { .. }
            | Output::Reply { .. }
            | Output::Program { .. }
            | Output::Values { .. }
            | Output::Event(_) => Next::Line,
        }
    }

    /// Shows a file as it grows, until Ctrl-C.
    async fn follow(&mut self, mut file: Follow) -> Next {
        if let Some(note) = file.left_out() {
            self.terminal.complain(&format!("{note}\n"));
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
            if let Some(failure) = outcome.failure {
                terminal.complain(&format!("`{name}`: {failure}\n"));
            }
        });
    }

    /// Whether the line is QMP's `quit`, which ends the VM, and the setting `confirm` is on.
    fn must_confirm(&self, line: &Line) -> bool {
        let client = self.context.target.session.client();
        line.command_name() == Some("quit")
            && self.context.settings().confirm
            && client.is_some_and(|client| !client.has_ended())
    }

    /// Asks whether to leave, if that ends a VM that we launched. `None` means yes; otherwise, what to do instead.
    async fn confirm_leaving(&mut self) -> Option<Next> {
        let launched = self.context.target.vm.as_ref();
        if !self.context.settings().confirm || !launched.is_some_and(|vm| vm.is_running()) {
            return None;
        }
        match self.ask(LEAVE_PROMPT, false).await {
            // A second Ctrl-D is an answer.
            Ok(Input::End) => None,
            answer => self.unless_yes(answer),
        }
    }

    /// Asks whether to end the VM. `None` means yes; otherwise, what to do instead.
    async fn confirm_quit(&mut self) -> Option<Next> {
        let answer = self.ask(QUIT_PROMPT, false).await;
        self.unless_yes(answer)
    }

    /// What to do unless a question was answered with yes.
    fn unless_yes(&self, answer: Result<Input, Status>) -> Option<Next> {
        match answer {
            Ok(Input::Lines(answer))
                if matches!(
                    answer.first().map(|line| line.text.trim()),
                    Some("y" | "Y" | "yes")
                ) =>
            {
                None
            }
            Ok(_) => Some(Next::Line),
            Err(status) => Some(Next::Leave(status)),
        }
    }

    /// Says what Ctrl-C has ended.
    fn interrupted(&self, what: &str) {
        let mark = self.terminal.interrupt_mark();
        self.terminal.complain(&format!("{mark}{what}\n"));
    }

    fn fail(&self, failure: &Failure) {
        self.terminal.complain(&format!("{failure}\n"));
    }
}

/// The text to show for an output, ending in a line break. `None` if there is nothing to show.
pub(super) fn text(settings: &Settings, output: &Output) -> Option<String> {
    let text = settings.text(output).map(render::line);
    match output {
        Output::Text { notice, .. } if !notice.is_empty() => {
            Some(format!("{}{notice}\n", text.unwrap_or_default()))
        }
        _ => text,
    }
}
