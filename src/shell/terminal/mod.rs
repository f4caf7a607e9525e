//! Who has the terminal, and what is written to it.
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
//! - showing: the terminal is cooked, and the writer's thread writes what is to be shown.
//! - editing: the terminal is raw, and rustyline draws. What is to be shown is handed over to rustyline's external
//!   printer, which shows it above the line.
//! - searching: the history is searched, during which rustyline shows nothing above. The writer does so itself.
//! - attached: the terminal is raw, and the writer writes what a guest prints. Everything else is held back.
//! - suspended: rustyline has made the terminal cooked and stopped the process, see [`Terminal::take_suspending`]. None
//!   of our threads runs, so no variant of the enum stands for this.
//! - leaving: the terminal is as it was found, rustyline's output leads nowhere, and the writer writes the last words.
//!
//! A terminal may take nothing, for ever (Ctrl-S, a dead ssh). So only the writer's thread writes, and it holds no lock
//! while it does. rustyline may block, too, but it blocks the editor's thread alone.

mod instruction;
mod mode;
mod shared;
mod state;
mod writer;

use std::fs::OpenOptions;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::dup2_stdout;
use rustyline::ExternalPrinter;
use tokio::sync::oneshot;
use tokio::time::timeout;

use instruction::Instruction;
use mode::Mode;
use shared::Shared;

/// How long the terminal may take for what is written last.
const LAST_OUTPUT: Duration = Duration::from_millis(700);

/// Ends what rustyline asked the terminal for, to hold back output (2026) and to mark pasted text (2004), and goes to a
/// new line.
const LEAVE_LINE: &str = "\x1b[?2026l\x1b[?2004l\n";

/// Undoes what a guest may have done to the terminal: the alternate screen, mouse reports, bracketed paste,
/// colours, margins, a hidden cursor (xterm's control sequences; a soft reset is DECSTR).
const LEAVE_CONSOLE: &str = "\x1b[?1047l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\
                             \x1b[!p\x1b[?7h\x1b[?25h\x1b[0m\r\n";

/// The terminal. Whatever is shown is shown in order.
#[derive(Clone)]
pub(super) struct Terminal {
    shared: Arc<Shared>,
    mode: Arc<Mode>,
}

/// Leaves the terminal when dropped, a panic included.
pub(super) struct Restore(Terminal);

impl Drop for Restore {
    fn drop(&mut self) {
        self.0.leave();
        self.0.shared.wait_until_written(LAST_OUTPUT);
        // The editor may have been about to make it raw when we left it.
        self.0.mode.restore();
    }
}

impl Terminal {
    /// Takes the terminal, for as long as what is returned besides is kept.
    ///
    /// # Errors
    ///
    /// There are no descriptors or threads left.
    pub fn start() -> io::Result<(Self, Restore)> {
        let terminal = Self {
            shared: Arc::new(Shared::new()),
            mode: Arc::new(Mode::remember()?),
        };
        mode::leave_suspending_to_the_editor();
        writer::start(terminal.shared.clone())?;
        Ok((terminal.clone(), Restore(terminal)))
    }

    /// Puts the terminal back as it was found. Does not block: what is shown last has time to appear until [`Restore`] is
    /// dropped.
    pub fn leave(&self) {
        if self.shared.is_leaving() {
            return;
        }
        let raw = self.mode.is_raw();
        self.shared.leave(|attached| match raw {
            true if attached => {
                self.mode.forget_input();
                LEAVE_CONSOLE
            }
            true => LEAVE_LINE,
            false => "",
        });
        // The editor may be about to draw. Nor may standard output block when the process flushes it at its exit.
        if let Ok(nowhere) = OpenOptions::new().write(true).open("/dev/null") {
            let _ = dup2_stdout(nowhere);
        }
        self.mode.restore();
    }
}

/// For whoever has something to show.
impl Terminal {
    /// Shows `text`, which ends in a line break.
    pub fn show(&self, text: String) {
        self.shared.push(Instruction::Show(text));
    }

    /// Shows `text`, which ends in a line break, as what went wrong.
    pub fn complain(&self, text: &str) {
        self.shared.push(Instruction::Complain(text.to_owned()));
    }

    /// Shows a line that stands until anything else is shown; an empty one takes it away.
    pub fn progress(&self, text: &str) {
        self.shared.push(Instruction::Progress(text.to_owned()));
    }

    /// Draws the line being edited again, if one is, with the prompt as it looks by now.
    pub fn repaint(&self) {
        self.shared.push(Instruction::Repaint);
    }

    /// Resolves when everything so far is on the terminal, or handed over to the editor.
    pub async fn settle(&self) {
        let (done, wait) = oneshot::channel();
        self.shared.push(Instruction::Settle(done));
        let _ = wait.await;
    }

    /// Drops what is being shown and what is to be shown after that, and says how much.
    pub fn drop_output(&self) {
        self.shared.drop_output();
    }
}

/// For the editor, and those who wait for it.
impl Terminal {
    /// Lets the calling thread, the editor's, take the signal that suspends (Ctrl-Z).
    ///
    /// rustyline restores the terminal, suspends the process, and takes the terminal again when the process continues.
    /// If another thread took the signal, the editor's would go on until that has happened, and leave the terminal raw
    /// to the user's shell.
    pub fn take_suspending() {
        mode::take_suspending();
    }

    /// Takes what shows text above the line being edited.
    ///
    /// # Errors
    ///
    /// There are no threads left.
    pub fn use_above(&self, above: impl ExternalPrinter + Send + 'static) -> io::Result<()> {
        writer::start_above(self.shared.clone(), above)
    }

    /// Says that rustyline is about to draw a line, or a search of the history with this prompt. Blocks until what is
    /// being written is written.
    pub fn begin_editing(&self, search: Option<&str>) {
        self.shared.edit(search);
    }

    /// Says that the editing of a line has ended.
    pub fn end_editing(&self) {
        self.shared.edited();
    }

    /// Says what stands after the prompt of a search, if one is shown.
    pub fn set_found(&self, line: &str, at: usize) {
        self.shared.found(line, at);
    }

    /// Whether a line is being edited.
    pub fn is_editing(&self) -> bool {
        self.shared.is_edited()
    }

    /// Resolves when a line that is edited has been drawn since this last did.
    pub async fn drawn(&self) {
        self.shared.drawn.notified().await;
    }
}

/// For a guest's console.
impl Terminal {
    /// Gives the terminal to a guest, raw, once everything so far is on it. What else is to be shown waits.
    ///
    /// # Errors
    ///
    /// It cannot be made raw.
    pub async fn attach(&self) -> io::Result<()> {
        loop {
            self.settle().await;
            if self.shared.attach() {
                break;
            }
        }
        self.mode.make_raw().inspect_err(|_| self.shared.detach())
    }

    /// Writes what the guest printed. What is returned resolves when it is on the terminal.
    pub fn write_console(&self, bytes: Vec<u8>) -> oneshot::Receiver<()> {
        self.shared.push_console(bytes)
    }

    /// Takes the terminal back from the guest, and shows what waited.
    pub async fn detach(&self) {
        self.shared.drop_console();
        let written = self.write_console(LEAVE_CONSOLE.into());
        // A terminal that takes nothing must not keep us.
        let _ = timeout(LAST_OUTPUT, written).await;
        self.mode.forget_input();
        self.mode.restore();
        self.shared.detach();
    }
}
