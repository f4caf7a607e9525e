//! Tracks who owns the terminal, and writes to it.
//!
//! ```text
//!              a line is drawn              Ctrl-R
//! +---------+ ----------------> +---------+ --------> +-----------+
//! | showing |                   | editing |           | searching |
//! +---------+ <---------------- +---------+ <-------- +-----------+
//!    |   ^      the line ends      |   ^     any other key
//!    |   |                         |   |
//!    |   | Ctrl-]           Ctrl-Z |   | fg
//!    v   |                         v   |
//! +----------+                 - - - - - - -
//! | attached |                  (suspended)          any of them --> leaving
//! +----------+                 - - - - - - -
//! ```
//!
//! - showing: the writer's thread writes the output, and the terminal keeps what is typed for the next line; see
//!   [`Mode::type_ahead`].
//! - editing: the terminal is raw, and rustyline draws. Output is handed over to rustyline's external printer,
//!   which shows it above the line.
//! - searching: the user searches the history. rustyline shows nothing above the line meanwhile, so the writer
//!   does.
//! - attached: a guest or a program has the terminal. For a guest it is raw, and the writer writes what the guest
//!   prints. All other output is held back. While a line is edited, the user's editor can have the terminal; the
//!   line is edited again after that.
//! - suspended: the terminal is as we found it, and the process is stopped; see [`Terminal::take_suspending`]. None of our threads runs, so the enum has no variant for this state.
//! - leaving: the terminal is as we found it, rustyline's output goes nowhere, and the writer writes the last
//!   messages.
//!
//! A terminal may block writes forever (Ctrl-S, a dead ssh). So only the writer's thread writes, and it holds
//! no lock while it does. rustyline may block too, and so may the lists of TAB, but that blocks only the editor's thread.

mod instruction;
mod list;
mod mode;
mod rows;
mod shared;
mod state;
mod writer;

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::termios::Termios;
use nix::unistd::dup2_stdout;
use rustyline::ExternalPrinter;
use tokio::sync::oneshot;
use tokio::time::timeout;

use instruction::Instruction;
use mode::Mode;
pub(super) use rows::{Rows, breaks_lines_anew};
use shared::Shared;

use crate::render::{prose, width};

/// How long to wait for the terminal to take the last output.
const LAST_OUTPUT: Duration = Duration::from_millis(700);

/// Ends the modes that rustyline sets, synchronized output (2026) and bracketed paste (2004), and starts a new
/// line.
const LEAVE_LINE: &str = "\x1b[?2026l\x1b[?2004l\n";

/// Ends the mode that rustyline sets while it edits a line, bracketed paste, and sets it again.
const LEAVE_EDITING: &str = "\x1b[?2004l";
const EDIT_AGAIN: &str = "\x1b[?2004h";

/// Undoes what a guest may have done to the terminal: alternate screen, mouse reports, bracketed paste,
/// colours, margins, hidden cursor (xterm's control sequences; `\x1b[!p` is a soft reset).
const LEAVE_CONSOLE: &str = "\x1b[?1047l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\
                             \x1b[!p\x1b[?7h\x1b[?25h\x1b[0m\r\n";

/// The terminal. Shows everything in the order in which it was given. Clones share the same terminal.
#[derive(Clone)]
pub(super) struct Terminal {
    shared: Arc<Shared>,
    mode: Arc<Mode>,
}

/// Leaves the terminal when dropped, even by a panic.
pub(super) struct Restore(Terminal);

impl Drop for Restore {
    fn drop(&mut self) {
        self.0.leave();
        self.0.shared.wait_until_written(LAST_OUTPUT);
        // The editor may have made the terminal raw after we left it.
        self.0.mode.restore();
    }
}

/// The terminal, lent to a program in the mode in which we found it. Output is held back until this is dropped.
pub(super) struct Loan {
    terminal: Terminal,
    /// The mode in which a line was edited, if one was.
    line: Option<Option<Termios>>,
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Terminal { shared, mode } = &self.terminal;
        if shared.is_leaving() {
            return;
        }
        match self.line.take() {
            Some(line) => {
                mode.return_to(line);
                let _ = write_now(EDIT_AGAIN);
            }
            None => mode.type_ahead(),
        }
        shared.detach();
    }
}

/// Writes to the terminal in the calling thread.
fn write_now(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())?;
    io::stdout().flush()
}

impl Terminal {
    /// Takes the terminal, and holds it until the returned [`Restore`] is dropped.
    ///
    /// # Errors
    ///
    /// The system is out of descriptors or threads.
    pub fn start() -> io::Result<(Self, Restore)> {
        let terminal = Self {
            shared: Arc::new(Shared::new()),
            mode: Arc::new(Mode::remember()?),
        };
        mode::leave_suspending_to_the_editor();
        terminal.mode.type_ahead();
        writer::start(terminal.shared.clone())?;
        Ok((terminal.clone(), Restore(terminal)))
    }

    /// Puts the terminal back as we found it. Does not block: the last output can still appear until
    /// [`Restore`] is dropped.
    pub fn leave(&self) {
        if self.shared.is_leaving() {
            return;
        }
        let raw = self.mode.is_raw();
        self.shared.leave(|attached| match raw {
            true if attached => {
                self.mode.forget_input();
                self.leaves_console()
            }
            true => LEAVE_LINE,
            false => "",
        });
        // The editor may still try to draw, and the flush of standard output on exit must not block, so send
        // both nowhere.
        if let Ok(nowhere) = OpenOptions::new().write(true).open("/dev/null") {
            let _ = dup2_stdout(nowhere);
        }
        self.mode.restore();
    }
}

