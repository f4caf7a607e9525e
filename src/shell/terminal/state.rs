//! The states of the terminal and the transitions between them; see the diagram in [`super`].

use std::collections::VecDeque;

use tokio::sync::oneshot;
use unicode_width::UnicodeWidthStr;

use crate::render::width;

/// How many bytes of output can be held back while the terminal is attached to a console.
const MOST_HELD: usize = 4 << 20;

/// Who has the terminal.
pub(super) enum TerminalState {
    /// We do.
    Showing,
    /// rustyline does: a prompt is shown and a line is being edited.
    Editing,
    /// rustyline does, and searches the history.
    Searching(Search),
    /// A guest or a program does.
    Attached(Attached),
    /// We do, for the last messages.
    Leaving,
}

/// A search of the history, as it looks on the terminal.
pub(super) struct Search {
    prompt: String,
    line: String,
    /// The cursor's offset in the line, in bytes.
    at: usize,
}

impl Search {
    /// Output that shows `text` above the search and redraws the search. `None` if the search takes more than
    /// one row: then only rustyline knows where the cursor is.
    pub fn show_above(&self, text: &str) -> Option<String> {
        let Self { prompt, line, at } = self;
        let column = prompt.width() + line[..*at].width();
        let fits = prompt.width() + line.width() < width() && !line.contains('\n');
        let end = if text.ends_with('\n') { "" } else { "\n" };
        fits.then(|| format!("\r\x1b[K{text}{end}{prompt}{line}\r\x1b[{column}C"))
    }
}

/// What waits while a guest or a program has the terminal.
#[derive(Default)]
pub(super) struct Attached {
    /// Whether a line was being edited before.
    editing: bool,
    /// The guest's output, and our remarks in it.
    pub pieces: VecDeque<(Vec<u8>, oneshot::Sender<()>)>,
    /// How many bytes of other output are held back.
    held: usize,
    /// How many outputs were dropped because there was no room for them.
    pub lost: u64,
}

impl Attached {
    /// Makes room for an output of `length` bytes. Returns whether there was room; if not, counts the output as
    /// lost.
    pub fn hold(&mut self, length: usize) -> bool {
        let room = self.held + length <= MOST_HELD;
        match room {
            true => self.held += length,
            false => self.lost += 1,
        }
        room
    }
}

/// The transitions. A transition that is not in the diagram changes nothing.
impl TerminalState {
    /// To editing, or to searching if `search` gives the prompt of a search.
    pub fn edit(&mut self, search: Option<&str>) {
        if !matches!(self, Self::Showing | Self::Editing | Self::Searching(_)) {
            return;
        }
        *self = search.map_or(Self::Editing, |prompt| {
            Self::Searching(Search {
                prompt: prompt.to_owned(),
                line: String::new(),
                at: 0,
            })
        });
    }

    /// From searching to searching, with another line found.
    pub fn found(&mut self, line: &str, at: usize) {
        if let Self::Searching(search) = self {
            (search.line, search.at) = (line.to_owned(), at);
        }
    }

    /// From editing or searching to showing.
    pub fn edited(&mut self) {
        if self.is_edited() {
            *self = Self::Showing;
        }
    }

    /// From showing to attached. Returns whether it changed the state.
    pub fn attach(&mut self) -> bool {
        let showing = matches!(self, Self::Showing);
        if showing {
            *self = Self::Attached(Attached::default());
        }
        showing
    }

    /// From editing to attached.
    pub fn lend(&mut self) {
        if self.is_edited() {
            *self = Self::Attached(Attached {
                editing: true,
                ..Attached::default()
            });
        }
    }

    /// From attached to showing, or to editing. Returns what waited, if it was attached.
    pub fn detach(&mut self) -> Option<Attached> {
        match std::mem::replace(self, Self::Showing) {
            Self::Attached(attached) => {
                if attached.editing {
                    *self = Self::Editing;
                }
                Some(attached)
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// From any state to leaving. Returns whether it was attached.
    pub fn leave(&mut self) -> bool {
        let attached = matches!(self, Self::Attached(_));
        *self = Self::Leaving;
        attached
    }

    /// Whether rustyline has the terminal.
    pub fn is_edited(&self) -> bool {
        matches!(self, Self::Editing | Self::Searching(_))
    }
}
