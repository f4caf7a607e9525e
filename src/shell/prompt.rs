use super::display::{Display, LONG, Next};
use super::editor::{Editor, Input, LineRequest, TRANSACTION_PROMPT};
use super::stop::{Stop, Stops};
use crate::context::SourcedLine;
use crate::exec;
use crate::failure::{Failure, Status};
use crate::lang::{Line, Parser, SplitLine, Statement, conceal};
use crate::render::clip;

/// The built-in that takes back an action of the open transaction.
const UNDO: &str = "undo";

/// Reads lines from the prompt, runs them, and shows their outcomes.
pub(super) struct Prompt {
    display: Display,
    editor: Editor,
    parser: Parser,
}

impl Prompt {
    pub fn new(display: Display, editor: Editor) -> Self {
        Self {
            parser: Parser::of(display.context.target.language()).forgiving(),
            display,
            editor,
        }
    }

    /// What can stop the shell.
    pub fn stops(&mut self) -> &mut Stops {
        &mut self.display.stops
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
                if self.display.terminal.is_edited_by_kernel() {
                    self.display.symbol.ask_now(&self.display.context).await;
                }
                self.display.symbol.prompt(&self.display.context)
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
                Next::Failed if self.display.context.settings().prompt.keep_going => {}
                Next::Failed => {
                    let count = rest.filter(|line| !line.is_blank()).count();
                    if count > 0 {
                        self.display.terminal.complain(&format!(
                            "{count} more {} not run; `:set keep-going on` runs them in spite of errors\n",
                            if count == 1 { "line was" } else { "lines were" }
                        ));
                    }
                    break;
                }
                Next::Stop | Next::Source(_) => break,
                Next::Leave(status) => return Some(status),
                Next::LeaveIfConfirmed(status) => match self.confirm_leaving().await {
                    None => return Some(status),
                    Some(Next::Leave(status)) => return Some(status),
                    Some(_) => {}
                },
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
            self.display
                .terminal
                .complain("transaction abandoned; nothing was sent\n");
        }
    }

    /// Lets the user edit a line. `Err` is the status to exit with, if a signal or a background line ends the
    /// shell.
    async fn ask(&mut self, prompt: &str, remember: bool) -> Result<Input, Status> {
        let settled = self.display.terminal.settle();
        tokio::pin!(settled);
        loop {
            tokio::select! {
                () = &mut settled => break,
                stop = self.display.stops.stop() => match stop {
                    Stop::Waiting => self.display.terminal.drop_output(),
                    Stop::Shell(status) => return Err(status),
                },
            }
        }
        // Ignore a Ctrl-C from before this line.
        self.display.stops.signals.forget_interrupt();
        let settings = self.display.context.settings();
        self.editor.read(LineRequest {
            prompt: prompt.to_owned(),
            remember,
            transaction: self.parser.open_transaction(),
            aliases: settings.aliases,
            vi_keys: settings.prompt.vi_keys,
            typed: self.display.inquiry.take_typed(),
        });
        let by_kernel = self.display.terminal.is_edited_by_kernel();
        loop {
            tokio::select! {
                biased;
                input = self.editor.input() => return Ok(input),
                stop = self.display.stops.while_reading(by_kernel) => match stop {
                    Stop::Waiting => {
                        let mark = self.display.terminal.interrupt_mark();
                        self.display.terminal.show(mark.to_owned());
                        return Ok(Input::Interrupted);
                    }
                    Stop::Shell(status) => return Err(status),
                },
                // Ignore a Ctrl-C from before the line was drawn. If the line has ended by now, a Ctrl-C is
                // meant for what it runs, so keep it.
                () = self.display.terminal.drawn() => if self.display.terminal.is_editing() {
                    self.display.stops.signals.forget_interrupt();
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
                let words = self.display.context.named(words);
                self.parser.parse(&words)
            }
            Err(error) => {
                self.parser.wrong_line();
                Err(error)
            }
        };
        let line = match parsed {
            Ok(parsed) => parsed,
            Err(mut error) => {
                if let Some(help) = exec::advise_unparsed(&self.display.context, &text).await {
                    error = error.help(help);
                }
                self.display.fail(&Failure::syntax(error, &text));
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
            self.display.terminal.show(text);
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
            run = exec::start(&self.display.context, line) => run,
            stop = self.display.stops.stop() => return match stop {
                Stop::Waiting => {
                    if !is_builtin {
                        self.display.interrupted(
                            "interrupted before the command was sent",
                        );
                    }
                    Next::Stop
                }
                Stop::Shell(status) => Next::Leave(status),
            },
        };
        match self.display.run(run, screens).await {
            Next::Source(lines) => Box::pin(self.source(lines)).await,
            next => next,
        }
    }

    /// Runs the lines of a file, up to the first that fails.
    async fn source(&mut self, lines: Vec<SourcedLine>) -> Next {
        for SourcedLine { words, origin } in lines {
            let line = SplitLine {
                text: origin.text.clone(),
                words: Ok(words),
            };
            match self.line(line, false).await {
                Next::Line => {}
                Next::Failed => {
                    self.parser.abandon_transaction();
                    let text = format!("{origin}this failed; the lines after it are not run\n");
                    self.display.terminal.complain(&text);
                    return Next::Failed;
                }
                next => return next,
            }
        }
        Next::Line
    }

    /// Runs the lines that every prompt starts with. Returns the status to exit with, if one of them ends the shell.
    pub async fn start(&mut self, lines: Vec<SourcedLine>) -> Option<Status> {
        match self.source(lines).await {
            Next::Leave(status) | Next::LeaveIfConfirmed(status) => Some(status),
            _ => None,
        }
    }

    /// Takes the last action back from the open transaction.
    fn undo(&mut self) -> Next {
        match self.parser.undo() {
            Some(action) => {
                let text = format!("taken back: {}", conceal(&action));
                self.display.terminal.show(clip(&text).into_owned() + "\n");
                Next::Line
            }
            None => {
                self.display
                    .terminal
                    .complain("the transaction has no actions\n");
                Next::Failed
            }
        }
    }

    /// Whether the line is QMP's `quit`, which ends the VM, and the setting `confirm` is on.
    fn must_confirm(&self, line: &Line) -> bool {
        let client = self.display.context.target.session.client();
        line.command_name() == Some("quit")
            && self.display.context.settings().confirm
            && client.is_some_and(|client| !client.has_ended())
    }

    /// Asks whether to leave, if that ends a VM that we launched. `None` means yes; otherwise, what to do instead.
    async fn confirm_leaving(&mut self) -> Option<Next> {
        let launched = self.display.context.target.vm.as_ref();
        if !self.display.context.settings().confirm || !launched.is_some_and(|vm| vm.is_running()) {
            return None;
        }
        let what = self.display.context.target.what();
        let question = format!("Leaving ends {what}. Leave? [y/N] ");
        match self.ask(&question, false).await {
            // A second Ctrl-D is an answer.
            Ok(Input::End) => None,
            answer => self.unless_yes(answer),
        }
    }

    /// Asks whether to end the VM. `None` means yes; otherwise, what to do instead.
    async fn confirm_quit(&mut self) -> Option<Next> {
        let what = self.display.context.target.what();
        let question = format!("`quit` ends {what}. Quit it? [y/N] ");
        let answer = self.ask(&question, false).await;
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
}