/// For all who show something.
impl Terminal {
    /// Shows `text`, which must end in a line break.
    pub fn show(&self, text: String) {
        self.shared.push(Instruction::Show(text));
    }

    /// Shows `text`, which must end in a line break, as an error: on standard error if no line is being edited.
    pub fn complain(&self, text: &str) {
        self.shared.push(Instruction::Complain(text.to_owned()));
    }

    /// Complains in sentences, which are broken between words.
    pub fn say(&self, text: &str) {
        match io::stderr().is_terminal() {
            true => self.complain(&format!("{}\n", prose(text, width()))),
            false => self.complain(&format!("{text}\n")),
        }
    }

    /// Shows a line that stays until anything else is shown; an empty one removes it.
    pub fn progress(&self, text: &str) {
        // A dumb terminal cannot take it back.
        if self.is_edited_by_kernel() {
            return;
        }
        self.shared.push(Instruction::Progress(text.to_owned()));
    }

    /// Redraws the line being edited, if there is one, with the current prompt.
    pub fn repaint(&self) {
        self.shared.push(Instruction::Repaint);
    }

    /// Resolves when everything given so far is on the terminal, or handed over to the editor.
    pub async fn settle(&self) {
        let (done, wait) = oneshot::channel();
        self.shared.push(Instruction::Settle(done));
        let _ = wait.await;
    }

    /// Whether the kernel edits the lines, because the terminal is dumb: Ctrl-C is a signal then.
    pub fn is_edited_by_kernel(&self) -> bool {
        self.mode.echoes()
    }

    /// What ends the row in which the user pressed Ctrl-C while no line was edited.
    pub fn interrupt_mark(&self) -> &'static str {
        match self.mode.echoes() {
            true => "\n",
            false => "^C\n",
        }
    }

    /// Drops the output that is not on the terminal yet, and shows how much that was.
    pub fn drop_output(&self) {
        self.shared.drop_output();
    }
}

/// For the editor, and for the prompt, which waits for it.
impl Terminal {
    /// Lets the calling thread, which must be the editor's, take the signal that suspends (Ctrl-Z).
    ///
    /// Its handler restores the terminal, suspends the process, and sets the terminal's mode again when the process
    /// continues. In another thread it could do so while rustyline changes the mode.
    pub fn take_suspending() {
        mode::take_suspending();
    }

    /// Sets rustyline's printer, which shows text above the line being edited.
    ///
    /// # Errors
    ///
    /// The system is out of threads.
    pub fn use_above(&self, above: impl ExternalPrinter + Send + 'static) -> io::Result<()> {
        writer::start_above(self.shared.clone(), above)
    }

    /// Notes that rustyline is about to draw a line, or a search of the history with the prompt `search`.
    /// Blocks until the writer has finished its current write.
    pub fn begin_editing(&self, search: Option<&str>) {
        self.shared.edit(search);
    }

    /// Notes that the editing of a line has ended.
    pub fn end_editing(&self) {
        self.shared.edited();
    }

    /// Notes the line that a search shows after its prompt, and the cursor's offset in it in bytes. Ignored
    /// outside a search.
    pub fn set_found(&self, line: &str, at: usize) {
        self.shared.found(line, at);
    }

    /// Whether the history is being searched.
    pub fn is_searching(&self) -> bool {
        self.shared.is_searching()
    }

    /// Lends the terminal to a program while a line is edited. Only for the editor's thread.
    pub fn lend_while_editing(&self) -> Loan {
        self.shared.lend();
        let line = Some(self.mode.now());
        let _ = write_now(LEAVE_EDITING);
        self.mode.restore();
        Loan {
            terminal: self.clone(),
            line,
        }
    }

    /// Whether a line is being edited.
    pub fn is_editing(&self) -> bool {
        self.shared.is_edited()
    }

    /// Resolves when a line has been drawn since the last time this resolved.
    pub async fn drawn(&self) {
        self.shared.drawn.notified().await;
    }
}

/// For a guest's console, and for other programs.
impl Terminal {
    /// Makes the terminal raw and gives it to a guest, once everything given so far is on it. Other output is
    /// held back.
    ///
    /// # Errors
    ///
    /// The terminal cannot be made raw.
    pub async fn attach(&self) -> io::Result<()> {
        loop {
            self.settle().await;
            if self.shared.attach() {
                break;
            }
        }
        self.mode.make_raw().inspect_err(|_| self.shared.detach())
    }

    /// Lends the terminal to a program between two lines, once everything given so far is on it.
    pub async fn lend(&self) -> Loan {
        loop {
            self.settle().await;
            if self.shared.attach() {
                break;
            }
        }
        self.mode.restore();
        Loan {
            terminal: self.clone(),
            line: None,
        }
    }

    /// What ends a guest's output.
    fn leaves_console(&self) -> &'static str {
        match self.is_edited_by_kernel() {
            true => "\r\n",
            false => LEAVE_CONSOLE,
        }
    }

    /// Writes what the guest printed. The receiver resolves when it is on the terminal, or will never be.
    pub fn write_console(&self, bytes: Vec<u8>) -> oneshot::Receiver<()> {
        self.shared.push_console(bytes)
    }

    /// Takes the terminal back from the guest, and shows the output that was held back.
    pub async fn detach(&self) {
        self.shared.drop_console();
        let written = self.write_console(self.leaves_console().into());
        // The terminal may block forever, so the wait is bounded.
        let _ = timeout(LAST_OUTPUT, written).await;
        self.mode.forget_input();
        self.mode.type_ahead();
        self.shared.detach();
    }
}
