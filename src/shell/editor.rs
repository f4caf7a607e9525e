use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{ColorMode, CompletionType, Config, EditMode};
use tokio::runtime::Handle;
use tokio::sync::mpsc as async_mpsc;

use super::bindings;
use super::complete::Live;
use super::continued::Continued;
use super::graphics::Inquiry;
use super::helper::Helper;
use super::history::History;
use super::paste::Paste;
use super::program;
use super::prompt_symbol::PromptSymbol;
use super::requests::End;
use super::terminal::Terminal;
use super::typed_ahead::TypedAhead;
use crate::context::Context;
use crate::lang::{Aliases, Language, SplitLine, lines as lines_of};
use crate::render::clip_text;

/// How many lines the history keeps.
const HISTORY: usize = 10_000;

/// How long to wait after Esc for the rest of a key, in milliseconds; readline's default.
const KEY_TIMEOUT: u16 = 500;

/// The prompt while a transaction is open.
pub(super) const TRANSACTION_PROMPT: &str = "TRANS> ";

/// The line editor. rustyline blocks while it waits for a key, so it runs in a thread of its own.
pub(super) struct Editor {
    requests: mpsc::Sender<Request>,
    inputs: async_mpsc::UnboundedReceiver<Input>,
    terminal: Terminal,
    /// Whether a line was asked for that has not come yet.
    reading: bool,
    continued: Continued,
}

/// What the editor's thread does next.
enum Request {
    Read(LineRequest),
    /// Keep an entry in the history's file.
    Keep(String),
    /// The same for a transaction, which replaces its lines.
    KeepTransaction(String),
}

/// A request to read a line.
pub(super) struct LineRequest {
    pub prompt: String,
    /// Whether the line can be recalled.
    pub remember: bool,
    /// The transaction that is open, as typed so far.
    pub transaction: Option<String>,
    /// The aliases that it may begin with.
    pub aliases: Arc<Aliases>,
    /// Whether keys are vi's, not Emacs's.
    pub vi_keys: bool,
    /// Keys that were read before, and are not in the terminal's input any more.
    pub typed: Vec<u8>,
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
        inquiry: Inquiry,
    ) -> io::Result<Self> {
        let (requests, asked) = mpsc::channel();
        let (answers, inputs) = async_mpsc::unbounded_channel();
        let live = Live::on(Handle::current());
        let paste = Paste::new(terminal.clone(), Handle::current());
        let context = context.clone();
        let color = context.settings().style.color;
        let of_editor = terminal.clone();
        let continued = Continued::default();
        let of_helper = continued.clone();
        thread::Builder::new()
            .name("editor".to_owned())
            .spawn(move || {
                Terminal::take_suspending();
                let language = context.target.language();
                let mut helper = Helper::new(terminal.clone(), context, live, paste, state, color);
                helper.continued = of_helper;
                let edited = edit(
                    &asked, &answers, &terminal, helper, &language, history, inquiry,
                );
                if let Err(error) = edited {
                    let _ = answers.send(Input::Failed(error.to_string()));
                }
            })?;
        Ok(Self {
            requests,
            inputs,
            terminal: of_editor,
            reading: false,
            continued,
        })
    }

    /// Starts to read a line. [`Editor::input`] returns it. If the last one has not come yet, because the kernel
    /// edits the lines and Ctrl-C has cleared it, only shows the prompt again: the thread still reads.
    pub fn read(&mut self, line: LineRequest) {
        if std::mem::replace(&mut self.reading, true) {
            self.continued.cancel();
            self.terminal.show(line.prompt);
            return;
        }
        // If the thread has ended, `input` says why.
        let _ = self.requests.send(Request::Read(line));
    }

    /// Keeps an entered line in the history's file.
    pub fn keep(&self, entry: String) {
        let _ = self.requests.send(Request::Keep(entry));
    }

    /// Keeps a transaction in the history, in place of the lines that it was typed in.
    pub fn keep_transaction(&self, entry: String) {
        let _ = self.requests.send(Request::KeepTransaction(entry));
    }

    /// Waits for the line that [`Editor::read`] asked for.
    pub async fn input(&mut self) -> Input {
        let input = self.inputs.recv().await;
        self.reading = false;
        input.unwrap_or_else(|| Input::Failed("the line editor has stopped".to_owned()))
    }
}

fn edit(
    requests: &mpsc::Receiver<Request>,
    inputs: &async_mpsc::UnboundedSender<Input>,
    terminal: &Terminal,
    helper: Helper,
    language: &Language,
    history: Option<PathBuf>,
    inquiry: Inquiry,
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
    let mut lines = MemHistory::with_config(&config);
    let kept_in = history.clone();
    let (mut history, failed) = History::load(history, &config, &mut lines);
    if let (Some(error), Some(path)) = (failed, kept_in) {
        terminal.complain(&format!(
            "cannot keep the history in {}: {error}\n",
            path.display()
        ));
    }
    let mut editor = rustyline::Editor::<Helper, _>::with_history(config, lines)?;
    let keys = helper.keys.clone();
    let transaction = helper.transaction.clone();
    let continued = helper.continued.clone();
    editor.set_helper(Some(helper));
    let with_program = terminal.clone();
    bindings::bind(&mut editor, &keys, terminal, inquiry, move |line| {
        let text = match &*transaction.lock() {
            Some(open) => format!("{open}\n{line}"),
            None => line.to_owned(),
        };
        let loan = with_program.lend_while_editing();
        let edited = program::edit(&text);
        drop(loan);
        let complain = |error| with_program.complain(&format!("cannot edit the line: {error}\n"));
        edited.map_err(complain).ok()
    });
    // This fails on a dumb terminal (`TERM=dumb`), where rustyline does no line editing.
    if let Ok(above) = editor.create_external_printer() {
        terminal.use_above(above)?;
    }
    let mut ahead = TypedAhead::default();
    let are_whole = |text: &str| {
        !lines_of(text, language)
            .last()
            .is_some_and(SplitLine::is_unclosed)
    };
    for request in requests {
        let request = match request {
            Request::Read(request) => request,
            Request::Keep(entry) => {
                history.keep(&entry);
                continue;
            }
            Request::KeepTransaction(entry) => {
                history.keep_transaction(&entry, editor.history_mut());
                continue;
            }
        };
        editor.set_edit_mode(match request.vi_keys {
            true => EditMode::Vi,
            false => EditMode::Emacs,
        });
        // The mode has another default.
        editor.set_keyseq_timeout(Some(KEY_TIMEOUT));
        let in_transaction = request.transaction.is_some();
        if let Some(helper) = editor.helper_mut() {
            helper.begin_line(request.transaction, request.aliases);
        }
        ahead.add(&request.typed);
        let result = match ahead.take_entered(are_whole) {
            Some(line) => {
                terminal.show(format!("{}{}\n", request.prompt, clip_text(&line)));
                Ok(line)
            }
            None => {
                let begun = ahead.take_rest();
                editor.readline_with_initial(&request.prompt, (&begun, ""))
            }
        };
        terminal.end_editing();
        let end = keys.end_line();
        let input = match result {
            Ok(_) if end == Some(End::Cancelled) => Input::Interrupted,
            Ok(_) if end == Some(End::Leave) => Input::End,
            Ok(line) => {
                let line = continued.rest(&line);
                if request.remember {
                    history.entered(line, in_transaction, editor.history_mut());
                }
                let lines = editor.helper().and_then(|helper| helper.take_lines(line));
                Input::Lines(lines.unwrap_or_else(|| lines_of(line, language)))
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
