use std::io;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{ColorMode, CompletionType, Config};
use tokio::runtime::Handle;
use tokio::sync::mpsc as async_mpsc;

use super::complete::Live;
use super::helper::Helper;
use super::history;
use super::paste::Paste;
use super::prompt_symbol::PromptSymbol;
use super::terminal::Terminal;
use crate::context::Context;
use crate::lang::{Language, SplitLine, line_has_secret, lines as lines_of};

/// How many lines the history keeps.
const HISTORY: usize = 10_000;

/// The prompt while a transaction is open.
pub(super) const TRANSACTION_PROMPT: &str = "TRANS> ";

/// The line editor. rustyline blocks while it waits for a key, so it runs in a thread of its own.
pub(super) struct Editor {
    requests: mpsc::Sender<LineRequest>,
    inputs: async_mpsc::UnboundedReceiver<Input>,
}

/// A request to read a line.
struct LineRequest {
    prompt: String,
    /// Whether to add the line to the history.
    remember: bool,
}

/// What the user did with a line.
#[derive(Debug)]
pub(super) enum Input {
    /// The user entered it. Pasted text can be several lines.
    Lines(Vec<SplitLine>),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D on an empty line.
    End,
    /// Reading failed, for this reason. The editor's thread has ended.
    Failed(String),
}

impl Editor {
    /// Starts the editor's thread. Completion queries the target of `context`. The history is kept in the file
    /// `history`, if given.
    pub fn start(
        context: &Context,
        terminal: Terminal,
        state: PromptSymbol,
        history: Option<PathBuf>,
    ) -> io::Result<Self> {
        let (requests, asked) = mpsc::channel();
        let (answers, inputs) = async_mpsc::unbounded_channel();
        let live = Live::on(Handle::current());
        let paste = Paste::new(terminal.clone(), Handle::current());
        let target = context.target.clone();
        let color = context.settings().style.color;
        thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || {
                Terminal::take_suspending();
                let language = target.language();
                let helper = Helper::new(terminal.clone(), target, live, paste, state, color);
                if let Err(error) = edit(&asked, &answers, &terminal, helper, &language, history) {
                    let _ = answers.send(Input::Failed(error.to_string()));
                }
            })?;
        Ok(Self { requests, inputs })
    }

    /// Starts to read a line. [`Editor::input`] returns it.
    pub fn read(&self, prompt: &str, remember: bool) {
        // If the thread has ended, `input` says why.
        let _ = self.requests.send(LineRequest {
            prompt: prompt.to_owned(),
            remember,
        });
    }

    /// Waits for the line that [`Editor::read`] asked for.
    pub async fn input(&mut self) -> Input {
        let input = self.inputs.recv().await;
        input.unwrap_or_else(|| Input::Failed("the line editor has stopped".to_owned()))
    }
}

fn edit(
    requests: &mpsc::Receiver<LineRequest>,
    inputs: &async_mpsc::UnboundedSender<Input>,
    terminal: &Terminal,
    helper: Helper,
    language: &Language,
    history: Option<PathBuf>,
) -> rustyline::Result<()> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .max_history_size(HISTORY)?
        // Always on, even without colours: rustyline's call for highlighting tells the helper that a line is
        // being edited.
        .color_mode(ColorMode::Forced)
        .build();
    let mut editor = rustyline::Editor::<Helper, FileHistory>::with_config(config)?;
    editor.set_helper(Some(helper));
    // This fails on a dumb terminal (`TERM=dumb`), where rustyline does no line editing.
    if let Ok(above) = editor.create_external_printer() {
        terminal.use_above(above)?;
    }
    if let Some(path) = &history {
        if let Err(error) = history::make_private(path) {
            terminal.complain(&format!(
                "cannot keep the history in {}: {error}\n",
                path.display()
            ));
        }
        // If the file cannot be read, the history starts empty.
        let _ = editor.load_history(path);
    }
    for request in requests {
        if let Some(helper) = editor.helper_mut() {
            helper.in_transaction = request.prompt == TRANSACTION_PROMPT;
        }
        let result = editor.readline(&request.prompt);
        terminal.end_editing();
        let input = match result {
            Ok(line) => {
                let remember = request.remember && !line_has_secret(&line);
                if remember
                    && editor.add_history_entry(&line)?
                    && let Some(path) = &history
                {
                    // A full disk must not end the shell.
                    let _ = editor.append_history(path);
                }
                let lines = editor.helper().and_then(|helper| helper.take_lines(&line));
                Input::Lines(lines.unwrap_or_else(|| lines_of(&line, language)))
            }
            Err(ReadlineError::Interrupted) => Input::Interrupted,
            Err(ReadlineError::Eof) => Input::End,
            Err(error) => return Err(error),
        };
        if inputs.send(input).is_err() {
            break;
        }
    }
    Ok(())
}
